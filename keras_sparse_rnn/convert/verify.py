"""Compares a converted model with its Keras model.

Event layers are discontinuous: if a state lies within rounding of its threshold, one engine fires and another does
not. From there on the trajectories differ, and both are right. So layers are compared step by step from the same state,
and whole sequences by statistics that a few such flips do not change.
"""

import importlib.util
import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from keras_sparse_rnn.convert.causes import deviation, finer_integers
from keras_sparse_rnn.convert.converted_model import VerificationError
from keras_sparse_rnn.convert.quantize import OF_PROBABILITIES, within_percentile
from keras_sparse_rnn.runtime.native import NativeOp

FLOAT_TOLERANCE = 1e-5
INT8_STEP_ERROR = 0.03  # mean distance of a state in [-1, 1]
INT8_EVENT_AGREEMENT = 0.9
REMARKABLE_ERROR = 0.1  # root mean square of an output's error, in standard deviations of Keras's output: a warning
MOVED_BY_CLIPPING = 0.03  # likewise, by `percentile` alone: twice what int8 usually does
ROUNDED = 0.01  # change of the weights by rounding to 4 bits from which on the model was not trained for them
REMARKABLE_ERROR_OF_A_CHANNEL = 0.25  # in standard deviations of its own
FEWEST_STEPS, SMALLEST_SHARE = 4, 0.04  # of an output's scale, of its largest value: what varies less hardly varies
OF_FLOATS = 1e-6  # of the largest value: a channel that varies by less is constant but for rounding
# For models with event or delta layers or a gate: inputs are moved by this share of their standard deviation, as
# rounding would move them. The change of Keras's outputs times this factor is accepted; two unrelated outputs are 1.4
# apart.
MOVED_BY, ROUNDING_FACTOR, MOST_OF_ROUNDING = 0.01, 3, 1.6
_STEPS = 256
_SAMPLES = 32


def verify_layers(calls, observed, reports, causes, progress):
    """Compares each op with its Keras layer, step by step from Keras's own states, and fills the layers' `reports`.

    Args:
        calls, observed, reports: Lists with the `PackedCall`, the `Observed` and the `LayerReport` of each layer.
        causes: The result of `likely_causes`.
        progress: A `Progress`.

    Raises:
        VerificationError: Steps differ by more than rounding explains; the message describes the worst layer.
    """
    faults = []
    for call, seen, report in zip(calls, observed, reports, strict=True):
        progress.show(f"verifying {report.name}")
        excess, message = _compare_steps(call, seen, report)
        if excess > 1:
            faults.append((excess, report.name, message))
    if faults:
        _, worst, message = max(faults)
        others = ", ".join(f"'{name}'" for _, name, _ in faults if name != worst)
        message += f"; {others} differ as well, but less" if others else ""
        advice = f"Likely: {'; '.join(causes)}" if causes else "Check that representative_data cover the inputs in use"
        raise VerificationError(f"{message}. {advice}; convert(..., verify=False) returns the model as it is.")


def _compare_steps(call, seen, report):
    """Returns the error of an op's steps divided by the allowed error, and a message about it; fills the report."""
    steps = list(_steps(seen, call.op.options.go_backwards))
    if not steps:  # every step of the data is skipped
        return 0.0, ""
    errors, flips, margins = _distances(call, steps)
    report.step_error, report.largest_step_error = float(errors.mean()), float(errors.max())
    if flips is not None:
        report.event_agreement = float(1 - flips.mean())
    what = "what Keras does"
    if call.op.options.weight_bits == 4:  # the error of rounded weights is not a fault of the op
        what += " with the same weights of 4 bits"
        rounded = _SingleStep(_with_rounded_weights(call))
        errors, flips, margins = _distances(call, [(x, before, rounded(x, before)) for x, before, _ in steps])

    if call.op.is_integer:
        excess = [errors.mean() / INT8_STEP_ERROR]
        excess += [] if flips is None else [flips.mean() / (1 - INT8_EVENT_AGREEMENT)]
        allowed = f"a mean of {INT8_STEP_ERROR}"
        allowed += "" if flips is None else f" and {INT8_EVENT_AGREEMENT:.0%} equal events"
    else:
        tolerance = FLOAT_TOLERANCE * max(1.0, float(np.abs(seen.x).max()))
        excess = [errors.max() / tolerance]
        excess += [] if flips is None else [(margins * flips).max() / tolerance]  # no event is off beyond rounding
        allowed = f"at most {tolerance:.2g}"
    events = "" if flips is None else f", with {1 - flips.mean():.2%} equal events"
    return max(excess), (
        f"layer '{report.name}' does not do {what}: from the same state, one step differs by "
        f"{errors.mean():.3g} in the mean and {errors.max():.3g} at most{events}; allowed: {allowed}"
    )


