"""The masks over a model's kernels: chosen by score, kept on the device, read back from zeros."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import keras
import numpy as np

from keras_sparse_rnn.sparsity.blocks import Blocks
from keras_sparse_rnn.sparsity.kernels import Kernel
from keras_sparse_rnn.typing import BlockShape, Score, Tensor


class Masks:
    """One mask for each of `kernels`, by blocks of `block_shape`. At first everything is kept.

    Args:
        kernels: List of `Kernel`.
        block_shape: Pair (rows, cols); see `Blocks`.

    Attributes:
        kernels: The kernels.
        blocks: Their `Blocks`, in the same order.
        kept: For each kernel a bool array of shape `blocks.grid`: True for blocks that are kept. Change it by `keep`.
    """

    def __init__(self, kernels: Iterable[Kernel], block_shape: BlockShape = (1, 1)) -> None:
        self.kernels = list(kernels)
        self.blocks = [Blocks(k.shape, k.gates, block_shape, k.path) for k in self.kernels]
        self.kept = [np.ones(blocks.grid, bool) for blocks in self.blocks]
        self._on_device = [None] * len(self.kernels)

    def values(self) -> list[np.ndarray]:
        """The kernels' present values, a list of matrices (inputs, outputs)."""
        return [kernel.values() for kernel in self.kernels]

    def scores(self, score: Score = "l1") -> list[np.ndarray]:
        """For each kernel an array of shape `grid`: what its blocks are worth by `score`, one of `SCORES`.

        A masked block has -inf: it ranks below all others, those that happen to be zero included.
        """
        worth = (blocks.score(w, score) for blocks, w in zip(self.blocks, self.values(), strict=True))
        return [np.where(kept, s, -np.inf) for kept, s in zip(self.kept, worth, strict=True)]

    def keep(self, kept: Sequence[np.ndarray]) -> None:
        """Sets the masks: `kept` is a list of bool arrays of the shapes of `self.kept`. Weights change by `apply`."""
        for i, (old, new) in enumerate(zip(self.kept, kept, strict=True)):
            if not np.array_equal(old, new):
                self.kept[i] = new
                self._on_device[i] = None if new.all() else keras.ops.convert_to_tensor(self.expand(i, new), "bool")

    def expand(self, place: int, blocks: np.ndarray) -> np.ndarray:
        """Array of the shape of the variable of kernel number `place`: each weight has its block's entry of `blocks`.

        Args:
            place: Which kernel.
            blocks: Array of the shape of `self.kept[place]`.
        """
        return self.kernels[place].tensor(self.blocks[place].expand(blocks))

    def prune(
        self,
        sparsity: float | Sequence[float],
        score: Score = "l1",
        scope: Literal["layer", "global"] = "layer",
    ) -> None:
        """Masks the blocks of lowest score so that a share `sparsity` of the weights is masked.

        Args:
            sparsity: Share in [0, 1), of each kernel for `scope="layer"` (or a list, one for each), of all kernels
                together for `"global"`. It is met to within half a block.
            score: One of `SCORES`.
            scope: `"layer"` ranks the blocks of each kernel among themselves, `"global"` those of all kernels.
        """
        scores = self.scores(score)
        sizes = [blocks.sizes for blocks in self.blocks]
        if scope == "layer":
            shares = np.broadcast_to(sparsity, len(scores)).tolist()
            self.keep([~lowest(s, n, share) for s, n, share in zip(scores, sizes, shares, strict=True)])
            return
        all_scores, all_sizes = (np.concatenate([array.ravel() for array in arrays]) for arrays in (scores, sizes))
        flat = lowest(all_scores, all_sizes, float(np.max(sparsity)))
        ends = np.cumsum([s.size for s in scores])[:-1]
        self.keep([~m.reshape(s.shape) for m, s in zip(np.split(flat, ends), scores, strict=True)])

    def recover(self) -> None:
        """Sets the masks from the weights: a block is masked where all its weights are exactly zero."""
        self.keep([blocks.nonzero(w) for blocks, w in zip(self.blocks, self.values(), strict=True)])

    def recover_pruned(self) -> None:
        """As `recover`, but a kernel that is all zeros, or has zeros by chance only, is dense: nobody has pruned it."""
        self.recover()
        self.keep([kept if kept.any() and kept.mean() < 1 - 1e-4 else np.ones_like(kept) for kept in self.kept])

    def tensors(self) -> list[Tensor]:
        """The masks on the device: for each kernel a tensor of bools of its shape, True for what is kept."""
        pairs = zip(self._on_device, self.kernels, strict=True)
        return [keras.ops.ones(k.variable.shape, "bool") if mask is None else mask for mask, k in pairs]

    def apply(self, followers: Mapping[int, keras.Variable] | None = None) -> None:
        """Sets the masked weights to zero, on the device.

        Args:
            followers: Maps `id(variable)` of a kernel to another variable of its shape, masked likewise: its moving
                average.
        """
        variables: list[keras.Variable] = []
        masks: list[Tensor] = []
        for kernel, mask in zip(self.kernels, self._on_device, strict=True):
            if mask is not None:
                average = (followers or {}).get(id(kernel.variable))
                both = [kernel.variable] if average is None else [kernel.variable, average]
                variables += both
                masks += [mask] * len(both)
        _masking(keras.backend.backend())(variables, masks)

    @property
    def sparsity(self) -> float:
        """Share of the kernels' weights that is masked, in [0, 1]."""
        return float(np.average(self.sparsities, weights=[blocks.sizes.sum() for blocks in self.blocks]))

    @property
    def sparsities(self) -> list[float]:
        """Share of the weights that is masked in each kernel, in [0, 1]."""
        pairs = zip(self.blocks, self.kept, strict=True)
        return [int(blocks.sizes[~kept].sum()) / int(blocks.sizes.sum()) for blocks, kept in pairs]

    def zeros(self) -> float:
        """Share of the kernels' weights that are exactly zero at present, masked or not, in [0, 1]."""
        return sum(int(np.count_nonzero(w == 0)) for w in self.values()) / max(1, self.size)

    @property
    def largest_blocks(self) -> float:
        """Share of the kernels' weights that one block of each kernel holds: how exactly a sparsity can be met."""
        return sum(int(blocks.sizes.max()) for blocks in self.blocks) / max(1, self.size)

    @property
    def size(self) -> int:
        """Number of the kernels' weights."""
        return sum(int(blocks.sizes.sum()) for blocks in self.blocks)


