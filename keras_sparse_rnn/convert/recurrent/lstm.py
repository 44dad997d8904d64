"""keras.layers.LSTM becomes KsrLstm."""

from dataclasses import replace
from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, to_float32
from keras_sparse_rnn.ops.lstm import CELL_BITS, Lstm


class LSTMConverter(LayerConverter):
    """An LSTM layer. Its states are h and c."""

    LAYER: ClassVar[type] = keras.layers.LSTM
    CELL: ClassVar[type] = keras.layers.LSTMCell
    STATES: ClassVar[tuple] = ("h", "c")

    def float32_op(self, block):
        cell, units = self.layer.cell, self.layer.units
        bias = to_float32(cell.bias).reshape(4, units) if self.layer.use_bias else np.zeros((4, units), np.float32)
        kernels = (to_float32(kernel).reshape(-1, 4, units) for kernel in (cell.kernel, cell.recurrent_kernel))
        return Lstm(Lstm.SCHEMA.options(**self._options(block)), *kernels, bias)

    def integer_op(self, block, x, output, states, options):
        largest, (_, most) = float(np.abs(states["c"]).max()), CELL_BITS
        if largest > 2**most:
            raise ValueError(
                f"layer '{self.name}' has cell states up to {largest:.3g} on the representative data; int8 models "
                f"hold them up to {2**most}. Shorter sequences keep them smaller; weights='float32' has no limit."
            )
        # Twice the range seen, so that sequences in use may go further.
        bits = int(np.clip(np.ceil(np.log2(2 * max(largest, 1e-9))), 0, most))
        op = super().integer_op(block, x, output, states, options)
        return replace(op, options=replace(op.options, cell_bits=bits))
