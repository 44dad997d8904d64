"""RecurrentHighway becomes KsrGru: a micro-layer is a GRU without a reset gate, several are one behind the other."""

from typing import ClassVar

import numpy as np

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, activation_number, steps_seen, to_float32
from keras_sparse_rnn.layers import RecurrentHighway, RecurrentHighwayCell
from keras_sparse_rnn.ops.activations import NUMBERS
from keras_sparse_rnn.ops.gru import MOST_DEEP, UNCOUPLED, WITHOUT, Gru

# 1 - f(a) = f(-a): so a coupled gate becomes that of the share that the state keeps.
_MIRRORED = ("sigmoid", "hard_sigmoid")


class RecurrentHighwayConverter(LayerConverter):
    """A RecurrentHighway layer. Its state is h, that behind the last micro-layer."""

    LAYER: ClassVar[type] = RecurrentHighway
    CELL: ClassVar[type] = RecurrentHighwayCell
    RANGED: ClassVar[tuple] = ("h", "between")  # between its micro-layers the state may be larger than behind the last

    @property
    def has_usual_unit(self):
        return self.layer.coupled

    @property
    def gate_order(self):
        # From h, t and perhaps c to the gates of the op: the share that the state keeps, that of the candidate, h.
        return ((1, -1), (0, 1)) if self.layer.coupled else ((2, 1), (1, 1), (0, 1))

    def check(self, stateful):
        super().check(stateful)
        layer = self.layer
        if layer.coupled and activation_number(layer, "recurrent_activation") not in {NUMBERS[n] for n in _MIRRORED}:
            raise ValueError(
                f"layer '{layer.name}' has coupled=True and recurrent_activation="
                f"{layer.recurrent_activation.__name__}; can be converted: {', '.join(_MIRRORED)}, or any with "
                "coupled=False. Use one of them and train again."
            )
        if layer.depth > MOST_DEEP + 1:
            raise ValueError(
                f"layer '{layer.name}' has depth={layer.depth}; up to {MOST_DEEP + 1} micro-layers can be converted."
            )

    def float32_op(self, block):
        layer, cell, units = self.layer, self.layer.cell, self.layer.units
        gates = len(cell.gates)
        kernel, recurrent = (
            to_float32(weights).reshape(-1, gates, units) for weights in (cell.kernel, cell.recurrent_kernel)
        )
        biases = np.zeros((layer.depth, gates, units), np.float32)
        if layer.use_bias:
            biases = to_float32(cell.bias).reshape(layer.depth, gates, units)
        order, signs = (list(part) for part in zip(*self.gate_order, strict=True))
        kernel, recurrent, biases = (
            part[:, order] * np.array(signs, np.float32)[:, None] for part in (kernel, recurrent, biases)
        )
        options = Gru.SCHEMA.options(
            **self._options(block), reset_gate=WITHOUT if layer.coupled else UNCOUPLED, deep=layer.depth - 1
        )
        slots = np.zeros((layer.depth, 4, units), np.float32)
        slots[:, Gru.SCHEMA.matrices[0].slots_of(vars(options))] = biases
        first, *deep = slots
        deep_bias = np.concatenate(deep) if deep else None
        return Gru(options, kernel, recurrent, first, deep_bias=deep_bias)

    def integer_op(self, block, x, output, seen, options):
        if "between" in seen.states:
            between = [float(np.abs(seen.states["between"]).max())]
        else:
            op = self.float32_op(block)
            between = [op.largest_between(*steps) for steps in steps_seen(op, seen)]
        largest = max([float(np.abs(seen.states["h"]).max()), 1 / 16, *between])
        return self.quantize(block, x, output, largest, seen, options)
