"""Integers for recurrent layers: the scales, and the op's constants and options in them."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_sparse_rnn.ops.activations import MOST_BITS

_ACCUMULATOR_LIMIT = 2**31 - 1
_LARGEST_SHIFT = 7
_FEWEST_BITS = 9  # of what the recurrence reads, with int16 activations


@dataclass(frozen=True, eq=False)
class WeightScales:
    """The scales by which the floats of an op were divided.

    Attributes:
        kernel, recurrent_kernel: `(gates, units)`.
        bias: `(slots, units)`.
        half_step: `(slots,)`, added to the bias before.
        middle: With kernels of low rank, by how much the values of the middle were divided before, `(columns,)`.
        factors: Dict from the names of their factors to the scales of those.
    """

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    half_step: np.ndarray
    middle: np.ndarray | None = None
    factors: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """`real = (integer - zero_point) * scale`. The integer is int8, or int16 with zero point 0. An input may be held
    until it has changed."""

    scale: float
    zero_point: int
    bits: int = 8
    is_held: bool = False

    @classmethod
    def of_range(cls, low, high, bits=8):
        """Covers [low, high] and 0, with 0 exactly representable."""
        low, high = min(float(low), 0.0), max(float(high), 0.0)
        if bits == 16:
            return cls(max(-low, high, 2**-15) / (2**15 - 1), 0, bits)
        scale = (high - low) / 255 or 1 / 255
        return cls(scale, int(np.clip(round(-128 - low / scale), -128, 127)))

    def quantize(self, values):
        limits = np.iinfo(self.dtype)
        return np.clip(np.rint(values / self.scale) + self.zero_point, limits.min, limits.max).astype(self.dtype)

    @property
    def dtype(self):
        return np.int16 if self.bits == 16 else np.int8


OF_PROBABILITIES = Scale(1 / 256, -128)  # TensorFlow Lite's int8 outputs of SOFTMAX and LOGISTIC


def within_percentile(values, percentile):
    """Clips values to the given percentile at either end; integers are left as they are."""
    if percentile == 100 or not np.issubdtype(values.dtype, np.floating):
        return values
    low, high = np.percentile(values, [100 - percentile, percentile])
    return np.clip(values, low, high).astype(values.dtype)


def quantize(
    op, name, x, largest, output, number_format, scales="gate", sends_events=False, gates=0.0, states=0.0, middle=None
):
    """A recurrent op in integers (`ops` defines what they mean).

    W and R have one scale for each gate, or for each output of each gate. Where both add into one accumulator, the
    scales of x W and h R must be equal; shifting the operands of one of them brings the two within a factor of two of
    each other before they are made equal, so that neither loses precision.

    Args:
        op: The `RecurrentOp` in float32.
        name: Name of its layer, for errors.
        x, output: `Scale` of the input and of the output tensor.
        largest: The largest state that the recurrence reads.
        number_format: A `NumberFormat` of integers. With weights of 4 bits, each output has a scale.
        scales: Whether weights have one scale for each `"gate"`, or for each `"output"` of each gate.
        sends_events: Whether the recurrence reads events, which are never negative.
        gates, states: The largest magnitudes of gates, and of states and candidates, if their activations do not limit
            them to 1.
        middle: Of an op of low rank, which is `balanced` so that 1 is the largest value of its middle: by what.

    Returns:
        The same op with int8 kernels, an int32 bias, and the options for them.

    Raises:
        ValueError: The pre-activations do not fit any choice of shifts.
    """
    is_int16 = number_format.activation_bits == 16
    scales = "output" if number_format.weight_bits == 4 else scales
    state_bits, gate_bits = _range_bits(op, name, gates, states)
    op = replace(op, options=replace(op.options, state_bits=state_bits, gate_bits=gate_bits))
    first_choice = _Operands.of_16_bits if is_int16 else _Operands.of_8_bits
    most = number_format.most_counts
    has_rank = bool(getattr(op.options, "rank", 0))
    operands = _Operands.of_middle(is_int16) if has_rank else first_choice(op, x, largest, sends_events, most)
    while True:
        weights = _Weights.of(op, operands, scales, most)
        fraction = _fraction(op, weights.accumulators, 15 if is_int16 else 10)
        if fraction >= 7 and (not is_int16 or _fits(op, weights, operands)):
            break
        # 8 bits: accumulators are coarse; finer operands, as long as the accumulators hold the sum. 16 bits: the
        # accumulators do not hold it; coarser operands.
        operands = operands.finer(op, most) if not is_int16 else operands.coarser() if fraction >= 7 else None
        if operands is None:
            raise ValueError(
                f"layer '{name}' cannot be stored as int8: one step of its input ({x.scale:.3g}) times one step "
                f"of its weights changes a gate by up to {weights.accumulators.max():.3g}. Take "
                "input_scales='channel', or bring the model's input to a range of about -4 to 4 "
                "(keras.layers.Normalization) and train again."
            )

    if op.has_usual_gates:
        # With 16 bits every index has more bits than its table.
        more = fraction - 7 if is_int16 else 0
        bits = {"gate": 6 + more, "candidate": fraction if "reset" in op.slots or is_int16 else 7}
        half_steps = {"gate": 2**-7 / 2**more, "candidate": 2**-8 / 2**more}
    else:
        bits = dict.fromkeys(("gate", "candidate"), fraction)
        half_steps = dict.fromkeys(bits, 2.0 ** -(fraction + 1))
    bits |= {"reset": fraction + 1 + gate_bits, None: 0}
    # Makes the floor of an index round to nearest.
    half_step = np.array([half_steps.get(kind, 0) for kind in op.slots])
    factors = weights.accumulators * 2.0 ** (np.array([bits[kind] for kind in op.slots]) + 32)
    first = _Factors.of(op, name, first_choice, x, largest, operands, most) if has_rank else None
    reader = first.operands if first else operands
    operand_multiplier, operand_shift = _from_state(reader.scale, state_bits)
    output_multiplier, output_shift = _from_state(output.scale, state_bits)
    options = replace(
        op.options,
        format=number_format.number,
        weight_bits=number_format.weight_bits,
        x_zero_point=x.zero_point,
        x_shift=reader.x_shift,
        h_shift=reader.h_shift,
        fraction=fraction,
        **{f"multiplier_{slot}": _of_15_bits(factor) for slot, factor in enumerate(factors)},
        operand_multiplier=operand_multiplier,
        operand_shift=operand_shift,
        output_multiplier=output_multiplier,
        output_shift=output_shift,
        output_zero_point=output.zero_point,
        operand_bits=reader.bits,
        **(first.words if first else {"middle_bits": operands.bits} if hasattr(op.options, "middle_bits") else {}),
    )
    bias, *deep = np.rint((op.biases + half_step[:, None]) / weights.scales).astype(np.int32)
    return replace(
        op,
        options=options,
        kernel=weights.kernel,
        recurrent_kernel=weights.recurrent_kernel,
        bias=bias,
        **({"deep_bias": np.concatenate(deep)} if deep else {}),
        output_scales=weights.factors,
        made_with=WeightScales(
            *weights.of_kernels(op, operands), weights.scales, half_step, middle, first.steps if first else {}
        ),
        **(first.constants if first else {}),
    )


@dataclass(frozen=True)
class _Operands:
    """The operands of the weights: the input x, and the state h as the recurrence reads it.

    Attributes:
        x_scale: Scale of x: the real value of one count.
        x_shift, h_shift, bits: As in the op's options.
        scale: Scale of the state as the recurrence reads it.
        is_int16: Whether activations have 16 bits.
    """

    x_scale: float
    x_shift: int
    h_shift: int
    bits: int
    scale: float
    is_int16: bool = False

    @classmethod
    def of_8_bits(cls, op, x, largest, sends_events, most):
        scale = largest / (2 ** (8 if sends_events else 7) - 1)
        return cls(x.scale, *_operand_shifts(op, x.scale, scale, most), 8, scale)

    @classmethod
    def of_16_bits(cls, op, x, largest, sends_events, most):
        """Takes 16 bits of x (14 if its changes must fit into 16) and 15 of the state, then makes the finer of the two
        coarser, to bring both to one scale."""
        scale = largest / (2 ** (15 if sends_events else 14) - 1)
        held = 2 if x.is_held or op.input_threshold is not None else 0
        finest = cls(x.scale, held, 0, 15, scale, True)
        x_part, h_part = _shared_parts(op, finest.x_unit, finest.h_unit)
        shift = round(np.log2(x_part / h_part)) if x_part and h_part else 0
        return finest._coarser_state(shift) if shift > 0 else replace(finest, x_shift=min(held - shift, 6))

    @classmethod
    def of_middle(cls, is_int16):
        """The values between two factors, of which the largest is 1."""
        bits = 15 if is_int16 else 8
        scale = 1 / (2 ** (bits - 1) - 1)
        return cls(scale, 0, 0, bits, scale, is_int16)

    @property
    def x_unit(self):
        """Scale of x as an operand, after its shift."""
        return self.x_scale * 2.0 ** (self.x_shift if self.is_int16 else -self.x_shift)

    @property
    def h_unit(self):
        return self.scale / 2**self.h_shift

    @property
    def largest(self):
        """The largest magnitudes of both operands in counts, as the kernel assumes them."""
        if self.is_int16:
            return 2**15 >> self.x_shift, 2 ** (self.bits + self.h_shift)
        return 255 << self.x_shift, 256 << self.h_shift

    def finer(self, op, most):
        """Both operands one bit finer; None if the accumulators could not hold the sum."""
        x_shift, h_shift = self.x_shift + 1, self.h_shift + 1
        if max(x_shift, h_shift) > _LARGEST_SHIFT or _bound(op, x_shift, h_shift, most) > _ACCUMULATOR_LIMIT // 2:
            return None
        return replace(self, x_shift=x_shift, h_shift=h_shift)

    def coarser(self):
        """Both operands one bit coarser; None if too few bits would be left."""
        state = self._coarser_state(1)
        return None if self.x_shift == _LARGEST_SHIFT or state == self else replace(state, x_shift=self.x_shift + 1)

    def _coarser_state(self, shift):
        """The state coarser by this many bits, as far as it has them."""
        from_shift = min(shift, self.h_shift)
        bits = max(self.bits - (shift - from_shift), _FEWEST_BITS)
        return replace(self, h_shift=self.h_shift - from_shift, bits=bits, scale=self.scale * 2 ** (self.bits - bits))


@dataclass(frozen=True, eq=False)
class _Factors:
    """The factors that lead from x and the state to the middle of kernels of low rank, in integers.

    Attributes:
        operands: The `_Operands` of the factors.
        words: The words of the op's options that are about the middle.
        constants: The factors, and what their sums start from.
        steps: Dict from the names of the factors to the scale of their weights.
    """

    operands: _Operands
    words: dict
    constants: dict
    steps: dict

    @classmethod
    def of(cls, op, name, first_choice, x, largest, middle, most):
        """For the middle as the kernels read it, `_Operands` too."""
        apart = op.options.recurrent_rank > 0
        reads = _Reads(op.input_factor_kernel, op.recurrent_factor_kernel, [0], [int(apart)], op.options)
        operands = first_choice(reads, x, largest, False, most)
        while True:
            units = operands.x_unit, operands.h_unit
            parts = [unit * np.abs(f).max() / most for unit, f in zip(units, reads.factors, strict=True)]
            scales = np.maximum(parts if apart else [max(parts)], 2**-40)
            ratios = scales / middle.scale
            if ratios.max() > 0.499:
                operands = operands.finer(reads, most) if not operands.is_int16 else None
            elif operands.is_int16 and not cls._fit(reads, operands, most):
                operands = operands.coarser()
            else:
                break
            if operands is None:
                raise ValueError(
                    f"layer '{name}' cannot be stored in integers: one step of its input ({x.scale:.3g}) changes what "
                    "is between its factors by over half of its range. Bring the model's input to a range of about -4 "
                    "to 4 (keras.layers.Normalization) and train again."
                )
        steps = [scales[-1 if n else 0] / unit for n, unit in enumerate(units)]
        widths = (op.options.rank, op.options.recurrent_rank)[: len(ratios)]
        starts = [np.full(width, np.rint(0.5 / ratio)) for width, ratio in zip(widths, ratios, strict=True)]
        words = {f"middle_multiplier_{n}": _of_15_bits(ratio * 2**32) for n, ratio in enumerate(ratios)}
        names = "input_factor_kernel", "recurrent_factor_kernel"
        return cls(
            operands,
            words | {"middle_shift": middle.h_shift, "middle_bits": middle.bits},
            {
                "middle_start": np.concatenate(starts).astype(np.int32),
                **{n: to_counts(f, step, most) for n, f, step in zip(names, reads.factors, steps, strict=True)},
            },
            dict(zip(names, steps, strict=True)),
        )

    @staticmethod
    def _fit(reads, operands, most):
        """Whether 16 bits of both leave room in the sums."""
        counts = [len(factor) * most * bound for factor, bound in zip(reads.factors, operands.largest, strict=True)]
        return sum(counts) < _ACCUMULATOR_LIMIT // 2


@dataclass(frozen=True, eq=False)
class _Reads:
    """The factors as `_Operands` look at the kernels of an op."""

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    kernel_slots: list
    recurrent_slots: list
    options: Any
    input_threshold: None = None

    @property
    def factors(self):
        return self.kernel, self.recurrent_kernel


@dataclass(frozen=True, eq=False)
class _Weights:
    """The kernels in integers.

    Attributes:
        kernel, recurrent_kernel: As the op has them.
        scales: Scale of each output's accumulator, `(slots, units)`.
        accumulators: Scale of the accumulators as the gates read them, one per slot.
        factors: Factors in Q16 that bring each output to that scale; None if all outputs already have it.
    """

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    scales: np.ndarray
    accumulators: np.ndarray
    factors: np.ndarray | None

    @classmethod
    def of(cls, op, operands, granularity, most):
        scales = _accumulator_scales(op, operands.x_unit, operands.h_unit, most)
        if granularity == "gate":
            accumulators, factors = scales.max(axis=1), None
            scales = np.broadcast_to(accumulators[:, None], scales.shape)
        else:
            # The factors are rounded first, so that the scales match them exactly.
            accumulators = scales.max(axis=1) * 2**16 / (2**15 - 1)
            factors = np.minimum(np.ceil(scales / accumulators[:, None] * 2**16), 2**15 - 1).astype(np.int16)
            scales = accumulators[:, None] * factors / 2**16
        return cls(
            to_counts(op.kernel, scales[op.kernel_slots] / operands.x_unit, most),
            to_counts(op.recurrent_kernel, scales[op.recurrent_slots] / operands.h_unit, most),
            scales,
            accumulators,
            factors,
        )

    def of_kernels(self, op, operands):
        """Scales of the weights of the kernel and of the recurrent kernel, `(gates, units)` each."""
        return self.scales[op.kernel_slots] / operands.x_unit, self.scales[op.recurrent_slots] / operands.h_unit


def _fits(op, weights, operands):
    """Whether no accumulator can overflow, by the kernel's own check."""
    largest = np.abs(op.biases / weights.scales).max(axis=0) + 1
    for kernel, slots, most in (
        (weights.kernel, op.kernel_slots, operands.largest[0]),
        (weights.recurrent_kernel, op.recurrent_slots, operands.largest[1]),
    ):
        magnitudes = np.abs(kernel.astype(np.int64))
        if kernel is weights.recurrent_kernel and getattr(op.options, "deep", 0):  # one micro-layer below the other
            magnitudes = magnitudes.reshape(-1, op.options.units, *kernel.shape[1:]).max(axis=0)
        largest[slots] += magnitudes.sum(axis=0) * most
    return largest.max() < _ACCUMULATOR_LIMIT


