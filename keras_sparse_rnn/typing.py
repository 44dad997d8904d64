"""Types of arguments for which Keras and NumPy have no name, and checks of numbers."""

import math
import numbers
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from keras_sparse_rnn.convert import ConvertedModel
    from keras_sparse_rnn.runtime.model import Model

Tensor: TypeAlias = Any
"""A tensor of the Keras backend."""

Shape: TypeAlias = tuple[int | None, ...]
"""The shape of a tensor; None for axes of any length."""

Arrays: TypeAlias = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]
"""The inputs of a model: an array, or for several inputs a list of them or a dict by their names."""

Activation: TypeAlias = str | Callable[[Any], Any] | None
Initializer: TypeAlias = str | dict[str, Any] | Callable[..., Any]
Regularizer: TypeAlias = str | dict[str, Any] | Callable[[Any], Any] | None
Constraint: TypeAlias = str | dict[str, Any] | Callable[[Any], Any] | None
"""As Keras accepts them: a name, a configuration, or an object."""

Score: TypeAlias = Literal["l1", "l2", "max"]
"""Score of a block of weights; see `sparsity.Blocks.score`."""

Rank: TypeAlias = int | tuple[int, int] | None
"""Rank of the kernels of a recurrent layer: of both together, or of that of the inputs and that of the state."""

BlockShape: TypeAlias = tuple[int, int]
"""(rows, cols) of the blocks that tile a kernel."""

ScheduleFunction: TypeAlias = Callable[[int], tuple[Any, Any]]
"""step -> (due, value): one of `schedules`, one of tensorflow-model-optimization's, or any such function."""

LayerSelector: TypeAlias = str | re.Pattern[str] | Callable[[Any], Any]
LayerSelection: TypeAlias = LayerSelector | Iterable[LayerSelector] | None
"""Which layers: names, compiled regular expressions, layers, or functions of a layer; see `sparsity.find_kernels`."""

EngineName: TypeAlias = Literal["litert", "tflm", "native", "reference"]
"""See `runtime.load`."""

ModelSource: TypeAlias = Union[str, os.PathLike[str], bytes, "Model", "ConvertedModel"]
"""A `.tflite` model: its path, its bytes, a `runtime.model.Model`, or what `ksr.convert` returns."""


def is_real(value: Any) -> bool:
    """Whether `value` is a real number of Python or NumPy, finite or not, but not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether `value` is a finite real number of Python or NumPy, but not a bool."""
    return is_real(value) and math.isfinite(value)


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer of Python or NumPy, but not a bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_flag(name: str, value: Any) -> bool:
    """Returns a bool of Python or NumPy as a Python bool. Raises ValueError, with the argument's name, for anything
    else."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}={value!r}: must be True or False.")
    return bool(value)


def check_seed(seed: Any) -> int | None:
    """A seed of Python or NumPy as one of Python, or None; ValueError for anything else."""
    if seed is not None and not is_integer(seed):
        raise ValueError(f"seed={seed!r}: must be an integer, or None.")
    return None if seed is None else int(seed)


def not_negative(name: str, value: Any) -> np.ndarray:
    """Returns a number or a list of numbers as an array. Raises ValueError, with the argument's name, unless all are >=
    0."""
    given = np.asarray(value)
    are_numbers = given.dtype.kind in "iuf" and given.ndim <= 1 and given.size
    if not (are_numbers and np.all((given >= 0) & (given < math.inf))):
        raise ValueError(f"`{name}` must be a number or a list of numbers, >= 0. Received: {value!r}")
    return given.astype("float64")
