"""Multiply-accumulates (MACs) of matrices that are read source by source: an input or a unit, and what it feeds."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np


def weights_fed(kernel: np.ndarray) -> np.ndarray:
    """The non-zero weights that each source of a kernel `(sources, gates, U)` feeds: `(sources, gates)`."""
    return np.count_nonzero(kernel, axis=2)


def effective_macs(kernels: Sequence[np.ndarray], acting: Sequence[np.ndarray]) -> np.ndarray:
    """MACs of a kernel that skips zero weights and sources that do not act.

    Args:
        kernels: `(sources, gates, U)` each, with the same number of gates.
        acting: For each of them which sources act: booleans `(..., sources)`, with a row for each step.

    Returns:
        `(gates,)`, summed over the steps.
    """
    steps = [active.reshape(-1, active.shape[-1]).sum(axis=0) for active in acting]
    return np.sum([step @ weights_fed(kernel) for step, kernel in zip(steps, kernels, strict=True)], axis=0)


def macs_as_stored(op: Any, in_blocks: Collection[str]) -> tuple[int, int]:
    """MACs of one step of an op where every source acts: `(with every weight, with those that are not skipped)`.

    Args:
        op: One of `keras_sparse_rnn.ops`.
        in_blocks: Names of its matrices that are stored in blocks, whose zero weights are skipped.
    """
    dense = sum(kernel.size for kernel in op.kernels)
    stored = {name: kernel for name, (kernel, _) in op.matrices().items()}
    return dense, int(sum(np.count_nonzero(k) if name in in_blocks else k.size for name, k in stored.items()))
