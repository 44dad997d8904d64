"""What TensorFlow Lite Micro lacks of the ops that TensorFlow Lite's converter emits, by ops that it has."""

from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.runtime.tflm_ops import resolver_method


def rewrite_for_tflm(file, layers):
    """Replaces ops that TensorFlow Lite Micro lacks: TILE by BROADCAST_TO, SELECT by SELECT_V2.

    Args:
        file: A `ModelFile`; it is changed.
        layers: The Keras layers that were converted, for errors.

    Raises:
        ValueError: There is an op left that it lacks; the message names the layer.
    """
    for place, op in enumerate(file.operators):
        file.operators[place] = _REWRITES.get(op.name, lambda file, op: op)(file, op)
    for op in file.operators:
        if resolver_method(op) is None:
            raise ValueError(
                f"{_layer_of(file, op, layers)} becomes the op {op.name}, which TensorFlow Lite Micro lacks. Build the "
                "model without it, or convert for LiteRT alone with target='litert'."
            )


def _broadcast(file, op):
    """A TILE that repeats axes of length 1."""
    x, y, multiples = file.tensors[op.inputs[0]], file.tensors[op.outputs[0]], file.tensors[op.inputs[1]].data
    if multiples is None or any(size != 1 and times != 1 for size, times in zip(x.shape, multiples, strict=True)):
        return op
    shape = np.array(y.shape, np.int32)
    inputs = op.inputs[0], file.add_tensor(f"{y.name}/shape", shape.shape, np.int32, data=shape)
    options = schema.BroadcastToOptionsT()
    return replace(op, name="BROADCAST_TO", inputs=inputs, options=options, version=2, source=None)


def _select(file, op):
    shapes = {file.tensors[number].shape for number in (*op.inputs, *op.outputs)}
    if len(shapes) > 1:  # the condition may choose rows, which SELECT_V2 does not
        return op
    return replace(op, name="SELECT_V2", options=schema.SelectV2OptionsT(), version=1, source=None)


_REWRITES = {"TILE": _broadcast, "SELECT": _select}


def _layer_of(file, op, layers):
    """What made an op: the converter names tensors after the layers that they come from."""
    parts = file.tensors[op.outputs[0]].name.replace(";", "/").split("/")
    for layer in layers:
        if any(part == layer.name or part.startswith(f"{layer.name}_") for part in parts):
            return f"layer '{layer.name}' ({type(layer).__name__})"
    return "one of the layers " + ", ".join(f"'{layer.name}' ({type(layer).__name__})" for layer in layers)
