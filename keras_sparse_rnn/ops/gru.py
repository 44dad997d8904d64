"""KsrGru: the GRU, with the reset gate after or before the recurrent product (`tflite/include/ksr_gru.h`)."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.activations import ONE
from keras_sparse_rnn.ops.gates import gru_unit_float32, gru_unit_int8, operand_int8, output_int8
from keras_sparse_rnn.ops.recurrent import Q15_STATE, RecurrentOp, hold, product, recurrent_schema
from keras_sparse_rnn.ops.schema import Input, OpSchema, Word, constant, matrix, state

SCHEMA = recurrent_schema(
    "KsrGru",
    "the GRU, with the reset gate after or before the recurrent product",
    (0, 1, 2),
    (0, 1, 3),
    words=[Word.every("reset_after", "1: the reset gate comes after the product with R", 0, 1)],
    inputs=[
        *matrix("candidate_kernel", "R of the candidate", "units", (0,), base=3, where=("reset_after", 0)),
        state("h", "Q15", "units", "int16", Q15_STATE),
    ],
    changes=[
        Input(
            *("recurrent_kernel", "from the state to the gates; reset before: to z and r alone"),
            *(("float32", "int8", "int8"), "values"),
            sources="units",
            slots=(0, 1, 3),
            slots_without=("reset_after", (0, 1)),
        ),
        constant(
            *("hidden_threshold", "Q15; absent: h is not held", "units", "float32", "uint16", "uint16"),
            is_optional=True,
            where=("reset_after", 1),
            needs="input_threshold",
        ),
        state(
            *("held_h", "what is held of h, Q15", "units", "int16", Q15_STATE),
            needs="hidden_threshold",
            together="held_x",
        ),
    ],
)


@dataclass(frozen=True, eq=False)
class Gru(RecurrentOp):
    """The op KsrGru.

    Attributes:
        hidden_threshold `(U,)`: Q15 (uint16) or float32: what the recurrence reads of h is held until h differs from it
            by more; None where it is not held.
    """

    hidden_threshold: np.ndarray | None = field(default=None, kw_only=True)

    SCHEMA: ClassVar[OpSchema] = SCHEMA
    GATES: ClassVar[tuple] = ("z", "r", "h")
    SLOTS: ClassVar[tuple] = ("gate", "gate", "candidate", "reset")

    def _reads_all_units(self):
        return self.hidden_threshold is None

    def matrices(self):
        if self.options.reset_after:
            return super().matrices()
        # r * h is known only after the products with h: the candidate's part is a matrix of its own.
        return super().matrices() | {
            "recurrent_kernel": (self.recurrent_kernel[:, :2], (0, 1)),
            "candidate_kernel": (self.recurrent_kernel[:, 2:], (0,)),
        }

    @classmethod
    def _read_recurrent_kernel(cls, options, matrix):
        if options.reset_after:
            return super()._read_recurrent_kernel(options, matrix)
        return np.concatenate([matrix("recurrent_kernel"), matrix("candidate_kernel")], axis=1)

    def sums(self, state):
        sums = super().sums(state)
        if self.hidden_threshold is not None:
            self._add(sums, self.recurrent_slots, self._from_state(state["held_h"]))
        return sums

    def _from_state(self, h):
        """The product of a state, as the recurrence reads it, with the recurrent kernel: `(gates, U)`."""
        if self.is_integer:
            return self._from_operand(operand_int8(self.options, h), self.recurrent_kernel)
        return product(h, self.recurrent_kernel)

    def _accumulators(self, x, state):
        """`(4, U)`; with the reset before the product the candidate's recurrent part is to be replaced."""
        h, slots = state["h"], self.recurrent_slots
        if self.hidden_threshold is None:
            acc = self._start(x, state)
            acc[slots] += self._from_state(h)
            return acc
        before = state["held_h"]
        change, state["held_h"] = hold(h, before, self.hidden_threshold)
        if self.is_integer:
            self._add_change(state, slots, self._from_state(state["held_h"]) - self._from_state(before))
        else:
            self._add_change(state, slots, self._from_state(change))
        return self._start(x, state)

    def _step_float32(self, x, state):
        h, acc = state["h"], self._accumulators(x, state)
        gate, from_y = self.recurrent_activation.float32, acc[3]
        z, r = gate(acc[0]), gate(acc[1])
        if not self.options.reset_after:
            from_y, r = self.bias[3] + product(r * h, self.recurrent_kernel[:, 2:])[0], np.float32(1)
        state["h"] = gru_unit_float32(self, z, r, acc[2], from_y, h)
        return state["h"]

    def _step_int8(self, x, state):
        o, h, acc = self.options, state["h"], self._scaled(self._accumulators(x, state))
        z, r, from_y = self.gate(0, acc[0]), self.gate(1, acc[1]), acc[3]
        if not o.reset_after:
            reset = operand_int8(o, self.times(r, h))
            from_y = self.bias[3] + self._from_operand(reset, self.recurrent_kernel[:, 2:])[0]
            from_y, r = self._scaled(from_y, 3), ONE >> o.gate_bits
        state["h"] = gru_unit_int8(self, z, r, acc[2], from_y, h)
        return output_int8(o, state["h"])

    def _activated(self, acc, before, after):
        z, r = self.recurrent_activation.float32(acc[:2])
        if self.options.reset_after:
            from_y = r * acc[3]
        else:
            from_y = self.bias[3] + product(r * before["h"], self.recurrent_kernel[:, 2:])[:, 0]
        return [z, r], [self.activation.float32(acc[2] + from_y), after["h"]]
