"""KsrSimpleRnn: the SimpleRNN (`tflite/include/ksr_simple_rnn.h`)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.gates import operand_int8, output_int8, tanh_gate_int8
from keras_sparse_rnn.ops.recurrent import RecurrentOp, RecurrentOptions, product


@dataclass(frozen=True, eq=False)
class SimpleRnn(RecurrentOp):
    """The op KsrSimpleRnn."""

    NAME: ClassVar[str] = "KsrSimpleRnn"
    OPTIONS: ClassVar[type] = RecurrentOptions
    GATES: ClassVar[tuple] = ("h",)
    KERNEL_SLOTS: ClassVar[tuple] = (0,)
    RECURRENT_SLOTS: ClassVar[tuple] = (0,)
    ACTIVATIONS: ClassVar[tuple] = ("tanh", None, None, None)

    def own_states(self):
        return (self._state("h", self.options.dtype, self.options.operand_scale if self.is_integer else None),)

    def _step_float32(self, x, state):
        state["h"] = np.tanh(self._start(x, state)[0] + product(state["h"], self.recurrent_kernel)[0])
        return state["h"]

    def _step_int8(self, x, state):
        o = self.options
        a = self._start(x, state)[0] + self._from_operand(self._read(state["h"]), self.recurrent_kernel)[0]
        a = self._scaled(a, 0)
        h = tanh_gate_int8(o, 0, a)
        state["h"] = operand_int8(o, h)
        return output_int8(o, h)
