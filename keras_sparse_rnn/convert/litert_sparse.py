"""Stores dense layers of the converted rest as LiteRT's own sparse FULLY_CONNECTED if that is smaller.

TensorFlow Lite's encoder (`EXPERIMENTAL_SPARSITY`) writes wrong weights if the width is not a multiple of the block,
and adds DENSIFY ops to other layers. This one encodes only what LiteRT computes in place: float32 weight by weight or
in blocks of 1x4 along the inputs, int8 in blocks of 1x16. If the number of inputs is not a multiple of the block, the
weights are padded with zeros, and a PAD op pads the input, since the kernels read whole blocks of it. TensorFlow Lite
Micro would read such weights as garbage.
"""

from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.convert.sparse_dense import DenseReport, is_dense_constant
from keras_sparse_rnn.runtime.sparse_encoding import FULLY_CONNECTED_VERSION

BLOCKS = {np.dtype(np.float32): (1, 4), np.dtype(np.int8): (16,)}
# Approximate bytes of a file besides the arrays: for the encoding, and for a PAD op with its tensors.
_TABLE_BYTES = 192
_PAD_BYTES = 320
_VECTORS = (
    (np.uint8, schema.Uint8VectorT, schema.SparseIndexVector.Uint8Vector),
    (np.uint16, schema.Uint16VectorT, schema.SparseIndexVector.Uint16Vector),
    (np.int32, schema.Int32VectorT, schema.SparseIndexVector.Int32Vector),
)


def pack_litert_sparse(file):
    """Stores the weights of each FULLY_CONNECTED op sparse if that makes the file smaller.

    Args:
        file: A `ModelFile`, modified in place.

    Returns:
        A list with a `DenseReport` for each such op.
    """
    reports = []
    packed = {}  # weights that several ops share are stored once, and inputs that they share padded once
    for place, op in list(enumerate(file.operators)):
        if op.name != "FULLY_CONNECTED":
            continue
        x, number = op.inputs[:2]
        weights = file.tensors[number]
        if not is_dense_constant(weights) or weights.dtype not in BLOCKS:
            continue
        # LiteRT takes no sparse weights with int16 activations: there is one way to store such a layer.
        blocks = BLOCKS[weights.dtype] if file.tensors[x].dtype == weights.dtype else ()
        units, inputs = weights.shape
        sizes, ways = {"dense": weights.nbytes}, {}
        for block in blocks:
            padding = -inputs % block
            if padding and file.tensors[x].shape[-1] != inputs:
                continue  # it takes several axes as one
            values, segments, indices = encode(weights.data, block)
            name = stored_as(block, padding)
            sizes[name] = values.nbytes + segments.nbytes + indices.nbytes + _TABLE_BYTES + _PAD_BYTES * (padding > 0)
            ways[name] = (values, _parameters(units, segments, indices, block), padding)
        stored = min(sizes, key=sizes.get)
        if stored != "dense":
            values, parameters, padding = ways[stored]
            if padding:
                if (x, padding) not in packed:
                    packed[x, padding] = _add_pad(file, x, padding)
                x = packed[x, padding]
            if (number, stored) not in packed:
                packed[number, stored] = len(file.tensors)
                shape = units, inputs + padding
                file.tensors.append(replace(weights, shape=shape, data=values, sparsity=parameters, source=None))
            version = max(op.version, FULLY_CONNECTED_VERSION)
            file.operators[place] = replace(op, inputs=(x, packed[number, stored], *op.inputs[2:]), version=version)
        reports.append(DenseReport(weights.name, float(np.mean(weights.data == 0)), stored, sizes))
    return reports


def _add_pad(file, x, padding):
    """Adds zeros at the end of a tensor's last axis by a PAD op; returns the number of its output."""
    tensor, padded = file.tensors[x], len(file.tensors)
    shape = (*tensor.shape[:-1], tensor.shape[-1] + padding)
    file.tensors.append(replace(tensor, name=f"{tensor.name}/padded", shape=shape, source=None))
    paddings = np.zeros((len(shape), 2), np.int32)
    paddings[-1, 1] = padding
    inputs = [x, file.add_tensor(f"{tensor.name}/paddings", paddings.shape, np.int32, data=paddings)]
    file.add_operator("PAD", inputs, [padded], schema.PadOptionsT(), version=2)
    return padded


def stored_as(block, padding=0):
    """The name of an encoding in blocks of 1x`block`, as in a `DenseReport`."""
    return f"SparsityParameters of 1x{block}" + (" and PAD" if padding else "")


def encode(weights, block):
    """Finds the blocks of 1x`block` that are not all zero, or keeps one block of zeros if all are.

    Args:
        weights: `(units, inputs)`; the inputs are padded with zeros to whole blocks.
        block: Width of a block along the inputs.

    Returns:
        `(values, segments, indices)`: the blocks `(blocks, block)`, where those of a unit begin `(units + 1,)`, and
        their places along the inputs `(blocks,)`, in the smallest type that holds them.
    """
    padded = np.pad(weights, ((0, 0), (0, -weights.shape[1] % block)))
    blocks = padded.reshape(len(weights), -1, block)
    present = blocks.any(axis=2)
    present[0, 0] |= not present.any()  # a constant without any value counts as no constant
    segments = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    return blocks[present], _smallest(segments), _smallest(np.nonzero(present)[1])


def _smallest(numbers):
    return numbers.astype(next(t for t, *_ in _VECTORS if numbers.max(initial=0) <= np.iinfo(t).max))


def _parameters(units, segments, indices, block):
    rows, columns, within = (schema.DimensionMetadataT() for _ in range(3))
    rows.denseSize, within.denseSize = units, block
    columns.format = schema.DimensionType.SPARSE_CSR
    columns.arraySegmentsType, columns.arraySegments = _vector(segments)
    columns.arrayIndicesType, columns.arrayIndices = _vector(indices)
    parameters = schema.SparsityParametersT()
    if block == 1:
        parameters.traversalOrder, parameters.blockMap = [0, 1], []
        parameters.dimMetadata = [rows, columns]
    else:
        parameters.traversalOrder, parameters.blockMap = [0, 1, 2], [1]
        parameters.dimMetadata = [rows, columns, within]
    return parameters


def _vector(numbers):
    make, kind = next((make, kind) for dtype, make, kind in _VECTORS if dtype == numbers.dtype)
    vector = make()
    vector.values = numbers
    return kind, vector
