"""Random models of one recurrent layer, over all that a layer may be at once: its cell and activations, the states that
it is given and gives, masks, directions, zeros in its weights, the number format.

python tests/convert/random_recurrent.py --count 1000
"""

import argparse
from dataclasses import dataclass, field

import keras
import numpy as np
from event_models import prune
from keras import layers
from zoo import ENGINES, LAYERS, error_by_sample

import keras_sparse_rnn as ksr
from keras_sparse_rnn.ops.activations import BY_NAME

FORMATS = ("float32", "int8", "int8x16")
SAMPLES, INPUTS = 24, 5
# Where the states of a layer come from, and where they go.
STATES = ("zero", "given", "returned", "one step", "of an encoder", "stateful")
MASKS = ("none", "given", "by value")


@dataclass(eq=False)
class RandomRecurrent:
    """A model, data for it, and what `ksr.convert` is told.

    Attributes:
        label: What was drawn.
        data: A list of arrays `(samples, ...)`, one for each input.
        may_flip: Whether rounding may decide about an event or a change.
        has_only_ops: Whether nothing but ops of ours computes: builtin ops round otherwise in other interpreters.
        has_whole: Whether the outputs are those of whole sequences: a chunk of a stream that begins with masked steps
            begins with zeros.
    """

    label: str
    model: keras.Model
    data: list
    weights: str
    may_flip: bool
    has_only_ops: bool
    has_whole: bool
    options: dict = field(default_factory=dict)


def random_recurrent(seed):
    """The `RandomRecurrent` of a seed."""
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    kind, weights = _one_of(rng, [name for name in LAYERS if name != "DeltaDense"]), FORMATS[seed % len(FORMATS)]
    has_gates, has_delta = "SimpleRNN" not in kind, "Delta" in kind
    names = [name for name in BY_NAME if name != "exponential"]  # of which states grow from step to step
    drawn = [_one_of(rng, names) if rng.random() < 0.7 else usual for usual in ("tanh", "sigmoid")]
    if "Highway" in kind:  # coupled, it has no others; not coupled, its states would grow with most
        drawn[1] = _one_of(rng, ("sigmoid", "hard_sigmoid"))
    functions = dict(zip(("activation", "recurrent_activation"), drawn[: 1 + has_gates], strict=False))
    states = _one_of(rng, [name for name in STATES if not has_delta or name in ("zero", "stateful")])
    masks = _one_of(rng, MASKS)
    both = states in ("zero", "given", "returned") and rng.random() < 0.25
    backwards = states not in ("one step", "stateful") and not both and rng.random() < 0.3
    units, steps = int(rng.integers(1, 14)), 1 if states == "one step" else 6
    sequences, zeros = bool(rng.integers(2)), _one_of(rng, (0, 0, 0.5, 0.9))
    layer = LAYERS[kind](
        units,
        return_sequences=sequences,
        return_state=states in ("returned", "one step"),
        go_backwards=backwards,
        use_bias=bool(rng.random() < 0.8),
        zero_output_for_mask=bool(rng.integers(2)) and masks != "none",
        name="layer",
        **functions,
    )
    label = f"{seed}: {kind} of {units}, {functions}, states {states}, mask {masks}, both ways {both}, "
    label += f"backwards {backwards}, sequences {sequences}, zeros {zeros}, {weights}"

    x = keras.Input((None if states == "stateful" else steps, INPUTS), name="x")
    inputs, data = [x], [rng.normal(0, 1, (SAMPLES, steps, INPUTS)).astype(np.float32)]
    mask, masked = None, x
    if masks == "given":
        mask = keras.Input((x.shape[1],), dtype="bool", name="mask")
        inputs, data = [*inputs, mask], [*data, rng.random((SAMPLES, steps)) < 0.7]
    elif masks == "by value":
        masked = layers.Masking(0.0)(x)
        data[0] *= (rng.random((SAMPLES, steps)) < 0.7)[..., None]
    initial = None
    if states in ("given", "one step"):
        low = 0 if "EventGRU" in kind else -0.8
        for i, size in enumerate(_sizes(layer) * (1 + both)):
            inputs.append(keras.Input((size,), name=f"state_{i}"))
            data.append(rng.uniform(low, 0.8, (SAMPLES, size)).astype(np.float32))
        initial = inputs[-len(_sizes(layer)) * (1 + both) :]
    elif states == "of an encoder":
        source = keras.Input((3, 4), name="source")
        inputs, data = [*inputs, source], [*data, rng.normal(0, 1, (SAMPLES, 3, 4)).astype(np.float32)]
        end = "sigmoid" if "EventGRU" in kind else "tanh"
        initial = [layers.GRU(size, activation=end)(source) for size in _sizes(layer)]
    called = layers.Bidirectional(layer, merge_mode=None) if both else layer
    given = {"mask": mask, "initial_state": initial}
    outputs = called(masked, **{name: value for name, value in given.items() if value is not None})
    model = keras.Model(inputs, outputs)
    for one in [called.forward_layer, called.backward_layer] if both else [layer]:
        _train(one, rng, zeros)
    options = {"stateful": True, "time_steps": int(rng.choice([1, 2, 3]))} if states == "stateful" else {}
    return RandomRecurrent(
        label,
        model,
        data,
        weights,
        may_flip=has_delta or "EventGRU" in kind,
        has_only_ops=states != "of an encoder",
        has_whole=not options or masks == "none",
        options=options,
    )


