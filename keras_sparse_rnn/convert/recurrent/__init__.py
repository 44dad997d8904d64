"""The layers that become ops of ours, each in one module: what is checked, read, observed, quantized and compared."""

from keras_sparse_rnn.convert.recurrent.event_gru import EventGRULayer
from keras_sparse_rnn.convert.recurrent.gru import GRULayer
from keras_sparse_rnn.convert.recurrent.lstm import LSTMLayer

KINDS = (EventGRULayer, GRULayer, LSTMLayer)


def recurrent_layer(layer):
    """A Keras layer as the `RecurrentLayer` of its kind; None where it is of no kind that becomes an op of ours."""
    for kind in KINDS:
        if isinstance(layer, kind.LAYER):
            return kind(layer)
    return None
