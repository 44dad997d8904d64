"""KsrGru: the GRU, its reset gate after the recurrent product, before it, or left out (`tflite/include/ksr_gru.h`)."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.activations import ONE
from keras_sparse_rnn.ops.gates import gru_unit_float32, gru_unit_int8, operand_int8, output_int8
from keras_sparse_rnn.ops.recurrent import ResetGateOp, product
from keras_sparse_rnn.ops.recurrent_schema import Q15_STATE, hold_of, recurrent_schema
from keras_sparse_rnn.ops.schema import OpSchema, Word, matrix, state

WITHOUT, AFTER, BEFORE = range(3)  # as `reset_gate`
H = state("h", "Q15", "units", "int16", Q15_STATE)
RESET = replace(H, name="reset", doc="r * h")

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
        H,
        *hold_of(RESET, "reset_threshold", "held_reset", where=("reset_gate", (BEFORE,)), needs="hidden_threshold"),
    ],
    changes=[
        *hold_of(H, "hidden_threshold", "held_h", needs="input_threshold"),
    ],
)


@dataclass(frozen=True, eq=False)
class Gru(ResetGateOp):
    """The op KsrGru.

    Attributes:
        reset_threshold `(U,)`: With the reset before the product, like `hidden_threshold`: r * h is held, too, which
            the candidate reads.
    """

    reset_threshold: np.ndarray | None = field(default=None, kw_only=True)

    SCHEMA: ClassVar[OpSchema] = SCHEMA

    @property
    def kernels(self):
        if self.options.reset_gate != BEFORE:
            return super().kernels
        return (self.kernel, self.recurrent_kernel[:, :2], self.recurrent_kernel[:, 2:])

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
        if self.reset_threshold is not None:
            self._add(sums, [3], self._from_reset(state["held_reset"]))
        return sums

    def _read(self, operand):
        return operand_int8(self.options, operand)

    def _from_reset(self, reset):
        """Product of r * h with the candidate's kernel, for a reset before the product: `(1, U)`."""
        kernel = self.recurrent_kernel[:, 2:]
        return self._from_operand(self._read(reset), kernel) if self.is_integer else product(reset, kernel)

    def _candidate_accumulators(self, reset, state):
        """The same with the bias, from the held value of r * h if it is held: `(U,)`."""
        if self.reset_threshold is None:
            return self.bias[3] + self._from_reset(reset)[0]
        self._hold(state, "held_reset", reset, self.reset_threshold, [3], self._from_reset)
        sums = self._slots(state["sums"])[3]
        return sums if self.is_integer else self.bias[3] + sums

    def _step_float32(self, x, state):
        h, acc = state["h"], self._accumulators(x, state)
        gate, from_y = self.recurrent_activation.float32, acc[3]
        z, r = gate(acc[0]), gate(acc[1]) if self.options.reset_gate else 0
        if self.options.reset_gate == BEFORE:
            from_y, r = self._candidate_accumulators(r * h, state), np.float32(1)
        state["h"] = gru_unit_float32(self, z, r, acc[2], from_y, h)
        return state["h"]

    def _step_int8(self, x, state):
        o, h, acc = self.options, state["h"], self._scaled(self._accumulators(x, state))
        z, r, from_y = self.gate(0, acc[0]), self.gate(1, acc[1]) if o.reset_gate else 0, acc[3]
        if o.reset_gate == BEFORE:
            from_y = self._scaled(self._candidate_accumulators(self.times(r, h), state), 3)
            r = ONE >> o.gate_bits
        state["h"] = gru_unit_int8(self, z, r, acc[2], from_y, h)
        return output_int8(o, state["h"])

    def _activated(self, acc, before, after):
        z, r = self.recurrent_activation.float32(acc[:2])
        r = r if self.options.reset_gate else np.zeros_like(r)
        from_y = r * acc[3]
        if self.options.reset_gate == BEFORE:
            read = after["held_reset"] if "held_reset" in after else r * before["h"]
            from_y = self.bias[3] + self._from_reset(read)[:, 0]
        return [z, r], [self.activation.float32(acc[2] + from_y), after["h"]]
