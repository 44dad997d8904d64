"""KsrEventGru in NumPy: the definition, in integers and in floats, that every kernel is held to.

Integers: int8 inputs and weights, int32 accumulators, pre-activations in Q(fraction), Q15 states, gates from tables
without interpolation. Shifts to the right round towards minus infinity, as in C.
"""

from dataclasses import dataclass, field

import numpy as np

from keras_sparse_rnn.runtime.block_sparse import BlockSparseMatrix, decode, stride_of
from keras_sparse_rnn.runtime.event_gru import READOUTS, EventGruOptions
from keras_sparse_rnn.runtime.graph import GraphEngine

_STEPS = np.arange(-512, 512)
SIGMOID_TABLE = np.clip(np.rint(2**15 / (1 + np.exp(-_STEPS / 64))), -32767, 32767).astype(np.int64)
TANH_TABLE = np.clip(np.rint(2**15 * np.tanh(_STEPS / 128)), -32767, 32767).astype(np.int64)


@dataclass(eq=False)
class EventGruWeights:
    """A KsrEventGru op's constants, unpacked.

    Attributes:
        kernel `(I, 3, U)`, recurrent_kernel `(U, 3, U)`: int8 or float32.
        bias `(4, U)`: What the accumulators z, r, candidate from x, candidate from y start from; int32 or float32.
        threshold `(U,)`: Q15 or float32.
    """

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray

    @classmethod
    def unpack(cls, options, constants):
        """From the op's input tensors 1 to 8."""
        units, block = options.units, options.block
        stride = stride_of(units, block)
        kernel, recurrent_kernel = BlockSparseMatrix(*constants[0:3]), BlockSparseMatrix(*constants[3:6])
        sources = len(kernel.values) // (3 * stride) if kernel.index is None else len(kernel.rows) - 1
        return cls(
            decode(kernel, sources, units, block, last_slot=2),
            decode(recurrent_kernel, units, units, block, last_slot=3),
            constants[6].reshape(4, stride)[:, :units],
            constants[7],
        )


@dataclass(eq=False)
class EventGruState:
    """y (what was sent: 0 to 255, or float32), c and trace (Q15 or float32), each `(U,)`; all start at zero."""

    units: int
    dtype: type
    y: np.ndarray = field(init=False)
    c: np.ndarray = field(init=False)
    trace: np.ndarray = field(init=False)

    def __post_init__(self):
        self.y, self.c, self.trace = (np.zeros(self.units, self.dtype) for _ in range(3))


def event_gru(options, weights, x, state=None):
    """Runs the op over a sequence.

    Args:
        options: `EventGruOptions`.
        weights: `EventGruWeights`.
        x: `(T, I)`, int8 or float32.
        state: `EventGruState`, updated in place; None starts from zero.

    Returns:
        The outputs in the order in which they are computed, `(T, U)`, of x's dtype.
    """
    step = _step_int8 if x.dtype == np.int8 else _step_float32
    if state is None:
        state = EventGruState(options.units, np.int64 if x.dtype == np.int8 else np.float32)
    return np.stack([step(options, weights, x_t, state) for x_t in (x[::-1] if options.go_backwards else x)])


def _step_float32(options, weights, x, state):
    a = np.tensordot(x, weights.kernel, 1)
    q = np.tensordot(state.y, weights.recurrent_kernel, 1)
    bias = weights.bias
    z = _sigmoid(a[0] + q[0] + bias[0])
    r = _sigmoid(a[1] + q[1] + bias[1])
    g = np.tanh(a[2] + bias[2] + r * (q[2] + bias[3]))
    c = z * state.c + (np.float32(1) - z) * g
    event = c > weights.threshold
    state.y = np.where(event, c, np.float32(0))
    state.c = c - weights.threshold * event if options.reset else c
    state.trace = state.trace + (state.y - state.trace) * np.float32(options.trace_rate / 2**31)
    return {"event": state.y, "cell": state.c, "trace": state.trace}[READOUTS[options.readout]]


def _sigmoid(x):
    return np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * x))


def _step_int8(options, weights, x, state):
    o = options
    x = (x.astype(np.int64) - o.x_zero_point) << o.x_shift
    y = state.y << o.y_shift
    a = np.tensordot(x, weights.kernel.astype(np.int64), 1)
    q = np.tensordot(y, weights.recurrent_kernel.astype(np.int64), 1)
    z, r, from_x, from_y = weights.bias + np.stack([a[0] + q[0], a[1] + q[1], a[2], q[2]])

    z = _look_up(SIGMOID_TABLE, _high_word(z, o.z_multiplier) >> (o.fraction - 6))
    r = _look_up(SIGMOID_TABLE, _high_word(r, o.r_multiplier) >> (o.fraction - 6))
    from_y = np.clip(_high_word(from_y, o.y_multiplier), -(2**15), 2**15 - 1)
    candidate = _high_word(from_x, o.x_multiplier) + ((r * from_y) >> 15)
    g = _look_up(TANH_TABLE, candidate >> (o.fraction - 7))
    c = g + ((z * (state.c - g) + 2**14) >> 15)

    event = c > weights.threshold
    fired = np.where(event, c, 0)
    state.y = np.clip(_rescale(fired, o.event_multiplier, o.event_shift), 0, 255)
    state.c = c - weights.threshold * event if o.reset else c
    state.trace = state.trace + (((fired - state.trace) * (o.trace_rate >> 16) + 2**14) >> 15)
    read = {"event": fired, "cell": state.c, "trace": state.trace}[READOUTS[o.readout]]
    return np.clip(_rescale(read, o.output_multiplier, o.output_shift) + o.output_zero_point, -128, 127).astype(np.int8)


def _high_word(accumulator, multiplier):
    return (accumulator * multiplier) >> 32


def _look_up(table, k):
    return table[512 + np.clip(k, -512, 511)]


def _rescale(q15, multiplier, shift):
    return (q15 * multiplier + (1 << (shift - 1))) >> shift


class ReferenceEngine(GraphEngine):
    """Every op in NumPy."""

    def __init__(self, model):
        super().__init__(model)
        self._prepared = {}
        for op in self.custom_operators:
            options = EventGruOptions.from_bytes(op.options)
            constants = [None if i < 0 else model.tensors[i].data for i in op.inputs[1:9]]
            self._prepared[op] = options, EventGruWeights.unpack(options, constants)

    def run_custom(self, op, inputs):
        options, weights = self._prepared[op]
        outputs = event_gru(options, weights, inputs[0][0])
        return [outputs[None] if options.return_sequences else outputs[-1:]]
