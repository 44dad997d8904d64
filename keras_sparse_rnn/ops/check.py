"""Checks an op's options and tensors as `tflite/kernels/schema.c` does, in the same order, in NumPy."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_sparse_rnn.ops.block_sparse import BlockSparseMatrix, decode, padded_sources, stride_of, unpacked
from keras_sparse_rnn.ops.recurrent_schema import BY_OUTPUTS, DIAGONAL, height_of, is_for_all, with_height
from keras_sparse_rnn.ops.schema import LARGEST, SLOTS, Input, OpSchema, RefusedOpError
from keras_sparse_rnn.ops.tensor import TensorInfo

LARGEST_SIZE = 65535  # sources of events are uint16
MOST_OUTPUTS = 6


def check(schema: OpSchema, data: bytes, inputs: Sequence[TensorInfo | None], outputs: Sequence[TensorInfo]) -> Any:
    """Checks an op of a model and returns its options.

    Args:
        schema: The `OpSchema` of the op.
        data: The bytes of its custom options.
        inputs, outputs: Its tensors; constants have `data`.

    Raises:
        RefusedOpError: A word or a tensor is wrong. The message names it, the given value and the allowed values.
    """
    if len(data) < 4:
        raise RefusedOpError(schema, "OPTIONS_SIZE", 0, f"custom options have {len(data)} bytes; allowed: "
                      f"{4 * (1 + len(schema.words))}")  # fmt: skip
    options = schema.decode(data)
    if len(inputs) > len(schema.inputs):
        raise RefusedOpError(
            schema, "INPUT_COUNT", 0, f"{len(inputs)} inputs are given; at most {len(schema.inputs)} allowed"
        )
    if not 1 <= len(outputs) <= MOST_OUTPUTS:
        raise RefusedOpError(schema, "OUTPUT_COUNT", 0, f"{len(outputs)} outputs are given; allowed: 1, or one more "
                             "for each state")  # fmt: skip
    return _Check(schema, options, [*inputs, *[None] * (len(schema.inputs) - len(inputs))])(outputs)


class _Check:
    def __init__(self, schema, options, inputs):
        self._schema, self._options, self._inputs = schema, options, inputs
        self._words = vars(options)
        self._format = options.number_format
        self._present = {given.name for given, tensor in zip(schema.inputs, inputs, strict=True) if tensor is not None}
        self._sizes = {}
        if not schema.gives_mask:
            self._sizes = {"units": options.units, "stride": stride_of(options.columns, options.block)}
            self._sizes["slots"] = SLOTS * self._sizes["stride"]
            self._sizes["sums"] = self._sizes["slots"] + self._format.is_integer
            self._sizes["output"] = options.units
            gates = sum(len(matrix.slots_of(self._words)) for matrix in self._read_state())
            self._sizes["diagonal"] = gates * self._sizes["stride"]
            self._sizes["deep"] = options.units * self._words.get("deep", 0)
            self._sizes["deep_slots"] = self._sizes["slots"] * self._words.get("deep", 0)
            ranks = self._words.get("rank", 0), self._words.get("recurrent_rank", 0)
            self._sizes["middle"] = sum(stride_of(rank, options.block) for rank in ranks)
        self._samples = 1

    def __call__(self, outputs):
        self._check_x_and_output(self._inputs[0], outputs[0])
        for i, (given, tensor) in enumerate(zip(self._schema.inputs, self._inputs, strict=True)):
            if i:
                self._check_presence(i, given, tensor)
                if tensor is not None:
                    self._check_input(i, given, tensor)
        self._check_states(outputs[1:])
        if self._schema.takes_sequences and not self._schema.gives_mask:
            self._check_deep()
            self._check_rank()
            self._check_holds()
        if self._format.is_integer and not self._schema.gives_mask:
            self._check_room()
        return self._options

    def _refuse(self, status, i, reason):
        raise RefusedOpError(self._schema, status, i, f"{self._schema.inputs[i].name} (input {i}) {reason}")

    def _check_x_and_output(self, x, output):
        if x is None:
            self._refuse("MISSING", 0, "is missing")
        if x.dtype != self._format.activations:
            self._refuse("TYPE", 0, f"is {x.dtype}; allowed in the format {self._format.name}: "
                         f"{self._format.activations}")  # fmt: skip
        sequences = self._schema.takes_sequences
        shape = "(batch, steps, inputs)" if sequences else "(.., inputs)"
        fits = len(x.shape) == 3 if sequences else 1 <= len(x.shape) <= 4
        if not fits or min(x.shape) < 1 or x.shape[-1] > LARGEST_SIZE or math.prod(x.shape) > LARGEST:
            self._refuse("SHAPE", 0, f"has the shape {x.shape}; allowed: {shape}, at least 1 each, at most "
                         f"{LARGEST_SIZE} inputs")  # fmt: skip
        self._sizes["inputs"] = x.shape[-1]
        self._samples = x.shape[0] if sequences else 1
        self._sizes["steps"] = math.prod(x.shape[:-1]) // self._samples
        if self._schema.gives_mask:
            self._check_mask(output, x.shape[:-1])
            return
        expected = (*x.shape[:-1], self._options.units)
        if sequences and not self._options.return_sequences:
            expected = (expected[0], expected[2])
        fits = output.shape == expected or (
            not sequences
            and output.shape[-1:] == expected[-1:]
            and 0 < math.prod(output.shape) == math.prod(expected) <= LARGEST
        )
        if output.dtype != x.dtype or not fits or math.prod(expected) > LARGEST:
            reason = f"the output is {output.dtype} {output.shape}; allowed: {x.dtype} {expected}"
            raise RefusedOpError(self._schema, "OUTPUT", 0, reason)

    def _check_mask(self, output, expected):
        if (output.dtype, output.shape) != (np.dtype(bool), expected):
            reason = f"the output is {output.dtype} {output.shape}; allowed: bool {expected}"
            raise RefusedOpError(self._schema, "OUTPUT", 0, reason)

    def _check_states(self, outputs):
        """Those after the last step."""
        states = self._schema.states_of(self._words, self._present)
        if outputs and len(outputs) != len(states):
            reason = f"{1 + len(outputs)} outputs are given; allowed: 1 or {1 + len(states)}, one for each state"
            raise RefusedOpError(self._schema, "OUTPUT_COUNT", 0, reason)
        for given, tensor in zip(states, outputs, strict=False):
            dtype, shape = np.dtype(given.types[self._options.format]), (self._samples, self._sizes[given.size])
            if (tensor.dtype, tensor.shape) != (dtype, shape):
                reason = f"the output for {given.name} is {tensor.dtype} {tensor.shape}; allowed: {dtype} {shape}"
                raise RefusedOpError(self._schema, "OUTPUT", 0, reason)

    def _check_presence(self, i, given, tensor):
        allowed = self._schema.allows(given, self._words, self._present)
        if tensor is not None and not allowed:
            self._refuse("UNEXPECTED", i, f"is given; {self._condition(given)}")
        if tensor is None and allowed and not given.is_optional:
            self._refuse("MISSING", i, "is missing")
        if allowed and given.together and (tensor is None) != (given.together not in self._present):
            self._refuse("MISSING" if tensor is None else "UNEXPECTED", i, f"and {given.together} are to be given "
                         "together or not at all")  # fmt: skip
        if given.size in ("index", "rows") and tensor is not None:
            other = given.name.replace("_index", "_rows") if given.size == "index" else given.name[:-5] + "_index"
            if other not in self._present:
                self._refuse("UNEXPECTED", i, f"and {other} are to be given together or not at all")

    def _condition(self, given):
        if given.is_reserved:
            return "it is reserved for later versions and must be absent"
        if given.types[self._options.format] is None:
            return f"it must be absent in the format {self._format.name}"
        if given.where is not None and self._words[given.where[0]] not in given.where[1]:
            return f"it must be absent where {given.where[0]} is not {' or '.join(map(str, given.where[1]))}"
        if given.is_deep and not self._words["deep"]:
            return "it must be absent where deep is 0"
        if given.is_of_factors and not self._words["rank"]:
            return "it must be absent where rank is 0"
        if self._words.get("rank") and not self._words["recurrent_rank"] and given.size in ("values", "index", "rows"):
            return "it must be absent where inputs and state share a middle"
        return f"it must be absent where {given.needs} is"

    def _check_input(self, i, given, tensor):
        types = [np.dtype(given.types[self._options.format])]
        types += [np.dtype(np.uint32)] * (given.size == "rows")
        if tensor.dtype not in types:
            self._refuse("TYPE", i, f"is {tensor.dtype}; allowed: {' or '.join(map(str, types))}")
        if given.is_state or given.size in ("steps", "output"):
            expected = (self._samples, self._sizes[given.size])
            if tensor.shape != expected:
                self._refuse("SHAPE", i, f"has the shape {tensor.shape}; allowed: {expected}")
            if tensor.data is not None:
                self._refuse("CONSTANT", i, "is constant; allowed: a variable tensor, which the op writes")
            return
        if tensor.data is None:
            self._refuse("NOT_CONSTANT", i, "is not constant, but must be")
        if len(tensor.shape) != 1:
            self._refuse("SHAPE", i, f"has {len(tensor.shape)} dimensions; allowed: 1")
        if given.size in self._sizes and tensor.shape[0] != self._sizes[given.size]:
            self._refuse("SHAPE", i, f"has {tensor.shape[0]} values; allowed: {self._sizes[given.size]}")
        if given.size == "rows":
            self._check_matrix(i - 2, self._schema.inputs[i - 2])
        elif given.size == "values" and not {f"{given.name}_index", f"{given.name}_rows"} & self._present:
            gates, sources = len(given.slots_of(self._words)), self._sources_of(given)
            sources = padded_sources(sources) if self._is_for_all(given) else sources
            expected = self._bytes_of(gates * self._stride_of(given) * sources)
            if tensor.shape[0] != expected:
                self._refuse("SHAPE", i, f"has {tensor.shape[0]} values; allowed, without an index: {expected}")
        if given.values is not None and self._format.is_integer:
            low, high = given.values
            wrong = tensor.data[(tensor.data.astype(np.int64) < low) | (tensor.data.astype(np.int64) > high)]
            if wrong.size:
                self._refuse("VALUES", i, f"holds {wrong[0]}; allowed: from {low} to {high}")

    def _check_matrix(self, i, given: Input):
        """Checks a matrix that is stored in blocks; input number i holds its values."""
        values, index, rows = self._inputs[i : i + 3]
        height, sources = height_of(self._options.layout, given.sources), self._sources_of(given)
        width = self._options.block if height == 1 else 1
        block = width * height
        blocks, columns = index.shape[0], (given.slots_of(self._words)[-1] + 1) * self._stride_of(given) // width
        count = -(-sources // height)
        if rows.shape[0] != count + 1:
            each = "each source" if height == 1 else f"{height} sources each"
            self._refuse("SHAPE", i + 2, f"has {rows.shape[0]} values; allowed: {count + 1}, a row for {each}")
        if values.shape[0] != self._bytes_of(blocks * block):
            self._refuse("SHAPE", i, f"has {values.shape[0]} values; allowed: {self._bytes_of(blocks * block)}, "
                         f"{self._bytes_of(block)} for each block in its index")  # fmt: skip
        begins = rows.data.astype(np.int64)
        if begins[0] != 0 or begins[-1] != blocks or (np.diff(begins) < 0).any():
            self._refuse("VALUES", i + 2, f"must rise from 0 to the {blocks} blocks that are stored")
        steps = index.data.astype(np.int64)
        starts = begins[:-1][np.diff(begins) > 0]
        follows = np.ones(blocks, bool)
        follows[starts] = False
        place = np.cumsum(steps)
        place -= np.repeat(place[starts] - steps[starts], np.diff(np.append(starts, blocks)))
        if (follows & (steps == 0)).any() or (place >= columns).any():
            self._refuse("VALUES", i + 1, f"leads past the {columns} blocks of a row, or to the same block twice")

    def _bytes_of(self, weights):
        """Number of stored values for this many weights."""
        return weights // 2 if self._options.weight_bits else weights

    def _is_for_all(self, given):
        """Whether a matrix is stored for sources that all act in every step."""
        return is_for_all(self._options.layout, given.sources, f"{given.name}_index" in self._present)

    def _sources_of(self, given):
        return self._schema.count_sources(given, self._words, self._sizes["inputs"])

    def _stride_of(self, given):
        return stride_of(self._schema.count_columns(given, self._words), self._options.block)

    def _check_rank(self):
        """Kernels of low rank go with a step of one product of the state, as a whole; their sums take the place of the
        accumulators."""
        if not self._words.get("rank"):
            return
        others = self._words["deep"] or self._words["reset_gate"] == 2 or {"input_threshold", DIAGONAL} & self._present
        if others or self._sizes["middle"] > self._sizes["slots"]:
            i, rank = self._schema.word_index("rank"), self._words["rank"]
            reason = (
                f"rank (word {i}) is {rank}; allowed with further micro-layers, a reset gate before the product, held "
                f"values or a diagonal apart: 0; otherwise at most {self._sizes['slots']} columns of factors, padded"
            )
            raise RefusedOpError(self._schema, "WORD", i, reason)

    def _check_deep(self):
        """Further micro-layers have no reset gate."""
        if self._words.get("deep") and self._words["reset_gate"] in (1, 2):
            i = self._schema.word_index("deep")
            reason = f"deep (word {i}) is {self._words['deep']}; allowed with a reset gate: 0"
            raise RefusedOpError(self._schema, "WORD", i, reason)

    def _check_holds(self):
        """Checks holds: changes of int16 inputs, which have 17 bits, must fit into 16, and held values and a
        diagonal apart need weights stored by sources."""
        for name, threshold in (("recurrent_kernel", "hidden_threshold"), ("kernel", "input_threshold")):
            given, i = self._schema.inputs[self._schema.index(name)], self._schema.word_index("layout")
            if threshold in self._present and name not in self._present:
                self._refuse(
                    "UNEXPECTED", self._schema.index(threshold), f"is given; it must be absent where {name} is"
                )
            if threshold in self._present and self._is_for_all(given):
                layout = self._options.layout
                allowed = with_height(layout & ~BY_OUTPUTS[given.sources], given.sources, 1)
                reason = f"layout (word {i}) is {layout}; allowed with {threshold}: {allowed}"
                raise RefusedOpError(self._schema, "WORD", i, reason)
        for given in self._read_state():
            if DIAGONAL in self._present and self._is_for_all(given):
                i, layout = self._schema.word_index("layout"), self._options.layout
                allowed = with_height(layout & ~BY_OUTPUTS[given.sources], given.sources, 1)
                reason = f"layout (word {i}) is {layout}; allowed with {DIAGONAL}: {allowed}"
                raise RefusedOpError(self._schema, "WORD", i, reason)
        if self._format.activation_bits == 16 and self._format.is_integer and "input_threshold" in self._present:
            shift, i = self._options.x_shift, self._schema.word_index("x_shift")
            if shift < 2:
                reason = f"x_shift (word {i}) is {shift}; allowed where x is held: from 2 to 7"
                raise RefusedOpError(self._schema, "WORD", i, reason)

    def _read_state(self):
        """The matrices that read the state."""
        return [m for m in self._schema.matrices if m.sources == "units" and m.name in self._present]

    def _check_room(self):
        """Checks that no accumulator can overflow int32."""
        i = self._schema.index("bias")
        bias = self._inputs[i].data.astype(np.int64)
        room = LARGEST - np.abs(bias)
        reads_x = self._schema.inputs[self._schema.index("input_factor_kernel") if self._words.get("rank") else 1]
        most_x = 128 if self._is_for_all(reads_x) else 255
        if not self._schema.takes_sequences:
            room -= 128 * most_x * self._sizes["inputs"]
        else:
            o, is_int16 = self._options, self._format.activation_bits == 16
            largest = {
                "inputs": 2**15 >> o.x_shift if is_int16 else most_x << o.x_shift,
                "units": (1 << (o.operand_bits if is_int16 else 8)) << o.h_shift,
            }
            if self._words.get("rank"):
                self._check_room_of_middle(largest)
                width = o.middle_bits if is_int16 else 8
                largest = dict.fromkeys(largest, (1 << (width - 1)) << o.middle_shift)
            for given in self._schema.matrices:
                if given.name in self._present and not given.is_deep and not given.is_of_factors:
                    first = given.base * self._sizes["stride"]
                    room[first:] -= self._magnitudes(given)[: len(room) - first] * largest[given.sources]
            if DIAGONAL in self._present:
                weights = np.abs(self._inputs[self._schema.index(DIAGONAL)].data.astype(np.int64))
                places = [m.base + slot for m in self._read_state() for slot in m.slots_of(self._words)]
                by_slot = room.reshape(SLOTS, -1)
                np.subtract.at(by_slot, places, weights.reshape(len(places), -1) * largest["units"])
        self._check_room_of(i, room)
        if self._words.get("deep"):
            i = self._schema.index("deep_bias")
            most = self._magnitudes_of_deep() * largest["units"]
            self._check_room_of(i, LARGEST - np.abs(self._inputs[i].data.astype(np.int64)) - most.reshape(-1))

    def _check_room_of(self, i, room):
        if room.min() < 0:
            self._refuse("OVERFLOW", i, f"is too large for the weights: int32 could overflow by "
                         f"{-room.min()} in accumulator {room.argmin()}")  # fmt: skip

    def _check_room_of_middle(self, largest):
        """Likewise of the sums of the factors."""
        i = self._schema.index("middle_start")
        room = LARGEST - np.abs(self._inputs[i].data.astype(np.int64))
        for name, sources in (("input_factor_kernel", "inputs"), ("recurrent_factor_kernel", "units")):
            most = self._magnitudes(self._schema.inputs[self._schema.index(name)]) * largest[sources]
            if sources == "units" and self._words["recurrent_rank"]:
                room[len(room) - len(most) :] -= most
            else:
                room[: len(most)] -= most
        self._check_room_of(i, room)

    def _magnitudes_of_deep(self):
        """The sums of the weights' magnitudes, for each accumulator of each further micro-layer."""
        i, units, stride = self._schema.index("deep_kernel"), self._options.units, self._sizes["stride"]
        stored = BlockSparseMatrix(*(None if t is None else t.data for t in self._inputs[i : i + 3]))
        slots = self._schema.inputs[i].slots_of(self._words)
        kernel = decode(stored, self._sizes["deep"], stride, self._options.block, slots, bits=self._options.weight_bits)
        sums = np.zeros((self._words["deep"], SLOTS, stride), np.int64)
        sums[:, list(slots)] = np.abs(kernel.astype(np.int64)).reshape(-1, units, len(slots), stride).sum(axis=1)
        return sums

    def _magnitudes(self, given):
        """Sums of the magnitudes of the weights, for each accumulator."""
        i = self._schema.index(given.name)
        values, index, rows = (None if tensor is None else tensor.data for tensor in self._inputs[i : i + 3])
        slots, stride, block = given.slots_of(self._words), self._stride_of(given), self._options.block
        count = 1 if given.is_of_factors else SLOTS
        sums = np.zeros(count * stride, np.int64)
        if index is None:
            sources = self._sources_of(given)
            by_outputs = self._is_for_all(given)
            bits = self._options.weight_bits
            kernel = decode(BlockSparseMatrix(values), sources, stride, block, slots, by_outputs, bits)
            by_gate = np.abs(kernel.astype(np.int64)).sum(axis=0)
            sums.reshape(count, stride)[list(slots)] = by_gate
            return sums
        height = height_of(self._options.layout, given.sources)
        begins, steps = rows.astype(np.int64), index.astype(np.int64)
        starts = begins[:-1][np.diff(begins) > 0]
        place = np.cumsum(steps)
        place -= np.repeat(place[starts] - steps[starts], np.diff(np.append(starts, len(steps))))
        values = unpacked(values) if self._options.weight_bits else values
        weights = np.abs(values.astype(np.int64))
        if height > 1:
            np.add.at(sums, place, weights.reshape(-1, height).sum(axis=1))
        else:
            np.add.at(sums.reshape(-1, block), place, weights.reshape(-1, block))
        return sums
