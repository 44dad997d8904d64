"""Finds the prunable kernels of a model and their gates."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

from keras_sparse_rnn.cells import describe
from keras_sparse_rnn.inputs import check_is_keras
from keras_sparse_rnn.sparsity.layouts import prunable_weights
from keras_sparse_rnn.typing import LayerSelection, Tensor, check_flag


@dataclass(frozen=True, eq=False)
class Kernel:
    """A prunable weight of any rank, viewed as a matrix (inputs, outputs).

    The rows are the inputs of an output, the columns are the outputs:

    | weight | rows | columns |
    |---|---|---|
    | kernel of Dense, SimpleRNN, GRU, LSTM; embeddings | inputs | gates * units |
    | Conv1D, Conv2D, Conv3D, ConvLSTM, pointwise kernel of SeparableConv | positions * inputs | gates * filters |
    | Conv1DTranspose, Conv2DTranspose, Conv3DTranspose | positions * inputs | filters |
    | DepthwiseConv, depthwise kernel of SeparableConv | positions | inputs * multiplier |
    | EinsumDense, and with it MultiHeadAttention and GroupedQueryAttention | axes that are summed over | other axes |

    Attributes:
        path: Names of the layers inside the model down to the weight, such as `"gru/gru_cell/recurrent_kernel"`.
        variable: The `keras.Variable` of the model.
        gates: Number of gates in the columns; 1 for kernels without gates.
        layer: The layer or cell that has the weight.
        outputs: The axes of the variable, as negative numbers, that form the columns; the other axes form the rows.
    """

    path: str
    variable: keras.Variable
    gates: int
    layer: keras.layers.Layer
    outputs: tuple[int, ...] = (-1,)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (inputs, outputs) of the matrix."""
        columns = math.prod(self.variable.shape[axis] for axis in self.outputs)
        return math.prod(self.variable.shape) // columns, columns

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of the gates, in the order of the columns; one empty name for kernels without gates."""
        facts = describe(self.layer)
        if facts is None:
            return ("",) if self.gates == 1 else tuple(map(str, range(self.gates)))
        return facts.gates[self.path.rpartition("/")[2]]

    def matrix(self, values: np.ndarray) -> np.ndarray:
        """Returns `values`, an array of the variable's shape, as the matrix."""
        return np.transpose(values, self._order).reshape(self.shape)

    def tensor(self, matrix: np.ndarray) -> np.ndarray:
        """Returns a matrix as an array of the variable's shape: the inverse of `matrix`."""
        shape = [self.variable.shape[axis] for axis in self._order]
        return np.transpose(matrix.reshape(shape), np.argsort(self._order))

    def values(self) -> np.ndarray:
        """Returns the current weights, as the matrix."""
        return self.matrix(whole(self.variable.value))

    @property
    def _order(self):
        rank = len(self.variable.shape)
        outputs = [axis + rank for axis in self.outputs]
        return [*(axis for axis in range(rank) if axis not in outputs), *outputs]


def whole(value: Tensor) -> np.ndarray:
    """Returns a tensor as a NumPy array, even if JAX has distributed it over several processes."""
    if getattr(value, "is_fully_addressable", True):
        return keras.ops.convert_to_numpy(value)
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(value, tiled=True)


class KernelSelection(NamedTuple):
    """Result of `select_kernels`.

    Attributes:
        kernels: The prunable kernels.
        skipped: Dict that maps the path of each layer or weight that was left out to the reason.
        left_out: The part of `skipped` that was selected and has a kernel.
    """

    kernels: list[Kernel]
    skipped: dict[str, str]
    left_out: dict[str, str]


