"""KsrSparseDense: a dense layer with its weights in blocks (`tflite/include/ksr_sparse_dense.h`)."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from keras_sparse_rnn.ops.block_sparse import BlockSparseMatrix, decode, encode, smallest_height, stride_of
from keras_sparse_rnn.ops.recurrent_schema import LAYOUT_OF_INPUTS, block_shape, height_of, is_for_all, with_height
from keras_sparse_rnn.ops.schema import BLOCKS, LARGEST, WEIGHT_BITS, Input, OpSchema, Word, constant, matrix

ACTIVATIONS = ("linear", "relu", "relu6")
# Approximate bytes of a file per tensor besides its data: name, shape, buffer and their tables.
_TENSOR_BYTES = 64
_SCALE_BYTES = 12  # with its zero point

SCHEMA = OpSchema(
    "KsrSparseDense",
    "a dense layer with its weights in blocks",
    (
        Word("format", "number format: 0 float32, 1 int8", (0, 1), (0, 1), (0, 1)),
        Word.every("units", "number of units, U", 1, 65535),
        Word.every("block", "width of a block: 4, 8 or 16", 4, 16, form="power of two"),
        Word.every("activation", "0 linear, 1 relu, 2 relu6; in integers, the range of the output includes it", 0, 2),
        WEIGHT_BITS,
        Word.integer("layout", LAYOUT_OF_INPUTS, 0, 13, form="without 2"),
        Word.integer("x_zero_point", "zero point of x", -128, 127),
        Word.integer("output_zero_point", "zero point of the output", -128, 127),
        Word.integer("output_min", "smallest output, with the activation", -128, 127, limit=(0, 1, "output_max")),
        Word.integer("output_max", "largest output, with the activation", -128, 127),
    ),
    (
        Input("x", "(.., I): rows of I values, any leading dimensions", ("float32", "int8", None)),
        *matrix("kernel", "from x to the outputs", "inputs", (0,)),
        constant("bias", "bias of each output", "stride", "float32", "int32", None),
        constant("multiplier", "multiplier of each output", "stride", None, "int32", None, values=(0, LARGEST)),
        constant(
            "shift",
            "shift to the right of each output, after the multiplier",
            "stride",
            None,
            "uint8",
            None,
            values=(1, 62),
        ),
    ),
    takes_sequences=False,
)


@dataclass(frozen=True, eq=False)
class SparseDense:
    """The op KsrSparseDense and, when called, its definition.

    Attributes:
        options: Its options, of the class `SCHEMA.options`.
        kernel `(I, 1, U)`: int8 or float32.
        bias `(U,)`: int32 or float32.
        multiplier, shift `(U,)`: Requantization of an int8 op.
    """

    options: Any
    kernel: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray | None = None
    shift: np.ndarray | None = None

    SCHEMA: ClassVar[OpSchema] = SCHEMA

    @property
    def is_integer(self):
        return self.options.number_format.is_integer

    @property
    def kernels(self):
        """Its matrices with all weights."""
        return (self.kernel,)

    def matrices(self):
        """`(kernel, slots)` of each stored matrix by its name."""
        return {"kernel": (self.kernel, (0,))}

    def constants(self, sparse=None):
        """Returns a dict from the names of inputs to the constant tensors."""
        o = self.options
        matrix = encode(self.kernel, o.block, (0,), sparse, *self._stored(o))
        is_for_all = self._is_for_all(o, matrix)
        padding = stride_of(self.options.units, self.options.block) - self.options.units
        arrays = {"kernel": matrix.values, "kernel_index": matrix.index, "kernel_rows": matrix.rows}
        arrays["bias"] = np.pad(self.bias - self._from_zero_point() if is_for_all else self.bias, (0, padding))
        if self.is_integer:
            arrays["multiplier"] = np.pad(self.multiplier, (0, padding))
            arrays["shift"] = np.pad(self.shift, (0, padding), constant_values=1)
        return {name: array for name, array in arrays.items() if array is not None}

    @classmethod
    def from_constants(cls, options, arrays, inputs):
        """Creates the op from its options, a dict of its constant tensors by name, and the size of its input."""
        matrix = BlockSparseMatrix(*(arrays.get(name) for name in ("kernel", "kernel_index", "kernel_rows")))
        kernel = decode(matrix, inputs, options.units, options.block, (0,), *cls._stored(options))
        vectors = {name: arrays[name][: options.units] for name in ("bias", "multiplier", "shift") if name in arrays}
        op = cls(options, kernel, **vectors)
        return replace(op, bias=op.bias + op._from_zero_point()) if cls._is_for_all(options, matrix) else op

    @staticmethod
    def _stored(options):
        """The last arguments of `encode` and `decode`."""
        return bool(options.layout & 1), options.weight_bits, height_of(options.layout, "inputs")

    @staticmethod
    def _is_for_all(options, matrix):
        return is_for_all(options.layout, "inputs", matrix.index is not None)

    def laid_out(self, inputs_act=True):
        """Returns the op in its fastest layout; `inputs_act` says that most inputs are nonzero."""
        return replace(self, options=replace(self.options, layout=int(inputs_act and self.is_integer)))

    def in_blocks(self, block, heights):
        """As `RecurrentOp.in_blocks`."""
        o = self.options
        height = smallest_height([(self.kernel, (0,))], block, heights, o.weight_bits) if o.layout else 1
        return replace(self, options=replace(o, block=block)).in_high_blocks(height)

    def in_high_blocks(self, height):
        """Returns the op with blocks of `height` inputs and one output."""
        return replace(self, options=replace(self.options, layout=with_height(self.options.layout, "inputs", height)))

    def block_shape(self, name):
        """As `RecurrentOp.block_shape`."""
        return block_shape(self.options, "inputs")

    def _from_zero_point(self):
        """What the zero point of x would add to the accumulators, int32; 0 where it is subtracted."""
        return self.kernel[:, 0].sum(axis=0, dtype=np.int32) * np.int32(self.options.x_zero_point)

    def states(self, x_scale=1.0):
        return {}

    def invoke(self, x, states):
        """Returns the output tensor for the tensor x, `(.., I)`."""
        o = self.options
        if not self.is_integer:
            y = x @ self.kernel[:, 0] + self.bias
            return np.clip(y, 0 if o.activation else -np.inf, 6 if o.activation == 2 else np.inf).astype(np.float32)
        acc = (x.astype(np.int64) - o.x_zero_point) @ self.kernel[:, 0].astype(np.int64) + self.bias
        shift = self.shift.astype(np.int64)
        y = ((acc * self.multiplier + (1 << (shift - 1))) >> shift) + o.output_zero_point
        return np.clip(y, o.output_min, o.output_max).astype(np.int8)


def ways_to_store(dense, scales, op=None):
    """The ways to store a dense layer; `convert` takes that with the fewest bytes.

    Args:
        dense: The arrays of a FULLY_CONNECTED: weights, and biases if it has any.
        scales: How many scales these have in total.
        op: The same layer as a `SparseDense`; None if that cannot be.

    Returns:
        Dict from "dense", "blocks of 1x4" and the like, with weights of 4 bits also "4 bits, dense" etc., to
        `(bytes, op, constants)`: approximate bytes in a file; the last two are None for the FULLY_CONNECTED.
    """
    ways = {"dense": (_file_bytes(dense) + scales * _SCALE_BYTES, None, None)}
    if op is None:
        return ways
    bits = f"{op.options.weight_bits} bits, " if op.options.weight_bits else ""
    ops = [replace(op, options=replace(op.options, block=block)) for block in BLOCKS]
    ops += [ops[0].in_high_blocks(height) for height in BLOCKS] if op.is_integer else []
    made = {f"{bits}blocks of {op.block_shape('kernel')}": (op, op.constants(sparse=True)) for op in ops}
    if bits:
        whole = ops[0].laid_out()
        made[f"{bits}dense"] = whole, whole.constants(sparse=False)
    return ways | {way: (_file_bytes(constants.values()), op, constants) for way, (op, constants) in made.items()}


def _file_bytes(tensors):
    return sum(tensor.nbytes + _TENSOR_BYTES for tensor in tensors)
