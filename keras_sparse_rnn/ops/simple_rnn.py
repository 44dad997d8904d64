"""KsrSimpleRnn: the SimpleRNN (`tflite/include/ksr_simple_rnn.h`)."""

from dataclasses import dataclass
from typing import ClassVar

from keras_sparse_rnn.ops.gates import operand_int8, output_int8, pre_activation, tanh_gate_int8
from keras_sparse_rnn.ops.recurrent import RecurrentOp
from keras_sparse_rnn.ops.recurrent_schema import H, recurrent_schema
from keras_sparse_rnn.ops.schema import OpSchema, Word

SCHEMA = recurrent_schema(
    "KsrSimpleRnn",
    "the SimpleRNN",
    (0,),
    (0,),
    inputs=[H],
    changes=[Word.reserved(name, "0: it has no gates") for name in ("recurrent_activation", "gate_bits")],
)


@dataclass(frozen=True, eq=False)
class SimpleRnn(RecurrentOp):
    """The op KsrSimpleRnn."""

    SCHEMA: ClassVar[OpSchema] = SCHEMA
    GATES: ClassVar[tuple] = ("h",)
    SLOTS: ClassVar[tuple] = ("candidate", None, None, None)

    def _step_float32(self, x, state):
        state["h"] = self.activation.float32(self._accumulators(x, state)[0])
        return state["h"]

    def _step_int8(self, x, state):
        o = self.options
        a = self._scaled(self._accumulators(x, state)[0], 0)
        h = tanh_gate_int8(o, 0, a) if self.has_usual_gates else self.candidate(pre_activation(o, 0, a))
        state["h"] = operand_int8(o, h)
        return output_int8(o, h)

    def _activated(self, acc, before, after):
        return [], [after["h"]]
