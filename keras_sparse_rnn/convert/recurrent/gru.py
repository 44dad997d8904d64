"""keras.layers.GRU becomes KsrGru."""

from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.quantize import quantize
from keras_sparse_rnn.convert.recurrent.layer import RecurrentLayer, call_copy, to_float32
from keras_sparse_rnn.ops.gru import Gru, GruOptions


class GRULayer(RecurrentLayer):
    """A GRU layer, with `reset_after` either way. Its state is h."""

    LAYER: ClassVar[type] = keras.layers.GRU
    CELL: ClassVar[type] = keras.layers.GRUCell

    def observe(self, x, name, stateful):
        changes = {"return_sequences": True, "activity_regularizer": None, "stateful": stateful}
        return [call_copy(self.layer, x, name=f"{name}_h", **changes)]

    def float32_op(self, block):
        options = GruOptions(**self._options(block), reset_after=int(self.layer.reset_after))
        return Gru(options, *gru_weights(self.layer))

    def int8_op(self, block, x, output, states, number_format):
        largest = max(float(np.abs(states[0]).max()), 1 / 16)
        return quantize(self.float32_op(block), self.name, x, largest, output, number_format)


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
