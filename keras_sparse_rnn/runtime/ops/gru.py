"""KsrGru: the GRU, with the reset gate after or before the recurrent product (`tflite/include/ksr_gru.h`)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.runtime.ops.gates import (
    ONE,
    gru_unit_float32,
    gru_unit_int8,
    operand_int8,
    output_int8,
    sigmoid_float32,
    sigmoid_int8,
)
from keras_sparse_rnn.runtime.ops.recurrent import RecurrentOp, RecurrentOptions, product


@dataclass(frozen=True, kw_only=True)
class GruOptions(RecurrentOptions):
    reset_after: int


@dataclass(frozen=True, eq=False)
class Gru(RecurrentOp):
    """The op KsrGru."""

    NAME: ClassVar[str] = "KsrGru"
    OPTIONS: ClassVar[type] = GruOptions
    CONSTANTS: ClassVar[tuple] = (
        *RecurrentOp.CONSTANTS,
        "candidate_kernel",
        "candidate_kernel_index",
        "candidate_kernel_rows",
    )
    KERNEL_SLOTS: ClassVar[tuple] = (0, 1, 2)
    RECURRENT_SLOTS: ClassVar[tuple] = (0, 1, 3)
    ACTIVATIONS: ClassVar[tuple] = ("sigmoid", "sigmoid", "tanh", "reset")

    def _matrices(self):
        if self.options.reset_after:
            return super()._matrices()
        # r * h is known only after the products with h: the candidate's part is a matrix of its own.
        return super()._matrices() | {
            "recurrent_kernel": (self.recurrent_kernel[:, :2], (0, 1)),
            "candidate_kernel": (self.recurrent_kernel[:, 2:], (0,)),
        }

    @classmethod
    def _read_recurrent_kernel(cls, options, matrix):
        if options.reset_after:
            return super()._read_recurrent_kernel(options, matrix)
        return np.concatenate([matrix("recurrent_kernel", (0, 1)), matrix("candidate_kernel", (0,))], axis=1)

    def states(self):
        return (self._state("h", np.int16, 2**-15),)

    def _step_float32(self, x, state):
        h = state["h"]
        a, q = self._from_x(x), product(h, self.recurrent_kernel)
        z = sigmoid_float32(a[0] + q[0] + self.bias[0])
        r = sigmoid_float32(a[1] + q[1] + self.bias[1])
        from_y = q[2]
        if not self.options.reset_after:
            from_y, r = product(r * h, self.recurrent_kernel[:, 2:])[0], np.float32(1)
        state["h"] = gru_unit_float32(z, r, a[2] + self.bias[2], from_y + self.bias[3], h)
        return state["h"]

    def _step_int8(self, x, state):
        o, h = self.options, state["h"]
        a, q = self._from_x(x), self._from_operand(operand_int8(o, h), self.recurrent_kernel)
        z = sigmoid_int8(o, 0, self.bias[0] + a[0] + q[0])
        r = sigmoid_int8(o, 1, self.bias[1] + a[1] + q[1])
        from_y = q[2]
        if not o.reset_after:
            reset = operand_int8(o, (r * h + 2**14) >> 15)
            from_y, r = self._from_operand(reset, self.recurrent_kernel[:, 2:])[0], ONE
        state["h"] = gru_unit_int8(o, z, r, self.bias[2] + a[2], self.bias[3] + from_y, h)
        return output_int8(o, state["h"])
