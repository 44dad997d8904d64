"""Inspects a `.tflite` file: bytes, zeros, memory, MACs."""

import gzip
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_sparse_rnn.extras import packages_of
from keras_sparse_rnn.runtime import ENGINES
from keras_sparse_rnn.typing import ModelSource

_MOST_DECODED = 2**30  # bytes of sparse weights, including their zeros


@dataclass(frozen=True)
class TensorInspection:
    """A constant or variable tensor, or an input or output of a model.

    Attributes:
        name, shape, dtype: Name, shape and dtype in the file.
        bytes: Bytes of the data of a constant in the file, or of the memory of another tensor.
        zeros: Share of the stored values that are zero; None if the tensor is not constant.
        encoding: "dense", or "sparse" for SparsityParameters.
        scales: Number of scales, 0 if the tensor is not quantized. The scales of a custom op's weights are in its
            options.
        scale_range: The smallest and the largest scale; None without scales.
        zero_point: The zero point of all values; None if there is none or several.
        is_variable: Whether the tensor keeps a state between inferences.
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
    """An op of a model.

    Attributes:
        name: Name of the builtin op, or custom code.
        is_custom: Whether it is a custom op.
        output: Shape of its first output.
        bytes: Bytes of the constant tensors as stored.
        dense_bytes: Bytes of the same tensors with every weight stored, without indices.
        zeros: Share of the weights that are zero; None without weights.
        block: Shape of the stored blocks, sources by units: "1x4", or "16x1, 1x4" if the matrices differ; None if the
            weights are not stored in blocks.
        weight_bits: 4 for packed weights of this package's ops; None for whole elements.
        macs: Multiply-accumulates of one inference that skips nothing; None if they are not counted.
        effective_macs: MACs without those of zero weights that the op skips. Events and held values save more than
            that.
        tensors: The constants and variables.
    """

    name: str
    is_custom: bool
    output: tuple
    bytes: int
    dense_bytes: int
    zeros: float | None
    block: str | None
    weight_bits: int | None
    macs: int | None
    effective_macs: int | None
    tensors: tuple


@dataclass(frozen=True)
class Inspection:
    """The contents of a model. Prints as a table.

    Attributes:
        file_bytes, gzip_bytes: Bytes of the file, and of the zipped file.
        weight_bytes, dense_weight_bytes, gzip_weight_bytes: Bytes of all constants: as stored, with every weight stored
            and no index, and the latter zipped.
        state_bytes: Bytes of the variable tensors.
        macs, effective_macs: Sums over the ops for which they are counted.
        inputs, outputs: A `TensorInspection` for each input and output.
        input_divisors: For each input a list of the numbers that its channels are divided by before they are quantized,
            or None; see `input_scales` of `ksr.convert`.
        ops: An `OpInspection` for each op, in order of execution.
        register: What to add to a TensorFlow Lite Micro resolver, such as `AddFullyConnected`, and the custom ops.
        engines: Dict from each tried engine to None if it runs the model, or else to its error.
        arena_bytes, persistent_bytes, scratch_bytes: TensorFlow Lite Micro's smallest arena on this host, its
            persistent part, and the part that activations and scratch memory share; None if it was not tried or does
            not run.
        description, metadata: The file's description, and a dict of its metadata as texts.
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
    input_divisors: tuple
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
            block = ", ".join([op.block] * bool(op.block) + [f"{op.weight_bits} bits"] * bool(op.weight_bits))
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
            *(
                f"input {tensor}" + ("" if by is None else f"; of channels divided by {min(by):.4g} to {max(by):.4g}")
                for tensor, by in zip(self.inputs, self.input_divisors, strict=True)
            ),
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


