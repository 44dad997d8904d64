"""What a conversion did, in figures."""

from dataclasses import dataclass, field

import numpy as np

from keras_sparse_rnn.runtime.reference import EventGruWeights


@dataclass
class LayerReport:
    """One recurrent layer.

    Attributes:
        name, units, inputs, block: Of the layer and its stored blocks.
        sparsity: Share of zeros in both kernels as stored (for int8 after rounding).
        storage: For the kernel and the recurrent kernel, "blocks" or "dense".
        bytes, dense_bytes: Of both kernels as stored, indices included, and as a dense matrix of the same type.
        event_rate: Share of units that fire a step, on the representative data.
        step_error, largest_step_error: Distance of the state before the threshold from Keras's, each step from the
            same state, in the mean and at most; None where it was not verified.
        event_agreement: Share of equal events in these steps; None where it was not verified.
    """

    name: str
    units: int
    inputs: int
    block: int
    sparsity: float
    storage: tuple
    bytes: int
    dense_bytes: int
    event_rate: float
    step_error: float | None = None
    largest_step_error: float | None = None
    event_agreement: float | None = None

    @classmethod
    def of(cls, op, seen):
        weights = EventGruWeights.unpack(op.options, op.constants)
        stored = weights.kernel.size + weights.recurrent_kernel.size
        nonzero = np.count_nonzero(weights.kernel) + np.count_nonzero(weights.recurrent_kernel)
        return cls(
            name=op.call.layer.name,
            units=op.options.units,
            inputs=len(weights.kernel),
            block=op.options.block,
            sparsity=1 - nonzero / stored,
            storage=tuple("dense" if op.constants[i] is None else "blocks" for i in (1, 4)),
            bytes=sum(part.nbytes for part in op.constants[:6] if part is not None),
            dense_bytes=stored * weights.kernel.itemsize,
            event_rate=float(np.mean(seen.events != 0)),
        )


@dataclass
class Report:
    """A conversion: printing it gives a table.

    Attributes:
        weights, target: As asked for.
        file_bytes: Size of the `.tflite` file.
        layers: A `LayerReport` for each recurrent layer.
        engines: The engines in which the whole model was run to verify it.
        output_error: Mean absolute distance of the outputs from Keras's; None where not verified.
        equal_decisions: Share of samples with the same largest output; None where the model does not classify.
        arena_bytes: The smallest arena in which TensorFlow Lite Micro loads the model, on this machine of 64 bits; None
            where its wheel is not installed.
    """

    weights: str
    target: str
    file_bytes: int
    layers: list
    engines: list = field(default_factory=list)
    output_error: float | None = None
    equal_decisions: float | None = None
    arena_bytes: int | None = None

    def __str__(self):
        lines = [f"{self.weights} model for {self.target}, {self.file_bytes:,} bytes"]
        for layer in self.layers:
            lines.append(
                f"  {layer.name}: {layer.units} units, {layer.inputs} inputs, {layer.sparsity:.1%} zeros, "
                f"{layer.event_rate:.1%} events; {' and '.join(layer.storage)} of 1x{layer.block}: "
                f"{layer.bytes:,} bytes (dense {layer.dense_bytes:,})"
            )
            if layer.step_error is not None:
                lines.append(
                    f"    against Keras, step by step: error {layer.step_error:.2g} in the mean, "
                    f"{layer.largest_step_error:.2g} at most, {layer.event_agreement:.2%} equal events"
                )
        if self.output_error is not None:
            decisions = "" if self.equal_decisions is None else f", {self.equal_decisions:.1%} equal decisions"
            lines.append(f"  outputs in {', '.join(self.engines)}: mean error {self.output_error:.2g}{decisions}")
        if self.arena_bytes is not None:
            lines.append(f"  TensorFlow Lite Micro arena: {self.arena_bytes:,} bytes")
        return "\n".join(lines)
