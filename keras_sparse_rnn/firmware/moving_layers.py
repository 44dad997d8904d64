"""Builtin ops that move values and compute nothing, in C."""

import math

import numpy as np

from keras_sparse_rnn.firmware.indexing import index
from keras_sparse_rnn.runtime.views import VIEWS, View, strides_of, view_of

MOVING = (*VIEWS, "GATHER", "PAD", "PADV2")


def moving_call(op, buffers):
    """Returns an op of `MOVING` in C.

    Args:
        op: The `Operator`.
        buffers: Its `Buffers`, which receives the constants.

    Returns:
        The statement.

    Raises:
        ValueError: Plain C does not support this form of the op.
    """
    y, shape = op.outputs[0], buffers.shape(op.outputs[0])
    if op.name == "GATHER":
        return _rows(op, buffers)
    if op.name in ("PAD", "PADV2"):
        return _pad(op, buffers)
    x_shape = buffers.shape(op.inputs[0])
    constants = [buffers.tensors[i].data for i in op.inputs[1:]]
    if x_shape != buffers.tensors[op.inputs[0]].shape:  # one time step
        view = View(strides_of(x_shape)[len(x_shape) - len(shape) :])
    else:
        view = view_of(op, x_shape, constants, shape)
    return _copied(math.prod(shape), f"tensor_{y}[i]", f"{buffers.label(op.inputs[0])}[{index(shape, view)}]")


def history_call(op, buffers, state):
    """Returns a PAD at the start of the time axis for a model whose call is one step: previous steps take the place of
    the padding.

    Args:
        op: The `Operator`.
        buffers: Its `Buffers`.
        state: C expression of the state that keeps the previous steps.
    """
    x, y = buffers.label(op.inputs[0]), f"tensor_{op.outputs[0]}"
    step = math.prod(buffers.shape(op.inputs[0]))
    return "\n  ".join(
        (
            f"memcpy({y}, {state}, sizeof({state}));",
            f"memcpy({y} + {math.prod(buffers.shape(op.outputs[0])) - step}, {x}, sizeof({x}));",
            f"memcpy({state}, {y} + {step}, sizeof({state}));",
        )
    )


def padding(op, tensors):
    """The value of each byte of the padding, and its widths `(axes, 2)`."""
    widths = np.asarray(tensors[op.inputs[1]].data)
    x = tensors[op.inputs[0]]
    value = np.array(x.zero_point or 0, x.dtype)
    if op.name == "PADV2":
        value = tensors[op.inputs[2]].data.reshape(-1)[0]
    bytes_of_it = set(value.tobytes())
    if len(bytes_of_it) != 1:
        raise ValueError(f"plain C has {op.name} with 0 or an int8 value; given: {value}.")
    return bytes_of_it.pop(), widths


def _pad(op, buffers):
    byte, widths = padding(op, buffers.tensors)
    x_shape, y = buffers.shape(op.inputs[0]), f"tensor_{op.outputs[0]}"
    strides = strides_of(buffers.shape(op.outputs[0]))
    offset = sum(int(before) * stride for (before, _), stride in zip(widths, strides, strict=True))
    to = f"{y}[{index(x_shape, View(strides, offset))}]"
    return f"memset({y}, {byte}, sizeof({y}));\n  " + _copied(
        math.prod(x_shape), to, f"{buffers.label(op.inputs[0])}[i]"
    )


def _rows(op, buffers):
    table, numbers = op.inputs[:2]
    tensor = buffers.tensors[table]
    if tensor.data is None or buffers.tensors[numbers].dtype != np.int32 or op.options.axis or op.options.batchDims:
        raise ValueError("plain C has GATHER of rows of a constant table by int32 numbers only.")
    row = math.prod(tensor.shape[1:]) * tensor.dtype.itemsize
    count = math.prod(buffers.shape(numbers))
    return (
        f"ksr_take_rows({buffers.label(table)}, {tensor.shape[0]}, {row}, {buffers.label(numbers)}, {count}, "
        f"tensor_{op.outputs[0]});"
    )


def _copied(count, to, source):
    return f"for (int32_t i = 0; i < {count}; ++i) {to} = {source};"
