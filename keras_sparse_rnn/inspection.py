"""What is in a `.tflite` file: bytes, zeros, memory, MACs."""

import gzip
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_sparse_rnn.formats import TFLITE_DTYPES
from keras_sparse_rnn.runtime import ENGINES


@dataclass(frozen=True)
class TensorInspection:
    """A constant or variable tensor, or an input or output of the model.

    Attributes:
        name, shape, dtype: As in the file.
        bytes: Of its data in the file; of its memory where it is no constant.
        zeros: Share of its stored values that are zero; None where it is no constant.
        encoding: "dense", or "sparse" for SparsityParameters.
        scales: Number of its scales, 0 where it is not quantized; those of an op's own weights are in its options.
        scale_range: The smallest and the largest scale; None where it has none.
        zero_point: The one of all its values; None where it has none or several.
        is_variable: Whether it keeps a state between inferences.
    """

    name: str
    shape: tuple
    dtype: str
    bytes: int
    zeros: float | None
    encoding: str
    scales: int
    scale_range: tuple | None
    zero_point: int | None
    is_variable: bool

    def __str__(self):
        quantized = ""
        if self.scale_range:
            low, high = (f"{scale:.6g}" for scale in self.scale_range)
            quantized = f", scale {low}" if self.scales == 1 else f", {self.scales} scales from {low} to {high}"
            quantized += "" if self.zero_point is None else f", zero point {self.zero_point}"
        kind = ", state" if self.is_variable else "" if self.zeros is None else f", {self.zeros:.1%} zeros"
        sparse = ", SparsityParameters" if self.encoding == "sparse" else ""
        return f"{self.name} {self.dtype} {self.shape}: {self.bytes:,} bytes{kind}{quantized}{sparse}"


@dataclass(frozen=True)
class OpInspection:
    """One op.

    Attributes:
        name: Builtin name, or custom code.
        is_custom: Whether it is a custom op.
        output: Shape of its first output.
        bytes: Of its constant tensors as stored.
        dense_bytes: Of the same with every weight stored, without indices.
        zeros: Share of its weights that are zero; None where it has none.
        block: Width of the blocks in which they are stored; None where they are not.
        macs: Multiply-accumulates of one inference that skips nothing; None where they are not counted.
        effective_macs: Those of weights that are not zero, where the op skips the others; events, and changes of what
            is held, save more than that.
        tensors: Its constants and variables.
    """

    name: str
    is_custom: bool
    output: tuple
    bytes: int
    dense_bytes: int
    zeros: float | None
    block: int | None
    macs: int | None
    effective_macs: int | None
    tensors: tuple