def _distances(call, steps):
    """The results of the layer's `compare` for an op's steps, `(steps, ...)` each."""
    run = _SingleStep(call)
    scale = call.x_scale and call.x_scale.scale
    compared = [call.layer.compare(call.op, run(x, before), after, scale) for x, before, after in steps]
    return [None if part[0] is None else np.array(part) for part in zip(*compared, strict=True)]


def _with_rounded_weights(call):
    """The call as a float32 op with the dequantized weights, which differ by half a step at most."""
    op, kernels = call.layer.exact(call.op), {}
    steps = {"kernel": call.op.made_with.kernel, "recurrent_kernel": call.op.made_with.recurrent_kernel}
    for name, step in (steps | call.op.made_with.factors).items():
        exact = getattr(op, name)
        stored = np.clip(getattr(call.op, name) * step, exact - step / 2, exact + step / 2)
        kernels[name] = stored.astype(np.float32)
    op = replace(op, **kernels)
    return replace(call, op=op, constants=op.constants(), x_scale=None)


class _SingleStep:
    """One step of an op in the C core: `run(x, states before) -> states after`, all real values."""

    def __init__(self, call):
        words = {"return_sequences": 0, "go_backwards": 0, "initial_states": 0}
        op = replace(call.op, options=replace(call.op.options, **words))
        self._op = op
        self._tensors = op.states() if call.x_scale is None else op.states(call.x_scale.scale)
        self._x_scale = call.x_scale
        self._x = np.zeros((1, 1, op.inputs), op.dtype)
        self._states = {name: np.zeros(tensor.shape, tensor.dtype) for name, tensor in self._tensors.items()}
        self._inputs = op.SCHEMA.placed({"x": self._x, **call.constants, **self._states})
        self._run = NativeOp(op.SCHEMA.name, op.options.to_bytes(), self._inputs, [((1, op.options.units), op.dtype)])

    def __call__(self, x, states):
        self._x[...] = x if self._x_scale is None else self._x_scale.quantize(x)
        for name, values in states.items():
            self._states[name][0] = self._tensors[name].quantize(values)
        if "sums" in self._states:  # which Keras lacks
            wide = np.int64 if self._op.is_integer else np.float32
            zeros = {name: tensor.zero_point or 0 for name, tensor in self._tensors.items()}
            counts = {name: stored[0].astype(wide) - zeros[name] for name, stored in self._states.items()}
            self._states["sums"][0] = self._op.sums(counts)
        self._run(self._inputs)
        return {name: np.array(self._tensors[name].dequantize(self._states[name][0])) for name in states}


