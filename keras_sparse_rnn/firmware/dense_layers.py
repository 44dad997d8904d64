"""Weights, biases and scales of dense layers and convolutions as `tflite/include/ksr_layers.h` takes them."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.ops.block_sparse import encode

ENDINGS = {np.dtype(np.int8): "i8", np.dtype(np.int16): "i16", np.dtype(np.float32): "f32"}  # of kernels
LARGEST = "3.4e38f"


def dense_arguments(op, buffers):
    """Declares the constants of a FULLY_CONNECTED or a convolution for `ksr_dense` or `ksr_depthwise`.

    Args:
        op: The `Operator`.
        buffers: Its `Buffers`.

    Returns:
        C for the first arguments.

    Raises:
        ValueError: No kernel supports this form of the op.
    """
    x, weights, y = (buffers.tensors[i] for i in (*op.inputs[:2], op.outputs[0]))
    if weights.data is None:
        raise ValueError(f"plain C has {op.name} with constant weights only.")
    is_depthwise = op.name == "DEPTHWISE_CONV_2D"
    outputs = weights.shape[-1 if is_depthwise else 0]
    inputs = weights.data.size // outputs
    bias = None
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias = buffers.tensors[op.inputs[2]].data
    if x.dtype == np.float32:
        low, high = float_limits(op)
        bias = "0" if bias is None else buffers.constant("bias", bias)
        return f"{buffers.constant('weights', weights.data)}, {bias}, {inputs}, {outputs}, {low}, {high}"
    sums = weights.data.astype(np.int64).sum(axis=(0, 1, 2) if is_depthwise else tuple(range(1, weights.data.ndim)))
    bias = (0 if bias is None else bias.astype(np.int64)) - x.zero_point * sums
    if np.any(weights.zero_point) or np.abs(bias).max() >= 2**31 - 2**15 * inputs:
        raise ValueError(f"plain C has {op.name} with weights of zero point 0 and biases that fit int32 only.")
    # The sums of products with int16 take more of the 64 bits.
    digits = 31 if x.dtype == np.int8 else 24
    scalings = [scaling(scale, digits) for scale in np.atleast_1d(x.scale * weights.scale / y.scale)]
    values, sums, stride = weights.data, 0, -(-outputs // 4) * 4
    if x.dtype == np.int8 and not is_depthwise:
        rows = values.reshape(outputs, 1, inputs).T
        values, bias = encode(rows, 4, (0,), sparse=False, by_outputs=True).values, np.pad(bias, (0, stride - outputs))
        sums = buffers.buffer("sums", stride, np.dtype(np.int32))
    kernel = {"values": buffers.constant("weights", values), "sources": inputs, "block": 4, "stride": stride}
    members = {"kernel": kernel | {"slots": [1, 0], "by_outputs": 1, "height": 1}}
    members |= {"bias": buffers.constant("bias", bias.astype(np.int32)), "sums": sums}
    members |= {"scaling": buffers.struct("ksr_scaling", "scaling", scalings), "scalings": len(scalings)}
    low, high = fused_limits(op, y)
    members |= {"outputs": outputs, "zero_point": y.zero_point, "low": low, "high": high}
    return f"&{buffers.struct('ksr_dense', 'dense', members)}"


def scaling(factor, digits=31):
    """A real factor as `ksr_scaling` with this many significant bits."""
    multiplier, shift = scaling_numbers(factor, digits)
    return f"{{{multiplier}, {shift}}}"


def scaling_numbers(factor, digits=31):
    """`(multiplier, shift)` of it."""
    mantissa, exponent = np.frexp(float(factor))
    return min(round(mantissa * 2**digits), 2**digits - 1), int(np.clip(digits - exponent, 1, 62))


def fused_activation(op):
    """The schema's number of a fused activation.

    Raises:
        ValueError: Plain C does not have it.
    """
    kind, kinds = op.options.fusedActivationFunction, schema.ActivationFunctionType
    if kind not in (kinds.NONE, kinds.RELU, kinds.RELU6):
        raise ValueError(f"plain C has {op.name} with no fused activation, RELU or RELU6; given: {kind}.")
    return kind


def float_limits(op):
    """Limits of the floats after a fused activation, as C."""
    return {0: (f"-{LARGEST}", LARGEST), 1: ("0.0f", LARGEST), 3: ("0.0f", "6.0f")}[fused_activation(op)]


def fused_limits(op, tensor):
    """Limits of the output's integers after a fused activation."""
    kind = fused_activation(op)
    return limits(tensor, 0 if kind else None, 6 if kind == schema.ActivationFunctionType.RELU6 else None)


def limits(tensor, low, high):
    """Converts real limits (None if there is none) to integers of a tensor."""
    ends = np.iinfo(tensor.dtype)
    least = ends.min if low is None else max(ends.min, tensor.zero_point + round(low / tensor.scale))
    return least, ends.max if high is None else min(ends.max, tensor.zero_point + round(high / tensor.scale))
