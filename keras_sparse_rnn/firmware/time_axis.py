"""Which axis of each tensor is time, followed through a graph."""

import math
from dataclasses import dataclass

import numpy as np

from keras_sparse_rnn.firmware.joining_layers import JOINING
from keras_sparse_rnn.ops import ALL_OPS, OPS
from keras_sparse_rnn.ops.sparse_dense import SparseDense


@dataclass(frozen=True)
class TimeAxis:
    """Where time goes in a model, and whether the model can take one step of it per call.

    Attributes:
        axes: For each tensor (by its number) that has values at each time step, the axis of these steps; it may have
            several values for each. Other tensors have no time axis: a layer has ended it, and they hold what follows
            from the steps so far, or they never depended on it.
        steps: Time steps in a sequence of the file's shapes; None where there is no time axis.
        obstacle: Why the model cannot take single steps; None where it can.
    """

    axes: dict
    steps: int | None
    obstacle: str | None

    def shape_in(self, steps, number, shape):
        """The shape that a tensor, of `shape` in the file, has in a sequence of so many steps."""
        axis = self.axes.get(number)
        if axis is None:
            return shape
        return (*shape[:axis], shape[axis] // self.steps * steps, *shape[axis + 1 :])


class _EndsAStreamError(Exception):
    """An op needs the whole sequence."""


def follow_time(model):
    """Follows the time axis from the inputs, axis 1 of those of rank 3 and more, to the outputs.

    Args:
        model: A `runtime.model.Model`.

    Returns:
        A `TimeAxis`; where it has an `obstacle`, without axes.
    """
    axes = {i: 1 for i in model.input_indices if len(model.tensors[i].shape) >= 3}
    lengths = {model.tensors[i].shape[1] for i in axes}
    if not lengths:
        return TimeAxis({}, None, "no input has a time axis")
    steps = lengths.pop()
    try:
        if lengths:
            raise _EndsAStreamError("the inputs have different numbers of time steps")
        _follow(model, axes, steps)
        for i in (*model.input_indices, *model.output_indices):
            tensor = model.tensors[i]
            if math.prod(tensor.shape[: axes.get(i, 0)]) != 1:
                raise _EndsAStreamError(f"the time steps of '{tensor.name}' do not lie one after another")
    except _EndsAStreamError as error:
        return TimeAxis({}, steps, str(error))
    return TimeAxis(axes, steps, None)


def _follow(model, axes, steps):
    """Adds to `axes` those of the tensors that ops write."""
    ended = set()
    for op in model.operators:
        y, *states = op.outputs
        read = {i for i in op.inputs if i >= 0 and model.tensors[i].data is None and not model.tensors[i].is_variable}
        timed = [i for i in read if i in axes]
        if not timed:
            if op.name in OPS:
                raise _EndsAStreamError(f"{op.name} of '{model.tensors[y].name}' goes over another axis than time")
            if read & ended:
                ended.add(y)
            continue
        beside = all(axes[i] == axes[timed[0]] and _is_of_steps(model, i, axes, steps) for i in timed)
        if (len(timed) > 1 and not (op.name in JOINING and beside)) or read & ended:
            raise _EndsAStreamError(f"{op.name} of '{model.tensors[y].name}' joins what has a time axis")
        ended.update(states)
        axis = _axis_behind(op, _Time(axes[timed[0]], steps, model.tensors[timed[0]].shape), y, model.tensors)
        if axis is None:
            ended.add(y)
        else:
            axes[y] = axis


@dataclass(frozen=True)
class _Time:
    """The time axis of a tensor of some shape."""

    axis: int
    steps: int
    shape: tuple

    def reshaped(self, op, shape, never=None):
        """The axis when the values get a new shape in the same order; not the axis `never`."""
        before = math.prod(self.shape[: self.axis])
        found = [
            i
            for i, size in enumerate(shape)
            if i != never and size % self.steps == 0 and math.prod(shape[:i]) == before
        ]
        # Several fit where there is a single step, or where an axis of length 1 is in front.
        for i in (self.axis, *reversed(found)):
            if i in found and shape[i] == self.steps:
                return i
        if not found:
            raise _EndsAStreamError(f"{op.name} takes the time axis of {self.shape} apart")
        return found[-1]


def _axis_behind(op, x, y, tensors):
    """The time axis of the tensor number `y` that an op makes of one with the time axis x; None where it holds the last
    step's values."""
    if op.name in OPS:
        options = ALL_OPS[op.name].SCHEMA.decode(op.options)
        if x.axis != 1 or x.shape[1] != x.steps:
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' goes over another axis than time")
        if options.initial_states and x.steps > 1:
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' begins from states that it is given")
        if "mask" in ALL_OPS[op.name].SCHEMA.named([None if i < 0 else i for i in op.inputs]):
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' leaves masked steps out")
        if options.go_backwards:
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' goes backwards")
        return 1 if options.return_sequences else None
    if op.name in ("FULLY_CONNECTED", SparseDense.SCHEMA.name):
        inputs = tensors[op.inputs[1]].shape[-1] if op.name == "FULLY_CONNECTED" else x.shape[-1]
        rows = tensors[y].shape[:-1]
        return x.reshaped(op, (*rows, inputs), never=len(rows))
    if op.name in ("EXPAND_DIMS", "RESHAPE", "SQUEEZE"):
        return x.reshaped(op, tensors[y].shape)
    if op.name in JOINING:
        return _beside(op, x, y, tensors)
    if op.name == "SOFTMAX" and x.axis == len(x.shape) - 1:
        raise _EndsAStreamError("SOFTMAX goes over the time axis")
    if op.name == "MEAN":
        axes = {int(a) % len(x.shape) for a in np.atleast_1d(tensors[op.inputs[1]].data)}
        if x.axis in axes:
            raise _EndsAStreamError("MEAN goes over the time axis")
        return x.axis if op.options.keepDims else x.axis - sum(a < x.axis for a in axes)
    return x.axis  # value by value


def _is_of_steps(model, i, axes, steps):
    return model.tensors[i].shape[axes[i]] == steps


def _beside(op, x, y, tensors):
    """The time axis behind an op of several inputs, of which each is constant or has it at the same place."""
    if len(tensors[y].shape) != len(x.shape):
        raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' changes the number of axes")
    if op.name == "CONCATENATION" and op.options.axis % len(x.shape) == x.axis:
        raise _EndsAStreamError(f"CONCATENATION of '{tensors[y].name}' goes along the time axis")
    for i in op.inputs:
        shape = tensors[i].shape
        if tensors[i].data is not None and math.prod(shape[: len(shape) - len(x.shape) + x.axis + 1]) != 1:
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' has a constant for each step")
    return x.axis
