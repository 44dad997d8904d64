"""keras.layers.SimpleRNN becomes KsrSimpleRnn."""

from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.quantize import quantize
from keras_sparse_rnn.convert.recurrent.layer import RecurrentLayer, call_copy, to_float32
from keras_sparse_rnn.ops.recurrent import RecurrentOptions
from keras_sparse_rnn.ops.simple_rnn import SimpleRnn


class SimpleRNNLayer(RecurrentLayer):
    """A SimpleRNN layer. Its state is h."""

    LAYER: ClassVar[type] = keras.layers.SimpleRNN
    CELL: ClassVar[type] = keras.layers.SimpleRNNCell
    ACTIVATIONS: ClassVar[dict] = {"activation": "tanh"}

    def observe(self, x, name, stateful):
        changes = {"return_sequences": True, "activity_regularizer": None, "stateful": stateful}
        return [call_copy(self.layer, x, name=f"{name}_h", **changes)]

    def float32_op(self, block):
        cell, units = self.layer.cell, self.layer.units
        bias = np.zeros((4, units), np.float32)
        if self.layer.use_bias:
            bias[0] = to_float32(cell.bias)
        kernels = (to_float32(kernel).reshape(-1, 1, units) for kernel in (cell.kernel, cell.recurrent_kernel))
        return SimpleRnn(RecurrentOptions(**self._options(block)), *kernels, bias)

    def int8_op(self, block, x, output, states, number_format):
        largest = max(float(np.abs(states[0]).max()), 1 / 16)
        return quantize(self.float32_op(block), self.name, x, largest, output, number_format)
