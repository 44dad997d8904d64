"""The activation functions of recurrent ops, each declared once: its name in Keras and in the options, the function in
float32, and its computation in integers.

In integers, a function maps a pre-activation in Q(7 + more), with `more` from 0 to 8, to Q(15 - bits), saturated to 16
bits, for states within 2^bits. Linear functions shift and clip. Bounded smooth functions interpolate in a table.
Unbounded ones are the sum of a linear part and a bounded rest. Shifts to the right round towards minus infinity, as in
C.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ONE = 2**15
LARGEST = 2**15 - 1
MOST_BITS = 14  # integer bits of a state, without the sign

_STEPS = np.arange(-512, 512)
SIGMOID_TABLE = np.clip(np.rint(ONE / (1 + np.exp(-_STEPS / 64))), -LARGEST, LARGEST).astype(np.int64)
TANH_TABLE = np.clip(np.rint(ONE * np.tanh(_STEPS / 128)), -LARGEST, LARGEST).astype(np.int64)

# One table for both functions, for builds with little flash, of magnitudes from 0 to 512: the sigmoid's distance from
# 1/2 is an entry >> 2, tanh's distance from 0 is (entry - 1) >> 1.
_FROM_HALF, _FROM_ZERO = ONE // 2 - SIGMOID_TABLE[512::-1], -TANH_TABLE[512::-1]
HALF_TABLE = 2 * _FROM_ZERO + 1 + (_FROM_HALF > _FROM_ZERO >> 1)

# Entry k is for u = k / 128, up to 8, with the last one twice: 1 - exp(-u), and u * Phi(-u).
_FALLS = np.append(np.arange(1025), 1024) / 128
RISE_TABLE = np.rint(-np.expm1(-_FALLS) * ONE).astype(np.int64)
GELU_TABLE = np.rint([ONE * u * math.erfc(u / math.sqrt(2)) / 2 for u in _FALLS]).astype(np.int64)

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_SLOPE = 13107  # 0.2, Q16
_SIXTH = 10922  # 1 / 6, Q16, rounded down so that the product fits int32
_SELU_MORE, _SELU_FALL = 3323, 28805  # scale - 1, Q16; scale * alpha, Q14
_LN_2 = 726817  # Q20


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Attributes:
        name: Its name in `keras.activations`.
        formula: The formula, for documentation.
        limit: The largest magnitude of its values; infinity if there is none.
        is_gate: Whether its values lie in [0, 1].
        group: The file of the C core with its integer code; `KSR_WITH_GROUP` builds it.
        float32: The function of a float32 array.
        integer: The function `(value, more, bits) -> result` of int64 arrays.
    """

    name: str
    formula: str
    limit: float
    is_gate: bool
    group: str
    float32: Callable
    integer: Callable


def interpolate(table, value, bits):
    """Interpolates in a table of steps from -512 to 511, at an index with `bits` fractional bits."""
    value = np.clip(value, -512 << bits, 511 << bits)
    k = 512 + (value >> bits)
    slope = table[np.minimum(k + 1, 1023)] - table[k]
    return table[k] + ((slope * (value & ((1 << bits) - 1))) >> bits)


def sigmoid_float32(x):
    return np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * x))


def _shifted(value, more, bits):
    """Converts from Q(7 + more) to Q(15 - bits)."""
    left = 8 - bits - more
    return value << left if left >= 0 else (value + (1 << (-left - 1))) >> -left


def _linear(value, more, bits):
    return np.clip(_shifted(value, more, bits), -LARGEST, LARGEST)


def _relu(value, more, bits):
    return _linear(np.maximum(value, 0), more, bits)


def _relu6(value, more, bits):
    return _linear(np.clip(value, 0, 6 << (7 + more)), more, bits)


def _leaky_relu(value, more, bits):
    return _linear(np.where(value < 0, (value * _SLOPE) >> 16, value), more, bits)


def _hard_tanh(value, more, bits):
    one = 1 << (7 + more)
    return _linear(np.clip(value, -one, one), more, bits)


def _hard_sigmoid(value, more, bits):
    one = 1 << (7 + more)
    value = np.clip(value + 3 * one, 0, 6 * one)
    return _of_q15((value * _SIXTH + one) >> (8 + more), bits)


