"""ONLSTM becomes KsrOnLstm."""

from typing import ClassVar

import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import to_float32
from keras_sparse_rnn.convert.recurrent.lstm import LSTMConverter, lstm_weights
from keras_sparse_rnn.layers import ONLSTM, ONLSTMCell
from keras_sparse_rnn.ops.on_lstm import OnLstm


class ONLSTMConverter(LSTMConverter):
    """An ONLSTM layer. Its states are h and c."""

    LAYER: ClassVar[type] = ONLSTM
    CELL: ClassVar[type] = ONLSTMCell

    def float32_op(self, block):
        cell = self.layer.cell
        masters = [to_float32(kernel) for kernel in (cell.master_kernel, cell.master_recurrent_kernel)]
        bias = to_float32(cell.master_bias) if self.layer.use_bias else np.zeros(2 * cell.chunks, np.float32)
        weights = (
            np.concatenate([of_units, _in_slots(master, cell.chunks)], axis=-1)
            for of_units, master in zip(lstm_weights(self.layer), [*masters, bias], strict=True)
        )
        options = OnLstm.SCHEMA.options(**self._options(block), chunk_size=cell.chunk_size)
        return OnLstm(options, *weights)


def _in_slots(master, chunks):
    """Columns `(.., 2 * chunks)` of the master gates f~ and i~ as `(.., 4, chunks / 2)`, half a gate for each slot."""
    of_gates = master.reshape(*master.shape[:-1], 2, chunks)
    padded = np.pad(of_gates, [(0, 0)] * (of_gates.ndim - 1) + [(0, chunks % 2)])
    return padded.reshape(*master.shape[:-1], 4, -1)
