"""The contents of a report: everything that this package can measure of a model."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_sparse_rnn.convert.converted_model import ConvertedModel
from keras_sparse_rnn.inputs import check_is_keras
from keras_sparse_rnn.ops import OPS
from keras_sparse_rnn.profiling.watch_ops import WatchingEngine
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.tflite_file import read_bytes

WATCHED_SAMPLES = 4  # run in NumPy, op by op, to see which units act
BENCH_SAMPLES = 2  # run on the emulated board
DRIFT_SAMPLES = 16
DRIFT_PARTS = 40
_NUMBERS = ("weights", "scales", "percentile", "block_size")  # options of convert that say how it counts


@dataclass
class OpFacts:
    """One op of the `.tflite` model; MACs, instructions and cycles are per time step, on average.

    Attributes:
        name, layer: Name of the op, and of the recurrent layer that it comes from.
        bytes, dense_bytes: Bytes of its constants as stored, and with all weights stored.
        zeros: Share of its weights that are zero; None without weights.
        macs, effective_macs: MACs without and with skipping; None if unknown.
        events: Share of units that fire in a step; None if there are no events or it is unknown.
        instructions, cycles: Counted instructions, and cycles estimated from them; None if unknown.
    """

    name: str
    layer: str
    bytes: int
    dense_bytes: int
    zeros: float | None
    macs: float | None
    effective_macs: float | None = None
    events: float | None = None
    instructions: float | None = None
    cycles: float | None = None


@dataclass
class Facts:
    """Everything on a page.

    Attributes:
        name: Name of the model.
        profile: A `ModelProfile` of the Keras model; None for a `.tflite` file.
        inspection: An `Inspection` of the `.tflite` model; None if there is none.
        conversion: The `Report` of the conversion; None for a `.tflite` file.
        ops: An `OpFacts` for each op.
        kernels: For each kernel its name, the matrix (inputs, gates * units), and the names of its gates.
        events: Pairs of a name and booleans (time, units) of the first sample.
        drift: Mean absolute error of the layer `drift_of` against Keras in intervals of time; None if unknown.
        bench: A `firmware.bench.Bench`; None if unknown.
        unknown: Dict from each unknown value to the reason.
    """

    name: str
    profile: object = None
    inspection: object = None
    conversion: object = None
    ops: list = field(default_factory=list)
    kernels: list = field(default_factory=list)
    events: list = field(default_factory=list)
    drift: np.ndarray | None = None
    drift_of: str = ""
    bench: object = None
    unknown: dict = field(default_factory=dict)

    def total(self, figure):
        """The sum over the ops; None if one is unknown."""
        values = [getattr(op, figure) for op in self.ops]
        return sum(values) if values and None not in values else None


def gather(model, data, cpu, options, progress):
    """Gathers the `Facts` of a model.

    Args:
        model: A Keras model, or a `.tflite` model as for `tflite_file.read_bytes`.
        data: Inputs, `(samples, time, ...)`, or None.
        cpu: A key of `firmware.bench.CPUS`, or None to count no instructions.
        options: Keyword arguments of `ksr.convert`, for a Keras model.
        progress: A `Progress`.
    """
    if isinstance(model, (str, os.PathLike, bytes, bytearray, memoryview, Model, ConvertedModel)):
        facts = Facts(Path(model).name if isinstance(model, (str, os.PathLike)) else "model.tflite")
        facts.unknown["drift"] = "the error against Keras needs the Keras model: give it in place of the .tflite model"
        facts.conversion = model.report if isinstance(model, ConvertedModel) else None
        tflite = read_bytes(model)
    else:
        check_is_keras(model)
        facts = Facts(model.name)
        tflite = _of_keras(facts, model, data, options, progress)
    if tflite is not None:
        _of_tflite(facts, tflite, data, cpu, progress)
    return facts


def _of_keras(facts, model, data, options, progress):
    """Gathers the facts that need the Keras model; returns the bytes of the converted model, or None."""
    from keras_sparse_rnn.convert import VerificationError, convert
    from keras_sparse_rnn.profiling import profile

    progress.show("counting in Keras")
    facts.profile = profile(model, data)
    options = {"weights": "float32" if data is None else "int8", **options}
    progress.show("converting")
    try:
        converted = convert(model, data, **options)
    except (ValueError, RuntimeError, ImportError, VerificationError) as error:
        facts.unknown["the .tflite model"] = facts.unknown["drift"] = f"it does not convert: {error}"
        _of_layers(facts, model, data)
        return None
    facts.conversion = converted.report
    if data is None:
        facts.unknown["drift"] = "no data given"
    else:
        progress.show("comparing with Keras along the time")
        try:
            facts.drift, facts.drift_of = _drift(model, data, options)
        except ValueError as error:
            facts.unknown["drift"] = str(error)
    return converted.data


def _of_layers(facts, model, data):
    """Kernels and events of the Keras model."""
    import keras

    from keras_sparse_rnn.profiling import record_events
    from keras_sparse_rnn.sparsity import find_kernels

    for kernel in find_kernels(model, lambda layer: True, frozen=True)[0]:
        facts.kernels.append((kernel.path, kernel.values(), kernel.gate_names))
    if data is not None:
        first = keras.tree.map_structure(lambda x: x[:1], data)
        facts.events = [(name, active[0]) for name, active in record_events(model, first).items()]


def _drift(model, data, options):
    """Error of the last recurrent layer's states over time, `(parts,)`, and the layer's name."""
    import keras

    from keras_sparse_rnn.convert import convert

    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.RNN)]
    if not layers or isinstance(data, (dict, list, tuple)):
        raise ValueError("drift is followed in models of one input with a recurrent layer at the first level")
    layer, data = layers[-1], np.asarray(data)[:DRIFT_SAMPLES]
    config = {**layer.get_config(), "return_sequences": True, "return_state": False, "stateful": False}
    twin = type(layer).from_config(config)
    x = keras.tree.flatten(layer.input)[0]
    twin.build(x.shape)
    twin.set_weights(layer.get_weights())
    sequences = keras.Model(model.inputs, twin(x))
    given = {name: options[name] for name in _NUMBERS if name in options}
    converted = convert(sequences, data, **given, verify=False)
    expected = sequences.predict(data, verbose=0)
    return converted.drift(data, expected, parts=min(DRIFT_PARTS, data.shape[1])), layer.name


def _of_tflite(facts, tflite, data, cpu, progress):
    from keras_sparse_rnn.inspection import inspect

    progress.show("looking into the .tflite model")
    facts.inspection = inspect(tflite)
    facts.ops = [OpFacts(op.name, "", op.bytes, op.dense_bytes, op.zeros, op.macs) for op in facts.inspection.ops]
    try:
        model = Model(tflite)
    except ValueError as error:
        facts.unknown["effective MACs"] = facts.unknown["instructions"] = str(error)
        return
    if data is not None:
        _check(model, data)
    shape = model.inputs[0].shape
    steps = shape[0] * (shape[1] if len(shape) == 3 else 1)  # of all samples of an inference
    names = iter([] if facts.conversion is None else [layer.name for layer in facts.conversion.layers])
    for op, inspected in zip(facts.ops, facts.inspection.ops, strict=True):
        op.macs = None if op.macs is None else op.macs / steps
        if op.name not in OPS and inspected.effective_macs is not None:
            op.effective_macs = inspected.effective_macs / steps
        op.layer = next(names, "") if op.name in OPS else ""
    progress.show("running it op by op")
    _watch(facts, model, data)
    if cpu is None:
        facts.unknown["instructions"] = "not asked for"
    else:
        progress.show(f"counting instructions on an emulated {cpu}")
        _count(facts, model, data, cpu)


def _watch(facts, model, data):
    """Kernels, events and effective MACs of the recurrent ops, from a run of the NumPy ops on data."""
    try:
        engine = WatchingEngine(model)
    except (ValueError, RuntimeError) as error:
        facts.unknown["effective MACs"] = str(error)
        return
    watched = [(seen, fact) for seen, fact in zip(engine.seen, _recurrent(facts), strict=True)]
    for seen, fact in watched:
        for name, kernel in zip(("kernel", "recurrent kernel", "candidate's kernel"), seen.op.kernels, strict=False):
            count = kernel.shape[1]
            gates = seen.op.gates[-count:] if name == "candidate's kernel" else seen.op.gates[:count]
            facts.kernels.append((f"{fact.layer or fact.name}: {name}", kernel.reshape(len(kernel), -1), gates))
    if data is None:
        facts.unknown["effective MACs"] = facts.unknown["events"] = "no data given"
        return
    try:
        engine.run_chunks(_chunks(model, data, WATCHED_SAMPLES))
    except ValueError as error:
        facts.unknown["effective MACs"] = facts.unknown["events"] = str(error)
        return
    for seen, fact in watched:
        if seen.macs:
            fact.effective_macs = float(np.mean(seen.macs))
        if seen.active:
            fact.events = float(np.mean(seen.active))
            facts.events.append((fact.layer or fact.name, np.array(seen.active[: seen.first])))


def _recurrent(facts):
    return [op for op in facts.ops if op.name in OPS]


def _chunks(model, data, samples):
    """Returns a few samples in the form that `Engine.run_chunks` takes.

    Raises:
        ValueError: The model has several inputs.
    """
    [x] = model.inputs if len(model.inputs) == 1 else [None]
    if x is None or isinstance(data, (dict, list, tuple)):
        raise ValueError("models of several inputs are not run here")
    data = np.asarray(data)[:samples]
    return [data.reshape(len(data), -1, *x.shape[1:])]


def _check(model, data):
    """Raises ValueError unless data fit a model of one input: whole chunks of time steps, and finite values."""
    from keras_sparse_rnn.inputs import check_array

    if len(model.inputs) > 1 or isinstance(data, (dict, list, tuple)):
        return
    data, (chunk, *features) = np.asarray(data), model.inputs[0].shape[1:]
    chunks = data.shape[1] // chunk if data.ndim > 1 else 1
    check_array("data", data, (chunks * chunk, *features), data.shape[:1], (chunk, *features))


def _count(facts, model, data, cpu):
    from keras_sparse_rnn.firmware import qemu
    from keras_sparse_rnn.firmware.bench import bench

    if missing := qemu.missing_tools():
        facts.unknown["instructions"] = f"{', '.join(missing)} not installed"
        return
    try:
        x = None
        if data is not None:
            [chunks] = _chunks(model, data, BENCH_SAMPLES)
            # Where the state goes on a sample is one sequence of steps, else each chunk is one.
            streams = model.metadata.get("stateful") and model.inputs[0].shape[1] == 1
            x = chunks.reshape(len(chunks), -1, *chunks.shape[3:]) if streams else chunks[:, 0]
        facts.bench = bench(model, x, cpu)
    except (ValueError, RuntimeError) as error:
        facts.unknown["instructions"] = str(error)
        return
    for op, cost in zip(facts.ops, facts.bench.builds["-O2"].ops, strict=False):
        op.instructions, op.cycles = cost.instructions, cost.cycles_estimate
