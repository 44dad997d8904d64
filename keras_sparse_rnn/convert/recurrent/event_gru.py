"""EventGRU becomes KsrEventGru."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, state_scale, to_float32, unit_of
from keras_sparse_rnn.convert.recurrent.gru import gru_weights, reset_gate
from keras_sparse_rnn.layers import EventGRU, EventGRUCell
from keras_sparse_rnn.ops.event_gru import READOUTS, EventGru


class EventGRUConverter(LayerConverter):
    """An EventGRU layer. Its states are the events y, after the threshold, and the cell c, after the reset."""

    LAYER: ClassVar[type] = EventGRU
    CELL: ClassVar[type] = EventGRUCell
    STATES: ClassVar[tuple] = ("y", "c", "trace")
    RANGED: ClassVar[tuple] = ("y",)
    SENDS_EVENTS: ClassVar[bool] = True

    def check(self, stateful):
        super().check(stateful)
        if stateful and not self.layer.carry_cell:
            raise ValueError(
                f"layer '{self.name}' has carry_cell=False; only True can be converted with stateful=True."
            )

    def float32_op(self, block):
        layer = self.layer
        options = EventGru.SCHEMA.options(
            **self._options(block),
            readout=READOUTS.index(layer.readout),
            reset=int(layer.reset),
            reset_gate=reset_gate(layer),
            trace_rate=min(round((1 - layer.trace_decay) * 2**31), 2**31 - 1),
        )
        return EventGru(options, *gru_weights(layer), to_float32(layer.cell.threshold))

    def integer_op(self, block, x, output, seen, options):
        real = self.float32_op(block).threshold
        if (real < 0).any():
            raise ValueError(f"layer '{self.name}' has a negative threshold; int8 needs thresholds of 0 or more.")
        largest = max(float(seen.states["y"].max()), 1 / 16)
        op = self.quantize(block, x, output, largest, seen, options)
        threshold = np.clip(np.rint(real / state_scale(op)), 0, 2**15 - 1).astype(np.int16)
        return replace(op, threshold=threshold)

    def event_rate(self, states):
        return float(np.mean(states["y"] != 0))

    def compare(self, op, ours, keras, x_scale):
        threshold = op.threshold * state_scale(op) if op.is_integer else op.threshold
        (y, c), (keras_y, keras_c) = ((states["y"], states["c"]) for states in (ours, keras))
        fired = y != 0
        # Compare before the threshold, where a unit that fires in only one of the two differs by rounding alone.
        before = c + threshold * fired if op.options.reset else c
        expected = np.where(keras_y != 0, keras_y, keras_c)
        error = np.abs(before - expected) / np.maximum(unit_of(op), np.abs(expected))
        return error, fired != (keras_y != 0), np.abs(expected - threshold)
