"""Recurrent layers that compute with the integers of their ops during training."""

import contextlib
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.convert.quantize import Scale
from keras_sparse_rnn.convert.recurrent import KINDS
from keras_sparse_rnn.layers import ONLSTM, FastGRNN, RecurrentHighway
from keras_sparse_rnn.layers.delta_dense import DeltaDense
from keras_sparse_rnn.layers.delta_gru_recurrence import DeltaGRURecurrence, DeltaResetRecurrence
from keras_sparse_rnn.layers.delta_lstm import DeltaLSTMRecurrence
from keras_sparse_rnn.layers.delta_simple_rnn import DeltaSimpleRecurrence
from keras_sparse_rnn.layers.event_recurrence import EventRecurrence
from keras_sparse_rnn.layers.recurrence import GATES
from keras_sparse_rnn.layers.recurrent_layer import TimeMajorLayer, over_time
from keras_sparse_rnn.ops.lstm import Lstm
from keras_sparse_rnn.ops.schema import SLOTS
from keras_sparse_rnn.ops.simple_rnn import SimpleRnn
from keras_sparse_rnn.quantization.highway import HighwayRecurrence, without_layer
from keras_sparse_rnn.quantization.integers import NUMBERS, NoHold, in_integers
from keras_sparse_rnn.quantization.rounding import (
    Held,
    Recorder,
    carrying,
    rounded,
    straight_through,
    threshold_between,
)

_NO_HOLD: Any = NoHold()
_FIRST_LARGEST = {"c": 8.0}  # of states until they are recorded; of others, that of the output
_RECURRENCES = {  # of layers without one
    DeltaDense: lambda cell: DeltaSimpleRecurrence(cell.activation, _NO_HOLD),
    RecurrentHighway: lambda cell: HighwayRecurrence(
        cell.activation, cell.recurrent_activation, cell.depth, cell.coupled
    ),
    keras.layers.LSTM: lambda cell: DeltaLSTMRecurrence(cell.activation, cell.recurrent_activation, _NO_HOLD),
    keras.layers.SimpleRNN: lambda cell: DeltaSimpleRecurrence(cell.activation, _NO_HOLD),
    keras.layers.GRU: lambda cell: (DeltaGRURecurrence if cell.reset_after else DeltaResetRecurrence)(
        cell.activation, cell.recurrent_activation, _NO_HOLD
    ),
}