def _one_of(rng, names):
    names = list(names)
    return names[int(rng.integers(len(names)))]


def _sizes(layer):
    return [int(size) for size in keras.tree.flatten(layer.cell.state_size)]


def _train(layer, rng, zeros):
    """Weights with which states do not grow from step to step, whatever the activation, and biases that are not 0."""
    for variable in layer.weights:
        if "kernel" in variable.name:
            variable.assign(variable * 0.4)
        elif variable.name == "bias":
            variable.assign_add(rng.normal(0, 0.3, variable.shape))
    prune(layer, zeros)


def check(seed):
    """Raises AssertionError where a random model's file is not what Keras computes, or differs from engine to engine;
    `convert` itself compares the layer's steps with Keras's."""
    case = random_recurrent(seed)
    data = case.data if len(case.data) > 1 else case.data[0]
    converted = ksr.convert(case.model, data, weights=case.weights, **case.options)
    by_engine = {engine: _outputs(case, converted, engine, 6) for engine in ENGINES}
    reference = by_engine["reference"]
    if case.weights != "float32" and case.has_only_ops:
        for engine, outputs in by_engine.items():
            for ours, others in zip(outputs, reference, strict=True):
                np.testing.assert_array_equal(ours, others, f"{case.label}: {engine}")
        by_engine = {"reference": reference}
    if not case.has_whole:
        return
    expected = keras.tree.flatten(case.model.predict(data, verbose=0))
    for engine, outputs in by_engine.items():
        for ours, keras_own in zip(outputs, expected, strict=True):
            error = error_by_sample(ours, keras_own[:6])
            error, limit = np.median(error) if case.may_flip else error.max(), _limit(case, keras_own)
            assert error <= limit, f"{case.label}: {engine}: {error} beyond {limit}"


def _limit(case, expected):
    """Of the largest error: an event that comes a step later moves an output by more than rounding does."""
    largest = max(1.0, float(np.abs(expected).max()))
    if case.weights == "float32":
        return 1e-5 * largest
    return (0.12 if case.weights == "int8" else 0.04) * (8 if case.may_flip else 1) * largest


def _outputs(case, converted, engine, samples):
    """Those of the first samples, at the last step where a stream gives one output a chunk."""
    few = [array[:samples] for array in case.data]
    if not case.options:
        outputs = converted.predict(few if len(few) > 1 else few[0], engine)
        return outputs if isinstance(outputs, list) else [outputs]
    steps = case.options["time_steps"]
    chunks = [array.reshape(samples, -1, steps, *array.shape[2:]) for array in few]
    [outputs] = converted.engine(engine).run_chunks(chunks)
    last = outputs.ndim == 3
    return [outputs[:, -1] if last else outputs.reshape(samples, -1, outputs.shape[-1])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    arguments = parser.parse_args()
    failed = 0
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        try:
            check(seed)
        except Exception as error:  # whatever it is, the next one is tried
            failed += 1
            print(f"{random_recurrent(seed).label}\n  {type(error).__name__}: {str(error)[:400]}", flush=True)
    print(f"{arguments.count} models, {failed} failed")
    raise SystemExit(failed > 0)
