"""The initial density of each kernel in sparse-to-sparse training."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

INITS = ("uniform", "er", "erk")


def kernel_densities(
    shapes: Sequence[Sequence[int]], density: float, init: Literal["uniform", "er", "erk"] = "uniform"
) -> list[float]:
    """Distributes an overall density over the kernels.

    `"uniform"` gives each kernel the same density. `"er"` is the Erdos-Renyi rule of SET (arXiv:1707.04780),

        density of a kernel = epsilon * sum(shape) / prod(shape)

    where epsilon is chosen such that all kernels together have the given density. Large kernels are sparser than small
    ones. Kernels whose density would exceed 1 are dense, and epsilon is computed again for the others, as in RigL
    (arXiv:1911.11134). `"erk"` is RigL's name for the same rule with all dimensions of a convolution, for shapes of any
    rank.

    Args:
        shapes: List with one shape per kernel: (inputs, outputs) for `"er"`, the shapes of the variables for `"erk"`. A
            kernel of stacked gates, (inputs, gates * units), counts as one matrix.
        density: Fraction of the weights of all kernels together, in (0, 1].
        init: One of `INITS`.

    Returns:
        List of densities, floats in (0, 1], one per shape.
    """
    if init == "uniform":
        return [density] * len(shapes)
    sizes, reach = np.array([[np.prod(shape), np.sum(shape)] for shape in shapes], float).T
    dense = np.zeros(len(shapes), bool)
    while not dense.all():
        epsilon = (density * sizes.sum() - sizes[dense].sum()) / reach[~dense].sum()
        above = ~dense & (epsilon * reach > sizes)
        if not above.any():
            break
        dense |= above
    return [1.0 if full else float(epsilon * r / n) for full, r, n in zip(dense, reach, sizes, strict=True)]