def _shared_parts(op, x_unit, h_unit):
    """The largest products of one count of x, and of the state, with a weight in the gates that they share."""
    shared = set(op.kernel_slots) & set(op.recurrent_slots)
    if not shared:
        return 0.0, 0.0
    x_part = x_unit * max(_largest(op.kernel)[g].max() for g, slot in enumerate(op.kernel_slots) if slot in shared)
    h_part = h_unit * max(
        _largest(op.recurrent_kernel)[g].max() for g, slot in enumerate(op.recurrent_slots) if slot in shared
    )
    return x_part, h_part


def _operand_shifts(op, x_scale, operand_scale, most):
    """Shifts of x and h that bring the two products in their shared gates to about one scale."""
    x_part, h_part = _shared_parts(op, x_scale, operand_scale)
    if not x_part or not h_part:
        return 0, 0
    shift = int(np.clip(round(np.log2(x_part / h_part)), -_LARGEST_SHIFT, _LARGEST_SHIFT))
    x_shift, h_shift = max(shift, 0), max(-shift, 0)
    while _bound(op, x_shift, h_shift, most) > _ACCUMULATOR_LIMIT // 2 and x_shift + h_shift:
        x_shift, h_shift = max(x_shift - 1, 0), max(h_shift - 1, 0)
    return x_shift, h_shift