def inspect(model: ModelSource, engines: Sequence[str] = ENGINES) -> Inspection:
    """Inspects any `.tflite` model, whether or not this package made it.

    Args:
        model: Path of a file, its bytes, or the result of `ksr.convert`.
        engines: Names of the engines of `runtime.load` in which to try the model.

    Returns:
        An `Inspection`. `dataclasses.asdict` converts it for JSON.

    Raises:
        FileNotFoundError: The path does not exist.
        ValueError: The model is not a `.tflite` file, or it is damaged.
        ImportError: A package of the extra `convert` is not installed.
    """
    with packages_of("convert", "ksr.inspect"):
        from keras_sparse_rnn.runtime.model import METADATA, read_metadata
        from keras_sparse_rnn.tflite_file import ModelFile, read_bytes

    file = ModelFile(read_bytes(model))
    weights, nonzeros, ops = _Weights(), _Nonzeros(), []
    for graph in file.graphs:
        for op in graph.operators:
            try:
                ops.append(_op(op, graph.tensors, weights, nonzeros))
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise ValueError(f"model has an op {op.name} whose options or tensors do not fit: {error}") from error
    runs, memory = _try_engines(file.data, engines)
    main = file.graphs[0]
    try:
        metadata = read_metadata(file.metadata.get(METADATA))
    except ValueError:  # as `engines` say
        metadata = {}
    divisors = metadata.get("input_divisors", [None] * len(main.inputs))
    if len(divisors) != len(main.inputs):
        raise ValueError(f"model has {len(main.inputs)} inputs and metadata with divisors of {len(divisors)}")
    return Inspection(
        file_bytes=len(file.data),
        gzip_bytes=len(gzip.compress(file.data, mtime=0)),
        weight_bytes=weights.stored,
        dense_weight_bytes=weights.dense,
        gzip_weight_bytes=weights.zipped(),
        state_bytes=sum(t.nbytes for graph in file.graphs for t in graph.tensors if t.is_variable),
        macs=sum(op.macs or 0 for op in ops),
        effective_macs=sum(op.effective_macs or 0 for op in ops),
        inputs=tuple(_tensor(main.tensors[i], nonzeros) for i in main.inputs),
        outputs=tuple(_tensor(main.tensors[i], nonzeros) for i in main.outputs),
        input_divisors=tuple(divisors),
        ops=tuple(ops),
        register=tuple(sorted({_register_name(op) for op in ops})),
        engines=runs,
        arena_bytes=memory.get("arena_size"),
        persistent_bytes=memory.get("persistent_bytes"),
        scratch_bytes=memory.get("nonpersistent_bytes"),
        description=file.description,
        metadata={name: raw.rstrip(b"\0").decode("utf-8", "replace") for name, raw in file.metadata.items()},
    )


def _place(data):
    """Returns the place of a constant in the file, which tensors may share."""
    return data.__array_interface__["data"][0], data.dtype, data.size


class _Nonzeros(dict):
    """Counts the nonzero values of constants, once per place in the file."""

    def of(self, data):
        place = _place(data)
        if place not in self:
            self[place] = int(np.count_nonzero(data))
        return self[place]


class _Weights:
    """The constants of a model, each counted once.

    Attributes:
        stored, dense: Bytes as stored and with every weight stored.
    """

    def __init__(self):
        self.stored = self.dense = 0
        self._decoded = 0
        self._seen = set()
        self._zip = zlib.compressobj(9, wbits=31)
        self._zipped = 0

    def decoding(self, size):
        """Limits the bytes to decode, of which a small file may hold very many."""
        self._decoded += size
        if self._decoded > _MOST_DECODED:
            raise ValueError(
                f"with its zeros a sparse weight matrix, or all together, take over {_MOST_DECODED:,} bytes"
            )

    def add_tensor(self, tensor):
        if self._is_new(tensor.data):
            if tensor.sparsity is not None:
                self.decoding(tensor.nbytes)
            self._add(tensor.data.nbytes, _decoded(tensor).tobytes())

    def add_matrices(self, data, stored, dense):
        """Adds the matrices of an op of this package, which several ops may share; `data` is its first constant."""
        if self._is_new(data):
            self._add(stored, dense)

    def zipped(self):
        return self._zipped + len(self._zip.flush()) if self.dense else 0

    def _is_new(self, data):
        place = _place(data)
        is_new = place not in self._seen
        self._seen.add(place)
        return is_new

    def _add(self, stored, dense):
        self.stored += stored
        self.dense += len(dense)
        self._zipped += len(self._zip.compress(dense))


