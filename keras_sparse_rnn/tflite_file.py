"""A `.tflite` file: read, edited, built and compared."""

import os
import reprlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import ArrayLike, DTypeLike

from keras_sparse_rnn.tflite_parts import (
    TYPE_NAMES,
    DamageError,
    FileTensor,
    Graph,
    Operator,
    Reader,
    printable,
    read_buffer,
    read_code,
    read_graph,
)
from keras_sparse_rnn.typing import ModelSource

MARK = b"TFL3"  # bytes 4 to 7 of every file
LARGEST_FILE = 2**31 - 1  # bytes, as its offsets go
_TYPE_CODES = {name: code for code, name in TYPE_NAMES.items()}
_SCHEMA_VERSION = 3


class ModelFile:
    """The contents of a `.tflite` file.

    The graphs can be edited: `tensors` and `operators` are lists in which you can put a `dataclasses.replace` of a
    tensor or an op in its place. Everything else is written as it was read, including parts that have no attribute
    here.

    Args:
        data: Bytes of the file; None for an empty model with one graph.

    Attributes:
        data: The bytes from which it was read; empty for a new model.
        description: The file's description.
        graphs: Its subgraphs; the first one is the main one.
        metadata: The bytes of each entry, by its name.

    Raises:
        ValueError: The bytes are not a `.tflite` file, or the file is damaged or has more parts than this class reads.

    Example:

    >>> file = ModelFile(data)
    >>> file.tensors[0] = dataclasses.replace(file.tensors[0], name="speech")
    >>> file.differences(ModelFile(data))
    ["subgraphs[0].tensors[0].name: 'speech', other: 'x'"]
    >>> data = file.build()
    """

    def __init__(self, data: bytes | None = None) -> None:
        self.description, self.graphs = "", [Graph()]
        self.metadata: dict[str, bytes] = {}
        self._codes: dict[tuple, Any] = {}  # as read, by the object that represents them
        self._signatures: list | None = None  # None: as read
        self.data = b"" if data is None else bytes(data)
        if data is None:
            return
        if self.data[4:8] != MARK:
            raise ValueError(f"model is no .tflite file: its {len(data)} bytes lack the mark TFL3 at offset 4.")
        if len(self.data) > LARGEST_FILE:
            raise ValueError(f"model has {len(data)} bytes; a .tflite file has at most {LARGEST_FILE}.")
        try:
            self._read(schema.Model.GetRootAs(self.data, 0), Reader(self.data))
        except DamageError as error:
            raise ValueError(f"model is damaged, or has parts that are not supported: {error}") from error
        # flatbuffers and NumPy raise these for offsets that lead out of the file.
        except (struct.error, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(
                f"model is damaged: an offset in it leads out of its {len(data)} bytes. Copy the file, or convert the "
                "model, again."
            ) from error

    def _read(self, file, reader):
        self.description = reader.text(file.Description())
        sources = reader.parts(file, "OperatorCodes")
        codes = [read_code(code, reader) for code in sources]
        self._codes = dict(zip(codes, sources, strict=True))
        buffers = [read_buffer(buffer, reader) for buffer in reader.parts(file, "Buffers")]
        self.graphs = [read_graph(graph, buffers, codes, reader) for graph in reader.parts(file, "Subgraphs")]
        if not self.graphs:
            raise DamageError("it holds no graph")
        for entry in reader.parts(file, "Metadata"):
            name, number = reader.text(entry.Name()), entry.Buffer()
            if number >= len(buffers):
                raise DamageError(f"its metadata '{name}' lies in buffer {number} of {len(buffers)}")
            self.metadata[name] = reader.numbers(buffers[number]).tobytes()

    @property
    def tensors(self) -> list[FileTensor]:
        """The tensors of the main graph."""
        return self.graphs[0].tensors

    @property
    def operators(self) -> list[Operator]:
        """The ops of the main graph, in the order of execution."""
        return self.graphs[0].operators

    def add_tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        *,
        data: ArrayLike | None = None,
        scale: tuple[float, int] | None = None,
        is_variable: bool = False,
    ) -> int:
        """Adds a tensor to the main graph.

        Args:
            name, shape, dtype: Name, shape and NumPy dtype of the tensor.
            data: The values of a constant.
            scale: The scale and the zero point of a quantized tensor.
            is_variable: Whether the tensor keeps its value from one inference to the next.

        Returns:
            The number of the tensor.
        """
        shape, dtype = tuple(int(size) for size in shape), np.dtype(dtype)
        constant = None if data is None else np.ascontiguousarray(data)
        scales = scale or (None, None)
        tensor = FileTensor(name, shape, dtype, scales[0], scales[1], constant, is_variable, type_name=dtype.name)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def add_operator(
        self, name: str, inputs: list[int], outputs: list[int], options: object = None, *, version: int = 1
    ) -> None:
        """Adds an op to the main graph.

        Args:
            name: Name of the builtin op in the schema, such as "PAD", or of a custom op.
            inputs, outputs: Numbers of tensors; -1 for absent ones.
            options: The bytes of a custom op's options, or the schema's object of a builtin op, if it has one.
            version: Version of the op's kernel.
        """
        is_custom = isinstance(options, bytes)
        self.operators.append(Operator(name, tuple(inputs), tuple(outputs), options, is_custom, version))

    def set_ends(self, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        """Sets the inputs and outputs of the main graph, and a signature "serving_default" with them.

        Sorts the ops so that each one follows the ops whose results it reads. Removes unused tensors, which changes the
        numbers of others.

        Args:
            inputs, outputs: Ordered dicts from names to numbers of tensors.
        """
        graph = self.graphs[0]
        for name, number in (*inputs.items(), *outputs.items()):
            graph.tensors[number] = replace(graph.tensors[number], name=name)
        used = {i for op in graph.operators for i in (*op.inputs, *op.outputs)} - {-1}
        kept = sorted(used | {*inputs.values(), *outputs.values()})
        new = {-1: -1} | {number: place for place, number in enumerate(kept)}
        graph.tensors = [graph.tensors[i] for i in kept]
        graph.operators = [
            replace(op, inputs=tuple(new[i] for i in op.inputs), outputs=tuple(new[i] for i in op.outputs))
            for op in _in_order(graph.operators)
        ]
        ends = [{name: new[number] for name, number in tensors.items()} for tensors in (inputs, outputs)]
        graph.inputs, graph.outputs = (tuple(tensors.values()) for tensors in ends)
        self._signatures = [_signature(*ends)]

    def build(self) -> bytes:
        """Returns the bytes of the edited file. Unused buffers and op codes are dropped."""
        file = schema.ModelT.InitFromPackedBuf(self.data) if self.data else schema.ModelT()
        file.version = file.version or _SCHEMA_VERSION
        buffers, codes = _Buffers(), _Codes(self._codes)
        file.subgraphs = [_graph_table(graph, buffers, codes) for graph in self.graphs]
        file.metadata = [_metadata_table(name, raw, buffers) for name, raw in self.metadata.items()]
        file.metadataBuffer = None  # numbers of metadata buffers, which nothing reads any more
        _put(file, description=self.description)
        if self._signatures is not None:
            file.signatureDefs = self._signatures
        file.buffers, file.operatorCodes = buffers.tables, codes.tables
        builder = flatbuffers.Builder(1024)
        builder.Finish(file.Pack(builder), MARK)
        return bytes(builder.Output())

    def differences(self, other: "ModelFile") -> list[str]:
        """Returns the differences between two files as they would be built; an empty list if they are equal.

        Positions in the file do not count: numbers of buffers and op codes, and whether an empty part is absent.

        Args:
            other: The file to compare with.

        Returns:
            For each difference, its path in the schema and both values.
        """
        mine, theirs = (dict(_leaves(_resolved(file.build()))) for file in (self, other))
        return [
            f"{path}: {reprlib.repr(mine.get(path))}, other: {reprlib.repr(theirs.get(path))}"
            for path in dict.fromkeys([*mine, *theirs])
            if mine.get(path) != theirs.get(path)
        ]


def read_bytes(model: ModelSource) -> bytes:
    """Reads the bytes of a `.tflite` model.

    Args:
        model: The path or the bytes, a `runtime.model.Model`, or a `ConvertedModel`.

    Raises:
        FileNotFoundError: The path does not exist.
        TypeError: `model` has another type.
        ValueError: The file lacks the mark of a `.tflite` file. The rest of it is not read.
    """
    if isinstance(model, (bytes, bytearray, memoryview)):
        return bytes(model)
    if isinstance(model, (str, os.PathLike)):
        with open(model, "rb") as file:
            head = file.read(8)
            if head[4:] != MARK:
                raise ValueError(f"model is no .tflite file: '{os.fspath(model)}' lacks the mark TFL3 at offset 4.")
            return head + file.read(LARGEST_FILE)
    data = getattr(model, "data", None)
    if not isinstance(data, bytes):
        raise TypeError(
            "model must be the path or the bytes of a .tflite file, a runtime.model.Model or a ConvertedModel; given: "
            f"{type(model).__name__}."
        )
    return data


class _AlignedBuffer(schema.BufferT):
    """A buffer aligned to 16 bytes, which the schema requires and kernels expect, but its Python class does not
    ensure."""

    def Pack(self, builder):  # noqa: N802
        if self.data is None:
            return super().Pack(builder)
        data = self.data.tobytes()
        builder.StartVector(1, len(data), 16)
        builder.head = builder.Head() - len(data)
        builder.Bytes[builder.Head() : builder.Head() + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


class _Buffers:
    """The buffers of a file to build; the first one is empty by convention."""

    def __init__(self):
        self.tables = [_AlignedBuffer()]
        self._numbers = {}

    def number_of(self, data):
        """Returns the number of the buffer with the bytes of an array. Tensors whose arrays are the same memory share a
        buffer."""
        if data is None:
            return 0
        place = data.__array_interface__["data"][0], data.nbytes
        if place not in self._numbers:
            self._numbers[place] = len(self.tables)
            self.tables.append(_AlignedBuffer(data=np.ascontiguousarray(data).reshape(-1).view(np.uint8)))
        return self._numbers[place]


class _Codes:
    """The op codes of a file to build."""

    def __init__(self, sources):
        self.tables = []
        self._sources, self._numbers = sources, {}

    def number_of(self, op):
        """Returns the number of an op's code."""
        key = op.name, op.is_custom, op.version
        if key not in self._numbers:
            self._numbers[key] = len(self.tables)
            known = key in self._sources
            self.tables.append(schema.OperatorCodeT.InitFromObj(self._sources[key]) if known else _code_table(*key))
        return self._numbers[key]


def _code_table(name, is_custom, version):
    table = schema.OperatorCodeT()
    table.builtinCode = schema.BuiltinOperator.CUSTOM if is_custom else getattr(schema.BuiltinOperator, name)
    # This field has one byte; later ops have a placeholder in it.
    table.deprecatedBuiltinCode = min(table.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    table.customCode, table.version = name if is_custom else None, version
    return table


def _graph_table(graph, buffers, codes):
    table = schema.SubGraphT() if graph.source is None else schema.SubGraphT.InitFromObj(graph.source)
    _put(table, inputs=graph.inputs, outputs=graph.outputs)
    table.tensors = [_tensor_table(tensor, buffers) for tensor in graph.tensors]
    table.operators = [_operator_table(op, graph.tensors, codes) for op in graph.operators]
    return table


def _tensor_table(tensor, buffers):
    table = schema.TensorT() if tensor.source is None else schema.TensorT.InitFromObj(tensor.source)
    _put(table, name=tensor.name, shape=tensor.shape, type=_TYPE_CODES[tensor.type_name])
    table.isVariable, table.sparsity = tensor.is_variable, tensor.sparsity
    table.buffer = buffers.number_of(tensor.data)
    if tensor.scale is None:
        if table.quantization is not None:
            _put(table.quantization, scale=(), zeroPoint=())
        return table
    table.quantization = table.quantization or schema.QuantizationParametersT()
    # Lists, because an array is written in its own dtype, which may be float64.
    scales, zeros = (np.atleast_1d(part).tolist() for part in (tensor.scale, tensor.zero_point))
    if tensor.source is None or any(zeros) or table.quantization.zeroPoint is not None:  # absent: zeros
        _put(table.quantization, zeroPoint=zeros)
    _put(table.quantization, scale=scales, quantizedDimension=tensor.channel_axis)
    return table


def _operator_table(op, tensors, codes):
    table = schema.OperatorT() if op.source is None else schema.OperatorT.InitFromObj(op.source)
    _put(table, inputs=op.inputs, outputs=op.outputs)
    table.opcodeIndex = codes.number_of(op)
    if op.is_custom:
        _put(table, customOptions=np.frombuffer(op.options, np.uint8))
    elif op.options is not None:
        table.builtinOptions = op.options
        table.builtinOptionsType = getattr(schema.BuiltinOptions, type(op.options).__name__.removesuffix("T"))
    if op.source is None:
        mutates = [i >= 0 and tensors[i].is_variable for i in op.inputs]
        table.mutatingVariableInputs = mutates if any(mutates) else None
    return table


def _metadata_table(name, raw, buffers):
    table = schema.MetadataT()
    table.name, table.buffer = name, buffers.number_of(np.frombuffer(raw, np.uint8))
    return table


def _signature(inputs, outputs):
    table = schema.SignatureDefT()
    table.signatureKey = "serving_default"
    table.inputs, table.outputs = [], []
    for entries, tensors in ((table.inputs, inputs), (table.outputs, outputs)):
        for name, number in tensors.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, number
            entries.append(entry)
    return table


def _put(table, **values):
    """Writes the values that differ from those of a table; an absent vector counts as empty."""
    for name, value in values.items():
        now = getattr(table, name)
        if isinstance(value, str):
            is_same = printable(now or b"") == value
        else:
            is_same = np.array_equal(np.asarray([] if now is None else now), np.asarray(value))
        if not is_same:
            setattr(table, name, value)


def _in_order(operators):
    """Returns ops sorted so that each one follows the ops whose results it reads."""
    made_by = {number: op for op in operators for number in op.outputs}
    done, ordered = set(), []
    stack = list(reversed(operators))
    while stack:
        op = stack[-1]
        waiting = [made_by[i] for i in op.inputs if i in made_by and made_by[i] not in done]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        if op not in done:
            done.add(op)
            ordered.append(op)
    return ordered


def _resolved(data):
    """Returns the schema's object of a file, with buffers and op codes in place of their numbers."""
    file = schema.ModelT.InitFromPackedBuf(data)
    for owner in (*(tensor for graph in file.subgraphs for tensor in graph.tensors), *(file.metadata or [])):
        owner.buffer = file.buffers[owner.buffer].data
    for op in (op for graph in file.subgraphs for op in graph.operators):
        op.opcodeIndex = file.operatorCodes[op.opcodeIndex]
    file.buffers = file.operatorCodes = None
    return file


def _leaves(table: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields `(path, value)` of everything in a schema's object that is not empty."""
    if isinstance(table, (list, tuple)) and any(hasattr(part, "__dict__") for part in table):
        for number, part in enumerate(table):
            yield from _leaves(part, f"{path}[{number}]")
    elif hasattr(table, "__dict__"):
        for name, part in vars(table).items():
            yield from _leaves(part, f"{path}.{name}".lstrip("."))
    elif isinstance(table, np.ndarray) and table.dtype == np.uint8:
        yield path, table.tobytes()
    elif isinstance(table, (list, tuple, np.ndarray)):
        if len(table):
            yield path, np.asarray(table).tolist()
    elif table is not None:
        yield path, table.decode("utf-8", "backslashreplace") if isinstance(table, bytes) else table