def _steps(seen, go_backwards):
    """`x, states before, states after` of single steps, spread over the samples."""
    per_sample = max(1, _STEPS // len(seen.x))
    for i, x in enumerate(seen.x):
        x = x[::-1] if go_backwards else x
        states = {name: state[i] for name, state in seen.states.items()}
        first = {
            name: seen.initial[name][i] if name in seen.initial else 0 * state[0] for name, state in states.items()
        }
        before = {name: np.concatenate([first[name][None], state[:-1]]) for name, state in states.items()}
        made = np.arange(len(x)) if seen.mask is None else np.flatnonzero(seen.mask[i][:: -1 if go_backwards else 1])
        if not len(made):
            continue
        for t in made[_spread(len(made), per_sample)]:
            yield x[t], *({name: state[t] for name, state in each.items()} for each in (before, states))


def _spread(count, most):
    """Returns at most so many indices below `count`, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, most).astype(int))


def check_labels(labels, outputs):
    """Returns the labels as integers, checked against Keras's outputs, a list of arrays `(samples, chunks, ...)`."""
    labels = np.asarray(labels)
    if len(outputs) != 1 or outputs[0].ndim < 3 or outputs[0].shape[-1] < 2:
        raise ValueError(
            "representative_labels need a model of one output with a value for each class; given one with outputs of "
            f"the shapes {[array.shape[2:] for array in outputs]}."
        )
    samples, classes = len(outputs[0]), outputs[0].shape[-1]
    decisions = outputs[0][..., 0].size // samples
    allowed = [(samples,), (samples, decisions)]
    if labels.shape not in allowed or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"representative_labels must be integers of the shape {allowed[0]} or {allowed[1]}; given: {labels.shape} "
            f"of {labels.dtype}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"representative_labels must be from 0 to {classes - 1}; given: {labels.min()} to {labels.max()}."
        )
    return labels


def verify_outputs(converted, data, expected, labels, run_keras, causes, options, progress, rates=True, trained=False):
    """Runs the whole model in the interpreters, compares its outputs with Keras's and fills `converted.report`.

    Args:
        converted: The `ConvertedModel`.
        data, expected: Its inputs and Keras's outputs, lists of arrays `(samples, chunks, ...)`.
        labels: Labels of the samples from `check_labels`, or None.
        run_keras: Function from inputs to Keras's outputs, with the shapes of `data` and `expected`.
        causes: The result of `likely_causes`.
        options: The `ConvertOptions`.
        progress: A `Progress`.
        rates: Whether the data are typical inputs, so that an error on them is meaningful.
        trained: Whether the model was trained for its integers, although its weights are not rounded.

    Raises:
        VerificationError: The outputs have little to do with Keras's.
    """
    report, everything = converted.report, data
    if labels is None:
        # Spread over all: data are often sorted by class.
        some = _spread(len(data[0]), _SAMPLES)
        data, expected = [array[some] for array in data], [array[some] for array in expected]
    else:
        report.keras_accuracy = _accuracy(expected[0], labels)
    expected = [array.reshape(-1, *array.shape[2:]) for array in expected]
    ratings = []
    engines = ["litert"]
    if report.target == "tflm" and importlib.util.find_spec("tflite_micro"):
        engines.append("tflm")
    for name in engines:
        progress.show(f"running {len(data[0])} samples in {name}")
        engine = converted.engine(name)
        outputs = [array.reshape(-1, *array.shape[2:]) for array in engine.run_chunks(data)]
        for tensor, ours, keras in zip(engine.outputs, outputs, expected, strict=True):
            _compare(report, name, tensor, ours, keras)
            if options.is_integer and tensor.scale is not None:
                ratings.append(_Rating.of(name, tensor, ours, keras))
        if labels is not None:
            accuracy = _accuracy(outputs[0], labels)
            report.accuracy = accuracy if report.accuracy is None else min(report.accuracy, accuracy)
        report.engines.append(name)
    converted.reset()
    report.warnings += _alike(engine.inputs, everything) if options.is_integer else []
    if ratings and rates:
        _judge(report, ratings, partial(_sensitivity, data, expected, run_keras), causes, options, trained)


def moved_by_clipping(data, expected, run_keras, percentile):
    """Warns of outputs of Keras that move if inputs and outputs are clipped as the ranges will clip them.

    Args:
        data, expected, run_keras: As for `verify_outputs`.
        percentile: As in `ksr.convert`.

    Returns:
        A list of warnings.
    """
    if percentile == 100:
        return []
    outputs = run_keras([within_percentile(values, percentile) for values in data])
    moved = {}
    for number, (ours, keras) in enumerate(zip(outputs, expected, strict=True)):
        low, high = np.percentile(keras, [100 - percentile, percentile])
        keras = keras.reshape(-1, *keras.shape[2:])
        error = _rms(np.clip(ours, low, high).reshape(keras.shape) - keras)
        moved[number] = error / deviation(keras) if deviation(keras) else 0.0
    return [
        f"percentile={percentile:g} clips values that matter: without any rounding it moves output {number} of Keras "
        f"by {error:.2g} standard deviations (root mean square). Take percentile=100, or one nearer to it."
        for number, error in moved.items()
        if error > MOVED_BY_CLIPPING
    ]


