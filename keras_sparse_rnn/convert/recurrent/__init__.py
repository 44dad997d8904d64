"""The layers that become custom ops, one module each: how a layer is checked, observed, quantized and compared."""

import keras

from keras_sparse_rnn.convert.recurrent.delta import (
    DeltaDenseConverter,
    DeltaGRUConverter,
    DeltaLSTMConverter,
    DeltaSimpleRNNConverter,
)
from keras_sparse_rnn.convert.recurrent.event_gru import EventGRUConverter
from keras_sparse_rnn.convert.recurrent.fast_grnn import FastGRNNConverter
from keras_sparse_rnn.convert.recurrent.gru import GRUConverter, LightGRUConverter
from keras_sparse_rnn.convert.recurrent.held import HeldConverter
from keras_sparse_rnn.convert.recurrent.lstm import LSTMConverter
from keras_sparse_rnn.convert.recurrent.on_lstm import ONLSTMConverter
from keras_sparse_rnn.convert.recurrent.recurrent_highway import RecurrentHighwayConverter
from keras_sparse_rnn.convert.recurrent.simple_rnn import SimpleRNNConverter

KINDS = (
    DeltaDenseConverter,
    DeltaGRUConverter,
    DeltaLSTMConverter,
    DeltaSimpleRNNConverter,
    EventGRUConverter,
    FastGRNNConverter,
    GRUConverter,
    LightGRUConverter,
    LSTMConverter,
    ONLSTMConverter,
    RecurrentHighwayConverter,
    SimpleRNNConverter,
)


def recurrent_layer(layer, in_order=False, hold=None):
    """Returns the `LayerConverter` of a Keras layer, including a DeltaHold in front of it; None if no op implements
    the layer."""
    for kind in KINDS:
        if isinstance(layer, kind.LAYER):
            return kind(layer, in_order) if hold is None else HeldConverter(hold, kind(layer, in_order))
    return None


def layers_in(layer):
    """Splits a recurrent layer into consecutive layers of which each becomes an op.

    Args:
        layer: A built recurrent layer of Keras.

    Returns:
        A list with the layer itself if it becomes an op; for an RNN over such a cell, or over a stack of them, a list
        of layers with the weights of the cells; otherwise an empty list.
    """
    if isinstance(layer, tuple(kind.LAYER for kind in KINDS)):
        return [layer]
    if type(layer) is not keras.layers.RNN:
        return []
    cells = _cells_in(layer.cell)
    layers = [_layer_of(cell, layer, is_last=cell is cells[-1]) for cell in cells]
    return [] if None in layers else layers


def is_cell(layer):
    """Whether a layer is a cell, or a stack of cells, that becomes ops when it is called on a step."""
    kinds = tuple(kind.CELL for kind in KINDS)
    return isinstance(layer, (keras.layers.StackedRNNCells, *kinds)) and all(
        isinstance(cell, kinds) for cell in _cells_in(layer)
    )


def _cells_in(cell):
    if not isinstance(cell, keras.layers.StackedRNNCells):
        return [cell]
    return [inner for part in cell.cells for inner in _cells_in(part)]


def _layer_of(cell, rnn, is_last):
    """The layer that corresponds to a cell of an RNN; None for a user's own cell."""
    kinds = [kind for kind in KINDS if isinstance(cell, kind.CELL) and type(cell).call is kind.CELL.call]
    if not kinds:
        return None
    config = {
        "name": rnn.name if cell is rnn.cell else f"{rnn.name}_{cell.name}",
        "return_sequences": rnn.return_sequences or not is_last,
        "return_state": rnn.return_state,
        "go_backwards": rnn.go_backwards,
        "stateful": rnn.stateful,
    }
    layer = kinds[0].LAYER.from_config({**cell.get_config(), **config})
    layer.build((None, None, cell.kernel.shape[0]))
    layer.set_weights(cell.get_weights())
    layer.zero_output_for_mask = rnn.zero_output_for_mask and is_last
    return layer
