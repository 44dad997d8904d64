"""Recurrent layers whose units send events."""

from keras_sparse_rnn.layers.event_gru import EventGRU
from keras_sparse_rnn.layers.event_gru_cell import EventGRUCell

__all__ = ["EventGRU", "EventGRUCell"]
