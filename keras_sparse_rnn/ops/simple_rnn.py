"""KsrSimpleRnn: the SimpleRNN (`tflite/include/ksr_simple_rnn.h`)."""

from dataclasses import dataclass
from typing import ClassVar

from keras_sparse_rnn.ops.gates import operand_int8, output_int8, pre_activation, tanh_gate_int8
from keras_sparse_rnn.ops.recurrent import OPERAND_STATE, RecurrentOp, product, recurrent_schema
from keras_sparse_rnn.ops.schema import OpSchema, Word, state

SCHEMA = recurrent_schema(
    "KsrSimpleRnn",
    "the SimpleRNN",
    (0,),
    (0,),
    inputs=[state("h", "what the recurrence reads", "units", "int8", OPERAND_STATE)],
    changes=[Word.reserved(name, "0: it has no gates") for name in ("recurrent_activation", "gate_bits")],
)


@dataclass(frozen=True, eq=False)
class SimpleRnn(RecurrentOp):
    """The op KsrSimpleRnn."""

    SCHEMA: ClassVar[OpSchema] = SCHEMA
    GATES: ClassVar[tuple] = ("h",)
    SLOTS: ClassVar[tuple] = ("candidate", None, None, None)

    def _step_float32(self, x, state):
        a = self._start(x, state)[0] + product(state["h"], self.recurrent_kernel)[0]
        state["h"] = self.activation.float32(a)
        return state["h"]

    def _step_int8(self, x, state):
        o = self.options
        a = self._start(x, state)[0] + self._from_operand(self._read(state["h"]), self.recurrent_kernel)[0]
        a = self._scaled(a, 0)
        h = tanh_gate_int8(o, 0, a) if self.has_usual_gates else self.candidate(pre_activation(o, 0, a))
        state["h"] = operand_int8(o, h)
        return output_int8(o, h)

    def _activated(self, acc, before, after):
        return [], [after["h"]]
