"""How sparse a model is: counts of exact zeros in its weights, whoever put them there."""

import keras
import numpy as np

from keras_sparse_rnn.sparsity.kernels import find_kernels
from keras_sparse_rnn.typing import LayerSelection


def measure(model: keras.Model, layers: LayerSelection = None) -> float:
    """Share of the weights that are exactly zero, in [0, 1], over all selected kernels of a built model.

    Frozen kernels count like those that are trained.

    Args:
        model: Built `keras.Model`.
        layers: Which layers to count; None for the recurrent ones (see `find_kernels`).

    Raises:
        ValueError: If the model is not built, or nothing in it can be measured.

    Example:

    >>> sparsity.measure(model)
    0.9
    """
    kernels = _kernels(model, layers)
    weights = sum(int(np.prod(kernel.variable.shape)) for kernel in kernels)
    return sum(_zeros(kernel) for kernel in kernels) / weights


def measure_kernels(model: keras.Model, layers: LayerSelection = None) -> dict[str, float]:
    """Share of exact zeros in each selected kernel: a dict from the kernel's path to a number in [0, 1].

    Arguments and errors are those of `measure`.
    """
    return {k.path: _zeros(k) / int(np.prod(k.variable.shape)) for k in _kernels(model, layers)}


def _kernels(model, layers):
    kernels, skipped = find_kernels(model, layers, frozen=True)
    if not kernels:
        raise ValueError(f"The model {model.name!r} has no kernel to measure. Skipped: {skipped}.")
    return kernels


def _zeros(kernel):
    return int(np.count_nonzero(kernel.values() == 0))
