"""KsrLstm: the LSTM (`tflite/include/ksr_lstm.h`)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.formats import INT8X16
from keras_sparse_rnn.ops.gates import (
    TANH_TABLE,
    interpolate,
    look_up,
    operand_int8,
    output_int8,
    sigmoid_float32,
    sigmoid_int8,
    tanh_gate_int8,
)
from keras_sparse_rnn.ops.recurrent import OPERAND_STATE, RecurrentOp, product, recurrent_schema
from keras_sparse_rnn.ops.schema import OpSchema, Word, state

CELL_BITS = (0, 7)

SCHEMA = recurrent_schema(
    "KsrLstm",
    "the LSTM",
    (0, 1, 2, 3),
    (0, 1, 2, 3),
    words=[Word.integer("cell_bits", "c lies in [-2^cell_bits, 2^cell_bits)", *CELL_BITS)],
    inputs=[
        state("h", "what the recurrence reads", "units", "int8", OPERAND_STATE),
        state(
            *("c", "Q(15 - cell_bits), saturating", "units", "int16"),
            lambda options, x_scale: (2.0 ** (options.cell_bits - 15), 0),
        ),
    ],
)


@dataclass(frozen=True, eq=False)
class Lstm(RecurrentOp):
    """The op KsrLstm. Gates i, f, c, o."""

    SCHEMA: ClassVar[OpSchema] = SCHEMA
    GATES: ClassVar[tuple] = ("i", "f", "c", "o")
    ACTIVATIONS: ClassVar[tuple] = ("sigmoid", "sigmoid", "tanh", "sigmoid")

    def _step_float32(self, x, state):
        i, f, g, o = self._start(x, state) + product(state["h"], self.recurrent_kernel)
        state["c"] = sigmoid_float32(f) * state["c"] + sigmoid_float32(i) * np.tanh(g)
        state["h"] = sigmoid_float32(o) * np.tanh(state["c"])
        return state["h"]

    def _step_int8(self, x, state):
        options, bits = self.options, self.options.cell_bits
        from_h = self._from_operand(self._read(state["h"]), self.recurrent_kernel)
        i, f, g, o = self._scaled(self._start(x, state) + from_h)
        i, f, o = sigmoid_int8(options, 0, i), sigmoid_int8(options, 1, f), sigmoid_int8(options, 3, o)
        g = tanh_gate_int8(options, 2, g)
        c = (f * state["c"] + ((i * g) >> bits) + 2**14) >> 15
        state["c"] = np.clip(c, -(2**15), 2**15 - 1)
        if options.number_format is INT8X16:
            tanh = interpolate(TANH_TABLE, state["c"], 8 - bits)
        else:
            tanh = look_up(TANH_TABLE, (state["c"] + (1 << (7 - bits))) >> (8 - bits))
        h = (o * tanh + 2**14) >> 15
        state["h"] = operand_int8(options, h)
        return output_int8(options, h)
