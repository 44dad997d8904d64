"""KsrGru: the GRU, its reset gate after the recurrent product, before it, or left out (`tflite/include/ksr_gru.h`)."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.activations import ONE
from keras_sparse_rnn.ops.gates import gru_unit_float32, gru_unit_int8, operand_int8, output_int8
from keras_sparse_rnn.ops.recurrent import Q15_STATE, ResetGateOp, hold, product, recurrent_schema
from keras_sparse_rnn.ops.schema import OpSchema, Word, constant, matrix, state

WITHOUT, AFTER, BEFORE = range(3)  # as `reset_gate`

SCHEMA = recurrent_schema(
    "KsrGru",
    "the GRU, with the reset gate after or before the recurrent product, or without one",
    ("reset_gate", ((0, 2), (0, 1, 2), (0, 1, 2))),
    ("reset_gate", ((0, 2), (0, 1, 3), (0, 1))),
    words=[
        Word.every(
            "reset_gate", "0: there is none; 1: it comes after the product with R; 2: before it", 0, 2, usual=AFTER
        )
    ],
    inputs=[
        *matrix("candidate_kernel", "R of the candidate", "units", (0,), base=3, where=("reset_gate", (BEFORE,))),
        state("h", "Q15", "units", "int16", Q15_STATE),
    ],
    changes=[
        constant(
            *("hidden_threshold", "Q15; absent: h is not held", "units", "float32", "uint16", "uint16"),
            is_optional=True,
            where=("reset_gate", (WITHOUT, AFTER)),
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
class Gru(ResetGateOp):
    """The op KsrGru.

    Attributes:
        hidden_threshold `(U,)`: Q15 (uint16) or float32: what the recurrence reads of h is held until h differs from it
            by more; None where it is not held.
    """

    hidden_threshold: np.ndarray | None = field(default=None, kw_only=True)

    SCHEMA: ClassVar[OpSchema] = SCHEMA

    def _reads_all_units(self):
        return self.hidden_threshold is None

    @property
    def recurrent_slots(self):
        # With the reset before the product, too, `recurrent_kernel` has all gates.
        return super().recurrent_slots if self.options.reset_gate != BEFORE else list(self.SCHEMA.matrices[1].slots)

    def matrices(self):
        if self.options.reset_gate != BEFORE:
            return super().matrices()
        # r * h is known only after the products with h: the candidate's part is a matrix of its own.
        return super().matrices() | {
            "recurrent_kernel": (self.recurrent_kernel[:, :2], (0, 1)),
            "candidate_kernel": (self.recurrent_kernel[:, 2:], (0,)),
        }

    @classmethod
    def _read_recurrent_kernel(cls, options, matrix):
        if options.reset_gate != BEFORE:
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
        z, r = gate(acc[0]), gate(acc[1]) if self.options.reset_gate else 0
        if self.options.reset_gate == BEFORE:
            from_y, r = self.bias[3] + product(r * h, self.recurrent_kernel[:, 2:])[0], np.float32(1)
        state["h"] = gru_unit_float32(self, z, r, acc[2], from_y, h)
        return state["h"]

    def _step_int8(self, x, state):
        o, h, acc = self.options, state["h"], self._scaled(self._accumulators(x, state))
        z, r, from_y = self.gate(0, acc[0]), self.gate(1, acc[1]) if o.reset_gate else 0, acc[3]
        if o.reset_gate == BEFORE:
            reset = operand_int8(o, self.times(r, h))
            from_y = self.bias[3] + self._from_operand(reset, self.recurrent_kernel[:, 2:])[0]
            from_y, r = self._scaled(from_y, 3), ONE >> o.gate_bits
        state["h"] = gru_unit_int8(self, z, r, acc[2], from_y, h)
        return output_int8(o, state["h"])

    def _activated(self, acc, before, after):
        z, r = self.recurrent_activation.float32(acc[:2])
        r = r if self.options.reset_gate else np.zeros_like(r)
        from_y = r * acc[3]
        if self.options.reset_gate == BEFORE:
            from_y = self.bias[3] + product(r * before["h"], self.recurrent_kernel[:, 2:])[:, 0]
        return [z, r], [self.activation.float32(acc[2] + from_y), after["h"]]