def _softsign(value, more, bits):
    divisor = (1 << (7 + more)) + np.abs(value)
    return _of_q15(np.sign(value) * (ONE - ((1 << (22 + more)) + (divisor >> 1)) // divisor), bits)


def _sigmoid(value, more, bits):
    return _of_q15(interpolate(SIGMOID_TABLE, value, more + 1), bits)


def _tanh(value, more, bits):
    return _of_q15(interpolate(TANH_TABLE, value, more), bits)


def _silu(value, more, bits):
    """max(x, 0) - u sigmoid(-u), with u = |x|."""
    fall = np.minimum(np.abs(value), 8 << (7 + more))
    product = fall * interpolate(SIGMOID_TABLE, -fall, more + 1)
    return _less(np.maximum(value, 0), (product + (64 << more)) >> (7 + more), more, bits)


def _gelu(value, more, bits):
    """max(x, 0) - u Phi(-u), with u = |x|."""
    return _less(np.maximum(value, 0), _fall(GELU_TABLE, np.abs(value), more), more, bits)


def _elu(value, more, bits):
    """max(x, 0) - (1 - exp(-u)), with u = max(-x, 0)."""
    return _less(np.maximum(value, 0), _fall(RISE_TABLE, np.maximum(-value, 0), more), more, bits)


def _selu(value, more, bits):
    fall = (_fall(RISE_TABLE, np.maximum(-value, 0), more) * _SELU_FALL) >> 14
    return _less(np.maximum(value + ((value * _SELU_MORE) >> 16), 0), fall, more, bits)


def _exponential(value, more, bits):
    """2^bits exp(x - bits ln 2)."""
    fall = np.maximum(((bits * _LN_2) >> (13 - more)) - value, 0)
    return np.minimum(ONE - _fall(RISE_TABLE, fall, more), LARGEST)


def exponential_fall(value, more):
    """exp(-x), Q15, of x in Q(7 + more), at least 0; 0 from 8 on."""
    return np.where(value < 1024 << more, ONE - _fall(RISE_TABLE, value, more), 0)


def _fall(table, value, more):
    """Interpolates in a table of steps from 0 to 1024."""
    value = np.minimum(value, 1024 << more)
    k = value >> more
    return table[k] + (((table[k + 1] - table[k]) * (value & ((1 << more) - 1))) >> more)


def _less(value, q15, more, bits):
    """Subtracts a rest in Q15 from a value."""
    return np.clip(_shifted(value, more, bits) - ((q15 + (1 << bits >> 1)) >> bits), -LARGEST, LARGEST)


def _of_q15(q15, bits):
    return np.clip((q15 + (1 << bits >> 1)) >> bits, -LARGEST, LARGEST)


def _gelu_float32(x):
    erf = np.array([math.erf(value / math.sqrt(2)) for value in x.reshape(-1)]).reshape(x.shape)
    return (x * (0.5 * (1 + erf))).astype(np.float32)


def _elu_float32(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


_INF = math.inf
ALL_ACTIVATIONS = (  # by their numbers in the options
    Activation("linear", "x", _INF, False, "piecewise", lambda x: x, _linear),
    Activation("relu", "max(x, 0)", _INF, False, "piecewise", lambda x: np.maximum(x, np.float32(0)), _relu),
    Activation(
        "relu6", "min(max(x, 0), 6)", 6, False, "piecewise", lambda x: np.clip(x, 0, 6).astype(np.float32), _relu6
    ),
    Activation("tanh", "tanh(x)", 1, False, "tanh", np.tanh, _tanh),
    Activation("sigmoid", "1 / (1 + exp(-x))", 1, True, "sigmoid", sigmoid_float32, _sigmoid),
    Activation(
        *("leaky_relu", "x, or 0.2 x if x < 0", _INF, False, "piecewise"),
        *(lambda x: np.where(x < 0, np.float32(0.2) * x, x), _leaky_relu),
    ),
    Activation(
        *("hard_sigmoid", "min(max(x / 6 + 0.5, 0), 1)", 1, True, "piecewise"),
        *(lambda x: np.clip(x + 3, 0, 6).astype(np.float32) * np.float32(1 / 6), _hard_sigmoid),
    ),
    Activation(
        *("hard_tanh", "min(max(x, -1), 1)", 1, False, "piecewise"),
        *(lambda x: np.clip(x, -1, 1).astype(np.float32), _hard_tanh),
    ),
    Activation("softsign", "x / (1 + abs(x))", 1, False, "softsign", lambda x: x / (1 + np.abs(x)), _softsign),
    Activation("elu", "x, or exp(x) - 1 if x < 0", _INF, False, "exponential", _elu_float32, _elu),
    Activation(
        *("selu", "1.0507 x, or 1.7581 (exp(x) - 1) if x < 0", _INF, False, "exponential"),
        lambda x: np.float32(SELU_SCALE) * np.where(x > 0, x, np.float32(SELU_ALPHA) * np.expm1(np.minimum(x, 0))),
        _selu,
    ),
    Activation("silu", "x sigmoid(x)", _INF, False, "sigmoid", lambda x: x * sigmoid_float32(x), _silu),
    Activation("gelu", "x Phi(x)", _INF, False, "gelu", _gelu_float32, _gelu),
    Activation("exponential", "exp(x)", _INF, False, "exponential", np.exp, _exponential),
)
BY_NAME = {activation.name: activation for activation in ALL_ACTIVATIONS}
NUMBERS = {activation.name: number for number, activation in enumerate(ALL_ACTIVATIONS)}
TANH, SIGMOID = NUMBERS["tanh"], NUMBERS["sigmoid"]
GROUPS = tuple(dict.fromkeys(activation.group for activation in ALL_ACTIVATIONS))
