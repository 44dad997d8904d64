"""The prunable weights of a layer, and the matrix (inputs, outputs) of a weight of any rank."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_sparse_rnn.cells import describe


@dataclass(frozen=True)
class Layout:
    """How a weight maps to a matrix.

    Attributes:
        gates: Number of gates in the columns.
        outputs: The axes, as negative numbers, that form the columns; the other axes, in order, form the rows.
    """

    gates: int = 1
    outputs: tuple[int, ...] = (-1,)


# (kernel size ..., inputs, filters): a row is a tap of an input.
_PLAIN = {"kernel": Layout()}
# (kernel size ..., filters, inputs).
_TRANSPOSED = {"kernel": Layout(outputs=(-2,))}
# (kernel size ..., inputs, multiplier): each input has its own outputs, which read no other input.
_DEPTHWISE = Layout(outputs=(-2, -1))

_OF_KERAS = {
    keras.layers.Embedding: {"embeddings": Layout()},
    keras.layers.Dense: _PLAIN,
    keras.layers.Conv1D: _PLAIN,
    keras.layers.Conv2D: _PLAIN,
    keras.layers.Conv3D: _PLAIN,
    keras.layers.Conv1DTranspose: _TRANSPOSED,
    keras.layers.Conv2DTranspose: _TRANSPOSED,
    keras.layers.Conv3DTranspose: _TRANSPOSED,
    keras.layers.DepthwiseConv1D: {"kernel": _DEPTHWISE},
    keras.layers.DepthwiseConv2D: {"kernel": _DEPTHWISE},
    keras.layers.SeparableConv1D: {"depthwise_kernel": _DEPTHWISE, "pointwise_kernel": Layout()},
    keras.layers.SeparableConv2D: {"depthwise_kernel": _DEPTHWISE, "pointwise_kernel": Layout()},
}


def prunable_weights(layer: keras.layers.Layer) -> dict[str, tuple[Any, Layout]] | str:
    """Returns the prunable weights of a layer, without those of its sublayers.

    Returns:
        Dict from names to pairs (weight, layout), or a string that says why there are none.
    """
    if hasattr(layer, "recurrent_kernel") or isinstance(getattr(layer, "gates", None), Mapping):
        gates = _gates(layer)
        if gates is None:
            return f"{type(layer).__name__} does not say how many gates its kernels hold (attribute `gates`)"
        return {name: (getattr(layer, name), Layout(of)) for name, of in gates.items() if hasattr(layer, name)}
    if isinstance(layer, keras.layers.EinsumDense):
        return {"kernel": (layer.kernel, Layout(outputs=_einsum_outputs(layer.equation)))}
    for kind, layouts in _OF_KERAS.items():
        if isinstance(layer, kind):
            return {name: (getattr(layer, name), layout) for name, layout in layouts.items()}
    if hasattr(layer, "get_prunable_weights"):  # the method that custom layers define for tensorflow-model-optimization
        return {weight.name: (weight, Layout()) for weight in layer.get_prunable_weights()}
    return f"{type(layer).__name__} has no kernel of a kind that can be pruned"


def _gates(cell):
    facts = describe(cell)
    if facts is not None:
        return {name: len(gates) for name, gates in facts.gates.items()}
    # (..., units, gates * units), also in ConvLSTM.
    units, columns = cell.recurrent_kernel.shape[-2:]
    return None if columns % units else dict.fromkeys(("kernel", "recurrent_kernel"), columns // units)


def _einsum_outputs(equation):
    """Returns the kernel axes of an EinsumDense that its output also has; the other axes, summed over, are inputs."""
    operands, outputs = equation.replace(" ", "").split("->")
    kernel = operands.split(",")[1]
    return tuple(n - len(kernel) for n, label in enumerate(kernel) if label in outputs)
