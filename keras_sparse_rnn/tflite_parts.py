"""Reads the parts of a `.tflite` file: the only place where foreign bytes become objects.

A file may be damaged or malicious, with offsets that lead out of it or a vector that is read a million times. Reading
it then raises a ValueError that says what is wrong, within seconds and with at most a few times its size of memory.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.formats import TFLITE_DTYPES
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.sparse_encoding import check_encoding

MOST_PARTS = 2**16  # tensors, ops, buffers and the like
MOST_DIMENSIONS = 8
LONGEST_TEXT = 2**16  # bytes
_LARGEST_TENSOR = 2**31 - 1  # bytes
_MOST_LEVELS = 2 * MOST_DIMENSIONS  # of a sparse encoding: one level per dimension and per block

TYPE_NAMES = {code: name.lower() for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
_BUILTIN_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


class DamageError(ValueError):
    """Says what is wrong with a file. Other ValueErrors during reading come from NumPy or flatbuffers."""


@dataclass(frozen=True, eq=False)
class FileTensor(TensorInfo):
    """A tensor of a file. If no op here has its type, `dtype` is uint8 and `data` holds its bytes, flat.

    Attributes:
        type_name: Name of its type in the schema, in lower case.
        source: As in `Operator`.
    """

    type_name: str = ""
    source: Any = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Number of values in its shape."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all its values in memory. If no op here has its type, a value counts as one byte."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Operator:
    """One op of a model.

    Attributes:
        name: Name of the builtin op in the schema, or of the custom op.
        inputs, outputs: Numbers of tensors; -1 for absent ones.
        options: The bytes of a custom op's options, or the schema's object of a builtin op, if it has one.
        is_custom: Whether the name is that of a custom op.
        version: Version of the op's kernel.
        source: The schema's table from which it was read. Parts of it that no attribute represents are written
            unchanged.
    """

    name: str
    inputs: tuple
    outputs: tuple
    options: Any
    is_custom: bool
    version: int = 1
    source: Any = field(default=None, repr=False)


@dataclass(eq=False)
class Graph:
    """A subgraph. All numbers of tensors are within it.

    Attributes:
        tensors: Its tensors, a list of `FileTensor`.
        operators: Its ops in the order of execution, a list of `Operator`.
        inputs, outputs: Numbers of the tensors that are its inputs and outputs.
        source: As in `Operator`.
    """

    tensors: list[FileTensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    source: Any = field(default=None, repr=False)


def printable(raw: bytes) -> str:
    """Returns a text of a file in which unprintable characters are replaced."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in raw.decode("utf-8", "replace"))


class Reader:
    """Counts the parts that are read. In a sound file each part is read about once; in a malicious one a million parts
    may be the same bytes."""

    def __init__(self, data):
        self._parts_left = MOST_PARTS
        self._bytes_left = 4 * len(data) + 2**16

    def parts(self, owner, name):
        """Returns the tables of a vector."""
        length = getattr(owner, f"{name}Length")()
        self._parts_left -= length
        if self._parts_left < 0:
            raise DamageError(f"it has more than {MOST_PARTS:,} tensors, ops, buffers and the like")
        return [getattr(owner, name)(i) for i in range(length)]

    def numbers(self, vector):
        """Returns a vector of numbers as flatbuffers does: an array, or 0 if it is absent."""
        vector = np.zeros(0, np.uint8) if isinstance(vector, int) else vector
        self._take(vector.nbytes)
        return vector

    def text(self, raw):
        """Returns a printable text of at most `LONGEST_TEXT` bytes."""
        raw = raw or b""
        self._take(len(raw))
        if len(raw) > LONGEST_TEXT:
            raise DamageError(f"a name in it has {len(raw)} bytes; at most {LONGEST_TEXT} are read")
        return printable(raw)

    def _take(self, size):
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise DamageError("many parts of it are the same bytes, so that it says much more than its size")


def read_code(code, reader):
    """Reads an op's code: `(name, whether it is a custom op, version)`."""
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if builtin == schema.BuiltinOperator.CUSTOM:
        return reader.text(code.CustomCode()), True, code.Version()
    if builtin not in _BUILTIN_NAMES:
        raise DamageError(f"it has the builtin op number {builtin}, which the installed ai-edge-litert does not know")
    return _BUILTIN_NAMES[builtin], False, code.Version()


def read_buffer(buffer, reader):
    if buffer.Offset() > 1:
        raise DamageError("it keeps data behind its end, as files over 2 GB do")
    return reader.numbers(buffer.DataAsNumpy())


def read_graph(graph, buffers, codes, reader):
    tensors = [_tensor(tensor, buffers, reader) for tensor in reader.parts(graph, "Tensors")]
    operators = [_operator(op, codes, reader) for op in reader.parts(graph, "Operators")]
    ends = [tuple(reader.numbers(numbers()).tolist()) for numbers in (graph.InputsAsNumpy, graph.OutputsAsNumpy)]
    for i in (*ends[0], *ends[1]):
        if not 0 <= i < len(tensors):
            raise DamageError(f"a graph's inputs and outputs name tensor {i} of {len(tensors)}")
    for op in operators:
        for i in (*op.inputs, *op.outputs):
            if not -1 <= i < len(tensors):
                raise DamageError(f"op {op.name} uses tensor {i} of {len(tensors)}")
    return Graph(tensors, operators, *ends, source=graph)


