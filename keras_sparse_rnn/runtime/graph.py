"""Runs a model op by op: builtin ops in NumPy, custom ops in the subclass."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.runtime.builtin_ops import BUILTIN_OPS
from keras_sparse_rnn.runtime.engine import Engine, refuse_sparse_encodings
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.operands import check_operands
from keras_sparse_rnn.runtime.threshold_scale import with_scaled_thresholds
from keras_sparse_rnn.tflite_file import Operator


class GraphEngine(Engine):
    """Base of the engines that run a graph op by op.

    Raises:
        ValueError: The model uses an op that is neither a custom op nor in `builtin_ops`, or weights in LiteRT's sparse
            encoding.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        refuse_sparse_encodings(model)
        unknown = sorted(
            {op.name for op in model.operators if op.name not in (ALL_OPS if op.is_custom else BUILTIN_OPS)}
        )
        if unknown:
            raise ValueError(
                f"engine has no op {', '.join(unknown)}; it has {', '.join([*ALL_OPS, *sorted(BUILTIN_OPS)])}. "
                "Take the engine 'litert' or 'tflm' for this model."
            )
        for op in model.operators:
            if not op.is_custom:
                check_operands(op, model.tensors)
        self._given = model
        self._variables = {i: tensor.zeros() for i, tensor in enumerate(model.tensors) if tensor.is_variable}
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Sets up the custom ops of `model`."""

    @property
    def custom_operators(self) -> list[Operator]:
        return [op for op in self.model.operators if op.is_custom]

    def set_threshold_scale(self, scale: float) -> None:
        # The same tensors with other values: the states, by their numbers, go on.
        self.model = Model(with_scaled_thresholds(self._given, scale))
        self.prepare()

    @abstractmethod
    def run_custom(self, op: Operator, inputs: Sequence[Any]) -> list[np.ndarray]:
        """Returns the outputs of a custom op, a list of arrays.

        `inputs` holds None for an absent tensor; its variable tensors are updated in place.
        """

    def invoke(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        values: dict[int, np.ndarray] = {}
        self._write(values, self.model.input_indices, inputs)
        for op, done in zip(self.model.operators, self.model.last_readers, strict=True):
            self._write(values, op.outputs, self.run_operator(op, values))
            for i in done:
                del values[i]
        return [np.ascontiguousarray(values[i]) for i in self.model.output_indices]

    def run_operator(self, op: Operator, values: Mapping[int, np.ndarray]) -> list[np.ndarray]:
        """Returns the outputs of an op of the model, a list of arrays, from a dict of tensors by number. The engine
        holds constants and variable tensors itself, and updates the latter."""
        tensors = self.model.tensors
        known = {**{i: tensors[i].data for i in op.inputs if i >= 0 and tensors[i].data is not None}, **self._variables}
        inputs = [None if i < 0 else known.get(i, values.get(i)) for i in op.inputs]
        if op.is_custom:
            return self.run_custom(op, inputs)
        infos = [None if i < 0 else tensors[i] for i in op.inputs]
        try:
            return [BUILTIN_OPS[op.name](op, inputs, infos, tensors[op.outputs[0]])]
        except (ArithmeticError, AttributeError, IndexError, TypeError) as error:
            raise ValueError(f"op {op.name} has inputs that it cannot use: {error}") from error

    def _write(self, values, numbers, arrays):
        for i, array in zip(numbers, arrays, strict=True):
            tensor = self.model.tensors[i]
            if array.shape != tensor.shape or array.dtype != tensor.dtype:
                raise ValueError(
                    f"tensor '{tensor.name}' must be {tensor.dtype} {tensor.shape}; given: {array.dtype} {array.shape}."
                )
            values[i] = array

    def reset(self) -> None:
        for i, array in self._variables.items():
            array[...] = self.model.tensors[i].zeros()
