"""Masks over a model's kernels: chosen by score, stored on the device, recovered from zeros."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import keras
import numpy as np

from keras_sparse_rnn.sparsity.blocks import Blocks
from keras_sparse_rnn.sparsity.kernels import Kernel
from keras_sparse_rnn.sparsity.structure import GateDensity, Pattern, diagonal
from keras_sparse_rnn.typing import BlockShape, Score, Tensor, check_flag


class Masks:
    """One mask per kernel, in blocks of `block_shape`. Initially nothing is masked.

    Args:
        kernels: List of `Kernel`.
        block_shape: Pair (rows, cols); see `Blocks`.
        pattern: Pair (zeros, of): `prune` masks at most `zeros` of every `of` weights along the inputs of an output.
        gate_density: Maps the name of each gate to a density: `prune` distributes the masked weights over the gates.
        keep_diagonal: Whether to keep the diagonals of recurrent kernels, even in masked blocks.

    Attributes:
        kernels: The kernels.
        blocks: Their `Blocks`, in the same order.
        kept: List with a bool array of shape `blocks.grid` per kernel, True for blocks that are kept. Set it with
            `keep`.
        maskable: List with an int array of shape `blocks.grid` per kernel: the number of weights that masking a block
            sets to zero, all except those on a kept diagonal.
        pattern: The `Pattern`, or None.

    Raises:
        ValueError: If an argument is out of range, a block is larger than a gate, the number of inputs of a kernel is
            not a multiple of `of`, its gates have other names, or none of the kernels has a diagonal.
    """

    def __init__(
        self,
        kernels: Iterable[Kernel],
        block_shape: BlockShape = (1, 1),
        pattern: tuple[int, int] | None = None,
        gate_density: Mapping[str, float] | None = None,
        keep_diagonal: bool = False,
    ) -> None:
        check_flag("keep_diagonal", keep_diagonal)
        self.kernels = list(kernels)
        self.blocks = [Blocks(k.shape, k.gates, block_shape, k.path) for k in self.kernels]
        self.kept = [np.ones(blocks.grid, bool) for blocks in self.blocks]
        self._on_device = [None] * len(self.kernels)
        self.pattern = None if pattern is None else Pattern(pattern)
        self._gate_density = None if gate_density is None else GateDensity(gate_density)
        structure = self.pattern or self._gate_density
        if structure is not None:
            for kernel in self.kernels:
                structure.check(kernel)
        self._diagonals = [diagonal(kernel) if keep_diagonal else None for kernel in self.kernels]
        if keep_diagonal and all(found is None for found in self._diagonals):
            paths = ", ".join(kernel.path for kernel in self.kernels)
            raise ValueError(f"keep_diagonal=True: none of {paths} is a recurrent kernel (units, gates * units).")
        self.maskable = [
            blocks.sizes if on is None else blocks.count(~on)
            for blocks, on in zip(self.blocks, self._diagonals, strict=True)
        ]
        # Sums and comparisons over all blocks take longer than the choice itself, so they are made once.
        self._block_sizes = [int(s.flat[0]) if s.min() == s.max() else s for s in self.maskable]
        self._sizes = [int(blocks.sizes.sum()) for blocks in self.blocks]
        self._maskable_sizes = [int(sizes.sum()) for sizes in self.maskable]

    @property
    def structure_sparsity(self) -> float | None:
        """The final sparsity of `pattern` or `gate_density`, in (0, 1); None without either."""
        structure = self.pattern or self._gate_density
        return None if structure is None else structure.sparsity

    def values(self) -> list[np.ndarray]:
        """Returns the kernels' current values, a list of matrices (inputs, outputs), with zeros on a kept diagonal."""
        return [self.off_diagonal(place, kernel.values()) for place, kernel in enumerate(self.kernels)]

    def off_diagonal(self, place: int, matrix: np.ndarray) -> np.ndarray:
        """Returns a matrix of the shape of kernel number `place`, with zeros (or False) on a kept diagonal."""
        on = self._diagonals[place]
        return matrix if on is None else np.where(on, np.zeros((), matrix.dtype), matrix)

    def scores(self, score: Score = "l1") -> list[np.ndarray]:
        """Returns, for each kernel, an array of shape `grid` with the scores of its blocks by `score`, one of `SCORES`.

        Masked blocks have -inf, so they rank below all others, including kept blocks that happen to be zero.
        """
        worth = (blocks.score(w, score) for blocks, w in zip(self.blocks, self.values(), strict=True))
        return [np.where(kept, s, -np.inf) for kept, s in zip(self.kept, worth, strict=True)]

    def keep(self, kept: Sequence[np.ndarray]) -> None:
        """Sets the masks to `kept`, a list of bool arrays like `self.kept`. `apply` then changes the weights."""
        for i, (old, new) in enumerate(zip(self.kept, kept, strict=True)):
            if not np.array_equal(old, new):
                self.kept[i] = new
                self._on_device[i] = None if new.all() else _as_applied(self.kernels[i].variable, self._mask(i))

    def expand(self, place: int, blocks: np.ndarray) -> np.ndarray:
        """Expands an array with one entry per block to one with an entry per weight.

        Args:
            place: Index of the kernel.
            blocks: Array of the shape of `self.kept[place]`.

        Returns:
            Array of the shape of the kernel's variable.
        """
        return self.kernels[place].tensor(self.blocks[place].expand(blocks))

    def _mask(self, place):
        mask, on = self.blocks[place].expand(self.kept[place]), self._diagonals[place]
        return self.kernels[place].tensor(mask if on is None else mask | on)

    def prune(
        self,
        sparsity: float | Sequence[float],
        score: Score = "l1",
        scope: Literal["layer", "global"] = "layer",
    ) -> None:
        """Masks the blocks with the lowest scores, so that a fraction `sparsity` of the weights is masked.

        Args:
            sparsity: Fraction of weights to mask, in [0, 1): of each kernel with `scope="layer"` (or a list with one
                fraction per kernel), of all kernels together with `"global"`. It is met to within half a block.
            score: One of `SCORES`.
            scope: `"layer"` ranks the blocks of each kernel separately, `"global"` those of all kernels together.

        Raises:
            ValueError: If `sparsity` exceeds that of `pattern` or `gate_density`.
        """
        self.keep(self.choose(self.scores(score), sparsity, scope))

    def choose(
        self,
        scores: Sequence[np.ndarray],
        sparsity: float | Sequence[float],
        scope: Literal["layer", "global"] = "layer",
    ) -> list[np.ndarray]:
        """Chooses masks as `prune` does, by the given scores, and returns them in the form of `kept`.

        Args:
            scores: List with a float array of the shape of `kept` per kernel; the lowest are masked.
            sparsity, scope: See `prune`.
        """
        ranks = self._ranks(scores)
        if scope == "layer":
            shares = np.broadcast_to(sparsity, len(self.kernels)).tolist()
            return [~self._lowest(i, s, shares[i]) for i, s in enumerate(ranks)]
        # In one list, where weights that must not be masked have infinite scores and are never reached.
        flat, sizes = (np.concatenate([array.ravel() for array in arrays]) for arrays in (ranks, self.maskable))
        share = self.pattern.reached(float(np.max(sparsity))) if self.pattern else float(np.max(sparsity))
        chosen = lowest(flat, sizes, share * self.size / sizes.sum())
        ends = np.cumsum([s.size for s in ranks])[:-1]
        return [~m.reshape(s.shape) for m, s in zip(np.split(chosen, ends), ranks, strict=True)]

    def _ranks(self, scores):
        """Returns the scores, infinite for blocks that must not be masked."""
        ranks = scores
        if self.pattern:
            ranks = [np.where(self.pattern.lowest(s), s, np.inf) for s in ranks]
        each = zip(ranks, self.maskable, self._diagonals, strict=True)
        return [s if on is None else np.where(sizes > 0, s, np.inf) for s, sizes, on in each]

    def _lowest(self, place, ranks, sparsity):
        """Returns the blocks to mask in one kernel for a given sparsity of this kernel."""
        sizes, full = self.maskable[place], self.blocks[place].sizes
        if self._gate_density is None:
            share = self.pattern.reached(sparsity) if self.pattern else sparsity
            return lowest(ranks, self._block_sizes[place], share * self._sizes[place] / self._maskable_sizes[place])
        shares = self._gate_density.shares(self.kernels[place], sparsity)
        of_gates = [
            lowest(ranks[:, [g]], sizes[:, [g]], share * full[:, g].sum() / sizes[:, g].sum())
            for g, share in enumerate(shares)
        ]
        return np.concatenate(of_gates, axis=1)

    def recover(self) -> None:
        """Sets the masks from the weights: a block is masked if all of its weights are exactly zero."""
        each = zip(self.blocks, self.values(), self.maskable, strict=True)
        self.keep([blocks.nonzero(w) | (sizes == 0) for blocks, w, sizes in each])

    def recover_pruned(self) -> None:
        """Like `recover`, but kernels that are all zeros, or have few zeros by chance, count as dense: not pruned."""
        self.recover()
        self.keep([kept if kept.any() and kept.mean() < 1 - 1e-4 else np.ones_like(kept) for kept in self.kept])

    def fits_structure(self, complete: bool = False) -> bool:
        """Whether the masks fit the pattern or gate densities, so that `prune` can extend them and no block returns.

        Args:
            complete: Whether they must have the full sparsity of the pattern or of each gate already.
        """
        if self.pattern:
            masked = (~kept for kept in self.kept)
            fit = all(not (m & ~self.pattern.lowest(np.where(m, -1, 0))).any() for m in masked)
            return fit and not (complete and any(abs(s - self.pattern.sparsity) > 1e-9 for s in self.sparsities))
        if self._gate_density:
            for i, kernel in enumerate(self.kernels):
                shares = self._gate_density.shares(kernel, self.sparsities[i])
                masked = np.where(self.kept[i], 0, self.maskable[i]).sum(axis=(0, 2))
                wanted = np.array(shares) * self.blocks[i].sizes.sum(axis=(0, 2))
                off, tolerance = masked - wanted, 1.5 * self.blocks[i].sizes.max()
                if (off > tolerance).any() or (complete and (off < -tolerance).any()):
                    return False
        return True

    def tensors(self) -> list[Tensor]:
        """Returns the masks on the device: a bool tensor of each variable's shape, True for kept weights."""
        pairs = zip(self._on_device, self.kernels, strict=True)
        return [
            keras.ops.ones(k.variable.shape, "bool") if mask is None else keras.ops.cast(mask, "bool")
            for mask, k in pairs
        ]

    def apply(self, followers: Mapping[int, keras.Variable] | None = None) -> None:
        """Sets the masked weights to zero, on the device.

        Args:
            followers: Maps `id(variable)` of a kernel to another variable of the same shape that is masked too, such as
                its moving average.
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
        """Fraction of the kernels' weights that is masked, in [0, 1]."""
        return float(np.average(self.sparsities, weights=self._sizes))

    @property
    def sparsities(self) -> list[float]:
        """Fraction of the weights that is masked in each kernel, in [0, 1]."""
        each = zip(self._sizes, self.maskable, self.kept, strict=True)
        return [int(sizes[~kept].sum()) / size for size, sizes, kept in each]

    def zeros(self) -> float:
        """Returns the fraction of the kernels' weights that are now exactly zero, masked or not, in [0, 1]."""
        return sum(int(np.count_nonzero(k.values() == 0)) for k in self.kernels) / max(1, self.size)

    @property
    def largest_blocks(self) -> float:
        """Fraction of the weights in one block per ranked list: the accuracy with which a sparsity is met."""
        lists = [kernel.gates if self._gate_density else 1 for kernel in self.kernels]
        return sum(n * int(b.sizes.max()) for n, b in zip(lists, self.blocks, strict=True)) / max(1, self.size)

    @property
    def size(self) -> int:
        """Number of the kernels' weights."""
        return sum(self._sizes)


