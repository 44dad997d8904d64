"""KsrLstm: the LSTM (`tflite/include/ksr_lstm.h`)."""

from dataclasses import dataclass
from typing import ClassVar

from keras_sparse_rnn.formats import INT8X16
from keras_sparse_rnn.ops.activations import MOST_BITS, TANH_TABLE, interpolate
from keras_sparse_rnn.ops.gates import look_up, operand_int8, output_int8, pre_activation, saturate, tanh_gate_int8
from keras_sparse_rnn.ops.recurrent import RecurrentOp
from keras_sparse_rnn.ops.recurrent_schema import H, recurrent_schema
from keras_sparse_rnn.ops.schema import OpSchema, Word, state

BOUNDED_CELL_BITS = 7  # beyond it, a step of c is wider than an entry of tanh's table

CELL_BITS = Word.integer("cell_bits", "c lies in [-2^cell_bits, 2^cell_bits)", 0, MOST_BITS)
C = state(
    *("c", "Q(15 - cell_bits), saturating", "units", "int16"),
    lambda options, x_scale: (2.0 ** (options.cell_bits - 15), 0),
)
STATE_BITS = Word.integer(
    *("state_bits", "h, candidates and the activation of c lie in [-2^state_bits, 2^state_bits)", 0, MOST_BITS),
    limit=(0, 1, "cell_bits"),
)

SCHEMA = recurrent_schema(
    *("KsrLstm", "the LSTM", (0, 1, 2, 3), (0, 1, 2, 3)), words=[CELL_BITS], inputs=[H, C], changes=[STATE_BITS]
)


@dataclass(frozen=True, eq=False)
class Lstm(RecurrentOp):
    """The op KsrLstm. Gates i, f, c, o."""

    SCHEMA: ClassVar[OpSchema] = SCHEMA
    GATES: ClassVar[tuple] = ("i", "f", "c", "o")
    SLOTS: ClassVar[tuple] = ("gate", "gate", "candidate", "gate")

    @classmethod
    def are_usual(cls, options):
        return super().are_usual(options) and options.cell_bits <= BOUNDED_CELL_BITS

    def _step_float32(self, x, state):
        acc = self._accumulators(x, state)
        i, f, g, o = acc[:, : self.options.units]
        gate, activation = self.recurrent_activation.float32, self.activation.float32
        i, f = self._opened_float32(acc, gate(i), gate(f))
        state["c"] = f * state["c"] + i * activation(g)
        state["h"] = gate(o) * activation(state["c"])
        return state["h"]

    def _opened_float32(self, acc, i, f):
        """The gates i and f as they act on the cell."""
        return i, f

    def _step_int8(self, x, state):
        options, bits = self.options, self.options.cell_bits
        acc = self._scaled(self._accumulators(x, state))
        i, f, g, o = acc[:, : options.units]
        i, f, o = self.gate(0, i), self.gate(1, f), self.gate(3, o)
        i, f = self._opened_int8(acc, i, f)
        g = tanh_gate_int8(options, 2, g) if self.has_usual_gates else self.candidate(pre_activation(options, 2, g))
        shift = 15 - options.gate_bits
        c = (f * state["c"] + ((i * g) >> (bits - options.state_bits)) + (1 << (shift - 1))) >> shift
        state["c"] = saturate(c, 16)
        h = self.times(o, self._of_cell(state["c"]))
        state["h"] = operand_int8(options, h)
        return output_int8(options, h)

    def _opened_int8(self, acc, i, f):
        """Likewise."""
        return i, f

    def _of_cell(self, c):
        """The activation of a cell state in Q(15 - cell_bits)."""
        bits = self.options.cell_bits
        if not self.has_usual_gates:
            return self.activation.integer(c << max(bits - 8, 0), max(8 - bits, 0), self.options.state_bits)
        if self.options.number_format is INT8X16:
            return interpolate(TANH_TABLE, c, 8 - bits)
        return look_up(TANH_TABLE, (c + (1 << (7 - bits))) >> (8 - bits))

    def _activated(self, acc, before, after):
        acc = acc[..., : self.options.units]
        gates, activation = self.recurrent_activation.float32(acc[[0, 1, 3]]), self.activation.float32
        return [gates], [activation(acc[2]), activation(after["c"]), after["h"]]
