"""Replaces ops of TensorFlow Lite's converter that TensorFlow Lite Micro lacks."""

from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.runtime.tflm_ops import resolver_method


def rewrite_for_tflm(file, layers):
    """Replaces ops that TensorFlow Lite Micro lacks: TILE by BROADCAST_TO, SELECT by SELECT_V2, and ops that it has in
    floats only by the float op between DEQUANTIZE and QUANTIZE.

    Args:
        file: A `ModelFile`, modified in place.
        layers: The converted Keras layers, for error messages.

    Raises:
        ValueError: TensorFlow Lite Micro lacks an op that cannot be replaced; the message names the layer.
    """
    for place, op in list(enumerate(file.operators)):
        if file.tensors[op.inputs[0]].dtype.name in _FLOAT_ONLY.get(op.name, ()):
            op = _in_float(file, op)
        file.operators[place] = _REWRITES.get(op.name, lambda file, op: op)(file, op)
    for op in file.operators:
        if resolver_method(op) is None:
            raise ValueError(
                f"{_layer_of(file, op, layers)} becomes the op {op.name}, which TensorFlow Lite Micro lacks. Build the "
                "model without it, or convert for LiteRT alone with target='litert'."
            )


def _broadcast(file, op):
    """Returns the BROADCAST_TO that equals a TILE which repeats only axes of length 1, and other TILEs unchanged."""
    x, y, multiples = file.tensors[op.inputs[0]], file.tensors[op.outputs[0]], file.tensors[op.inputs[1]].data
    if multiples is None or any(size != 1 and times != 1 for size, times in zip(x.shape, multiples, strict=True)):
        return op
    shape = np.array(y.shape, np.int32)
    inputs = op.inputs[0], file.add_tensor(f"{y.name}/shape", shape.shape, np.int32, data=shape)
    options = schema.BroadcastToOptionsT()
    return replace(op, name="BROADCAST_TO", inputs=inputs, options=options, version=2, source=None)


def _select(file, op):
    shapes = {file.tensors[number].shape for number in (*op.inputs, *op.outputs)}
    if len(shapes) > 1:  # the condition may select rows, which SELECT_V2 cannot do
        return op
    return replace(op, name="SELECT_V2", options=schema.SelectV2OptionsT(), version=1, source=None)


def _in_float(file, op):
    """Computes an op of one input in float32."""
    x, y = (file.tensors[number] for number in (op.inputs[0], op.outputs[0]))
    x_float = file.add_tensor(f"{x.name}/float32", x.shape, np.float32)
    y_float = file.add_tensor(f"{y.name}/float32", y.shape, np.float32)
    file.add_operator("DEQUANTIZE", [op.inputs[0]], [x_float], schema.DequantizeOptionsT())
    file.add_operator("QUANTIZE", [y_float], [op.outputs[0]], schema.QuantizeOptionsT())
    return replace(op, inputs=(x_float, *op.inputs[1:]), outputs=(y_float,), version=1, source=None)


# Types of the first input for which TensorFlow Lite Micro has no kernel, though for float32.
_FLOAT_ONLY = {
    "EXP": ("int8", "int16"),
    "LOG": ("int8", "int16"),
    "REDUCE_MAX": ("int16",),
    "REDUCE_MIN": ("int16",),
    "SQRT": ("int8", "int16"),
}
_REWRITES = {"TILE": _broadcast, "SELECT": _select}


def _layer_of(file, op, layers):
    """Returns the layer from which an op comes; the converter names tensors after their layers."""
    parts = file.tensors[op.outputs[0]].name.replace(";", "/").split("/")
    for layer in layers:
        if any(part == layer.name or part.startswith(f"{layer.name}_") for part in parts):
            return f"layer '{layer.name}' ({type(layer).__name__})"
    return "one of the layers " + ", ".join(f"'{layer.name}' ({type(layer).__name__})" for layer in layers)
