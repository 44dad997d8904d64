"""Convolutions and pooling as calls of `tflite/include/ksr_patch.h` and `ksr_layers.h`."""

import math
from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.firmware.cmsis_nn import convolution_call
from keras_sparse_rnn.firmware.dense_layers import ENDINGS, dense_arguments, scaling
from keras_sparse_rnn.runtime.windows import window_of

WINDOWS = ("AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D")


def window_size(op, tensors):
    """Rows and columns of one of `WINDOWS`."""
    if op.name.endswith("POOL_2D"):
        return op.options.filterHeight, op.options.filterWidth
    return tensors[op.inputs[1]].shape[1:3]


def window_call(op, buffers):
    """Returns an op of `WINDOWS` in C.

    Args:
        op: The `Operator`.
        buffers: Its `Buffers`, which receives the constants.

    Returns:
        The statement.

    Raises:
        ValueError: No kernel supports this form of the op.
    """
    x_shape, y_shape = buffers.shape(op.inputs[0]), buffers.shape(op.outputs[0])
    x, y = buffers.tensors[op.inputs[0]], buffers.tensors[op.outputs[0]]
    if x.dtype not in ENDINGS or y.dtype != x.dtype:
        raise ValueError(f"plain C has {op.name} with input and output both int8, int16 or float32.")
    window = window_of(op, x_shape, window_size(op, buffers.tensors))
    if window.made != y_shape[1:3]:
        raise ValueError(f"plain C has no {op.name} that makes {y_shape} of {x_shape}.")
    if x.dtype != np.int8 or op.name.endswith("POOL_2D"):
        return _own_call(op, window, buffers)
    theirs, own = (replace(buffers, declarations=[], checks=[]) for _ in range(2))
    calls = convolution_call(op, window, theirs), _own_call(op, window, own)
    buffers.checks.append(_either("".join(theirs.checks), ""))
    buffers.declarations.append(_either(*("".join(part.declarations) for part in (theirs, own))))
    return _either(*(f"  {call}\n" for call in calls))


def _either(by_cmsis_nn, own):
    otherwise = f"#else\n{own}" if own else ""
    return f"#if KSR_CMSIS_NN\n{by_cmsis_nn}{otherwise}#endif\n"


def _own_call(op, window, buffers):
    x_shape, y_shape = buffers.shape(op.inputs[0]), buffers.shape(op.outputs[0])
    x = buffers.tensors[op.inputs[0]]
    channels, taps, places = x_shape[3], math.prod(window.size), math.prod(y_shape[:3])
    is_most = op.name == "MAX_POOL_2D"
    lowest = np.iinfo(x.dtype).min if x.dtype != np.float32 else np.finfo(np.float32).min
    absent = buffers.constant("absent", np.full(channels, lowest if is_most else x.zero_point or 0, x.dtype))
    members = {}
    for rows_and_columns, pair in (
        (("x_height", "x_width"), x_shape[1:3]),
        (("y_height", "y_width"), y_shape[1:3]),
        (("height", "width"), window.size),
        (("row_stride", "column_stride"), window.strides),
        (("row_dilation", "column_dilation"), window.dilation),
        (("top", "left"), window.before),
    ):
        members |= zip(rows_and_columns, pair, strict=True)
    at = buffers.struct("ksr_window", "window", members | {"bytes": channels * x.dtype.itemsize})
    scratch = buffers.buffer("patch", taps * channels, x.dtype)
    patch = f"ksr_patch(&{at}, i, {buffers.label(op.inputs[0])}, {absent}, {scratch})"
    to = f"tensor_{op.outputs[0]} + i * {y_shape[3]}"
    ending = ENDINGS[x.dtype]
    if op.name.endswith("POOL_2D"):
        if op.options.fusedActivationFunction != schema.ActivationFunctionType.NONE:
            raise ValueError(f"plain C has {op.name} without a fused activation.")
        if is_most:
            body = f"ksr_most_{ending}({patch}, 1, {taps}, {channels}, {to});"
        else:
            body = _average(x, buffers, f"&{at}", patch, taps, channels, to)
    else:
        arguments = dense_arguments(op, buffers)
        if op.name == "CONV_2D":
            body = f"ksr_dense_{ending}({arguments}, {patch}, 1, {to});"
        else:
            body = f"ksr_depthwise_{ending}({arguments}, {y_shape[3] // channels}, {patch}, {to});"
    return f"for (int32_t i = 0; i < {places}; ++i) {{\n    {body}\n  }}"


def _average(x, buffers, window, patch, taps, channels, to):
    """Of the places that lie inside of x."""
    sizes = f"{patch}, 1, {taps}, {channels}, {to}"
    if x.dtype == np.float32:
        return (
            f"ksr_sum_f32({sizes});\n    const float present = (float)ksr_present({window}, i);\n"
            f"    for (int32_t k = 0; k < {channels}; ++k) ({to})[k] /= present;"
        )
    shares = [scaling(1 / count, 24 if x.dtype == np.int16 else 31) for count in range(1, taps + 1)]
    table = buffers.struct("ksr_scaling", "shares", shares)
    share = f"{table}[ksr_present({window}, i) - 1]"
    if x.dtype == np.int16:
        return f"ksr_mean_i16({share}, {sizes});"
    return f"ksr_mean_i8({share}, {x.zero_point}, {x.zero_point}, {sizes});"
