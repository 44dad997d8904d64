"""Delta layers become the ops of the plain layers, with holds."""

from dataclasses import replace
from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, check_layer, to_float32, unit_of
from keras_sparse_rnn.convert.recurrent.gru import GRUConverter
from keras_sparse_rnn.convert.recurrent.holds import change_rate, compare_held, counts
from keras_sparse_rnn.convert.recurrent.lstm import LSTMConverter
from keras_sparse_rnn.convert.recurrent.simple_rnn import SimpleRNNConverter
from keras_sparse_rnn.layers import (
    DeltaDense,
    DeltaDenseCell,
    DeltaGRU,
    DeltaGRUCell,
    DeltaLSTM,
    DeltaLSTMCell,
    DeltaSimpleRNN,
    DeltaSimpleRNNCell,
)
from keras_sparse_rnn.layers.states import states_of

_THRESHOLDS = {"held_x": "input_threshold", "held_h": "hidden_threshold", "held_reset": "reset_threshold"}


class DeltaConverter(LayerConverter):
    """Mixin for the converter of the plain layer."""

    HOLDS_INPUTS: ClassVar[bool] = True

    def check_initial(self):
        kind = type(self.layer).__name__
        raise ValueError(
            f"layer '{self.name}' ({kind}) is called with an initial state, which cannot be converted: the sums "
            f"of its held values are part of the state. Let it begin at zero, or use a {kind.removeprefix('Delta')}."
        )

    def float32_op(self, block):
        thresholds = {_THRESHOLDS[name]: to_float32(getattr(self.layer, _THRESHOLDS[name])) for name in self._held}
        return replace(super().float32_op(block), **thresholds)

    def integer_op(self, block, x, output, seen, options):
        op = super().integer_op(block, x, output, seen, options)
        return replace(op, **{_THRESHOLDS[name]: self._counts(op, name, x.scale) for name in self._held})

    def event_rate(self, states):
        return change_rate(states["held_h"])

    def input_rate(self, states):
        return change_rate(states["held_x"])

    def compare(self, op, ours, keras, x_scale):
        own = super().compare(op, ours, keras, x_scale)
        # r * h is made in the step, with the rounding of a gate; the others are what was given.
        near = {name: _scale(op, name, x_scale) for name in self._held} | {"held_reset": unit_of(op) / 64}
        return compare_held(op, own, [(ours[name], keras[name], near[name]) for name in self._held])

    @property
    def _held(self):
        return [name for name in self.STATES if name in _THRESHOLDS]

    def _counts(self, op, name, x_scale):
        schema = op.SCHEMA
        dtype = np.dtype(schema.inputs[schema.index(_THRESHOLDS[name])].types[op.options.format])
        return counts(getattr(op, _THRESHOLDS[name]), _scale(op, name, x_scale), dtype)


class DeltaDenseConverter(DeltaConverter, SimpleRNNConverter):
    """A DeltaDense layer: a SimpleRNN without recurrent weights, whose state is what it puts out."""

    LAYER: ClassVar[type] = DeltaDense
    CELL: ClassVar[type] = DeltaDenseCell
    STATES: ClassVar[tuple] = ("h", "held_x")

    def check(self, stateful):
        check_layer(self.layer, {"return_state": False}, stateful)
        super().check(stateful)

    def observe(self, x, name, stateful, initial=None, mask=None):
        (held,) = states_of(self.layer, x, name, stateful, initial, mask)
        dense = keras.layers.Dense(self.layer.units, self.layer.activation, self.layer.use_bias, name=f"{name}_h")
        h = dense(held)
        dense.set_weights(self.layer.get_weights()[: 1 + self.layer.use_bias])
        return {"h": h, "held_x": held}

    def _recurrent_kernel(self):
        return np.zeros((self.layer.units, self.layer.units), np.float32)

    def event_rate(self, states):
        return None


def _scale(op, name, x_scale):
    """Scale of the held values; None in float32."""
    return op.states(x_scale)[name].scale


class DeltaGRUConverter(DeltaConverter, GRUConverter):
    """A DeltaGRU layer, with `reset_after` either way."""

    LAYER: ClassVar[type] = DeltaGRU
    CELL: ClassVar[type] = DeltaGRUCell

    def __init__(self, layer, in_order=False):
        super().__init__(layer, in_order)
        self.STATES = ("h", "held_h", "held_x") if layer.reset_after else ("h", "held_reset", "held_h", "held_x")


class DeltaLSTMConverter(DeltaConverter, LSTMConverter):
    """A DeltaLSTM layer."""

    LAYER: ClassVar[type] = DeltaLSTM
    CELL: ClassVar[type] = DeltaLSTMCell
    STATES: ClassVar[tuple] = ("h", "c", "held_h", "held_x")


class DeltaSimpleRNNConverter(DeltaConverter, SimpleRNNConverter):
    """A DeltaSimpleRNN layer."""

    LAYER: ClassVar[type] = DeltaSimpleRNN
    CELL: ClassVar[type] = DeltaSimpleRNNCell
    STATES: ClassVar[tuple] = ("h", "held_h", "held_x")
