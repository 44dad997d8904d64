"""A random op with its states, and a mask, as inputs and outputs of a model."""

from dataclasses import replace

import numpy as np

from keras_sparse_rnn.convert.pack import ModelWriter


def state_model(op, *, initial=False, last=True, mask=False, stateful=False, batch=1):
    """The bytes of a model of a `RandomOp`.

    Args:
        op: The op.
        initial, last: Whether the states to begin with are inputs, and those after the last step outputs.
        mask: Whether there is an input for a mask, the last one.
        stateful: Whether the op keeps its states in variables.
        batch: Samples of an inference.
    """
    writer = ModelWriter()
    ours = replace(op.op, options=replace(op.op.options, initial_states=int(initial)))
    options = ours.options
    scales = ((1 / 64, options.x_zero_point), (1 / 128, options.output_zero_point)) if ours.is_integer else (None, None)
    x = writer.add_tensor("x", (batch, *op.x.shape), op.x.dtype, scale=scales[0])
    y = writer.add_tensor("y", (batch, *op.output_shape[1:]), op.x.dtype, scale=scales[1])
    states = ours.states(1 / 64)

    def add(prefix):
        return {
            f"{prefix}_{name}": writer.add_tensor(
                f"{prefix}_{name}",
                (batch, *tensor.shape[1:]),
                tensor.dtype,
                scale=None if tensor.scale is None else (tensor.scale, tensor.zero_point),
            )
            for name, tensor in states.items()
        }

    first, ends = add("initial") if initial else {}, add("last") if last else {}
    steps = writer.add_tensor("mask", (batch, len(op.x)), np.bool_) if mask else None
    writer.add_recurrent(
        *("op", ours, op.constants, x, y),
        stateful=stateful,
        initial={name.removeprefix("initial_"): number for name, number in first.items()},
        last=list(ends.values()),
        mask=steps,
    )
    inputs = {"x": x, **first, **({"mask": steps} if mask else {})}
    return writer.finish(inputs, {"y": y, **ends})