@dataclass(frozen=True)
class _Rating:
    """The error of an output.

    Attributes:
        name, engine: Names of the output and of the engine that computed it.
        error: Root mean square of the distance from Keras's output.
        deviation: Standard deviation of Keras's output: the root of the mean variance of its channels.
        least: Lower bound for the deviation.
        scale: Scale of the output's integers.
        channels: For each channel that varies, its number, error and deviation; none if the output is a probability,
            whose scale is fixed and where a class that none of the samples belongs to hardly varies.
    """

    name: str
    engine: str
    error: float
    deviation: float
    least: float
    scale: float
    channels: tuple[tuple[int, float, float], ...]

    @classmethod
    def of(cls, engine, tensor, ours, keras):
        least = max(FEWEST_STEPS * tensor.scale, SMALLEST_SHARE * float(np.abs(keras).max()))
        errors, deviations = np.sqrt(np.square(_channels(ours - keras)).mean(axis=0)), _channels(keras).std(axis=0)
        smallest = math.inf if tensor.scale == OF_PROBABILITIES.scale else OF_FLOATS * np.abs(keras).max(initial=0.0)
        varying = np.flatnonzero(deviations > smallest)
        channels = tuple((i, float(errors[i]), float(deviations[i])) for i in varying)
        return cls(tensor.name, engine, _rms(ours - keras), deviation(keras), least, tensor.scale, channels)

    @property
    def varies(self):
        return self.deviation >= self.least

    @property
    def relative_error(self):
        return self.error / max(self.deviation, self.least)

    def worst_channel(self):
        """A message about the channel with the largest error relative to its deviation; None if that is small."""
        number, error, spread = max(self.channels, key=lambda channel: channel[1] / channel[2], default=(0, 0.0, 1.0))
        if error / spread <= REMARKABLE_ERROR_OF_A_CHANNEL:
            return None
        what = f"output '{self.name}'" if len(self.channels) == 1 else f"channel {number} of output '{self.name}'"
        text = (
            f"{what} in {self.engine} is off by {error / spread:.2g} standard deviations of its own (root mean square)"
        )
        if spread < FEWEST_STEPS * self.scale:
            text += (
                f": its values vary by {spread / self.scale:.2g} steps of int8, which cannot tell them apart. Bring "
                "what the model predicts to zero mean and one scale for all channels, or take weights='int8x16'"
            )
        return text + "."


def _channels(outputs):
    """Reshapes outputs `(.., channels)` to `(all others, channels)`, float64."""
    channels = outputs.reshape(-1, outputs.shape[-1]) if outputs.ndim > 1 else outputs.reshape(-1, 1)
    return channels.astype(np.float64)


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _sensitivity(data, expected, run_keras):
    """How far Keras's own outputs move, in standard deviations, if each input is moved a little; None if no input holds
    real numbers."""
    generator, moved = np.random.default_rng(0), []
    for values in data:
        if np.issubdtype(values.dtype, np.floating):
            spread = values.std(axis=tuple(range(values.ndim - 1)))
            values = values + MOVED_BY * spread * generator.standard_normal(values.shape).astype(values.dtype)
        moved.append(values)
    if all(a is b for a, b in zip(moved, data, strict=True)):
        return None
    outputs = [array.reshape(keras.shape) for array, keras in zip(run_keras(moved), expected, strict=True)]
    pairs = [(_rms(array - keras), deviation(keras)) for array, keras in zip(outputs, expected, strict=True)]
    return max((error / spread for error, spread in pairs if spread), default=None)


def _alike(inputs, data):
    """Warnings about inputs whose samples are all the same."""
    return [
        f"all {len(values)} samples of representative_data for input '{tensor.name}' are the same: ranges that are "
        "made of them say nothing of other inputs. Give samples as in use."
        for tensor, values in zip(inputs, data, strict=True)
        if len(values) > 1 and np.issubdtype(values.dtype, np.floating) and not np.ptp(values, axis=0).any()
    ]


