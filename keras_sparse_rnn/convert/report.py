"""The report of a conversion: bytes, sparsity, errors."""

import importlib.util
from dataclasses import InitVar, dataclass, field
from functools import cached_property

import numpy as np

from keras_sparse_rnn import runtime
from keras_sparse_rnn.formats import INT8X16, NUMBER_FORMATS
from keras_sparse_rnn.inspection import Inspection
from keras_sparse_rnn.ops.recurrent_schema import operand_scale


@dataclass
class LayerReport:
    """One recurrent layer.

    Attributes:
        name, units, inputs: Name and sizes of the layer.
        sparsity: Share of zeros in both kernels as stored (for int8 after rounding).
        storage: "dense", or "blocks of 1x4" and the like (sources by units), for the kernel and for the recurrent
            kernel. A GRU with `reset_after=False` has a third matrix, for its candidate.
        bytes, dense_bytes: Bytes of both kernels as stored, indices included, and as dense matrices of float32 or int8.
        weight_error: Root mean square of the rounding error of its weights, divided by that of the weights; None in
            float32.
        operand_bits: Bits of the input and of the state, or of an event, as operands of the weights; None in float32.
        saturation: Share of its states on the representative data that exceed the integers that hold them, or the
            integers that the weights are multiplied with, and saturate; None in float32.
        sends_events: Whether it sends events.
        output_scales: Whether the weights of each output have a scale of their own.
        event_rate: Share of units that fire per step on the representative data, or, in a DeltaGRU, whose held state
            changes; None for a layer without events.
        input_rate: Share of inputs that change per step on the representative data; None if inputs are not held.
        step_error, largest_step_error: Mean and largest distance of the state from Keras's after one step from the
            same state (before the threshold in an event layer); None if not verified.
        event_agreement: Share of equal events in these steps; None if not verified, or if there are no events.
    """

    name: str
    units: int
    inputs: int
    sparsity: float
    storage: tuple
    bytes: int
    dense_bytes: int
    operand_bits: tuple | None
    saturation: float | None
    sends_events: bool
    output_scales: bool
    event_rate: float | None
    input_rate: float | None
    weight_error: float | None = None
    step_error: float | None = None
    largest_step_error: float | None = None
    event_agreement: float | None = None

    @classmethod
    def of(cls, call, seen):
        op = call.op
        weights = sum(kernel.size for kernel in op.kernels)
        parts = call.constants
        matrices = [name for name in parts if name.endswith("kernel")]
        return cls(
            name=call.layer.name,
            units=op.options.units,
            inputs=op.inputs,
            sparsity=1 - sum(np.count_nonzero(kernel) for kernel in op.kernels) / weights,
            storage=tuple(
                f"blocks of {op.block_shape(name)}" if f"{name}_index" in parts else "dense" for name in matrices
            ),
            bytes=op.kernel_bytes,
            dense_bytes=weights * op.kernel.itemsize,
            operand_bits=_operand_bits(op.options) if op.is_integer else None,
            saturation=_saturation(call, seen) if op.is_integer else None,
            sends_events=call.layer.SENDS_EVENTS,
            output_scales=op.output_scales is not None,
            event_rate=call.layer.event_rate(seen.states),
            input_rate=call.layer.input_rate(seen.states),
            weight_error=_weight_error(op, call.layer.exact(op)) if op.is_integer else None,
        )

    @property
    def stored(self):
        """How its matrices are stored, in words: "dense", "blocks of 1x4", or "dense and blocks of 1x4" if they differ,
        in the order of `storage`."""
        return " and ".join(dict.fromkeys(self.storage))


