"""Which weights of a model can be pruned, and where their gates are."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import keras

from keras_sparse_rnn.cells import describe
from keras_sparse_rnn.typing import LayerSelection


@dataclass(frozen=True, eq=False)
class Kernel:
    """A weight matrix that can be pruned.

    Attributes:
        path: Names of the layers from below the model down to the weight, such as `"gru/gru_cell/recurrent_kernel"`.
        variable: The model's own `keras.Variable`, of shape (inputs, gates * units).
        gates: Number of gates side by side in its columns; 1 for Dense and Embedding.
        layer: The layer or cell that holds it.
    """

    path: str
    variable: keras.Variable
    gates: int
    layer: keras.layers.Layer

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of the gates, in the order of the columns; of a Dense or Embedding one empty name."""
        facts = describe(self.layer)
        return ("",) if facts is None else facts.gates[self.path.rpartition("/")[2]]


class KernelSelection(NamedTuple):
    """What `select_kernels` finds.

    Attributes:
        kernels: The prunable kernels.
        skipped: For the path of each layer or weight that was left out the reason.
        left_out: That part of `skipped` that was selected and would have a kernel to prune.
    """

    kernels: list[Kernel]
    skipped: dict[str, str]
    left_out: dict[str, str]


def find_kernels(
    model: keras.layers.Layer, layers: LayerSelection = None, frozen: bool = False
) -> tuple[list[Kernel], dict[str, str]]:
    """Finds the prunable kernels of a built model, in nested models and in wrappers too.

    Prunable are `kernel` and `recurrent_kernel` of SimpleRNN, GRU, LSTM and any cell with these weights and an
    attribute `gates` (see `keras_sparse_rnn.cells`), as those of this package; the weights that a cell with a dict
    `gates` names there, as ONLSTM's master kernels; `kernel` of Dense and `embeddings` of Embedding. A shared weight is
    found once.

    Args:
        model: Built `keras.Model` or layer.
        layers: What to prune. None stands for all recurrent layers, `"all"` for everything. Otherwise one, or an
            iterable, of: a layer's name
            or path (`"gru"`, `"encoder/gru"`); a compiled regular expression, searched for in the names; a layer of
            the model; a function that is given each layer with weights (for a cell: the RNN layer around it) and
            returns whether to prune it. A name, an expression or a layer selects everything prunable below it.
        frozen: Whether kernels that are not trainable count: they can be measured, but not pruned.

    Returns:
        Pair `(kernels, skipped)`: a list of `Kernel`, and a dict that gives for the path of each layer or weight
        that was left out the reason, a string.

    Raises:
        ValueError: If the model is not built, something in `layers` selects no layer, or a name, a path or a layer that
            is given there selects nothing that can be pruned.
    """
    return select_kernels(model, layers, frozen)[:2]


def select_kernels(model: keras.layers.Layer, layers: LayerSelection = None, frozen: bool = False) -> KernelSelection:
    """As `find_kernels`, whose arguments and errors it has, and with those that were selected and left out."""
    chains = _weighted_chains(model)
    selected = _selection(layers, chains)
    kernels, skipped, left_out, seen = [], {}, {}, set()
    # Selected chains first: a layer reached twice, once selected and once not, is pruned.
    for chosen, chain in sorted(((selected(chain), chain) for chain in chains), key=lambda pair: not pair[0]):
        layer, path = chain[-1], "/".join(part.name for part in chain)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        found, reason = _kernels_of(layer, path)
        if reason is None and not chosen:
            reason = "not recurrent: select it with `layers` to prune it" if layers is None else "not in `layers`"
        if reason is not None:
            skipped[path] = reason
            if chosen and any(len(weight.shape) > 1 for weight in own_weights(layer)):
                left_out[path] = reason
            continue
        for kernel in found:
            reason = _unfit(kernel, frozen)
            if reason is not None:
                skipped[kernel.path] = left_out[kernel.path] = reason
            elif id(kernel.variable) not in seen:
                seen.add(id(kernel.variable))
                kernels.append(kernel)
    _check_named(layers, chains, kernels, skipped)
    return KernelSelection(kernels, skipped, left_out)


def select_chains(model: keras.layers.Layer, layers: LayerSelection = None) -> list[tuple[keras.layers.Layer, ...]]:
    """The selected layers of a built model, with and without weights, each behind the layers that it lies in.

    Args:
        model: Built `keras.Model` or layer. It is the first, and in no other chain.
        layers: Which layers, as for `find_kernels`.

    Raises:
        ValueError: If the model is not built, or something in `layers` selects nothing.
    """
    selected = _selection(layers, _weighted_chains(model))
    return [chain for chain in ((model,), *_walk(model)) if selected(chain)]