def _accumulator_scales(op, x_unit, h_unit, most):
    """Scale of each output's accumulator, `(slots, units)`, for weights of at most `most` counts."""
    scales = np.zeros(op.bias.shape)
    np.maximum.at(scales, op.kernel_slots, x_unit * weight_scales(op.kernel, most))
    np.maximum.at(scales, op.recurrent_slots, h_unit * weight_scales(op.recurrent_kernel, most))
    # A bias takes at most a quarter of the accumulator's range; a matrix of zeros gets any scale.
    return np.maximum(scales, (np.abs(op.biases).max(axis=(0, 2))[:, None] + 1) / 2**29)


def _fraction(op, accumulators, most):
    """Fractional bits of pre-activations: as many as the multipliers hold, up to `most`; below 7 they do not fit."""
    kinds = op.slots
    largest = {kind: max(a for a, other in zip(accumulators, kinds, strict=True) if other == kind) for kind in kinds}
    coarsest = max(largest["candidate"], largest.get("reset", 0) * 2 ** (1 + op.options.gate_bits))
    if not op.has_usual_gates:
        coarsest = max(coarsest, largest.get("gate", 0))
    elif most == 15:
        coarsest = max(coarsest, largest.get("gate", 0) / 2)
    elif largest.get("gate", 0) * 2**6 > 0.499:
        return 0
    if op.has_usual_gates and "reset" not in kinds and most == 10:
        most = 7  # tanh is looked up as it is
    return min(int(np.floor(np.log2(0.499 / coarsest))), most)


