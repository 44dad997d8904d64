"""Finds and scales the thresholds of held values in a `.tflite` model."""

from collections.abc import Sequence
from dataclasses import replace

from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.thresholds import scale_in_q8, scaled
from keras_sparse_rnn.tflite_file import ModelFile, Operator, read_bytes
from keras_sparse_rnn.typing import ModelSource


def with_scaled_thresholds(model: ModelSource, scale: float) -> bytes:
    """Implements `runtime.scale_thresholds`, which documents it."""
    factor = scale_in_q8(scale)
    file = ModelFile(read_bytes(model))
    for number in hold_thresholds(file.operators):
        tensor = file.tensors[number]
        if tensor.data is not None:
            file.tensors[number] = replace(tensor, data=scaled(tensor.data, factor))
    return file.build()


def hold_thresholds(operators: Sequence[Operator]) -> set[int]:
    """Returns the numbers of the tensors that are thresholds of held values.

    Raises:
        ValueError: If there are none.
    """
    numbers = set()
    for op in operators:
        if op.is_custom and op.name in ALL_OPS:
            schema = ALL_OPS[op.name].SCHEMA
            given = schema.named([None if i < 0 else i for i in op.inputs])
            numbers |= {given[name] for name in schema.hold_thresholds if name in given}
    if not numbers:
        raise ValueError(
            "model holds neither inputs nor states, so it has no thresholds to scale. Make a delta network of it with "
            "ksr.to_delta, and convert that."
        )
    return numbers
