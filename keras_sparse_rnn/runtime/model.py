"""A `.tflite` file, read into plain objects."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.formats import TFLITE_DTYPES
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.sparse_encoding import check_encoding, is_readable

_LARGEST_TENSOR = 2**31 - 1  # bytes
METADATA = "keras_sparse_rnn"  # the entry of the file's metadata that is ours

_BUILTIN_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


@dataclass(frozen=True, eq=False)
class Operator:
    """One op of a model: tensors by their number (-1: absent); `options` are the bytes of a custom op's options or the
    schema's object for a builtin op."""

    name: str
    inputs: tuple
    outputs: tuple
    options: object
    is_custom: bool


class Model:
    """A `.tflite` file.

    Attributes:
        data: The bytes of the file.
        tensors: All tensors of its main graph, a tuple of `TensorInfo`.
        operators: Its ops in the order of execution, a tuple of `Operator`.
        inputs, outputs: Tuples of `TensorInfo`.
        input_indices, output_indices: Their numbers in `tensors`.
        metadata: What `ksr.convert` noted: a dict with "version" (of this package), "weights", "scales", "events",
            "target", "stateful", "batch_size", "time_steps", "sparsity" (share of zeros in the recurrent weights) and
            "labels"; `{}` for other files.

    Raises:
        ValueError: The bytes are no `.tflite` file, or one with control flow (more than one subgraph).
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data)
        read_file(self.data, self._read)

    def _read(self, file):
        if len(file.subgraphs) != 1:
            raise ValueError(
                f"it has control flow, {len(file.subgraphs)} subgraphs; the engines here run one (LiteRT may run it)"
            )
        graph = file.subgraphs[0]
        self.tensors = tuple(_read_tensor(tensor, file.buffers) for tensor in graph.tensors)
        self.operators = tuple(read_operator(op, file.operatorCodes) for op in graph.operators)
        self.input_indices = tuple(int(i) for i in graph.inputs)
        self.output_indices = tuple(int(i) for i in graph.outputs)
        self._check()
        self.inputs = tuple(self.tensors[i] for i in self.input_indices)
        self.outputs = tuple(self.tensors[i] for i in self.output_indices)
        self.metadata = {}
        for entry in file.metadata or []:
            if entry.name == METADATA.encode():
                self.metadata = json.loads(bytes(file.buffers[entry.buffer].data))

    def _check(self):
        """Raises ValueError where the graph does not hang together, so that values would be read that nobody wrote."""
        count = len(self.tensors)
        for i in (*self.input_indices, *self.output_indices):
            if not 0 <= i < count:
                raise ValueError(f"the graph's inputs and outputs name tensor {i} of {count}")
        ends = {*self.input_indices, *self.output_indices}
        if any(self.tensors[i].is_ready and 0 not in self.tensors[i].shape for i in ends):
            raise ValueError("one of the graph's inputs or outputs is a constant or a variable tensor")
        written = {i for i, tensor in enumerate(self.tensors) if tensor.is_ready} | set(self.input_indices)
        for op in self.operators:
            for i in (*op.inputs, *op.outputs):
                if not -1 <= i < count:
                    raise ValueError(f"op {op.name} uses tensor {i} of {count}")
            for place, i in enumerate(op.inputs):
                sparsity = None if i < 0 else self.tensors[i].sparsity
                if sparsity is not None and not is_readable(op.name, place, sparsity):
                    raise ValueError(f"op {op.name} reads tensor {i}, which is in a sparse encoding")
            unwritten = set(op.inputs) - written - {-1}
            if unwritten:
                raise ValueError(f"op {op.name} reads tensor {min(unwritten)} before anything has written it")
            if written & set(op.outputs) or -1 in op.outputs:
                raise ValueError(f"op {op.name} writes tensors {op.outputs}, of which one is absent or written already")
            written |= set(op.outputs)
        read = {i for op in self.operators for i in op.inputs} | set(self.output_indices)
        for op in self.operators:
            if op.is_custom and not read & set(op.outputs):  # interpreters give it no memory for them
                raise ValueError(f"nothing reads what op {op.name} writes")
        if not written >= set(self.output_indices):
            raise ValueError("nothing writes one of the graph's outputs")


def read_file(data: bytes, read: Callable[[Any], Any]) -> Any:
    """`read(file)` of a `.tflite` file, as the schema's object.

    Raises:
        ValueError: The bytes are no `.tflite` file, or `read` finds them damaged.
    """
    if data[4:8] != b"TFL3":
        raise ValueError(f"model is no .tflite file: its {len(data)} bytes lack the mark TFL3 at offset 4.")
    try:
        return read(schema.ModelT.InitFromPackedBuf(data))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"model cannot be read as a .tflite file: {error}") from error
    except Exception as error:  # flatbuffers raises struct.error for reads past the end
        if type(error).__name__ != "error":
            raise
        raise ValueError(f"model is damaged or truncated: {error}") from error


def _read_tensor(tensor, buffers):
    dtype = TFLITE_DTYPES[tensor.type]
    shape = () if tensor.shape is None else tuple(int(d) for d in tensor.shape)
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > _LARGEST_TENSOR:
        raise ValueError(f"a tensor has the shape {shape}")
    raw = buffers[tensor.buffer].data
    data = None
    if raw is not None and len(raw):
        data = np.asarray(raw, np.uint8).view(dtype)
        # Weights in a sparse encoding (SparsityParameters) are shorter than their shape.
        data = data if tensor.sparsity is not None else data.reshape(shape)
        data.flags.writeable = False
    scale = zero_point = None
    quantization = tensor.quantization
    if quantization is not None and quantization.scale is not None and len(quantization.scale):
        scale = np.asarray(quantization.scale, np.float32)
        zero_point = np.zeros(len(scale), np.int32)
        if quantization.zeroPoint is not None:
            zero_point = np.asarray(quantization.zeroPoint, np.int32)
        limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else None
        if limits and not np.all((limits.min <= zero_point) & (zero_point <= limits.max)):
            raise ValueError(f"a tensor of {dtype} has a zero point out of its range")
        if len(scale) == 1:
            scale, zero_point = float(scale[0]), int(zero_point[0])
    name = (tensor.name or b"").decode("utf-8", "replace")
    if tensor.sparsity is not None:
        check_encoding(shape, tensor.sparsity, data)
    return TensorInfo(name, shape, dtype, scale, zero_point, data, bool(tensor.isVariable), tensor.sparsity)


def read_operator(op: Any, codes: Any) -> Operator:
    code = codes[op.opcodeIndex]
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    is_custom = builtin == schema.BuiltinOperator.CUSTOM
    if is_custom:
        name, options = code.customCode.decode(), bytes(op.customOptions if op.customOptions is not None else b"")
    else:
        name, options = _BUILTIN_NAMES[builtin], op.builtinOptions
    inputs = () if op.inputs is None else tuple(int(i) for i in op.inputs)
    outputs = () if op.outputs is None else tuple(int(i) for i in op.outputs)
    return Operator(name, inputs, outputs, options, is_custom)
