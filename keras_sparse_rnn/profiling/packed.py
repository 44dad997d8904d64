"""Bytes of a layer's kernels in an int8 file, stored as `convert` does."""

import math
from dataclasses import fields, replace

import keras
import numpy as np

from keras_sparse_rnn.convert.recurrent import layers_in, recurrent_layer
from keras_sparse_rnn.formats import INT8
from keras_sparse_rnn.ops.schema import BLOCKS
from keras_sparse_rnn.ops.sparse_dense import SparseDense, ways_to_store
from keras_sparse_rnn.profiling.parts import Part, cells_in


def packed_bytes(part: Part) -> int:
    """Returns the bytes of the kernels with their indices, in the form that takes the fewest.

    Rounding to int8 may make further weights zero; these are not counted.
    """
    op = _recurrent_op(part)
    if op is not None:
        return op.smallest(BLOCKS).kernel_bytes
    dense = sum(math.prod(weights.shape) for weights in part.matrices.values())
    return _sparse_dense_bytes(part) if isinstance(part.layer, keras.layers.Dense) and dense else dense


def _recurrent_op(part):
    """The op of a recurrent layer, with ones in place of its weights, as if all its inputs were active; None if there
    is no such op."""
    layers = [] if part.rnn is None else layers_in(part.rnn)
    if not layers:
        return None
    layer = layers[cells_in(part.rnn.cell).index(part.layer) if len(layers) > 1 else 0]
    try:
        op = recurrent_layer(layer).float32_op(BLOCKS[0])
    except ValueError:  # for example an activation of the user's own
        return None
    given = {field.name: getattr(op, field.name) for field in fields(op)}
    ones = {n: (w != 0).astype(np.int8) for n, w in given.items() if n.endswith("kernel") and w is not None}
    if getattr(op.options, "rank", 0):
        ones["middle_start"] = np.zeros(op.options.rank + op.options.recurrent_rank, np.int32)
    options = replace(op.options, format=INT8.number)
    return replace(op, options=options, bias=op.bias.astype(np.int32), **ones).laid_out()


def _sparse_dense_bytes(part):
    layer = part.layer
    kernel = (keras.ops.convert_to_numpy(layer.kernel) != 0).astype(np.int8)
    units = kernel.shape[1]
    bias, multiplier, shift = np.zeros(units, np.int32), np.zeros(units, np.int32), np.zeros(units, np.uint8)
    options = SparseDense.SCHEMA.options(format=INT8.number, units=units, block=BLOCKS[0])
    # TensorFlow Lite's converter leaves biases of zeros out.
    has_bias = layer.use_bias and np.any(keras.ops.convert_to_numpy(layer.bias))
    tensors = [kernel, bias] if has_bias else [kernel]
    ways = ways_to_store(tensors, units * len(tensors), SparseDense(options, kernel[:, None], bias, multiplier, shift))
    _, _, constants = min(ways.values(), key=lambda way: way[0])
    return kernel.size if constants is None else sum(part.nbytes for n, part in constants.items() if "kernel" in n)
