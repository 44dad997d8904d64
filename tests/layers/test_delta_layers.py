"""DeltaSimpleRNN, DeltaLSTM and DeltaGRU with the reset before the product: Keras's layers at threshold 0, their
equations in NumPy else, and a backward pass by hand that is the automatic one for every activation that it knows."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse_rnn.layers import DeltaGRU, DeltaLSTM, DeltaSimpleRNN
from keras_sparse_rnn.layers.slopes import _SLOPES
from keras_sparse_rnn.regularizers import EventPenalty

BATCH, TIME, FEATURES, UNITS = 4, 8, 3, 5
EAGERLY = keras.backend.backend() != "jax"  # a graph would take longer to build than to run
KINDS = {
    "SimpleRNN": (layers.SimpleRNN, DeltaSimpleRNN.from_simple_rnn, {}),
    "LSTM": (layers.LSTM, DeltaLSTM.from_lstm, {}),
    "GRU": (layers.GRU, DeltaGRU.from_gru, {}),
    "GRU, reset before": (layers.GRU, DeltaGRU.from_gru, {"reset_after": False}),
}
by_kind = pytest.mark.parametrize("kind", KINDS)


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def masks():
    mask = np.ones((BATCH, TIME), bool)
    mask[0, :2] = mask[1, 3:5] = mask[2, 6:] = False
    return mask


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def of_keras(kind, **arguments):
    of, _, more = KINDS[kind]
    keras.utils.set_random_seed(1)
    return of(UNITS, bias_initializer="glorot_uniform", **more, **arguments)


def delta(kind, layer, **arguments):
    return KINDS[kind][1](layer, **arguments)


def gradients(layer, masked=False):
    """Gradients in all weights and in the input, and the loss, of one step."""
    keras.utils.set_random_seed(1)
    sequence, valid = keras.Input((TIME, FEATURES), BATCH), keras.Input((TIME,), BATCH, dtype="bool")
    output = layer(layers.Dense(FEATURES)(sequence), mask=valid if masked else None)
    model = keras.Model([sequence, valid][: 1 + masked], output)
    upstream = np.random.default_rng(1).normal(size=model.output_shape).astype("float32")
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y_true, y_pred: ops.sum(y_true * y_pred), run_eagerly=EAGERLY)
    before = model.get_weights()
    loss = model.train_on_batch([sequences(), masks()][: 1 + masked], upstream)
    return [*(b - a for b, a in zip(before, model.get_weights(), strict=True)), np.array(loss)]


@pytest.mark.backend_slow(masked=[True])
@by_kind
@pytest.mark.parametrize("masked", [False, True])
def test_threshold_zero_is_keras_and_trains_as_it_does(kind, masked):
    layer = of_keras(kind, return_sequences=True)
    layer.build((None, TIME, FEATURES))
    ours = delta(kind, layer)
    mask = masks() if masked else None
    np.testing.assert_allclose(numpy(ours(sequences(), mask=mask)), numpy(layer(sequences(), mask=mask)), atol=1e-5)
    for one, other in zip(gradients(ours, masked), gradients(layer, masked), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forward(kind, weights, x, input_threshold, hidden_threshold, reset_threshold):
    """h of each step of one sequence (time, features), by the equations."""
    kernel, recurrent_kernel, bias = weights
    held_x, (h, c, held, held_reset), outputs = np.zeros(FEATURES), np.zeros((4, UNITS)), []
    for x_t in x:
        held_x = np.where(abs(x_t - held_x) > input_threshold, x_t, held_x)
        held = np.where(abs(h - held) > hidden_threshold, h, held)
        a = np.split(held_x @ kernel + bias, kernel.shape[1] // UNITS)
        r = np.split(recurrent_kernel, kernel.shape[1] // UNITS, axis=1)
        if kind == "SimpleRNN":
            h = np.tanh(a[0] + held @ r[0])
        elif kind == "LSTM":
            i, f, g, o = (part + held @ of for part, of in zip(a, r, strict=True))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            z, reset = sigmoid(a[0] + held @ r[0]), sigmoid(a[1] + held @ r[1]) * h
            held_reset = np.where(abs(reset - held_reset) > reset_threshold, reset, held_reset)
            h = z * h + (1 - z) * np.tanh(a[2] + held_reset @ r[2])
        outputs.append(h)
    return np.array(outputs)


@pytest.mark.backend
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "GRU"])
def test_output_is_that_of_the_equations(kind):
    layer = of_keras(kind, return_sequences=True)
    layer.build((None, TIME, FEATURES))
    thresholds = {"input_threshold": [0.3, 0.5, 0.7], "hidden_threshold": 0.1}
    given = thresholds | ({"reset_threshold": 0.05} if "before" in kind else {})
    ours = delta(kind, layer, **given)
    weights = [w.astype("float64") for w in layer.get_weights()]
    expected = [forward(kind, weights, x, *thresholds.values(), 0.05) for x in sequences()]
    np.testing.assert_allclose(numpy(ours(sequences())), expected, atol=1e-5)


CASES = [
    {"masked": True, "trainable_threshold": True},
    {"return_sequences": True, "gradient": "straight_through", "use_bias": False},
    {"trainable_threshold": True, "activity_regularizer": EventPenalty(on="rate", target=0.1)},
]


@pytest.mark.backend(arguments=CASES[:1], kind=["LSTM"])
@pytest.mark.backend_slow(arguments=CASES[:1])
@by_kind
@pytest.mark.parametrize("arguments", CASES, ids="-".join)
def test_gradient_by_hand_is_the_automatic_one(kind, arguments, monkeypatch):
    compare_gradients(kind, arguments, monkeypatch)


@pytest.mark.slow_but(kind=["GRU, reset before"])
@by_kind
@pytest.mark.parametrize("activation", _SLOPES)
def test_gradient_by_hand_of_each_activation(kind, activation, monkeypatch):
    gate = list(_SLOPES)[(list(_SLOPES).index(activation) + 4) % len(_SLOPES)]
    arguments = {"activation": activation} | ({} if kind == "SimpleRNN" else {"recurrent_activation": gate})
    compare_gradients(kind, {"masked": True, **arguments}, monkeypatch)


def compare_gradients(kind, arguments, monkeypatch):
    arguments = dict(arguments)
    masked = arguments.pop("masked", False)
    results = []
    for by_hand in (True, False):
        make = {"GRU": DeltaGRU, "LSTM": DeltaLSTM}.get(kind.split(",")[0], DeltaSimpleRNN)
        keras.utils.set_random_seed(1)
        layer = make(
            UNITS,
            input_threshold=0.5,
            hidden_threshold=0.1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.3),
            bias_initializer="glorot_uniform",
            **KINDS[kind][2],
            **arguments,
        )
        assert layer.cell.recurrence.hand_written
        if not by_hand:
            monkeypatch.setattr(type(layer.cell.recurrence), "hand_written", False)
        results.append(gradients(layer, masked))
    assert any(np.any(grad != 0) for grad in results[0])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_silu_and_gelu_have_the_automatic_gradient():
    assert not DeltaLSTM(3, activation="silu").cell.recurrence.hand_written
    assert not DeltaGRU(3, recurrent_activation="gelu", reset_after=False).cell.recurrence.hand_written


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM"])
def test_dropout_is_that_of_keras(kind):
    for rates in ({"dropout": 0.4}, {"dropout": 0.3, "recurrent_dropout": 0.4}):
        layer = of_keras(kind, seed=7, **rates)
        layer.build((None, TIME, FEATURES))
        expected = numpy(layer(sequences(), training=True))
        np.testing.assert_allclose(numpy(delta(kind, layer)(sequences(), training=True)), expected, atol=1e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`layer` must be a keras.layers.LSTM. Received: GRU"):
        DeltaLSTM.from_lstm(layers.GRU(3))
    with pytest.raises(ValueError, match="`reset_threshold` must be None with reset_after=True"):
        DeltaGRU(3, reset_threshold=0.1)
    with pytest.raises(ValueError, match="`use_cudnn` must be 'auto' or False"):
        DeltaLSTM(3, use_cudnn=True)
