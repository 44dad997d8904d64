"""Weight matrices as the kernels read them: source-major and block-sparse (`tflite/include/ksr_matrix.h`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCKS = (4, 8, 16)


@dataclass(frozen=True, eq=False)
class BlockSparseMatrix:
    """A matrix from sources to slots of units, as stored.

    Attributes:
        values: 1-D, the blocks one after the other; for a dense matrix all rows, gates * stride values each.
        index: uint8, for each block its distance from the one before in its row (the first: its column), counted in
            blocks; None for a dense matrix.
        rows: uint16 or uint32 `(sources + 1,)`, where the blocks of each row begin; None for a dense matrix.
    """

    values: np.ndarray
    index: np.ndarray | None = None
    rows: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.values, self.index, self.rows) if part is not None)


def stride_of(units: int, block: int) -> int:
    """Units padded to whole blocks: the columns of one slot."""
    return -(-units // block) * block


def encode(kernel: np.ndarray, block: int, slots: Sequence[int], sparse: bool | None = None) -> BlockSparseMatrix:
    """Packs a kernel.

    Args:
        kernel: `(sources, gates, units)`, int8 or float32.
        block: Width of a block along the units: 4, 8 or 16.
        slots: For each gate the slot of accumulators that it adds to, rising.
        sparse: True or False to choose the storage; None takes the smaller one.

    Returns:
        A `BlockSparseMatrix`.
    """
    sources, gates, units = kernel.shape
    stride = stride_of(units, block)
    padded = np.zeros((sources, gates, stride), kernel.dtype)
    padded[:, :, :units] = kernel
    dense = BlockSparseMatrix(padded.reshape(-1))
    if sparse is False:
        return dense
    packed = _encode_blocks(padded.reshape(sources, gates, -1, block), slots)
    return packed if sparse or packed.nbytes < dense.nbytes else dense


def _encode_blocks(blocks, slots):
    sources, _, per_slot, block = blocks.shape
    values, index, rows = [], [], [0]
    for j in range(sources):
        previous = 0
        for gate, k in np.argwhere(blocks[j].any(axis=-1)):
            column = slots[gate] * per_slot + k
            while column - previous > 255:
                values.append(np.zeros(block, blocks.dtype))
                index.append(255)
                previous += 255
            values.append(blocks[j, gate, k])
            index.append(column - previous)
            previous = column
        rows.append(len(index))
    if not index:
        # Interpreters do not take tensors without elements: one block of zeros stands for an empty matrix.
        values, index, rows[-1] = [np.zeros(block, blocks.dtype)], [0], 1
    row_dtype = np.uint16 if len(index) < 2**16 else np.uint32
    return BlockSparseMatrix(np.concatenate(values), np.array(index, np.uint8), np.array(rows, row_dtype))


def decode(matrix: BlockSparseMatrix, sources: int, units: int, block: int, slots: Sequence[int]) -> np.ndarray:
    """The kernel `(sources, gates, units)` that `encode` was given."""
    stride = stride_of(units, block)
    if matrix.index is None or matrix.rows is None:
        return matrix.values.reshape(sources, len(slots), stride)[:, :, :units]
    columns = np.zeros((sources, (slots[-1] + 1) * stride // block, block), matrix.values.dtype)
    values = matrix.values.reshape(-1, block)
    for j in range(sources):
        begin, end = int(matrix.rows[j]), int(matrix.rows[j + 1])
        columns[j, np.cumsum(matrix.index[begin:end], dtype=np.int64)] = values[begin:end]
    return columns.reshape(sources, -1, stride)[:, list(slots), :units]
