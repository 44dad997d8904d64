"""The steps of a conversion, in order."""

from dataclasses import dataclass, replace

import keras
import numpy as np

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.convert.converted_model import ConvertedModel
from keras_sparse_rnn.convert.litert_sparse import pack_litert_sparse
from keras_sparse_rnn.convert.lower import lower
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.convert.plan import PROBE_BATCH, plan
from keras_sparse_rnn.convert.quantize import Scale, within_percentile
from keras_sparse_rnn.convert.recurrent.layer import RecurrentLayer
from keras_sparse_rnn.convert.report import LayerReport, Report
from keras_sparse_rnn.convert.sparse_dense import pack_sparse_dense
from keras_sparse_rnn.convert.verify import check_labels, verify_layers, verify_outputs
from keras_sparse_rnn.inspection import inspect
from keras_sparse_rnn.ops.block_sparse import BLOCKS
from keras_sparse_rnn.ops.recurrent import RecurrentOp
from keras_sparse_rnn.runtime.native import load_library

_UNGIVEN_SAMPLES = 8  # random inputs to verify a float model on
_UNGIVEN_CHUNKS = 4


@dataclass(frozen=True, eq=False)
class Observed:
    """What a recurrent call took, and its states after each step, on the representative data: `(samples, steps, ...)`
    each."""

    x: np.ndarray
    states: list


@dataclass(frozen=True, eq=False)
class PackedCall:
    """A recurrent call as an op: its definition, its constant tensors, and the scale of its input (None: float32)."""

    layer: RecurrentLayer
    op: RecurrentOp
    constants: list
    x_scale: Scale | None


def run(
    model,
    representative_data,
    number_format,
    target,
    batch_size,
    time_steps,
    stateful,
    block_size,
    percentile,
    labels,
    representative_labels,
    verify,
    progress,
):
    """`ksr.convert` with checked arguments; `number_format` is a `NumberFormat`, or None for float32."""
    is_integer = number_format is not None
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"ksr.convert needs the Keras backend tensorflow; this process runs {keras.backend.backend()}. Save the "
            "model (model.save), and load and convert it in a process started with KERAS_BACKEND=tensorflow."
        )
    load_library()
    cut = plan(model, time_steps, stateful, batch_size)
    if is_integer and representative_data is None:
        raise ValueError(
            "an integer model needs representative_data: inputs as in use, about a hundred, that set the ranges of the "
            "activations. Without them take weights='float32'."
        )
    if is_integer and number_format.event_bits < 8 and not any(call.layer.SENDS_EVENTS for call in cut.calls):
        raise ValueError("events='int4' needs a layer that sends events, an EventGRU; the model has none.")
    data = _check_data(cut, representative_data, stateful)
    progress.show(f"running the Keras model on {len(data[0])} samples")
    calls, outputs = keras.tree.pack_sequence_as(cut.observed, observe(cut.probe, data))
    if representative_labels is not None:
        representative_labels = check_labels(representative_labels, outputs)
    observed = [Observed(_whole(x), [_whole(state) for state in states]) for x, _, states in calls]
    tensors = [*zip(cut.inputs, data, strict=True), *zip(cut.outputs, outputs, strict=True)]
    for call, (x, y, _) in zip(cut.calls, calls, strict=True):
        tensors += [(call.x, x), (call.y, y)]
    calibration = {id(tensor): within_percentile(_each(array), percentile) for tensor, array in tensors}

    progress.show("TensorFlow Lite's converter, for the layers around the recurrent ones")
    bits = number_format.activation_bits if is_integer else None
    rest = lower(cut, calibration if is_integer else None, bits)
    modes = {
        "weights": {8: "int8", 16: "int8x16", None: "float32"}[bits],
        "target": target,
        "scales": number_format.scales if is_integer else "gate",
        "events": "int4" if is_integer and number_format.event_bits == 4 else None,
    }
    metadata = {**modes, "stateful": stateful, "labels": labels and list(labels)}
    metadata |= {"batch_size": batch_size, "time_steps": cut.time_steps}
    states = [[within_percentile(state, percentile) for state in seen.states] for seen in observed]
    arguments = (number_format, stateful, block_size, metadata, progress)
    file, packed, dense = _assemble(cut, rest, states, calibration, *arguments)
    layers = [LayerReport.of(call, seen) for call, seen in zip(packed, observed, strict=True)]
    report = Report(**modes, inspection=inspect(file, engines=()), layers=layers, dense=dense, data=file)
    converted = ConvertedModel(file, report)
    if verify:
        verify_layers(packed, observed, layers, progress)
        verify_outputs(converted, data, outputs, representative_labels, progress)
    return converted


