"""A conversion, step by step: plan -> observe -> lower -> quantize -> pack -> verify -> report."""

from dataclasses import dataclass, replace
from functools import partial

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.convert.causes import few_steps, likely_causes
from keras_sparse_rnn.convert.child_process import convert_in_child
from keras_sparse_rnn.convert.converted_model import ConvertedModel
from keras_sparse_rnn.convert.float32_model import in_float32
from keras_sparse_rnn.convert.frame_gates import verify_gate
from keras_sparse_rnn.convert.input_scales import InputScales
from keras_sparse_rnn.convert.litert_sparse import pack_litert_sparse
from keras_sparse_rnn.convert.lower import lower, lower_float32
from keras_sparse_rnn.convert.mask_check import check_masks
from keras_sparse_rnn.convert.observe import observe, run_keras
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.convert.plan import plan
from keras_sparse_rnn.convert.quantize import Scale, within_percentile
from keras_sparse_rnn.convert.ranges import check_ranges
from keras_sparse_rnn.convert.recurrent.converter import LayerConverter
from keras_sparse_rnn.convert.report import LayerReport, Report
from keras_sparse_rnn.convert.representative_data import check_data
from keras_sparse_rnn.convert.sites import LearnedScales, check_computes_in_floats
from keras_sparse_rnn.convert.sparse_dense import pack_sparse_dense
from keras_sparse_rnn.convert.tflm_rewrites import rewrite_for_tflm
from keras_sparse_rnn.convert.traced import as_functional
from keras_sparse_rnn.convert.verify import check_labels, moved_by_clipping, verify_layers, verify_outputs
from keras_sparse_rnn.inspection import inspect
from keras_sparse_rnn.ops.recurrent import RecurrentOp
from keras_sparse_rnn.runtime.native import load_library
from keras_sparse_rnn.tflite_file import ModelFile

# From this share of inputs that are not zero, a product with all of them is faster on a Cortex-M4.
_FEWEST_ACTIVE = 0.4


@dataclass(frozen=True, eq=False)
class PackedCall:
    """A recurrent call as an op: its definition, its constant tensors by name, and the scale of its input (None for
    float32)."""

    layer: LayerConverter
    op: RecurrentOp
    constants: dict
    x_scale: Scale | None


def run(model, representative_data, representative_labels, ranges, options, progress):
    """Implements `ksr.convert`, given its `ConvertOptions`."""
    check_computes_in_floats(model)
    model = as_functional(model, representative_data)
    if keras.backend.backend() != "tensorflow":
        return convert_in_child(model, representative_data, representative_labels, ranges, options)
    load_library()
    if representative_labels is not None and (representative_data is None or not options.verify):
        raise ValueError("representative_labels need the representative_data that they belong to, and verify=True.")
    model = in_float32(model)
    cut = plan(model, options)
    _check_labels(options.labels, cut)
    learned = None if ranges is None else LearnedScales(cut, _check_ranges(ranges, options))
    if options.is_integer and representative_data is None and learned is None:
        raise ValueError(
            "an integer model needs representative_data: about a hundred typical inputs, which determine the ranges of "
            "the activations. Or pass ranges from quantization-aware training, or take weights='float32'."
        )
    data = check_data(cut, representative_data, options.stateful, learned)
    progress.show(f"running the Keras model on {len(data[0])} samples")
    seen = observe(cut, data, options.percentile)
    _check_finite(cut, seen.outputs)
    given, expected, keras_model = data, seen.outputs, partial(run_keras, cut)
    inputs = InputScales(model, [None] * len(data))
    if options.input_scales == "channel":
        inputs = InputScales.by_channel(model, cut, seen, options)
        model, data = inputs.model, inputs.divide(data)
        cut = plan(model, options)
        seen = observe(cut, data, options.percentile)
    check_masks(model, cut, data)
    labels = None if representative_labels is None else check_labels(representative_labels, seen.outputs)
    progress.show("TensorFlow Lite's converter, for all but recurrent layers")
    rest = lower(cut, seen.values, options.number_format, learned)
    scales = _scales(cut, rest, seen.values, options.number_format, learned) if options.is_integer else {}
    calls = []
    for call, observed in zip(cut.calls, seen.calls, strict=True):
        progress.show(f"packing {call.layer.name}")
        quantized = _quantize(call, observed, scales, options, learned)
        quantized = replace(quantized, op=_laid_out(quantized, observed))
        calls.append(_pack_call(call, quantized, options.blocks))
    gates = [gate.op(scales.get(id(gate.x)), options.number_format) for gate in cut.gates]
    file, dense = _pack(cut, rest, calls, gates, scales, options, learned, inputs.divisors)
    layers = [LayerReport.of(call, observed) for call, observed in zip(calls, seen.calls, strict=True)]
    report = Report(
        weights=options.weights,
        target=options.target,
        scales=options.scales,
        input_scales=options.input_scales,
        inspection=inspect(file, engines=()),
        layers=layers,
        dense=dense,
        data=file,
    )
    report.warnings += _alike_when_rounded(cut, seen, scales)
    report.steps_made = {
        gate.layer.name: float(made.mean()) for gate, (*_, made) in zip(cut.gates, seen.gates, strict=True)
    }
    converted = ConvertedModel(file, report, [array[:2, 0] for array in given])
    if options.verify:
        for gate, op, (x, *mask, made) in zip(cut.gates, gates, seen.gates, strict=True):
            scale = scales.get(id(gate.x))
            warning = verify_gate(gate, op, scale, x, made, mask[0] if mask else None)
            report.warnings += [warning] if warning else []
        causes = _likely_causes(cut, seen, scales, options) if options.is_integer else []
        verify_layers(calls, seen.calls, layers, causes, progress)
        report.warnings += moved_by_clipping(data, seen.outputs, partial(run_keras, cut), options.percentile)
        rates = representative_data is not None or not options.is_integer
        verify_outputs(
            converted, given, expected, labels, keras_model, causes, options, progress, rates, learned is not None
        )
    return converted


