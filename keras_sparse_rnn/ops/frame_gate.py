"""KsrFrameGate: which steps of a sequence are computed (`tflite/include/ksr_frame_gate.h`)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from keras_sparse_rnn.ops.schema import Input, OpSchema, Word, constant, state

SCHEMA = OpSchema(
    "KsrFrameGate",
    "a mask: the steps at which enough inputs differ from those of the last computed step",
    (
        Word.every("format", "number format: 0 float32, 1 int8, 2 int8x16", 0, 2),
        Word.every("count", "number of inputs that must differ by more than their thresholds", 1, 65535),
        Word("x_zero_point", "zero point of x", int8=(-128, 127)),
    ),
    (
        Input("x", "(B, T, I)", ("float32", "int8", "int16")),
        constant(
            "threshold", "threshold of each input; in integers counts of x", "inputs", "float32", "uint8", "uint16"
        ),
        state(
            "last",
            "x of the last computed step",
            "inputs",
            "int8",
            lambda options, scale: (scale, options.x_zero_point),
        ),
        Input("mask", "false: the step is not computed", ("bool", "bool", "bool"), "steps", is_optional=True),
    ),
    gives_mask=True,
)


@dataclass(frozen=True, eq=False)
class FrameGate:
    """The op KsrFrameGate and, when called, its definition.

    Attributes:
        options: Its options, of the class `SCHEMA.options`.
        threshold `(I,)`: float32, or in integers counts of x, uint8 or uint16.
    """

    options: Any
    threshold: np.ndarray

    SCHEMA: ClassVar[OpSchema] = SCHEMA

    @property
    def is_integer(self):
        return self.options.number_format.is_integer

    @property
    def kernels(self):
        """Its matrices: none."""
        return ()

    def matrices(self):
        return {}

    def constants(self):
        """Returns a dict from the names of inputs to the constant tensors."""
        return {"threshold": self.threshold}

    @classmethod
    def from_constants(cls, options, arrays, inputs):
        """Creates the op from its options, a dict of its constant tensors by name, and the size of its input."""
        return cls(options, arrays["threshold"])

    def states(self, x_scale=1.0):
        """As `RecurrentOp.states`."""
        return dict(SCHEMA.state_tensors(self.options, {"inputs": len(self.threshold)}, set(), x_scale))

    def invoke(self, x, states, mask=None):
        """Returns the mask `(B, T)` of the tensor x, `(B, T, I)`.

        Args:
            x: int8, int16 or float32.
            states: Dict with `last`, `(B, I)`: counts from the zero point (int64) or real values (float32). Updated.
            mask: `(B, T)`, bool, or None.
        """
        last = states["last"]
        made = np.ones(x.shape[:2], bool) if mask is None else mask.copy()
        for t in range(x.shape[1]):
            step = x[:, t].astype(last.dtype) - last.dtype.type(self.options.x_zero_point)
            moved = np.abs(step - last) > self.threshold
            made[:, t] &= np.count_nonzero(moved, axis=1) >= self.options.count
            last[made[:, t]] = step[made[:, t]]
        return made
