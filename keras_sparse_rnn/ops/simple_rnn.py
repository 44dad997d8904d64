"""KsrSimpleRnn: the SimpleRNN, or without a recurrent kernel a dense layer (`tflite/include/ksr_simple_rnn.h`)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.gates import operand_int8, output_int8, pre_activation, tanh_gate_int8
from keras_sparse_rnn.ops.recurrent import RecurrentOp
from keras_sparse_rnn.ops.recurrent_schema import FIRST_INPUTS, H, recurrent_schema
from keras_sparse_rnn.ops.schema import OpSchema, Word


def _may_be_absent(given):
    if given.name == "recurrent_kernel":
        return replace(given, doc=f"{given.doc}; absent: zeros", slots=(0,), is_optional=True)
    return replace(given, needs="recurrent_kernel")


SCHEMA = recurrent_schema(
    "KsrSimpleRnn",
    "the SimpleRNN, or without a recurrent kernel a dense layer",
    (0,),
    (0,),
    inputs=[H],
    changes=[
        *(_may_be_absent(given) for given in FIRST_INPUTS if given.name.startswith("recurrent_kernel")),
        *(Word.reserved(name, "the op has no gates") for name in ("recurrent_activation", "gate_bits")),
    ],
)


@dataclass(frozen=True, eq=False)
class SimpleRnn(RecurrentOp):
    """The op KsrSimpleRnn. A recurrent kernel of zeros is not stored: then it is a dense layer."""

    SCHEMA: ClassVar[OpSchema] = SCHEMA
    GATES: ClassVar[tuple] = ("h",)
    SLOTS: ClassVar[tuple] = ("candidate", None, None, None)

    @property
    def is_recurrent(self):
        return self.hidden_threshold is not None or bool(np.any(self.recurrent_kernel))

    @property
    def kernels(self):
        return super().kernels if self.is_recurrent else (self.kernel,)

    def matrices(self):
        matrices = super().matrices()
        return matrices if self.is_recurrent else {"kernel": matrices["kernel"]}

    def _reads_all_units(self):
        return self.is_recurrent and super()._reads_all_units()

    def _accumulators(self, x, state):
        return super()._accumulators(x, state) if self.is_recurrent else self._start(x, state)

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
