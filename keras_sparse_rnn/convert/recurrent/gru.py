"""keras.layers.GRU and LightGRU become KsrGru."""

from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, to_float32
from keras_sparse_rnn.layers import LightGRU, LightGRUCell
from keras_sparse_rnn.ops.gru import AFTER, BEFORE, WITHOUT, Gru


class GRUConverter(LayerConverter):
    """A GRU layer, with `reset_after` either way. Its state is h."""

    LAYER: ClassVar[type] = keras.layers.GRU
    CELL: ClassVar[type] = keras.layers.GRUCell

    def float32_op(self, block):
        options = Gru.SCHEMA.options(**self._options(block), reset_gate=reset_gate(self.layer))
        return Gru(options, *gru_weights(self.layer))


class LightGRUConverter(GRUConverter):
    """A LightGRU layer. Its state is h."""

    LAYER: ClassVar[type] = LightGRU
    CELL: ClassVar[type] = LightGRUCell


def reset_gate(layer):
    """That word, for a layer with the gates of a GRU."""
    if not getattr(layer, "reset_gate", True):
        return WITHOUT
    return AFTER if layer.reset_after else BEFORE


def whole_kernels(cell):
    """Returns the kernel and the recurrent kernel of a cell, or the products of their factors."""
    factored = getattr(cell, "rank", None) is not None
    kernels = cell.kernels() if factored else (cell.kernel, cell.recurrent_kernel)
    return [to_float32(kernel) for kernel in kernels]


def gru_weights(layer):
    """Returns the kernel `(I, gates, U)`, the recurrent kernel `(U, gates, U)` and the bias of the accumulators
    `(4, U)` of a GRU with or without a reset gate."""
    cell, units = layer.cell, layer.units
    kernels = [kernel.reshape(len(kernel), -1, units) for kernel in whole_kernels(cell)]
    bias = np.zeros((2, 3, units), np.float32)
    if layer.use_bias and reset_gate(layer) == WITHOUT:
        bias[0, ::2] = to_float32(cell.bias).reshape(2, units)
    elif layer.use_bias:
        stored = to_float32(cell.bias).reshape(-1, 3, units)
        bias[: len(stored)] = stored  # reset before, the recurrent part has none
    from_x, from_h = bias
    return *kernels, np.stack([from_x[0] + from_h[0], from_x[1] + from_h[1], from_x[2], from_h[2]])