def _operator(op, codes, reader):
    number = op.OpcodeIndex()
    if number >= len(codes):
        raise DamageError(f"an op has code {number} of {len(codes)}")
    name, is_custom, version = codes[number]
    if op.LargeCustomOptionsOffset() > 1:
        raise DamageError(f"op {name} keeps its options behind the end of the file")
    if is_custom:
        options: Any = reader.numbers(op.CustomOptionsAsNumpy()).tobytes()
    elif op.BuiltinOptionsType() == schema.BuiltinOptions.VarHandleOptions:
        options = None  # texts of any length, which are not read here
    else:
        options = schema.BuiltinOptionsCreator(op.BuiltinOptionsType(), op.BuiltinOptions())
    inputs, outputs = (tuple(reader.numbers(part()).tolist()) for part in (op.InputsAsNumpy, op.OutputsAsNumpy))
    return Operator(name, inputs, outputs, options, is_custom, version, op)


def _tensor(tensor, buffers, reader):
    name, type_name = reader.text(tensor.Name()), TYPE_NAMES.get(tensor.Type())
    if type_name is None:
        raise DamageError(f"tensor '{name}' has the type {tensor.Type()}, which does not exist")
    dtype = TFLITE_DTYPES.get(tensor.Type(), np.dtype(np.uint8))
    shape = reader.numbers(tensor.ShapeAsNumpy())
    if len(shape) > MOST_DIMENSIONS:
        raise DamageError(f"tensor '{name}' has {len(shape)} dimensions; at most {MOST_DIMENSIONS} are read")
    shape = tuple(shape.tolist())
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > _LARGEST_TENSOR:
        raise DamageError(f"tensor '{name}' has the shape {shape}")
    if tensor.Buffer() >= len(buffers):
        raise DamageError(f"tensor '{name}' lies in buffer {tensor.Buffer()} of {len(buffers)}")
    sparsity = _sparsity(tensor.Sparsity(), reader)
    data = _constant(name, tensor.Type(), shape, buffers[tensor.Buffer()], sparsity is None)
    if sparsity is not None:
        try:
            check_encoding(shape, sparsity, data)
        except ValueError as error:
            raise DamageError(str(error)) from error
    quantization, is_variable = tensor.Quantization(), bool(tensor.IsVariable())
    scale, zero_point = _quantization(name, quantization, shape, dtype, reader)
    axis = 0 if quantization is None else quantization.QuantizedDimension()
    return FileTensor(name, shape, dtype, scale, zero_point, data, is_variable, sparsity, axis, type_name, tensor)


def _constant(name, number, shape, raw, is_dense):
    """Reads a tensor's constant values: flat in a sparse encoding, and as bytes if no op here has its type."""
    if not len(raw) or number not in TFLITE_DTYPES:
        return raw if len(raw) else None
    dtype = TFLITE_DTYPES[number]
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) % dtype.itemsize or (is_dense and len(raw) != expected):
        raise DamageError(f"tensor '{name}' has {len(raw)} bytes; its shape {shape} of {dtype} takes {expected}")
    # A sparse encoding holds fewer weights than the shape.
    data = raw.view(dtype).reshape(shape if is_dense else -1)
    data.flags.writeable = False
    return data


def _quantization(name, quantization, shape, dtype, reader):
    """Reads scale and zero point: two numbers, two arrays, or None twice."""
    scales = np.zeros(0) if quantization is None else reader.numbers(quantization.ScaleAsNumpy())
    if not len(scales):
        return None, None
    zeros = reader.numbers(quantization.ZeroPointAsNumpy())
    zeros = zeros if len(zeros) else np.zeros(len(scales), np.int64)
    axis = 0 if len(shape) == 1 else quantization.QuantizedDimension()  # older files: scales of the weights
    channels = shape[axis] if 0 <= axis < len(shape) else 1
    if len(scales) not in (1, channels) or len(zeros) != len(scales):
        raise DamageError(
            f"tensor '{name}' has {len(scales)} scales and {len(zeros)} zero points for {channels} channels"
        )
    if not np.all((scales >= 0) & (scales < math.inf)):
        raise DamageError(f"tensor '{name}' has a scale that is negative, infinite or no number")
    limits = np.iinfo(dtype if dtype.kind in "iu" else np.int32)
    if not np.all((limits.min <= zeros) & (zeros <= limits.max)):
        raise DamageError(f"tensor '{name}' of {dtype} has a zero point out of its range")
    if len(scales) == 1:
        return float(scales[0]), int(zeros[0])
    return scales.astype(np.float32), zeros.astype(np.int32)


def _sparsity(sparsity, reader):
    """Reads the `SparsityParameters` as the schema's object, or None."""
    if sparsity is None:
        return None
    for part in ("TraversalOrder", "BlockMap", "DimMetadata"):
        if getattr(sparsity, f"{part}Length")() > _MOST_LEVELS:
            raise DamageError(f"a sparse encoding has more than {_MOST_LEVELS} levels")
    reader.parts(sparsity, "DimMetadata")
    read = schema.SparsityParametersT.InitFromObj(sparsity)
    for level in read.dimMetadata or []:
        for vector in (level.arraySegments, level.arrayIndices):
            reader.numbers(0 if getattr(vector, "values", None) is None else vector.values)
    return read
