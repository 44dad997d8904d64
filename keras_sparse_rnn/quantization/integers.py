"""The arithmetic of the integer ops (`ops/gates.py`), in floats that hold integers, or fractions with 15 bits.

Products beyond 24 bits are rounded. This rarely changes a result, and by one count at most.
"""

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from keras_sparse_rnn.layers.gru_recurrence import GRURecurrence
from keras_sparse_rnn.layers.recurrence import Recurrence, kernel_gradient

ONE = 2.0**15
LARGEST = 1 - 2.0**-15


def sigmoid(index):
    """Returns the entry of the sigmoid table at an index, clipped to the table; a fraction in (0, 1)."""
    return in_q15(ops.sigmoid(ops.clip(index, -512.0, 511.0) * 2.0**-6))


def tanh(index):
    """Returns the entry of the tanh table at an index, clipped to the table; a fraction in (-1, 1)."""
    return in_q15(ops.tanh(ops.clip(index, -512.0, 511.0) * 2.0**-7))


def in_q15(value):
    return ops.clip(ops.round(value * ONE) * (1 / ONE), -LARGEST, LARGEST)


def times(gate, value):
    """Returns the product of two fractions, rounded to 15 bits."""
    return ops.floor(gate * value * ONE + 0.5) * (1 / ONE)


def operand(state, factor, low, high):
    """Returns a state in counts, in [low, high], as the recurrence reads it."""
    return ops.clip(ops.floor(state * factor + 0.5), low, high)


def carrying(value, carrier):
    """Returns exactly `value`, with the gradient of `carrier`."""
    return ops.stop_gradient(value) + (carrier - ops.stop_gradient(carrier))


@dataclasses.dataclass(frozen=True)
class IntegerGRU(GRURecurrence):
    """KsrGru with the reset gate after the product.

    The inputs are the accumulators of z and r from x and the biases, and the candidate's part from x in Q(fraction).
    The gradients are with respect to pre-activations: those of the exact functions at the rounded values. The caller
    multiplies them by the real value of a count.

    Weights:
        recurrent_kernel: in counts
        bias: of the candidate's recurrent part, in counts
        slopes: real value of one count of each accumulator
        operand: counts per unit of the state
        z, r, y: factors from the accumulators to table indices (z, r) and to Q(fraction + 1) (y)
        index: factor from Q(fraction) to a table index
        unit: real value of one count in Q(fraction + 1)
        z_scales, r_scales, y_scales: with a scale per output, the factors from its scale to that of the gate
    """

    has_output_scales: bool = False
    activation: Callable = keras.activations.tanh

    reset_gate = True
    state_names = ("h",)
    tape_names = ("h", "read", "z", "r", "g", "q_h")
    trainable_threshold = False
    hand_written = True

    @property
    def weight_names(self):
        scales = ("z_scales", "r_scales", "y_scales") if self.has_output_scales else ()
        return ("recurrent_kernel", "bias", "slopes", "operand", "z", "r", "y", "index", "unit", *scales)

    def weights_backward(self, weights):
        kernel, _, slopes, factor, *_ = weights
        return (ops.transpose(kernel * slopes) * factor, *weights[1:])

    def step(self, inputs, states, weights, automatic=True):
        a_z, a_r, x = inputs
        (h,) = states
        kernel, bias, _, factor, to_z, to_r, to_y, index, unit, *scales = weights
        read = operand(h, factor, -128.0, 127.0)
        q_z, q_r, q_h = ops.split(read @ kernel, 3, axis=-1)
        accumulators = (a_z + q_z, a_r + q_r, q_h + bias)
        if scales:
            accumulators = (ops.floor(a * scale) for a, scale in zip(accumulators, scales, strict=True))
        z, r, y = accumulators
        z, r = sigmoid(ops.floor(z * to_z)), sigmoid(ops.floor(r * to_r))
        y = ops.floor(y * to_y)
        g = tanh(ops.floor((x + ops.floor(r * y * 0.5)) * index))
        h = ops.clip(g + times(z, h - g), -1.0, LARGEST)
        return {"h": h, "read": read, "z": z, "r": r, "g": g, "q_h": y * unit}

    def step_gradient(self, tape, d_states, d_values, weights):
        d_read, d_h, d_step = self.update_gradient(tape, tape["h"], d_states[0], weights)
        return (d_read + d_h,), d_step, None

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return (*self.update_gradients(tape["read"], d_steps), *(None for _ in self.weight_names[2:]))


