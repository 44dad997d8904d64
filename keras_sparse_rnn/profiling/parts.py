"""The parts of a model that multiply: layers and cells with matrices, and unknown layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_sparse_rnn.cells import Skips, describe
from keras_sparse_rnn.profiling import costs
from keras_sparse_rnn.sparsity.kernels import own_weights, select_chains
from keras_sparse_rnn.typing import LayerSelection

# Operations in the graph of a Functional model that multiply tensors, or run a user's function.
_PRODUCTS = {
    *("Conv", "ConvTranspose", "Correlate", "DepthwiseConv", "Dot", "DotProductAttention", "Einsum", "Inner", "Kron"),
    *("Matmul", "Outer", "SeparableConv", "Tensordot", "Vdot"),
    *("AssociativeScan", "Cond", "ForiLoop", "Map", "Scan", "VectorizedMap", "WhileLoop"),
}


@dataclass(frozen=True, eq=False)
class Part:
    """A layer or a cell that multiplies, or that may do so.

    Attributes:
        name: Name of the part, preceded by the names of the layers that contain it. A cell has the name of its layer,
            unless the layer has several cells.
        layer: The layer or the cell that has the weights.
        rnn: The recurrent layer around a cell, else None.
        matrices: The weights that are multiplied, by name.
        gates: For a cell with gates, the names of the gates in each matrix.
        skips: Which sources a step of a cell with gates can skip.
        unknown: The reason why the MACs are not known, or None.
    """

    name: str
    layer: Any
    rnn: keras.layers.RNN | None
    matrices: Mapping[str, Any]
    gates: Mapping[str, tuple[str, ...]] | None = None
    skips: Skips | None = None
    unknown: str | None = None

    @property
    def kind(self) -> str:
        """Its class, without the "Cell" at the end."""
        return type(self.layer).__name__.removesuffix("Cell")

    @property
    def title(self) -> str:
        return f"'{self.name}' ({type(self.layer).__name__})"


def find_parts(model: keras.layers.Layer, layers: LayerSelection) -> tuple[list[Part], list[str]]:
    """Finds the parts of a built model.

    Args:
        model: A Keras model.
        layers: The layers to select, as in `sparsity.find_kernels`.

    Returns:
        The parts, and the titles of layers that may multiply outside their sublayers.

    Raises:
        ValueError: If the model is not built, or something in `layers` selects nothing.
    """
    parts, opaque, seen = [], [], set()
    for chain in select_chains(model, layers):
        layer = chain[-1]
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        part = _part(chain)
        if part is not None:
            parts.append(part)
        elif costs.is_opaque(layer):
            opaque.append(Part(_path(chain), layer, None, {}).title)
        parts += [
            Part(
                operation.name, operation, None, {}, unknown=f"'{operation.name}' multiplies tensors outside any layer"
            )
            for operation in getattr(layer, "operations", ())
            if not isinstance(operation, keras.layers.Layer) and type(operation).__name__ in _PRODUCTS
        ]
    return parts, opaque


def _part(chain):
    layer, name = chain[-1], _path(chain)
    rnn = next((part for part in chain[-2::-1] if isinstance(part, keras.layers.RNN)), None)
    if rnn is not None and layer in cells_in(rnn.cell):
        name = _path(chain[:-1]) if chain[-2] is rnn else name
        if costs.is_conv_rnn(rnn):
            return Part(name, layer, rnn, {n: getattr(layer, n) for n in ("kernel", "recurrent_kernel")})
        facts = describe(layer)
        if facts is not None and facts.skips is not None:
            found = {n: getattr(layer, n) for n in facts.gates}
            return Part(name, layer, rnn, found, facts.gates, facts.skips)
        if facts is None and costs.matrices(layer) == {}:  # of this package, without matrices
            return None
        gates = None if facts is None else facts.gates
        return _unknown(name, layer, rnn, "a cell of a class that does not say what it multiplies", gates)
    found = costs.matrices(layer)
    if rnn is not None and found:
        return _unknown(name, layer, rnn, f"inside the cell '{rnn.cell.name}'")
    if found is None and costs.multiplies(layer):
        return _unknown(name, layer, rnn, "no layer of Keras's or of this package whose products are known")
    return Part(name, layer, None, found) if found or costs.is_product(layer) else None


def _unknown(name, layer, rnn, reason, gates=None):
    weights = own_weights(layer)
    found = {w.name: w for w in [w for w in weights if len(w.shape) > 1 and "bias" not in w.name] or weights}
    if gates:
        found = {n: getattr(layer, n) for n in gates}
    if not found and rnn is not None:
        return None
    return Part(name, layer, rnn, found, gates, unknown=f"'{name}' ({type(layer).__name__}) is {reason}")


def cells_in(cell: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the cells of a recurrent layer, in order; nested stacks are flattened."""
    if not isinstance(cell, keras.layers.StackedRNNCells):
        return [cell]
    return [inner for part in cell.cells for inner in cells_in(part)]


def _path(chain):
    return "/".join(part.name for part in chain)