def lowest(scores: np.ndarray, sizes: np.ndarray | int, sparsity: float) -> np.ndarray:
    """Chooses the blocks with the lowest scores that contain a fraction `sparsity` of all weights.

    Args:
        scores: Float array with a score per block. Among equal scores, the first is chosen first.
        sizes: Int array of the same shape: the number of weights in each block. Or an integer if all are equal.
        sparsity: Fraction of all weights to reach, in [0, 1), to the nearest whole block. One block always remains.

    Returns:
        Bool array of the same shape, True for the chosen blocks.
    """
    if isinstance(sizes, int) or sizes.min() == sizes.max():
        # Only the boundary between the ranks matters, and a partition is many times faster than a sort.
        chosen = _count_lowest(np.ravel(scores), min(math.ceil(sparsity * scores.size - 0.5), scores.size - 1))
        if chosen is not None:
            return chosen.reshape(np.shape(scores))
    sizes = np.broadcast_to(sizes, np.shape(scores))
    order = np.argsort(scores, axis=None, kind="stable")
    reached = np.concatenate([[0], np.cumsum(np.ravel(sizes)[order])])
    count = min(int(np.argmin(np.abs(reached - sparsity * reached[-1]))), order.size - 1)
    chosen = np.zeros(order.size, bool)
    chosen[order[:count]] = True
    return chosen.reshape(np.shape(scores))


