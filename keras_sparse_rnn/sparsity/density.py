"""How many weights each kernel has at the start of a training that is sparse from its beginning."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

INITS = ("uniform", "er", "erk")


def kernel_densities(
    shapes: Sequence[Sequence[int]], density: float, init: Literal["uniform", "er", "erk"] = "uniform"
) -> list[float]:
    """Shares `density` of all weights out among the kernels.

    `"uniform"` gives each kernel the same density. `"er"` makes it, by the Erdos-Renyi rule of SET (arXiv:1707.04780),

        density of a kernel = epsilon * sum(shape) / prod(shape)

    with the epsilon that gives the density asked over all kernels, so that large kernels are sparser than small ones.
    Kernels whose density would pass 1 are dense and epsilon is solved again, as in RigL (arXiv:1911.11134). `"erk"`,
    RigL's name for the rule with the dimensions of a convolution in it, is the same rule for shapes of any rank.

    Args:
        shapes: List of shapes, one a kernel: for `"er"` (inputs, outputs), for `"erk"` those of the variables. A kernel
            of stacked gates, (inputs, gates * units), counts as one matrix.
        density: Share of the weights of all kernels together, in (0, 1].
        init: One of `INITS`.

    Returns:
        List of floats in (0, 1], one for each shape.
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
