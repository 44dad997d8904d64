"""Checks and decodes LiteRT's sparse encoding of constant tensors (SparsityParameters), which interpreters trust."""

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.ops.block_sparse import LARGEST_MATRIX


def check_encoding(shape: tuple, sparsity: Any, values: np.ndarray | None) -> None:
    """Checks that an encoding addresses neither beyond its values nor beyond its tensor.

    Args:
        shape: Shape of the tensor.
        sparsity: Its `SparsityParameters`, as the schema's object.
        values: The stored values, flat; None if there are none.

    Raises:
        ValueError: The encoding is invalid.
    """
    order, blocked = _numbers(sparsity.traversalOrder).tolist(), _numbers(sparsity.blockMap).tolist()
    levels, rank = sparsity.dimMetadata or [], len(shape)
    known = sorted(order) == list(range(rank + len(blocked))) and set(blocked) <= set(range(rank))
    if not known or len(levels) != len(order):
        raise ValueError(f"a sparse tensor of shape {shape} has the traversal order {order} and blocks along {blocked}")
    sizes = list(shape)
    for block, axis in enumerate(blocked, start=rank):
        size = levels[order.index(block)].denseSize
        if size < 1 or sizes[axis] % size:
            raise ValueError(f"a sparse tensor of the shape {shape} has blocks of {size} along axis {axis}")
        sizes[axis] //= size
        sizes.append(size)
    count = 1  # of what the levels so far make
    for axis, level in zip(order, levels, strict=True):
        if level.format == schema.DimensionType.DENSE:
            if level.denseSize != sizes[axis]:
                raise ValueError(
                    f"a sparse tensor of the shape {shape} has {level.denseSize} entries along axis {axis}"
                )
            count *= sizes[axis]
            continue
        vectors = (level.arraySegments, level.arrayIndices)
        segments, indices = (np.asarray([] if vector is None else vector.values) for vector in vectors)
        if (
            len(segments) != count + 1
            or segments[0] != 0
            or segments[-1] != len(indices)
            or (segments[1:] < segments[:-1]).any()
            or ((indices < 0) | (indices >= sizes[axis])).any()
        ):
            raise ValueError(f"a sparse tensor of the shape {shape} has segments or indices that lead out of it")
        count = len(indices)
    if values is None or values.size != count:
        raise ValueError(f"a sparse tensor has {0 if values is None else values.size} values, its encoding {count}")


def decode(shape: tuple, sparsity: Any, values: np.ndarray) -> np.ndarray:
    """Decodes a tensor that has passed `check_encoding`.

    Args:
        shape, sparsity, values: As in `check_encoding`.

    Returns:
        An array of that shape.

    Raises:
        ValueError: It would take more than `LARGEST_MATRIX` bytes.
    """
    if math.prod(shape) * values.itemsize > LARGEST_MATRIX:
        raise ValueError(
            f"a sparse tensor of the shape {shape} would take over {LARGEST_MATRIX:,} bytes with its zeros"
        )
    order, blocked, rank = _numbers(sparsity.traversalOrder).tolist(), _numbers(sparsity.blockMap), len(shape)
    places: dict[int, np.ndarray] = {}  # along each axis, of each entry of the levels so far
    count = 1
    for axis, level in zip(order, sparsity.dimMetadata, strict=True):
        if level.format == schema.DimensionType.DENSE:
            repeats, found = np.full(count, level.denseSize), np.tile(np.arange(level.denseSize), count)
        else:
            repeats, found = np.diff(_numbers(level.arraySegments.values)), _numbers(level.arrayIndices.values)
        places = {other: np.repeat(place, repeats) for other, place in places.items()} | {axis: found}
        count = len(found)
    for block, axis in enumerate(blocked, start=rank):
        places[axis] = places[axis] * sparsity.dimMetadata[order.index(block)].denseSize + places[block]
    full = np.zeros(shape, values.dtype)
    full[tuple(places[axis] for axis in range(rank))] = values
    return full


FULLY_CONNECTED_VERSION = 8  # the first that reads such weights; earlier ones LiteRT takes to have dense ones


def is_readable(name: str, version: int, place: int, sparsity: Any) -> bool:
    """Whether an op reads input number `place` in this encoding; other ops would read it as if it were dense.

    Args:
        name, version: Name and version of a builtin op.
        place: Position of the tensor among its inputs.
        sparsity: The tensor's `SparsityParameters`, as the schema's object.
    """
    if (name, place) == ("DENSIFY", 0):
        return True
    orders = _numbers(sparsity.traversalOrder).tolist(), _numbers(sparsity.blockMap).tolist()
    formats = [level.format for level in sparsity.dimMetadata][:2]
    by_rows = orders in (([0, 1], []), ([0, 1, 2], [1]))
    is_read = (name, place) == ("FULLY_CONNECTED", 1) and version >= FULLY_CONNECTED_VERSION
    return is_read and by_rows and formats == _ROWS


_ROWS = [schema.DimensionType.DENSE, schema.DimensionType.SPARSE_CSR]


def _numbers(vector):
    return np.asarray([] if vector is None else vector, np.int64)
