"""KsrEventGru: the event-thresholded GRU (`tflite/include/ksr_event_gru.h`)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.gates import (
    gru_unit_float32,
    gru_unit_int8,
    output_int8,
    rescale,
    sigmoid_float32,
    sigmoid_int8,
)
from keras_sparse_rnn.ops.recurrent import RecurrentOp, RecurrentOptions, product

READOUTS = ("event", "cell", "trace")


@dataclass(frozen=True, kw_only=True)
class EventGruOptions(RecurrentOptions):
    readout: int
    reset: int
    trace_rate: int


@dataclass(frozen=True, eq=False)
class EventGru(RecurrentOp):
    """The op KsrEventGru.

    Attributes:
        threshold `(U,)`: Q15 (int16) or float32.
    """

    threshold: np.ndarray

    NAME: ClassVar[str] = "KsrEventGru"
    OPTIONS: ClassVar[type] = EventGruOptions
    CONSTANTS: ClassVar[tuple] = (*RecurrentOp.CONSTANTS, "threshold")
    GATES: ClassVar[tuple] = ("z", "r", "h")
    KERNEL_SLOTS: ClassVar[tuple] = (0, 1, 2)
    RECURRENT_SLOTS: ClassVar[tuple] = (0, 1, 3)
    ACTIVATIONS: ClassVar[tuple] = ("sigmoid", "sigmoid", "tanh", "reset")

    def own_states(self):
        scale = self.options.operand_scale if self.is_integer else None
        # As int8 what was sent lies in 0 .. 255, so that its zero point is at the end of the range.
        sent = self._state("y", self.options.dtype, scale, -128 if self.options.activation_bits == 8 else 0)
        states = (sent, self._state("c", np.int16, 2**-15), self._state("trace", np.int16, 2**-15))
        return states if READOUTS[self.options.readout] == "trace" else states[:2]

    def _step_float32(self, x, state):
        options = self.options
        acc = self._start(x, state)
        acc[list(self.RECURRENT_SLOTS)] += product(state["y"], self.recurrent_kernel)
        z, r = sigmoid_float32(acc[0]), sigmoid_float32(acc[1])
        c = gru_unit_float32(z, r, acc[2], acc[3], state["c"])
        event = c > self.threshold
        state["y"] = np.where(event, c, np.float32(0))
        state["c"] = c - self.threshold * event if options.reset else c
        if "trace" in state:
            rate = np.float32(options.trace_rate / 2**31)
            state["trace"] = state["trace"] + (state["y"] - state["trace"]) * rate
        return state[("y", "c", "trace")[options.readout]]

    def _step_int8(self, x, state):
        o = self.options
        acc = self._start(x, state)
        sent = state["y"] if o.activation_bits == 8 else np.clip(state["y"], 0, 2**o.operand_bits - 1)
        acc[list(self.RECURRENT_SLOTS)] += self._from_operand(sent, self.recurrent_kernel)
        acc = self._scaled(acc)
        z, r = sigmoid_int8(o, 0, acc[0]), sigmoid_int8(o, 1, acc[1])
        c = gru_unit_int8(o, z, r, acc[2], acc[3], state["c"])
        event = c > self.threshold
        fired = np.where(event, c, 0)
        state["y"] = np.clip(rescale(fired, o.operand_multiplier, o.operand_shift), 0, 2**o.operand_bits - 1)
        state["c"] = c - self.threshold * event if o.reset else c
        if "trace" in state:
            state["trace"] = state["trace"] + (((fired - state["trace"]) * (o.trace_rate >> 16) + 2**14) >> 15)
        return output_int8(o, fired if READOUTS[o.readout] == "event" else state[("y", "c", "trace")[o.readout]])
