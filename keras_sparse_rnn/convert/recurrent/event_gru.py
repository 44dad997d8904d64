"""EventGRU becomes KsrEventGru."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.convert.quantize import quantize
from keras_sparse_rnn.convert.recurrent.gru import gru_weights
from keras_sparse_rnn.convert.recurrent.layer import RecurrentLayer, call_copy, to_float32
from keras_sparse_rnn.layers import EventGRU, EventGRUCell
from keras_sparse_rnn.ops.event_gru import READOUTS, EventGru, EventGruOptions

LARGEST_EVENT_ERROR = 0.1  # of events of few bits: root mean square, relative to that of the events


class EventGRULayer(RecurrentLayer):
    """An EventGRU layer. Its states are the events y, after the threshold, and the cell c, after the reset."""

    LAYER: ClassVar[type] = EventGRU
    CELL: ClassVar[type] = EventGRUCell
    SENDS_EVENTS: ClassVar[bool] = True

    def check(self, stateful):
        super().check(stateful)
        if self.layer.zoneout:
            raise ValueError(
                f"layer '{self.name}' has zoneout={self.layer.zoneout}, which keeps a part of each state; only 0 can "
                "be converted."
            )
        if stateful and not self.layer.carry_cell:
            raise ValueError(
                f"layer '{self.name}' has carry_cell=False; only True can be converted with stateful=True."
            )

    def observe(self, x, name, stateful):
        changes = {"return_sequences": True, "activity_regularizer": None, "stateful": stateful}
        kinds = READOUTS if self.layer.readout == "trace" else READOUTS[:2]
        return [call_copy(self.layer, x, name=f"{name}_{kind}", readout=kind, **changes) for kind in kinds]

    def float32_op(self, block):
        layer = self.layer
        options = EventGruOptions(
            **self._options(block),
            readout=READOUTS.index(layer.readout),
            reset=int(layer.reset),
            trace_rate=min(round((1 - layer.trace_decay) * 2**31), 2**31 - 1),
        )
        return EventGru(options, *gru_weights(layer), to_float32(layer.cell.threshold))

    def int8_op(self, block, x, output, states, number_format):
        op = self.float32_op(block)
        if (op.threshold < 0).any():
            raise ValueError(f"layer '{self.name}' has a negative threshold; int8 needs thresholds of 0 or more.")
        bits, largest = number_format.event_bits, None
        if bits == 4:
            largest = _range_of_few_bits(states[0], bits)
        if largest is None:
            bits, largest = number_format.activation_bits, min(max(float(states[0].max()), 1 / 16), 1.0)
        threshold = np.clip(np.rint(op.threshold * 2**15), 0, 2**15 - 1).astype(np.int16)
        return replace(quantize(op, self.name, x, largest, output, number_format, bits), threshold=threshold)

    def event_rate(self, states):
        return float(np.mean(states[0] != 0))

    def compare(self, op, ours, keras, x_scale):
        threshold = op.threshold / 2**15 if op.is_integer else op.threshold
        (y, c), (keras_y, keras_c) = ours[:2], keras[:2]
        fired = y != 0
        # Before the threshold: there a unit that fires in one and not in the other differs by rounding only.
        before = c + threshold * fired if op.options.reset else c
        expected = np.where(keras_y != 0, keras_y, keras_c)
        return np.abs(before - expected), fired != (keras_y != 0), np.abs(expected - threshold)


def _range_of_few_bits(events, bits):
    """The largest event of the range that loses least of the events, in `bits` bits; None where that is too much."""
    events = events[events > 0].astype(np.float64)
    if not events.size:
        return 1 / 16
    ranges = events.max() * np.linspace(0.3, 1, 29)
    errors = []
    for largest in ranges:
        step = largest / (2**bits - 1)
        errors.append(np.mean((np.minimum(np.rint(events / step), 2**bits - 1) * step - events) ** 2))
    if min(errors) > LARGEST_EVENT_ERROR**2 * np.mean(events**2):
        return None
    return float(ranges[np.argmin(errors)])
