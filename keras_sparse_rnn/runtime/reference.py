"""Runs the NumPy definition of the custom ops, with which every kernel is compared."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.check import check
from keras_sparse_rnn.runtime.graph import GraphEngine
from keras_sparse_rnn.runtime.model import MOST_ACTIVATIONS
from keras_sparse_rnn.tflite_file import Operator


class ReferenceEngine(GraphEngine):
    """Runs every op in NumPy, custom ops as defined in `keras_sparse_rnn.ops`, without the C core.

    Attributes:
        definitions: Dict from the `Operator` of each custom op in the model to its object of `keras_sparse_rnn.ops`.
    """

    def prepare(self) -> None:
        model = self.model
        self.definitions: dict[Operator, Any] = {}
        room = MOST_ACTIVATIONS  # for weights with their zeros: a small file may hold very many
        for op in self.custom_operators:
            kind: Any = ALL_OPS[op.name]
            tensors = [None if i < 0 else model.tensors[i] for i in op.inputs]
            options = check(kind.SCHEMA, op.options, tensors, [model.tensors[i] for i in op.outputs])
            given = kind.SCHEMA.named(tensors)
            constants = {name: tensor.data for name, tensor in given.items()}
            self.definitions[op] = kind.from_constants(options, constants, given["x"].shape[-1])
            room -= sum(kernel.nbytes for kernel in self.definitions[op].kernels)
            if room < 0:
                raise ValueError(f"with their zeros the model's weights take over {MOST_ACTIVATIONS:,} bytes.")

    def run_custom(self, op: Operator, inputs: Sequence[Any]) -> list[np.ndarray]:
        run = self.definitions[op]
        tensors, given = run.states(), run.SCHEMA.named(inputs)
        stored = {
            name: given.get(name, np.repeat(tensor.zeros(), len(inputs[0]), axis=0)) for name, tensor in tensors.items()
        }
        if getattr(run.options, "initial_states", 0):
            stored = {name: array.copy() for name, array in stored.items()}
        zeros = {name: tensor.zero_point or 0 for name, tensor in tensors.items()}
        wide = np.int64 if run.is_integer else np.float32
        states = {name: array.astype(wide) - zeros[name] for name, array in stored.items()}
        beside = {name: given[name] for name in ("mask", "last_output") if name in given}
        output = run.invoke(inputs[0], states, **beside)
        for name, array in stored.items():
            array[...] = states[name] + zeros[name]
        return [output, *(array.copy() for array in stored.values())][: len(op.outputs)]
