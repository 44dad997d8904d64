"""Multiply-accumulates (MACs) of matrices that are read source by source; a source is an input or a unit."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np


def effective_macs(kernels: Sequence[np.ndarray], acting: Sequence[np.ndarray]) -> np.ndarray:
    """Counts the MACs of kernels that skip zero weights and inactive sources.

    Args:
        kernels: List of kernels `(sources, gates, U)` with the same number of gates.
        acting: List of arrays `(sources,)`, one for each kernel: the number of steps in which a source is active, or
            for a single step whether it is.

    Returns:
        MACs by gate, `(gates,)`, summed over the steps.
    """
    fed = [np.count_nonzero(kernel, axis=2) for kernel in kernels]  # by each source, for each gate
    return np.sum([steps @ weights for steps, weights in zip(acting, fed, strict=True)], axis=0)


def macs_as_stored(op: Any, in_blocks: Collection[str]) -> tuple[int, int]:
    """Counts the MACs of one step of an op in which every source is active.

    Args:
        op: One of `keras_sparse_rnn.ops`.
        in_blocks: Names of its matrices that are stored in blocks, whose zero weights are skipped.

    Returns:
        A tuple `(MACs of all weights, MACs of the weights that are not skipped)`.
    """
    dense = sum(kernel.size for kernel in op.kernels)
    stored = {name: kernel for name, (kernel, _) in op.matrices().items()}
    return dense, int(sum(np.count_nonzero(k) if name in in_blocks else k.size for name, k in stored.items()))
