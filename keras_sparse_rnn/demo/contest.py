"""The nets of the demo side by side: an EventGRU, and the GRUs that it has to be compared with."""

from dataclasses import dataclass, field

import keras
import numpy as np

from keras_sparse_rnn.convert import convert
from keras_sparse_rnn.demo.progress import Report
from keras_sparse_rnn.experiments.training import SPARSITY, build, start_again, train
from keras_sparse_rnn.profiling import LayerMacs, count_macs

ENGINES = {"litert": "LiteRT", "tflm": "TFLM"}
_CALIBRATION = 100  # training sequences that set the ranges of the activations


@dataclass(eq=False)
class Run:
    """One training of a net, and its figures on the test set.

    Attributes:
        weights: Weights of the model after the training.
        history: Keras's history.
        accuracy, loss: In Keras: a share, and the mean negative log-likelihood in nats.
        macs: A `LayerMacs` of the recurrent layer, over the real steps.
        converted: The int8 `ConvertedModel`; None for nets that are not shown.
        int8_accuracy: In each of `ENGINES`.
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
    """A net, trained once from each seed.

    Attributes:
        name: Such as "GRU 64, pruned".
        kind, units, is_pruned: Its class, its number of units, and whether it is pruned.
        model: The Keras model, not compiled, with the weights of the first run.
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
        """Such as "gru_64_pruned"."""
        return "_".join(
            [{"EventGRU": "event_gru", "GRU": "gru"}[self.kind], str(self.units), *["pruned"] * self.is_pruned]
        )

    def mean(self, figure):
        """The mean over the runs of `figure(run)`."""
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
        tried: Smaller dense GRUs, smallest first, up to the first that is as accurate as `event`.
        margin: One standard error of an accuracy on this test set, as a share. A net that is less accurate than `event`
            by at most this counts as equally accurate.
    """

    event: Net
    dense: Net
    pruned: Net
    tried: list
    margin: float

    @property
    def smallest(self):
        """The smallest dense GRU as accurate as `event`; None if no smaller one was."""
        passed = [net for net in self.tried if net.accuracy >= self.event.accuracy - self.margin]
        return passed[0] if passed else None

    @property
    def shown(self):
        """The nets of the table."""
        return [net for net in (self.event, self.dense, self.pruned, self.smallest) if net]


def hold(data, recipe, display):
    """Trains and measures all nets.

    Args:
        data: A `Data`.
        recipe: A `Recipe`.
        display: A `Display`, for the progress.

    Returns:
        A `Contest`.
    """

    def enter(kind, units, is_pruned=False, watch=False):
        return _train_and_measure(kind, units, is_pruned, watch, data, recipe, display)

    event = enter("EventGRU", recipe.units, is_pruned=True, watch=True)
    contest = Contest(
        event=event,
        dense=enter("GRU", recipe.units, watch=True),
        pruned=enter("GRU", recipe.units, is_pruned=True, watch=True),
        tried=[],
        margin=float(np.sqrt(event.accuracy * (1 - event.accuracy) / len(data.test))),
    )
    for units in recipe.smaller:
        if contest.smallest is None:
            contest.tried.append(enter("GRU", units))
    for net in contest.shown:
        with display.task(f"{net.name}, int8") as update:
            _run_as_int8(net, data, update)
    return contest


def _train_and_measure(kind, units, is_pruned, watch, data, recipe, display):
    name = f"{kind} {units}{', pruned' if is_pruned else ''}"
    model, runs = build(kind, units, data, recipe), []
    with display.task(name, recipe.epochs * len(recipe.seeds)) as update:
        for number, seed in enumerate(recipe.seeds):
            start_again(model, seed)
            history = train(
                model, data, recipe, SPARSITY * is_pruned, seed, [Report(update, number * recipe.epochs)], watch
            )
            runs.append(_measure(model, history, data.test))
    plain = keras.models.clone_model(model)  # without the optimizer of the last run
    plain.set_weights(runs[0].weights)
    return Net(name, kind, units, is_pruned, plain, runs)


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
