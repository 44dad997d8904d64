"""keras.layers.GRU and LightGRU become KsrGru."""

from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, to_float32
from keras_sparse_rnn.layers import LightGRU, LightGRUCell
from keras_sparse_rnn.layers.low_rank import middles
from keras_sparse_rnn.ops.gru import AFTER, BEFORE, WITHOUT, Gru


class GRUConverter(LayerConverter):
    """A GRU layer, with `reset_after` either way. Its state is h."""

    LAYER: ClassVar[type] = keras.layers.GRU
    CELL: ClassVar[type] = keras.layers.GRUCell

    def float32_op(self, block):
        options = Gru.SCHEMA.options(**self._options(block), reset_gate=reset_gate(self.layer))
        return Gru(options, *gru_weights(self.layer))


class LightGRUConverter(LayerConverter):
    """A LightGRU layer. Its state is h."""

    LAYER: ClassVar[type] = LightGRU
    CELL: ClassVar[type] = LightGRUCell

    def float32_op(self, block):
        words, kernels = kernels_of(self.layer)
        bias = gru_bias(self.layer)
        return Gru(Gru.SCHEMA.options(**self._options(block), reset_gate=WITHOUT, **words), bias=bias, **kernels)


def reset_gate(layer):
    """That word, for a layer with the gates of a GRU."""
    if not getattr(layer, "reset_gate", True):
        return WITHOUT
    return AFTER if layer.reset_after else BEFORE


def kernels_of(layer):
    """Returns words and matrices of the op, two dicts, for a layer that may have kernels of low rank."""
    cell = layer.cell
    kernel, recurrent_kernel = map(to_float32, (cell.kernel, cell.recurrent_kernel))
    if layer.rank is None:
        whole = {"kernel": kernel, "recurrent_kernel": recurrent_kernel}
        return {}, {name: matrix.reshape(len(matrix), -1, layer.units) for name, matrix in whole.items()}
    rank, _, middle = middles(layer.rank)
    gates = to_float32(cell.gate_kernel).reshape(middle, -1, layer.units)
    matrices = {"kernel": gates[:rank], "recurrent_kernel": gates[rank:]}
    matrices |= {"input_factor_kernel": kernel[:, None], "recurrent_factor_kernel": recurrent_kernel[:, None]}
    return {"rank": rank, "recurrent_rank": middle - rank}, matrices


def gru_weights(layer):
    """Returns the kernel `(I, gates, U)`, the recurrent kernel `(U, gates, U)` and the bias of the accumulators
    `(4, U)` of a GRU with or without a reset gate."""
    kernels = (layer.cell.kernel, layer.cell.recurrent_kernel)
    return *(to_float32(kernel).reshape(kernel.shape[0], -1, layer.units) for kernel in kernels), gru_bias(layer)


def gru_bias(layer):
    """Likewise the bias alone."""
    cell, units = layer.cell, layer.units
    bias = np.zeros((2, 3, units), np.float32)
    if layer.use_bias and reset_gate(layer) == WITHOUT:
        bias[0, ::2] = to_float32(cell.bias).reshape(2, units)
    elif layer.use_bias:
        stored = to_float32(cell.bias).reshape(-1, 3, units)
        bias[: len(stored)] = stored  # reset before, the recurrent part has none
    from_x, from_h = bias
    return np.stack([from_x[0] + from_h[0], from_x[1] + from_h[1], from_x[2], from_h[2]])
