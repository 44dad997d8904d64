"""Constraints on masks in addition to blocks: n of m zeros, a density per gate, a kept diagonal."""

from collections.abc import Mapping

import numpy as np

from keras_sparse_rnn.sparsity.kernels import Kernel
from keras_sparse_rnn.typing import BlockShape, check_flag, is_integer, is_number

NEAR = 0.005  # tolerance for sparsities given with two or three digits, such as 0.667


class Pattern:
    """Pattern with `zeros` zeros in every `of` consecutive weights along the inputs of an output.

    Args:
        pattern: Pair (zeros, of), such as (2, 4), with 1 <= zeros < of.

    Raises:
        ValueError: If `pattern` is not such a pair.
    """

    def __init__(self, pattern: tuple[int, int]) -> None:
        try:
            self.zeros, self.of = pattern
            valid = is_integer(self.zeros) and is_integer(self.of) and 1 <= self.zeros < self.of
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(
                f"pattern={pattern!r}: must be a pair (zeros, of) of integers with 1 <= zeros < of, such as (2, 4): "
                "two zeros in every four weights."
            )

    @property
    def sparsity(self) -> float:
        """Fraction of zeros, in (0, 1)."""
        return self.zeros / self.of

    def check(self, kernel: Kernel) -> None:
        """Raises ValueError if the number of inputs of a kernel is not a multiple of `of`."""
        if kernel.shape[0] % self.of:
            raise ValueError(
                f"pattern={(self.zeros, self.of)} does not divide {kernel.path}: each of its outputs has "
                f"{kernel.shape[0]} inputs, no multiple of {self.of}. Choose another pattern, or leave this layer out "
                "with `layers`."
            )

    def reached(self, sparsity: float) -> float:
        """Returns `sparsity`, or exactly the pattern's sparsity if both are equal up to rounding.

        Raises:
            ValueError: If `sparsity` exceeds the pattern's.
        """
        if abs(sparsity - self.sparsity) <= NEAR:
            return self.sparsity
        if sparsity > self.sparsity:
            raise ValueError(
                f"pattern={(self.zeros, self.of)} is a sparsity of {self.sparsity:.4g}, but {sparsity:.4g} was asked "
                f"for: must be {self.sparsity:.4g} in the end, and no more on the way there."
            )
        return sparsity

    def lowest(self, scores: np.ndarray) -> np.ndarray:
        """Returns a bool array of the shape of `scores` (inputs, ...): the `zeros` lowest in each group of `of`."""
        groups = np.moveaxis(scores.reshape(-1, self.of, *scores.shape[1:]), 1, -1)
        chosen = np.zeros(groups.shape, bool)
        np.put_along_axis(chosen, np.argsort(groups, axis=-1, kind="stable")[..., : self.zeros], True, axis=-1)
        return np.moveaxis(chosen, -1, 1).reshape(scores.shape)


class GateDensity:
    """A final density for each gate. It determines how pruned weights are distributed over the gates of a kernel.

    Args:
        gate_density: Maps the name of each gate to the fraction of its weights that finally remains, in (0, 1].

    Raises:
        ValueError: If `gate_density` is not such a mapping.
    """

    def __init__(self, gate_density: Mapping[str, float]) -> None:
        numbers = isinstance(gate_density, Mapping) and gate_density and list(gate_density.values())
        if not numbers or not all(is_number(n) and 0 < n <= 1 for n in numbers):
            raise ValueError(
                f"gate_density={gate_density!r}: must map the name of each gate to a density in (0, 1], such as "
                '{"z": 0.2, "r": 0.3, "h": 0.5}.'
            )
        self._densities = dict(gate_density)
        self.sparsity = 1 - sum(numbers) / len(numbers)
        if self.sparsity == 0:
            raise ValueError(f"gate_density={gate_density!r}: leaves nothing to prune. Leave it out.")

    def check(self, kernel: Kernel) -> None:
        """Raises ValueError if the gates of a kernel have other names."""
        if sorted(kernel.gate_names) != sorted(self._densities):
            gates = ", ".join(map(repr, kernel.gate_names)) if kernel.gates > 1 else "one only, without a name"
            raise ValueError(
                f"gate_density has the gates {', '.join(map(repr, self._densities))}, but those of {kernel.path} are "
                f"{gates}. Name each of its gates, or leave this layer out with `layers`."
            )

    def shares(self, kernel: Kernel, sparsity: float) -> list[float]:
        """Returns the sparsity of each gate of a kernel with the overall sparsity `sparsity`."""
        if abs(sparsity - self.sparsity) <= NEAR:
            sparsity = self.sparsity
        shares = [(1 - self._densities[name]) * sparsity / self.sparsity for name in kernel.gate_names]
        if max(shares) >= 1:
            raise ValueError(
                f"gate_density={self._densities} is a sparsity of {self.sparsity:.4g}, but {sparsity:.4g} was asked "
                f"for: must be {self.sparsity:.4g} in the end, and no more on the way there."
            )
        return shares


def structure_of(
    pattern: tuple[int, int] | None,
    gate_density: Mapping[str, float] | None,
    keep_diagonal: bool,
    block_shape: BlockShape,
) -> Pattern | GateDensity | None:
    """Checks the arguments of a method that describe its masks, and returns the pattern or densities, or None.

    Raises:
        ValueError: If one of them is out of range, or `pattern` is given together with another.
    """
    check_flag("keep_diagonal", keep_diagonal)
    if pattern is not None:
        found = Pattern(pattern)
        if tuple(block_shape) != (1, 1) or gate_density is not None or keep_diagonal:
            raise ValueError(
                f"pattern={pattern!r}: is one of single weights. It goes with block_shape=(1, 1), and not with "
                "gate_density or keep_diagonal."
            )
        return found
    return None if gate_density is None else GateDensity(gate_density)


def diagonal(kernel: Kernel) -> np.ndarray | None:
    """Returns a bool array of the matrix's shape, True on the diagonal of each gate; None if there is no diagonal.

    Only the `recurrent_kernel` of a cell, (units, gates * units), has a diagonal: the weights from each unit to itself.
    """
    rows, columns = kernel.shape
    if not kernel.path.endswith("recurrent_kernel") or rows * kernel.gates != columns:
        return None
    return np.tile(np.eye(rows, dtype=bool), kernel.gates)