def own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The weights of a layer that belong to no layer inside it."""
    below = {id(w) for child in layer._flatten_layers(include_self=False) for w in child.weights}
    return [w for w in layer.weights if id(w) not in below]


def _weighted_chains(model):
    if not model.built:
        raise ValueError(
            f"The model {model.name!r} is not built, so it has no weights to prune: give it an Input, or call it on a "
            "batch of data first."
        )
    return [chain for chain in _walk(model) if own_weights(chain[-1])] or [(model,)]


def _kernels_of(layer, path):
    """The kernels of one layer, or the reason why it has none: (list, None) or (None, reason)."""
    if isinstance(layer, keras.layers.Embedding):
        gates = {"embeddings": ("",)}
    elif isinstance(layer, keras.layers.Dense):
        gates = {"kernel": ("",)}
    elif hasattr(layer, "recurrent_kernel"):
        facts = describe(layer)
        if facts is None:
            return None, f"{type(layer).__name__} does not say how many gates its kernels hold (attribute `gates`)"
        gates = facts.gates
    else:
        return None, f"{type(layer).__name__} has no kernel of a kind that can be pruned"
    return [Kernel(f"{path}/{name}", getattr(layer, name), len(of), layer) for name, of in gates.items()], None


def _unfit(kernel, frozen):
    """Why this kernel cannot be pruned after all, or None."""
    variable = kernel.variable
    if not isinstance(variable, keras.Variable):
        return "computed from other weights (LoRA or quantization), not a weight of its own"
    if not (variable.trainable or frozen):
        return "not trainable"
    if len(variable.shape) != 2:
        return f"has {len(variable.shape)} dimensions, not 2"
    if not keras.backend.is_float_dtype(variable.dtype):
        return f"of dtype {variable.dtype}, not a float"
    if variable.shape[1] % kernel.gates:
        return f"its {variable.shape[1]} columns are no multiple of its {kernel.gates} gates"
    return None


def _walk(layer, above=()):
    """Yields for every layer below `layer` the chain of layers that leads to it."""
    # Keras has no public way to the layers inside a layer: `Model.layers` stops at the first level.
    for child in layer._flatten_layers(include_self=False, recursive=False):
        if all(child is not parent for parent in above):
            yield (*above, child)
            yield from _walk(child, (*above, child))


def _is_recurrent(chain):
    return hasattr(chain[-1], "recurrent_kernel") or any(isinstance(part, keras.layers.RNN) for part in chain)


def _selection(layers, chains):
    """Returns the function chain -> bool that `layers` stands for; checks that each item selects something."""
    if layers is None:
        return _is_recurrent
    tests = [(item, _test(item)) for item in _items(layers)]
    for item, test in tests:
        if not any(test(chain) for chain in chains):
            what = item.name if isinstance(item, keras.layers.Layer) else item
            names = sorted(
                {"/".join(part.name for part in chain[: n + 1]) for chain in chains for n in range(len(chain))}
            )
            raise ValueError(f"layers: {what!r} matches no layer with weights. The model has: {', '.join(names)}.")
    return lambda chain: any(test(chain) for _, test in tests)


def _check_named(layers, chains, kernels, skipped):
    """Raises ValueError if a name or a layer among `layers` stands for nothing that can be pruned."""
    holders = {id(kernel.layer) for kernel in kernels}
    for item in _items(layers):
        matched = [chain for chain in chains if isinstance(item, (str, keras.layers.Layer)) and _test(item)(chain)]
        if matched and not any(id(chain[-1]) in holders for chain in matched):
            paths = tuple("/".join(part.name for part in chain) for chain in matched)
            reasons = "; ".join(f"{path}: {reason}" for path, reason in skipped.items() if path.startswith(paths))
            what = item.name if isinstance(item, keras.layers.Layer) else item
            raise ValueError(f"layers: {what!r} has nothing that can be pruned. {reasons}.")


def _items(layers):
    single = isinstance(layers, (str, re.Pattern)) or callable(layers)
    return [layers] if single else list(layers or [])


def _test(item):
    if item == "all":
        return lambda chain: True
    if isinstance(item, str):
        return lambda chain: any(
            item in (part.name, "/".join(above.name for above in chain[: n + 1])) for n, part in enumerate(chain)
        )
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


def _holder(chain):
    """The layer that a user sees: the RNN around a cell, or the layer itself."""
    return next((part for part in reversed(chain) if isinstance(part, keras.layers.RNN)), chain[-1])
