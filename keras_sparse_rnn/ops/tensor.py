"""What is known of a tensor without the model around it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class TensorInfo:
    """One tensor of a model.

    Attributes:
        name: Its name in the file.
        shape: Its dimensions.
        dtype: NumPy dtype.
        scale, zero_point: `real = (stored - zero_point) * scale`; arrays if each channel has its own, None if the
            tensor is not quantized.
        data: Its constant value (read-only), or None.
        is_variable: Whether it keeps its value from one inference to the next.
        sparsity: Its `SparsityParameters`, as the schema's object, if `data` are the flat values of that encoding;
            otherwise None.
        channel_axis: The axis of the scales if there are several.
    """

    name: str
    shape: tuple
    dtype: np.dtype
    scale: float | np.ndarray | None = None
    zero_point: int | np.ndarray | None = None
    data: np.ndarray | None = None
    is_variable: bool = False
    sparsity: Any = None
    channel_axis: int = 0

    def quantize(self, values: ArrayLike) -> np.ndarray:
        """Converts real `values` to the dtype of this tensor; values that have that dtype already pass unchanged.

        Raises:
            ValueError: A value is NaN, which integers cannot represent; or the tensor holds integers without a scale,
                and its dtype cannot represent a value.
        """
        values = np.asarray(values)
        if values.dtype == self.dtype:
            return np.ascontiguousarray(values)
        if self.scale is None:
            with np.errstate(invalid="ignore"):
                stored = np.asarray(values, self.dtype, order="C")
            if self.dtype.kind in "iub" and not np.array_equal(stored, values):
                wrong = values[stored != values][0]
                raise ValueError(f"tensor '{self.name}' takes {self._allowed()}; given: {wrong}.")
            return stored
        if np.isnan(values).any():
            raise ValueError(f"values for tensor '{self.name}' hold NaN, which an integer model cannot take.")
        limits = np.iinfo(self.dtype)
        stored = np.rint(values / self.scale) + self.zero_point
        return np.clip(stored, limits.min, limits.max).astype(self.dtype)

    def _allowed(self):
        """The values that a tensor without a scale takes, in words."""
        if self.dtype.kind == "b":
            return "False and True, or 0 and 1"
        limits = np.iinfo(self.dtype)
        return f"integers from {limits.min} to {limits.max} ({self.dtype.name})"

    @property
    def is_ready(self) -> bool:
        """Whether it holds values before anything has run."""
        return self.data is not None or self.is_variable or 0 in self.shape

    def zeros(self) -> np.ndarray:
        """The value of a variable tensor after an interpreter's reset: real 0, but the bits 0 in int16."""
        zero = self.zero_point if self.dtype == np.int8 and self.scale is not None else 0
        return np.full(self.shape, zero, self.dtype)

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Converts `stored` values to real ones (float32); values of tensors without a scale pass unchanged."""
        if self.scale is None or self.zero_point is None:
            return stored
        return ((stored.astype(np.int32) - self.zero_point) * self.scale).astype(np.float32)
