"""The activations of `ops/activations.py` in floats: a function takes and gives real values on the grids of integers.

    function(value, per_unit, per_step) -> result

`value` is a multiple of 1 / per_unit, and the result one of 1 / per_step. Table entries are computed, which is faster
than looking them up.
"""

import math

import keras
from keras import ops

from keras_sparse_rnn.ops.activations import ONE

LARGEST = 2.0**15 - 1


def floor_to(value, per_unit):
    """Rounds down to a multiple of 1 / per_unit."""
    return ops.floor(value * per_unit) * (1 / per_unit)


def usual_sigmoid(value):
    """Returns the entry of the sigmoid table for a multiple of 1 / 64, without interpolation."""
    return ops.round(ops.sigmoid(ops.clip(value, -8.0, 511 / 64)) * ONE) * (1 / ONE)


def usual_tanh(value):
    """Returns the entry of the tanh table for a multiple of 1 / 128, without interpolation."""
    return ops.round(ops.tanh(ops.clip(value, -4.0, 511 / 128)) * ONE) * (1 / ONE)


def _linear(value, per_unit, per_step):
    return ops.clip(_counts(value, per_step), -LARGEST, LARGEST) / per_step


def _relu(value, per_unit, per_step):
    return _linear(ops.maximum(value, 0.0), per_unit, per_step)


def _relu6(value, per_unit, per_step):
    return _linear(ops.clip(value, 0.0, 6.0), per_unit, per_step)


def _leaky_relu(value, per_unit, per_step):
    return _linear(ops.where(value < 0, floor_to(value * (13107 / 2**16), per_unit), value), per_unit, per_step)


def _hard_tanh(value, per_unit, per_step):
    return _linear(ops.clip(value, -1.0, 1.0), per_unit, per_step)


def _hard_sigmoid(value, per_unit, per_step):
    return _of_q15(ops.floor(ops.clip(value + 3, 0.0, 6.0) * 5461 + 0.5), per_step)


def _softsign(value, per_unit, per_step):
    return _of_q15(ops.sign(value) * (ONE - ops.floor(ONE / (1 + ops.abs(value)) + 0.5)), per_step)


def _sigmoid(value, per_unit, per_step):
    return _of_q15(_sigmoid_q15(value), per_step)


def _tanh(value, per_unit, per_step):
    index = ops.clip(value * 128, -512.0, 511.0)
    return _of_q15(_between(lambda k: ops.tanh(ops.minimum(k, 511.0) / 128), index), per_step)


def _silu(value, per_unit, per_step):
    fall = ops.minimum(ops.abs(value), 8.0)
    return _less(ops.maximum(value, 0.0), ops.floor(fall * _sigmoid_q15(-fall) + 0.5), per_step)


def _gelu(value, per_unit, per_step):
    return _less(ops.maximum(value, 0.0), _fall(_gelu_entry, ops.abs(value)), per_step)


def _elu(value, per_unit, per_step):
    return _less(ops.maximum(value, 0.0), _fall(_rise_entry, ops.maximum(-value, 0.0)), per_step)


def _selu(value, per_unit, per_step):
    fall = ops.floor(_fall(_rise_entry, ops.maximum(-value, 0.0)) * (28805 / 2**14))
    return _less(ops.maximum(value + floor_to(value * (3323 / 2**16), per_unit), 0.0), fall, per_step)


def _exponential(value, per_unit, per_step):
    log_of_range = ops.log(ONE / per_step)
    fall = ops.maximum(floor_to(log_of_range, per_unit) - value, 0.0)
    return ops.minimum(ONE - _fall(_rise_entry, fall), LARGEST) / per_step


def _sigmoid_q15(value):
    index = ops.clip(value * 64, -512.0, 511.0)
    return _between(lambda k: ops.sigmoid(ops.minimum(k, 511.0) / 64), index)


def _rise_entry(u):
    return 1 - ops.exp(-u)


def _gelu_entry(u):
    return u * (1 - ops.erf(u / math.sqrt(2))) / 2


def _fall(function, value):
    return _between(lambda k: function(k / 128), ops.minimum(value * 128, 1024.0))


def _between(function, index):
    """Interpolates between the entries of a table, in Q15."""
    k = ops.floor(index)
    first, second = (ops.clip(ops.round(function(at) * ONE), -LARGEST, LARGEST) for at in (k, k + 1))
    return first + ops.floor((second - first) * (index - k))


def _counts(value, per_step):
    return ops.floor(value * per_step + 0.5)


def _less(value, q15, per_step):
    counts = _counts(value, per_step) - _counts(q15 / ONE, per_step)
    return ops.clip(counts, -LARGEST, LARGEST) / per_step


def _of_q15(q15, per_step):
    return ops.clip(_counts(q15 / ONE, per_step), -LARGEST, LARGEST) / per_step


IN_INTEGERS = {
    "linear": _linear,
    "relu": _relu,
    "relu6": _relu6,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "leaky_relu": _leaky_relu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_tanh": _hard_tanh,
    "softsign": _softsign,
    "elu": _elu,
    "selu": _selu,
    "silu": _silu,
    "gelu": _gelu,
    "exponential": _exponential,
}
SLOPES = {  # of those whose output does not determine the derivative, at their input
    keras.activations.silu: lambda x: ops.sigmoid(x) * (1 + x * (1 - ops.sigmoid(x))),
    keras.activations.gelu: lambda x: (
        (1 + ops.erf(x / math.sqrt(2))) / 2 + x * ops.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    ),
}
