"""The arithmetic of the integer ops (`ops/gates.py`) in the recurrences of the layers.

Values are real numbers on the grids of the integers; only operands, accumulators and recurrent kernels are in counts.
Products beyond 24 bits are rounded. This rarely changes a result, and by one count at most.
"""

import dataclasses
import functools
from collections.abc import Callable

import keras
from keras import ops

from keras_sparse_rnn.layers.recurrence import GATES, Recurrence
from keras_sparse_rnn.quantization.activations import IN_INTEGERS, SLOPES, floor_to, usual_sigmoid, usual_tanh
from keras_sparse_rnn.quantization.highway import without_layer
from keras_sparse_rnn.quantization.rounding import straight_through

SLOTS = {"z": 0, "r": 1, "t": 1, "q_h": 3, "i": 0, "f": 1, "o": 3, "g": 2, "h": 0}  # of accumulators
# Scalars: operand counts per unit of the state; steps per unit of states, gates, pre-activations and cell states.
NUMBERS = ("operand", "per_state", "per_gate", "per_unit", "per_cell")
_OF_SLOTS = ("factor", "step")  # from an accumulator to steps of its pre-activation, and what a step is worth


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Integers(Recurrence):
    """A recurrence in integers: a class with this base in front of the recurrence of a layer.

    The sums of products that a step begins with are accumulators in counts. Gradients are those of the exact functions
    at the rounded values, with respect to real values: the caller gives accumulators and the recurrent kernel the
    gradient of their real values.

    Further weights:
        slopes: what a count of the recurrent kernel is worth in its column, per unit of the state
        NUMBERS, and for each slot `factor_0`, `step_0` ..
        scales_0 ..: with a scale per output, the factors from its scale to that of the slot

    Attributes:
        is_usual: Whether the op has the tables of tanh and sigmoid, without interpolation.
        has_output_scales: Whether there is a scale per output.
        holds_operand: Whether the held state is the operand of the recurrence.
        operand_range: The smallest and the largest operand.
        recorded: Names of values of a step to record in addition to the outputs.
        record: Function that takes a dict of these.
    """

    is_usual: bool
    has_output_scales: bool
    holds_operand: bool
    operand_range: tuple[float, float]
    recorded: tuple[str, ...]
    record: Callable

    hand_written = True

    @property
    def weight_names(self):
        of_slots = [*_OF_SLOTS, *(["scales"] if self.has_output_scales else [])]
        return (
            *super().weight_names,
            "slopes",
            *NUMBERS,
            *(f"{name}_{slot}" for name in of_slots for slot in range(4)),
        )

    @property
    def tape_names(self):
        names = super().tape_names
        if isinstance(getattr(self, "hidden", None), NoHold):
            names = [name for name in names if not name.endswith("change")]
        kinds = [without_layer(name) for name in names]
        activated = {*GATES, "g", "active"} if "g" in kinds else {"h"}
        activated = {kind for kind in activated if self.function_of(kind) in SLOPES}
        return (*names, *(f"slope_{name}" for name, kind in zip(names, kinds, strict=True) if kind in activated))

    def weights_backward(self, weights):
        return (ops.transpose(weights[0] * self._of(weights, "slopes")), *weights[1:])

    def gradients(self, first_states, tape, d_steps, d_threshold):
        own = super().gradients(first_states, tape, d_steps, d_threshold)
        return (*own, *(None for _ in range(len(self.weight_names) - len(super().weight_names))))

    def sequence(self, inputs, states, weights, mask=None, outputs=(), by_hand=False):
        names = tuple(dict.fromkeys((*outputs, *self.recorded)))
        emitted, last = super().sequence(inputs, states, weights, mask, names, by_hand)
        values = dict(zip(names, emitted, strict=True))
        self.record({name: values[name] for name in self.recorded})
        return tuple(values[name] for name in outputs), last

    def read(self, state, weights):
        return self._operand(state, weights) / self._of(weights, "operand") if self.holds_operand else state

    def products(self, source, kernel, masks, gates, weights):
        return ops.split(self._operand(source, weights) @ kernel, gates, axis=-1)

    def pre_activation(self, name, value, weights):
        if name == "active":
            return ops.floor(value * 128 + 0.5) * (1 / 128) if self.is_usual else value
        slot = SLOTS[name]
        if self.has_output_scales:
            value = ops.floor(value * self._of(weights, f"scales_{slot}"))
        return ops.floor(value * self._of(weights, f"factor_{slot}")) * self._of(weights, f"step_{slot}")

    def activate(self, values, name, value, weights):
        function = self.function_of(name)
        if self.is_usual:
            values[name] = usual_sigmoid(value) if name in GATES else usual_tanh(value)
        else:
            per_unit = self._of(weights, "per_unit")
            if name == "active":
                per_unit = ops.maximum(self._of(weights, "per_cell"), 128.0)
            per_step = self._of(weights, "per_gate" if name in GATES else "per_state")
            values[name] = IN_INTEGERS[function.__name__](value, per_unit, per_step)
        if function in SLOPES:
            values[f"slope_{name}"] = SLOPES[function](value)
        return values[name]

    def slope(self, name, tape):
        return tape[f"slope_{name}"] if f"slope_{name}" in tape else super().slope(name, tape)

    def total(self, x, y, weights):
        total = x + floor_to(y, self._of(weights, "per_unit"))
        return floor_to(total, 128.0) if self.is_usual else total

    def times(self, gate, state, weights):
        return self._saturated(self._product(gate, state, weights), weights)

    def mix(self, z, g, before, weights):
        return self._saturated(g + self._product(z, before - g, weights), weights)

    def next_cell(self, values, weights):
        """Of an LSTM: f * c' + i * g."""
        per_cell = self._of(weights, "per_cell")
        counts = ops.floor((values["f"] * values["before"] + values["i"] * values["g"]) * per_cell + 0.5)
        return ops.clip(counts, -(2.0**15), 2.0**15 - 1) * (1 / per_cell)

    def share(self, z, zeta, nu, weights):
        """Of a FastGRNN: zeta * (1 - z) + nu, with 15 bits of zeta, and nu rounded down."""
        per_gate = self._of(weights, "per_gate")
        counts = ops.floor(floor_to(zeta, 2.0**15) * (1 - z) * per_gate + 0.5) + ops.floor(nu * per_gate)
        return ops.clip(counts, -(2.0**16), 2.0**16 - 1) * (1 / per_gate)

    def mix_by_shares(self, z, before, share, g, weights):
        """Of a FastGRNN: z * before + share * g, both rounded."""
        return self._saturated(self._product(z, before, weights) + self._product(share, g, weights), weights)

    def mix_by_gates(self, z, before, t, g, weights):
        """Of a RecurrentHighway that is not coupled: z * before + t * g, the sum rounded."""
        per_state = self._of(weights, "per_state")
        return self._saturated(ops.floor((z * before + t * g) * per_state + 0.5) * (1 / per_state), weights)

    def trace_step(self, y, trace, decay, weights):
        """Of an EventGRU: the rate as the op has it, 15 bits of `trace_rate`."""
        moved = (y - trace) * ((min(round((1 - decay) * 2**31), 2**31 - 1) >> 16) / 2**15)
        per_state = self._of(weights, "per_state")
        return trace + straight_through(moved, ops.floor(moved * per_state + 0.5) / per_state)

    def _operand(self, source, weights):
        low, high = self.operand_range
        return ops.clip(ops.floor(source * self._of(weights, "operand") + 0.5), low, high)

    def _product(self, gate, state, weights):
        per_state = self._of(weights, "per_state")
        return ops.floor(gate * state * per_state + 0.5) * (1 / per_state)

    def _saturated(self, state, weights):
        if self.is_usual:  # gates lie in (0, 1), candidates in (-1, 1)
            return state
        per_state = self._of(weights, "per_state")
        return ops.clip(state, -(2.0**15) / per_state, (2.0**15 - 1) / per_state)

    def _of(self, weights, name):
        return weights[self.weight_names.index(name)]


@dataclasses.dataclass(frozen=True)
class NoHold:
    """In place of a `HoldRecurrence`, for a layer that holds nothing."""

    trainable_threshold = False

    def hold(self, x, held, threshold, automatic=True):
        return x, x

    def hold_gradient(self, change, d_held, threshold):
        return d_held, ops.zeros_like(d_held), None


def in_integers(recurrence, activation, recurrent_activation, **arithmetic):
    """Returns a recurrence in integers.

    Args:
        recurrence: The `Recurrence` of a layer.
        activation, recurrent_activation: Names of its activations, as Keras spells them.
        **arithmetic: The attributes of `Integers`.
    """
    fields = {field.name: getattr(recurrence, field.name) for field in dataclasses.fields(recurrence)}
    names = {"activation": activation, "recurrent_activation": recurrent_activation}
    functions = {name: getattr(keras.activations, names[name]) for name in names if name in fields}
    return _kind_in_integers(type(recurrence))(**fields | functions, **arithmetic)


@functools.cache
def _kind_in_integers(kind):
    return dataclasses.dataclass(frozen=True, eq=False)(type(f"Integer{kind.__name__}", (Integers, kind), {}))
