"""The builtin ops that stand around recurrent layers, in NumPy.

Quantized ops are computed in real numbers and rounded once, so a result may differ by one step of its scale from an
interpreter's fixed-point arithmetic.
"""

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema


def _fully_connected(op, values, tensors, output):
    inputs = values[1].shape[1]
    _check_size(op, values[0].size // inputs * len(values[1]), output)
    x, weights = _real(values[0], tensors[0]), _real(values[1], tensors[1])
    y = x.reshape(-1, inputs) @ weights.T
    if len(values) > 2 and values[2] is not None:
        y = y + _real(values[2], tensors[2])
    return _store(_fused_activation(op, y).reshape(output.shape), output)


def _fused_activation(op, y):
    kinds = schema.ActivationFunctionType
    kind = op.options.fusedActivationFunction
    if kind == kinds.NONE:
        return y
    if kind == kinds.RELU:
        return np.maximum(y, 0)
    if kind == kinds.RELU6:
        return np.clip(y, 0, 6)
    raise ValueError(f"{op.name}: fused activation {kind} is not supported; supported: none, RELU, RELU6.")


def _softmax(op, values, tensors, output):
    x = _real(values[0], tensors[0]) * op.options.beta
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return _store(x / x.sum(axis=-1, keepdims=True), output)


def _mean(op, values, tensors, output):
    axes = tuple(int(axis) for axis in np.atleast_1d(values[1]))
    return _store(_real(values[0], tensors[0]).mean(axis=axes, keepdims=op.options.keepDims), output)


def _concatenation(op, values, tensors, output):
    _check_size(op, sum(value.size for value in values), output)
    y = np.concatenate([_real(*pair) for pair in zip(values, tensors, strict=True)], axis=op.options.axis)
    return _store(_fused_activation(op, y), output)


def _elementwise(function):
    return lambda op, values, tensors, output: _store(function(_real(values[0], tensors[0])), output)


def _binary(function):
    def run(op, values, tensors, output):
        _check_size(op, math.prod(np.broadcast_shapes(values[0].shape, values[1].shape)), output)
        y = function(_real(values[0], tensors[0]), _real(values[1], tensors[1]))
        return _store(_fused_activation(op, y), output)

    return run


def _gather(op, values, tensors, output):
    _check_size(op, values[0].size // values[0].shape[op.options.axis] * values[1].size, output)
    return np.take(values[0], values[1], op.options.axis).reshape(output.shape)


def _not_equal(op, values, tensors, output):
    _check_size(op, math.prod(np.broadcast_shapes(values[0].shape, values[1].shape)), output)
    return np.not_equal(values[0], values[1]).reshape(output.shape)


def _broadcast_to(op, values, tensors, output):
    return np.broadcast_to(values[0], output.shape)


def _check_size(op, size, output):
    """Raises before anything is computed if the result is larger than the shape in the file says."""
    if size != output.size:
        raise ValueError(f"op {op.name} makes {size} values of its inputs; its output has the shape {output.shape}.")


def _real(stored, tensor):
    if tensor.scale is None:
        return stored
    scale, zero_point = tensor.scale, tensor.zero_point
    if isinstance(scale, np.ndarray):  # one for each output channel, the first axis
        shape = (-1,) + (1,) * (stored.ndim - 1)
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    return (stored.astype(np.float64) - zero_point) * scale


def _store(real, tensor):
    return tensor.quantize(np.asarray(real)).reshape(tensor.shape)


BUILTIN_OPS = {
    "ADD": _binary(np.add),
    "BROADCAST_TO": _broadcast_to,
    "CONCATENATION": _concatenation,
    "DEQUANTIZE": _elementwise(lambda x: x),
    "EXPAND_DIMS": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "LOGISTIC": _elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "MEAN": _mean,
    "MUL": _binary(np.multiply),
    "NOT_EQUAL": _not_equal,
    "QUANTIZE": _elementwise(lambda x: x),
    "RELU": _elementwise(lambda x: np.maximum(x, 0)),
    "RELU6": _elementwise(lambda x: np.clip(x, 0, 6)),
    "RESHAPE": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "SOFTMAX": _softmax,
    "SQUEEZE": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "SUB": _binary(np.subtract),
    "SUM": lambda op, values, tensors, output: _store(
        _real(values[0], tensors[0]).sum(axis=tuple(np.atleast_1d(values[1]).tolist()), keepdims=op.options.keepDims),
        output,
    ),
    "TANH": _elementwise(np.tanh),
}
