"""A `.tflite` model that the engines can run."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.schema import OpSchema
from keras_sparse_rnn.runtime.sparse_encoding import is_readable
from keras_sparse_rnn.tflite_file import ModelFile, read_bytes
from keras_sparse_rnn.typing import ModelSource, is_real

METADATA = "keras_sparse_rnn"  # the entry of the file's metadata that is ours
MOST_ACTIVATIONS = 2**29  # bytes
_KEEP_VALUES = ("CAST", "RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE")
_LONGEST_METADATA = 2**20  # bytes
_SMALLEST = 2.0**-100  # divisor


class Model:
    """A `.tflite` model with one graph and no control flow, in which every value is written before it is read.

    Args:
        data: The bytes of the file.

    Attributes:
        data: The bytes of the file.
        tensors: All tensors of its graph, a tuple of `FileTensor`.
        operators: Its ops in the order of execution, a tuple of `Operator`.
        inputs, outputs: Tuples of `FileTensor`. An input with a scale for each channel has an array of scales, while it
            has one in `tensors`, for divided values, as the ops and other programs take it.
        input_indices, output_indices: Their numbers in `tensors`.
        last_readers: For each op, the tensors that no later op reads and that are not outputs.
        index_ranges: For each input, the number of rows of the smallest table that it indexes, as in an Embedding; None
            if it indexes no table.
        activation_bytes: The largest number of bytes that its states, and the tensors that are still needed, take at
            one time.
        metadata: The metadata of `ksr.convert`: a dict with "version" (of this package), "weights", "scales",
            "target", "stateful", "batch_size", "time_steps", "sparsity" (share of zeros in the recurrent weights),
            "labels" and "input_divisors" (for each input a list of what its channels are divided by before they are
            quantized, or None); "time_steps" and "sparsity" are None without recurrent layers. `{}` for other files.

    Raises:
        ValueError: The bytes are not a `.tflite` file, the file has control flow (more than one subgraph), or it needs
            more memory than `MOST_ACTIVATIONS`.
    """

    def __init__(self, data: bytes) -> None:
        file = ModelFile(data)
        self.data = file.data
        try:
            self._take(file)
        except ValueError as error:
            raise ValueError(f"model cannot be run: {error}") from error

    @classmethod
    def of(cls, model: ModelSource) -> "Model":
        """Reads a model from a file, bytes, or the result of `ksr.convert`; a `Model` is returned unchanged.

        Raises:
            FileNotFoundError: The path does not exist.
            TypeError: `model` has another type.
            ValueError: As for the class.
        """
        return model if isinstance(model, cls) else cls(read_bytes(model))

    def _take(self, file):
        if len(file.graphs) != 1:
            raise ValueError(
                f"it has control flow, {len(file.graphs)} subgraphs; the engines here run one (LiteRT may run it)"
            )
        graph = file.graphs[0]
        self.tensors, self.operators = tuple(graph.tensors), tuple(graph.operators)
        self.input_indices, self.output_indices = graph.inputs, graph.outputs
        self.inputs = tuple(self.tensors[i] for i in graph.inputs)
        self.outputs = tuple(self.tensors[i] for i in graph.outputs)
        self._check_tensors()
        self._check_order()
        self._check_our_ops()
        self.last_readers = self._last_readers()
        self.index_ranges = self._index_ranges()
        self.activation_bytes = self.check_memory([tensor.nbytes for tensor in self.tensors])
        self.metadata = read_metadata(file.metadata.get(METADATA))
        divisors = self.metadata.get("input_divisors", [None] * len(self.inputs))
        if len(divisors) != len(self.inputs):
            raise ValueError(
                f"its metadata '{METADATA}' hold divisors of {len(divisors)} inputs, not {len(self.inputs)}"
            )
        self.inputs = tuple(_by_channel(tensor, by) for tensor, by in zip(self.inputs, divisors, strict=True))

    def _check_tensors(self):
        for place, ends in (("input", self.inputs), ("output", self.outputs)):
            if not ends:
                raise ValueError(f"it has no {place}")
            if any(tensor.is_ready and 0 not in tensor.shape for tensor in ends):
                raise ValueError("one of the graph's inputs or outputs is a constant or a variable tensor")
        if len(set(self.input_indices)) < len(self.inputs) or len(self.outputs) > len(self.tensors):
            raise ValueError(
                f"it has {len(self.inputs)} inputs and {len(self.outputs)} outputs, of which several are one"
            )
        used = {i for op in self.operators for i in (*op.inputs, *op.outputs)} - {-1}
        for tensor in (self.tensors[i] for i in sorted(used | {*self.input_indices, *self.output_indices})):
            if tensor.type_name != tensor.dtype.name:
                raise ValueError(f"tensor '{tensor.name}' is of the type {tensor.type_name}, which no engine here has")
            if tensor.data is None and tensor.scale == 0:
                raise ValueError(f"tensor '{tensor.name}' has the scale 0")

    def _check_order(self):
        """Raises ValueError if the graph is not connected, so that an op would read values that nothing has written."""
        written = {i for i, tensor in enumerate(self.tensors) if tensor.is_ready} | set(self.input_indices)
        for op in self.operators:
            for place, i in enumerate(op.inputs):
                sparsity = None if i < 0 else self.tensors[i].sparsity
                if sparsity is not None and not is_readable(op.name, op.version, place, sparsity):
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

    def _check_our_ops(self):
        """Raises ValueError unless the tensors that a kernel checks are constants, and its states are variables."""
        for op in self.operators:
            if not op.is_custom or op.name not in ALL_OPS:
                continue
            if not op.outputs or not op.inputs:
                raise ValueError(f"op {op.name} has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
            schema = ALL_OPS[op.name].SCHEMA
            is_kept = not has_initial_states(schema, op.options)
            for given, i in list(zip(schema.inputs, op.inputs, strict=False))[1:]:
                tensor = None if i < 0 else self.tensors[i]
                if tensor is None:
                    continue
                fault = None
                if given.size == "output" or (given.is_state and is_kept):
                    fault = None if tensor.is_variable and tensor.data is None else "is no variable"
                elif given.is_state:
                    fault = "is a variable" if tensor.is_variable else None
                elif given.is_constant and tensor.data is None:
                    fault = "is no constant"
                if fault:
                    raise ValueError(f"op {op.name} has tensor '{tensor.name}' as its {given.name}: it {fault}")

    def _last_readers(self):
        later, readers = set(self.output_indices), []
        for op in reversed(self.operators):
            touched = {i for i in (*op.inputs, *op.outputs) if i >= 0 and not self.tensors[i].is_ready}
            readers.append(tuple(sorted(touched - later)))
            later |= touched
        return tuple(reversed(readers))

    def _index_ranges(self):
        came_from = {i: i for i in self.input_indices}  # tensors that hold the values of an input
        rows: dict[int, int] = {}
        for op in self.operators:
            if op.name in _KEEP_VALUES and op.outputs and came_from.keys() & set(op.inputs[:1]):
                came_from[op.outputs[0]] = came_from[op.inputs[0]]
            if op.name == "GATHER" and came_from.keys() & set(op.inputs[1:2]) and getattr(op.options, "axis", 0) == 0:
                table, place = self.tensors[op.inputs[0]], came_from[op.inputs[1]]
                if table.data is not None and table.shape and self.tensors[place].dtype.kind in "iu":
                    rows[place] = min(table.shape[0], rows.get(place, table.shape[0]))
        return tuple(rows.get(i) for i in self.input_indices)

    def check_memory(self, sizes: Sequence[int]) -> int:
        """Computes `activation_bytes` for tensors of these `sizes`, in bytes.

        Raises:
            ValueError: The result exceeds `MOST_ACTIVATIONS`.
        """
        held = sum(size for tensor, size in zip(self.tensors, sizes, strict=True) if tensor.is_variable)
        held += sum(sizes[i] for i in set(self.input_indices))
        most = held
        for op, done in zip(self.operators, self.last_readers, strict=True):
            held += sum(sizes[i] for i in set(op.outputs))
            most = max(most, held)
            held -= sum(sizes[i] for i in done)
        if most > MOST_ACTIVATIONS:
            raise ValueError(
                f"besides its constants it needs {most:,} bytes at one time; at most {MOST_ACTIVATIONS:,} are given to "
                "it. Convert with a smaller batch_size or time_steps"
            )
        return most


def has_initial_states(schema: OpSchema, options: bytes) -> bool:
    """Whether an op only reads its given states; its options may be any bytes."""
    if not schema.shared_words:
        return False
    place = 4 * schema.word_index("initial_states")
    return int.from_bytes(options[place : place + 4], "little") == 1


# The allowed values of each entry of the metadata.
_METADATA_TYPES: dict[str, Any] = {
    "version": str,
    "weights": str,
    "scales": str,
    "target": str,
    "stateful": bool,
    "batch_size": int,
    "time_steps": (int, type(None)),
    "sparsity": (int, float, type(None)),
    "labels": (list, type(None)),
    "input_divisors": list,
}


def _are_divisors(part):
    """Whether it is None or a list of positive numbers that float32 holds."""
    if part is None or part == []:
        return part is None
    return isinstance(part, list) and all(is_real(value) and _SMALLEST <= value <= 1 / _SMALLEST for value in part)


_PARTS: dict[str, Any] = {"labels": lambda part: isinstance(part, str), "input_divisors": _are_divisors}


def _by_channel(tensor, divisors):
    """Returns an input with a scale for each channel, or unchanged if it has no divisors."""
    if divisors is None:
        return tensor
    if tensor.scale is None or tensor.shape[-1:] != (len(divisors),):
        raise ValueError(
            f"its metadata '{METADATA}' hold {len(divisors)} divisors of input '{tensor.name}', which does not have as "
            f"many channels of integers; its shape is {tensor.shape}"
        )
    by = np.array(divisors, np.float32)
    return replace(tensor, scale=np.float32(tensor.scale) * by, channel_axis=len(tensor.shape) - 1)


def read_metadata(raw):
    """Returns the metadata that `ksr.convert` has written: a dict without unknown entries, `{}` if there are none.

    Args:
        raw: The bytes of the entry `METADATA`, or None.

    Raises:
        ValueError: They hold something else.
    """
    if raw is None:
        return {}
    if len(raw) > _LONGEST_METADATA:
        raise ValueError(f"its metadata '{METADATA}' have {len(raw)} bytes; at most {_LONGEST_METADATA} are read")
    try:
        noted = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its metadata '{METADATA}' are no JSON, or nested too deeply: {error}") from error
    if not isinstance(noted, dict):
        raise ValueError(f"its metadata '{METADATA}' must be a JSON object; given: a {type(noted).__name__}")
    noted = {name: noted[name] for name in _METADATA_TYPES if name in noted}
    for name, value in noted.items():
        allowed = _METADATA_TYPES[name]
        is_fit = isinstance(value, allowed) and (allowed is bool or not isinstance(value, bool))
        if not is_fit or not all(_PARTS[name](part) for part in (value if isinstance(value, list) else ())):
            raise ValueError(f"its metadata '{METADATA}' hold another '{name}' than convert writes")
    return noted