def find_kernels(
    model: keras.layers.Layer, layers: LayerSelection = None, frozen: bool = False
) -> tuple[list[Kernel], dict[str, str]]:
    """Finds the prunable kernels of a built model, including those in nested models and wrappers.

    The prunable weights are:
        - the kernels of all layers that `Kernel` lists
        - `kernel` and `recurrent_kernel` of any other recurrent cell
        - the weights that a cell names in a dict `gates` (see `keras_sparse_rnn.cells`), such as ONLSTM's master
          kernels
        - the weights that a layer's `get_prunable_weights()` returns, as in tensorflow-model-optimization, with the
          outputs in the last axis
    A shared weight is found once.

    Args:
        model: Built `keras.Model` or layer.
        layers: The layers to prune. None selects all recurrent layers, including everything in their cells; `"all"`
            selects all layers. Otherwise one of the following, or an iterable of them: a layer's name or path (`"gru"`,
            `"encoder/gru"`), or the path of a weight (`"gru/gru_cell/recurrent_kernel"`); a compiled regular
            expression, searched for in the names of layers; a layer of the model; a function that takes each layer with
            weights (for a cell: the RNN layer around it) and returns whether to prune it. All of them except the path
            of a weight select everything prunable inside the layer.
        frozen: Whether to include kernels that are not trainable. They can be measured, but not pruned.

    Returns:
        Pair `(kernels, skipped)`: a list of `Kernel`, and a dict that maps the path of each layer or weight that was
        left out to the reason, a string.

    Raises:
        ValueError: If the model is not built, something in `layers` selects no layer, or a name, path or layer in
            `layers` selects nothing that can be pruned.
    """
    return select_kernels(model, layers, check_flag("frozen", frozen))[:2]


def select_kernels(model: keras.layers.Layer, layers: LayerSelection = None, frozen: bool = False) -> KernelSelection:
    """Like `find_kernels`, but also returns the kernels that were selected and left out.

    Arguments and errors are those of `find_kernels`.

    Returns:
        A `KernelSelection`.
    """
    chains = _weighted_chains(model)
    selected = _selection(layers, chains)
    not_selected = "not recurrent: select it with `layers` to prune it" if layers is None else "not in `layers`"
    kernels, skipped, left_out, seen = [], {}, {}, set()
    # Selected chains first: a layer reached twice, once selected and once not, is pruned.
    for chosen, chain in sorted(((selected(chain), chain) for chain in chains), key=lambda pair: not pair[0]):
        layer, path = chain[-1], _path(chain)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        found = prunable_weights(layer)
        if isinstance(found, str):
            skipped[path] = found
            if chosen and any(len(weight.shape) > 1 for weight in own_weights(layer)):
                left_out[path] = found
        elif not chosen:
            skipped[path] = not_selected
        else:
            for name, (variable, layout) in found.items():
                kernel = Kernel(f"{path}/{name}", variable, layout.gates, layer, layout.outputs)
                reason = _unfit(kernel, frozen)
                if not (chosen is True or name in chosen):
                    skipped[kernel.path] = not_selected
                elif reason is not None:
                    skipped[kernel.path] = left_out[kernel.path] = reason
                elif id(variable) not in seen:
                    seen.add(id(variable))
                    kernels.append(kernel)
    _check_named(layers, chains, kernels, skipped)
    return KernelSelection(kernels, skipped, left_out)


def select_chains(model: keras.layers.Layer, layers: LayerSelection = None) -> list[tuple[keras.layers.Layer, ...]]:
    """Returns the selected layers of a built model, with or without weights, each as a chain of layers.

    Args:
        model: Built `keras.Model` or layer. It forms the first chain, and is in no other chain.
        layers: The layers to select, as in `find_kernels`.

    Returns:
        List of tuples: the layers that contain the selected layer, from the outermost, and then the layer itself.

    Raises:
        ValueError: If the model is not built, or something in `layers` selects nothing.
    """
    selected = _selection(layers, _weighted_chains(model))
    return [chain for chain in ((model,), *_walk(model)) if selected(chain)]


def check_selection(layers: LayerSelection) -> LayerSelection:
    """Returns `layers` of `find_kernels`, before there is a model; a list for what can be iterated over only once.

    Raises:
        ValueError: If it holds anything else than names, compiled regular expressions, layers and functions.
    """
    if layers is None:
        return None
    items = _items(layers)
    for item in items:
        _test(item)
    return items if isinstance(layers, Iterator) else layers


