"""Weight matrices as the kernels read them: source-major and block-sparse (`tflite/include/ksr_matrix.h`)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

_TILE, _SMALLEST_TILE = 16, 8  # sources of a matrix by outputs; with 4 bits a weight the smallest alone
_OFFSET = np.int8(-128)  # takes an int8 to the unsigned byte that is 128 larger
_OFFSET_4 = np.int8(8)  # likewise four bits
LARGEST_MATRIX = 2**28  # bytes that a matrix may have with all its zeros: a few bytes may stand for very many


@dataclass(frozen=True, eq=False)
class BlockSparseMatrix:
    """A matrix from sources to slots of units, as stored.

    Attributes:
        values: 1-D array of consecutive blocks; for a dense matrix all rows, gates * stride values each, or tiles
            (`encode`). With 4-bit weights, each int8 holds two.
        index: uint8 array with the distance of each block from the previous one in its row (for the first block its
            column), in blocks; None for a dense matrix.
        rows: uint16 or uint32 array `(sources + 1,)` with the first block of each row; None for a dense matrix.
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


def encode(
    kernel: np.ndarray,
    block: int,
    slots: Sequence[int],
    sparse: bool | None = None,
    by_outputs: bool = False,
    bits: int = 0,
    height: int = 1,
) -> BlockSparseMatrix:
    """Packs a kernel.

    Args:
        kernel: Weights `(sources, gates, units)`, int8 or float32.
        block: Width of a block along the units: 4, 8 or 16.
        slots: The slot of accumulators that each gate adds to, in increasing order.
        sparse: Whether to store blocks; None takes the smaller storage.
        by_outputs: Whether to store a dense int8 matrix in tiles of four outputs and sixteen sources, for sources that
            all act in every step (`tflite/include/ksr_matrix.h`).
        bits: 4 packs two weights, from -8 to 7, into a byte; 0 stores one per byte.
        height: Sources per block: 1 for blocks of `block` units; 4, 8 or 16 for blocks along the sources, of one unit,
            with one row for each group of so many sources.

    Returns:
        A `BlockSparseMatrix`.
    """
    sources, gates, units = kernel.shape
    stride = stride_of(units, block)
    padded = np.zeros((sources, gates, stride), kernel.dtype)
    padded[:, :, :units] = kernel
    values = _tiles(padded.reshape(sources, -1), bits) if by_outputs else padded.reshape(-1)
    dense = BlockSparseMatrix(_packed(values) if bits else values)
    if sparse is False:
        return dense
    blocks = _encode_blocks(_in_blocks(padded, block, height), slots)
    blocks = replace(blocks, values=_packed(blocks.values)) if bits else blocks
    return blocks if sparse or blocks.nbytes < (padded.nbytes // 2 if bits else padded.nbytes) else dense


def _packed(values):
    """Packs two values into each int8, the first in the lower half."""
    low, high = values.reshape(-1, 2).T
    return (low & 15 | high << 4).astype(np.int8)


def unpacked(values: np.ndarray) -> np.ndarray:
    """Unpacks 4-bit weights from stored int8 values."""
    return np.stack([(values << 4).astype(np.int8) >> 4, values >> 4], axis=1).reshape(-1)


def padded_sources(sources: int) -> int:
    """The sources of a matrix by outputs, padded to whole tiles."""
    return stride_of(sources, _SMALLEST_TILE)


def _offset(weights, bits):
    """Converts weights `(sources, outputs)` to or from their form in a matrix by outputs, where some are unsigned."""
    weights = weights.copy()
    if bits:
        weights[np.arange(len(weights)) % 4 != 3] ^= _OFFSET_4
        return (weights << 4).astype(np.int8) >> 4
    weights[::2] ^= _OFFSET
    return weights


def _tiles(weights, bits):
    """Arranges `(sources, outputs)` in tiles; `_from_tiles` is the inverse."""
    sources, outputs = weights.shape
    padded = np.zeros((padded_sources(sources), outputs), np.int8)
    padded[:sources] = weights
    padded = _offset(padded, bits)
    groups = padded.T.reshape(outputs // 4, 4, -1)
    tile = _SMALLEST_TILE if bits else _TILE
    tiles = [groups[:, :, i : i + tile].reshape(outputs // 4, -1) for i in range(0, len(padded), tile)]
    return np.concatenate(tiles, axis=1).reshape(-1)


def _from_tiles(values, sources, bits):
    width, tile = padded_sources(sources), _SMALLEST_TILE if bits else _TILE
    groups = values.reshape(-1, 4 * width)
    tiles = [
        groups[:, 4 * i : 4 * (i + tile)].reshape(len(groups), 4, min(tile, width - i)) for i in range(0, width, tile)
    ]
    return _offset(np.concatenate(tiles, axis=2).reshape(-1, width).T, bits)[:sources]


def smallest_height(matrices, block: int, heights: Sequence[int], bits: int = 0) -> int:
    """The height of blocks with which matrices, pairs `(kernel, slots)`, take the fewest bytes: one of `heights`, or 1
    where none is as small."""

    def size(height):
        return sum(encode(*(kernel, block, slots, True), bits=bits, height=height).nbytes for kernel, slots in matrices)

    return min((*heights, 1), key=size)


def _in_blocks(kernel, block, height):
    """`(rows, gates, blocks, weights of a block)`."""
    sources, gates, stride = kernel.shape
    if height == 1:
        return kernel.reshape(sources, gates, stride // block, block)
    rows = np.pad(kernel, ((0, -sources % height), (0, 0), (0, 0))).reshape(-1, height, gates, stride)
    return np.moveaxis(rows, 1, -1)


def _encode_blocks(blocks, slots):
    sources, _, per_slot, block = blocks.shape
    row, gate, k = np.nonzero(blocks.any(axis=-1))
    if not len(row):
        # Interpreters do not take tensors without elements: one block of zeros stands for an empty matrix.
        row, gate, k = np.array([[sources - 1], [0], [0]])
    columns = np.asarray(slots)[gate] * per_slot + k
    follows = np.diff(row, prepend=-1) == 0
    steps = columns - np.where(follows, np.roll(columns, 1), 0)
    # A distance is one byte: longer distances need blocks of zeros in between.
    between = np.maximum(steps - 1, 0) // 255
    places = np.cumsum(between + 1) - 1
    values = np.zeros((places[-1] + 1, block), blocks.dtype)
    values[places] = blocks[row, gate, k]
    index = np.full(len(values), 255, np.uint8)
    index[places] = steps - 255 * between
    rows = np.concatenate([[0], np.cumsum(np.bincount(row, between + 1, sources))])
    return BlockSparseMatrix(values.reshape(-1), index, rows.astype(np.uint16 if len(index) < 2**16 else np.uint32))


def decode(
    matrix: BlockSparseMatrix,
    sources: int,
    units: int,
    block: int,
    slots: Sequence[int],
    by_outputs: bool = False,
    bits: int = 0,
    height: int = 1,
) -> np.ndarray:
    """Returns the kernel `(sources, gates, units)` that `encode` has packed.

    Raises:
        ValueError: The kernel would take more than `LARGEST_MATRIX` bytes, or `encode` cannot have made the matrix.
    """
    stride = stride_of(units, block)
    if sources * (slots[-1] + 1) * stride * matrix.values.itemsize > LARGEST_MATRIX:
        raise ValueError(f"a matrix from {sources} sources to {units} units would take over {LARGEST_MATRIX:,} bytes")
    if bits:
        matrix = replace(matrix, values=unpacked(matrix.values))
    if matrix.index is None or matrix.rows is None:
        if by_outputs:
            return _from_tiles(matrix.values, sources, bits).reshape(sources, len(slots), stride)[:, :, :units]
        return matrix.values.reshape(sources, len(slots), stride)[:, :, :units]
    if matrix.rows[0] != 0 or matrix.rows[-1] != len(matrix.index):
        raise ValueError(f"the rows of a matrix must hold its {len(matrix.index)} blocks")
    starts, counts = matrix.rows[:-1].astype(np.int64), np.diff(matrix.rows.astype(np.int64))
    steps = np.concatenate([[0], np.cumsum(matrix.index, dtype=np.int64)])
    row = np.repeat(np.arange(len(counts)), counts)
    column = steps[1:] - np.repeat(steps[starts], counts)  # each row counts from its own first block
    width, size = (block, block) if height == 1 else (1, height)
    columns = np.zeros((len(counts), (slots[-1] + 1) * stride // width, size), matrix.values.dtype)
    columns[row, column] = matrix.values.reshape(-1, size)
    if height > 1:
        columns = np.moveaxis(columns, -1, 1)
    return columns.reshape(-1, slots[-1] + 1, stride)[:sources, list(slots), :units]