def _of_15_bits(factor):
    """The nearest integer with at most 15 significant bits."""
    shift = max(int(np.floor(np.log2(max(factor, 1)))) - 14, 0)
    return min(round(factor / 2**shift), 2**15 - 1) << shift


def _largest(kernel):
    """The largest magnitude of the weights of each output, `(gates, units)`."""
    return np.abs(kernel).max(axis=0).astype(np.float64)


def _bound(op, x_shift, h_shift, most):
    """The largest accumulator that inputs can cause with weights of at most `most` counts, close to the kernel's own
    check."""
    sources, units = len(op.kernel), op.options.units
    return (most + 1) * 255 * ((sources << x_shift) + (units << h_shift))


def _range_bits(op, name, gates, states):
    """Bits before the point: of states and candidates, and of gates."""
    gate, states = op.recurrent_activation, range_bits(name, "states", states, op.state_limit)
    return states, range_bits(name, "gates", gates, gate.limit) if gate else 0


def range_bits(name, what, largest, limit=math.inf, most=MOST_BITS):
    """Integer bits, at most `most`, for twice the largest observed magnitude, since sequences in use may go further;
    or for the limit of the activation."""
    if largest > 2**most:
        raise ValueError(
            f"layer '{name}' has {what} up to {largest:.3g} on the representative data; integer models hold them up to "
            f"{2**most}. Shorter sequences and smaller inputs keep them smaller; weights='float32' has no limit."
        )
    return int(np.clip(np.ceil(np.log2(max(min(2 * largest, limit), 1))), 0, most))


def _from_state(scale, state_bits):
    """Multiplier and shift that convert a state in Q(15 - state_bits) to counts of `scale`."""
    factor = 2**state_bits / (2**15 * scale)
    shift = int(np.clip(np.floor(np.log2(32767 / factor)), 1, 30))
    return int(np.clip(round(factor * 2**shift), 0, 32767)), shift


def weight_scales(kernel, most):
    """Computes the smallest scale of the weights of each output.

    Args:
        kernel: Weights, `(sources, ..., units)`.
        most: The largest magnitude in counts: 127, or 7 for weights of 4 bits (`NumberFormat.most_counts`).

    Returns:
        Scales, `(..., units)`; 0 for an output without weights.
    """
    return np.abs(kernel).max(axis=0, initial=0).astype(np.float64) / most


def to_counts(kernel, scales, most):
    """Rounds weights to counts of their scales, to nearest, halves to even, and clips them to `most`.

    Args:
        kernel: Weights, `(sources, ..., units)`.
        scales: Real value of one count, `(..., units)`.
        most: As in `weight_scales`.

    Returns:
        int8, of the kernel's shape. `to_counts(...) * scales` is the weight that the integer model has.
    """
    return np.clip(np.rint(kernel / scales), -most, most).astype(np.int8)
