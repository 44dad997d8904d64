"""DeltaGRU becomes KsrGru."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, state_scale, to_float32
from keras_sparse_rnn.convert.recurrent.gru import gru_weights, reset_gate
from keras_sparse_rnn.convert.recurrent.holds import THRESHOLD_TYPES, change_rate, compare_held, counts
from keras_sparse_rnn.layers import DeltaGRU, DeltaGRUCell
from keras_sparse_rnn.ops.gru import Gru


class DeltaGRUConverter(LayerConverter):
    """A DeltaGRU layer. Its states are h, held h and held x."""

    LAYER: ClassVar[type] = DeltaGRU
    CELL: ClassVar[type] = DeltaGRUCell
    STATES: ClassVar[tuple] = ("h", "held_h", "held_x")

    def check_initial(self):
        raise ValueError(
            f"layer '{self.name}' (DeltaGRU) is called with an initial state, which cannot be converted: sums of what "
            "was held belong to it. Let it begin at zero, or take a GRU."
        )

    def float32_op(self, block):
        cell = self.layer.cell
        return Gru(
            Gru.SCHEMA.options(**self._options(block), reset_gate=reset_gate(self.layer)),
            *gru_weights(self.layer),
            input_threshold=to_float32(cell.input_hold.threshold),
            hidden_threshold=to_float32(cell.hidden_hold.threshold),
        )

    def integer_op(self, block, x, output, seen, options):
        op = super().integer_op(block, x, output, seen, options)
        return replace(
            op,
            input_threshold=counts(op.input_threshold, x.scale, THRESHOLD_TYPES[x.bits]),
            hidden_threshold=counts(op.hidden_threshold, state_scale(op), np.uint16),
        )

    def event_rate(self, states):
        return change_rate(states["held_h"])

    def input_rate(self, states):
        return change_rate(states["held_x"])

    def compare(self, op, ours, keras, x_scale):
        own = super().compare(op, ours, keras, x_scale)
        scales = {"held_h": state_scale(op), "held_x": x_scale}
        return compare_held(op, own, [(ours[name], keras[name], scale) for name, scale in scales.items()])
