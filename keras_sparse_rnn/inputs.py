"""Checks whether data fit the inputs of a Keras model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_sparse_rnn.typing import Arrays


def check_inputs(what: str, model: keras.Model, data: Arrays) -> Any:
    """Checks data for `model.predict` before the model runs on them.

    Args:
        what: Name of the data in messages.
        model: Built model. The input shapes of a subclassed model are unknown and not checked.
        data: An array `(samples, ...)`, or a structure of such arrays.

    Returns:
        The same structure of NumPy arrays.

    Raises:
        ValueError: There are no samples, the inputs have different numbers of samples, a shape does not fit, or a value
            is not finite.
    """
    data = keras.tree.map_structure(np.asarray, data)
    arrays, tensors = keras.tree.flatten(data), getattr(model, "inputs", None) or []
    if isinstance(data, dict) and all(tensor.name in data for tensor in tensors):
        arrays = [data[tensor.name] for tensor in tensors] or arrays
    if not arrays or (tensors and len(arrays) != len(tensors)):
        raise ValueError(f"{what} must hold {len(tensors) or 1} arrays, one for each input; given: {len(arrays)}.")
    for place, array in enumerate(arrays):
        shape = array.shape[1:]
        if tensors and not any(_fits(alike, tensors[place].shape[1:]) for alike in _alike(shape)):
            shape = tensors[place].shape[1:]
        title = f"{what} for input '{tensors[place].name}'" if len(tensors) > 1 else what
        check_array(title, array, shape, np.shape(arrays[0])[:1])
    return data


def check_array(
    what: str,
    array: np.ndarray,
    shape: Sequence[int | None],
    samples: tuple[int, ...],
    shown: Sequence[Any] | None = None,
) -> None:
    """Checks the samples for one input.

    Args:
        what: Name of the data in messages.
        array: The samples.
        shape: Shape of a sample; None for axes of any length.
        samples: Number of samples of the first input, as a shape with one axis.
        shown: Shape of a sample in messages; by default `shape`.

    Raises:
        ValueError: The samples do not fit, there are none, or a value is not finite.
    """
    if not _fits(array.shape[1:], shape) or 0 in array.shape or not array.ndim or array.shape[:1] != samples:
        axes = ["any" if size is None else size for size in shown or shape]
        raise ValueError(
            f"{what} must have the shape ({', '.join(map(str, ['samples', *axes]))}) with at least one sample, the "
            f"same number for each input; given: {array.shape}."
        )
    check_finite(what, array)


def check_is_keras(model: Any, kind: type = keras.Model) -> None:
    """Raises TypeError if this is not a Keras model, or layer where `kind` is `keras.layers.Layer`."""
    if not isinstance(model, kind):
        given = f"{type(model).__module__}.{type(model).__name__}"
        advice = " Take ksr.from_tf_keras(model)." if given.startswith(("tf_keras.", "keras.src.legacy")) else ""
        raise TypeError(f"model must be a keras.{kind.__name__}; given: {model!r:.80}, a {given}.{advice}")


def check_finite(what: str, array: np.ndarray) -> None:
    """Raises ValueError if a value is NaN or infinite."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{what} holds NaN or infinite values.")


def _fits(given, shape):
    return len(given) == len(shape) and all(size in (None, own) for own, size in zip(given, shape, strict=True))


def _alike(shape):
    """Returns the shapes that a Keras model treats as equal: with and without a last axis of length 1."""
    return shape, (*shape, 1), shape[:-1] if shape[-1:] == (1,) else shape