def observe(probe, data):
    """Runs the Keras model, each chunk from the states that the one before has left.

    Args:
        probe: Of the `Plan`.
        data: For each input an array `(samples, chunks, *its shape)`.

    Returns:
        For each output of the probe an array `(samples, chunks, *shape)`.
    """
    batches = []
    for first in range(0, len(data[0]), PROBE_BATCH):
        batch = [array[first : first + PROBE_BATCH] for array in data]
        size = len(batch[0])
        batch = [np.resize(array, (PROBE_BATCH, *array.shape[1:])) for array in batch]  # the last one too
        for layer in probe.layers:
            if isinstance(layer, keras.layers.RNN) and layer.stateful:
                for state in keras.tree.flatten(layer.states):  # its reset_state fails for stacked cells
                    state.assign(keras.ops.zeros_like(state))
        chunks = [probe.predict_on_batch([array[:, i] for array in batch]) for i in range(batch[0].shape[1])]
        batches.append([np.stack(parts, axis=1)[:size] for parts in zip(*chunks, strict=True)])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _whole(chunks):
    """`(samples, chunks, steps, ...)` as `(samples, all steps, ...)`."""
    return chunks.reshape(len(chunks), -1, *chunks.shape[3:])


def _each(chunks):
    """`(samples, chunks, ...)` with every chunk as a sample."""
    return chunks.reshape(-1, *chunks.shape[2:])


def _assemble(cut, rest, states, calibration, number_format, stateful, block_size, metadata, progress):
    """The file's bytes, the `PackedCall`s, and the `DenseReport`s."""
    writer, is_integer = ModelWriter(rest.data), number_format is not None
    numbers = {}  # id of a symbolic tensor -> its number in the file
    if rest.data is not None:
        for tensor, number in zip([*rest.inputs, *rest.outputs], [*writer.inputs, *writer.outputs], strict=True):
            numbers[id(tensor)] = int(number)

    def number_of(tensor, name):
        if id(tensor) not in numbers:
            values = calibration[id(tensor)]
            scale = Scale.of_range(values.min(), values.max(), number_format.activation_bits) if is_integer else None
            pair = (scale.scale, scale.zero_point) if is_integer else None
            dtype = scale.dtype if is_integer else np.float32
            numbers[id(tensor)] = writer.add_tensor(name, tensor.shape, dtype, scale=pair)
        return numbers[id(tensor)]

    packed = []
    for call, seen in zip(cut.calls, states, strict=True):
        progress.show(f"packing {call.layer.name}")
        x, y = number_of(call.x, f"{call.layer.name}/input"), number_of(call.y, f"{call.layer.name}/output")
        bits = number_format and number_format.activation_bits
        scales = [Scale(*writer.scale_of(number), bits) for number in (x, y)] if is_integer else None
        packed.append(_pack_smallest(call.layer, scales, seen, number_format, (block_size,) if block_size else BLOCKS))
        writer.add_recurrent(call.layer.name, packed[-1].op, packed[-1].constants, x, y, stateful=stateful)
    inputs = {name: number_of(tensor, name) for name, tensor in zip(cut.input_names, cut.inputs, strict=True)}
    outputs = {name: number_of(tensor, name) for name, tensor in zip(cut.output_names, cut.outputs, strict=True)}
    dense = pack_sparse_dense(writer) if metadata["target"] == "tflm" else pack_litert_sparse(writer)
    kernels = [kernel for call in packed for kernel in call.op.kernels]
    sparsity = 1 - sum(np.count_nonzero(kernel) for kernel in kernels) / sum(kernel.size for kernel in kernels)
    return writer.finish(inputs, outputs, {"version": __version__, "sparsity": sparsity, **metadata}), packed, dense


