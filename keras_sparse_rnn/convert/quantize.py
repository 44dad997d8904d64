"""Integers for recurrent layers: the scales, and the op's constants and options in them."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_sparse_rnn.runtime.event_gru import READOUTS, EventGruOptions
from keras_sparse_rnn.runtime.reference import EventGruWeights

_ACCUMULATOR_LIMIT = 2**31 - 1
_LARGEST_SHIFT = 7


@dataclass(frozen=True)
class Scale:
    """`real = (int8 - zero_point) * scale`."""

    scale: float
    zero_point: int

    @classmethod
    def of_range(cls, low, high):
        """Covers [low, high] and 0, with 0 exactly representable."""
        low, high = min(float(low), 0.0), max(float(high), 0.0)
        scale = (high - low) / 255 or 1 / 255
        return cls(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def read_weights(layer):
    """An EventGRU layer's weights in float32 as the op takes them: `EventGruWeights`."""
    cell = layer.cell
    to_numpy = keras.ops.convert_to_numpy
    units = layer.units
    kernel = to_numpy(cell.kernel).astype(np.float32).reshape(-1, 3, units)
    recurrent_kernel = to_numpy(cell.recurrent_kernel).astype(np.float32).reshape(-1, 3, units)
    from_x, from_y = np.zeros((2, 3, units), np.float32)
    if layer.use_bias:
        from_x, from_y = to_numpy(cell.bias).astype(np.float32).reshape(2, 3, units)
    bias = np.stack([from_x[0] + from_y[0], from_x[1] + from_y[1], from_x[2], from_y[2]])
    return EventGruWeights(kernel, recurrent_kernel, bias, to_numpy(cell.threshold).astype(np.float32))


def float_options(layer, block):
    """The custom options of a float32 op."""
    return EventGruOptions(
        units=layer.units,
        block=block,
        readout=READOUTS.index(layer.readout),
        go_backwards=int(layer.go_backwards),
        return_sequences=int(layer.return_sequences),
        reset=int(layer.reset),
        trace_rate=min(round((1 - layer.trace_decay) * 2**31), 2**31 - 1),
    )


def quantize(layer, block, x, output, largest_event):
    """An EventGRU layer in integers (`runtime/reference.py` defines what they mean).

    W and R have one scale for each gate. In the gates z and r both add into one accumulator, so there the scales of x W
    and y R must be equal; shifting the operands of one of them brings the two within a factor of two of each other
    before they are made equal, so that neither loses precision.

    Args:
        layer: The layer.
        block: Width of a block.
        x, output: `Scale` of the input and of the output tensor.
        largest_event: Largest y that the calibration data caused.

    Returns:
        `(EventGruOptions, EventGruWeights)`, the weights as int8, bias int32, threshold int16.

    Raises:
        ValueError: The pre-activations do not fit any choice of shifts.
    """
    weights = read_weights(layer)
    if (weights.threshold < 0).any():
        raise ValueError(f"layer '{layer.name}' has a negative threshold; int8 needs thresholds of 0 or more.")
    event_scale = min(max(float(largest_event), 1 / 16), 1.0) / 255
    x_shift, y_shift = _operand_shifts(weights, x.scale, event_scale)

    while True:
        x_unit, y_unit = x.scale / 2**x_shift, event_scale / 2**y_shift
        accumulators = _accumulator_scales(weights, x_unit, y_unit)
        fraction = int(np.clip(np.floor(np.log2(0.499 / accumulators.max())), 0, 10))
        if fraction >= 7:
            break
        # Coarse accumulators: finer operands, as long as the accumulators hold the sum.
        x_shift, y_shift = x_shift + 1, y_shift + 1
        if max(x_shift, y_shift) > _LARGEST_SHIFT or _bound(weights, x_shift, y_shift) > _ACCUMULATOR_LIMIT // 2:
            raise ValueError(
                f"layer '{layer.name}' cannot be stored as int8: one step of its input ({x.scale:.3g}) times one step "
                f"of its weights changes a gate by up to {accumulators.max():.3g}. Bring the model's input to a range "
                "of about -4 to 4 (keras.layers.Normalization) and train again."
            )

    half_step = np.zeros((4, 1))  # makes the floor of a table index round to nearest
    half_step[:3, 0] = 2**-7, 2**-7, (2**-8 if fraction > 7 else 0)
    bias = np.rint((weights.bias + half_step) / accumulators[:, None])
    kernel_scales = accumulators[[0, 1, 2]] / x_unit
    recurrent_scales = accumulators[[0, 1, 3]] / y_unit
    multipliers = [int(m) for m in np.rint(accumulators * 2.0 ** (fraction + 32))]
    event_multiplier, event_shift = _from_q15(event_scale)
    output_multiplier, output_shift = _from_q15(output.scale)

    options = EventGruOptions(
        **{
            **vars(float_options(layer, block)),
            "x_zero_point": x.zero_point,
            "x_shift": x_shift,
            "y_shift": y_shift,
            "fraction": fraction,
            "z_multiplier": multipliers[0],
            "r_multiplier": multipliers[1],
            "x_multiplier": multipliers[2],
            "y_multiplier": multipliers[3],
            "event_multiplier": event_multiplier,
            "event_shift": event_shift,
            "output_multiplier": output_multiplier,
            "output_shift": output_shift,
            "output_zero_point": output.zero_point,
        }
    )
    quantized = EventGruWeights(
        _to_int8(weights.kernel, kernel_scales),
        _to_int8(weights.recurrent_kernel, recurrent_scales),
        bias.astype(np.int32),
        np.clip(np.rint(weights.threshold * 2**15), 0, 2**15 - 1).astype(np.int16),
    )
    return options, quantized


