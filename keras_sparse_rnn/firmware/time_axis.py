"""Follows the time axis of each tensor through a graph."""

import math
from dataclasses import dataclass

import numpy as np

from keras_sparse_rnn.firmware.elementwise_layers import ELEMENTWISE
from keras_sparse_rnn.firmware.joining_layers import JOINING
from keras_sparse_rnn.firmware.moving_layers import MOVING, padding
from keras_sparse_rnn.firmware.skipped_steps import mask_of, skipping_gate
from keras_sparse_rnn.firmware.window_layers import WINDOWS, window_size
from keras_sparse_rnn.ops import ALL_OPS, OPS
from keras_sparse_rnn.ops.frame_gate import FrameGate
from keras_sparse_rnn.ops.sparse_dense import SparseDense
from keras_sparse_rnn.runtime.views import strides_of, view_of
from keras_sparse_rnn.runtime.windows import window_of
from keras_sparse_rnn.tflite_file import Operator

_BESIDE = (*JOINING, *ELEMENTWISE)  # ops of several inputs that lie beside each other


@dataclass(frozen=True)
class TimeAxis:
    """The time axis in a model, and whether the model can take one time step per call.

    Attributes:
        axes: Dict from the number of each tensor with values at each time step to the axis of these steps; a step may
            have several values on it. Other tensors have no time axis: a layer has ended it, and they depend on the
            steps so far, or they never depended on it.
        history: Dict from the number of each tensor with steps before the first one to their number, as added by a PAD.
            One step of such a tensor consists of this many previous steps and the new one.
        steps: Time steps in a sequence with the shapes of the file; None if there is no time axis.
        obstacle: Why the model cannot take single steps; None if it can.
        gate: The `Operator` of a FrameGate if nothing is to be computed at the steps that it skips; else None.
    """

    axes: dict
    history: dict
    steps: int | None
    obstacle: str | None
    gate: Operator | None = None

    def shape_in(self, steps, number, shape):
        """The shape of a tensor, `shape` in the file, in a sequence of this many steps."""
        axis = self.axes.get(number)
        if axis is None:
            return shape
        history = self.history.get(number, 0)
        return (*shape[:axis], shape[axis] // (self.steps + history) * (steps + history), *shape[axis + 1 :])


class _EndsAStreamError(Exception):
    """An op needs the whole sequence."""


def follow_time(model):
    """Follows the time axis to the outputs, from axis 1 of inputs of rank 3 or more, or of inputs of word indices.

    Args:
        model: A `runtime.model.Model`.

    Returns:
        A `TimeAxis`; without axes if it has an `obstacle`.
    """
    axes = {i: 1 for i in model.input_indices if len(model.tensors[i].shape) >= 3}
    lengths = {model.tensors[i].shape[1] for i in axes}
    for i in model.input_indices:
        tensor = model.tensors[i]
        is_of_numbers = len(tensor.shape) == 2 and tensor.dtype != np.float32 and tensor.scale is None
        if is_of_numbers and (not lengths or tensor.shape[1] in lengths):
            axes[i] = 1
            lengths.add(tensor.shape[1])
    history, gate = {}, skipping_gate(model)
    if not lengths:
        return TimeAxis({}, {}, None, "no input has a time axis")
    steps = lengths.pop()
    try:
        if lengths:
            raise _EndsAStreamError("the inputs have different numbers of time steps")
        _follow(model, axes, history, steps, gate)
        if history and gate:
            raise _EndsAStreamError("a convolution reads steps that a FrameGate leaves out")
        for i in (*model.input_indices, *model.output_indices):
            tensor = model.tensors[i]
            if history.get(i):
                raise _EndsAStreamError(f"'{tensor.name}' has steps that were padded")
            if math.prod(tensor.shape[: axes.get(i, 0)]) != 1:
                raise _EndsAStreamError(f"the time steps of '{tensor.name}' do not lie one after another")
    except _EndsAStreamError as error:
        return TimeAxis({}, {}, steps, str(error))
    return TimeAxis(axes, history, steps, None, gate)


def _follow(model, axes, history, steps, gate):
    """Adds the tensors that ops write to `axes` and `history`; `gate` is that of `TimeAxis`."""
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
        first = timed[0]
        before = history.get(first, 0)
        beside = all(
            axes[i] == axes[first] and model.tensors[i].shape[axes[i]] == steps + before and history.get(i, 0) == before
            for i in timed
        )
        is_gated = op is gate or (gate is not None and mask_of(op) == gate.outputs[0])
        if not is_gated and (mask_of(op) is not None or op.name == FrameGate.SCHEMA.name):
            raise _EndsAStreamError(f"{op.name} of '{model.tensors[y].name}' leaves masked steps out")
        if (len(timed) > 1 and not ((op.name in _BESIDE or is_gated) and beside)) or read & ended:
            raise _EndsAStreamError(f"{op.name} of '{model.tensors[y].name}' joins what has a time axis")
        ended.update(states)
        x = _Time(axes[first], steps + before, model.tensors[first].shape, before)
        if op.name in ("PAD", "PADV2"):
            axis, before = _padded(op, x, model)
        elif op.name in WINDOWS:
            axis, before = _moved_over(op, x, model.tensors)
        else:
            axis = _axis_behind(op, x, y, model.tensors)
        if axis is None:
            ended.add(y)
            continue
        axes[y] = axis
        if before:
            history[y] = before


@dataclass(frozen=True)
class _Time:
    """The time axis of a tensor of some shape; `steps` include its history."""

    axis: int
    steps: int
    shape: tuple
    history: int

    def reshaped(self, op, shape, never=None):
        """The axis after a reshape, other than the axis `never`."""
        before = math.prod(self.shape[: self.axis])
        found = [
            i
            for i, size in enumerate(shape)
            if i != never and size % self.steps == 0 and math.prod(shape[:i]) == before
        ]
        # Several axes fit if there is a single step, or if an axis of length 1 precedes it.
        for i in (self.axis, *reversed(found)):
            if i in found and shape[i] == self.steps:
                return i
        if not found:
            raise _EndsAStreamError(f"{op.name} takes the time axis of {self.shape} apart")
        return found[-1]


def _axis_behind(op, x, y, tensors):
    """The time axis of tensor number `y`, the output of an op whose input has the time axis x; None if it holds the
    last step's values."""
    if op.name in OPS:
        options = ALL_OPS[op.name].SCHEMA.decode(op.options)
        if x.axis != 1 or x.shape[1] != x.steps or x.history:
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' goes over another axis than time")
        if options.initial_states and x.steps > 1:
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' begins from states that it is given")
        if options.go_backwards:
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' goes backwards")
        return 1 if options.return_sequences else None
    if op.name in ("FULLY_CONNECTED", SparseDense.SCHEMA.name):
        inputs = tensors[op.inputs[1]].shape[-1] if op.name == "FULLY_CONNECTED" else x.shape[-1]
        rows = tensors[y].shape[:-1]
        return x.reshaped(op, (*rows, inputs), never=len(rows))
    if op.name in ("EXPAND_DIMS", "RESHAPE", "SQUEEZE"):
        return x.reshaped(op, tensors[y].shape)
    if op.name in _BESIDE:
        return _beside(op, x, y, tensors)
    if op.name in MOVING:
        return _moved(op, x, y, tensors)
    if op.name == "BATCH_MATMUL":
        raise _EndsAStreamError(f"BATCH_MATMUL of '{tensors[y].name}' joins time steps")
    if op.name == "SOFTMAX" and x.axis == len(x.shape) - 1:
        raise _EndsAStreamError("SOFTMAX goes over the time axis")
    if op.name in ("MEAN", "REDUCE_ALL", "REDUCE_MAX", "SUM"):
        axes = {int(a) % len(x.shape) for a in np.atleast_1d(tensors[op.inputs[1]].data)}
        if x.axis in axes:
            raise _EndsAStreamError(f"{op.name} goes over the time axis")
        return x.axis if op.options.keepDims else x.axis - sum(a < x.axis for a in axes)
    return x.axis  # value by value


def _padded(op, x, model):
    """The time axis after a PAD, and the number of steps that it adds at the start."""
    _, widths = padding(op, model.tensors)
    before, after = widths[x.axis].tolist()
    if not before and not after:
        return x.axis, x.history
    name = model.tensors[op.outputs[0]].name
    if after or any(tensor.is_variable for tensor in model.tensors):
        raise _EndsAStreamError(f"{op.name} of '{name}' puts steps behind or into a sequence")
    if x.steps != x.shape[x.axis] or math.prod(x.shape[: x.axis]) != 1 or widths[: x.axis].any() or x.history:
        raise _EndsAStreamError(f"{op.name} of '{name}' puts steps between others")
    return x.axis, before


def _moved_over(op, x, tensors):
    """The time axis after a convolution or pooling, and the number of steps left before the first one."""
    name = tensors[op.outputs[0]].name
    if x.axis == 0:  # TimeDistributed
        return 0, x.history
    window = window_of(op, x.shape, window_size(op, tensors))
    if x.axis == 3 or x.steps != x.shape[x.axis]:
        raise _EndsAStreamError(f"{op.name} of '{name}' takes the time axis for another")
    place = x.axis - 1
    reach = (window.size[place] - 1) * window.dilation[place]
    if window.strides[place] != 1:
        raise _EndsAStreamError(f"{op.name} of '{name}' makes fewer steps than it is given")
    if window.before[place] or window.made[place] != x.steps - reach or reach > x.history:
        raise _EndsAStreamError(f"{op.name} of '{name}' is not causal")
    return x.axis, x.history - reach


def _moved(op, x, y, tensors):
    """The time axis after an op that moves values."""
    made = tensors[y].shape
    name = tensors[y].name
    if op.name == "GATHER":
        return x.axis
    if op.name in ("SLICE", "STRIDED_SLICE") and x.steps == x.shape[x.axis] and not x.history:
        view = view_of(op, x.shape, [tensors[i].data for i in op.inputs[1:]], made)
        own, behind = strides_of(x.shape), x.shape[x.axis + 1 :]
        is_last = view.offset == (x.steps - 1) * own[x.axis] and math.prod(made) == math.prod(behind)
        if is_last and _strides(view.strides, made) == _strides(own[x.axis + 1 :], behind):
            return None  # the last step
    raise _EndsAStreamError(f"{op.name} of '{name}' moves time steps")


def _strides(strides, shape):
    return [stride for stride, size in zip(strides, shape, strict=True) if size > 1]


def _beside(op, x, y, tensors):
    """The time axis after an op of several inputs, each of which is constant or has it at the same position."""
    if len(tensors[y].shape) != len(x.shape):
        raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' changes the number of axes")
    if op.name == "CONCATENATION" and op.options.axis % len(x.shape) == x.axis:
        raise _EndsAStreamError(f"CONCATENATION of '{tensors[y].name}' goes along the time axis")
    for i in op.inputs:
        shape = tensors[i].shape
        if tensors[i].data is not None and math.prod(shape[: len(shape) - len(x.shape) + x.axis + 1]) != 1:
            raise _EndsAStreamError(f"{op.name} of '{tensors[y].name}' has a constant for each step")
    return x.axis
