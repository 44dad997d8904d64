"""Builtin ops as calls of `tflite/include/ksr_layers.h`."""

import math

import numpy as np

from keras_sparse_rnn.firmware.dense_layers import ENDINGS, LARGEST, dense_arguments, limits, scaling
from keras_sparse_rnn.runtime.builtin_ops import BUILTIN_OPS

_UNARY = ("ABS", "ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "RELU", "RELU6", "RSQRT", "TANH")
_SAME_VALUES = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")
_REDUCING = ("MEAN", "REDUCE_ALL", "REDUCE_MAX", "SUM")
_IN_FLOAT32 = {
    "LOGISTIC": "ksr_logistic_f32(",
    "RELU": f"ksr_clip_f32(0.0f, {LARGEST}, ",
    "RELU6": "ksr_clip_f32(0.0f, 6.0f, ",
    "TANH": "ksr_tanh_f32(",
}
_LINEAR = {"QUANTIZE": (None, None), "RELU": (0, None), "RELU6": (0, 6)}  # with their real limits
_SIGMOIDS = {"LOGISTIC": ("ksr_logistic_i16", 1), "TANH": ("ksr_tanh_layer_i16", 2)}  # with what scales their exponent
LAYERS = ("BATCH_MATMUL", "FULLY_CONNECTED", "LOGISTIC", "RELU", "RELU6", "SOFTMAX", "TANH", *_REDUCING, *_SAME_VALUES)


def is_table(op, tensors):
    """Whether an op on single int8 values uses a lookup table."""
    kinds = {tensors[i].dtype for i in (*op.inputs, *op.outputs)}
    return op.name in _UNARY and kinds == {np.dtype(np.int8)}


def changes_the_type(op, tensors):
    """Whether it is a QUANTIZE between int8 and int16."""
    kinds = {tensors[i].dtype for i in (*op.inputs, *op.outputs)}
    return op.name == "QUANTIZE" and kinds == {np.dtype(np.int8), np.dtype(np.int16)}


def layer_call(op, buffers):
    """Returns a builtin op in C.

    Args:
        op: The `Operator`: one of `LAYERS`, one that `is_table`, or a QUANTIZE of integers.
        buffers: Its `Buffers`, which receives the constants.

    Returns:
        The statement.

    Raises:
        ValueError: No kernel supports this form of the op.
    """
    x_tensor, y_tensor = buffers.tensors[op.inputs[0]], buffers.tensors[op.outputs[0]]
    x, y, x_shape = buffers.label(op.inputs[0]), f"tensor_{op.outputs[0]}", buffers.shape(op.inputs[0])
    if op.name in _SAME_VALUES:
        return f"memcpy({y}, {x}, sizeof({y}));"
    if changes_the_type(op, buffers.tensors):
        return _quantize(x_tensor, y_tensor, x, y, int(np.prod(x_shape)))
    if op.name == "REDUCE_ALL":
        return f"ksr_every({x}, {', '.join(map(str, _axes(op, buffers, x_shape)))}, {y});"
    if x_tensor.dtype not in ENDINGS or y_tensor.dtype != x_tensor.dtype:
        raise ValueError(
            f"plain C has {op.name} with input and output both int8, int16 or float32; given: {x_tensor.dtype} and "
            f"{y_tensor.dtype}."
        )
    if op.name == "FULLY_CONNECTED":
        rows = math.prod(x_shape) // buffers.tensors[op.inputs[1]].shape[1]
        return f"ksr_dense_{ENDINGS[x_tensor.dtype]}({dense_arguments(op, buffers)}, {x}, {rows}, {y});"
    if op.name == "SOFTMAX":
        return _softmax(op, buffers, x_tensor, y_tensor, x, y, x_shape)
    if op.name == "BATCH_MATMUL":
        return _matmul(op, buffers)
    if op.name in _REDUCING:
        return _reduce(op, buffers, x_tensor, y_tensor, x, y, x_shape)
    if x_tensor.dtype == np.float32 and op.name in _IN_FLOAT32:
        return f"{_IN_FLOAT32[op.name]}{x}, {int(np.prod(x_shape))}, {y});"
    if x_tensor.dtype == np.int8:
        return _unary(op, buffers, x_tensor, y_tensor, x, y, x_shape)
    if x_tensor.dtype == np.int16 and op.name in _LINEAR:
        low, high = limits(y_tensor, *_LINEAR[op.name])
        factor, count = scaling(x_tensor.scale / y_tensor.scale, 24), int(np.prod(x_shape))
        return f"ksr_scale_i16((ksr_scaling){factor}, {low}, {high}, {x}, {count}, {y});"
    if x_tensor.dtype == np.int16 and op.name in _SIGMOIDS:
        return _sigmoid_int16(op, buffers, x_tensor, y_tensor, x, y, int(np.prod(x_shape)))
    raise ValueError(
        f"plain C has no {op.name} of {x_tensor.dtype} activations. Take framework='tflm-cmake', or convert to int8."
    )


def _quantize(x_tensor, y_tensor, x, y, count):
    """Converts between int8 and int16."""
    factor = f"(ksr_scaling){scaling(x_tensor.scale / y_tensor.scale, 24)}"
    if x_tensor.dtype == np.int16:
        return f"ksr_quantize_i16_i8({factor}, {y_tensor.zero_point}, {x}, {count}, {y});"
    return f"ksr_quantize_i8_i16({factor}, {x_tensor.zero_point}, {x}, {count}, {y});"


def _softmax(op, buffers, x_tensor, y_tensor, x, y, shape):
    rows, classes, beta = int(np.prod(shape[:-1])), shape[-1], op.options.beta
    if x_tensor.dtype == np.float32:
        return f"ksr_softmax_f32({float(beta)!r}f, {x}, {rows}, {classes}, {y});"
    if x_tensor.dtype == np.int16:
        if not np.isclose(y_tensor.scale, 2**-15):
            raise ValueError("plain C has SOFTMAX with int16 outputs of scale 2^-15 only.")
        coarse, fine = _exponentials(buffers, x_tensor.scale * beta, 256)
        return f"ksr_softmax_i16({coarse}, {fine}, {x}, {rows}, {classes}, {y});"
    if not np.isclose(y_tensor.scale, 1 / 256) or y_tensor.zero_point != -128:
        raise ValueError("plain C has SOFTMAX with outputs of scale 1/256 and zero point -128 only.")
    table = np.rint(2.0**24 * np.exp(-np.arange(256) * (x_tensor.scale * beta))).astype(np.uint32)
    return f"ksr_softmax_i8({buffers.constant('exponentials', table)}, {x}, {rows}, {classes}, {y});"


def _sigmoid_int16(op, buffers, x_tensor, y_tensor, x, y, count):
    if not np.isclose(y_tensor.scale, 2**-15):
        raise ValueError(f"plain C has {op.name} with int16 outputs of scale 2^-15 only.")
    function, factor = _SIGMOIDS[op.name]
    coarse, fine = _exponentials(buffers, x_tensor.scale * factor, 129)
    return f"{function}({coarse}, {fine}, {x}, {count}, {y});"


def _exponentials(buffers, scale, coarse):
    """Tables of exp(-n) in Q30, with n in counts of a scale: one for multiples of 256 and one for the remainder."""
    tables = {"coarse": np.arange(coarse) * 256, "fine": np.arange(256)}
    return [
        buffers.constant(part, np.rint(2.0**30 * np.exp(-counts * scale)).astype(np.uint32))
        for part, counts in tables.items()
    ]


def _axes(op, buffers, shape):
    """Numbers of values before the axes of an op, along them, and after them."""
    axes = sorted({int(axis) % len(shape) for axis in np.atleast_1d(buffers.tensors[op.inputs[1]].data)})
    if not axes or axes != list(range(axes[0], axes[-1] + 1)):
        raise ValueError(f"plain C has {op.name} over neighbouring axes only; given: {axes}.")
    parts = (shape[: axes[0]], shape[axes[0] : axes[-1] + 1], shape[axes[-1] + 1 :])
    return tuple(math.prod(part) for part in parts)


def _reduce(op, buffers, x_tensor, y_tensor, x, y, shape):
    outer, count, inner = _axes(op, buffers, shape)
    sizes = f"{x}, {outer}, {count}, {inner}, {y}"
    if op.name == "REDUCE_MAX":
        if (x_tensor.scale, x_tensor.zero_point) != (y_tensor.scale, y_tensor.zero_point):
            raise ValueError("plain C has REDUCE_MAX with input and output of one scale only.")
        return f"ksr_most_{ENDINGS[x_tensor.dtype]}({sizes});"
    if x_tensor.dtype == np.float32:
        return f"ksr_{op.name.lower()}_f32({sizes});"
    factor = x_tensor.scale / y_tensor.scale / (count if op.name == "MEAN" else 1)
    if x_tensor.dtype == np.int16:
        return f"ksr_mean_i16((ksr_scaling){scaling(factor, 24)}, {sizes});"
    return f"ksr_mean_i8((ksr_scaling){scaling(factor)}, {x_tensor.zero_point}, {y_tensor.zero_point}, {sizes});"


def _matmul(op, buffers):
    (a, b), y = op.inputs, op.outputs[0]
    tensors = [buffers.tensors[i] for i in (a, b, y)]
    a_shape, b_shape = buffers.shape(a), buffers.shape(b)
    if len({tensor.dtype for tensor in tensors}) > 1 or a_shape[:-2] != b_shape[:-2]:
        raise ValueError(f"plain C has no BATCH_MATMUL of {a_shape} and {b_shape} of other types or batches.")
    rows, inner = a_shape[-2:][::-1] if op.options.adjX else a_shape[-2:]
    columns = b_shape[-2] if op.options.adjY else b_shape[-1]
    members = {"count": math.prod(a_shape[:-2]), "rows": rows, "inner": inner, "columns": columns}
    members |= {"a_step": rows * inner, "b_step": inner * columns}
    members |= {"a_row": 1, "a_column": rows} if op.options.adjX else {"a_row": inner, "a_column": 1}
    members |= {"b_row": 1, "b_column": inner} if op.options.adjY else {"b_row": columns, "b_column": 1}
    if tensors[0].dtype != np.float32:
        factor = tensors[0].scale * tensors[1].scale / tensors[2].scale
        # The sums take 31 bits and as many more as there are products of int16.
        digits = 31 if tensors[0].dtype == np.int8 else min(24, 31 - math.ceil(math.log2(inner)))
        names = ("a_zero_point", "b_zero_point", "zero_point")
        members |= {name: tensor.zero_point for name, tensor in zip(names, tensors, strict=True)}
        members |= {"scaling": scaling(factor, digits)}
    matmul = buffers.struct("ksr_matmul", "matmul", members)
    return f"ksr_matmul_{ENDINGS[tensors[0].dtype]}(&{matmul}, {buffers.label(a)}, {buffers.label(b)}, tensor_{y});"


def _unary(op, buffers, x_tensor, y_tensor, x, y, shape):
    values = np.arange(-128, 128).astype(np.int8)
    wide = type(y_tensor)(y_tensor.name, values.shape, y_tensor.dtype, y_tensor.scale, y_tensor.zero_point)
    table = BUILTIN_OPS[op.name](op, [values], [x_tensor], wide)
    return f"ksr_look_up_i8({buffers.constant('table', table)}, {x}, {int(np.prod(shape))}, {y});"