@dataclasses.dataclass(frozen=True)
class IntegerLSTM(Recurrence):
    """KsrLstm.

    The inputs are the accumulators of i, f, g and o from x and the biases. The gradients are as in `IntegerGRU`.

    Weights:
        recurrent_kernel, slopes, operand: as in `IntegerGRU`
        i, f, g, o: factors from the accumulators to table indices
        cell: counts per unit of c
        i_scales, f_scales, g_scales, o_scales: with a scale per output, the factors from its scale to that of the gate
    """

    has_output_scales: bool = False

    hand_written = True
    trainable_threshold = False
    input_names = ("a_i", "a_f", "a_g", "a_o")
    state_names = ("h", "c")
    tape_names = ("h", "c", "read", "i", "f", "g", "o")
    step_gradients = 4

    @property
    def weight_names(self):
        scales = ("i_scales", "f_scales", "g_scales", "o_scales") if self.has_output_scales else ()
        return ("recurrent_kernel", "slopes", "operand", "i", "f", "g", "o", "cell", *scales)

    def weights_backward(self, weights):
        kernel, slopes, factor, *_ = weights
        return (ops.transpose(kernel * slopes) * factor, *weights[1:])

    def step(self, inputs, states, weights, automatic=True):
        h, c = states
        kernel, _, factor, to_i, to_f, to_g, to_o, cell, *scales = weights
        read = operand(h, factor, -128.0, 127.0)
        accumulators = [a + q for a, q in zip(inputs, ops.split(read @ kernel, 4, axis=-1), strict=True)]
        if scales:
            accumulators = [ops.floor(a * scale) for a, scale in zip(accumulators, scales, strict=True)]
        i, f, g, o = accumulators
        i, f, o = sigmoid(ops.floor(i * to_i)), sigmoid(ops.floor(f * to_f)), sigmoid(ops.floor(o * to_o))
        g = tanh(ops.floor(g * to_g))
        c = ops.clip(ops.floor((f * c + i * g) * cell + 0.5), -ONE, ONE - 1) / cell
        h = times(o, tanh(ops.floor(c * 128 + 0.5)))
        return {"h": h, "c": c, "read": read, "i": i, "f": f, "g": g, "o": o}

    def step_gradient(self, tape, d_states, d_values, weights):
        """d_c includes the gradient through h; c' f = c - i g."""
        d_h, d_c = d_states
        c, i, f, g, o = (tape[name] for name in ("c", "i", "f", "g", "o"))
        of_c = ops.tanh(c)
        d_c = d_c + d_h * o * (1 - of_c * of_c)
        d_i, d_f = d_c * g * i * (1 - i), d_c * (c - i * g) * (1 - f)
        d_g, d_o = d_c * i * (1 - g * g), d_h * of_c * o * (1 - o)
        d_step = (d_i, d_f, d_g, d_o)
        return (ops.concatenate(d_step, axis=-1) @ weights[0], d_c * f), d_step, None

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return (*d_steps, kernel_gradient(tape["read"], d_steps), *(None for _ in self.weight_names[1:]))


@dataclasses.dataclass(frozen=True)
class IntegerSimpleRNN(Recurrence):
    """KsrSimpleRnn; inputs and weights as in `IntegerLSTM`, for one gate."""

    has_output_scales: bool = False

    hand_written = True
    trainable_threshold = False
    input_names = ("a",)
    state_names = ("h",)
    tape_names = ("h", "read")
    step_gradients = 1

    @property
    def weight_names(self):
        return ("recurrent_kernel", "slopes", "operand", "h", *(("scales",) if self.has_output_scales else ()))

    def weights_backward(self, weights):
        kernel, slopes, factor, *_ = weights
        return (ops.transpose(kernel * slopes) * factor, *weights[1:])

    def step(self, inputs, states, weights, automatic=True):
        kernel, _, factor, to_index, *scales = weights
        read = operand(states[0], factor, -128.0, 127.0)
        accumulators = inputs[0] + read @ kernel
        for scale in scales:
            accumulators = ops.floor(accumulators * scale)
        return {"h": tanh(ops.floor(accumulators * to_index)), "read": read}

    def step_gradient(self, tape, d_states, d_values, weights):
        d_a = d_states[0] * (1 - tape["h"] * tape["h"])
        return (d_a @ weights[0],), (d_a,), None

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return (*d_steps, kernel_gradient(tape["read"], d_steps), *(None for _ in self.weight_names[1:]))
