"""Gates and states in integers.

With tanh and sigmoid, gates and states are in Q15, from tables without interpolation. The accumulators of a gate become
an index into its table; those of a GRU's candidate, x and y, become Q(fraction) and Q(fraction + 1). With activations
of 16 bits the index has `fraction` - 7 additional bits, which interpolate between the entries. With other functions all
pre-activations are in Q(fraction), and y is in Q(fraction + 1 + gate_bits): see `activations.py`.
Shifts to the right round towards minus infinity, as in C.
"""

import numpy as np

from keras_sparse_rnn.formats import INT8X16
from keras_sparse_rnn.ops.activations import SIGMOID_TABLE, TANH_TABLE, interpolate


def pre_activation(options, slot, accumulator):
    return (accumulator * getattr(options, f"multiplier_{slot}")) >> 32


def sigmoid_int8(options, slot, accumulator):
    value = pre_activation(options, slot, accumulator)
    if options.number_format is INT8X16:
        return interpolate(SIGMOID_TABLE, value, options.fraction - 7)
    return look_up(SIGMOID_TABLE, value)


def tanh_gate_int8(options, slot, accumulator):
    value = pre_activation(options, slot, accumulator)
    return tanh_int8(options, value) if options.number_format is INT8X16 else look_up(TANH_TABLE, value)


def tanh_int8(options, value):
    """tanh of a pre-activation in Q(fraction)."""
    if options.number_format is INT8X16:
        return interpolate(TANH_TABLE, value, options.fraction - 7)
    return look_up(TANH_TABLE, value >> (options.fraction - 7))


def look_up(table, k):
    return table[512 + np.clip(k, -512, 511)]


def gru_unit_float32(op, z, r, from_x, from_y, before):
    """Computes z * before + (1 - z) * g, with g = tanh(x + r * y), or another activation."""
    return z * before + (np.float32(1) - z) * op.activation.float32(from_x + r * from_y)


def gru_unit_int8(op, z, r, from_x, from_y, before):
    """Computes the same with x and y from the accumulators of slots 2 and 3."""
    o = op.options
    from_x, from_y = pre_activation(o, 2, from_x), pre_activation(o, 3, from_y)
    g = op.candidate(from_x + ((r * from_y) >> 16))
    shift = 15 - o.gate_bits
    return saturate(g + ((z * (before - g) + (1 << (shift - 1))) >> shift), 16)


def rescale(q15, multiplier, shift):
    return (q15 * multiplier + (1 << (shift - 1))) >> shift


def operand_int8(options, q15):
    """Converts a state to the integers that the recurrence reads."""
    return saturate(rescale(q15, options.operand_multiplier, options.operand_shift), options.operand_bits)


def output_int8(options, q15):
    """Converts a state to the integers of the output tensor."""
    stored = rescale(q15, options.output_multiplier, options.output_shift) + options.output_zero_point
    return saturate(stored, options.number_format.activation_bits).astype(options.number_format.activations)


def saturate(value, bits):
    return np.clip(value, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