def beside(variable, mask):
    """Returns a mask on the devices of its variable; on JAX, with the same sharding."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.device_put(mask, variable.value.sharding)
    return keras.ops.convert_to_tensor(mask, "bool")


def _count_lowest(scores, count):
    """Returns a bool array, True for the `count` lowest scores; None if the result depends on NaN scores."""
    chosen = scores == -np.inf  # already masked; a partition is slow with many equal scores
    missing = count - np.count_nonzero(chosen)
    last = -np.inf
    if missing > 0:
        last = np.partition(scores[~chosen], missing - 1)[missing - 1]
        if np.isnan(last):
            return None
    chosen = scores < last
    chosen[np.flatnonzero(scores == last)[: count - np.count_nonzero(chosen)]] = True
    return chosen


def _as_applied(variable, mask):
    """A mask as `_masking` takes it."""
    if keras.backend.backend() == "tensorflow":
        return keras.ops.convert_to_tensor(mask, variable.dtype)
    return beside(variable, mask)


@functools.cache
def _masking(backend):
    """Returns the function that sets variables to zero where a mask is False.

    It runs after every batch, so it must be fast. An infinite or NaN weight becomes zero, not NaN.
    """
    if backend == "tensorflow":
        import tensorflow as tf

        ops = tf.raw_ops  # less than half the time of tf.where and Variable.assign

        def apply(variables, masks):
            for variable, mask in zip(variables, masks, strict=True):
                held = variable.value
                if isinstance(held, tf.distribute.DistributedValues):
                    held.assign(tf.math.multiply_no_nan(held, mask), read_value=False)
                else:
                    weights = ops.ReadVariableOp(resource=held.handle, dtype=held.dtype)
                    ops.AssignVariableOp(resource=held.handle, value=ops.MulNoNan(x=weights, y=mask))
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
