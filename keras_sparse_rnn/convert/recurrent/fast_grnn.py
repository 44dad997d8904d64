"""FastGRNN becomes KsrGru."""

from typing import ClassVar

import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, to_float32
from keras_sparse_rnn.convert.recurrent.gru import kernels_of
from keras_sparse_rnn.layers import FastGRNN, FastGRNNCell
from keras_sparse_rnn.ops.gru import SHARED, Gru


class FastGRNNConverter(LayerConverter):
    """A FastGRNN layer. Its state is h."""

    LAYER: ClassVar[type] = FastGRNN
    CELL: ClassVar[type] = FastGRNNCell

    @property
    def has_usual_unit(self):
        return False

    def float32_op(self, block):
        cell, units = self.layer.cell, self.layer.units
        bias = np.zeros((4, units), np.float32)
        if self.layer.use_bias:
            of_gate, of_candidate = to_float32(cell.bias)
            bias[0], bias[2] = of_gate, of_candidate - of_gate
        words, kernels = kernels_of(self.layer)
        scalars = {name: round(float(share) * 2**30) for name, share in zip(("zeta", "nu"), cell.shares(), strict=True)}
        options = Gru.SCHEMA.options(**self._options(block), reset_gate=SHARED, **scalars, **words)
        return Gru(options, bias=bias, **kernels)