def lowest(scores: np.ndarray, sizes: np.ndarray, sparsity: float) -> np.ndarray:
    """Chooses the blocks of lowest score that hold a share `sparsity` of all weights.

    Args:
        scores: Float array, a score for each block. Of equal scores the first goes first.
        sizes: Int array of the same shape: the weights in each block.
        sparsity: Share of `sizes.sum()` to reach, in [0, 1): as near as whole blocks come, but one block always stays.

    Returns:
        Bool array of the same shape, True for the chosen blocks.
    """
    if sizes.min() == sizes.max():
        # Only where the ranks divide counts: a partition is many times faster than a sort.
        chosen = _count_lowest(np.ravel(scores), min(math.ceil(sparsity * scores.size - 0.5), scores.size - 1))
        if chosen is not None:
            return chosen.reshape(np.shape(scores))
    order = np.argsort(scores, axis=None, kind="stable")
    reached = np.concatenate([[0], np.cumsum(np.ravel(sizes)[order])])
    count = min(int(np.argmin(np.abs(reached - sparsity * reached[-1]))), order.size - 1)
    chosen = np.zeros(order.size, bool)
    chosen[order[:count]] = True
    return chosen.reshape(np.shape(scores))


def _count_lowest(scores, count):
    """Bool array, True for the `count` lowest; None if that hangs on scores that are not numbers."""
    chosen = scores == -np.inf  # what is masked already: many equal ones, with which a partition is slow
    missing = count - np.count_nonzero(chosen)
    last = -np.inf
    if missing > 0:
        last = np.partition(scores[~chosen], missing - 1)[missing - 1]
        if np.isnan(last):
            return None
    chosen = scores < last
    chosen[np.flatnonzero(scores == last)[: count - np.count_nonzero(chosen)]] = True
    return chosen


@functools.cache
def _masking(backend):
    """The function that sets variables to zero where a mask is False. It runs after every batch, and must cost nothing.

    Masks are no factors: a weight that has overflowed would become NaN.
    """
    if backend == "tensorflow":
        import tensorflow as tf

        zeros = functools.cache(lambda dtype: tf.zeros((), dtype))

        def apply(variables, masks):
            for variable, mask in zip(variables, masks, strict=True):
                held = variable.value
                held.assign(tf.where(mask, held, zeros(held.dtype)), read_value=False)
    elif backend == "jax":
        import jax

        masked = jax.jit(lambda ws, masks: [jax.numpy.where(m, w, 0) for w, m in zip(ws, masks, strict=True)])

        def apply(variables, masks):
            for variable, value in zip(variables, masked([v.value for v in variables], masks), strict=True):
                variable.assign(value)
    else:

        def apply(variables, masks):
            for variable, mask in zip(variables, masks, strict=True):
                variable.assign(keras.ops.where(mask, variable.value, keras.ops.zeros((), variable.dtype)))

    return apply
