"""keras.layers.LSTM becomes KsrLstm."""

from dataclasses import replace
from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.quantize import quantize
from keras_sparse_rnn.convert.recurrent.layer import RecurrentLayer, to_float32
from keras_sparse_rnn.ops.lstm import Lstm, LstmOptions


class LSTMLayer(RecurrentLayer):
    """An LSTM layer. Its states are h and c."""

    LAYER: ClassVar[type] = keras.layers.LSTM
    CELL: ClassVar[type] = keras.layers.LSTMCell

    def observe(self, x, name, stateful):
        cell = _VisibleCell.from_config({**self.layer.cell.get_config(), "name": f"{name}_cell"})
        cell.output_size = 2 * cell.units
        arguments = {"return_sequences": True, "go_backwards": self.layer.go_backwards, "stateful": stateful}
        twin = keras.layers.RNN(cell, name=f"{name}_h_c", **arguments)
        states = twin(x)
        twin.set_weights(self.layer.get_weights())
        return [states[..., : self.layer.units], states[..., self.layer.units :]]

    def float32_op(self, block):
        cell, units = self.layer.cell, self.layer.units
        bias = to_float32(cell.bias).reshape(4, units) if self.layer.use_bias else np.zeros((4, units), np.float32)
        kernels = (to_float32(kernel).reshape(-1, 4, units) for kernel in (cell.kernel, cell.recurrent_kernel))
        return Lstm(LstmOptions(**self._options(block)), *kernels, bias)

    def int8_op(self, block, x, output, states, number_format):
        largest_h, largest_c = (float(np.abs(state).max()) for state in states)
        most = LstmOptions.MOST_CELL_BITS
        if largest_c > 2**most:
            raise ValueError(
                f"layer '{self.name}' has cell states up to {largest_c:.3g} on the representative data; int8 models "
                f"hold them up to {2**most}. Shorter sequences keep them smaller; weights='float32' has no limit."
            )
        # Twice the range seen, so that sequences in use may go further.
        bits = int(np.clip(np.ceil(np.log2(2 * max(largest_c, 1e-9))), 0, most))
        op = quantize(self.float32_op(block), self.name, x, max(largest_h, 1 / 16), output, number_format)
        return replace(op, options=replace(op.options, cell_bits=bits))


class _VisibleCell(keras.layers.LSTMCell):
    """Puts out both states, h and c, side by side."""

    def call(self, inputs, states, training=False):
        _, states = super().call(inputs, states, training=training)
        return keras.ops.concatenate(states, axis=-1), states
