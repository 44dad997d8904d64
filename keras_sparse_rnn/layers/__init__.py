"""Recurrent layers: layers whose units send events, and other recurrences for sparse training."""

from keras_sparse_rnn.layers.delta_dense import DeltaDense, DeltaDenseCell
from keras_sparse_rnn.layers.delta_gru import DeltaGRU
from keras_sparse_rnn.layers.delta_gru_cell import DeltaGRUCell
from keras_sparse_rnn.layers.delta_hold import DeltaHold
from keras_sparse_rnn.layers.delta_lstm import DeltaLSTM, DeltaLSTMCell
from keras_sparse_rnn.layers.delta_simple_rnn import DeltaSimpleRNN, DeltaSimpleRNNCell
from keras_sparse_rnn.layers.event_gru import EventGRU
from keras_sparse_rnn.layers.event_gru_cell import EventGRUCell
from keras_sparse_rnn.layers.fast_grnn import FastGRNN
from keras_sparse_rnn.layers.fast_grnn_cell import FastGRNNCell
from keras_sparse_rnn.layers.frame_gate import FrameGate
from keras_sparse_rnn.layers.light_gru import LightGRU
from keras_sparse_rnn.layers.light_gru_cell import LightGRUCell
from keras_sparse_rnn.layers.on_lstm import ONLSTM, ONLSTMCell
from keras_sparse_rnn.layers.recurrent_highway import RecurrentHighway, RecurrentHighwayCell

__all__ = [
    "ONLSTM",
    "DeltaDense",
    "DeltaDenseCell",
    "DeltaGRU",
    "DeltaGRUCell",
    "DeltaHold",
    "DeltaLSTM",
    "DeltaLSTMCell",
    "DeltaSimpleRNN",
    "DeltaSimpleRNNCell",
    "EventGRU",
    "EventGRUCell",
    "FastGRNN",
    "FastGRNNCell",
    "FrameGate",
    "LightGRU",
    "LightGRUCell",
    "ONLSTMCell",
    "RecurrentHighway",
    "RecurrentHighwayCell",
]