def _operand_shifts(weights, x_scale, event_scale):
    """Shifts of x and y that bring both parts of the gates z and r to about one scale."""
    x_part = x_scale * _largest(weights.kernel)[:2].max()
    y_part = event_scale * _largest(weights.recurrent_kernel)[:2].max()
    if not x_part or not y_part:
        return 0, 0
    shift = int(np.clip(round(np.log2(x_part / y_part)), -_LARGEST_SHIFT, _LARGEST_SHIFT))
    x_shift, y_shift = max(shift, 0), max(-shift, 0)
    while _bound(weights, x_shift, y_shift) > _ACCUMULATOR_LIMIT // 2 and x_shift + y_shift:
        x_shift, y_shift = max(x_shift - 1, 0), max(y_shift - 1, 0)
    return x_shift, y_shift


def _accumulator_scales(weights, x_unit, y_unit):
    """What one count of each accumulator (z, r, candidate from x, candidate from y) is worth."""
    x_part = x_unit * _largest(weights.kernel) / 127
    y_part = y_unit * _largest(weights.recurrent_kernel) / 127
    scales = np.array([max(x_part[0], y_part[0]), max(x_part[1], y_part[1]), x_part[2], y_part[2]])
    # A bias takes at most a quarter of the accumulator's range; a matrix of zeros gets any scale.
    return np.maximum(scales, (np.abs(weights.bias).max(axis=1) + 1) / 2**29)


def _largest(kernel):
    return np.abs(kernel).max(axis=(0, 2)).astype(np.float64)


def _bound(weights, x_shift, y_shift):
    """The largest accumulator that inputs can cause, as the kernel checks it."""
    sources, units = len(weights.kernel), len(weights.recurrent_kernel)
    return 128 * 255 * ((sources << x_shift) + (units << y_shift))


def _from_q15(scale):
    """Multiplier and shift that take a Q15 value to counts of `scale`."""
    factor = 1 / (2**15 * scale)
    shift = int(np.clip(np.floor(np.log2(32767 / factor)), 1, 30))
    return int(np.clip(round(factor * 2**shift), 0, 32767)), shift


def _to_int8(kernel, scales):
    return np.clip(np.rint(kernel / scales[None, :, None]), -127, 127).astype(np.int8)
