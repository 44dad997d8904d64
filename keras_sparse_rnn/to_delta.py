"""Converts a trained model to a delta network, with thresholds chosen on data."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_sparse_rnn.cells import read_apart
from keras_sparse_rnn.initializers import Sensitivity
from keras_sparse_rnn.inputs import check_inputs
from keras_sparse_rnn.layers import DeltaDense, DeltaGRU, DeltaLSTM, DeltaSimpleRNN, LightGRU
from keras_sparse_rnn.layers.delta_layer import DeltaLayer
from keras_sparse_rnn.profiling.macs import LayerMacs, count_macs
from keras_sparse_rnn.sparsity.wiring import cloned, is_graph
from keras_sparse_rnn.typing import Arrays, check_flag, is_number

_TWINS = {
    keras.layers.GRU: DeltaGRU,
    keras.layers.LSTM: DeltaLSTM,
    keras.layers.SimpleRNN: DeltaSimpleRNN,
    LightGRU: DeltaGRU,
    keras.layers.Dense: DeltaDense,
    keras.layers.Conv1D: DeltaDense,
}
_HOLDS = ("input_threshold", "hidden_threshold", "reset_threshold")
_OCTAVES = 12  # range of the searched scales, below the largest
_LARGEST_SCALE = 8.0

Error = Callable[[list[np.ndarray], list[np.ndarray]], float]


@dataclass(frozen=True)
class DeltaPoint:
    """Error and cost of a delta network at one scale of its thresholds.

    Attributes:
        scale: Scale of `Sensitivity` in every layer.
        error: Difference between its outputs and those of the model, as measured by `error`.
        macs: MACs per step of its recurrent and delta layers, without those of held values.
        dense: MACs per step of these layers, with every weight.
    """

    scale: float
    error: float
    macs: float
    dense: float


def to_delta(
    model: keras.Model,
    data: Arrays,
    tolerance: float = 0.05,
    error: Error | None = None,
    verbose: bool = True,
    dense: bool = True,
) -> keras.Model:
    """Converts a trained model to a delta network with the same weights and with thresholds chosen on data.

    Each `keras.layers.GRU`, LSTM, SimpleRNN and LightGRU, nested or in Bidirectional, is replaced by a delta layer with
    thresholds from `initializers.Sensitivity`. So is each Dense, and each Conv1D that sees one step at a time
    (`kernel_size=1`), if it is called on sequences without a mask. Other layers, such as a DeltaGRU or an EventGRU,
    stay as they are. The scale of the thresholds is found by bisection: first one scale for all layers; then one scale
    per hold of each layer, such that its share of the error grows with the number of weights that read it. The variant
    with fewer MACs is returned, with thresholds of 0 where no larger ones are within the tolerance. Nothing is trained,
    but `fit` can fine-tune the new model.

    Args:
        model: Built Sequential or Functional model. It is not changed.
        data: Representative inputs, (samples, time, ...), as for `model.predict`. The model runs on them about ten
            times per layer, from zero states.
        tolerance: Largest allowed error of the outputs, above 0.
        error: Function that measures the error, given two lists of arrays: the outputs of the model and of the delta
            network. By default, the root mean square of their difference, divided by the standard deviation of the
            model's output; with several outputs, the largest value.
        verbose: Whether to print the thresholds, rates and MACs of each layer.
        dense: Whether to replace Dense and Conv1D layers, too. On a Cortex-M4, a Dense of which over 40 % of the inputs
            change in a step takes fewer instructions as it is.

    Returns:
        The delta network, a `keras.Model` of the same name that is not compiled.

    Raises:
        ValueError: If the model is not built, is subclassed or has no layer that can become a delta layer (the message
            names the layers and the reasons); `tolerance` is not a number above 0; `data` or the outputs of the model
            are not finite; or `error` is not a number, or exceeds the tolerance even with thresholds of 0.

    Example:

    >>> delta = ksr.to_delta(model, x_train[:200], tolerance=0.1)
    >>> ksr.summary(delta, x_test)
    """
    check_flag("verbose", verbose)
    if not (is_number(tolerance) and tolerance > 0):
        raise ValueError(f"`tolerance` must be a number above 0. Received: tolerance={tolerance!r}")
    search = _Search(model, data, _deviations if error is None else error, check_flag("dense", dense))
    least = search.error([0.0] * len(search.holds))
    if least > tolerance:
        raise ValueError(
            f"`error` is {least:.3g} even with thresholds of 0, and tolerance={tolerance!r}: take a larger tolerance, "
            "or an error that is 0 for equal outputs."
        )
    alike = search.largest_scale(lambda scale: [scale] * len(search.holds), tolerance)
    by_hold = search.shared(tolerance)
    found = min(([alike] * len(search.holds), by_hold), key=search.macs)
    made = search.made(found)
    if verbose:
        _show(search, made, found)
    return made


def delta_curve(
    model: keras.Model,
    data: Arrays,
    scales: Sequence[float] = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    error: Error | None = None,
    dense: bool = True,
) -> list[DeltaPoint]:
    """Measures error and MACs of a trained model as a delta network, with one scale of thresholds for all layers.

    Args:
        model, data, error, dense: As in `to_delta`.
        scales: Scales of `initializers.Sensitivity` to measure.

    Returns:
        A list with a `DeltaPoint` for each scale. `ksr.plot.delta_curve` draws it.

    Raises:
        ValueError: As in `to_delta`.

    Example:

    >>> ksr.plot.delta_curve(ksr.delta_curve(model, x))
    """
    search = _Search(model, data, _deviations if error is None else error, check_flag("dense", dense))
    points = []
    for scale in scales:
        given = [float(scale)] * len(search.holds)
        macs = search.counted(given)
        totals = sum(layer.effective for layer in macs), sum(layer.dense for layer in macs)
        points.append(DeltaPoint(float(scale), search.error(given), *map(float, totals)))
    return points


class _Search:
    """A model, and a delta network of it whose scales can be set.

    Attributes:
        holds: `(layer name, threshold name)` of each hold.
    """

    def __init__(self, model, data, error, dense=True):
        if not (isinstance(model, keras.Model) and model.built):
            raise ValueError(f"`model` must be a built Keras model. Received: {model!r}")
        if not callable(error):
            raise ValueError(f"`error` must be a function of two lists of outputs. Received: {error!r}")
        if not is_graph(model):
            raise ValueError(f"model '{model.name}' is subclassed: its layers cannot be replaced.")
        self._model, self._data, self._error = model, check_inputs("data", model, data), error
        self.left = _reasons(model, dense)
        self._replaced = {
            layer.name for layer in model._flatten_layers() if isinstance(layer, tuple(_TWINS))
        } - self.left.keys()
        self._twin = self._clone(lambda name: {"trainable_threshold": True, "stateful": False, **_ONES})
        self._layers = self._delta_layers(self._twin)
        if not self._layers:
            why = "; ".join(f"'{name}': {reason}" for name, reason in self.left.items())
            raise ValueError(
                f"model '{model.name}' has no GRU, LSTM, SimpleRNN, LightGRU or Dense that can become a delta layer"
                f"{f' ({why})' if why else ''}."
            )
        self.holds = [(layer.name, name) for layer in self._layers for name in _holds_of(layer)]
        twice = sorted({layer for layer, name in self.holds if self.holds.count((layer, name)) > 1})
        if twice:
            raise ValueError(f"model '{model.name}' has several layers of the same name: {', '.join(twice)}.")
        self._variables = [hold._threshold for layer in self._layers for hold in _hold_cells(layer)]
        self._expected = self._outputs([0.0] * len(self.holds))
        if not all(np.isfinite(part).all() for part in self._expected):
            raise ValueError(
                f"model '{model.name}' gives NaN or infinite values on `data`: train it without them first."
            )
        self._macs = {}

    def _clone(self, arguments):
        def clone(layer):
            twin = next((twin for kind, twin in _TWINS.items() if isinstance(layer, kind)), None)
            if isinstance(layer, keras.layers.Bidirectional):
                config = layer.get_config()
                parts = {name: clone(getattr(layer, f"{name}_layer")) for name in ("forward", "backward")}
                config |= {"layer": keras.saving.serialize_keras_object(parts["forward"])}
                config |= {"backward_layer": keras.saving.serialize_keras_object(parts["backward"])}
                return type(layer).from_config(config)
            if twin is None or layer.name in self.left:
                return type(layer).from_config(layer.get_config())
            given = arguments(layer.name)
            if twin is DeltaDense:
                given = {name: value for name, value in given.items() if name not in _HOLDS[1:]}
                return DeltaDense.from_config(DeltaDense.config_of(layer) | given)
            if isinstance(layer, keras.layers.GRU) and not layer.reset_after:
                given = {**given, "reset_threshold": given.get("reset_threshold", given["hidden_threshold"])}
            else:
                given = {name: value for name, value in given.items() if name != "reset_threshold"}
            if isinstance(layer, LightGRU):
                given = {**given, "reset_gate": False}
            config = {**layer.get_config(), "unroll": False, "seed": layer.cell.seed, **given}
            config.pop("rank", None)
            return twin.from_config(config)

        made = cloned(self._model, clone)
        added = {
            id(hold._threshold)
            for layer in self._delta_layers(made)
            for hold in _hold_cells(layer)
            if layer.cell.trainable_threshold
        }
        weights = [weight for weight in made.weights if id(weight) not in added]
        for weight, value in zip(weights, self._model.get_weights(), strict=True):
            weight.assign(np.reshape(value, weight.shape))  # that of a Conv1D has an axis more
        return made

    def _delta_layers(self, made):
        """Returns the layers of a clone that have replaced others."""
        layers = made._flatten_layers()
        return [
            layer for layer in layers if isinstance(layer, (DeltaLayer, DeltaDense)) and layer.name in self._replaced
        ]

    def _outputs(self, scales):
        for variable, scale in zip(self._variables, scales, strict=True):
            variable.assign(np.full(variable.shape, scale, "float32"))
        outputs = self._twin.predict(self._data, verbose=0, batch_size=_batch_size(self._twin))
        return [np.asarray(part, np.float32) for part in keras.tree.flatten(outputs)]

    def error(self, scales):
        given = self._error(self._expected, self._outputs(scales))
        try:
            error = float(given)
        except (TypeError, ValueError):
            error = math.nan
        if math.isnan(error):
            raise ValueError(f"`error` must return a number. Received: {given!r}")
        return error

    def largest_scale(self, scales_at, tolerance, evaluations=7):
        """Returns the largest x, to a few percent, at which the error of `scales_at(x)` is within the tolerance.

        It is 0 if that is below the searched range.
        """

        def is_within(scale):
            return self.error(scales_at(scale)) <= tolerance

        if is_within(_LARGEST_SCALE):
            return _LARGEST_SCALE
        high = math.log2(_LARGEST_SCALE)
        low = least = high - _OCTAVES
        for _ in range(evaluations):
            middle = (low + high) / 2
            if is_within(2**middle):
                low = middle
            else:
                high = middle
        return 2**low if low > least or is_within(2**low) else 0.0

    def shared(self, tolerance):
        """Returns a scale for each hold.

        The squared error of each hold alone is proportional to the number of weights that read it, and so to the MACs
        that it can save.
        """
        sizes = [self._reads(layer, name) for layer, name in self.holds]
        ratios = []
        for i, size in enumerate(sizes):
            share = tolerance * math.sqrt(size / sum(sizes))
            only = lambda scale, i=i: [scale if n == i else 0.0 for n in range(len(sizes))]  # noqa: E731
            ratios.append(self.largest_scale(only, share, evaluations=5))
        largest = max(ratios) or 1.0
        at = lambda x: [x * ratio / largest for ratio in ratios]  # noqa: E731
        return at(self.largest_scale(at, tolerance))

    def _reads(self, layer, name):
        """Returns the number of weights that read the values of a hold."""
        cell = next(found for found in self._layers if found.name == layer).cell
        if name == "input_threshold":
            return np.prod(cell.kernel.shape)
        apart = len(read_apart(cell)) / len(cell.gates)
        return np.prod(cell.recurrent_kernel.shape) * (apart if name == "reset_threshold" else 1 - apart)

    def macs(self, scales):
        return sum(layer.effective for layer in self.counted(scales))

    def counted(self, scales) -> list[LayerMacs]:
        """Returns the MACs of the recurrent layers at these scales."""
        key = tuple(scales)
        if key not in self._macs:
            self._macs[key] = count_macs(self.made(scales), self._data, partial=True)
        return self._macs[key]

    def made(self, scales):
        """Returns the delta network at these scales."""
        by_layer: dict[str, dict[str, Any]] = {}
        for (layer, name), scale in zip(self.holds, scales, strict=True):
            by_layer.setdefault(layer, {})[name] = Sensitivity(scale)
        return self._clone(by_layer.__getitem__)


_ONES = {name: Sensitivity(1.0) for name in _HOLDS}


def _deviations(expected, outputs):
    """Returns the root mean square difference in standard deviations of the expected output; the largest of several."""
    return max(
        float(np.sqrt(np.mean((y - other) ** 2)) / max(y.std(), 1e-12))
        for y, other in zip(expected, outputs, strict=True)
    )


def _reasons(model, dense):
    """Returns a dict from the names of layers that could be delta layers, but are left unchanged, to the reasons."""
    left = {}
    for layer in model._flatten_layers():
        if not isinstance(layer, tuple(_TWINS)):
            continue
        if isinstance(layer, keras.layers.RNN):
            reason = _reason_of_rnn(layer)
        else:
            reason = _reason_of_dense(layer) if dense else "dense=False"
        if reason:
            left[layer.name] = reason
    return left


def _reason_of_rnn(layer):
    if layer.return_state:
        return "return_state=True: a delta layer has other states"
    if getattr(layer, "rank", None) is not None:
        return f"rank={layer.rank!r}: a delta layer has kernels of full rank"
    if any(len(node.arguments.args) > 1 or "initial_state" in node.arguments.kwargs for node in _nodes(layer)):
        return "it is called with an initial state"
    return None


def _reason_of_dense(layer):
    read = [tensor for node in _nodes(layer) for tensor in node.input_tensors]
    if not read or any(len(tensor.shape) != 3 for tensor in read):
        return "it is not called on sequences"
    if any(getattr(tensor, "_keras_mask", None) is not None for tensor in read):
        return "its inputs have a mask, which it ignores"
    if isinstance(layer, keras.layers.Conv1D):
        settings = layer.kernel_size, layer.strides, layer.groups, layer.data_format
        if settings != ((1,), (1,), 1, "channels_last"):
            return "a Conv1D over several steps"
    return None


def _nodes(layer):
    return getattr(layer, "_inbound_nodes", [])


def _hold_cells(layer):
    return [layer.cell.input_hold, *layer.cell.holds_of_states]


def _holds_of(layer):
    return _HOLDS[: len(_hold_cells(layer))]


def _batch_size(model):
    return model.inputs[0].shape[0] or 32


def _show(search, made, found):
    by_name: dict[str, dict[str, float]] = {}
    for (layer, name), scale in zip(search.holds, found, strict=True):
        by_name.setdefault(layer, {})[name.removesuffix("_threshold")] = scale
    macs = search.counted(found)
    lines = [f"{made.name} as a delta network: error {search.error(found):.3g}"]
    lines.append(f"{'':20}{'scales of sensitivity':34}{'inputs':>8}{'states':>8}{'MACs':>9}{'dense':>9}")
    for layer in macs:
        scales = by_name.get(layer.name.split("/")[-1])
        text = "as it was" if scales is None else ", ".join(f"{n} {s:.3g}" for n, s in scales.items())
        states = "" if scales is not None and "hidden" not in scales else f"{layer.activity:.0%}"
        rates = f"{layer.input_rate:8.0%}{states:>8}"
        lines.append(f"{layer.name:20}{text:34}{rates}{layer.effective:9,.0f}{layer.dense:9,}")
    dense, effective = sum(layer.dense for layer in macs), sum(layer.effective for layer in macs)
    lines.append(f"{'all':20}{'':50}{effective:9,.0f}{dense:9,}  {dense / max(effective, 1):.2f} times fewer")
    lines += [f"left as it is: '{name}', {reason}" for name, reason in search.left.items()]
    sys.stdout.write("\n".join(lines) + "\n")
