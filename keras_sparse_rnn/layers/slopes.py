"""Derivatives of activations, computed from the activation's output."""

from collections.abc import Callable

import keras
from keras import ops

from keras_sparse_rnn.typing import Tensor

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _where(condition, y, otherwise=0.0, value=1.0):
    return ops.where(condition, ops.cast(value, y.dtype), ops.cast(otherwise, y.dtype))


# Keras activations whose output determines the derivative. silu and gelu are not among them.
_SLOPES = {
    "linear": ops.ones_like,
    "relu": lambda y: _where(y > 0, y),
    "relu6": lambda y: _where((y > 0) & (y < 6), y),
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "leaky_relu": lambda y: _where(y > 0, y, 0.2),
    "hard_sigmoid": lambda y: _where((y > 0) & (y < 1), y, value=1 / 6),
    "hard_tanh": lambda y: _where((y > -1) & (y < 1), y),
    "softsign": lambda y: ops.square(1 - ops.abs(y)),
    "elu": lambda y: ops.where(y > 0, ops.ones_like(y), y + 1),
    "selu": lambda y: _SELU_SCALE * ops.where(y > 0, ops.ones_like(y), y / _SELU_SCALE + _SELU_ALPHA),
    "exponential": lambda y: y,
}


def slope_of(activation: Callable) -> Callable[[Tensor], Tensor] | None:
    """Returns the derivative of a Keras activation as a function of its output; None if the output is not enough."""
    name = getattr(activation, "__name__", "")
    return _SLOPES.get(name) if activation is getattr(keras.activations, name, None) else None
