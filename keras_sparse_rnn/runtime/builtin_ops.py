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


def _reduce(function):
    def run(op, values, tensors, output):
        axes = tuple(int(axis) for axis in np.atleast_1d(values[1]))
        return _store(function(_real(values[0], tensors[0]), axis=axes, keepdims=op.options.keepDims), output)

    return run


def _select(op, values, tensors, output):
    _check_size(op, math.prod(np.broadcast_shapes(*(value.shape for value in values))), output)
    chosen = np.where(values[0], *(_real(*pair) for pair in zip(values[1:], tensors[1:], strict=True)))
    return _store(chosen, output)


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
    size, indices = values[0].shape[op.options.axis], np.asarray(values[1])
    wrong = indices[(indices < 0) | (indices >= size)]
    if wrong.size:  # NumPy counts negative ones from the end
        raise ValueError(f"op GATHER (of an Embedding) is given the index {wrong[0]}; allowed: from 0 to {size - 1}.")
    return np.take(values[0], indices, op.options.axis).reshape(output.shape)


def _compare(function):
    def run(op, values, tensors, output):
        _check_size(op, math.prod(np.broadcast_shapes(values[0].shape, values[1].shape)), output)
        return function(values[0], values[1]).reshape(output.shape)

    return run


def _reduce_all(op, values, tensors, output):
    return values[0].all(axis=tuple(np.atleast_1d(values[1]).tolist())).reshape(output.shape)


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
    "ABS": _elementwise(np.abs),
    "ADD": _binary(np.add),
    "BROADCAST_TO": _broadcast_to,
    "CAST": lambda op, values, tensors, output: values[0].astype(output.dtype),
    "CONCATENATION": _concatenation,
    "DEQUANTIZE": _elementwise(lambda x: x),
    "DIV": _binary(np.divide),
    "EQUAL": _compare(np.equal),
    "EXP": _elementwise(np.exp),
    "EXPAND_DIMS": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "LOG": _elementwise(np.log),
    "LOGICAL_AND": _compare(np.logical_and),
    "LOGICAL_NOT": lambda op, values, tensors, output: ~values[0],
    "LOGICAL_OR": _compare(np.logical_or),
    "LOGISTIC": _elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "MAXIMUM": _binary(np.maximum),
    "MEAN": _reduce(np.mean),
    "MINIMUM": _binary(np.minimum),
    "MUL": _binary(np.multiply),
    "NEG": _elementwise(np.negative),
    "NOT_EQUAL": _compare(np.not_equal),
    "QUANTIZE": _elementwise(lambda x: x),
    "REDUCE_ALL": _reduce_all,
    "REDUCE_MAX": _reduce(np.max),
    "REDUCE_MIN": _reduce(np.min),
    "RELU": _elementwise(lambda x: np.maximum(x, 0)),
    "RELU6": _elementwise(lambda x: np.clip(x, 0, 6)),
    "RESHAPE": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "RSQRT": _elementwise(lambda x: 1 / np.sqrt(x)),
    "SELECT_V2": _select,
    "SOFTMAX": _softmax,
    "SQRT": _elementwise(np.sqrt),
    "SQUARE": _elementwise(np.square),
    "SQUARED_DIFFERENCE": _binary(lambda a, b: np.square(a - b)),
    "SQUEEZE": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "SUB": _binary(np.subtract),
    "SUM": _reduce(np.sum),
    "TANH": _elementwise(np.tanh),
}
