"""Kernels of low rank in place of those of a trained model."""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_sparse_rnn.inputs import check_inputs
from keras_sparse_rnn.layers import FastGRNN, LightGRU
from keras_sparse_rnn.layers.low_rank import check_fits, checked_rank
from keras_sparse_rnn.layers.states import states_of
from keras_sparse_rnn.sparsity.wiring import cloned, is_graph
from keras_sparse_rnn.typing import Arrays, Rank, is_number

_KINDS = (LightGRU, FastGRNN)
_SEARCH_STEPS = 10


def factorize(
    model: keras.Model,
    rank: Rank = None,
    tolerance: float | None = None,
    data: Arrays | None = None,
    layers: Sequence[str] | None = None,
) -> keras.Model:
    """Replaces the kernels of trained recurrent layers by products of two smaller matrices.

    Each `LightGRU` and `FastGRNN` without a rank gets one, and as weights the best approximation of its kernels by
    truncated singular value decomposition. With `data`, the rows of the kernels are weighted by the root mean square of
    the inputs and states that they multiply. The result can be trained further.

    Args:
        model: Built Sequential or Functional model. It is not changed.
        rank: Rank of the layers: an integer for one middle of inputs and state, or a pair for one of each.
        tolerance: In place of `rank`: the largest allowed root mean square error of the outputs on `data`, divided by
            their standard deviation. All layers then get one middle, of the smallest ranks with the same share of the
            kernels' energy that stay within it.
        data: Representative inputs, as for `model.predict`. Required with `tolerance`.
        layers: Names of the layers to replace; by default all of these kinds that the model calls itself.

    Returns:
        A model with the same layers, names and structure, not compiled.

    Raises:
        ValueError: If the model is not built or is subclassed, not exactly one of `rank` and `tolerance` is given, a
            rank is above what the shapes of a layer allow, `layers` names another layer, or there is none to replace.

    Source: Kusupati et al., NeurIPS 2018, arXiv:1901.02358, train such factors from the beginning.

    Example:

    >>> small = ksr.factorize(model, tolerance=0.1, data=x_train[:200])
    """
    if not (isinstance(model, keras.Model) and model.built) or not is_graph(model):
        raise ValueError(f"`model` must be a built Sequential or Functional Keras model. Received: {model!r}")
    if (rank is None) == (tolerance is None):
        raise ValueError(f"give `rank` or `tolerance`. Received: rank={rank!r}, tolerance={tolerance!r}")
    if tolerance is not None and (not (is_number(tolerance) and tolerance > 0) or data is None):
        raise ValueError(f"`tolerance` must be a number above 0, with `data`. Received: tolerance={tolerance!r}")
    chosen = _chosen(model, layers)
    if data is not None:
        data = check_inputs("data", model, data)
    kernels = {layer.name: _Kernels(layer, _scales(model, layer, data)) for layer in chosen}
    if tolerance is None:
        return _smaller(model, _made(model, kernels, dict.fromkeys(kernels, checked_rank(rank))))

    expected = _outputs(model, data)
    found = {name: of.most for name, of in kernels.items()}
    low, high = 0.0, 1.0  # share of the energy that is left out
    for _ in range(_SEARCH_STEPS):
        middle = (low + high) / 2
        ranks = {name: of.rank_without(middle) for name, of in kernels.items()}
        error = _error(_outputs(_made(model, kernels, ranks), data), expected)
        low, high = (middle, high) if error <= tolerance else (low, middle)
        found = ranks if error <= tolerance else found
    return _smaller(model, _made(model, kernels, found))


def _smaller(model, made):
    """Returns the model that was made, with a warning if it has no fewer weights."""
    if made.count_params() >= model.count_params():
        warnings.warn(
            f"the model of low rank has {made.count_params():,} weights, and the one given has "
            f"{model.count_params():,}. Take a lower rank or a larger tolerance.",
            stacklevel=3,
        )
    return made


