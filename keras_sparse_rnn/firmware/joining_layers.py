"""Builtin ops of several inputs as calls of `tflite/include/ksr_elementwise.h`."""

import math

import numpy as np

from keras_sparse_rnn.firmware.dense_layers import ENDINGS, float_limits, fused_activation, fused_limits
from keras_sparse_rnn.firmware.indexing import index
from keras_sparse_rnn.runtime.views import broadcast

JOINING = ("ADD", "CONCATENATION", "MUL", "PACK", "SUB")
_FACTOR_BITS = 29


def joining_call(op, buffers):
    """Returns an op of `JOINING` in C.

    Args:
        op: The `Operator`.
        buffers: Its `Buffers`, which receives the constants.

    Returns:
        The statement.

    Raises:
        ValueError: No kernel supports this form of the op.
    """
    y = buffers.tensors[op.outputs[0]]
    if y.dtype not in ENDINGS or any(buffers.tensors[i].dtype != y.dtype for i in op.inputs):
        raise ValueError(f"plain C has {op.name} with inputs and output all int8, int16 or float32.")
    if op.name in ("CONCATENATION", "PACK"):
        return _concatenation(op, buffers)
    shape, before = buffers.shape(op.outputs[0]), []
    a, b = ((buffers.tensors[i], buffers.label(i), buffers.shape(i)) for i in op.inputs)
    sign = -1 if op.name == "SUB" else 1
    if sign == 1 and math.prod(b[2]) > math.prod(a[2]):
        a, b = b, a
    a, b = (_repeated(operand, part, shape, buffers, before) for operand, part in ((a, "a"), (b, "b")))
    counts = f"{a[1]}, {math.prod(a[2])}, {b[1]}, {math.prod(b[2])}, tensor_{op.outputs[0]}"
    kernel = f"ksr_{'multiply' if op.name == 'MUL' else 'add'}_pair_{ENDINGS[y.dtype]}"
    if y.dtype == np.float32:
        factor = "" if op.name == "MUL" else f"{sign}.0f, "
        call = f"{kernel}({factor}{', '.join(float_limits(op))}, {counts});"
    else:
        call = f"{kernel}(&{buffers.struct('ksr_pair', 'pair', _pair(op, a[0], b[0], y, sign))}, {counts});"
    return "\n  ".join([*before, call])


def _repeated(operand, part, shape, buffers, before):
    """Returns an operand that the kernel takes: `a` has the size of the result, `b` may repeat. Any other operand is
    copied into a buffer of the result's size."""
    tensor, label, own = operand
    if list(own) == list(shape) or (part == "b" and _comes_again(own, shape)):
        return operand
    copied = buffers.buffer(f"{part}_repeated", math.prod(shape), tensor.dtype)
    place = index(shape, broadcast(own, shape))
    before.append(f"for (int32_t i = 0; i < {math.prod(shape)}; ++i) {copied}[i] = {label}[{place}];")
    return tensor, copied, shape


def _comes_again(small, large):
    """Whether a tensor is repeated as a whole to fill another."""
    small = [size for i, size in enumerate(small) if size != 1 or any(s != 1 for s in small[:i])]
    return not small or list(large[len(large) - len(small) :]) == small


def _pair(op, a, b, y, sign):
    factors = [a.scale * b.scale / y.scale, 0.0] if op.name == "MUL" else [a.scale / y.scale, sign * b.scale / y.scale]
    shift = int(np.clip(_FACTOR_BITS - math.ceil(math.log2(max(map(abs, factors)))), 1, 62))
    a_factor, b_factor = (round(factor * 2.0**shift) for factor in factors)
    zero_points = {"a_zero_point": a.zero_point, "b_zero_point": b.zero_point, "y_zero_point": y.zero_point}
    low, high = fused_limits(op, y)
    return {"a_factor": a_factor, "b_factor": b_factor, "shift": shift} | zero_points | {"low": low, "high": high}


def _concatenation(op, buffers):
    y, shape, tensors = buffers.tensors[op.outputs[0]], buffers.shape(op.outputs[0]), buffers.tensors
    axis = op.options.axis % len(shape)
    has_activation = op.name == "CONCATENATION" and fused_activation(op)
    if has_activation or any(tensors[i].data is not None for i in op.inputs):
        raise ValueError(f"plain C has {op.name} without an activation, of tensors that are no constants.")
    if any((tensors[i].scale, tensors[i].zero_point) != (y.scale, y.zero_point) for i in op.inputs):
        raise ValueError(f"plain C has {op.name} of tensors of one scale only.")
    row, begin, calls = math.prod(shape[axis:]) * y.dtype.itemsize, 0, []
    for i in op.inputs:
        size = math.prod(buffers.shape(i)[axis:]) * y.dtype.itemsize
        to = f"(uint8_t *)tensor_{op.outputs[0]} + {begin}"
        calls.append(f"ksr_put_beside({buffers.label(i)}, {math.prod(shape[:axis])}, {size}, {to}, {row});")
        begin += size
    return "\n  ".join(calls)
