"""The options of `ksr.convert`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from keras_sparse_rnn.formats import FLOAT32, NUMBER_FORMATS, NumberFormat
from keras_sparse_rnn.ops.schema import BLOCKS
from keras_sparse_rnn.typing import check_flag, is_integer, is_number

MAX_RELATIVE_ERROR = 0.5
SCALES = ("gate", "output")
INPUT_SCALES = ("tensor", "channel")
TARGETS = ("tflm", "litert")


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """The arguments of `ksr.convert` other than the model and its data, as described there.

    Raises:
        ValueError: An argument is out of range, or does not apply to the number format.
    """

    weights: str = "int8"
    scales: str = "gate"
    input_scales: str = "tensor"
    target: str = "tflm"
    batch_size: int = 1
    time_steps: int | None = None
    stateful: bool = False
    block_size: int | None = None
    percentile: float = 100
    labels: Sequence[str] | None = None
    verify: bool = True
    max_relative_error: float = MAX_RELATIVE_ERROR

    def __post_init__(self):
        for name, allowed in (
            ("weights", tuple(NUMBER_FORMATS)),
            ("scales", SCALES),
            ("input_scales", INPUT_SCALES),
            ("target", TARGETS),
            ("block_size", (None, *BLOCKS)),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}; given: {getattr(self, name)!r}.")
        for name, value in (("batch_size", self.batch_size), ("time_steps", self.time_steps)):
            if not (is_integer(value) and value >= 1) and (name, value) != ("time_steps", None):
                hint = " It is fixed in the file; predict takes any number of samples." if name == "batch_size" else ""
                raise ValueError(f"{name} must be an integer of at least 1; given: {value!r}.{hint}")
        for name in ("stateful", "verify"):
            check_flag(name, getattr(self, name))
        percentile = self.percentile
        if not (is_number(percentile) and 50 < percentile <= 100):
            raise ValueError(f"percentile must be a number above 50 and at most 100; given: {percentile!r}.")
        labels = self.labels
        is_list = isinstance(labels, Sequence) and not isinstance(labels, str)
        if labels is not None and not (is_list and all(isinstance(label, str) for label in labels)):
            raise ValueError(f"labels must be a list of strings, a name for each class; given: {labels!r}.")
        most = self.max_relative_error
        if most != math.inf and not (is_number(most) and most > 0):
            raise ValueError(f"max_relative_error must be a number above 0; given: {most!r}.")
        for name, default in (
            ("percentile", 100),
            ("scales", "gate"),
            ("input_scales", "tensor"),
            ("max_relative_error", MAX_RELATIVE_ERROR),
        ):
            if self.number_format is FLOAT32 and getattr(self, name) != default:
                raise ValueError(
                    f"{name} is for integers; with weights='float32' leave it out (given: {getattr(self, name)!r})."
                )

    @property
    def number_format(self) -> NumberFormat:
        return NUMBER_FORMATS[self.weights]

    @property
    def is_integer(self) -> bool:
        return self.number_format.is_integer

    @property
    def blocks(self) -> tuple[int, ...]:
        """Widths of blocks to choose from."""
        return BLOCKS if self.block_size is None else (self.block_size,)