class _Kernels:
    """The kernels of a layer, and their approximations.

    Attributes:
        most: The largest rank that both have together.
    """

    def __init__(self, layer, scales):
        self.layer = layer
        self._kernel, self._recurrent, *self._others = layer.get_weights()
        self._scales = scales if scales is not None else tuple(np.ones(len(k)) for k in (self._kernel, self._recurrent))
        together = np.concatenate([k * s[:, None] for k, s in zip(self._parts, self._scales, strict=True)])
        self._energy = np.square(np.linalg.svd(together, compute_uv=False))
        self.most = min(together.shape)

    @property
    def _parts(self):
        return self._kernel, self._recurrent

    def rank_without(self, share):
        """The smallest rank whose product leaves out at most this share of the energy."""
        left_out = 1 - np.cumsum(self._energy) / self._energy.sum()
        return int(min(np.count_nonzero(left_out > share) + 1, self.most))

    def weights(self, rank):
        """Those of the layer with this rank."""
        if isinstance(rank, int):
            whole, scales = np.concatenate(self._parts), np.concatenate(self._scales)
            sources, gates = _factors(whole, scales, rank)
            return [sources[: len(self._kernel)], sources[len(self._kernel) :], gates, *self._others]
        (kernel, of_x), (recurrent, of_h) = map(_factors, self._parts, self._scales, rank)
        return [kernel, recurrent, np.concatenate([of_x, of_h]), *self._others]


def _factors(kernel, scales, rank):
    """Two matrices whose product comes nearest to a kernel, whose rows count by their scales."""
    u, s, v = np.linalg.svd(kernel * scales[:, None], full_matrices=False)
    root = np.sqrt(s[:rank])
    return u[:, :rank] * root / scales[:, None], root[:, None] * v[:rank]


def _chosen(model, names):
    if isinstance(names, str):
        raise ValueError(f"`layers` must be a list of names. Received: {names!r}; for one layer take [{names!r}]")
    known = {layer.name: layer for layer in model.layers if isinstance(layer, _KINDS) and layer.rank is None}
    wrong = [name for name in (names or ()) if name not in known]
    if wrong or not known:
        raise ValueError(
            f"model '{model.name}' has {'no layer ' + repr(wrong[0]) if wrong else 'no layer'} that can be factorized: "
            f"a LightGRU or a FastGRNN without a rank that the model calls itself. Of those it has: "
            f"{', '.join(known) or 'none'}."
        )
    return [layer for name, layer in known.items() if names is None or name in names]


def _scales(model, layer, data):
    """Root mean squares of the inputs and of the states of a layer; None without data."""
    if data is None:
        return None
    arguments = layer._inbound_nodes[0].arguments
    given = inspect.signature(layer.call).bind(*arguments.args, **arguments.kwargs).arguments
    before = given.get("initial_state")
    before = None if before is None else keras.tree.flatten(before)
    states = states_of(layer, given["sequences"], initial_state=before, mask=given.get("mask"))
    probe = keras.Model(model.inputs, [given["sequences"], *states])
    x, h = probe.predict(data, verbose=0)
    scales = [np.sqrt(np.square(values).mean(axis=(0, 1))) for values in (x, h)]
    return tuple(np.maximum(scale, 1e-3 * max(scale.max(), 1e-6)) for scale in scales)


def _made(model, kernels, ranks):
    """The model with other layers in the places of those that have kernels here."""
    made = {}

    def clone(layer):
        if layer.name not in ranks or layer is not kernels[layer.name].layer:
            return type(layer).from_config(layer.get_config())
        rank, cell = ranks[layer.name], layer.cell
        try:
            check_fits(rank, cell.kernel.shape[0], cell.units, cell.kernel.shape[1])
        except ValueError as error:
            raise ValueError(f"layer '{layer.name}': {error}") from error
        made[layer.name] = type(layer).from_config({**layer.get_config(), "rank": rank})
        return made[layer.name]

    new = cloned(model, clone)
    for old, layer in zip(model.layers, new.layers, strict=True):
        is_made = layer is made.get(old.name)
        layer.set_weights(kernels[old.name].weights(ranks[old.name]) if is_made else old.get_weights())
    return new


def _outputs(model, data):
    return [np.asarray(part) for part in keras.tree.flatten(model.predict(data, verbose=0))]


def _error(outputs: list[Any], expected: list[Any]) -> float:
    pairs = zip(outputs, expected, strict=True)
    return max(float(np.sqrt(np.square(a - b).mean()) / max(b.std(), 1e-12)) for a, b in pairs)
