"""Builtin ops as calls of `tflite/include/ksr_layers.h`."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.firmware.c_source import array
from keras_sparse_rnn.runtime.builtin_ops import BUILTIN_OPS

_UNARY = ("LOGISTIC", "QUANTIZE", "RELU", "RELU6", "TANH")
_SAME_VALUES = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")
_LARGEST = "3.4e38f"
_IN_FLOAT32 = {
    "LOGISTIC": "ksr_logistic_f32(",
    "RELU": f"ksr_clip_f32(0.0f, {_LARGEST}, ",
    "RELU6": "ksr_clip_f32(0.0f, 6.0f, ",
    "TANH": "ksr_tanh_f32(",
}
_LINEAR = {"QUANTIZE": (None, None), "RELU": (0, None), "RELU6": (0, 6)}  # with their real limits
_SIGMOIDS = {"LOGISTIC": ("ksr_logistic_i16", 1), "TANH": ("ksr_tanh_layer_i16", 2)}  # with what scales their exponent
_ENDINGS = {np.dtype(np.int8): "i8", np.dtype(np.int16): "i16", np.dtype(np.float32): "f32"}  # of kernels
LAYERS = (*_UNARY, *_SAME_VALUES, "FULLY_CONNECTED", "MEAN", "SOFTMAX")


def layer_call(op, name, tensors, x, y, x_shape):
    """A builtin op in C.

    Args:
        op: The `Operator`, of one of `LAYERS`.
        name: Prefix of the names of its constants.
        tensors: The tensors of the model.
        x, y: Names of its buffers.
        x_shape: Shape of x in one call.

    Returns:
        `(declarations, statement)`.

    Raises:
        ValueError: The op has a form that there is no kernel for.
    """
    x_tensor, y_tensor = tensors[op.inputs[0]], tensors[op.outputs[0]]
    if op.name == "QUANTIZE" and {x_tensor.dtype, y_tensor.dtype} == {np.dtype(np.int8), np.dtype(np.int16)}:
        return [], _quantize(x_tensor, y_tensor, x, y, int(np.prod(x_shape)))
    if x_tensor.dtype not in _ENDINGS or y_tensor.dtype != x_tensor.dtype:
        raise ValueError(
            f"plain C has {op.name} with input and output both int8, int16 or float32; given: {x_tensor.dtype} and "
            f"{y_tensor.dtype}."
        )
    if op.name in _SAME_VALUES:
        return [], f"memcpy({y}, {x}, sizeof({y}));"
    if op.name == "FULLY_CONNECTED":
        make = _dense_float32 if x_tensor.dtype == np.float32 else _dense_integers
        return make(op, name, tensors, x, y, int(np.prod(x_shape)))
    if op.name == "SOFTMAX":
        return _softmax(op, name, x_tensor, y_tensor, x, y, x_shape)
    if op.name == "MEAN":
        return _mean(op, tensors, x, y, x_shape)
    if x_tensor.dtype == np.float32 and op.name in _IN_FLOAT32:
        return [], f"{_IN_FLOAT32[op.name]}{x}, {int(np.prod(x_shape))}, {y});"
    if x_tensor.dtype == np.int8:
        return _unary(op, name, x_tensor, y_tensor, x, y, x_shape)
    if x_tensor.dtype == np.int16 and op.name in _LINEAR:
        low, high = _limits(y_tensor, *_LINEAR[op.name])
        scaling, count = _scaling(x_tensor.scale / y_tensor.scale, 24), int(np.prod(x_shape))
        return [], f"ksr_scale_i16((ksr_scaling){scaling}, {low}, {high}, {x}, {count}, {y});"
    if x_tensor.dtype == np.int16 and op.name in _SIGMOIDS:
        return _sigmoid_int16(op, name, x_tensor, y_tensor, x, y, int(np.prod(x_shape)))
    raise ValueError(
        f"plain C has no {op.name} of {x_tensor.dtype} activations. Take framework='tflm-cmake', or convert to int8."
    )


def _quantize(x_tensor, y_tensor, x, y, count):
    """Between int8 and int16."""
    scaling = f"(ksr_scaling){_scaling(x_tensor.scale / y_tensor.scale, 24)}"
    if x_tensor.dtype == np.int16:
        return f"ksr_quantize_i16_i8({scaling}, {y_tensor.zero_point}, {x}, {count}, {y});"
    return f"ksr_quantize_i8_i16({scaling}, {x_tensor.zero_point}, {x}, {count}, {y});"


def _dense_integers(op, name, tensors, x, y, size):
    x_tensor, y_tensor, weights = tensors[op.inputs[0]], tensors[op.outputs[0]], tensors[op.inputs[1]]
    outputs, inputs = weights.shape
    bias = np.zeros(outputs, np.int64)
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias += tensors[op.inputs[2]].data
    bias -= x_tensor.zero_point * weights.data.astype(np.int64).sum(axis=1)
    if np.any(weights.zero_point) or np.abs(bias).max() >= 2**31 - 2**15 * inputs:
        raise ValueError("plain C has FULLY_CONNECTED with weights of zero point 0 and biases that fit int32 only.")
    # The sums of products with int16 take more of the 64 bits.
    digits = 31 if x_tensor.dtype == np.int8 else 24
    scalings = [_scaling(scale, digits) for scale in np.atleast_1d(x_tensor.scale * weights.scale / y_tensor.scale)]
    low, high = _range(op, y_tensor)
    declarations = [
        array(f"{name}_weights", weights.data),
        array(f"{name}_bias", bias.astype(np.int32)),
        f"static const ksr_scaling {name}_scaling[{len(scalings)}] = {{{', '.join(scalings)}}};\n",
        f"static const ksr_dense {name} = {{{name}_weights, {name}_bias, {name}_scaling, {len(scalings)}, {inputs}, "
        f"{outputs}, {y_tensor.zero_point}, {low}, {high}}};\n",
    ]
    return declarations, f"ksr_dense_{_ENDINGS[x_tensor.dtype]}(&{name}, {x}, {size // inputs}, {y});"


def _dense_float32(op, name, tensors, x, y, size):
    weights = tensors[op.inputs[1]]
    outputs, inputs = weights.shape
    declarations, bias = [array(f"{name}_weights", weights.data)], "0"
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias = f"{name}_bias"
        declarations.append(array(bias, tensors[op.inputs[2]].data))
    low, high = {0: (f"-{_LARGEST}", _LARGEST), 1: ("0.0f", _LARGEST), 3: ("0.0f", "6.0f")}[_activation(op)]
    sizes = f"{inputs}, {outputs}, {low}, {high}"
    return declarations, f"ksr_dense_f32({name}_weights, {bias}, {sizes}, {x}, {size // inputs}, {y});"


def _softmax(op, name, x_tensor, y_tensor, x, y, shape):
    rows, classes, beta = int(np.prod(shape[:-1])), shape[-1], op.options.beta
    if x_tensor.dtype == np.float32:
        return [], f"ksr_softmax_f32({float(beta)!r}f, {x}, {rows}, {classes}, {y});"
    if x_tensor.dtype == np.int16:
        if not np.isclose(y_tensor.scale, 2**-15):
            raise ValueError("plain C has SOFTMAX with int16 outputs of scale 2^-15 only.")
        declarations = _exponentials(name, x_tensor.scale * beta, 256)
        return declarations, f"ksr_softmax_i16({name}_coarse, {name}_fine, {x}, {rows}, {classes}, {y});"
    if not np.isclose(y_tensor.scale, 1 / 256) or y_tensor.zero_point != -128:
        raise ValueError("plain C has SOFTMAX with outputs of scale 1/256 and zero point -128 only.")
    table = np.rint(2.0**24 * np.exp(-np.arange(256) * (x_tensor.scale * beta))).astype(np.uint32)
    return [array(f"{name}_exponentials", table)], f"ksr_softmax_i8({name}_exponentials, {x}, {rows}, {classes}, {y});"


def _sigmoid_int16(op, name, x_tensor, y_tensor, x, y, count):
    if not np.isclose(y_tensor.scale, 2**-15):
        raise ValueError(f"plain C has {op.name} with int16 outputs of scale 2^-15 only.")
    function, factor = _SIGMOIDS[op.name]
    declarations = _exponentials(name, x_tensor.scale * factor, 129)
    return declarations, f"{function}({name}_coarse, {name}_fine, {x}, {count}, {y});"


def _exponentials(name, scale, coarse):
    """Tables of exp(-n) in Q30, of n in counts of a scale: of multiples of 256, and of the rest."""
    tables = {"coarse": np.arange(coarse) * 256, "fine": np.arange(256)}
    return [
        array(f"{name}_{part}", np.rint(2.0**30 * np.exp(-counts * scale)).astype(np.uint32))
        for part, counts in tables.items()
    ]


def _mean(op, tensors, x, y, shape):
    x_tensor, y_tensor = tensors[op.inputs[0]], tensors[op.outputs[0]]
    axes = sorted(int(axis) % len(shape) for axis in np.atleast_1d(tensors[op.inputs[1]].data))
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise ValueError(f"plain C has MEAN over neighbouring axes only; given: {axes}.")
    outer, count, inner = (
        int(np.prod(s)) for s in (shape[: axes[0]], shape[axes[0] : axes[-1] + 1], shape[axes[-1] + 1 :])
    )
    sizes = f"{x}, {outer}, {count}, {inner}, {y}"
    if x_tensor.dtype == np.float32:
        return [], f"ksr_mean_f32({sizes});"
    if x_tensor.dtype == np.int16:
        return [], f"ksr_mean_i16((ksr_scaling){_scaling(x_tensor.scale / (count * y_tensor.scale), 24)}, {sizes});"
    scaling = _scaling(x_tensor.scale / (count * y_tensor.scale))
    return [], f"ksr_mean_i8((ksr_scaling){scaling}, {x_tensor.zero_point}, {y_tensor.zero_point}, {sizes});"


def _unary(op, name, x_tensor, y_tensor, x, y, shape):
    values = np.arange(-128, 128).astype(np.int8)
    wide = type(y_tensor)(y_tensor.name, values.shape, y_tensor.dtype, y_tensor.scale, y_tensor.zero_point)
    table = BUILTIN_OPS[op.name](op, [values], [x_tensor], wide)
    return [array(f"{name}_table", table)], f"ksr_look_up_i8({name}_table, {x}, {int(np.prod(shape))}, {y});"


def _scaling(factor, digits=31):
    """A real factor as `ksr_scaling`, of so many significant bits."""
    mantissa, exponent = np.frexp(float(factor))
    multiplier = min(round(mantissa * 2**digits), 2**digits - 1)
    return f"{{{multiplier}, {int(np.clip(digits - exponent, 1, 62))}}}"


def _activation(op):
    kind = op.options.fusedActivationFunction
    kinds = schema.ActivationFunctionType
    if kind not in (kinds.NONE, kinds.RELU, kinds.RELU6):
        raise ValueError(f"plain C has {op.name} with no fused activation, RELU or RELU6; given: {kind}.")
    return kind


def _range(op, tensor):
    """What a fused activation leaves of the output's integers."""
    kind = _activation(op)
    return _limits(tensor, 0 if kind else None, 6 if kind == schema.ActivationFunctionType.RELU6 else None)


def _limits(tensor, low, high):
    """Real limits, None for none, as integers of a tensor."""
    limits = np.iinfo(tensor.dtype)
    least = limits.min if low is None else max(limits.min, tensor.zero_point + round(low / tensor.scale))
    return least, limits.max if high is None else min(limits.max, tensor.zero_point + round(high / tensor.scale))
