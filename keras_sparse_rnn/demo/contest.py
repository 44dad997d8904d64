"""The nets of the demo: an EventGRU, and the GRUs with which it is compared."""

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import keras
import numpy as np

from keras_sparse_rnn.convert import convert
from keras_sparse_rnn.demo.progress import Report
from keras_sparse_rnn.experiments.training import SPARSITY, build, initial_weights, start_from, train
from keras_sparse_rnn.profiling import LayerMacs, count_macs

ENGINES = {"litert": "LiteRT", "tflm": "TFLM"}
_CALIBRATION = 100  # training sequences that determine the ranges of the activations


@dataclass(eq=False)
class Run:
    """A trained net, and its figures on the test set.

    Attributes:
        weights: Weights of the model after the training.
        history: Keras's history.
        accuracy, loss: Results in Keras: the share of right answers, and the mean negative log-likelihood in nats.
        macs: A `LayerMacs` of the recurrent layer, without padded steps.
        converted: The int8 `ConvertedModel`; None for nets that are not shown.
        int8_accuracy: Accuracy in each of `ENGINES`.
    """

    weights: list
    history: dict
    accuracy: float
    loss: float
    macs: LayerMacs
    converted: object = None
    int8_accuracy: dict = field(default_factory=dict)


@dataclass(eq=False)
class Net:
    """A net that is trained once with each seed.

    Attributes:
        name: Name such as "GRU 64, pruned".
        kind, units, is_pruned: Its layer class, number of units, and whether it is pruned.
        model: The Keras model, uncompiled, with the weights of the first run.
        runs: A `Run` for each seed.
    """

    name: str
    kind: str
    units: int
    is_pruned: bool
    model: keras.Model
    runs: list

    @property
    def file_name(self):
        """File name such as "gru_64_pruned"."""
        return "_".join(
            [{"EventGRU": "event_gru", "GRU": "gru"}[self.kind], str(self.units), *["pruned"] * self.is_pruned]
        )

    def mean(self, figure):
        """Returns the mean of `figure(run)` over the runs."""
        return float(np.mean([figure(run) for run in self.runs]))

    @property
    def accuracy(self):
        return self.mean(lambda run: run.accuracy)

    @property
    def effective_macs(self):
        return self.mean(lambda run: run.macs.effective)


@dataclass(eq=False)
class Contest:
    """The result of `hold`.

    Attributes:
        event: The pruned EventGRU.
        dense, pruned: GRUs of the same size.
        tried: Smaller dense GRUs in increasing size, up to the first that is as accurate as `event`.
        margin: Standard error of an accuracy on this test set, as a share. A net whose accuracy is lower than that of
            `event` by at most this margin counts as equally accurate.
    """

    event: Net
    dense: Net
    pruned: Net
    tried: list
    margin: float

    @property
    def smallest(self):
        """The smallest dense GRU as accurate as `event`; None if no smaller one is."""
        passed = [net for net in self.tried if net.accuracy >= self.event.accuracy - self.margin]
        return passed[0] if passed else None

    @property
    def shown(self):
        """The nets of the table."""
        return [net for net in (self.event, self.dense, self.pruned, self.smallest) if net]


