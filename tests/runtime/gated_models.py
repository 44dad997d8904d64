"""A random op behind a KsrFrameGate."""

from dataclasses import replace

import numpy as np

from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.ops.frame_gate import FrameGate

SCALE = 1 / 64


def gated_model(op, *, stateful=False, batch=1, with_mask=False, seed=0):
    """The bytes of a model of a `RandomOp` made to go forward, and its `FrameGate`, which leaves some steps out.

    Args:
        op: The op.
        stateful: Whether both keep their states in variables, and the op its last output.
        batch: Samples of an inference.
        with_mask: Whether there is an input for a mask, the last one.
        seed: Of the thresholds.
    """
    rng = np.random.default_rng(seed)
    options = replace(op.op.options, go_backwards=0, return_sequences=1, zero_output_for_mask=0)
    ours = replace(op.op, options=options)
    inputs = op.x.shape[1]
    unit = {np.dtype(np.int8): 60, np.dtype(np.int16): 15000}.get(op.x.dtype, 1)
    threshold = rng.uniform(0.2, 2, inputs) * unit
    types = {np.dtype(np.int8): np.uint8, np.dtype(np.int16): np.uint16}
    words = {"format": options.format, "count": int(rng.integers(1, inputs + 1)), "x_zero_point": options.x_zero_point}
    gate = FrameGate(FrameGate.SCHEMA.options(**words), threshold.astype(types.get(op.x.dtype, np.float32)))
    writer = ModelWriter()
    is_integer = ours.is_integer
    x = writer.add_tensor(
        "x", (batch, *op.x.shape), op.x.dtype, scale=(SCALE, options.x_zero_point) if is_integer else None
    )
    y = writer.add_tensor(
        *("y", (batch, len(op.x), options.units), op.x.dtype),
        scale=(1 / 128, options.output_zero_point) if is_integer else None,
    )
    made = writer.add_tensor("made", (batch, len(op.x)), np.bool_)
    given = writer.add_tensor("given", (batch, len(op.x)), np.bool_) if with_mask else None
    writer.add_recurrent("gate", gate, gate.constants(), x, made, stateful=stateful, mask=given)
    writer.add_recurrent("op", ours, op.constants, x, y, stateful=stateful, mask=made, repeats=stateful)
    return writer.finish({"x": x, **({"given": given} if with_mask else {})}, {"y": y, "made": made}), gate
