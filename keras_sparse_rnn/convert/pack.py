"""Assembles the `.tflite`: our ops and their constants, wired to the converted rest."""

import json

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.runtime.model import METADATA
from keras_sparse_rnn.tflite_file import ModelFile, Operator


class ModelWriter(ModelFile):
    """A `ModelFile` that takes our ops.

    Args:
        data: Bytes of a model to start from, or None for an empty one.
    """

    def add_recurrent(self, name, op, constants, x, output, *, stateful=False):
        """Adds an op from tensor number `x` to number `output`.

        Args:
            name: What the names of its constant tensors begin with.
            op: A `RecurrentOp`.
            constants: Its constant tensors, as `op.constants()` gives them.
            x, output: Tensor numbers.
            stateful: Whether it keeps its states from one inference to the next, in variable tensors.
        """
        batch, x_scale = self.tensors[x].shape[0], self.tensors[x].scale
        states = op.states(1.0 if x_scale is None else x_scale) if stateful else {}
        states = {label: self._add_variable(f"{name}/{label}", batch, state) for label, state in states.items()}
        inputs = self._inputs(name, op, {"x": x, **states}, constants)
        self.add_operator(op.SCHEMA.name, inputs, [output], op.options.to_bytes())

    def replace(self, number, name, ours, constants):
        """Puts one of our ops in the place of a builtin one that has its input and its output.

        Args:
            number: Of the builtin op.
            name: What the names of its constant tensors begin with.
            ours, constants: The op, and its constant tensors as `ours.constants()` gives them.
        """
        builtin = self.operators[number]
        inputs = self._inputs(name, ours, {"x": builtin.inputs[0]}, constants)
        options = ours.options.to_bytes()
        self.operators[number] = Operator(ours.SCHEMA.name, inputs, builtin.outputs, options, is_custom=True)

    def _inputs(self, name, op, numbers, constants):
        """The numbers of an op's inputs in their order; adds the constant ones."""
        for label, data in constants.items():
            numbers[label] = self.add_tensor(f"{name}/{label}", data.shape, data.dtype, data=data)
        return tuple(-1 if number is None else number for number in op.SCHEMA.placed(numbers))

    def _add_variable(self, name, batch, tensor):
        scale = None if tensor.scale is None else (tensor.scale, tensor.zero_point)
        return self.add_tensor(name, (batch, *tensor.shape[1:]), tensor.dtype, scale=scale, is_variable=True)

    def finish(self, inputs, outputs, metadata=None):
        """The bytes of the model.

        Args:
            inputs, outputs: Dicts from names to tensor numbers, in their order.
            metadata: What to note under `METADATA`, as JSON.
        """
        self.set_ends(inputs, outputs)
        self.description = f"keras-sparse-rnn {__version__}"
        # What the converter noted about itself goes.
        self.metadata = {name: raw for name, raw in self.metadata.items() if name == "min_runtime_version"}
        if metadata is not None:
            self.metadata[METADATA] = json.dumps(metadata).encode()
        return self.build()
