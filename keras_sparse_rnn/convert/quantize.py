"""Integers for recurrent layers: the scales, and the op's constants and options in them."""

from dataclasses import dataclass, replace

import numpy as np

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

    def quantize(self, values):
        return np.clip(np.rint(values / self.scale) + self.zero_point, -128, 127).astype(np.int8)


def within_percentile(values, percentile):
    """Values with those beyond the given percentile, at either end, brought to it; integers are left as they are."""
    if percentile == 100 or not np.issubdtype(values.dtype, np.floating):
        return values
    low, high = np.percentile(values, [100 - percentile, percentile])
    return np.clip(values, low, high).astype(values.dtype)


def quantize(op, name, x, operand_scale, output):
    """A recurrent op in integers (`runtime/ops` defines what they mean).

    W and R have one scale for each gate. Where both add into one accumulator, the scales of x W and h R must be equal;
    shifting the operands of one of them brings the two within a factor of two of each other before they are made equal,
    so that neither loses precision.

    Args:
        op: The `RecurrentOp` in float32.
        name: Of its layer, for errors.
        x, output: `Scale` of the input and of the output tensor.
        operand_scale: What one count of the state is worth as the recurrence reads it.

    Returns:
        The same op with int8 kernels, an int32 bias, and the options for them.

    Raises:
        ValueError: The pre-activations do not fit any choice of shifts.
    """
    x_shift, h_shift = _operand_shifts(op, x.scale, operand_scale)
    while True:
        x_unit, h_unit = x.scale / 2**x_shift, operand_scale / 2**h_shift
        accumulators = _accumulator_scales(op, x_unit, h_unit)
        fraction = _fraction(op, accumulators)
        if fraction >= 7:
            break
        # Coarse accumulators: finer operands, as long as the accumulators hold the sum.
        x_shift, h_shift = x_shift + 1, h_shift + 1
        if max(x_shift, h_shift) > _LARGEST_SHIFT or _bound(op, x_shift, h_shift) > _ACCUMULATOR_LIMIT // 2:
            raise ValueError(
                f"layer '{name}' cannot be stored as int8: one step of its input ({x.scale:.3g}) times one step "
                f"of its weights changes a gate by up to {accumulators.max():.3g}. Bring the model's input to a range "
                "of about -4 to 4 (keras.layers.Normalization) and train again."
            )

    # Makes the floor of a table index round to nearest.
    half_step = np.array([{"sigmoid": 2**-7, "tanh": 2**-8}.get(kind, 0) for kind in op.ACTIVATIONS])[:, None]
    bits = np.array([{"sigmoid": 6, "tanh": fraction, "reset": fraction + 1}.get(kind, 0) for kind in op.ACTIVATIONS])
    operand_multiplier, operand_shift = _from_q15(operand_scale)
    output_multiplier, output_shift = _from_q15(output.scale)
    options = replace(
        op.options,
        x_zero_point=x.zero_point,
        x_shift=x_shift,
        h_shift=h_shift,
        fraction=fraction,
        multipliers=tuple(_of_15_bits(factor) for factor in accumulators * 2.0 ** (bits + 32)),
        operand_multiplier=operand_multiplier,
        operand_shift=operand_shift,
        output_multiplier=output_multiplier,
        output_shift=output_shift,
        output_zero_point=output.zero_point,
    )
    return replace(
        op,
        options=options,
        kernel=_to_int8(op.kernel, accumulators[list(op.KERNEL_SLOTS)] / x_unit),
        recurrent_kernel=_to_int8(op.recurrent_kernel, accumulators[list(op.RECURRENT_SLOTS)] / h_unit),
        bias=np.rint((op.bias + half_step) / accumulators[:, None]).astype(np.int32),
    )


def _operand_shifts(op, x_scale, operand_scale):
    """Shifts of x and h that bring both parts of the gates that they share to about one scale."""
    shared = set(op.KERNEL_SLOTS) & set(op.RECURRENT_SLOTS)
    x_part = x_scale * max(_largest(op.kernel)[gate] for gate, slot in enumerate(op.KERNEL_SLOTS) if slot in shared)
    h_part = operand_scale * max(
        _largest(op.recurrent_kernel)[gate] for gate, slot in enumerate(op.RECURRENT_SLOTS) if slot in shared
    )
    if not x_part or not h_part:
        return 0, 0
    shift = int(np.clip(round(np.log2(x_part / h_part)), -_LARGEST_SHIFT, _LARGEST_SHIFT))
    x_shift, h_shift = max(shift, 0), max(-shift, 0)
    while _bound(op, x_shift, h_shift) > _ACCUMULATOR_LIMIT // 2 and x_shift + h_shift:
        x_shift, h_shift = max(x_shift - 1, 0), max(h_shift - 1, 0)
    return x_shift, h_shift


def _accumulator_scales(op, x_unit, h_unit):
    """What one count of each slot of accumulators is worth."""
    scales = np.zeros(len(op.bias))
    np.maximum.at(scales, list(op.KERNEL_SLOTS), x_unit * _largest(op.kernel) / 127)
    np.maximum.at(scales, list(op.RECURRENT_SLOTS), h_unit * _largest(op.recurrent_kernel) / 127)
    # A bias takes at most a quarter of the accumulator's range; a matrix of zeros gets any scale.
    return np.maximum(scales, (np.abs(op.bias).max(axis=1) + 1) / 2**29)


def _fraction(op, accumulators):
    """Fractional bits of the candidate's pre-activations: as many as the multipliers hold; below 7 they do not fit."""
    kinds = [*op.ACTIVATIONS]
    largest = {kind: max(a for a, other in zip(accumulators, kinds, strict=True) if other == kind) for kind in kinds}
    if largest.get("sigmoid", 0) * 2**6 > 0.499:
        return 0
    most = int(np.floor(np.log2(0.499 / max(largest["tanh"], 2 * largest.get("reset", 0)))))
    return min(most, 10 if "reset" in kinds else 7)  # without a reset gate between, tanh is looked up as it is


def _of_15_bits(factor):
    """The nearest integer with at most 15 significant bits."""
    shift = max(int(np.floor(np.log2(max(factor, 1)))) - 14, 0)
    return min(round(factor / 2**shift), 2**15 - 1) << shift


def _largest(kernel):
    return np.abs(kernel).max(axis=(0, 2)).astype(np.float64)


def _bound(op, x_shift, h_shift):
    """The largest accumulator that inputs can cause, as the kernel checks it."""
    sources, units = len(op.kernel), len(op.recurrent_kernel)
    return 128 * 255 * ((sources << x_shift) + (units << h_shift))


def _from_q15(scale):
    """Multiplier and shift that take a Q15 value to counts of `scale`."""
    factor = 1 / (2**15 * scale)
    shift = int(np.clip(np.floor(np.log2(32767 / factor)), 1, 30))
    return int(np.clip(round(factor * 2**shift), 0, 32767)), shift


def _to_int8(kernel, scales):
    return np.clip(np.rint(kernel / scales[None, :, None]), -127, 127).astype(np.int8)
