"""KsrSparseDense: a dense layer with its weights in blocks (`tflite/include/ksr_sparse_dense.h`)."""

from dataclasses import astuple, dataclass, fields
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.block_sparse import BlockSparseMatrix, decode, encode, stride_of


@dataclass(frozen=True, kw_only=True)
class SparseDenseOptions:
    """Its custom options: int32 words, little-endian; see the C header."""

    units: int
    block: int
    activation: int = 0
    x_zero_point: int = 0
    output_zero_point: int = 0
    output_min: int = 0
    output_max: int = 0

    VERSION: ClassVar[int] = 1

    def to_bytes(self):
        return np.array([self.VERSION, *astuple(self)], "<i4").tobytes()

    @classmethod
    def from_bytes(cls, data):
        """Raises ValueError where the size or the version is not ours."""
        names = [field.name for field in fields(cls)]
        words = np.frombuffer(data, "<i4").tolist() if len(data) == 4 * (1 + len(names)) else [0]
        if words[0] != cls.VERSION:
            raise ValueError(
                f"custom options must have {4 * (1 + len(names))} bytes and the version {cls.VERSION}; given: "
                f"{len(data)} bytes, version {words[0]}."
            )
        return cls(**dict(zip(names, words[1:], strict=True)))


@dataclass(frozen=True, eq=False)
class SparseDense:
    """The op KsrSparseDense and, when called, its definition.

    Attributes:
        options: Its `SparseDenseOptions`.
        kernel `(I, 1, U)`: int8 or float32.
        bias `(U,)`: int32 or float32.
        multiplier, shift `(U,)`: Of an int8 op.
    """

    options: SparseDenseOptions
    kernel: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray | None = None
    shift: np.ndarray | None = None

    NAME: ClassVar[str] = "KsrSparseDense"
    OPTIONS: ClassVar[type] = SparseDenseOptions
    CONSTANTS: ClassVar[tuple] = ("kernel", "kernel_index", "kernel_rows", "bias", "multiplier", "shift")

    @property
    def is_integer(self):
        return self.kernel.dtype == np.int8

    @property
    def kernels(self):
        """Its matrices with every weight."""
        return (self.kernel,)

    def matrices(self):
        """`(kernel, slots)` of each stored matrix by its name."""
        return {"kernel": (self.kernel, (0,))}

    def constants(self, sparse=None):
        """The constant tensors, one for each of `CONSTANTS`; None where a tensor is absent."""
        matrix = encode(self.kernel, self.options.block, (0,), sparse)
        padding = stride_of(self.options.units, self.options.block) - self.options.units
        vectors = [np.pad(self.bias, (0, padding))]
        if self.is_integer:
            vectors += [np.pad(self.multiplier, (0, padding)), np.pad(self.shift, (0, padding), constant_values=1)]
        return [matrix.values, matrix.index, matrix.rows, *vectors]

    @classmethod
    def from_constants(cls, options, constants):
        """The op from its options and its constant tensors."""
        values, index, rows, *vectors = constants
        stride = stride_of(options.units, options.block)
        sources = len(values) // stride if rows is None else len(rows) - 1
        kernel = decode(BlockSparseMatrix(values, index, rows), sources, options.units, options.block, (0,))
        return cls(options, kernel, *(vector[: options.units] for vector in vectors))

    def states(self):
        return ()

    def invoke(self, x, states):
        """The output tensor for the tensor x, `(.., I)`."""
        o = self.options
        if not self.is_integer:
            y = x @ self.kernel[:, 0] + self.bias
            return np.clip(y, 0 if o.activation else -np.inf, 6 if o.activation == 2 else np.inf).astype(np.float32)
        acc = (x.astype(np.int64) - o.x_zero_point) @ self.kernel[:, 0].astype(np.int64) + self.bias
        shift = self.shift.astype(np.int64)
        y = ((acc * self.multiplier + (1 << (shift - 1))) >> shift) + o.output_zero_point
        return np.clip(y, o.output_min, o.output_max).astype(np.int8)
