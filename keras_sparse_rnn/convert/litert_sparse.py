"""Dense layers of the converted rest as LiteRT's own sparse FULLY_CONNECTED, where that is smaller.

TensorFlow Lite's encoder (`EXPERIMENTAL_SPARSITY`) writes wrong weights where the width is no multiple of the block,
and leaves other layers to DENSIFY. This one encodes only what LiteRT computes in place: float32 in blocks of 1x4 along
the inputs, their number a multiple of 4. TensorFlow Lite Micro would read such weights as garbage.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.convert.sparse_dense import DenseReport

BLOCK = 4
_STORED = f"SparsityParameters of 1x{BLOCK}"
_TABLE_BYTES = 192  # what a file takes for the encoding besides its arrays, about
_OP_VERSION = 8  # the first FULLY_CONNECTED with sparse weights
_VECTORS = (
    (np.uint8, schema.Uint8VectorT, schema.SparseIndexVector.Uint8Vector),
    (np.uint16, schema.Uint16VectorT, schema.SparseIndexVector.Uint16Vector),
    (np.int32, schema.Int32VectorT, schema.SparseIndexVector.Int32Vector),
)


def pack_litert_sparse(writer):
    """Stores the weights of each float32 FULLY_CONNECTED op sparse where the file becomes smaller.

    Args:
        writer: A `ModelWriter`; it is changed.

    Returns:
        A `DenseReport` for each such op.
    """
    reports = []
    packed = {}  # weights that several ops share are stored once
    for op in writer.operators("FULLY_CONNECTED"):
        number = int(op.inputs[1])
        weights = writer.constant(number)
        if weights is None or weights.dtype != np.float32 or weights.shape[1] % BLOCK:
            continue
        values, segments, indices = encode(weights)
        sizes = {"dense": weights.nbytes}
        sizes[_STORED] = values.nbytes + segments.nbytes + indices.nbytes + _TABLE_BYTES
        stored = min(sizes, key=sizes.get)
        if stored != "dense":
            if number not in packed:
                sparsity = _parameters(len(weights), segments, indices)
                packed[number] = writer.add_sparse(writer.name_of(number), weights.shape, values, sparsity)
            op.inputs = [int(op.inputs[0]), packed[number], *map(int, op.inputs[2:])]
            writer.require_version(op, _OP_VERSION)
        reports.append(DenseReport(writer.name_of(number), float(np.mean(weights == 0)), stored, sizes))
    return reports


def encode(weights):
    """Blocks of 1x4 that are not all zero; one of zeros where all are.

    Args:
        weights: `(units, inputs)`, the inputs a multiple of 4.

    Returns:
        `(values, segments, indices)`: the blocks `(blocks, 4)`, where those of a unit begin `(units + 1,)`, and their
        places along the inputs `(blocks,)`, in the smallest type that holds them.
    """
    blocks = weights.reshape(len(weights), -1, BLOCK)
    present = blocks.any(axis=2)
    present[0, 0] |= not present.any()  # a constant without any value counts as no constant
    segments = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    return blocks[present], _smallest(segments), _smallest(np.nonzero(present)[1])


def _smallest(numbers):
    return numbers.astype(next(t for t, *_ in _VECTORS if numbers.max(initial=0) <= np.iinfo(t).max))


def _parameters(units, segments, indices):
    rows, columns, block = (schema.DimensionMetadataT() for _ in range(3))
    rows.denseSize, block.denseSize = units, BLOCK
    columns.format = schema.DimensionType.SPARSE_CSR
    columns.arraySegmentsType, columns.arraySegments = _vector(segments)
    columns.arrayIndicesType, columns.arrayIndices = _vector(indices)
    parameters = schema.SparsityParametersT()
    parameters.traversalOrder, parameters.blockMap = [0, 1, 2], [1]
    parameters.dimMetadata = [rows, columns, block]
    return parameters


def _vector(numbers):
    make, kind = next((make, kind) for dtype, make, kind in _VECTORS if dtype == numbers.dtype)
    vector = make()
    vector.values = numbers
    return kind, vector