def _likely_causes(cut, seen, scales, options):
    inputs = dict(zip(cut.input_names, seen.data, strict=True))
    causes = likely_causes(inputs, dict(zip(cut.output_names, seen.outputs, strict=True)), options)
    tensors = [(f"the input of layer '{call.layer.name}'", call.x) for call in cut.calls]
    tensors += [(f"the output of layer '{call.layer.name}'", call.y) for call in cut.calls]
    tensors += [(f"output '{name}'", tensor) for name, tensor in zip(cut.output_names, cut.outputs, strict=True)]
    return causes or few_steps([(what, seen.values[id(x)], scales.get(id(x))) for what, x in tensors], options)


def _check_finite(cut, outputs):
    """Raises ValueError where an output of the Keras model is not finite."""
    for name, values in zip(cut.output_names, outputs, strict=True):
        by_chunk = np.isfinite(values).reshape(*values.shape[:2], -1).all(axis=2)
        if not by_chunk.all():
            pools = [layer.name for layer in cut.pools]
            raise ValueError(
                f"output '{name}' of the Keras model is NaN or infinite for {np.mean(~by_chunk):.1%} of the inputs"
                + (
                    f": '{pools[0]}' divides by the number of steps that are made, and Keras gives NaN where none is. "
                    "Take the last state of a recurrent layer instead, which repeats, or longer inputs of which a "
                    "step is always made."
                    if pools
                    else "."
                )
            )


def _alike_when_rounded(cut, seen, scales):
    """Returns warnings about steps of the data that the integer model skips and Keras does not."""
    warned = []
    for mask in cut.masks:
        scale = scales.get(id(mask.x))
        if scale is not None:
            left_out = (scale.quantize(seen.values[id(mask.x)]) == scale.quantize(mask.value)).all(axis=-1)
            more = float(np.mean(left_out & seen.values[id(mask.y)]))
            if more:
                warned.append(
                    f"{more:.2%} of the steps are skipped although Keras computes them: all of their features round to "
                    f"the mask value {mask.value:g}; take weights='int8x16', or a mask value far from all steps"
                )
    return warned


def _scales(cut, rest, values, number_format, learned):
    """Returns a dict from the id of each symbolic tensor between the rest and the recurrent calls to its `Scale`. For a
    tensor of the rest, this is the scale in the rest."""
    scales = {}
    ends = [part for call in cut.calls for part in (call.x, call.y)]
    ends += [mask.x for mask in (*cut.masks, *cut.gates)] + [lookup.y for lookup in cut.lookups]
    ends += [part for call in cut.floats for part in (*call.read, call.y)]
    for tensor in [*cut.inputs, *cut.outputs, *ends]:
        if "float" not in tensor.dtype:
            continue  # numbers of words, masks
        seen = values[id(tensor)]
        by_data = Scale.of_range(seen.min(), seen.max(), number_format.activation_bits)
        scales[id(tensor)] = by_data if learned is None else learned.of(tensor)
    if rest.data is not None:
        file = ModelFile(rest.data)
        for key, number in rest.numbers(file).items():
            tensor = file.tensors[number]
            if tensor.scale is not None:  # not of the numbers of words
                scales[key] = Scale(tensor.scale, tensor.zero_point, number_format.activation_bits)
    return scales


