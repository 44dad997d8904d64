"""How a recurrent op's weights are stored as constant tensors: in blocks, by outputs, with a diagonal apart."""

from dataclasses import fields, replace

import numpy as np

from keras_sparse_rnn.ops.block_sparse import BlockSparseMatrix, decode, encode, smallest_height, stride_of
from keras_sparse_rnn.ops.recurrent_schema import (
    BY_OUTPUTS,
    DIAGONAL,
    block_shape,
    height_of,
    is_for_all,
    with_height,
)


class StoredWeights:
    """Base class of `RecurrentOp`: between its fields and the constant tensors of a file.

    It reads the fields `options`, `kernel`, `recurrent_kernel`, `bias` and those whose names end in `bias` or
    `threshold`, and the class attribute `SCHEMA`.
    """

    def constants(self, sparse=None):
        """Returns a dict from the names of inputs to the constant tensors.

        Args:
            sparse: Whether to store blocks; None takes the smaller storage for each matrix.
        """
        padding = stride_of(self.options.columns, self.options.block) - self.options.columns
        arrays = {name: getattr(self, name) for name in self._vectors()}
        matrices, diagonal = self._encoded(sparse)
        for name, matrix in matrices.items():
            arrays |= {name: matrix.values, f"{name}_index": matrix.index, f"{name}_rows": matrix.rows}
        arrays[DIAGONAL] = diagonal
        vectors = {name: getattr(self, name) for name in self._by_output()}
        reads_x, start = self._of_inputs(self.options)
        if is_for_all(self.options.layout, "inputs", arrays[f"{reads_x}_index"] is not None):
            (vectors if start in vectors else arrays)[start] = getattr(self, start) - self._from_zero_point()
        for name, vector in vectors.items():
            if vector is not None:
                arrays[name] = np.pad(vector, ((0, 0), (0, padding))).reshape(-1)
        return {given.name: arrays[given.name] for given in self.SCHEMA.constants if arrays.get(given.name) is not None}

    def _encoded(self, sparse):
        """Returns `(matrices, diagonal)`: the stored matrices by name, and the diagonal of those that read the state if
        it takes fewer bytes apart from their blocks, else None."""

        def encoded(name, kernel, slots):
            return encode(kernel, self.options.block, slots, sparse, *self._stored(self.options, name))

        whole = {name: encoded(name, *of) for name, of in self.matrices().items()}
        units = self.options.units
        padding = stride_of(self.options.columns, self.options.block) - units
        each, apart, diagonal = np.arange(units), {}, []
        for name, (kernel, slots) in self.matrices().items():
            if self.sources_of(name) == "units" and not getattr(self.options, "rank", 0):
                diagonal += list(kernel[each, :, each].T)
                kernel = kernel.copy()
                kernel[each, :, each] = 0
                apart[name] = encoded(name, kernel, slots)
        if not apart or is_for_all(self.options.layout, "units", in_blocks=True):
            return whole, None
        diagonal = np.pad(diagonal, ((0, 0), (0, padding))).reshape(-1)
        saved = sum(whole[name].nbytes - matrix.nbytes for name, matrix in apart.items())
        if any(matrix.index is None for matrix in apart.values()) or saved <= diagonal.nbytes:
            return whole, None
        return whole | apart, diagonal

    @classmethod
    def from_constants(cls, options, arrays, inputs):
        """Creates the op from its options, a dict of its constant tensors by name, and the size of its input."""
        columns = options.columns
        stride = stride_of(columns, options.block)

        def matrix(name):
            given = cls.SCHEMA.inputs[cls.SCHEMA.index(name)]
            slots, sources = given.slots_of(vars(options)), cls.SCHEMA.count_sources(given, vars(options), inputs)
            if arrays.get(name) is None:
                return np.zeros((sources, len(slots), columns), arrays["kernel"].dtype)
            stored = BlockSparseMatrix(arrays[name], arrays.get(f"{name}_index"), arrays.get(f"{name}_rows"))
            width = cls.SCHEMA.count_columns(given, vars(options))
            return decode(stored, sources, width, options.block, slots, *cls._stored(options, name))

        by_output = {
            name: None if arrays.get(name) is None else arrays[name].reshape(-1, stride)[:, :columns]
            for name in cls._by_output()
        }
        op = cls(
            options,
            matrix("kernel"),
            _with_diagonal(cls._read_recurrent_kernel(options, matrix), arrays.get(DIAGONAL)),
            **by_output,
            **{name: arrays.get(name) for name in cls._vectors()},
            **cls._read_factors(options, matrix),
        )
        reads_x, start = cls._of_inputs(options)
        if is_for_all(options.layout, "inputs", arrays.get(f"{reads_x}_index") is not None):
            op = replace(op, **{start: getattr(op, start) + op._from_zero_point()})
        return op

    def laid_out(self, inputs_act=True):
        """Returns the op in the layout that is fastest for sources that act in every step.

        Args:
            inputs_act: Whether most inputs are nonzero in most steps.
        """
        if not self.is_integer:
            return self
        layout = BY_OUTPUTS["inputs"] * (inputs_act and self.input_threshold is None)
        layout += BY_OUTPUTS["units"] * self._reads_all_units()
        return replace(self, options=replace(self.options, layout=layout))

    def _reads_all_units(self):
        """Whether the recurrence reads all units in every step."""
        return self.hidden_threshold is None

    def in_blocks(self, block, heights):
        """The op with blocks `block` units wide; in matrices of which all sources act, as `laid_out` found, with blocks
        of one of these heights instead where that takes no more bytes."""
        layout = self.options.layout
        for sources, bit in BY_OUTPUTS.items():
            if layout & bit:
                matrices = [matrix for name, matrix in self.matrices().items() if self.sources_of(name) == sources]
                height = smallest_height(matrices, block, heights, self.options.weight_bits)
                layout = with_height(layout, sources, height)
        op = replace(self, options=replace(self.options, block=block, layout=layout))
        low = replace(op, options=replace(op.options, layout=with_height(layout, "units", 1)))
        # In blocks several units high no diagonal stands apart.
        return op if low.options == op.options else min((op, low), key=lambda op: op.nbytes)

    def smallest(self, blocks):
        """The op in blocks of the width, or the height, of `blocks` that takes the fewest bytes."""
        return min((self.in_blocks(block, heights=blocks) for block in blocks), key=lambda op: op.nbytes)

    @property
    def kernel_bytes(self):
        """Bytes of its matrices as stored, with indices and what is apart of them."""
        return sum(part.nbytes for name, part in self.constants().items() if "kernel" in name)

    @property
    def nbytes(self):
        """Bytes of the constant tensors."""
        return sum(part.nbytes for part in self.constants().values())

    def block_shape(self, name):
        """The shape of a matrix' blocks, sources by units, where it is stored in such: "1x4" or "16x1"."""
        return block_shape(self.options, self.sources_of(name))

    @classmethod
    def sources_of(cls, name):
        """Whether a matrix is of "inputs", of "units" or "deep"."""
        return cls.SCHEMA.inputs[cls.SCHEMA.index(name)].sources

    @classmethod
    def _stored(cls, options, name):
        """The last arguments of `encode` and `decode`, for a matrix."""
        sources = cls.sources_of(name)
        return bool(options.layout & BY_OUTPUTS[sources]), options.weight_bits, height_of(options.layout, sources)

    @staticmethod
    def _of_inputs(options):
        """Names of the matrix that reads x, and of what the sums start from that it adds to."""
        return ("input_factor_kernel", "middle_start") if getattr(options, "rank", 0) else ("kernel", "bias")

    def _from_zero_point(self):
        """What inputs at the zero point of x would add to the accumulators without its subtraction, `(4, U)` int32."""
        sums = np.zeros_like(self.bias)
        sums[self.kernel_slots] = self.kernel.sum(axis=0, dtype=np.int32) * (
            self.options.x_zero_point << self.options.x_shift
        )
        return sums

    def matrices(self):
        """`(kernel, slots)` of each stored matrix by its name."""
        return {
            "kernel": (self.kernel, self.kernel_slots),
            "recurrent_kernel": (self.recurrent_kernel, self.recurrent_slots),
        }

    @classmethod
    def _read_recurrent_kernel(cls, options, matrix):
        """The inverse of `matrices`; `matrix(name)` unpacks one matrix."""
        return matrix("recurrent_kernel")

    @classmethod
    def _read_factors(cls, options, matrix):
        """The fields of kernels of low rank; `matrix(name)` unpacks one matrix."""
        return {}

    @classmethod
    def _by_output(cls):
        """Names of the fields that have rows of one value for each unit, for each slot a row."""
        return [part.name for part in fields(cls) if part.name.endswith("bias")] + ["output_scales"]

    @classmethod
    def _vectors(cls):
        """Names of the fields that are stored as they are: the thresholds."""
        return [part.name for part in fields(cls) if part.name.endswith("threshold")]


def _with_diagonal(kernel, diagonal):
    """A recurrent kernel with the diagonal that was stored apart from it."""
    if diagonal is None:
        return kernel
    units = min(len(kernel), kernel.shape[2])  # behind the columns of the units may be those of master gates
    each = np.arange(units)
    of_units = diagonal.reshape(kernel.shape[1], -1)[:, :units].T
    if diagonal.dtype == np.int8:
        wide = kernel[each, :, each] + of_units.astype(np.int16)
        # Only a file that convert has not written has weights in both places.
        kernel = kernel.astype(np.int8 if (wide.astype(np.int8) == wide).all() else np.int16)
        of_units = wide - kernel[each, :, each]
    kernel = kernel.copy()
    kernel[each, :, each] += of_units.astype(kernel.dtype)
    return kernel
