"""Rounding with a gradient, and the variables that a rounded model needs during training."""

import keras
import numpy as np
from keras import ops


def straight_through(value, rounded):
    """Returns `rounded`, with the gradient of `value` (straight-through estimator)."""
    return value + ops.stop_gradient(rounded - value)


def carrying(value, carrier):
    """Returns exactly `value`, with the gradient of `carrier`."""
    return ops.stop_gradient(value) + (carrier - ops.stop_gradient(carrier))


def rounded(value):
    """Rounds to the nearest integer, with the gradient of the value."""
    return straight_through(value, ops.round(value))


def threshold_between(threshold, scale, most):
    """Rounds thresholds down to counts of a scale, at most `most`, plus a half: changes are compared in floats."""
    counts = ops.minimum(ops.floor(threshold / scale), most)
    return straight_through(threshold, (counts + 0.5) * scale)


def kernel_in_int8(kernel, axes):
    """Rounds a kernel to 8-bit integers times a scale for each index along `axes`."""
    others = [axis for axis in range(len(kernel.shape)) if axis - len(kernel.shape) not in axes]
    scale = ops.stop_gradient(ops.maximum(ops.max(ops.abs(kernel), axis=others, keepdims=True) / 127, 1e-30))
    return rounded(kernel / scale) * scale


class Held(keras.random.SeedGenerator):
    """A variable that a compiled train step may read and change, but that is not a weight of the model.

    On every backend, Keras passes the state of a model's seed generators through each step, and neither saves it nor
    counts it as a weight. It is the only public place for such a variable.
    """

    def __init__(self, size, name):
        super().__init__(0, name=name)
        self.state = keras.Variable(np.full(size, np.nan), dtype="float32", trainable=False, name=name)

    @property
    def value(self):
        return ops.convert_to_tensor(self.state)

    def read(self):
        return np.array(ops.convert_to_numpy(self.state), np.float64)

    def write(self, values):
        self.state.assign(np.asarray(values, np.float32))


class Recorder:
    """Records the range of a tensor as moving averages of each batch's minimum and maximum.

    The first batches are averaged with equal weights, until the weight of a new batch falls to 1 - momentum.
    """

    def __init__(self, name, momentum):
        self.held = Held(3, f"range_{name.replace('/', '_')}")
        self._weight = 1 - momentum

    def record(self, *values):
        """Records the range of all of these tensors together."""
        low, high = (ops.stack([end(part) for part in values]) for end in (ops.min, ops.max))
        now = ops.stop_gradient(ops.stack([ops.min(low), ops.max(high)]))
        held = self.held.value
        is_first = ops.isnan(held[2])
        count = ops.where(is_first, 1.0, held[2] + 1)
        before = ops.where(is_first, now, held[:2])
        after = before + (now - before) * ops.maximum(1 / count, self._weight)
        self.held.state.assign(ops.concatenate([after, ops.reshape(count, (1,))]))

    def read(self):
        """Returns `(low, high)`, or None if nothing has been recorded."""
        low, high, count = self.held.read().tolist()
        return None if np.isnan(count) else (low, high)


class Grid:
    """The 8-bit grid of a site: scale and zero point, written by the host."""

    def __init__(self, name):
        self.held = Held(2, f"grid_{name.replace('/', '_')}")

    def set(self, scale):
        self.held.write([scale.scale, scale.zero_point])

    def quantize(self, values):
        """Rounds values to 8 bits. Values out of range are clipped and get no gradient."""
        scale, zero_point = ops.unstack(self.held.value)
        values = ops.clip(values, (-128 - zero_point) * scale, (127 - zero_point) * scale)
        return rounded(values / scale) * scale

    def threshold(self, threshold):
        """Rounds thresholds of changes, which 8 bits hold, down to counts; between two, as floats are compared."""
        return threshold_between(threshold, self.held.value[0], 255.0)

    def counts(self, values):
        """Converts values on the grid to counts from the zero point."""
        return values / self.held.value[0]
