"""keras.layers.GRU becomes KsrGru."""

from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, to_float32
from keras_sparse_rnn.ops.gru import Gru


class GRUConverter(LayerConverter):
    """A GRU layer, with `reset_after` either way. Its state is h."""

    LAYER: ClassVar[type] = keras.layers.GRU
    CELL: ClassVar[type] = keras.layers.GRUCell

    def float32_op(self, block):
        options = Gru.SCHEMA.options(**self._options(block), reset_after=int(self.layer.reset_after))
        return Gru(options, *gru_weights(self.layer))


def gru_weights(layer):
    """Kernel `(I, 3, U)`, recurrent kernel `(U, 3, U)` and the bias of the accumulators `(4, U)` of a layer with the
    weights of a GRU."""
    cell, units = layer.cell, layer.units
    bias = np.zeros((2, 3, units), np.float32)
    if layer.use_bias:
        stored = to_float32(cell.bias).reshape(-1, 3, units)
        bias[: len(stored)] = stored  # reset before, the recurrent part has none
    from_x, from_h = bias
    bias = np.stack([from_x[0] + from_h[0], from_x[1] + from_h[1], from_x[2], from_h[2]])
    return to_float32(cell.kernel).reshape(-1, 3, units), to_float32(cell.recurrent_kernel).reshape(-1, 3, units), bias
