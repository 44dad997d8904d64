"""Packs dense layers and 1x1 convolutions of the converted rest in blocks if that is smaller, and dense layers also
with weights of 4 bits."""

from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.convert.quantize import to_counts, weight_scales
from keras_sparse_rnn.formats import INT4, INT8
from keras_sparse_rnn.ops.schema import BLOCKS
from keras_sparse_rnn.ops.sparse_dense import SparseDense, ways_to_store

_ACTIVATIONS = {
    schema.ActivationFunctionType.NONE: 0,
    schema.ActivationFunctionType.RELU: 1,
    schema.ActivationFunctionType.RELU6: 2,
}


@dataclass(frozen=True)
class DenseReport:
    """One dense layer, or 1x1 convolution, of the rest.

    Attributes:
        name: Name of its weights in the file.
        zeros: Share of its weights that are zero, as stored.
        stored: How it is stored: "dense", "blocks of 1x4" and the like; with weights of 4 bits "4 bits, dense" etc.
        bytes: Dict from each way to store it, named as in `stored`, to its bytes in the file.
    """

    name: str
    zeros: float
    stored: str
    bytes: dict


def pack_sparse_dense(writer, weight_bits=0):
    """Replaces FULLY_CONNECTED ops with constant weights, and 1x1 convolutions, by KsrSparseDense if that makes the
    file smaller.

    Args:
        writer: A `ModelWriter`, modified in place.
        weight_bits: 4 rounds int8 weights of FULLY_CONNECTED to 4 bits; 0 keeps them.

    Returns:
        A list with a `DenseReport` for each such op.
    """
    reports = []
    for number, op in enumerate(writer.operators):
        weights = _matrix(writer, op)
        if weights is None or weights.dtype not in (np.int8, np.float32):
            continue
        x, _, bias = (None if i < 0 else writer.tensors[i] for i in (*op.inputs, -1)[:3])
        if op.options.fusedActivationFunction not in _ACTIVATIONS:
            continue
        # The op takes no int16 activations: there is one way to store such a layer.
        is_taken = x.dtype == weights.dtype
        y = writer.tensors[op.outputs[0]]
        bits = weight_bits if op.name == "FULLY_CONNECTED" and is_taken and weights.dtype == np.int8 else 0
        made = _of_4_bits(x, weights, bias) if bits else (weights, bias)
        parts = [weights] if bias is None else [weights, bias]
        scales = sum(np.size(part.scale) for part in parts if part.scale is not None)
        sparse = _sparse_dense(op.options.fusedActivationFunction, x, *made, y, bits) if is_taken else None
        ways = ways_to_store(parts, scales, sparse)
        stored = min(ways, key=lambda way: ways[way][0])
        _, replaced_by, constants = ways[stored]
        if replaced_by is not None:
            writer.replace(number, weights.name, replaced_by, constants)
        sizes = {way: size for way, (size, *_) in ways.items()}
        reports.append(DenseReport(weights.name, float(np.mean(weights.data == 0)), stored, sizes))
    return reports


def is_dense_constant(tensor):
    """Whether a tensor's values are constants in the file, without an encoding."""
    return tensor.data is not None and tensor.sparsity is None


def _matrix(file, op):
    """Returns the constant weights, `(units, inputs)`, by which a FULLY_CONNECTED or a 1x1 CONV_2D multiplies the last
    axis of its input; None for other ops."""
    if op.name not in ("FULLY_CONNECTED", "CONV_2D") or not is_dense_constant(file.tensors[op.inputs[1]]):
        return None
    weights = file.tensors[op.inputs[1]]
    if op.name == "FULLY_CONNECTED":
        return weights
    units, *window, inputs = weights.shape
    is_pointwise = window == [1, 1] and (op.options.strideH, op.options.strideW) == (1, 1)
    if not is_pointwise or file.tensors[op.inputs[0]].shape[-1] != inputs:  # a filter may see a group of channels
        return None
    return replace(weights, shape=(units, inputs), data=weights.data.reshape(units, inputs))


def _of_4_bits(x, weights, bias):
    """Rounds int8 weights to 4 bits with one scale per output, and converts the biases to the new scales."""
    before = np.broadcast_to(weights.scale, len(weights.data)).astype(np.float64)
    scales = weight_scales(weights.data.T * before, INT4.most_counts)
    scales = np.where(scales > 0, scales, before)
    counts = to_counts(weights.data.T * before, scales, INT4.most_counts).T
    if bias is not None:
        bias = replace(bias, data=np.rint(bias.data * (before / scales)).astype(np.int32), scale=scales * x.scale)
    return replace(weights, data=counts, scale=scales), bias


def _sparse_dense(activation, x, weights, bias, y, weight_bits):
    """Returns the op of a FULLY_CONNECTED with these tensors; `activation` is the schema's number."""
    kernel, units = weights.data.T[:, None, :], len(weights.data)
    activation = _ACTIVATIONS[activation]
    sums = np.zeros(units, np.int32 if weights.dtype == np.int8 else np.float32) if bias is None else bias.data
    if weights.dtype == np.float32:
        options = SparseDense.SCHEMA.options(units=units, block=BLOCKS[0], activation=activation)
        return SparseDense(options, kernel, sums)
    factors = np.broadcast_to(weights.scale, units).astype(np.float64) * x.scale / y.scale
    # The largest multiplier below 2^30, so that its product with an accumulator fits into 61 bits.
    shift = np.clip(np.floor(30 - np.log2(np.maximum(factors, 2.0**-32))), 1, 62).astype(np.int64)
    six = 127 if activation < 2 else min(127, round(6 / y.scale) + y.zero_point)
    options = SparseDense.SCHEMA.options(
        format=INT8.number,
        weight_bits=weight_bits,
        units=units,
        block=BLOCKS[0],
        activation=activation,
        x_zero_point=x.zero_point,
        output_zero_point=y.zero_point,
        output_min=y.zero_point if activation else -128,
        output_max=six,
    )
    multiplier = np.minimum(np.rint(factors * 2.0**shift), 2**30).astype(np.int32)
    return SparseDense(options, kernel, sums.astype(np.int32), multiplier, shift.astype(np.uint8))
