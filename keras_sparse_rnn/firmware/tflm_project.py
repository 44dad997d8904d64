"""Models for TensorFlow Lite Micro."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_sparse_rnn.firmware.c_tensors import c_tensors
from keras_sparse_rnn.firmware.sources import features_of
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.runtime.engine import refuse_sparse_encodings
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.operands import check_operands
from keras_sparse_rnn.runtime.tflm_ops import resolver_method


@dataclass(frozen=True, eq=False)
class TFLMModel:
    """The values of a model for `templates/model-tflm`.

    Args:
        model: A `runtime.model.Model`.
        name: Its name in C.

    Raises:
        ValueError: The model has an op that TensorFlow Lite Micro lacks, or weights that it cannot read.
    """

    model: Model
    name: str

    def __post_init__(self):
        refuse_sparse_encodings(self.model)
        for op in self.model.operators:
            if op.name == "FULLY_CONNECTED":  # which TFLM has for one type of values and weights
                check_operands(op, self.model.tensors)
            if not (_is_ours(op) or resolver_method(op)):
                raise ValueError(
                    f"TensorFlow Lite Micro has no op {op.name}, which '{self.model.tensors[op.outputs[0]].name}' is "
                    "computed by; replace the layer that became it."
                )

    @cached_property
    def tensors(self):
        """Its inputs and outputs."""
        return c_tensors(self.model.inputs, "input") + c_tensors(self.model.outputs, "output")

    @cached_property
    def resolver_methods(self):
        """The methods of MicroMutableOpResolver that add TFLM's own ops."""
        return list(dict.fromkeys(resolver_method(op) for op in self.model.operators if not _is_ours(op)))

    @cached_property
    def custom_ops(self):
        """The C symbols of the custom ops."""
        return list(dict.fromkeys(ALL_OPS[op.name].SCHEMA.symbol for op in self.model.operators if _is_ours(op)))

    @cached_property
    def headers(self):
        """Names of the core's headers that its source includes."""
        return [f"{symbol}.h" for symbol in self.custom_ops]

    @cached_property
    def features(self):
        """The optional features of the core that it needs."""
        return features_of([op for op in self.model.operators if _is_ours(op)], self.model.tensors)

    @property
    def data_size(self):
        return len(self.model.data)

    @property
    def data_rows(self):
        """The bytes of the `.tflite` file as the inside of an initializer."""
        width, data = 24, self.model.data
        rows = (data[i : i + width] for i in range(0, len(data), width))
        return "\n".join("    " + ", ".join(map(str, row)) + "," for row in rows)

    @property
    def arena(self):
        """Bytes of the arena, a multiple of 16."""
        return self._arena[0]

    @property
    def arena_note(self):
        """How the size of the arena was found, for a comment."""
        measured = "measured on a 64-bit host; a 32-bit processor needs less"
        return measured if self._arena[1] else "an estimate: the package tflite_micro, which tells, is not installed"

    @cached_property
    def _arena(self):
        try:
            from keras_sparse_rnn.runtime.tflm import TFLMEngine

            return TFLMEngine(self.model).memory["arena_size"], True
        except ImportError:
            activations = [tensor for tensor in self.model.tensors if tensor.data is None]
            size = sum(tensor.dtype.itemsize * int(np.prod(tensor.shape)) for tensor in activations)
            return -(-(8192 + 128 * len(self.model.tensors) + 3 * size) // 16) * 16, False


def _is_ours(op):
    return op.is_custom and op.name in ALL_OPS
