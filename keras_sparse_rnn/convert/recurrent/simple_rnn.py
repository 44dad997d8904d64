"""keras.layers.SimpleRNN becomes KsrSimpleRnn."""

from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, to_float32
from keras_sparse_rnn.ops.simple_rnn import SimpleRnn


class SimpleRNNConverter(LayerConverter):
    """A SimpleRNN layer. Its state is h."""

    LAYER: ClassVar[type] = keras.layers.SimpleRNN
    CELL: ClassVar[type] = keras.layers.SimpleRNNCell
    ACTIVATIONS: ClassVar[tuple] = ("activation",)

    def float32_op(self, block):
        cell, units = self.layer.cell, self.layer.units
        bias = np.zeros((4, units), np.float32)
        if self.layer.use_bias:
            bias[0] = to_float32(cell.bias)
        kernels = (kernel.reshape(-1, 1, units) for kernel in (to_float32(cell.kernel), self._recurrent_kernel()))
        return SimpleRnn(SimpleRnn.SCHEMA.options(**self._options(block)), *kernels, bias)

    def _recurrent_kernel(self):
        return to_float32(self.layer.cell.recurrent_kernel)