@dataclass
class Report:
    """The report of a conversion. Print it as a table.

    Attributes:
        weights, target, scales, input_scales: As given to `ksr.convert`.
        inspection: The `Inspection` of the file from `ksr.inspect`: ops, tensors and totals, without trying engines.
        layers: A `LayerReport` for each recurrent layer.
        dense: A `DenseReport` for each dense layer with constant weights, as TensorFlow Lite's converter left it, and
            with `target="tflm"` for each 1x1 convolution.
        engines: The engines in which the whole model was run to verify it.
        output_error: Mean absolute distance of the outputs from Keras's; None if not verified.
        relative_error: Root mean square distance of the outputs from Keras's, in standard deviations of Keras's
            outputs. None if not verified, or if Keras's outputs hardly vary: by fewer than four steps of their scale,
            or 4 % of the largest of them.
        warnings: Warnings about large errors: their size and their likely causes.
        steps_made: Dict from the name of each FrameGate to the share of steps that Keras computed of the representative
            data.
        equal_decisions: Share of samples with the same largest output; None if the model does not classify.
        accuracy, keras_accuracy: Accuracy of the converted model and of the Keras model on the representative data;
            None if no labels were given.
        data: The bytes of the file.
    """

    weights: str
    target: str
    scales: str
    inspection: Inspection
    layers: list
    dense: list
    data: InitVar[bytes]
    engines: list = field(default_factory=list)
    output_error: float | None = None
    relative_error: float | None = None
    warnings: list = field(default_factory=list)
    steps_made: dict = field(default_factory=dict)
    equal_decisions: float | None = None
    accuracy: float | None = None
    keras_accuracy: float | None = None
    input_scales: str = "tensor"

    def __post_init__(self, data):
        self._data = data

    @property
    def file_bytes(self):
        """Size of the `.tflite` file."""
        return self.inspection.file_bytes

    @cached_property
    def arena_bytes(self):
        """The smallest arena in which TensorFlow Lite Micro loads the model on this 64-bit machine. It is found by
        trial at the first access. None for `target="litert"`, or if the wheel is not installed."""
        if self.target != "tflm" or importlib.util.find_spec("tflite_micro") is None:
            return None
        return runtime.load(self._data, "tflm").memory["arena_size"]

    def __str__(self):
        state = f", {self.inspection.state_bytes:,} bytes of state" if self.inspection.state_bytes else ""
        bits = NUMBER_FORMATS[self.weights].weight_bits
        scales = ", a scale for each output" if self.scales == "output" or bits else ""
        lines = [f"{self.weights} model{scales} for {self.target}, {self.file_bytes:,} bytes{state}"]
        if self.input_scales == "channel":
            lines.append("  a scale for each input channel: other programs divide inputs by the metadata's divisors")
        lines += [f"  {name}: {share:.1%} of the steps are made" for name, share in self.steps_made.items()]
        for layer in self.layers:
            events = "" if layer.event_rate is None else f", {layer.event_rate:.1%} events"
            events += "" if layer.input_rate is None else f", {layer.input_rate:.1%} of the inputs change"
            lines.append(
                f"  {layer.name}: {layer.units} units, {layer.inputs} inputs, {layer.sparsity:.1%} zeros{events}; "
                f"{layer.stored}: {layer.bytes:,} bytes (dense {layer.dense_bytes:,})"
            )
            if layer.operand_bits is not None and self.weights in ("int8x16", "int4x16"):
                of_x, of_state = layer.operand_bits
                lines.append(
                    f"    weights are multiplied with {of_x} bits of the input and {of_state} of "
                    f"{'an event' if layer.sends_events else 'the state'}"
                )
            if bits:
                lines.append(f"    weights of {bits} bits: rounding changed them by {layer.weight_error:.2%}")
            if layer.saturation:
                lines.append(f"    {layer.saturation:.2%} of the states on the representative data saturate")
            if layer.step_error is not None:
                equal = "" if layer.event_agreement is None else f", {layer.event_agreement:.2%} equal events"
                lines.append(
                    f"    against Keras, step by step: error {layer.step_error:.2g} in the mean, "
                    f"{layer.largest_step_error:.2g} at most{equal}"
                )
        for layer in self.dense:
            sizes = ", ".join(f"{name} {size:,}" for name, size in layer.bytes.items())
            lines.append(f"  {layer.name}: {layer.zeros:.1%} zeros; stored {layer.stored} (bytes: {sizes})")
        if self.output_error is not None:
            decisions = "" if self.equal_decisions is None else f", {self.equal_decisions:.1%} equal decisions"
            relative = "" if self.relative_error is None else f", {self.relative_error:.2g} standard deviations"
            lines.append(
                f"  outputs in {', '.join(self.engines)}: mean error {self.output_error:.2g}{relative}{decisions}"
            )
        lines += [f"  warning: {warning}" for warning in self.warnings]
        if self.accuracy is not None:
            lines.append(f"  accuracy on representative data: {self.accuracy:.2%} (Keras {self.keras_accuracy:.2%})")
        if self.arena_bytes is not None:
            lines.append(f"  TensorFlow Lite Micro arena: {self.arena_bytes:,} bytes")
        lines.append(f"  ops to register: {', '.join(self.inspection.register)}")
        return "\n".join(lines)


def _weight_error(op, exact):
    """Counts of each output's weights at the scale that fits them best."""
    changed = total = 0.0
    for counts, weights in zip(op.kernels, exact.kernels, strict=True):
        counts, weights = counts.astype(np.float64), weights.astype(np.float64)
        fit = (counts * weights).sum(axis=0) / np.maximum((counts * counts).sum(axis=0), 1)
        changed += float(np.square(counts * fit - weights).sum())
        total += float(np.square(weights).sum())
    return float(np.sqrt(changed / total)) if total else 0.0


def _saturation(call, seen):
    """Share of states that saturate, either as stored or as the recurrence reads them."""
    op = call.op
    tensors = op.states(call.x_scale.scale)
    beyond = total = 0
    for name in call.layer.STATES:
        if name not in seen.states or name.startswith("held"):
            continue
        values, tensor = seen.states[name], tensors[name]
        limits = np.iinfo(tensor.dtype)
        low, high = ((limit - tensor.zero_point) * tensor.scale for limit in (limits.min, limits.max))
        if name == op.READS:
            bits = op.options.operand_bits - (not call.layer.SENDS_EVENTS)
            high = min(high, (2**bits - 1) * operand_scale(op.options))
            low = max(low, -high)
        step = max(tensor.scale, operand_scale(op.options) if name == op.READS else 0)
        beyond += np.count_nonzero((values < low - step) | (values > high + step))
        total += values.size
    return beyond / total


def _operand_bits(options):
    return (16 - options.x_shift if options.number_format is INT8X16 else 8), options.operand_bits
