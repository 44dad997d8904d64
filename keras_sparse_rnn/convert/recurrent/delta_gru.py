"""DeltaGRU becomes KsrGru."""

from dataclasses import replace
from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.quantize import quantize
from keras_sparse_rnn.convert.recurrent.gru import gru_weights
from keras_sparse_rnn.convert.recurrent.holds import THRESHOLD_TYPES, change_rate, compare_held, counts
from keras_sparse_rnn.convert.recurrent.layer import RecurrentLayer, to_float32
from keras_sparse_rnn.layers import DeltaGRU, DeltaGRUCell
from keras_sparse_rnn.ops.gru import Gru, GruOptions


class DeltaGRULayer(RecurrentLayer):
    """A DeltaGRU layer. Its states are h, held h and held x."""

    LAYER: ClassVar[type] = DeltaGRU
    CELL: ClassVar[type] = DeltaGRUCell

    def observe(self, x, name, stateful):
        cell = _VisibleCell.from_config({**self.layer.cell.get_config(), "name": f"{name}_cell"})
        arguments = {"return_sequences": True, "go_backwards": self.layer.go_backwards, "stateful": stateful}
        twin = keras.layers.RNN(cell, name=f"{name}_h_held", **arguments)
        states = twin(x)
        twin.set_weights(self.layer.get_weights())
        units = self.layer.units
        return [states[..., :units], states[..., units : 2 * units], states[..., 2 * units :]]

    def float32_op(self, block):
        cell = self.layer.cell
        return Gru(
            GruOptions(**self._options(block), reset_after=1),
            *gru_weights(self.layer),
            input_threshold=to_float32(cell.input_hold.threshold),
            hidden_threshold=to_float32(cell.hidden_hold.threshold),
        )

    def int8_op(self, block, x, output, states, number_format):
        largest = max(float(np.abs(states[0]).max()), 1 / 16)
        op = quantize(self.float32_op(block), self.name, x, largest, output, number_format)
        return replace(
            op,
            input_threshold=counts(op.input_threshold, x.scale, THRESHOLD_TYPES[x.bits]),
            hidden_threshold=counts(op.hidden_threshold, 2**-15, np.uint16),
        )

    def event_rate(self, states):
        return change_rate(states[1])

    def input_rate(self, states):
        return change_rate(states[2])

    def compare(self, op, ours, keras, x_scale):
        own = super().compare(op, ours[:1], keras[:1], x_scale)
        return compare_held(op, own, [(ours[1], keras[1], 2**-15), (ours[2], keras[2], x_scale)])


class _VisibleCell(DeltaGRUCell):
    """Puts out its states, h, held h and held x, side by side."""

    def build(self, input_shape):
        super().build(input_shape)
        self.output_size = 2 * self.units + input_shape[-1]

    def call(self, inputs, states, training=False):
        _, states = super().call(inputs, states, training=training)
        return keras.ops.concatenate(states, axis=-1), states
