"""The builtin ops of layers around the recurrent ones, in NumPy.

Quantized ops are computed in real numbers and rounded once, so a result may differ by one step of its scale from an
interpreter's fixed-point arithmetic.
"""

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.runtime.views import VIEWS, run_view
from keras_sparse_rnn.runtime.windows import window_of


def _fully_connected(op, values, tensors, output):
    inputs = values[1].shape[1]
    _check_size(op, values[0].size // inputs * len(values[1]), output)
    x, weights = _real(values[0], tensors[0]), _real(values[1], tensors[1])
    y = x.reshape(-1, inputs) @ weights.T
    if len(values) > 2 and values[2] is not None:
        y = y + _real(values[2], tensors[2])
    return _store(_fused_activation(op, y).reshape(output.shape), output)


def _convolution(op, values, tensors, output):
    x, weights = _real(values[0], tensors[0]), _real(values[1], tensors[1])
    window = window_of(op, x.shape, weights.shape[1:3])
    outputs, inputs = weights.shape[0], weights.shape[3]
    if inputs != x.shape[3]:
        raise ValueError(f"op CONV_2D has weights for {inputs} channels; given: {x.shape[3]}.")
    _check_size(op, len(x) * math.prod(window.made) * outputs, output)
    y = window.patches(x, 0).reshape(*output.shape[:3], -1) @ weights.reshape(outputs, -1).T
    return _with_bias(op, y, values, tensors, output)


def _depthwise_convolution(op, values, tensors, output):
    x, weights = _real(values[0], tensors[0]), _real(values[1], tensors[1])
    window = window_of(op, x.shape, weights.shape[1:3])
    outputs, channels = weights.shape[3], x.shape[3]
    if len(weights) != 1 or outputs % channels:
        raise ValueError(f"op DEPTHWISE_CONV_2D has weights {weights.shape} for {channels} channels.")
    _check_size(op, len(x) * math.prod(window.made) * outputs, output)
    repeated = np.repeat(window.patches(x, 0), outputs // channels, axis=-1)
    return _with_bias(op, (repeated * weights).sum(axis=(3, 4)), values, tensors, output)


def _with_bias(op, y, values, tensors, output):
    if len(values) > 2 and values[2] is not None:
        y = y + _real(values[2], tensors[2])
    return _store(_fused_activation(op, y), output)


def _pool(function):
    def run(op, values, tensors, output):
        x = _real(values[0], tensors[0]).astype(np.float64)
        window = window_of(op, x.shape, (op.options.filterHeight, op.options.filterWidth))
        _check_size(op, len(x) * math.prod(window.made) * x.shape[3], output)
        return _store(_fused_activation(op, function(window.patches(x, np.nan), axis=(3, 4))), output)

    return run


def _batch_matmul(op, values, tensors, output):
    a, b = (_real(*pair) for pair in zip(values, tensors, strict=True))
    a = np.swapaxes(a, -1, -2) if op.options.adjX else a
    b = np.swapaxes(b, -1, -2) if op.options.adjY else b
    _check_size(op, math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) * a.shape[-2] * b.shape[-1], output)
    return _store(a @ b, output)


def _pad(op, values, tensors, output):
    widths = np.asarray(values[1])
    if widths.shape != (values[0].ndim, 2) or (widths < 0).any():
        raise ValueError(f"op {op.name} has paddings of the shape {widths.shape} for {values[0].ndim} axes.")
    _check_size(op, math.prod((np.array(values[0].shape) + widths.sum(axis=1)).tolist()), output)
    constant = values[2].reshape(-1)[0] if op.name == "PADV2" else tensors[0].zero_point or 0
    return np.pad(values[0], widths, constant_values=constant)


def _fused_activation(op, y):
    kinds = schema.ActivationFunctionType
    kind = getattr(op.options, "fusedActivationFunction", kinds.NONE)
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


def _pack(op, values, tensors, output):
    _check_size(op, sum(value.size for value in values), output)
    return _store(np.stack([_real(*pair) for pair in zip(values, tensors, strict=True)], axis=op.options.axis), output)


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


def _compare_real(function):
    return lambda op, values, tensors, output: _compare(function)(
        op, [_real(*pair) for pair in zip(values, tensors, strict=True)], tensors, output
    )


def _compare(function):
    def run(op, values, tensors, output):
        _check_size(op, math.prod(np.broadcast_shapes(values[0].shape, values[1].shape)), output)
        return function(values[0], values[1]).reshape(output.shape)

    return run


def _inverse_root(x):
    """1 / sqrt(x), infinite for x <= 0, such as a quantized value that rounds to 0."""
    with np.errstate(divide="ignore"):
        return 1 / np.sqrt(np.maximum(x, 0))


def _leaky(x, slope):
    return np.where(x < 0, x * slope, x)


def _reduce_all(op, values, tensors, output):
    return values[0].all(axis=tuple(np.atleast_1d(values[1]).tolist())).reshape(output.shape)


def _check_size(op, size, output):
    """Raises ValueError, before any computation, if the result is larger than the shape in the file."""
    if size != output.size:
        raise ValueError(f"op {op.name} makes {size} values of its inputs; its output has the shape {output.shape}.")


def _real(stored, tensor):
    if tensor.scale is None:
        return stored
    scale, zero_point = tensor.scale, tensor.zero_point
    if isinstance(scale, np.ndarray):  # one for each output channel
        shape = [1] * stored.ndim
        shape[tensor.channel_axis] = -1
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    return (stored.astype(np.float64) - zero_point) * scale


def _store(real, tensor):
    return tensor.quantize(np.asarray(real)).reshape(tensor.shape)


BUILTIN_OPS = {
    "ABS": _elementwise(np.abs),
    "ADD": _binary(np.add),
    "AVERAGE_POOL_2D": _pool(np.nanmean),
    "BATCH_MATMUL": _batch_matmul,
    "CAST": lambda op, values, tensors, output: values[0].astype(output.dtype),
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise_convolution,
    "DEQUANTIZE": _elementwise(lambda x: x),
    "DIV": _binary(np.divide),
    "ELU": _elementwise(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "EQUAL": _compare(np.equal),
    "EXP": _elementwise(np.exp),
    "EXPAND_DIMS": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "GREATER": _compare_real(np.greater),
    "GREATER_EQUAL": _compare_real(np.greater_equal),
    "HARD_SWISH": _elementwise(lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "LEAKY_RELU": lambda op, values, tensors, output: _store(
        _leaky(_real(values[0], tensors[0]), op.options.alpha), output
    ),
    "LESS": _compare_real(np.less),
    "LESS_EQUAL": _compare_real(np.less_equal),
    "LOG": _elementwise(np.log),
    "LOGICAL_AND": _compare(np.logical_and),
    "LOGICAL_NOT": lambda op, values, tensors, output: ~values[0],
    "LOGICAL_OR": _compare(np.logical_or),
    "LOGISTIC": _elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "MAXIMUM": _binary(np.maximum),
    "MAX_POOL_2D": _pool(np.nanmax),
    "MEAN": _reduce(np.mean),
    "MINIMUM": _binary(np.minimum),
    "MUL": _binary(np.multiply),
    "NEG": _elementwise(np.negative),
    "NOT_EQUAL": _compare(np.not_equal),
    "PACK": _pack,
    "PAD": _pad,
    "PADV2": _pad,
    "PRELU": lambda op, values, tensors, output: _store(
        _leaky(*(_real(*pair) for pair in zip(values, tensors, strict=True))), output
    ),
    "QUANTIZE": _elementwise(lambda x: x),
    "REDUCE_ALL": _reduce_all,
    "REDUCE_MAX": _reduce(np.max),
    "REDUCE_MIN": _reduce(np.min),
    "RELU": _elementwise(lambda x: np.maximum(x, 0)),
    "RELU6": _elementwise(lambda x: np.clip(x, 0, 6)),
    "RESHAPE": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "RSQRT": _elementwise(_inverse_root),
    "SELECT_V2": _select,
    "SOFTMAX": _softmax,
    "SQRT": _elementwise(np.sqrt),
    "SQUARE": _elementwise(np.square),
    "SQUARED_DIFFERENCE": _binary(lambda a, b: np.square(a - b)),
    "SQUEEZE": lambda op, values, tensors, output: values[0].reshape(output.shape),
    "SUB": _binary(np.subtract),
    "SUM": _reduce(np.sum),
    "TANH": _elementwise(np.tanh),
    **dict.fromkeys(VIEWS, run_view),
}
