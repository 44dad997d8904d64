"""keras.layers.LSTM becomes KsrLstm."""

import math
from dataclasses import replace
from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.quantize import range_bits
from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, to_float32
from keras_sparse_rnn.ops.activations import MOST_BITS
from keras_sparse_rnn.ops.lstm import BOUNDED_CELL_BITS, Lstm


class LSTMConverter(LayerConverter):
    """An LSTM layer. Its states are h and c."""

    LAYER: ClassVar[type] = keras.layers.LSTM
    CELL: ClassVar[type] = keras.layers.LSTMCell
    STATES: ClassVar[tuple] = ("h", "c")
    RANGED: ClassVar[tuple] = ("h", "c")

    def float32_op(self, block):
        return Lstm(Lstm.SCHEMA.options(**self._options(block)), *lstm_weights(self.layer))

    def integer_op(self, block, x, output, seen, options):
        op = super().integer_op(block, x, output, seen, options)
        # With a bounded activation of c, small values of c matter most, and coarser steps would lose them.
        most = BOUNDED_CELL_BITS if math.isfinite(op.activation.limit) else MOST_BITS
        bits = range_bits(self.name, "cell states", float(np.abs(seen.states["c"]).max()), most=most)
        return replace(op, options=replace(op.options, cell_bits=max(bits, op.options.state_bits)))


def lstm_weights(layer):
    """Kernel `(I, 4, U)`, recurrent kernel `(U, 4, U)` and bias `(4, U)` of a layer with the gates of an LSTM."""
    cell, units = layer.cell, layer.units
    bias = to_float32(cell.bias).reshape(4, units) if layer.use_bias else np.zeros((4, units), np.float32)
    return *(to_float32(kernel).reshape(-1, 4, units) for kernel in (cell.kernel, cell.recurrent_kernel)), bias
