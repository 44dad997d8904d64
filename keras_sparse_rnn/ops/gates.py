"""Gates, in integers and in floats.

Integers: gates and states in Q15, sigmoid and tanh from tables without interpolation. The accumulators of a gate become
an index into its table; those of a GRU's candidate, x and y, become Q(fraction) and Q(fraction + 1).
Shifts to the right round towards minus infinity, as in C. With activations of 16 bits the index has `fraction` - 7 more
bits, between whose entries the tables are interpolated.
"""

import numpy as np

from keras_sparse_rnn.formats import INT8X16

_STEPS = np.arange(-512, 512)
SIGMOID_TABLE = np.clip(np.rint(2**15 / (1 + np.exp(-_STEPS / 64))), -32767, 32767).astype(np.int64)
TANH_TABLE = np.clip(np.rint(2**15 * np.tanh(_STEPS / 128)), -32767, 32767).astype(np.int64)
ONE = 2**15


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


def interpolate(table, value, bits):
    """At an index with `bits` fractional bits."""
    value = np.clip(value, -512 << bits, 511 << bits)
    k = 512 + (value >> bits)
    slope = table[np.minimum(k + 1, 1023)] - table[k]
    return table[k] + ((slope * (value & ((1 << bits) - 1))) >> bits)


def gru_unit_int8(options, z, r, from_x, from_y, before):
    """z * before + (1 - z) * g, with g = tanh(x + r * y), x and y from the accumulators of slots 2 and 3."""
    from_x, from_y = pre_activation(options, 2, from_x), pre_activation(options, 3, from_y)
    g = tanh_int8(options, from_x + ((r * from_y) >> 16))
    return g + ((z * (before - g) + 2**14) >> 15)


def rescale(q15, multiplier, shift):
    return (q15 * multiplier + (1 << (shift - 1))) >> shift


def operand_int8(options, q15):
    """A state as the recurrence reads it."""
    return saturate(rescale(q15, options.operand_multiplier, options.operand_shift), options.operand_bits)


def output_int8(options, q15):
    """A state as the output tensor holds it."""
    stored = rescale(q15, options.output_multiplier, options.output_shift) + options.output_zero_point
    return saturate(stored, options.number_format.activation_bits).astype(options.number_format.activations)


def saturate(value, bits):
    return np.clip(value, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def sigmoid_float32(x):
    return np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * x))


def gru_unit_float32(z, r, from_x, from_y, before):
    """z * before + (1 - z) * g, with g = tanh(x + r * y)."""
    return z * before + (np.float32(1) - z) * np.tanh(from_x + r * from_y)