def _judge(report, ratings, sensitivity, causes, options, trained):
    """Warns of a large error, or refuses it."""
    report.relative_error = max((rating.relative_error for rating in ratings if rating.varies), default=None)
    worst = max(ratings, key=lambda rating: rating.relative_error)
    error, allowed = worst.relative_error, options.max_relative_error
    is_rounded = (
        options.number_format.weight_bits
        and not trained
        and any(layer.weight_error > ROUNDED for layer in report.layers if layer.weight_error is not None)
    )
    if is_rounded:
        causes = [
            "weights of 4 bits, which the model was not trained for (weights='int8' takes twice as many)",
            *causes,
        ]
    if error <= min(REMARKABLE_ERROR, allowed) and not is_rounded:
        report.warnings += _of_channels(ratings)
        return
    decides = [layer.event_rate is not None or layer.input_rate is not None for layer in report.layers]
    if any(decides) or report.steps_made:
        moved = sensitivity()
        if moved is not None and moved > REMARKABLE_ERROR:
            allowed = max(allowed, min(ROUNDING_FACTOR * moved, MOST_OF_ROUNDING))
            causes = [
                *causes,
                f"the model amplifies rounding: Keras's own outputs move by {moved:.2g} standard deviations where each "
                f"input moves by {MOVED_BY:.0%} of its own",
            ]
    causes = causes or [_rounding(report.layers) + finer_integers(options)]
    message = (
        f"output '{worst.name}' in {worst.engine} is off by {error:.2g} standard deviations of Keras's outputs (root "
        f"mean square)"
    )
    if error > allowed:
        raise VerificationError(
            f"{message}; allowed: {allowed:.2g}. Likely: {'; '.join(causes)}. With a higher max_relative_error, "
            "convert returns it all the same."
        )
    of_channels = [] if worst.varies else _of_channels(ratings)
    report.warnings += of_channels or [f"{message}. Likely: {'; '.join(causes)}."]


def _rounding(layers):
    """Returns the cause if there is no other: rounding, with the layer whose steps it changes most."""
    steps = [(layer.step_error, layer.name) for layer in layers if layer.step_error is not None]
    if not steps:
        return "rounding of weights and activations"
    error, name = max(steps)
    return f"rounding, which moves the states of layer '{name}' by {error:.2g} in each step"


def _of_channels(ratings):
    """Warnings about the worst channel of each output, in the first engine."""
    warnings = {}
    for rating in ratings:
        warnings.setdefault(rating.name, rating.worst_channel())
    return [text for text in warnings.values() if text]


def _accuracy(outputs, labels):
    """Share of right decisions; of the last one per sample if `labels` has one axis."""
    decisions = outputs.argmax(axis=-1).reshape(len(labels), -1)
    return float(np.mean(decisions == labels if labels.ndim == 2 else decisions[:, -1] == labels))


def _compare(report, engine, tensor, ours, keras):
    error = np.abs(ours - keras)
    if not np.isfinite(error).all():
        raise VerificationError(f"output '{tensor.name}' in {engine} holds NaN or infinite values.")
    report.output_error = max(report.output_error or 0.0, float(error.mean()))
    # A flip changes the samples in which it happens, a fault changes all.
    by_sample = error.reshape(len(error), -1).max(axis=1)
    if report.weights == "float32" and np.median(by_sample) > 1e-3 * max(1.0, float(np.abs(keras).max())):
        raise VerificationError(
            f"output '{tensor.name}' in {engine} differs from Keras's by {error.mean():.3g} in the mean, "
            f"{error.max():.3g} at most{', while every recurrent layer is right on its own' * bool(report.layers)}; "
            "convert(..., verify=False) returns the model as it is."
        )
    if keras.ndim == 2 and keras.shape[1] > 1:
        equal = float(np.mean(ours.argmax(axis=1) == keras.argmax(axis=1)))
        report.equal_decisions = equal if report.equal_decisions is None else min(report.equal_decisions, equal)