def _quantize(call, seen, scales, options, learned):
    """Returns the `PackedCall` of a call, without constants."""
    layer = call.layer
    if not options.is_integer:
        return PackedCall(layer, layer.float32_op(options.blocks[0]), {}, None)
    x, output = scales[id(call.x)], scales[id(call.y)]
    if learned is None:
        states = {name: within_percentile(seen.all_states(name), options.percentile) for name in seen.states}
    else:
        states = learned.states(call)
    op = layer.integer_op(options.blocks[0], x, output, replace(seen, states=states), options)
    _check_initial(layer.name, op, seen.initial, states)
    return PackedCall(layer, op, {}, x)


def _laid_out(call, seen):
    """Returns the op of a call, with dense matrices stored by outputs if that is faster, although sources that are zero
    then cost as much as others."""
    x = seen.x != 0 if call.x_scale is None else call.x_scale.quantize(seen.x) != call.x_scale.zero_point
    return call.op.laid_out(inputs_act=np.mean(x) > _FEWEST_ACTIVE)


def _check_initial(name, op, initial, states):
    """Raises ValueError if the op cannot hold its initial states."""
    tensors = op.states()
    for state in initial:
        tensor = tensors[state]
        held = 1.01 * tensor.scale * (np.iinfo(tensor.dtype).max + 1 - tensor.zero_point)
        largest = float(np.abs(states[state]).max())
        if largest > held:
            raise ValueError(
                f"layer '{name}' has an initial state of up to {largest:.3g} on the representative data; in integers "
                f"its state {state} goes up to {held / 1.01:.3g}. Use the activation tanh in the layer that computes "
                "the initial state, or take weights='float32'."
            )


def _pack_call(call, packed, blocks):
    """Returns the call with its constants, in blocks of the width or height that takes the fewest bytes."""
    words = {"initial_states": int(bool(call.initial))}
    op = replace(packed.op, options=replace(packed.op.options, **words))
    op = op.smallest(blocks)
    return replace(packed, op=op, constants=op.constants())


