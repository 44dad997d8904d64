"""Counts the multiplications of the recurrent ops of a `.tflite` model, with their definitions in NumPy."""

from dataclasses import dataclass, field

import numpy as np

from keras_sparse_rnn.ops import OPS
from keras_sparse_rnn.ops.macs import effective_macs
from keras_sparse_rnn.ops.recurrent import RecurrentOp
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.reference import ReferenceEngine


@dataclass(eq=False)
class SeenOp:
    """Records of a recurrent op.

    Attributes:
        op: The definition of the op.
        macs: Effective MACs of each step, of all samples in order.
        active: Booleans (units,) for each step: which units sent an event or changed. Empty for ops without events.
        first: Number of steps of the first sample.
    """

    op: RecurrentOp
    macs: list[float] = field(default_factory=list)
    active: list[np.ndarray] = field(default_factory=list)
    first: int = 0


class WatchingEngine(ReferenceEngine):
    """A reference engine that records each step of the recurrent ops.

    Attributes:
        seen: A `SeenOp` for each recurrent op, in the order of execution.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._seen = {op: SeenOp(run) for op, run in self.definitions.items() if op.name in OPS}
        self.seen = list(self._seen.values())
        self._states: dict = {}
        self._samples = 0

    def reset(self):
        super().reset()
        for op, seen in self._seen.items():
            wide = np.int64 if seen.op.is_integer else np.float32
            self._states[op] = {name: np.zeros(tensor.shape[1], wide) for name, tensor in seen.op.states().items()}
        self._samples += 1

    def run_custom(self, op, inputs):
        if op in self._seen:
            self._see(self._seen[op], inputs[0][0], self._states[op])
        return super().run_custom(op, inputs)

    def _see(self, seen, x, state):
        op = seen.op
        for step in x[:: -1 if op.options.go_backwards else 1]:
            before = {name: values.copy() for name, values in state.items()}
            op(step[None], state)
            acting = op.acting(step, before, state)
            macs = [effective_macs([kernel], [acts]).sum() for kernel, acts in zip(op.kernels, acting, strict=True)]
            seen.macs.append(sum(macs))
            if "y" in state or "held_h" in state:
                seen.active.append(state["y"] != 0 if "y" in state else acting[1])
        if self._samples <= 1:
            seen.first = len(seen.active)