class IntegerLayer:
    """The `inner_loop` of a recurrent layer in integers, in place of its own.

    Args:
        converter: Its `LayerConverter`, which chooses the integers.
        grid: The `Grid` of what it reads.
        momentum: Momentum of the moving averages of ranges.
        options: A `ConvertOptions`.
    """

    def __init__(self, converter, grid, momentum, options):
        self._converter = getattr(converter, "reader", converter)
        self.layer = layer = self._converter.layer
        self._grid, self._options = grid, options
        self.recording = False
        self.states = {name: Recorder(f"{layer.name}/{name}", momentum) for name in self._converter.ranged}
        self.output = Recorder(layer.name, momentum)
        any_scale = Scale(1 / 64, 0)
        self._op = self._made(any_scale, any_scale)
        numbers = self._numbers(self._op, any_scale, any_scale)
        self._shapes = {name: np.shape(values) for name, values in numbers.items()}
        self._held = Held(sum(int(np.prod(shape)) for shape in self._shapes.values()), f"numbers_{layer.name}")

    @property
    def held(self):
        """The variables that the layer reads and writes."""
        return [self._held, self.output.held, *(state.held for state in self.states.values())]

    def refresh(self, x, output, ranges):
        """Computes the converter's numbers from the current weights.

        Args:
            x, output: `Scale` of the input and of the output.
            ranges: Function that returns the range of a name, or None if it is not known yet.
        """
        numbers = self._numbers(self._made(x, output, ranges), x, output)
        self._held.write(np.concatenate([np.ravel(values) for values in numbers.values()]))

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """See `keras.layers.RNN.inner_loop`."""
        return over_time(self.layer, self._loop, sequences, initial_state, mask, training)

    def _made(self, x, output, ranges=None):
        """Returns the integer op for these scales and ranges."""
        of, name = ranges or (lambda name: None), self.layer.name
        states = {}
        for state in self._converter.ranged:
            largest = _FIRST_LARGEST.get(state) or np.abs(of(name) or 1.0).max()
            states[state] = np.array(of(f"{name}/{state}") or (-largest, largest))
        seen = SimpleNamespace(states=states)
        return self._converter.integer_op(self._options.blocks[0], x, output, seen, self._options)

    def _numbers(self, op, x, output):
        """Returns the numbers of an integer op that the loop needs, a dict from names to arrays."""
        o, made = op.options, op.made_with
        factors = np.array([getattr(o, f"multiplier_{slot}") for slot in range(SLOTS)]) / 2**32
        steps = 2.0 ** -np.array([_bits(op, kind) for kind in op.slots])
        by_output = np.ones((SLOTS, 1)) if op.output_scales is None else op.output_scales / 2**16
        per_state = 2.0 ** (15 - o.state_bits)
        numbers = {
            "x_shift": 2.0**o.x_shift,
            "h_shift": 2.0**o.h_shift,
            "operand": o.operand_multiplier / 2.0**o.operand_shift * per_state,
            "per_state": per_state,
            "per_gate": 2.0 ** (15 - o.gate_bits),
            "per_unit": 2.0**o.fraction,
            "per_cell": 2.0 ** (15 - getattr(o, "cell_bits", 0)),
            "output": np.array([o.output_multiplier / 2.0**o.output_shift * per_state, o.output_zero_point]),
            "output_scale": output.scale,
            "factors": factors,
            "steps": steps,
            "worth": np.broadcast_to((factors * steps)[:, None] * by_output, (SLOTS, o.units)),
            "kernel": made.kernel.reshape(-1),
            "recurrent_kernel": made.recurrent_kernel.reshape(-1),
            "bias": made.bias,
            "half_step": made.half_step[:, None],
        }
        if op.output_scales is not None:
            numbers["scales"] = by_output
        states = op.states(x.scale)
        return numbers | {name: states[name].scale for name in ("held_h", "held_reset") if name in states}

    def _loop(self, sequences, states, mask, training):
        numbers, layer = self._unpacked(), self.layer
        recurrence = self._recurrence()
        cell = self._cell_in_integers(recurrence, numbers)
        if not isinstance(layer, TimeMajorLayer):
            held = [ops.zeros_like(states[0])] * (len(recurrence.state_names) - len(states))
            weights = cell["recurrent_weights"]()
            (outputs,), last = recurrence.sequence(
                cell["project"](sequences, training), (*states, *held), weights, mask, ("h",), by_hand=True
            )
            last_output, last = last[0], last[: len(states)]
        else:
            with _replaced(layer.cell, cell), self._input_threshold():
                outputs, last_output, last = type(layer).loop(layer, sequences, states, mask, training)
        given = last_output if outputs is None else outputs
        if self.recording:
            self.output.record(given if layer.return_sequences else last_output)
        factor, zero_point = ops.unstack(numbers["output"])
        on_grid = ops.clip(ops.floor(given * factor + 0.5) + zero_point, -128.0, 127.0) - zero_point
        given = carrying(on_grid * numbers["output_scale"], given)
        return (None, given, last) if outputs is None else (given, given[-1], last)

    def _recurrence(self):
        op, cell = self._op, self.layer.cell
        own = _RECURRENCES.get(type(self.layer), lambda cell: cell.recurrence)(cell)
        recorded = {name: _values_of(name, own) for name in self.states} if self.recording else {}
        is_event = isinstance(own, EventRecurrence)

        def record(values):
            for name, parts in recorded.items():
                if parts:
                    self.states[name].record(*(values[part] for part in parts))

        return in_integers(
            own,
            op.activation.name,
            op.recurrent_activation and op.recurrent_activation.name,
            is_usual=op.has_usual_gates,
            has_output_scales=op.output_scales is not None,
            holds_operand=isinstance(op, (Lstm, SimpleRnn)),
            operand_range=(0.0, 255.0) if is_event else (-128.0, 127.0),
            recorded=tuple(dict.fromkeys(part for parts in recorded.values() for part in parts)),
            record=record,
        )

    def _cell_in_integers(self, recurrence, numbers):
        """Returns what the cell has in integers, a dict from its attributes."""
        cell, op, worth = self.layer.cell, self._op, numbers["worth"]
        most = float(self._options.number_format.most_counts)
        biases = rounded((self._biases() + numbers["half_step"]) / numbers["bias"])
        bias = biases[0]
        is_dense = isinstance(self.layer, DeltaDense)
        in_advance = "reset" in op.slots  # x and y of such a candidate are rounded apart

        def project(inputs, training=False):
            counts = self._grid.counts(inputs)
            if not training:  # with dropout, inputs are not on the grid
                counts = straight_through(counts, ops.round(counts))
            elif getattr(cell, "dropout", 0):
                counts = counts * cell.get_dropout_mask(inputs[0])
            kernel = _in_counts(self._in_op_order(cell.kernel), numbers["kernel"], most)
            gates = ops.split((counts * numbers["x_shift"]) @ kernel, len(op.kernel_slots), axis=-1)
            return tuple(_sums(gate, slot) for gate, slot in zip(gates, op.kernel_slots, strict=True))

        def _sums(gate, slot):
            sums = gate + bias[slot]
            real = sums * worth[slot]
            if in_advance and slot == 2:
                scaled = ops.floor(sums * numbers["scales"][slot]) if "scales" in numbers else sums
                sums = ops.floor(scaled * numbers["factors"][slot]) * numbers["steps"][slot]
            return carrying(sums, real)

        def recurrent_weights():
            kernel = ops.zeros((self.layer.units, self.layer.units))
            if not is_dense:
                kernel = _in_counts(self._in_op_order(cell.recurrent_kernel), numbers["recurrent_kernel"], most)
                kernel = kernel * numbers["h_shift"]
            slopes = ops.concatenate([worth[slot] for slot in op.recurrent_slots]) * numbers["operand"]
            weights = {"recurrent_kernel": carrying(kernel, kernel * slopes), "slopes": slopes}
            weights["bias"] = self._bias_of_steps(biases, worth)
            if isinstance(self.layer, FastGRNN):
                weights["zeta"], weights["nu"] = cell.shares()
            weights |= {name: numbers[name] for name in NUMBERS}
            for name, part in (("factor", "factors"), ("step", "steps"), ("scales", "scales")):
                if part in numbers:
                    weights |= {f"{name}_{slot}": value for slot, value in enumerate(ops.unstack(numbers[part]))}
            if "threshold" in recurrence.weight_names:
                weights["threshold"] = self._thresholds(numbers)
            return tuple(weights[name] for name in recurrence.weight_names)

        def outputs(inputs):
            (sums,), weights = project(inputs), recurrent_weights()
            value = carrying(recurrence.pre_activation("h", sums, weights), sums)
            y = carrying(recurrence.activate({}, "h", value, weights), recurrence.function_of("h")(value))
            recurrence.record({"h": y})
            return y

        if is_dense:
            return {"project": outputs}
        return {"project": project, "recurrent_weights": recurrent_weights, "recurrence": recurrence}

    def _in_op_order(self, weights):
        """Returns weights `(..., gates * units)` of the cell with the gates of the op."""
        weights, order = ops.convert_to_tensor(weights), self._converter.gate_order
        if order is None:
            return weights
        gates = ops.split(weights, len(order), axis=-1)
        return ops.concatenate([gates[place] * sign for place, sign in order], axis=-1)

    def _biases(self):
        """Returns the biases of the accumulators, `(micro-layers, slots, units)`."""
        op, layer = self._op, self.layer
        slots = [[ops.zeros((layer.units,))] * SLOTS for _ in op.biases]
        if layer.use_bias:
            stored = ops.reshape(self._in_op_order(layer.cell.bias), (-1, len(op.kernel_slots), layer.units))
            rows = [(slots[0], op.kernel_slots), (slots[0], op.recurrent_slots)]
            if isinstance(layer, FastGRNN):
                stored = ops.stack([stored[0], stored[1] - stored[0]])
                rows = [(slots[0], (0,)), (slots[0], (2,))]
            elif isinstance(layer, RecurrentHighway):
                rows = [(of_layer, op.kernel_slots) for of_layer in slots]
            for row, (of_row, places) in enumerate(rows[: stored.shape[0]]):
                for gate, slot in enumerate(places):
                    of_row[slot] = of_row[slot] + stored[row, gate]
        return ops.stack([ops.stack(of_layer) for of_layer in slots])

    def _bias_of_steps(self, biases, worth):
        """Returns the biases that are no part of the projected inputs, as the recurrence has them."""
        op = self._op
        if isinstance(self.layer, RecurrentHighway):
            of_layers = [
                [carrying(of_layer[slot], of_layer[slot] * worth[slot]) for slot in op.recurrent_slots]
                for of_layer in ops.unstack(biases)
            ]
            of_layers[0] = [ops.zeros_like(part) for part in of_layers[0]]
            return ops.stack([ops.concatenate(parts) for parts in of_layers])
        slot = 3 if "reset" in op.slots else 2 if isinstance(self.layer, FastGRNN) else None
        if slot is None:
            return ops.zeros_like(biases[0, 0])
        return carrying(biases[0, slot], biases[0, slot] * worth[slot])

    def _thresholds(self, numbers):
        cell = self.layer.cell
        if isinstance(getattr(cell, "recurrence", None), EventRecurrence):
            threshold, per_state = ops.convert_to_tensor(cell.threshold), numbers["per_state"]
            return ops.clip(rounded(threshold * per_state), 0.0, 2.0**15 - 1) / per_state
        if type(self.layer) in _RECURRENCES:
            return ops.zeros((2 * self.layer.units,))
        most = 255.0 if isinstance(self._op, (Lstm, SimpleRnn)) else 2.0**16 - 1
        names = [name for name in ("held_h", "held_reset") if name in numbers]
        return ops.concatenate(
            [
                threshold_between(hold.threshold_tensor(), numbers[name], most)
                for hold, name in zip(cell.holds_of_states, names, strict=True)
            ]
        )

    def _input_threshold(self):
        hold = getattr(self.layer.cell, "input_hold", None)
        return contextlib.nullcontext() if hold is None else threshold_in_integers(hold, self._grid)

    def _unpacked(self):
        values, numbers, place = self._held.value, {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            numbers[name] = ops.reshape(values[place : place + size], shape)
            place += size
        return numbers


def threshold_in_integers(cell, grid):
    """Context manager in which a `DeltaHoldCell` compares changes of values on a grid."""
    own = cell.threshold_tensor
    return _replaced(cell, {"threshold_tensor": lambda: grid.threshold(own())})


@contextlib.contextmanager
def _replaced(layer, attributes):
    """Context manager in which a layer has other attributes; in its dict, because Keras would track them."""
    before = {name: vars(layer)[name] for name in attributes if name in vars(layer)}
    vars(layer).update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del vars(layer)[name]
        vars(layer).update(before)


def check_integer_layer(recurrent):
    """Raises ValueError if training for integers does not support a `LayerConverter`'s layer."""
    layer, known = recurrent.layer, [kind.LAYER for kind in KINDS if kind.LAYER is not ONLSTM]
    if type(layer) not in known:
        names = ", ".join(kind.__name__ for kind in known)
        raise ValueError(
            f"layer '{layer.name}' ({type(layer).__name__}) cannot be trained for integers; can be: {names}."
        )
    if getattr(layer, "rank", None) is not None:
        raise ValueError(
            f"layer '{layer.name}' has rank={layer.rank!r}; training for integers knows kernels of full rank alone."
        )
    if getattr(layer, "recurrent_dropout", 0):
        raise ValueError(
            f"layer '{layer.name}' has recurrent_dropout={layer.recurrent_dropout!r}; training for integers knows 0.0 "
            "alone."
        )
    if layer.compute_dtype != "float32":
        raise ValueError(
            f"layer '{layer.name}' computes in {layer.compute_dtype}, which cannot represent integer counts: train for "
            "integers in float32."
        )


def _values_of(name, recurrence):
    """Returns the names of the values of a step whose range the converter needs under a name."""
    if name == "candidates" and isinstance(recurrence, EventRecurrence):
        return ("g", "y", "c")
    of_steps = {"gates": GATES, "candidates": ("g", "active", "between"), "between": ("between",)}
    kinds = of_steps.get(name, ())
    parts = tuple(part for part in recurrence.tape_names if without_layer(part) in kinds)
    if name == "candidates":
        return (*parts, "h")
    return parts if name in of_steps else (name,)  # a state


def _bits(op, kind):
    """Returns the fractional bits of a slot's pre-activation (`convert/quantize.py`)."""
    o = op.options
    if kind == "reset":
        return o.fraction + 1 + o.gate_bits
    if kind is None:
        return 0
    if not op.has_usual_gates:
        return o.fraction
    return 6 if kind == "gate" else o.fraction if "reset" in op.slots else 7


def _in_counts(kernel, scales, most):
    counts = ops.convert_to_tensor(kernel) / scales
    # The next update of the scales follows weights that have grown, so these keep their gradient.
    return straight_through(counts, ops.clip(ops.round(counts), -most, most))
