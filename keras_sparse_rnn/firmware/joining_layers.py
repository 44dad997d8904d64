"""Builtin ops of several inputs as calls of `tflite/include/ksr_elementwise.h`."""

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.firmware.c_source import array

JOINING = ("ADD", "CONCATENATION", "MUL", "SUB")
_ENDINGS = {np.dtype(np.int8): "i8", np.dtype(np.int16): "i16", np.dtype(np.float32): "f32"}
_FACTOR_BITS = 29
_LARGEST = "3.4e38f"


def joining_call(op, name, tensors, labels, shapes):
    """One of `JOINING` in C.

    Args:
        op: The `Operator`.
        name: What its constants are called.
        tensors: Of the model.
        labels: Names of the buffers, by the numbers of the tensors that are no constants.
        shapes: The shapes of these in one call, likewise.

    Returns:
        `(declarations, statement)`.

    Raises:
        ValueError: The op has a form that there is no kernel for.
    """
    y = tensors[op.outputs[0]]
    if y.dtype not in _ENDINGS or any(tensors[i].dtype != y.dtype for i in op.inputs):
        raise ValueError(f"plain C has {op.name} with inputs and output all int8, int16 or float32.")
    if op.name == "CONCATENATION":
        return [], _concatenation(op, tensors, labels, shapes)
    declarations, operands = [], []
    for place, i in enumerate(op.inputs):
        if tensors[i].data is None:
            operands.append((tensors[i], labels[i], shapes[i]))
        else:
            declarations.append(array(f"{name}_constant_{place}", tensors[i].data))
            operands.append((tensors[i], f"{name}_constant_{place}", tensors[i].shape))
    a, b = operands
    sign = -1 if op.name == "SUB" else 1
    if math.prod(b[2]) > math.prod(a[2]) and sign == 1:
        a, b = b, a
    if not _comes_again(b[2], a[2]):
        raise ValueError(f"plain C has no {op.name} of the shapes {a[2]} and {b[2]}: one must end the other.")
    counts = f"{a[1]}, {math.prod(a[2])}, {b[1]}, {math.prod(b[2])}, {labels[op.outputs[0]]}"
    kernel = f"ksr_{'multiply' if op.name == 'MUL' else 'add'}_{_ENDINGS[y.dtype]}"
    if y.dtype == np.float32:
        low, high = {0: (f"-{_LARGEST}", _LARGEST), 1: ("0.0f", _LARGEST), 3: ("0.0f", "6.0f")}[_activation(op)]
        factor = "" if op.name == "MUL" else f"{sign}.0f, "
        return declarations, f"{kernel}({factor}{low}, {high}, {counts});"
    declarations.append(f"static const ksr_pair {name} = {_pair(op, a[0], b[0], y, sign)};\n")
    return declarations, f"{kernel}(&{name}, {counts});"


def _comes_again(small, large):
    """Whether a tensor is repeated, value after value, to fill another."""
    small = [size for i, size in enumerate(small) if size != 1 or any(s != 1 for s in small[:i])]
    return not small or list(large[len(large) - len(small) :]) == small


def _pair(op, a, b, y, sign):
    factors = [a.scale * b.scale / y.scale, 0.0] if op.name == "MUL" else [a.scale / y.scale, sign * b.scale / y.scale]
    shift = int(np.clip(_FACTOR_BITS - math.ceil(math.log2(max(map(abs, factors)))), 1, 62))
    numbers = [round(factor * 2.0**shift) for factor in factors]
    limits = np.iinfo(y.dtype)
    low, high = limits.min, limits.max
    kind = _activation(op)
    if kind:
        low = max(low, y.zero_point)
        high = high if kind == 1 else min(high, y.zero_point + round(6 / y.scale))
    values = [*numbers, shift, a.zero_point, b.zero_point, y.zero_point, low, high]
    return f"{{{', '.join(map(str, values))}}}"


def _activation(op):
    kind, kinds = op.options.fusedActivationFunction, schema.ActivationFunctionType
    if kind not in (kinds.NONE, kinds.RELU, kinds.RELU6):
        raise ValueError(f"plain C has {op.name} with no fused activation, RELU or RELU6; given: {kind}.")
    return kind


def _concatenation(op, tensors, labels, shapes):
    y, shape = tensors[op.outputs[0]], shapes[op.outputs[0]]
    axis = op.options.axis % len(shape)
    if _activation(op) or any(tensors[i].data is not None for i in op.inputs):
        raise ValueError("plain C has CONCATENATION without an activation, of tensors that are no constants.")
    if any((tensors[i].scale, tensors[i].zero_point) != (y.scale, y.zero_point) for i in op.inputs):
        raise ValueError("plain C has CONCATENATION of tensors of one scale only.")
    row, begin, calls = math.prod(shape[axis:]) * y.dtype.itemsize, 0, []
    for i in op.inputs:
        size = math.prod(shapes[i][axis:]) * y.dtype.itemsize
        to = f"(uint8_t *){labels[op.outputs[0]]} + {begin}"
        calls.append(f"ksr_put_beside({labels[i]}, {math.prod(shape[:axis])}, {size}, {to}, {row});")
        begin += size
    return "\n  ".join(calls)