@dataclass(frozen=True)
class Inspection:
    """A model; printing it gives a table.

    Attributes:
        file_bytes, gzip_bytes: Of the file, and of the file zipped.
        weight_bytes, dense_weight_bytes, gzip_weight_bytes: Of all constants as stored, with every weight stored and no
            index, and of these zipped.
        state_bytes: Of the variable tensors.
        macs, effective_macs: Of one inference, as for an op, of the ops that they are counted for.
        inputs, outputs: A `TensorInspection` for each.
        ops: An `OpInspection` for each op, in their order.
        register: What a TensorFlow Lite Micro resolver needs, such as `AddFullyConnected`, and the custom ops.
        engines: For each engine that was tried None if it runs the model, else what it says.
        arena_bytes, persistent_bytes, scratch_bytes: TensorFlow Lite Micro's smallest arena on this host, what of it
            lasts, and what activations and scratch share; None where it was not tried or does not run.
        description, metadata: What the file says about itself; metadata by their names, as text.
    """

    file_bytes: int
    gzip_bytes: int
    weight_bytes: int
    dense_weight_bytes: int
    gzip_weight_bytes: int
    state_bytes: int
    macs: int
    effective_macs: int
    inputs: tuple
    outputs: tuple
    ops: tuple
    register: tuple
    engines: dict
    arena_bytes: int | None
    persistent_bytes: int | None
    scratch_bytes: int | None
    description: str
    metadata: dict

    def __str__(self):
        lines = [f"{self.description or 'a .tflite model'}: {self.file_bytes:,} bytes, zipped {self.gzip_bytes:,}", ""]
        rows = [("op", "output", "bytes", "dense", "zeros", "block", "MACs", "effective")]
        for op in self.ops:
            zeros = "" if op.zeros is None else f"{op.zeros:.1%}"
            macs = ["?" if count is None else f"{count:,}" if count else "" for count in (op.macs, op.effective_macs)]
            block = f"1x{op.block}" if op.block else ""
            rows.append((op.name, str(op.output), f"{op.bytes:,}", f"{op.dense_bytes:,}", zeros, block, *macs))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for i, row in enumerate(rows):
            cells = [
                cell.ljust(w) if k < 2 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
            for tensor in self.ops[i - 1].tensors if i else ():
                lines.append(f"    {tensor}")
        lines += [
            "",
            *(f"input {tensor}" for tensor in self.inputs),
            *(f"output {tensor}" for tensor in self.outputs),
            f"weights: {self.weight_bytes:,} bytes as stored, {self.dense_weight_bytes:,} dense, "
            f"{self.gzip_weight_bytes:,} dense and zipped",
            f"state: {self.state_bytes:,} bytes",
            f"MACs of an inference: {self.macs:,}; {self.effective_macs:,} where weights of zero are skipped",
        ]
        if self.arena_bytes is not None:
            lines.append(
                f"TensorFlow Lite Micro on this host: arena {self.arena_bytes:,} bytes; {self.persistent_bytes:,} "
                f"persistent, {self.scratch_bytes:,} activations and scratch"
            )
        lines.append(f"ops to register: {', '.join(self.register)}")
        lines += [f"{name}: {'runs' if reason is None else reason}" for name, reason in self.engines.items()]
        return "\n".join(lines)


def inspect(model: str | os.PathLike[str] | bytes, engines: Sequence[str] = ENGINES) -> Inspection:
    """Looks into a `.tflite` model, ours or anybody's.

    Args:
        model: Path of a file, or its bytes.
        engines: Names of the engines of `runtime.load` to try the model in.

    Returns:
        An `Inspection`; `dataclasses.asdict` makes JSON of it.

    Raises:
        FileNotFoundError: The path names no file.
        ValueError: It is no `.tflite` file, or a damaged one.
    """
    from keras_sparse_rnn.runtime.model import read_file

    data = bytes(model) if isinstance(model, (bytes, bytearray, memoryview)) else Path(model).read_bytes()
    return read_file(data, lambda file: _inspect(data, file, engines))


def _inspect(data, file, engines):
    pairs = [_op(op, graph, file) for graph in file.subgraphs for op in graph.operators]
    ops, dense = tuple(op for op, _ in pairs), b"".join(data for _, data in pairs)
    states = sum(_memory(t) for graph in file.subgraphs for t in graph.tensors if t.isVariable)
    runs, memory = _try_engines(data, engines)
    main, metadata = file.subgraphs[0], {}
    for entry in file.metadata or []:
        raw = file.buffers[entry.buffer].data
        metadata[_text(entry.name)] = "" if raw is None else bytes(raw).rstrip(b"\0").decode("utf-8", "replace")
    return Inspection(
        file_bytes=len(data),
        gzip_bytes=len(gzip.compress(data, mtime=0)),
        weight_bytes=sum(op.bytes for op in ops),
        dense_weight_bytes=len(dense),
        gzip_weight_bytes=len(gzip.compress(dense, mtime=0)) if dense else 0,
        state_bytes=states,
        macs=sum(op.macs or 0 for op in ops),
        effective_macs=sum(op.effective_macs or 0 for op in ops),
        inputs=tuple(_tensor(main.tensors[i], None) for i in main.inputs),
        outputs=tuple(_tensor(main.tensors[i], None) for i in main.outputs),
        ops=ops,
        register=tuple(sorted({_register_name(op) for op in ops})),
        engines=runs,
        arena_bytes=memory.get("arena_size"),
        persistent_bytes=memory.get("persistent_bytes"),
        scratch_bytes=memory.get("nonpersistent_bytes"),
        description=_text(file.description),
        metadata=metadata,
    )


def _op(op, graph, file):
    """Its `OpInspection`, and its constants with every weight stored."""
    from keras_sparse_rnn.ops import ALL_OPS
    from keras_sparse_rnn.runtime.model import read_operator

    read = read_operator(op, file.operatorCodes)
    inputs = [graph.tensors[i] if i >= 0 else None for i in read.inputs]
    raws = [None if tensor is None else _raw(tensor, file) for tensor in inputs]
    output = _shape(graph.tensors[read.outputs[0]]) if read.outputs else ()
    tensors = tuple(
        _tensor(tensor, raw)
        for tensor, raw in zip(inputs, raws, strict=True)
        if tensor is not None and (raw is not None or tensor.isVariable)
    )
    stored = sum(raw.nbytes for raw in raws if raw is not None)
    if read.is_custom and read.name in ALL_OPS:
        dense, zeros, block, *macs = _ours(ALL_OPS[read.name], read, inputs, raws)
    else:
        present = [(t, raw) for t, raw in zip(inputs, raws, strict=True) if raw is not None]
        dense = b"".join(_decoded(t, raw).tobytes() for t, raw in present)
        weights = [(t, raw) for t, raw in present if len(_shape(t)) > 1]
        size = sum(_size(t) for t, _ in weights)
        zeros = 1 - sum(np.count_nonzero(raw) for _, raw in weights) / size if size else None
        block = None
        macs = [None if read.is_custom else _builtin_macs(read.name, inputs, output)] * 2
        if macs[0] and any(tensor.sparsity is not None for tensor, _ in weights):
            macs[1] = round(macs[0] * (1 - zeros))
    return OpInspection(read.name, read.is_custom, output, stored, len(dense), zeros, block, *macs, tensors), dense


def _decoded(tensor, raw):
    """A constant's values with every weight stored."""
    from keras_sparse_rnn.runtime.sparse_encoding import check_encoding, decode

    if tensor.sparsity is None:
        return raw
    check_encoding(_shape(tensor), tensor.sparsity, raw)
    return decode(_shape(tensor), tensor.sparsity, raw)


def _ours(kind, read, inputs, raws):
    """Dense constants, share of zeros, block width, MACs and effective MACs of an op of ours."""
    parts = kind.SCHEMA.named(raws)
    op = kind.from_constants(kind.SCHEMA.decode(read.options), parts)
    others = [raw for name, raw in parts.items() if "kernel" not in name]
    dense = b"".join(part.tobytes() for part in (*op.kernels, *others))
    block = op.options.block if any(name.endswith("_index") for name in parts) else None
    steps, weights = math.prod(_shape(inputs[0])[:-1]), sum(kernel.size for kernel in op.kernels)
    nonzero = sum(np.count_nonzero(kernel) for kernel in op.kernels)
    zeros = 1 - nonzero / weights
    matrices = [(kernel, f"{name}_index" in parts) for name, (kernel, _) in op.matrices().items()]
    effective = sum(np.count_nonzero(kernel) if in_blocks else kernel.size for kernel, in_blocks in matrices)
    return dense, zeros, block, weights * steps, int(effective) * steps


def _builtin_macs(name, inputs, output):
    weights = _shape(inputs[1]) if len(inputs) > 1 and inputs[1] is not None else ()
    count = int(np.prod(output, dtype=np.int64))
    if name == "FULLY_CONNECTED":
        return count * weights[-1]
    if name == "CONV_2D":
        return count * int(np.prod(weights[1:], dtype=np.int64))
    if name == "DEPTHWISE_CONV_2D":
        return count * weights[1] * weights[2]
    if name == "TRANSPOSE_CONV":
        return math.prod(_shape(inputs[2])[:3]) * math.prod(weights)
    if name == "BATCH_MATMUL":
        return math.prod(_shape(inputs[0])) * output[-1]
    if name in ("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"):
        matrices = [_shape(tensor) for tensor in inputs[1:] if tensor is not None and not tensor.isVariable]
        return math.prod(_shape(inputs[0])[:2]) * sum(math.prod(shape) for shape in matrices if len(shape) == 2)
    products = ("LSTM", "RNN", "MATMUL", "CONV", "SVDF", "EINSUM", "WHILE", "CALL", "IF")
    return None if any(part in name for part in products) else 0


def _tensor(tensor, raw):
    quantization = tensor.quantization
    scales, zeros = (
        [] if quantization is None or values is None else np.asarray(values)
        for values in (getattr(quantization, "scale", None), getattr(quantization, "zeroPoint", None))
    )
    return TensorInspection(
        name=_text(tensor.name),
        shape=_shape(tensor),
        dtype=_dtype_name(tensor),
        bytes=_memory(tensor) if raw is None else raw.nbytes,
        zeros=None if raw is None else float(np.mean(raw == 0)) if raw.size else 0.0,
        encoding="dense" if tensor.sparsity is None else "sparse",
        scales=len(scales),
        scale_range=(float(min(scales)), float(max(scales))) if len(scales) else None,
        zero_point=int(zeros[0]) if len(set(zeros)) == 1 else None,
        is_variable=bool(tensor.isVariable),
    )


def _raw(tensor, file):
    """A tensor's constant values, flat; as bytes where NumPy has no such type."""
    data = file.buffers[tensor.buffer].data
    if data is None or not len(data):
        return None
    data = np.asarray(data, np.uint8)
    dtype = TFLITE_DTYPES.get(tensor.type, np.dtype(np.uint8))
    return data.view(dtype) if data.size % dtype.itemsize == 0 else data


def _memory(tensor):
    return _size(tensor) * TFLITE_DTYPES.get(tensor.type, np.dtype(np.uint8)).itemsize


def _size(tensor):
    return int(np.prod(_shape(tensor), dtype=np.int64))


def _shape(tensor):
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def _dtype_name(tensor):
    from ai_edge_litert.schema_py_generated import TensorType

    names = {number: name for name, number in vars(TensorType).items() if not name.startswith("_")}
    return names.get(tensor.type, "?").lower()


def _text(name):
    return "" if name is None else name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def _register_name(op):
    """How TensorFlow Lite Micro adds an op: its resolver's method, or the name under which an op of ours is added."""
    from keras_sparse_rnn.runtime.tflm_ops import resolver_method

    return resolver_method(op) or (op.name if op.is_custom else f"{op.name} (not in TensorFlow Lite Micro)")


def _try_engines(data, engines):
    from keras_sparse_rnn import runtime

    runs, memory = {}, {}
    for name in engines:
        try:
            engine = runtime.load(data, name)
            if name == "tflm":
                memory = engine.memory
            runs[name] = None
        except (ImportError, RuntimeError, ValueError) as error:
            runs[name] = " ".join(str(error).split())
    return runs, memory
