"""Assembles the `.tflite`: our ops and their constants, wired to the converted rest."""

import json
from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.convert.quantize import Scale
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.model import METADATA
from keras_sparse_rnn.tflite_file import ModelFile, Operator


class ModelWriter(ModelFile):
    """A `ModelFile` that takes our ops.

    Args:
        data: Bytes of a model to start from, or None for an empty one.
    """

    def add_recurrent(
        self, name, op, constants, x, output, *, stateful=False, initial=None, last=(), mask=None, repeats=False
    ):
        """Adds an op that reads tensor number `x` and writes tensor number `output`.

        Args:
            name: Prefix of the names of its constant tensors.
            op: A `RecurrentOp`, or another op of `keras_sparse_rnn.ops`.
            constants: Its constant tensors, as `op.constants()` returns them.
            x, output: Tensor numbers.
            stateful: Whether it keeps its states from one inference to the next, in variable tensors.
            initial: Dict from names to the tensor numbers of the initial states, if its option `initial_states`
                declares some.
            last: Tensor numbers for the states after the last step, one per state; empty if nothing reads them.
            mask: Number of a tensor (B, T), or None.
            repeats: Whether masked steps repeat the output of the previous inference.
        """
        batch, x_scale = self.tensors[x].shape[0], self.tensors[x].scale
        is_kept = stateful and not getattr(op.options, "initial_states", 0)
        states = op.states(1.0 if x_scale is None else x_scale) if is_kept else {}
        states = {label: self._add_variable(f"{name}/{label}", batch, state) for label, state in states.items()}
        given = {"x": x, **states, **(initial or {}), **({} if mask is None else {"mask": mask})}
        if repeats:
            given["last_output"] = self._add_variable(f"{name}/last_output", batch, self._row_of(output))
        self.add_operator(
            op.SCHEMA.name, self._inputs(name, op, given, constants), [output, *last], op.options.to_bytes()
        )

    def add_lookup(self, name, table, x, y):
        """Adds a GATHER op that reads the indices of rows from tensor number `x` and writes tensor number `y`, by way
        of int8 if that is int16.

        Args:
            name: Prefix of the names of its tensors.
            table: The rows, float32.
            x, y: Tensor numbers.
        """
        output = self.tensors[y]
        stored, scale, made = table, None, y
        if output.dtype != np.float32:
            low, high = (table.min(), table.max())
            by = Scale(output.scale, output.zero_point) if output.dtype == np.int8 else Scale.of_range(low, high)
            stored, scale = by.quantize(table), (by.scale, by.zero_point)
            made = y if output.dtype == np.int8 else self.add_tensor(f"{name}/rows", output.shape, np.int8, scale=scale)
        numbers = self.add_tensor(f"{name}/table", table.shape, stored.dtype, data=stored, scale=scale)
        self.add_operator("GATHER", [numbers, x], [made], schema.GatherOptionsT())
        if made != y:
            self.add_operator("QUANTIZE", [made], [y], schema.QuantizeOptionsT())

    def add_float32(self, file, read, y):
        """Adds the ops of a float32 model between tensors of this model, with DEQUANTIZE and QUANTIZE ops.

        Args:
            file: The `ModelFile` of the float32 model, with one output.
            read: Tensor numbers in this model for its inputs, in their order.
            y: Tensor number in this model for its output.
        """
        graph = file.graphs[0]
        numbers = {-1: -1}
        for inner, number in zip(graph.inputs, read, strict=True):
            tensor = self.tensors[number]
            numbers[inner] = number
            if tensor.scale is not None:
                numbers[inner] = self.add_tensor(f"{tensor.name}/float32", tensor.shape, np.float32)
                self.add_operator("DEQUANTIZE", [number], [numbers[inner]], schema.DequantizeOptionsT())
        for inner, tensor in enumerate(graph.tensors):
            if inner not in numbers:
                numbers[inner] = len(self.tensors)
                self.tensors.append(replace(tensor, source=None))
        for op in graph.operators:
            inputs, outputs = (tuple(numbers[i] for i in part) for part in (op.inputs, op.outputs))
            self.operators.append(replace(op, inputs=inputs, outputs=outputs, source=None))
        self.add_operator("QUANTIZE", [numbers[graph.outputs[0]]], [y], schema.QuantizeOptionsT())

    def add_mask(self, x, value, y=None):
        """Adds the ops of a mask that is False where an int32 tensor, or each feature of a step, equals a value.

        Args:
            x: Number of the tensor.
            value: The value; it is stored in the type and scale of `x`.
            y: Number of the tensor for the mask, or None for a new one.

        Returns:
            The tensor number of the mask.
        """
        tensor, shape = self.tensors[x], self.tensors[x].shape
        is_word = tensor.dtype == np.int32
        if y is None:
            y = self.add_tensor(f"{tensor.name}/mask", shape if is_word else shape[:-1], np.bool_)
        stored = np.atleast_1d(tensor.quantize(np.float32(value)))
        if tensor.dtype.itemsize < 4:  # comparing them as they are would round their scales
            integers = self.add_tensor(f"{tensor.name}/integers", shape, np.int32)
            self.add_operator("CAST", [x], [integers], schema.CastOptionsT())
            x, stored = integers, stored.astype(np.int32)
        constant = self.add_tensor(f"{tensor.name}/mask_value", (1,), stored.dtype, data=stored)
        if is_word:
            self.add_operator("NOT_EQUAL", [x, constant], [y], schema.NotEqualOptionsT())
            return y
        equal, every = (self.add_tensor(f"{tensor.name}/{name}", size, np.bool_) for name, size in (
            ("equal", shape), ("all_equal", shape[:-1])))  # fmt: skip
        axis = self.add_tensor(f"{tensor.name}/last_axis", (1,), np.int32, data=np.array([len(shape) - 1], np.int32))
        self.add_operator("EQUAL", [x, constant], [equal], schema.EqualOptionsT())
        self.add_operator("REDUCE_ALL", [equal, axis], [every], schema.ReducerOptionsT())
        self.add_operator("LOGICAL_NOT", [every], [y], schema.LogicalNotOptionsT())
        return y

    def holds(self, number, info):
        """Whether a tensor has the type and the scale of a `TensorInfo`."""
        tensor = self.tensors[number]
        if tensor.dtype != info.dtype or tensor.scale is None or info.scale is None:
            return tensor.dtype == info.dtype and tensor.scale is info.scale
        return np.allclose((tensor.scale, tensor.zero_point), (info.scale, info.zero_point), rtol=1e-6, atol=0)

    def add_quantize(self, number, info):
        """Returns the number of a tensor with the values of another in the type and the scale of a `TensorInfo`: the
        same tensor if it has them already, and otherwise the output of a new QUANTIZE op."""
        if self.holds(number, info):
            return number
        tensor, scale = self.tensors[number], (info.scale, info.zero_point)
        made = self.add_tensor(f"{tensor.name}/{info.name}", tensor.shape, info.dtype, scale=scale)
        self.add_operator("QUANTIZE", [number], [made], schema.QuantizeOptionsT())
        return made

    def replace(self, number, name, ours, constants):
        """Replaces a builtin op by one of our ops with the same input and output.

        Args:
            number: Number of the builtin op.
            name: Prefix of the names of the constant tensors.
            ours, constants: The op, and its constant tensors as `ours.constants()` returns them.
        """
        builtin = self.operators[number]
        inputs = self._inputs(name, ours, {"x": builtin.inputs[0]}, constants)
        options = ours.options.to_bytes()
        self.operators[number] = Operator(ours.SCHEMA.name, inputs, builtin.outputs, options, is_custom=True)

    def _inputs(self, name, op, numbers, constants):
        """Adds an op's constant inputs; returns the tensor numbers of all its inputs in their order."""
        for label, data in constants.items():
            numbers[label] = self.add_tensor(f"{name}/{label}", data.shape, data.dtype, data=data)
        return tuple(-1 if number is None else number for number in op.SCHEMA.placed(numbers))

    def _row_of(self, number):
        """An output of one step, with the type and the scale of a tensor, as a `TensorInfo`."""
        tensor = self.tensors[number]
        return TensorInfo(tensor.name, (1, tensor.shape[-1]), tensor.dtype, tensor.scale, tensor.zero_point)

    def _add_variable(self, name, batch, tensor):
        scale = None if tensor.scale is None else (tensor.scale, tensor.zero_point)
        return self.add_tensor(name, (batch, *tensor.shape[1:]), tensor.dtype, scale=scale, is_variable=True)

    def finish(self, inputs, outputs, metadata=None):
        """Returns the bytes of the model.

        Args:
            inputs, outputs: Dicts from names to tensor numbers, in their order.
            metadata: Metadata to store under `METADATA`, as JSON.
        """
        self.set_ends(inputs, outputs)
        self.description = f"keras-sparse-rnn {__version__}"
        # Remove the converter's own metadata.
        self.metadata = {name: raw for name, raw in self.metadata.items() if name == "min_runtime_version"}
        if metadata is not None:
            self.metadata[METADATA] = json.dumps(metadata).encode()
        return self.build()
