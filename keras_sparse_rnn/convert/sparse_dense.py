"""Dense layers of the converted rest, packed in blocks where that is smaller."""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.formats import INT8
from keras_sparse_rnn.ops.schema import BLOCKS
from keras_sparse_rnn.ops.sparse_dense import SparseDense

# What a file takes for each tensor besides its data, about: its name, shape, buffer and their tables.
_TENSOR_BYTES = 64
_SCALE_BYTES = 12  # with its zero point
_ACTIVATIONS = {
    schema.ActivationFunctionType.NONE: 0,
    schema.ActivationFunctionType.RELU: 1,
    schema.ActivationFunctionType.RELU6: 2,
}


@dataclass(frozen=True)
class DenseReport:
    """One dense layer of the rest.

    Attributes:
        name: Of its weights in the file.
        zeros: Share of its weights that are zero, as stored.
        stored: "dense", or "blocks of 1x4" and the like.
        bytes: For each way to store it what it takes in the file, by the names of `stored`.
    """

    name: str
    zeros: float
    stored: str
    bytes: dict


def pack_sparse_dense(writer):
    """Replaces each FULLY_CONNECTED op of constant weights by KsrSparseDense where the file becomes smaller.

    Args:
        writer: A `ModelWriter`; it is changed.

    Returns:
        A `DenseReport` for each such op.
    """
    reports = []
    for op in writer.operators("FULLY_CONNECTED"):
        numbers = [*(int(i) for i in op.inputs), -1][:3]
        weights = writer.constant(numbers[1])
        if weights is None or weights.dtype not in (np.int8, np.float32):
            continue
        if op.builtinOptions.fusedActivationFunction not in _ACTIVATIONS:
            continue
        bias = writer.constant(numbers[2]) if numbers[2] >= 0 else None
        # The op takes no int16 activations: there is one way to store such a layer.
        blocks = BLOCKS if writer.dtype_of(numbers[0]) == weights.dtype else ()
        candidates = [_sparse_dense(writer, op, weights, bias, block) for block in blocks]
        packed = [(candidate, candidate.constants(sparse=True)) for candidate in candidates]
        scales = sum(writer.scales_of(number).size for number in numbers[1:] if number >= 0)
        dense_bytes = weights.nbytes + (0 if bias is None else bias.nbytes)
        sizes = {"dense": dense_bytes + scales * _SCALE_BYTES + 2 * _TENSOR_BYTES}
        for candidate, constants in packed:
            name = f"blocks of 1x{candidate.options.block}"
            sizes[name] = sum(part.nbytes + _TENSOR_BYTES for part in constants.values())
        stored = min(sizes, key=sizes.get)
        if stored != "dense":
            candidate, constants = packed[list(sizes).index(stored) - 1]
            writer.replace(op, writer.name_of(numbers[1]), candidate, constants)
        reports.append(DenseReport(writer.name_of(numbers[1]), float(np.mean(weights == 0)), stored, sizes))
    return reports


def _sparse_dense(writer, op, weights, bias, block):
    kernel, units = weights.T[:, None, :], len(weights)
    if bias is None:
        bias = np.zeros(units, np.int32 if weights.dtype == np.int8 else np.float32)
    activation = _ACTIVATIONS[op.builtinOptions.fusedActivationFunction]
    if weights.dtype == np.float32:
        return SparseDense(SparseDense.SCHEMA.options(units=units, block=block, activation=activation), kernel, bias)
    (x_scale, x_zero), (y_scale, y_zero) = (writer.scale_of(int(number)) for number in (op.inputs[0], op.outputs[0]))
    factors = np.broadcast_to(writer.scales_of(int(op.inputs[1])), units).astype(np.float64) * x_scale / y_scale
    # The largest multiplier below 2^30, so that its product with an accumulator fits into 61 bits.
    shift = np.clip(np.floor(30 - np.log2(np.maximum(factors, 2.0**-32))), 1, 62).astype(np.int64)
    six = 127 if activation < 2 else min(127, round(6 / y_scale) + y_zero)
    options = SparseDense.SCHEMA.options(
        format=INT8.number,
        units=units,
        block=block,
        activation=activation,
        x_zero_point=x_zero,
        output_zero_point=y_zero,
        output_min=y_zero if activation else -128,
        output_max=six,
    )
    multiplier = np.minimum(np.rint(factors * 2.0**shift), 2**30).astype(np.int32)
    return SparseDense(options, kernel, bias.astype(np.int32), multiplier, shift.astype(np.uint8))
