"""A small model of each recurrent layer that converts, and what it converts to; each is made once in a session."""

import importlib.util
from dataclasses import dataclass
from functools import cache, partial

import keras
import numpy as np
import pytest
from event_models import event_model, prune, sequences
from keras.layers import GRU, LSTM, SimpleRNN

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import (
    ONLSTM,
    DeltaDense,
    DeltaGRU,
    DeltaHold,
    DeltaLSTM,
    DeltaSimpleRNN,
    EventGRU,
    FastGRNN,
    LightGRU,
    RecurrentHighway,
)

ENGINES = ("reference", "native", "litert") + (("tflm",) if importlib.util.find_spec("tflite_micro") else ())
STEPS = 12


def _ordered(units, **options):
    return ONLSTM(units, chunk_size=4 if units % 4 == 0 else 1, **options)


LAYERS = {
    "EventGRU": partial(EventGRU, readout="cell"),
    "EventGRU, events": EventGRU,
    "EventGRU, trace": partial(EventGRU, readout="trace", trace_decay=0.8),
    "EventGRU, clipped, no reset": partial(EventGRU, threshold_mode="clipped", reset=False),
    "GRU": GRU,
    "GRU, reset before": partial(GRU, reset_after=False),
    "LightGRU": LightGRU,
    "FastGRNN": FastGRNN,
    "EventGRU, no reset gate": partial(EventGRU, reset_gate=False),
    "DeltaGRU, no reset gate": partial(DeltaGRU, input_threshold=0.3, hidden_threshold=0.05, reset_gate=False),
    "RecurrentHighway": RecurrentHighway,
    "RecurrentHighway, not coupled": partial(RecurrentHighway, coupled=False, depth=2),
    "LSTM": LSTM,
    "ONLSTM": _ordered,
    "SimpleRNN": SimpleRNN,
    "DeltaGRU": partial(DeltaGRU, input_threshold=0.3, hidden_threshold=0.05, trainable_threshold=True),
    "DeltaGRU, reset before": partial(
        DeltaGRU, input_threshold=0.3, hidden_threshold=0.05, reset_threshold=0.03, reset_after=False
    ),
    "DeltaLSTM": partial(DeltaLSTM, input_threshold=0.3, hidden_threshold=0.05),
    "DeltaSimpleRNN": partial(DeltaSimpleRNN, input_threshold=0.3, hidden_threshold=0.05),
    "DeltaDense": partial(DeltaDense, input_threshold=0.3, activation="tanh"),
}
WITH_OTHER_ACTIVATIONS = {
    "LightGRU, relu": partial(LightGRU, activation="relu"),
    "GRU, relu": partial(GRU, activation="relu", reset_after=False),
    "LSTM, hard": partial(LSTM, recurrent_activation="hard_sigmoid"),
    "LSTM, elu": partial(LSTM, activation="elu"),
    "SimpleRNN, softsign": partial(SimpleRNN, activation="softsign"),
    "EventGRU, silu": partial(EventGRU, readout="cell", activation="silu"),
}
HELD = {
    "held EventGRU": (partial(DeltaHold, 0.5, trainable_threshold=True), LAYERS["EventGRU"]),
    "held EventGRU, trace": (partial(DeltaHold, 0.5), LAYERS["EventGRU, trace"]),
    "held GRU": (partial(DeltaHold, 0.5), LAYERS["GRU"]),
    "held GRU, reset before": (partial(DeltaHold, 0.5), LAYERS["GRU, reset before"]),
    "held LightGRU": (partial(DeltaHold, 0.5), LAYERS["LightGRU"]),
    "held FastGRNN": (partial(DeltaHold, 0.5), LAYERS["FastGRNN"]),
    "held LSTM": (partial(DeltaHold, [0.1 * i for i in range(7)]), LAYERS["LSTM"]),
    "held ONLSTM": (partial(DeltaHold, 0.5), _ordered),
    "held SimpleRNN": (partial(DeltaHold, 0.5), LAYERS["SimpleRNN"]),
}
KINDS = (*LAYERS, *HELD)
ONE_OF_EACH = (
    "EventGRU",
    "GRU",
    "GRU, reset before",
    "LightGRU",
    "FastGRNN",
    "LSTM",
    "SimpleRNN",
    "DeltaGRU",
    "DeltaLSTM",
)


def by_kind(*quick, of=KINDS):
    """Parametrises a test by `kind`: those named, and with `-m slow` the others."""
    kinds = [pytest.param(kind, marks=[] if kind in quick else [pytest.mark.slow]) for kind in of]
    return pytest.mark.parametrize("kind", kinds)


@dataclass(frozen=True, eq=False)
class Member:
    """One of the zoo.

    Attributes:
        model: A layer of 32 units, pruned to 90 %, and one of 9 units without a bias; in front of them what holds
            their inputs.
        x, expected: Sequences, and what Keras makes of them: `(24, 12, 7)` and `(24, 12, 9)`.
        may_flip: Whether it sends events or changes: where rounding decides about one, trajectories part, both right.
    """

    model: keras.Model
    x: np.ndarray
    expected: np.ndarray
    may_flip: bool


@cache
def member(kind):
    """The `Member` of one of `KINDS`, or of those with other activations."""
    keras.utils.set_random_seed(4)  # before the layers draw their own
    hold, layer = HELD[kind] if kind in HELD else (None, (LAYERS | WITH_OTHER_ACTIVATIONS)[kind])
    first = layer(32, return_sequences=True, name="first")
    second = layer(9, return_sequences=True, use_bias=False, name="second")
    model = event_model([*([hold()] if hold else []), first, second], steps=STEPS)
    biases_as_after_training(model)
    prune(first)
    x = sequences(steps=STEPS)
    return Member(model, x, np.asarray(model(x)), isinstance(first, EventGRU) or "Delta" in kind)


@cache
def converted(kind, **options):
    """The `ConvertedModel` that `convert` makes of a member with these options."""
    return ksr.convert(member(kind).model, member(kind).x, **options)


def biases_as_after_training(model, spread=0.5):
    """Draws the biases, which Keras starts at zero."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if variable.name == "bias":
            variable.assign_add(rng.normal(0, spread, variable.shape))


def error_by_sample(ours, expected):
    """The largest distance in each sample."""
    return np.abs(ours - expected).reshape(len(expected), -1).max(axis=1)


def assert_follows_keras(converted, x, expected, weights, limit=0.03):
    """On six samples, in every engine.

    Args:
        x: Array or list of arrays, `(samples, ...)`.
        expected: List of what Keras predicts, one array for each output.
        weights: The number format.
        limit: Of the mean error in integers, in standard deviations.
    """
    few = [array[:6] for array in x] if isinstance(x, list) else x[:6]
    for engine in ENGINES:
        outputs = converted.predict(few, engine)
        for ours, keras_own in zip(outputs if isinstance(outputs, list) else [outputs], expected, strict=True):
            if weights == "float32":
                assert np.median(error_by_sample(ours, keras_own[:6])) <= 1e-5, engine
            else:
                assert np.abs(ours - keras_own[:6]).mean() <= limit * keras_own.std(), engine
