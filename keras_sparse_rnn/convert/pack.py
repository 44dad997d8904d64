"""Assembles the `.tflite`: our ops and their constants, wired to the converted rest."""

import json

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.formats import ELEMENT_TYPES, TFLITE_DTYPES
from keras_sparse_rnn.runtime.model import METADATA


class ModelWriter:
    """A `.tflite` under construction.

    Args:
        data: Bytes of a model to start from, or None for an empty one.
    """

    def __init__(self, data=None):
        if data is None:
            self._file = schema.ModelT()
            self._file.version = 3
            self._file.operatorCodes = []
            self._file.buffers = [schema.BufferT()]  # buffer 0 is empty by convention
            self._graph = schema.SubGraphT()
            self._graph.tensors, self._graph.operators = [], []
            self._file.subgraphs = [self._graph]
        else:
            self._file = schema.ModelT.InitFromPackedBuf(data)
            self._graph = self._file.subgraphs[0]

    @property
    def inputs(self):
        """Tensor numbers of the inputs of the model started from."""
        return self._graph.inputs

    @property
    def outputs(self):
        """Likewise of its outputs."""
        return self._graph.outputs

    def scale_of(self, number):
        """`(scale, zero point)` of a tensor, or None where it is not quantized."""
        quantization = self._graph.tensors[number].quantization
        if quantization is None or quantization.scale is None or not len(quantization.scale):
            return None
        return float(quantization.scale[0]), int(quantization.zeroPoint[0])

    def scales_of(self, number):
        """All scales of a tensor, `(0,)` where it is not quantized."""
        quantization = self._graph.tensors[number].quantization
        return np.asarray([] if quantization is None or quantization.scale is None else quantization.scale)

    def add_tensor(self, name, shape, dtype, *, data=None, scale=None):
        """Adds a tensor and returns its number; `scale` is `(scale, zero point)`."""
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = [int(size) for size in shape]
        tensor.type = ELEMENT_TYPES[np.dtype(dtype)].tflite
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
            tensor.buffer = len(self._file.buffers)
            self._file.buffers.append(buffer)
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [scale[0]]
            tensor.quantization.zeroPoint = [scale[1]]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def add_sparse(self, dense, shape, values, sparsity):
        """Adds a constant tensor in a sparse encoding.

        Args:
            dense: Number of the tensor that holds all the weights, whose name and scales it gets.
            shape: Of the weights.
            values, sparsity: Those that are stored, and `SparsityParametersT`.

        Returns:
            Its number.
        """
        number = self.add_tensor(self.name_of(dense), shape, values.dtype, data=values)
        self._graph.tensors[number].quantization = self._graph.tensors[dense].quantization
        self._graph.tensors[number].sparsity = sparsity
        return number

    def add_pad(self, x, padding):
        """Adds zeros at the end of a tensor's last axis, by a PAD op; the number of what it puts out."""
        shape, name = self.shape_of(x), self.name_of(x)
        output = self.add_tensor(f"{name}/padded", (*shape[:-1], shape[-1] + padding), self.dtype_of(x))
        self._graph.tensors[output].quantization = self._graph.tensors[x].quantization
        paddings = np.zeros((len(shape), 2), np.int32)
        paddings[-1, 1] = padding
        op = schema.OperatorT()
        op.opcodeIndex = self._builtin_code(schema.BuiltinOperator.PAD, version=2)
        op.inputs, op.outputs = (
            [x, self.add_tensor(f"{name}/paddings", paddings.shape, np.int32, data=paddings)],
            [output],
        )
        op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.PadOptions, schema.PadOptionsT()
        self._graph.operators.append(op)
        return output

    def require_version(self, op, version):
        """Notes that an op needs at least this version of its kernel."""
        code = self._file.operatorCodes[op.opcodeIndex]
        code.version = max(code.version, version)

    def add_recurrent(self, name, op, constants, x, output, *, stateful=False):
        """Adds an op from tensor number `x` to number `output`.

        Args:
            name: What the names of its constant tensors begin with.
            op: A `RecurrentOp`.
            constants: Its constant tensors, as `op.constants()` gives them.
            x, output: Tensor numbers.
            stateful: Whether it keeps its states from one inference to the next, in variable tensors.
        """
        added = schema.OperatorT()
        states = op.states((self.scale_of(x) or (1.0,))[0]) if stateful else {}
        batch = self._graph.tensors[x].shape[0]
        states = {label: self._add_variable(f"{name}/{label}", batch, state) for label, state in states.items()}
        added.inputs = self._inputs(name, op, {"x": x, **states}, constants)
        added.outputs = [output]
        if states:
            added.mutatingVariableInputs = [number in states.values() for number in added.inputs]
        self._make_custom(added, op)
        self._graph.operators.append(added)

    def operators(self, name):
        """The builtin ops of that name, as the schema's objects."""
        wanted = getattr(schema.BuiltinOperator, name)
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in self._file.operatorCodes]
        return [op for op in self._graph.operators if codes[op.opcodeIndex] == wanted]

    def constant(self, number):
        """A constant tensor's values; None where it is no constant, or in a sparse encoding or of another type."""
        tensor = self._graph.tensors[number]
        data = self._file.buffers[tensor.buffer].data
        if data is None or not len(data) or tensor.sparsity is not None or tensor.type not in TFLITE_DTYPES:
            return None
        return np.asarray(data, np.uint8).view(TFLITE_DTYPES[tensor.type]).reshape(tensor.shape)

    def dtype_of(self, number):
        """A tensor's NumPy dtype; None for one that NumPy lacks."""
        return TFLITE_DTYPES.get(self._graph.tensors[number].type)

    def shape_of(self, number):
        return tuple(int(size) for size in self._graph.tensors[number].shape)

    def name_of(self, number):
        name = self._graph.tensors[number].name
        return name.decode() if isinstance(name, bytes) else name

    def replace(self, op, name, ours, constants):
        """Makes one of our ops of a builtin one that has its input and its output.

        Args:
            op: As `operators` gives it.
            name: What the names of its constant tensors begin with.
            ours, constants: The op, and its constant tensors as `ours.constants()` gives them.
        """
        op.inputs = self._inputs(name, ours, {"x": int(op.inputs[0])}, constants)
        op.builtinOptions, op.builtinOptionsType = None, schema.BuiltinOptions.NONE
        self._make_custom(op, ours)

    def _inputs(self, name, op, numbers, constants):
        """The numbers of an op's inputs in their order; adds the constant ones."""
        for label, data in constants.items():
            numbers[label] = self.add_tensor(f"{name}/{label}", data.shape, data.dtype, data=data)
        return [-1 if number is None else number for number in op.SCHEMA.placed(numbers)]

    def _make_custom(self, operator, op):
        operator.opcodeIndex = self._custom_code(op.SCHEMA.name)
        operator.customOptions = np.frombuffer(op.options.to_bytes(), np.uint8)

    def _add_variable(self, name, batch, tensor):
        scale = None if tensor.scale is None else (tensor.scale, tensor.zero_point)
        number = self.add_tensor(name, (batch, *tensor.shape[1:]), tensor.dtype, scale=scale)
        self._graph.tensors[number].isVariable = True
        return number

    def _builtin_code(self, builtin, version):
        for i, code in enumerate(self._file.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin and code.version >= version:
                return i
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = version
        self._file.operatorCodes.append(code)
        return len(self._file.operatorCodes) - 1

    def _custom_code(self, name):
        for i, code in enumerate(self._file.operatorCodes):
            if code.customCode is not None and code.customCode in (name, name.encode()):
                return i
        code = schema.OperatorCodeT()
        code.builtinCode = schema.BuiltinOperator.CUSTOM
        code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = name
        code.version = 1
        self._file.operatorCodes.append(code)
        return len(self._file.operatorCodes) - 1

    def finish(self, inputs, outputs, metadata=None):
        """The bytes of the model.

        Args:
            inputs, outputs: Dicts from names to tensor numbers, in their order.
            metadata: What to note under `METADATA`, as JSON.
        """
        graph, file = self._graph, self._file
        inputs, outputs = self._drop_unused_tensors(inputs, outputs)
        graph.inputs, graph.outputs = list(inputs.values()), list(outputs.values())
        for name, number in (*inputs.items(), *outputs.items()):
            graph.tensors[number].name = name
        graph.operators = _in_order(graph)
        signature = schema.SignatureDefT()
        signature.signatureKey = "serving_default"
        signature.inputs, signature.outputs = _signature_entries(inputs), _signature_entries(outputs)
        file.signatureDefs = [signature]
        file.description = f"keras-sparse-rnn {__version__}"
        file.metadata = [entry for entry in file.metadata or [] if entry.name == b"min_runtime_version"]
        if metadata is not None:
            buffer, entry = schema.BufferT(), schema.MetadataT()
            buffer.data = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
            entry.name, entry.buffer = METADATA, len(file.buffers)
            file.buffers.append(buffer)
            file.metadata.append(entry)
        file.buffers = self._used_buffers()
        builder = flatbuffers.Builder(1024)
        builder.Finish(file.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _drop_unused_tensors(self, inputs, outputs):
        """Renumbers the tensors; the inputs and outputs by their new numbers."""
        graph = self._graph
        lists = [list(map(int, numbers)) for op in graph.operators for numbers in (op.inputs, op.outputs)]
        used = sorted({i for numbers in lists for i in numbers if i >= 0} | {*inputs.values(), *outputs.values()})
        new = {-1: -1} | {number: place for place, number in enumerate(used)}
        graph.tensors = [graph.tensors[i] for i in used]
        for op in graph.operators:
            op.inputs, op.outputs = ([new[int(i)] for i in numbers] for numbers in (op.inputs, op.outputs))
        return ({name: new[number] for name, number in tensors.items()} for tensors in (inputs, outputs))

    def _used_buffers(self):
        """The buffers that something refers to, numbered anew: what the converter noted about itself goes."""
        owners = [*self._graph.tensors, *self._file.metadata]
        kept = [_AlignedBuffer(), *(self._file.buffers[owner.buffer] for owner in owners if owner.buffer)]
        number = 0
        for owner in owners:
            if owner.buffer:
                number += 1
                owner.buffer = number
        return [_AlignedBuffer(buffer.data) for buffer in kept]


class _AlignedBuffer(schema.BufferT):
    """The schema asks for multiples of 16 bytes, kernels expect them, and its own Python class does not see to it."""

    def __init__(self, data=None):
        super().__init__()
        self.data = data

    def Pack(self, builder):  # noqa: N802
        if self.data is None:
            return super().Pack(builder)
        data = np.asarray(self.data, np.uint8).tobytes()
        builder.StartVector(1, len(data), 16)
        builder.head = builder.Head() - len(data)
        builder.Bytes[builder.Head() : builder.Head() + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def _signature_entries(tensors):
    entries = []
    for name, number in tensors.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, number
        entries.append(entry)
    return entries


def _in_order(graph):
    """The ops sorted so that each follows those whose results it reads."""
    made_by = {int(number): op for op in graph.operators for number in op.outputs}
    done, ordered = set(), []
    stack = list(reversed(graph.operators))
    while stack:
        op = stack[-1]
        waiting = [made_by[int(i)] for i in op.inputs if int(i) in made_by and id(made_by[int(i)]) not in done]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        if id(op) not in done:
            done.add(id(op))
            ordered.append(op)
    return ordered
