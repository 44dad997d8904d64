"""Multiply-accumulates (MACs) of matrices that are read source by source: an input or a unit, and what it feeds."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np


def effective_macs(kernels: Sequence[np.ndarray], acting: Sequence[np.ndarray]) -> np.ndarray:
    """MACs of kernels that skip zero weights and sources that do not act.

    Args:
        kernels: `(sources, gates, U)` each, with the same number of gates.
        acting: For each of them `(sources,)`: in how many steps each source acts, or for a single step whether it does.

    Returns:
        `(gates,)`, summed over the steps.
    """
    fed = [np.count_nonzero(kernel, axis=2) for kernel in kernels]  # by each source, for each gate
    return np.sum([steps @ weights for steps, weights in zip(acting, fed, strict=True)], axis=0)


def macs_as_stored(op: Any, in_blocks: Collection[str]) -> tuple[int, int]:
    """MACs of one step of an op where every source acts: `(with every weight, with those that are not skipped)`.

    Args:
        op: One of `keras_sparse_rnn.ops`.
        in_blocks: Names of its matrices that are stored in blocks, whose zero weights are skipped.
    """
    dense = sum(kernel.size for kernel in op.kernels)
    stored = {name: kernel for name, (kernel, _) in op.matrices().items()}
    return dense, int(sum(np.count_nonzero(k) if name in in_blocks else k.size for name, k in stored.items()))
