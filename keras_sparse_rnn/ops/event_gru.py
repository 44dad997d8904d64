"""KsrEventGru: the event-thresholded GRU (`tflite/include/ksr_event_gru.h`)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.formats import INT8
from keras_sparse_rnn.ops.gates import (
    gru_unit_float32,
    gru_unit_int8,
    output_int8,
    rescale,
)
from keras_sparse_rnn.ops.recurrent import ResetGateOp, product
from keras_sparse_rnn.ops.recurrent_schema import LAYOUT_OF_INPUTS, Q15_STATE, operand_scale, recurrent_schema
from keras_sparse_rnn.ops.schema import LARGEST, OpSchema, Word, constant, reserved, state

READOUTS = ("event", "cell", "trace")

SCHEMA = recurrent_schema(
    "KsrEventGru",
    "the event-thresholded GRU",
    ("reset_gate", ((0, 2), (0, 1, 2))),
    ("reset_gate", ((0, 2), (0, 1, 3))),
    words=[
        Word.every("readout", "output: 0 the events y, 1 the state c, 2 the trace", 0, 2),
        Word.every("reset", "1: an event subtracts the threshold from the state", 0, 1),
        Word.every("trace_rate", "1 - decay of the trace, Q31", 0, LARGEST),
        Word.every("reset_gate", "0: none, as in KsrGru; 1: after the product with R", 0, 1, usual=1),
    ],
    inputs=[
        constant(
            "threshold", "threshold of each unit, Q15", "units", "float32", "int16", "int16", values=(0, 2**15 - 1)
        ),
        # In int8, events are in 0 .. 255, so the zero point is at the end of the range.
        state(
            *("y", "the events", "units", "int8"),
            lambda options, x_scale: (operand_scale(options), -128 if options.number_format is INT8 else 0),
        ),
        state("c", "Q15", "units", "int16", Q15_STATE),
        state("trace", "Q15", "units", "int16", Q15_STATE, where=("readout", (READOUTS.index("trace"),))),
    ],
    changes=[
        Word.integer("layout", LAYOUT_OF_INPUTS, 0, 13, form="without 2"),
        Word(
            *("operand_bits", "bits of an event", (0, 0)),
            int8=(2, 8),
            int8x16=(2, 15),
        ),
        *(reserved(name, "its recurrence reads events") for name in ("hidden_threshold", "held_h")),
    ],
)


@dataclass(frozen=True, eq=False)
class EventGru(ResetGateOp):
    """The op KsrEventGru.

    Attributes:
        threshold `(U,)`: Q15 (int16) or float32.
    """

    threshold: np.ndarray

    SCHEMA: ClassVar[OpSchema] = SCHEMA
    READS: ClassVar[str] = "y"

    def _reads_all_units(self):
        return False

    def acting(self, x, before, after):
        """Finds the inputs that are not zero, or that have changed if they are held, and the units that fired in the
        previous step."""
        inputs, _ = super().acting(x, before, after)
        if self.input_threshold is None:
            inputs = x != (self.options.x_zero_point if self.is_integer else 0)
        return inputs, before["y"] != 0

    def _step_float32(self, x, state):
        options = self.options
        acc = self._start(x, state)
        acc[self.recurrent_slots] += product(state["y"], self.recurrent_kernel)
        z, r = self.recurrent_activation.float32(acc[:2])
        c = gru_unit_float32(self, z, r if options.reset_gate else 0, acc[2], acc[3], state["c"])
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
        sent = state["y"] if o.number_format is INT8 else np.clip(state["y"], 0, 2**o.operand_bits - 1)
        acc[self.recurrent_slots] += self._from_operand(sent, self.recurrent_kernel)
        acc = self._scaled(acc)
        z, r = self.gate(0, acc[0]), self.gate(1, acc[1]) if o.reset_gate else 0
        c = gru_unit_int8(self, z, r, acc[2], acc[3], state["c"])
        event = c > self.threshold
        fired = np.where(event, c, 0)
        state["y"] = np.clip(rescale(fired, o.operand_multiplier, o.operand_shift), 0, 2**o.operand_bits - 1)
        state["c"] = c - self.threshold * event if o.reset else c
        if "trace" in state:
            state["trace"] = state["trace"] + (((fired - state["trace"]) * (o.trace_rate >> 16) + 2**14) >> 15)
        return output_int8(o, fired if READOUTS[o.readout] == "event" else state[("y", "c", "trace")[o.readout]])

    def _activated(self, acc, before, after):
        z, r = self.recurrent_activation.float32(acc[:2])
        r = r if self.options.reset_gate else np.zeros_like(r)
        # Before the reset, the state of a unit that fires is its event.
        return [z, r], [self.activation.float32(acc[2] + r * acc[3]), after["c"], after["y"]]