def _pack_smallest(layer, scales, states, number_format, blocks):
    """The layer as an op, in that width of `blocks` which takes the fewest bytes."""
    op = layer.int8_op(blocks[0], *scales, states, number_format) if scales else layer.float32_op(blocks[0])
    candidates = []
    for block in blocks:
        in_blocks = replace(op, options=replace(op.options, block=block))
        candidates.append(PackedCall(layer, in_blocks, in_blocks.constants(), scales[0] if scales else None))
    return min(candidates, key=lambda call: sum(part.nbytes for part in call.constants if part is not None))


def _check_data(cut, data, stateful):
    """The representative data as a list of arrays `(samples, chunks, *shape)`, one for each input; random where none
    were given."""
    shapes = [tuple(tensor.shape[1:]) for tensor in cut.inputs]
    if data is None:
        generator = np.random.default_rng(0)
        lead = (_UNGIVEN_SAMPLES, _UNGIVEN_CHUNKS if stateful else 1)
        return [generator.standard_normal((*lead, *shape)).astype(np.float32) for shape in shapes]
    if isinstance(data, dict):
        if set(data) != set(cut.input_names):
            raise ValueError(f"representative_data must have the keys {cut.input_names}; given: {sorted(data)}.")
        data = [data[name] for name in cut.input_names]
    elif not isinstance(data, (list, tuple)):
        data = [data]
    if len(data) != len(shapes):
        raise ValueError(f"representative_data must hold {len(shapes)} arrays, one for each input; given: {len(data)}.")
    data = [np.asarray(array) for array in data]
    chunked = []
    for name, shape, tensor, timed, array in zip(cut.input_names, shapes, cut.inputs, cut.has_time, data, strict=True):
        kind = np.floating if "float" in tensor.dtype else np.integer
        if not np.issubdtype(array.dtype, kind):
            raise ValueError(
                f"representative_data for input '{name}' must have a {kind.__name__} dtype ({tensor.dtype}); "
                f"given: {array.dtype}."
            )
        timed = timed and stateful
        chunks = array.shape[1] // shape[0] if timed and array.ndim > 1 else 1
        expected = (chunks * shape[0], *shape[1:]) if timed else shape
        if array.shape[1:] != expected or 0 in array.shape or len(array) != len(data[0]):
            steps = f"a multiple of {shape[0]} steps" if timed else shape[0] if shape else ""
            raise ValueError(
                f"representative_data for input '{name}' must have the shape "
                f"({', '.join(map(str, ['samples', steps, *shape[1:]]))}) "
                f"with at least one sample, the same number for each input; given: {array.shape}."
            )
        if not np.isfinite(array).all():
            raise ValueError(f"representative_data for input '{name}' holds NaN or infinite values.")
        chunked.append(array.reshape(len(array), chunks, *shape))
    most = max(array.shape[1] for array in chunked)
    for name, timed, array in zip(cut.input_names, cut.has_time, chunked, strict=True):
        if timed and array.shape[1] != most:
            raise ValueError(
                f"representative_data for input '{name}' must be as long as that of the other inputs, {most} chunks of "
                f"time_steps; given: {array.shape[1]}."
            )
    return [np.broadcast_to(array, (len(array), most, *array.shape[2:])) for array in chunked]
