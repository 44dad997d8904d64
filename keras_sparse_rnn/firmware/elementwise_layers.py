"""Builtin ops that compute each value of the output from one value of each input, as loops in C."""

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.firmware.c_source import C_TYPES, float_literal
from keras_sparse_rnn.firmware.indexing import index
from keras_sparse_rnn.runtime.views import broadcast

# Of real numbers a, b and c.
_EXPRESSIONS = {
    "ABS": "a < 0 ? -a : a",
    "CAST": "a",
    "DEQUANTIZE": "a",
    "DIV": "a / b",
    "ELU": "a > 0 ? a : ksr_exponential(a) - 1",
    "EQUAL": "a == b",
    "EXP": "ksr_exponential(a)",
    "GREATER": "a > b",
    "GREATER_EQUAL": "a >= b",
    "HARD_SWISH": "a < -3 ? 0 : a > 3 ? a : a * (a + 3) / 6",
    "LEAKY_RELU": "a < 0 ? a * {alpha} : a",
    "LESS": "a < b",
    "LESS_EQUAL": "a <= b",
    "LOG": "ksr_logarithm(a)",
    "LOGICAL_AND": "a && b",
    "LOGICAL_NOT": "!a",
    "LOGICAL_OR": "a || b",
    "MAXIMUM": "a > b ? a : b",
    "MINIMUM": "a < b ? a : b",
    "NEG": "-a",
    "NOT_EQUAL": "a != b",
    "PRELU": "a < 0 ? a * b : a",
    "QUANTIZE": "a",
    "RSQRT": "ksr_inverse_root(a)",
    "SELECT_V2": "a ? b : c",
    "SQRT": "ksr_square_root(a)",
    "SQUARE": "a * a",
    "SQUARED_DIFFERENCE": "(a - b) * (a - b)",
}
ELEMENTWISE = tuple(_EXPRESSIONS)
_ALIKE = ("MAXIMUM", "MINIMUM", "SELECT_V2")  # of integers of one scale it is another of them
_AS_STORED = ("CAST", "EQUAL", "NOT_EQUAL")


def elementwise_call(op, buffers):
    """Returns an op of `ELEMENTWISE` in C.

    Args:
        op: The `Operator`.
        buffers: Its `Buffers`, which receives the constants.

    Returns:
        The statement.

    Raises:
        ValueError: Plain C does not support this form of the op.
    """
    y, shape = buffers.tensors[op.outputs[0]], buffers.shape(op.outputs[0])
    if getattr(op.options, "fusedActivationFunction", 0) != schema.ActivationFunctionType.NONE:
        raise ValueError(f"plain C has {op.name} without a fused activation.")
    tensors = [buffers.tensors[i] for i in op.inputs]
    for tensor in (*tensors, y):
        if np.ndim(tensor.scale) or tensor.dtype not in C_TYPES:
            raise ValueError(f"plain C has {op.name} of one scale, and not of {tensor.dtype}.")
    scales = {(tensor.scale, tensor.zero_point) for tensor in (*tensors, y) if tensor.dtype != np.bool_}
    stored = op.name in _AS_STORED or (op.name in _ALIKE and len(scales) == 1)
    operands = []
    for letter, i, tensor in zip("abc", op.inputs, tensors, strict=False):
        value = f"{buffers.label(i)}[{index(shape, broadcast(buffers.shape(i), shape))}]"
        kind = C_TYPES[tensor.dtype]
        if tensor.scale is not None and not stored:
            kind, value = "float", f"{float_literal(tensor.scale)} * (float)({value} - {tensor.zero_point})"
        operands.append(f"const {kind} {letter} = {value};")
    result = _EXPRESSIONS[op.name].format(alpha=float_literal(getattr(op.options, "alpha", 0)))
    if y.scale is not None and not stored:
        limits = np.iinfo(y.dtype)
        steps = f"({result}) * {float_literal(1 / y.scale)}"
        result = f"ksr_rounded({steps} + {float_literal(y.zero_point)}, {limits.min}, {limits.max})"
    body = " ".join([*operands, f"tensor_{op.outputs[0]}[i] = ({C_TYPES[y.dtype]})({result});"])
    return f"for (int32_t i = 0; i < {math.prod(shape)}; ++i) {{\n    {body}\n  }}"