def own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns the weights of a layer that do not belong to its sublayers."""
    below = {id(w) for child in layer._flatten_layers(include_self=False) for w in child.weights}
    return [w for w in layer.weights if id(w) not in below]


def _weighted_chains(model):
    check_is_keras(model, keras.layers.Layer)
    if not model.built:
        raise ValueError(
            f"The model {model.name!r} is not built, so it has no weights yet. Build it first: begin a Sequential with "
            "keras.Input(shape), call any other model on a batch of data, model(x)."
        )
    return [chain for chain in _walk(model) if own_weights(chain[-1])] or [(model,)]


def _unfit(kernel, frozen):
    """Returns the reason why this kernel cannot be pruned, or None."""
    variable = kernel.variable
    if not isinstance(variable, keras.Variable):
        return "computed from other weights (LoRA or quantization), not a weight of its own"
    if not (variable.trainable or frozen):
        return "not trainable"
    if len(variable.shape) < 2:
        return f"has {len(variable.shape)} dimensions, not 2 or more"
    if not keras.backend.is_float_dtype(variable.dtype):
        return f"of dtype {variable.dtype}, not a float"
    if kernel.shape[1] % kernel.gates:
        return f"its {kernel.shape[1]} columns are no multiple of its {kernel.gates} gates"
    return None


def _walk(layer, above=()):
    """Yields, for every layer inside `layer`, the chain of layers that leads to it."""
    # Keras has no public way to the layers inside a layer: `Model.layers` stops at the first level.
    for child in layer._flatten_layers(include_self=False, recursive=False):
        if all(child is not parent for parent in above):
            yield (*above, child)
            yield from _walk(child, (*above, child))


def _is_recurrent(chain):
    return hasattr(chain[-1], "recurrent_kernel") or any(isinstance(part, keras.layers.RNN) for part in chain)


def _selection(layers, chains):
    """Converts `layers` to a function, and checks that each item selects something.

    Returns:
        Function of a chain. It returns True for all weights of the chain's last layer, or a set of their names, which
        may be empty.
    """
    if layers is None:
        return _is_recurrent
    tests = [(item, _test(item)) for item in _items(layers)]
    for item, test in tests:
        if not any(test(chain) for chain in chains):
            what = item.name if isinstance(item, keras.layers.Layer) else item
            names = sorted({_path(chain[: n + 1]) for chain in chains for n in range(len(chain))})
            raise ValueError(f"layers: {what!r} matches no layer with weights. The model has: {', '.join(names)}.")

    def selected(chain):
        found = [test(chain) for _, test in tests]
        return True if True in found else set().union(*(names for names in found if names))

    return selected


def _check_named(layers, chains, kernels, skipped):
    """Raises ValueError if a name or a layer in `layers` selects nothing that can be pruned."""
    holders = {id(kernel.layer) for kernel in kernels}
    for item in _items(layers):
        matched = [chain for chain in chains if isinstance(item, (str, keras.layers.Layer)) and _test(item)(chain)]
        if matched and not any(id(chain[-1]) in holders for chain in matched):
            paths = tuple(map(_path, matched))
            reasons = "; ".join(f"{path}: {reason}" for path, reason in skipped.items() if path.startswith(paths))
            what = item.name if isinstance(item, keras.layers.Layer) else item
            raise ValueError(f"layers: {what!r} has nothing that can be pruned. {reasons}.")


def _items(layers):
    single = isinstance(layers, (str, re.Pattern)) or callable(layers)
    return [layers] if single or not isinstance(layers, Iterable) else list(layers)


def _test(item):
    if item == "all":
        return lambda chain: True
    if isinstance(item, str):
        return lambda chain: _is_named(chain, item) or _weight_named(chain, item)
    if isinstance(item, re.Pattern):
        return lambda chain: any(item.search(part.name) for part in chain)
    if isinstance(item, keras.layers.Layer):  # before callable(): a layer is callable
        return lambda chain: any(part is item for part in chain)
    if callable(item):
        return lambda chain: bool(item(_holder(chain)))
    raise ValueError(
        f"layers: {item!r} is a {type(item).__name__}; allowed are names, compiled regular expressions, layers and "
        "functions of a layer."
    )


def _is_named(chain, name):
    return any(name in (part.name, _path(chain[: n + 1])) for n, part in enumerate(chain))


def _weight_named(chain, path):
    """Returns the set of names of the layer's prunable weights that have this path; it has one name or none."""
    above, _, name = path.rpartition("/")
    found = prunable_weights(chain[-1]) if above == _path(chain) else ""
    return {name} & set(found) if isinstance(found, dict) else set()


def _path(chain):
    return "/".join(part.name for part in chain)


def _holder(chain):
    """Returns the layer that a user knows: the RNN around a cell, or the layer itself."""
    return next((part for part in reversed(chain) if isinstance(part, keras.layers.RNN)), chain[-1])
