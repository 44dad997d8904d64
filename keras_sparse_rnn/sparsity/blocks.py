"""The blocks that tile a kernel, and their scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.typing import BlockShape, Score, is_number

SCORES = ("l1", "l2", "max")


class Blocks:
    """Tiling of a kernel of shape (inputs, gates * units) with blocks of `block_shape`.

    Each gate, a matrix (inputs, units), is tiled separately, so that no block crosses a gate. If the block shape does
    not divide the gate, the last blocks of a row or a column are smaller and count their real weights only.

    Args:
        shape: Shape of the kernel, (inputs, gates * units).
        gates: Number of gates in the columns of the kernel, >= 1.
        block_shape: Pair (rows, cols), each >= 1 and no larger than a gate.
        name: Name of the kernel in error messages.

    Attributes:
        grid: Shape (block rows, gates, block columns of a gate) of arrays with one entry per block.
        sizes: Int array of shape `grid`: the number of weights in each block.

    Raises:
        ValueError: If `block_shape` is not a pair of positive integers or is larger than a gate.
    """

    def __init__(
        self, shape: Sequence[int], gates: int = 1, block_shape: BlockShape = (1, 1), name: str = "kernel"
    ) -> None:
        rows, cols = check_block_shape(block_shape)
        inputs, units = shape[0], shape[1] // gates
        if units * gates != shape[1]:
            raise ValueError(f"{name}: its {shape[1]} columns are no multiple of gates={gates}.")
        if rows > inputs or cols > units:
            raise ValueError(
                f"block_shape={(rows, cols)} is larger than a gate of {name}, which has {inputs} rows and {units} "
                "columns. Choose a smaller block, or leave this layer out with `layers`."
            )
        self.shape = (inputs, gates * units)
        self.block_shape = (rows, cols)
        self.grid = (-(-inputs // rows), gates, -(-units // cols))
        heights = np.minimum(rows, inputs - rows * np.arange(self.grid[0]))
        widths = np.minimum(cols, units - cols * np.arange(self.grid[2]))
        self.sizes = np.broadcast_to(heights[:, None, None] * widths, self.grid)

    def score(self, values: ArrayLike, score: Score = "l1") -> np.ndarray:
        """Computes the score of each block.

        Args:
            values: The kernel's weights, an array of the kernel's shape.
            score: `"l1"`: the mean of |w| over the block's weights (as average pooling in tfmot). `"l2"`: their root
                mean square. `"max"`: the largest |w| (arXiv:1711.02782). For blocks of one weight, all three rank
                equally.

        Returns:
            Float array of shape `grid`.

        Raises:
            ValueError: If `score` has another value.
        """
        magnitudes = np.abs(np.asarray(values, dtype="float32"))
        if self.block_shape == (1, 1) and score in SCORES:
            return magnitudes.reshape(self.grid)
        if score == "max":
            return self._tiles(magnitudes).max(axis=(1, 4))
        if score == "l1":
            return self._sums(magnitudes) / self.sizes
        if score == "l2":
            return np.sqrt(self._sums(np.square(magnitudes)) / self.sizes)
        raise ValueError(f"score={score!r}: must be one of {SCORES}.")

    def nonzero(self, values: ArrayLike) -> np.ndarray:
        """Returns a bool array of shape `grid`: whether a block of `values` has a weight that is not exactly zero."""
        return self._tiles(np.asarray(values) != 0).any(axis=(1, 4))

    def count(self, values: ArrayLike) -> np.ndarray:
        """Returns an int array of shape `grid`: the number of weights of a block that are not zero in `values`."""
        return (self._tiles(np.asarray(values) != 0)).sum(axis=(1, 4))

    def expand(self, blocks: np.ndarray) -> np.ndarray:
        """Returns an array of the kernel's shape that maps each weight to its block's entry in `blocks` (`grid`)."""
        rows, cols = self.block_shape
        inputs, units = self.shape[0], self.shape[1] // self.grid[1]
        full = np.repeat(np.repeat(blocks, rows, axis=0), cols, axis=2)
        return full[:inputs, :, :units].reshape(self.shape)

    def _sums(self, values):
        """Returns the sum of the values in each block, in shape `grid`."""
        tiles = self._tiles(values)
        of_rows = tiles.reshape(-1, tiles.shape[4]) @ np.ones(
            tiles.shape[4], tiles.dtype
        )  # faster than a sum over axis 4
        return of_rows.reshape(tiles.shape[:4]).sum(axis=1)

    def _tiles(self, values):
        """Returns `values`, padded with zeros, in shape (block rows, rows, gates, block columns, cols)."""
        rows, cols = self.block_shape
        tall, gates, wide = self.grid
        gate_wise = values.reshape(self.shape[0], gates, -1)
        ragged = ((0, tall * rows - gate_wise.shape[0]), (0, 0), (0, wide * cols - gate_wise.shape[2]))
        if any(after for _, after in ragged):
            gate_wise = np.pad(gate_wise, ragged)
        return gate_wise.reshape(tall, rows, gates, wide, cols)


def check_block_shape(block_shape):
    """Returns `block_shape` as a pair of ints, or raises ValueError."""
    try:
        rows, cols = block_shape
        valid = all(is_number(n) and n == int(n) >= 1 for n in (rows, cols))
    except (TypeError, ValueError):  # not a pair
        valid = False
    if not valid:
        raise ValueError(f"block_shape={block_shape!r}: must be a pair (rows, cols) of integers >= 1.")
    return int(rows), int(cols)
