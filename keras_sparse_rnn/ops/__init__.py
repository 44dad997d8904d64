"""The custom ops, one module each: the options, the constants, and the computation in integers and in floats."""

from keras_sparse_rnn.ops.event_gru import EventGru
from keras_sparse_rnn.ops.frame_gate import FrameGate
from keras_sparse_rnn.ops.gru import Gru
from keras_sparse_rnn.ops.lstm import Lstm
from keras_sparse_rnn.ops.on_lstm import OnLstm
from keras_sparse_rnn.ops.simple_rnn import SimpleRnn
from keras_sparse_rnn.ops.sparse_dense import SparseDense

OPS = {op.SCHEMA.name: op for op in (EventGru, Gru, Lstm, OnLstm, SimpleRnn)}  # the recurrent ones
ALL_OPS = OPS | {op.SCHEMA.name: op for op in (SparseDense, FrameGate)}
