"""The layers that become ops of ours, each in one module: what is checked, read, observed, quantized and compared."""

from keras_sparse_rnn.convert.recurrent.delta_gru import DeltaGRULayer
from keras_sparse_rnn.convert.recurrent.event_gru import EventGRULayer
from keras_sparse_rnn.convert.recurrent.gru import GRULayer
from keras_sparse_rnn.convert.recurrent.held import HeldLayer
from keras_sparse_rnn.convert.recurrent.lstm import LSTMLayer
from keras_sparse_rnn.convert.recurrent.simple_rnn import SimpleRNNLayer

KINDS = (DeltaGRULayer, EventGRULayer, GRULayer, LSTMLayer, SimpleRNNLayer)


def recurrent_layer(layer, in_order=False, hold=None):
    """A Keras layer, with the DeltaHold in front of it if there is one, as the `RecurrentLayer` of its kind; None where
    it is of no kind that becomes an op of ours."""
    for kind in KINDS:
        if isinstance(layer, kind.LAYER):
            return kind(layer, in_order) if hold is None else HeldLayer(hold, kind(layer, in_order))
    return None
