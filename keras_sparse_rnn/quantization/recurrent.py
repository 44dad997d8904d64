"""Recurrent layers that compute with the integers of their ops during training."""

from abc import ABC, abstractmethod
from types import SimpleNamespace
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.convert.quantize import Scale
from keras_sparse_rnn.convert.recurrent.gru import GRUConverter
from keras_sparse_rnn.convert.recurrent.lstm import LSTMConverter
from keras_sparse_rnn.convert.recurrent.simple_rnn import SimpleRNNConverter
from keras_sparse_rnn.layers.recurrent_layer import over_time
from keras_sparse_rnn.quantization.integers import IntegerGRU, IntegerLSTM, IntegerSimpleRNN, carrying
from keras_sparse_rnn.quantization.rounding import Held, Recorder, rounded


class IntegerLayer(ABC):
    """The `inner_loop` of a recurrent layer in integers, in place of Keras's.

    Class attributes:
        CONVERTER: The `LayerConverter` that chooses the integers.
        LARGEST: Maps each state whose range the converter needs to its assumed largest value until one is recorded.
    """

    CONVERTER: ClassVar[type]
    LARGEST: ClassVar[dict] = {"h": 1.0}

    def __init__(self, layer, grid, momentum, options):
        self.layer, self._grid, self._options = layer, grid, options
        self.recording = False
        self._converter = self.CONVERTER(layer)
        self.states = {name: Recorder(f"{layer.name}/{name}", momentum) for name in self.LARGEST}
        self.output = Recorder(layer.name, momentum)
        any_scale = Scale(1 / 64, 0)
        numbers = self._numbers(self._made(any_scale, any_scale), any_scale)
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
        numbers = self._numbers(self._made(x, output, ranges), output)
        self._held.write(np.concatenate([np.ravel(values) for values in numbers.values()]))

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """See `keras.layers.RNN.inner_loop`."""
        return over_time(self.layer, self._loop, sequences, initial_state, mask, training)

    def _made(self, x, output, ranges=None):
        """Returns the integer op for these scales and ranges."""
        states = {}
        for name, largest in self.LARGEST.items():
            low, high = (ranges and ranges(f"{self.layer.name}/{name}")) or (-largest, largest)
            states[name] = np.array([low, high])
        seen = SimpleNamespace(states=states, x=None, mask=None)
        return self._converter.integer_op(self._options.blocks[0], x, output, seen, self._options)

    def _numbers(self, op, output):
        """Returns the numbers of an integer op that the loop needs, a dict from names to arrays."""
        o, made = op.options, op.made_with
        factors = np.array([getattr(o, f"multiplier_{slot}") for slot in range(4)]) / 2**32
        bits = np.array([_index_bits(kind, o.fraction, "reset" in op.slots) for kind in op.slots])
        numbers = {
            "x_shift": 2.0**o.x_shift,
            "h_shift": 2.0**o.h_shift,
            "operand": o.operand_multiplier / 2.0**o.operand_shift * 2**15,
            "output": np.array([o.output_multiplier / 2.0**o.output_shift * 2**15, o.output_zero_point]),
            "output_scale": output.scale,
            "factors": factors,
            "worth": (factors / 2.0**bits)[:, None] * (1 if op.output_scales is None else op.output_scales / 2**16),
            "fraction": float(o.fraction),
            "kernel": made.kernel.reshape(-1),
            "recurrent_kernel": made.recurrent_kernel.reshape(-1),
            "bias": made.bias,
            "half_step": made.half_step[:, None],
        }
        if op.output_scales is not None:
            numbers["scales"] = op.output_scales / 2**16
        numbers["worth"] = np.broadcast_to(numbers["worth"], (4, o.units))
        return numbers

    def _loop(self, sequences, states, mask, training):
        numbers, most = self._unpacked(), float(self._options.number_format.most_counts)
        cell = self.layer.cell
        counts = self._grid.counts(sequences)
        if not training:  # with dropout, inputs are not on the grid
            counts = ops.round(counts)
        if training and cell.dropout:
            counts = counts * cell.get_dropout_mask(sequences[0])
        kernel = _in_counts(cell.kernel, numbers["kernel"], most)
        bias = rounded((self._bias() + numbers["half_step"]) / numbers["bias"])
        gates = ops.split((counts * numbers["x_shift"]) @ kernel, kernel.shape[-1] // self.layer.units, axis=-1)
        inputs = [gate + bias[slot] for slot, gate in enumerate(gates)]
        recurrent_kernel = _in_counts(cell.recurrent_kernel, numbers["recurrent_kernel"], most) * numbers["h_shift"]
        states = [*states]
        output, last = self._steps(inputs, recurrent_kernel, bias, numbers, states, mask)
        if self.recording:
            self.output.record(output if self.layer.return_sequences else output[-1])
        factor, zero_point = ops.unstack(numbers["output"])
        on_grid = ops.clip(ops.floor(output * factor + 0.5) + zero_point, -128.0, 127.0) - zero_point
        output = carrying(on_grid * numbers["output_scale"], output)
        return output, output[-1], last

    def _unpacked(self):
        values, numbers, place = self._held.value, {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            numbers[name] = ops.reshape(values[place : place + size], shape)
            place += size
        return numbers

    def _record(self, state, values):
        if self.recording:
            self.states[state].record(values)

    @abstractmethod
    def _bias(self):
        """Returns the biases of the accumulators of the four slots, `(4, units)`."""

    @abstractmethod
    def _steps(self, inputs, recurrent_kernel, bias, numbers, states, mask):
        """Computes all steps from the accumulators of each gate.

        Returns:
            Real outputs `(steps, batch, units)`, and the last states.
        """

    def _all_steps(self, recurrence, inputs, recurrent_kernel, numbers, weights, states, mask, names):
        """Computes all steps of a recurrence that first adds the accumulators of x and h."""
        worth, scales = numbers["worth"], numbers.get("scales")
        inputs = [carrying(gate, gate * worth[slot]) for slot, gate in enumerate(inputs)]
        slopes = ops.reshape(worth[: len(inputs)], (-1,))
        weights = [carrying(recurrent_kernel, recurrent_kernel * slopes), slopes, *weights]
        if scales is not None:
            weights += ops.unstack(scales[: len(inputs)])
        steps = recurrence(scales is not None)
        return steps.sequence(tuple(inputs), states, tuple(weights), mask, names, by_hand=True)


class IntegerGRULayer(IntegerLayer):
    CONVERTER = GRUConverter

    def _bias(self):
        cell, units = self.layer.cell, self.layer.units
        if not self.layer.use_bias:
            return ops.zeros((4, units))
        from_x, from_h = ops.unstack(ops.reshape(cell.bias, (2, 3, units)))
        both = from_x[:2] + from_h[:2]
        return ops.concatenate([both, from_x[2:], from_h[2:]], axis=0)

    def _steps(self, inputs, recurrent_kernel, bias, numbers, states, mask):
        factors, worth, scales = ops.unstack(numbers["factors"]), numbers["worth"], numbers.get("scales")
        a_z, a_r, a_h = inputs
        x = ops.floor((a_h if scales is None else ops.floor(a_h * scales[2])) * factors[2])
        inputs = (carrying(a_z, a_z * worth[0]), carrying(a_r, a_r * worth[1]), carrying(x, a_h * worth[2]))
        slopes = ops.concatenate([worth[0], worth[1], worth[3]])
        one = ops.power(2.0, numbers["fraction"])
        weights = [
            carrying(recurrent_kernel, recurrent_kernel * slopes),
            carrying(bias[3], bias[3] * worth[3]),
            *(slopes, numbers["operand"], factors[0], factors[1], factors[3], 128 / one, 0.5 / one),
        ]
        if scales is not None:
            weights += [scales[0], scales[1], scales[3]]
        (h,), last = IntegerGRU(scales is not None).sequence(inputs, states, tuple(weights), mask, ("h",), by_hand=True)
        self._record("h", h)
        return h, last


class IntegerLSTMLayer(IntegerLayer):
    CONVERTER = LSTMConverter
    LARGEST: ClassVar[dict] = {"h": 1.0, "c": 8.0}

    def _numbers(self, op, output):
        return super()._numbers(op, output) | {"cell": 2.0 ** (15 - op.options.cell_bits)}

    def _bias(self):
        units = self.layer.units
        return ops.reshape(self.layer.cell.bias, (4, units)) if self.layer.use_bias else ops.zeros((4, units))

    def _steps(self, inputs, recurrent_kernel, bias, numbers, states, mask):
        weights = [numbers["operand"], *ops.unstack(numbers["factors"]), numbers["cell"]]
        (h, c), last = self._all_steps(
            IntegerLSTM, inputs, recurrent_kernel, numbers, weights, states, mask, ("h", "c")
        )
        self._record("h", h)
        self._record("c", c)
        return h, last


class IntegerSimpleRNNLayer(IntegerLayer):
    CONVERTER = SimpleRNNConverter

    def _bias(self):
        units = self.layer.units
        bias = self.layer.cell.bias if self.layer.use_bias else ops.zeros(units)
        return ops.pad(ops.reshape(bias, (1, units)), ((0, 3), (0, 0)))

    def _steps(self, inputs, recurrent_kernel, bias, numbers, states, mask):
        weights = [numbers["operand"], numbers["factors"][0]]
        (h,), last = self._all_steps(IntegerSimpleRNN, inputs, recurrent_kernel, numbers, weights, states, mask, ("h",))
        self._record("h", h)
        return h, last


INTEGER_LAYERS = {
    keras.layers.GRU: IntegerGRULayer,
    keras.layers.LSTM: IntegerLSTMLayer,
    keras.layers.SimpleRNN: IntegerSimpleRNNLayer,
}


def check_integer_layer(recurrent):
    """Raises ValueError if training for integers does not support a `LayerConverter`'s layer."""
    layer = recurrent.layer
    kind = INTEGER_LAYERS.get(type(layer))
    if kind is None or type(recurrent) is not kind.CONVERTER:
        known = ", ".join(kind.__name__ for kind in INTEGER_LAYERS)
        what = f"{type(layer).__name__} behind a DeltaHold" if kind else type(layer).__name__
        raise ValueError(f"layer '{layer.name}' ({what}) cannot be trained for integers; can be: {known}.")
    allowed = {"activation": "tanh", "recurrent_activation": "sigmoid", "recurrent_dropout": 0.0, "reset_after": True}
    config = layer.get_config()
    for argument, value in allowed.items():
        if config.get(argument, value) != value:
            raise ValueError(
                f"layer '{layer.name}' has {argument}={config[argument]!r}; training for integers knows {value!r} "
                "alone."
            )
    if layer.compute_dtype != "float32":
        raise ValueError(
            f"layer '{layer.name}' computes in {layer.compute_dtype}, which cannot represent integer counts: train for "
            "integers in float32."
        )


def _index_bits(kind, fraction, has_reset):
    """Returns the fractional bits of a slot's accumulators after its multiplier (`convert/quantize.py`)."""
    return {"gate": 6, "candidate": fraction if has_reset else 7, "reset": fraction + 1}.get(kind, 0)


def _in_counts(kernel, scales, most):
    return rounded(ops.clip(ops.convert_to_tensor(kernel) / scales, -most, most))
