"""Builtin ops that only move values: the position in the input of each value of the output."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class View:
    """The positions of an output's values in the flat input.

    Attributes:
        strides: Distance in the input of neighbouring values along each axis of the output; 0 repeats a value.
        offset: Position of the first value.
    """

    strides: tuple
    offset: int = 0

    def places(self, shape):
        """The position in the input of each value of an output of this shape."""
        places = np.full(shape, self.offset, np.int64)
        for axis, (size, stride) in enumerate(zip(shape, self.strides, strict=True)):
            places += (np.arange(size) * stride).reshape(-1, *(1,) * (len(shape) - axis - 1))
        return places


def strides_of(shape):
    """Distance of neighbouring values along each axis."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def broadcast(shape, onto):
    """Returns the `View` that broadcasts a tensor of one shape to another."""
    own = strides_of(shape)
    strides = [0 if size == 1 else stride for size, stride in zip(shape, own, strict=True)]
    return View((*[0] * (len(onto) - len(shape)), *strides))


def view_of(op, shape, constants, made):
    """Returns the `View` of an op of `VIEWS`.

    Args:
        op: The `Operator`.
        shape: Shape of the input.
        constants: Its other inputs, arrays.
        made: Shape of the output.

    Returns:
        A `View`.

    Raises:
        ValueError: This form of the op is not supported, or the output has another shape.
    """
    view, sizes = VIEWS[op.name](op, shape, *constants)
    if (sizes is not None and tuple(sizes) != tuple(made)) or len(view.strides) != len(made):
        raise ValueError(f"op {op.name} makes the shape {sizes} of {shape}; its output has {made}.")
    return view


def run_view(op, values, tensors, output):
    """Computes an op of `VIEWS` in NumPy."""
    view = view_of(op, values[0].shape, values[1:], output.shape)
    places = view.places(output.shape)
    if places.size and (places.min() < 0 or places.max() >= values[0].size):
        raise ValueError(f"op {op.name} reads outside of its input of {values[0].size} values.")
    return values[0].reshape(-1)[places]


def _strided_slice(op, shape, begin, end, steps):
    options = op.options
    if options.ellipsisMask or options.newAxisMask or options.offset:
        raise ValueError("op STRIDED_SLICE with an ellipsis, a new axis or an offset is not supported.")
    begin, end, steps = (np.atleast_1d(values).tolist() for values in (begin, end, steps))
    strides, sizes, offset = [], [], 0
    for axis, (size, stride) in enumerate(zip(shape, strides_of(shape), strict=True)):
        if axis >= len(begin):
            chosen = range(size)
        elif options.shrinkAxisMask >> axis & 1:
            at = begin[axis] % size if -size <= begin[axis] < size else size
            offset += at * stride
            continue
        else:
            bounds = [
                None if mask >> axis & 1 else bound[axis]
                for mask, bound in ((options.beginMask, begin), (options.endMask, end))
            ]
            chosen = range(*slice(*bounds, steps[axis]).indices(size))
        offset += chosen.start * stride
        strides.append(chosen.step * stride)
        sizes.append(len(chosen))
    return View(tuple(strides), offset), sizes


def _slice(op, shape, begin, size):
    begin, size = np.atleast_1d(begin).tolist(), np.atleast_1d(size).tolist()
    own = strides_of(shape)
    sizes = [whole - first if part == -1 else part for whole, first, part in zip(shape, begin, size, strict=True)]
    return View(own, sum(first * stride for first, stride in zip(begin, own, strict=True))), sizes


def _transpose(op, shape, order):
    order = np.atleast_1d(order).tolist()
    own = strides_of(shape)
    return View(tuple(own[axis] for axis in order)), [shape[axis] for axis in order]


def _reverse(op, shape, axes):
    turned = {axis % len(shape) for axis in np.atleast_1d(axes).tolist()}
    own = strides_of(shape)
    strides = tuple(-stride if axis in turned else stride for axis, stride in enumerate(own))
    return View(strides, sum((shape[axis] - 1) * own[axis] for axis in turned)), shape


def _broadcast_to(op, shape, made):
    made = np.atleast_1d(made).tolist()
    return broadcast(shape, made), made


VIEWS = {
    "BROADCAST_TO": _broadcast_to,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
}
