"""The window that a convolution or a pooling moves over images."""

import math
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn.runtime.model import MOST_ACTIVATIONS


@dataclass(frozen=True)
class Window:
    """A window over images (batch, height, width, channels). All attributes are pairs (rows, columns).

    Attributes:
        size: Size of the window.
        strides: Distance between neighbouring positions of the window.
        dilation: Distance between neighbouring values in the window.
        before: Padding before the first row and the first column.
        made: Number of positions.
    """

    size: tuple
    strides: tuple
    dilation: tuple
    before: tuple
    made: tuple

    def patches(self, x, absent):
        """Returns the values in the window at each position, `(batch, *made, *size, channels)`; `absent` outside x."""
        if len(x) * x.shape[3] * math.prod((*self.made, *self.size)) * x.itemsize > MOST_ACTIVATIONS:
            raise ValueError(f"a window of {self.size} over {x.shape} would take over {MOST_ACTIVATIONS:,} bytes.")
        at = []
        for axis in (0, 1):
            first = np.arange(self.made[axis]) * self.strides[axis] - self.before[axis]
            at.append(first[:, None] + np.arange(self.size[axis]) * self.dilation[axis])
        rows, columns = at[0][:, None, :, None], at[1][None, :, None, :]
        inside = (rows >= 0) & (rows < x.shape[1]) & (columns >= 0) & (columns < x.shape[2])
        taken = x[:, np.clip(rows, 0, x.shape[1] - 1), np.clip(columns, 0, x.shape[2] - 1)]
        return np.where(inside[..., None], taken, absent)


def window_of(op, shape, size):
    """Returns the `Window` of a CONV_2D, DEPTHWISE_CONV_2D, MAX_POOL_2D or AVERAGE_POOL_2D.

    Args:
        op: The `Operator`.
        shape: Shape of the images.
        size: Rows and columns of the window.

    Raises:
        ValueError: The images do not have four axes, or a stride is below 1.
    """
    options = op.options
    strides = (options.strideH, options.strideW)
    dilation = (getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1))
    if len(shape) != 4 or min(*strides, *dilation, *size, *shape) < 1:
        raise ValueError(f"op {op.name} cannot move a window of {size} by {strides} over {shape}.")
    before, made = [], []
    for whole, part, stride, factor in zip(shape[1:3], size, strides, dilation, strict=True):
        reach = (part - 1) * factor + 1
        if options.padding == schema.Padding.SAME:
            count = -(-whole // stride)
            before.append(max((count - 1) * stride + reach - whole, 0) // 2)
        else:
            count = max(whole - reach + stride, 0) // stride
            before.append(0)
        made.append(count)
    return Window(tuple(size), strides, dilation, tuple(before), tuple(made))