def _op(op, tensors, weights, nonzeros):
    """Returns the `OpInspection` of an op, and adds its constants to the `_Weights`."""
    from keras_sparse_rnn.ops import ALL_OPS

    inputs = [None if i < 0 else tensors[i] for i in op.inputs]
    output = tensors[op.outputs[0]].shape if op.outputs and op.outputs[0] >= 0 else ()
    constants = [tensor for tensor in inputs if tensor is not None and tensor.data is not None]
    stored = sum(tensor.data.nbytes for tensor in constants)
    if op.is_custom and op.name in ALL_OPS:
        outputs = [tensors[i] for i in op.outputs if i >= 0]
        values, zeros, block, bits, *macs = _ours(ALL_OPS[op.name], op.options, inputs, outputs, weights)
        dense = len(values)
        weights.add_matrices(constants[0].data, stored, values)
    else:
        dense = sum(t.data.nbytes if t.sparsity is None else t.nbytes for t in constants)
        for tensor in constants:
            weights.add_tensor(tensor)
        matrices = [tensor for tensor in constants if len(tensor.shape) > 1]
        size = sum(tensor.size for tensor in matrices)
        zeros = 1 - sum(nonzeros.of(tensor.data) for tensor in matrices) / size if size else None
        block = bits = None
        macs = [None if op.is_custom else _builtin_macs(op.name, inputs, output)] * 2
        if macs[0] and any(tensor.sparsity is not None for tensor in matrices):
            macs[1] = round(macs[0] * (1 - zeros))
    shown = tuple(_tensor(t, nonzeros) for t in inputs if t is not None and (t.data is not None or t.is_variable))
    return OpInspection(op.name, op.is_custom, output, stored, dense, zeros, block, bits, *macs, shown)


def _decoded(tensor):
    """Returns a constant's values with every weight stored."""
    from keras_sparse_rnn.runtime.sparse_encoding import decode

    return tensor.data if tensor.sparsity is None else decode(tensor.shape, tensor.sparsity, tensor.data)


def _ours(kind, options, inputs, outputs, weights):
    """Returns the dense constants, share of zeros, block shape, bits of packed weights, MACs and effective MACs of an
    op of this package."""
    from keras_sparse_rnn.ops.check import check
    from keras_sparse_rnn.ops.macs import macs_as_stored

    parts = {name: t.data for name, t in kind.SCHEMA.named(inputs).items() if t.data is not None}
    op = kind.from_constants(check(kind.SCHEMA, options, inputs, outputs), parts, inputs[0].shape[-1])
    weights.decoding(sum(kernel.nbytes for kernel in op.kernels))
    others = [raw for name, raw in parts.items() if "kernel" not in name]
    dense = b"".join(part.tobytes() for part in (*op.kernels, *others))
    steps, in_blocks = math.prod(inputs[0].shape[:-1]), [name for name in parts if f"{name}_index" in parts]
    block = ", ".join(dict.fromkeys(op.block_shape(name) for name in in_blocks)) or None
    macs, effective = macs_as_stored(op, in_blocks)
    zeros = 1 - sum(np.count_nonzero(kernel) for kernel in op.kernels) / macs if macs else None
    bits = getattr(op.options, "weight_bits", 0) or None
    return dense, zeros, block, bits, macs * steps, effective * steps


def _builtin_macs(name, inputs, output):
    weights = inputs[1].shape if len(inputs) > 1 and inputs[1] is not None else ()
    count = math.prod(output)
    if name == "FULLY_CONNECTED":
        return count * weights[-1]
    if name == "CONV_2D":
        return count * math.prod(weights[1:])
    if name == "DEPTHWISE_CONV_2D":
        return count * weights[1] * weights[2]
    if name == "TRANSPOSE_CONV":
        return math.prod(inputs[2].shape[:3]) * math.prod(weights)
    if name == "BATCH_MATMUL":
        return math.prod(inputs[0].shape) * output[-1]
    if name in ("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"):
        matrices = [tensor.shape for tensor in inputs[1:] if tensor is not None and not tensor.is_variable]
        return math.prod(inputs[0].shape[:2]) * sum(math.prod(shape) for shape in matrices if len(shape) == 2)
    products = ("LSTM", "RNN", "MATMUL", "CONV", "SVDF", "EINSUM", "WHILE", "CALL", "IF")
    return None if any(part in name for part in products) else 0


def _tensor(tensor, nonzeros):
    scales, zeros = (np.zeros(0) if part is None else np.atleast_1d(part) for part in (tensor.scale, tensor.zero_point))
    data = tensor.data
    return TensorInspection(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.type_name,
        bytes=tensor.nbytes if data is None else data.nbytes,
        zeros=None if data is None else 1 - nonzeros.of(data) / data.size,
        encoding="dense" if tensor.sparsity is None else "sparse",
        scales=len(scales),
        scale_range=(float(scales.min()), float(scales.max())) if len(scales) else None,
        zero_point=int(zeros[0]) if len(zeros) and (zeros == zeros[0]).all() else None,
        is_variable=tensor.is_variable,
    )


def _register_name(op):
    """Returns what adds an op in TensorFlow Lite Micro: its resolver's method, or the name of a custom op."""
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
