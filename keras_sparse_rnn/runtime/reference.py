"""The definition of our ops, run: what every kernel is held to."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.runtime.model import Model, Operator
from keras_sparse_rnn.runtime.native import NativeEngine


class ReferenceEngine(NativeEngine):
    """Every op in NumPy; ours as `keras_sparse_rnn.ops` defines them.

    The C core only says whether it would take the model: what it refuses has no definition.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._definitions = {}
        for op in self.custom_operators:
            kind: Any = ALL_OPS[op.name]
            inputs = op.inputs[1 : 1 + len(kind.CONSTANTS)]
            constants = [None if i < 0 else model.tensors[i].data for i in inputs]
            self._definitions[op] = kind.from_constants(kind.OPTIONS.from_bytes(op.options), constants)

    @property
    def memory(self) -> dict[str, int]:
        return {}

    def run_custom(self, op: Operator, inputs: Sequence[Any]) -> list[np.ndarray]:
        run = self._definitions[op]
        given = inputs[1 + len(run.CONSTANTS) :]
        tensors = run.states()
        stored = [
            np.repeat(tensor.zeros(), len(inputs[0]), axis=0) if array is None else array
            for tensor, array in zip_longest(tensors, given)
        ]
        zeros = [tensor.zero_point or 0 for tensor in tensors]
        wide = np.int64 if run.is_integer else np.float32
        states = {t.name: s.astype(wide) - zero for t, s, zero in zip(tensors, stored, zeros, strict=True)}
        output = run.invoke(inputs[0], states)
        for tensor, array, zero in zip(tensors, stored, zeros, strict=True):
            array[...] = states[tensor.name] + zero
        return [output]