def _pack(cut, rest, calls, gates, scales, options, learned, divisors):
    """Returns the bytes of the file, and a `DenseReport` for each dense layer."""
    writer = ModelWriter(rest.data)
    if options.target == "tflm":
        rewrite_for_tflm(writer, rest.layers)
    numbers = rest.numbers(writer)  # of the tensors, by the ids of the symbolic ones

    def number_of(tensor, name):
        if id(tensor) not in numbers:
            scale = scales.get(id(tensor))
            pair = None if scale is None else (scale.scale, scale.zero_point)
            is_float = "float" in tensor.dtype
            dtype = options.number_format.activations if is_float else np.dtype(tensor.dtype)
            numbers[id(tensor)] = writer.add_tensor(name, tensor.shape, dtype, scale=pair)
        return numbers[id(tensor)]

    def add_state(name, info):
        pair = None if info.scale is None else (info.scale, info.zero_point)
        return writer.add_tensor(name, (options.batch_size, *info.shape[1:]), info.dtype, scale=pair)

    def initial_number(tensor, name, info):
        """The `TensorInfo` of an initial state, in the type that the op takes."""
        if id(tensor) not in numbers:
            numbers[id(tensor)] = add_state(name, info)
        return writer.add_quantize(numbers[id(tensor)], info)

    def last_number(tensor, name, info):
        """The `TensorInfo` of a state after the last step, in the op's type; the rest may take another."""
        taken = numbers.get(id(tensor))
        if taken is not None and writer.holds(taken, info):
            return taken
        number = add_state(name, info)
        if taken is not None:
            writer.add_operator("QUANTIZE", [number], [taken], schema.QuantizeOptionsT())
        if tensor is not None:
            numbers[id(tensor)] = number
        return number

    for lookup in cut.lookups:
        name = lookup.layer.embedding.name
        x, y = number_of(lookup.x, f"{name}/input"), number_of(lookup.y, f"{name}/output")
        writer.add_lookup(name, lookup.layer.table, x, y)
    for call in cut.floats:
        inner = ModelFile(lower_float32(call))
        if options.target == "tflm":
            rewrite_for_tflm(inner, [call.layer])
        read = [number_of(tensor, f"{call.layer.name}/input") for tensor in call.read]
        writer.add_float32(inner, read, number_of(call.y, f"{call.layer.name}/output"))
    for mask in cut.masks:
        x = number_of(mask.x, "masked")
        numbers[id(mask.y)] = writer.add_mask(x, mask.value, numbers.get(id(mask.y)))
    for call, op in zip(cut.gates, gates, strict=True):
        name = call.layer.name
        mask = None if call.mask is None else number_of(call.mask, f"{name}/mask")
        x, y = number_of(call.x, f"{name}/input"), number_of(call.y, f"{name}/steps")
        writer.add_recurrent(name, op, op.constants(), x, y, stateful=options.stateful, mask=mask)
    for call, packed in zip(cut.calls, calls, strict=True):
        name = call.layer.name
        x, y = number_of(call.x, f"{name}/input"), number_of(call.y, f"{name}/output")
        states = packed.op.states(writer.tensors[x].scale or 1.0)
        initial = {
            state: initial_number(tensor, f"{name}/initial_{state}", states[state])
            for state, tensor in call.initial.items()
        }
        last = [last_number(call.last.get(state), f"{name}/last_{state}", info) for state, info in states.items()]
        writer.add_recurrent(
            *(name, packed.op, packed.constants, x, y),
            stateful=options.stateful,
            initial=initial,
            last=last if call.last else [],
            mask=None if call.mask is None else number_of(call.mask, f"{name}/mask"),
            repeats=call.repeats,
        )
    inputs = {name: number_of(tensor, name) for name, tensor in zip(cut.input_names, cut.inputs, strict=True)}
    outputs = {name: number_of(tensor, name) for name, tensor in zip(cut.output_names, cut.outputs, strict=True)}
    is_tflm, bits = options.target == "tflm", options.number_format.weight_bits
    if learned is not None:
        bits = 0  # training for integers knows 8 bits of them alone
    dense = pack_sparse_dense(writer, bits) if is_tflm else pack_litert_sparse(writer)
    if options.number_format.weight_bits and not (calls or any(layer.stored.startswith("4 bits") for layer in dense)):
        raise ValueError(
            f"weights={options.weights!r} has nothing to store in 4 bits: those are for recurrent layers and, with "
            f"weights='int4' and target='tflm', for dense ones of more than a few weights. Take weights='int8"
            f"{'x16' * (options.number_format.activation_bits == 16)}'."
        )
    kernels = [kernel for packed in calls for kernel in packed.op.kernels]
    metadata = {
        "version": __version__,
        "sparsity": 1 - sum(map(np.count_nonzero, kernels)) / sum(k.size for k in kernels) if kernels else None,
        "weights": options.weights,
        "target": options.target,
        "scales": options.scales,
        "stateful": options.stateful,
        "labels": None if options.labels is None else list(options.labels),
        "batch_size": options.batch_size,
        "time_steps": cut.time_steps,
    }
    if any(by is not None for by in divisors):
        metadata["input_divisors"] = [None if by is None else by.tolist() for by in divisors]
    return writer.finish(inputs, outputs, metadata), dense


def _check_labels(labels, cut):
    """Raises ValueError unless there is a name for each class of an output. A single value represents two classes."""
    sizes = {name: tensor.shape[-1] for name, tensor in zip(cut.output_names, cut.outputs, strict=True)}
    if labels is not None and len(labels) not in {max(size, 2) for size in sizes.values()}:
        allowed = " or ".join(f"{max(size, 2)}, as output '{name}' has" for name, size in sizes.items())
        raise ValueError(f"labels must hold a name for each class: {allowed}; given: {len(labels)}, {list(labels)}.")


def _check_ranges(ranges, options):
    check_ranges(ranges)
    if options.percentile != 100:
        raise ValueError(
            f"percentile is for representative_data; given: {options.percentile} with ranges. Leave out one of the two."
        )
    if options.input_scales != "tensor":
        raise ValueError(
            "input_scales='channel' is not for ranges, which training has learned with one scale for each input. Train "
            "on inputs whose channels have one range, or leave ranges out."
        )
    for name in ("weights", "scales"):
        if getattr(ranges, name) != getattr(options, name):
            raise ValueError(
                f"{name} must be that of the training, {getattr(ranges, name)!r}; given: {getattr(options, name)!r}."
            )
    return ranges
