"""The thresholds of held values, scaled at run time (`tflite/include/ksr_thresholds.h`)."""

import numpy as np

from keras_sparse_rnn.typing import is_number

ONE = 256  # Q8
_LARGEST = 2**16 - 1


def scale_in_q8(scale: float) -> int:
    """Returns a scale of thresholds in Q8.

    Raises:
        ValueError: If it is not in [0, 256), or above 0 and so small that it rounds to 0.
    """
    if not (is_number(scale) and 0 <= scale * ONE <= _LARGEST):
        raise ValueError(f"scale must be a number from 0 to {_LARGEST / ONE}; given: {scale!r}.")
    if scale and not round(scale * ONE):
        raise ValueError(f"scale must be 0, or at least 1/{ONE}: it has steps of 1/{ONE}; given: {scale!r}.")
    return round(scale * ONE)


def scaled(thresholds: np.ndarray, scale: int) -> np.ndarray:
    """Returns thresholds times a scale in Q8: floats, or counts, which are rounded down and saturated."""
    if thresholds.dtype == np.float32:
        return thresholds * np.float32(scale / ONE)
    counts = thresholds.astype(np.int64) * scale // ONE
    return np.minimum(counts, np.iinfo(thresholds.dtype).max).astype(thresholds.dtype)
