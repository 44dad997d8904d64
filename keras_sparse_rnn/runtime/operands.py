"""The types, scales and encodings of tensors that the builtin ops support. Others would be misread."""

from collections.abc import Sequence

import numpy as np

from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.tflite_file import Operator

# The role of each tensor in its op, by position; all tensors of other ops are "values". "moved" tensors are not
# computed with, "index" is a constant of integers, "truths" are bool, "numbers" are compared exactly, and an op selects
# from two "chosen" tensors. "compared" tensors may have scales.
_ROLES = {
    "BATCH_MATMUL": ("values", "values"),
    "BROADCAST_TO": ("moved", "index"),
    "CAST": ("moved",),
    "CONV_2D": ("values", "weights", "bias"),
    "DEPTHWISE_CONV_2D": ("values", "weights", "bias"),
    "EQUAL": ("numbers", "numbers"),
    "EXPAND_DIMS": ("moved", "index"),
    "FULLY_CONNECTED": ("values", "weights", "bias"),
    "GATHER": ("moved", "moved"),
    "GREATER": ("compared", "compared"),
    "GREATER_EQUAL": ("compared", "compared"),
    "LESS": ("compared", "compared"),
    "LESS_EQUAL": ("compared", "compared"),
    "LOGICAL_AND": ("truths", "truths"),
    "LOGICAL_NOT": ("truths",),
    "LOGICAL_OR": ("truths", "truths"),
    "MEAN": ("values", "index"),
    "NOT_EQUAL": ("numbers", "numbers"),
    "PAD": ("moved", "index"),
    "PADV2": ("moved", "index", "moved"),
    "REDUCE_ALL": ("truths", "index"),
    "REDUCE_MAX": ("values", "index"),
    "REDUCE_MIN": ("values", "index"),
    "RESHAPE": ("moved", "index"),
    "REVERSE_V2": ("moved", "index"),
    "SELECT_V2": ("truths", "chosen", "chosen"),
    "SLICE": ("moved", "index", "index"),
    "SQUEEZE": ("moved",),
    "STRIDED_SLICE": ("moved", "index", "index", "index"),
    "SUM": ("values", "index"),
    "TRANSPOSE": ("moved", "index"),
}
# Types of weights and biases, by the type of the values.
_TYPES = {
    "weights": {"float32": ("float32",), "int8": ("int8",), "uint8": ("uint8",), "int16": ("int8",)},
    "bias": {"float32": ("float32",), "int8": ("int32",), "uint8": ("int32",), "int16": ("int64", "int32")},
}
_CHANGE_THE_TYPE = ("DEQUANTIZE", "QUANTIZE")
_WAY_OUT = "Convert the model to integers throughout, or to float32"


def check_operands(op: Operator, tensors: Sequence[TensorInfo]) -> None:
    """Checks the type, the scales and the encoding of each tensor that a builtin op reads or writes.

    Args:
        op: One of `BUILTIN_OPS`.
        tensors: The tensors of the model.

    Raises:
        ValueError: The op would misread a tensor; the message names the tensor and a remedy.
    """
    inputs = [None if i < 0 else tensors[i] for i in op.inputs]
    roles = _ROLES.get(op.name, ("values",) * len(inputs))
    if len(op.outputs) != 1 or not 1 <= len(inputs) <= len(roles) or inputs[0] is None:
        raise ValueError(f"op {op.name} has {len(op.inputs)} inputs and {len(op.outputs)} outputs.")
    made = roles[-1] if op.name == "SELECT_V2" else roles[0]
    operands = [*zip(roles, inputs, strict=False), (made, tensors[op.outputs[0]])]
    for role, tensor in operands:
        fault = None if tensor is None else _fault(op.name, role, tensor, inputs)
        if fault:
            raise ValueError(f"op {op.name} cannot take tensor '{tensor.name}': {fault}.")


def _fault(name, role, tensor, inputs):
    """Describes what is wrong with a tensor, and a remedy; None if nothing is."""
    if tensor.sparsity is not None:
        return 'it is in the sparse encoding of LiteRT. Take the engine "litert", or convert with target="tflm"'
    if role in ("compared", "moved"):
        return None
    if role == "truths":
        return None if tensor.dtype == np.bool_ else f"it holds {tensor.dtype}; allowed: bool"
    if role == "numbers":
        is_exact = tensor.scale is None and tensor.dtype in (np.int32, np.int64, np.float32, np.bool_)
        return None if is_exact else f"it holds {tensor.dtype}; allowed: integers without a scale, or float32"
    if role == "index":
        return None if tensor.data is not None and tensor.dtype.kind == "i" else "it must be a constant of integers"
    x = inputs[1] if role == "chosen" else inputs[0]
    if role in ("values", "chosen"):
        if name not in _CHANGE_THE_TYPE and tensor.dtype != x.dtype:
            return f"it holds {tensor.dtype}, '{x.name}' {x.dtype}. {_WAY_OUT}"
        return _fault_of_values(tensor)
    allowed = _TYPES[role].get(x.dtype.name, ())
    if tensor.dtype.name not in allowed:
        wanted = f"{' or '.join(allowed)} where '{x.name}' is {x.dtype}"
        return f"its {role} must be {wanted}; given: {tensor.dtype}. {_WAY_OUT}"
    if tensor.dtype == np.float32:
        return None
    if role == "weights":
        return _fault_of_weights(tensor, 3 if name == "DEPTHWISE_CONV_2D" else 0)
    weights = inputs[1]
    if weights is None or weights.scale is None:
        return "its op has no weights with a scale"
    if tensor.data is not None and not tensor.data.any():
        return None  # zeros, which several ops may share
    if tensor.scale is not None and not np.allclose(tensor.scale, x.scale * weights.scale, rtol=0.01, atol=0):
        return f"its scale is not the product of those of '{x.name}' and '{weights.name}'. {_WAY_OUT}"
    return None


def _fault_of_values(tensor):
    if tensor.scale is None:
        is_quantized = tensor.dtype.name in ("int8", "uint8", "int16")
        return f"it holds {tensor.dtype} without a scale. {_WAY_OUT}" if is_quantized else None
    if np.ndim(tensor.scale) or tensor.dtype.name not in ("int8", "uint8", "int16", "int32"):
        return f"it must have one scale and hold integers; given: {np.size(tensor.scale)} scales, {tensor.dtype}"
    if tensor.dtype == np.int16 and tensor.zero_point:
        return f"with int16 values its zero point must be 0; given: {tensor.zero_point}"
    return None


def _fault_of_weights(tensor, axis):
    """The axis of the weights along which the outputs lie."""
    if tensor.scale is None:
        return f"it holds {tensor.dtype} without a scale. {_WAY_OUT}"
    if axis >= len(tensor.shape):
        return f"it must have four axes; given: {len(tensor.shape)}"
    outputs = tensor.shape[axis]
    if np.ndim(tensor.scale) and (np.size(tensor.scale) != outputs or tensor.channel_axis != axis):
        given = f"{np.size(tensor.scale)} along axis {tensor.channel_axis}"
        return f"it must have one scale, or one for each of {outputs} outputs along axis {axis}; given: {given}"
    return None
