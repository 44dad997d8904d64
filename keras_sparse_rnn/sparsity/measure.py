"""Measures the sparsity of a model: the fraction of weights that are exactly zero, whatever their origin."""

import keras
import numpy as np

from keras_sparse_rnn.sparsity.kernels import find_kernels
from keras_sparse_rnn.typing import LayerSelection


def measure(model: keras.Model, layers: LayerSelection = None) -> float:
    """Returns the fraction of weights that are exactly zero, over all selected kernels of a model.

    Frozen kernels count too.

    Args:
        model: Built `keras.Model`.
        layers: The layers to measure; None for the recurrent layers (see `find_kernels`).

    Returns:
        A float in [0, 1].

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
    """Returns the fraction of weights that are exactly zero in each selected kernel.

    Arguments and errors are those of `measure`.

    Returns:
        Dict from the kernels' paths to floats in [0, 1].
    """
    return {k.path: _zeros(k) / int(np.prod(k.variable.shape)) for k in _kernels(model, layers)}


def _kernels(model, layers):
    kernels, skipped = find_kernels(model, layers, frozen=True)
    if not kernels:
        raise ValueError(f"The model {model.name!r} has no kernel to measure. Skipped: {skipped}.")
    return kernels


def _zeros(kernel):
    return int(np.count_nonzero(kernel.values() == 0))
