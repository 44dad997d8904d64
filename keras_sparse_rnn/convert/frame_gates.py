"""Converts a FrameGate to the op KsrFrameGate, and compares it with Keras."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_sparse_rnn.convert.converted_model import VerificationError
from keras_sparse_rnn.convert.recurrent.holds import THRESHOLD_TYPES, counts
from keras_sparse_rnn.layers import FrameGate
from keras_sparse_rnn.ops import frame_gate as op
from keras_sparse_rnn.runtime.native import NativeOp

_ROUNDING = 1e-5  # of floats, relative to the largest
_MOST_STEPS = 4096  # to verify
_MANY = 0.05  # of the steps


@dataclass(frozen=True, eq=False)
class GateCall:
    """A call of a FrameGate on symbolic tensors: `y` is True where a step of `x` is computed, among those that `mask`
    leaves (None: all)."""

    layer: FrameGate
    x: object
    mask: object
    y: object

    @property
    def read(self):
        """The tensors that it takes."""
        return [self.x, *([] if self.mask is None else [self.mask])]

    def op(self, x_scale, number_format):
        """Returns its `ops.frame_gate.FrameGate`; `x_scale` is the `Scale` of x, None in float32."""
        threshold = np.broadcast_to(np.asarray(self.layer.threshold, np.float32), self.x.shape[-1:])
        words = {"format": number_format.number, "count": self.layer.count}
        if x_scale is not None:
            threshold = counts(threshold, x_scale.scale, THRESHOLD_TYPES[number_format.activation_bits])
            words["x_zero_point"] = x_scale.zero_point
        return op.FrameGate(op.SCHEMA.options(**words), np.array(threshold))


class MadeSteps(keras.layers.Layer):
    """Computes the mask of a FrameGate from its `GateCall.read`; with `stateful`, it continues from call to call."""

    def __init__(self, gate, stateful):
        super().__init__()
        self.supports_masking = True  # the mask of its input is a separate input
        self._gate = FrameGate.from_config(gate.get_config() | {"stateful": stateful, "name": f"{gate.name}_steps"})

    def build(self, input_shape):
        self._gate.build(input_shape[0])

    def call(self, inputs):
        return self._gate.compute_mask(*inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape[:2], "bool")

    def reset_state(self):
        self._gate.reset_state()


class RepeatedOutputs(keras.layers.Layer):
    """The outputs of a recurrent layer. Those before the first computed step of a call repeat the previous call; Keras
    begins at zero.

    Args:
        has_time: Whether the outputs are (batch, time, units); otherwise they are (batch, units).
    """

    def __init__(self, has_time):
        super().__init__()
        self._has_time = has_time
        self.supports_masking = True

    def build(self, outputs_shape, made_shape):
        self._last = self.add_weight((outputs_shape[0], outputs_shape[-1]), "zeros", trainable=False, name="last")

    def call(self, outputs, made):
        begun = keras.ops.cumsum(keras.ops.cast(made, "int32"), axis=1) > 0
        if self._has_time:
            outputs = keras.ops.where(begun[..., None], outputs, self._last[:, None])
            self._last.assign(outputs[:, -1])
        else:
            outputs = keras.ops.where(begun[:, -1:], outputs, self._last)
            self._last.assign(outputs)
        return outputs

    def compute_output_spec(self, outputs, made):
        return keras.KerasTensor(outputs.shape, outputs.dtype)

    def reset_state(self):
        self._last.assign(keras.ops.zeros_like(self._last))


def verify_gate(call, gate, x_scale, x, made, given):
    """Compares the op with Keras, each step from the same state.

    Args:
        call: The `GateCall`.
        gate: Its op.
        x_scale: `Scale` of x; None in float32.
        x: Inputs of the layer, `(sequences, steps, features)`.
        made, given: Which steps Keras computed, and which the mask left (None: all), `(sequences, steps)`.

    Returns:
        A warning if many steps differ within rounding; None if few do.

    Raises:
        VerificationError: Steps differ by more than rounding explains.
    """
    last = np.zeros_like(x)
    for t in range(1, x.shape[1]):
        last[:, t] = np.where(made[:, t - 1, None], x[:, t - 1], last[:, t - 1])
    use = np.ones_like(made) if given is None else given
    x, last, made = (part[use][:_MOST_STEPS] for part in (x, last, made))
    if not len(x):
        return None
    stored = [part if x_scale is None else x_scale.quantize(part) for part in (x, last)]
    stored[0], dtype = stored[0][:, None], gate.options.number_format.activations
    tensors = {"x": stored[0].astype(dtype), "last": stored[1].astype(dtype), **gate.constants()}
    run = NativeOp(op.SCHEMA.name, gate.options.to_bytes(), op.SCHEMA.placed(tensors), [((len(x), 1), np.dtype(bool))])
    [ours] = run(op.SCHEMA.placed(tensors))
    near = _ROUNDING * max(1.0, float(np.abs(x).max())) if x_scale is None else 1.01 * x_scale.scale
    beyond = np.abs(x - last) - np.asarray(call.layer.threshold, np.float32)
    sure, possible = (np.count_nonzero(beyond > by, axis=1) for by in (near, -near))
    differs = ours[:, 0] != made
    decided = (sure >= call.layer.count) | (possible < call.layer.count)
    ends = [] if x_scale is None else [np.iinfo(dtype).min, np.iinfo(dtype).max]
    saturated = np.isin(stored[0][:, 0], ends).any(axis=1)
    if np.any(differs & decided & ~saturated):
        raise VerificationError(
            f"layer '{call.layer.name}' skips other steps than Keras: {np.mean(differs & decided):.2%} of the steps "
            "differ by more than rounding explains; convert(..., verify=False) returns the model as "
            "it is."
        )
    if differs.mean() <= _MANY:
        return None
    return (
        f"layer '{call.layer.name}' decides differently from Keras at {differs.mean():.1%} of the steps: a threshold "
        f"is only a few steps of the input's scale ({near:.2g}). Take weights='int8x16', or a larger threshold"
    )