def hold(data, recipe, display):
    """Trains and measures the nets in parallel, as many at a time as there are cores.

    Args:
        data: A `Data`.
        recipe: A `Recipe`.
        display: A `Display` that shows the progress.

    Returns:
        A `Contest`.
    """
    stop = threading.Event()

    def training(kind, units, is_pruned=False, watch=False):
        return _Training(kind, units, is_pruned, watch, data, recipe, display, stop)

    # All are built before the first is trained, as initial weights come from generators that threads share.
    event = training("EventGRU", recipe.units, is_pruned=True, watch=True)
    dense = training("GRU", recipe.units, watch=True)
    pruned = training("GRU", recipe.units, is_pruned=True, watch=True)
    smaller = [training("GRU", units) for units in recipe.smaller]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            of_event = pool.submit(event.run)
            of_size, tried = [], []
            for large, small in itertools.zip_longest((dense, pruned), smaller):
                if small:  # two sizes are trained before the required accuracy is known
                    before = list(tried) if len(tried) > 1 else []
                    tried.append(pool.submit(_run_unless_passed, small, of_event, before))
                if large:
                    of_size.append(pool.submit(large.run))
            contest = Contest(of_event.result(), *(future.result() for future in of_size), [], 0.0)
            contest.margin = _margin(contest.event, data)
            for future in tried:
                if contest.smallest is None:
                    contest.tried.append(future.result())
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for net in contest.shown:
        with display.task(f"{net.name}, int8") as update:
            _run_as_int8(net, data, update)
    return contest


def _run_unless_passed(training, of_event, before):
    """Trains a smaller GRU. Returns None if one of the previous ones is as accurate as the EventGRU."""
    for future in before:
        net, event = future.result(), of_event.result()
        if net is None or net.accuracy >= event.accuracy - _margin(event, training.data):
            return None
    return training.run()


def _margin(event, data):
    return float(np.sqrt(event.accuracy * (1 - event.accuracy) / len(data.test)))


class _Training:
    """A built net with its initial weights for each seed. `run` can be called in any thread."""

    def __init__(self, kind, units, is_pruned, watch, data, recipe, display, stop):
        self.data, self._recipe, self._display, self._stop = data, recipe, display, stop
        self._net = Net(f"{kind} {units}{', pruned' if is_pruned else ''}", kind, units, is_pruned, None, [])
        self._watch = watch
        self._model = build(kind, units, data, recipe)
        self._initial = [initial_weights(self._model, seed) for seed in recipe.seeds]
        self._net.model = keras.models.clone_model(self._model)  # without an optimizer

    def run(self):
        """Trains and measures; returns the `Net`."""
        net, model, recipe = self._net, self._model, self._recipe
        with self._display.task(net.name, recipe.epochs * len(recipe.seeds)) as update:
            for number, (seed, initial) in enumerate(zip(recipe.seeds, self._initial, strict=True)):
                start_from(model, initial)
                report = Report(update, number * recipe.epochs, self._stop)
                sparsity = SPARSITY * net.is_pruned
                history = train(model, self.data, recipe, sparsity, seed, [report], self._watch, ahead=True)
                net.runs.append(_measure(model, history, self.data.test))
                runs = f"run {number + 1} of {len(recipe.seeds)}"
                update(f"{100 * net.runs[-1].accuracy:.1f} % on the test set, {runs}")
        net.model.set_weights(net.runs[0].weights)
        return net


def _measure(model, history, test):
    probabilities = model.predict(test.x, batch_size=len(test), verbose=0)
    [macs] = count_macs(model, test.x, test.valid)
    of_class = probabilities[np.arange(len(test)), test.y]
    return Run(
        weights=model.get_weights(),
        history=history,
        accuracy=float(np.mean(probabilities.argmax(axis=1) == test.y)),
        loss=float(-np.log(np.maximum(of_class, 1e-12)).mean()),
        macs=macs,
    )


def _run_as_int8(net, data, update):
    sample = data.train.x[:: max(1, len(data.train) // _CALIBRATION)]
    for run in net.runs:
        net.model.set_weights(run.weights)
        update("converting")
        run.converted = convert(net.model, sample)
        for engine, title in ENGINES.items():
            update(f"running the test set in {title}")
            classes = run.converted.predict(data.test.x, engine=engine).argmax(axis=1)
            run.int8_accuracy[engine] = float(np.mean(classes == data.test.y))
        accuracies = ", ".join(f"{100 * accuracy:.1f} % in {ENGINES[e]}" for e, accuracy in run.int8_accuracy.items())
        update(accuracies)
    net.model.set_weights(net.runs[0].weights)
