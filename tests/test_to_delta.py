"""Trained models as delta networks: within the tolerance, with the same weights, and what is left as it is."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn import layers as ours

FEATURES = 5


def walks(samples=4, steps=8):
    """Sequences that change little from step to step."""
    changes = np.random.default_rng(0).normal(size=(samples, steps, FEATURES))
    return np.cumsum(0.3 * changes, axis=1, dtype=np.float32)


def nested_model(**options):
    """A GRU, and in a model within it a SimpleRNN in both directions."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [
            keras.Input((None, 8)),
            layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True, name="both"), name="directions"),
        ],
        name="inner",
    )
    x = keras.Input((None, FEATURES))
    y = inner(layers.GRU(8, return_sequences=True, reset_after=False, name="gru", **options)(x))
    return keras.Model(x, layers.Dense(2)(y), name="nested")


def deviation(model, delta, x):
    expected = model.predict(x, verbose=0)
    return np.sqrt(np.mean((delta.predict(x, verbose=0) - expected) ** 2)) / expected.std()


@pytest.fixture(scope="module")
def made():
    """A model, its delta network at 0.1 standard deviations, and what was printed."""
    return nested_model(), ksr.to_delta(nested_model(), walks(), 0.1, verbose=False)


def test_the_error_is_within_the_tolerance_and_most_is_held(made):
    model, delta = made
    assert 0.05 < deviation(model, delta, walks()) <= 0.1
    macs = ksr.profiling.count_macs(delta, walks())
    names = ["gru", "inner/directions/forward_both", "inner/directions/backward_both", "dense"]
    assert [layer.name.rstrip("_0123456789") for layer in macs] == names
    assert sum(layer.effective for layer in macs) < 0.7 * sum(layer.dense for layer in macs)


def test_it_has_the_weights_of_the_model_and_trains(made):
    model, delta = made
    assert type(delta.get_layer("gru")) is ours.DeltaGRU
    assert type(delta.get_layer("inner").layers[0].forward_layer) is ours.DeltaSimpleRNN
    for one, other in zip(delta.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    delta = keras.models.clone_model(delta)
    delta.compile("sgd", "mse", run_eagerly=True)
    before = delta.get_weights()
    delta.train_on_batch(walks(2, 4), np.ones((2, 4, 2)))
    assert all(np.any(now != then) for now, then in zip(delta.get_weights(), before, strict=True))


def test_an_error_of_ones_own_and_what_is_printed(capsys):
    model = keras.Sequential([keras.Input((None, FEATURES)), layers.LSTM(6, return_sequences=True, name="lstm")])
    largest = lambda expected, outputs: float(np.abs(expected[0] - outputs[0]).max())  # noqa: E731
    delta = ksr.to_delta(model, walks(), 0.05, error=largest)
    assert np.abs(delta.predict(walks(), verbose=0) - model.predict(walks(), verbose=0)).max() <= 0.05
    title, _, lstm, whole = capsys.readouterr().out.splitlines()
    assert title.startswith("sequential as a delta network: error 0.0") or "error 0.0" in title
    [macs] = ksr.profiling.count_macs(delta, walks())
    assert lstm.split()[0] == "lstm" and lstm.split()[-2:] == [f"{macs.effective:,.0f}", "264"]
    assert whole.split()[1:3] == [f"{macs.effective:,.0f}", "264"]


def test_a_stateful_model_and_its_curve():
    layer = ours.LightGRU(6, return_sequences=True, stateful=True, name="rnn")
    model = keras.Sequential([keras.Input(batch_shape=(2, None, FEATURES)), layer])
    points = ksr.delta_curve(model, walks(4), (0.05, 0.4))
    assert points[0].error < points[1].error and points[0].macs > points[1].macs > 0
    assert {point.dense for point in points} == {2 * 6 * (FEATURES + 6)}
    assert all(not np.any(keras.ops.convert_to_numpy(state)) for state in layer.states)
    pytest.importorskip("matplotlib").use("Agg")
    axes = ksr.plot.delta_curve(points)
    assert sorted(map(tuple, axes.lines[0].get_xydata())) == sorted((point.macs, point.error) for point in points)


def test_layers_that_cannot_hold_are_left_or_refused_by_name(capsys):
    x = keras.Input((None, FEATURES))
    y, state = layers.GRU(4, return_sequences=True, return_state=True, name="encoder")(x)
    y = layers.GRU(4, return_sequences=True, name="decoder")(y, initial_state=state)
    outputs = layers.LSTM(3, return_sequences=True, name="last")(y)
    delta = ksr.to_delta(keras.Model(x, outputs), walks(2, 5), 0.2)
    assert [type(delta.get_layer(name)) for name in ("encoder", "decoder", "last")] == [
        layers.GRU,
        layers.GRU,
        ours.DeltaLSTM,
    ]
    left = capsys.readouterr().out.splitlines()[-2:]
    assert left == [
        "left as it is: 'encoder', return_state=True: a delta layer has other states",
        "left as it is: 'decoder', it is called with an initial state",
    ]
    with pytest.raises(
        ValueError, match="has no GRU, LSTM, SimpleRNN, LightGRU or Dense .*'encoder': return_state=True"
    ):
        ksr.to_delta(keras.Model(x, state), walks())
    for tolerance in (0, True, "a", None, np.nan):
        with pytest.raises(
            ValueError, match=f"`tolerance` must be a number above 0. Received: tolerance={tolerance!r}"
        ):
            ksr.to_delta(keras.Model(x, outputs), walks(), tolerance)
    with pytest.raises(ValueError, match="must be a built Keras model"):
        ksr.to_delta(keras.Sequential([layers.GRU(3)]), walks())


def test_dense_layers_on_sequences_hold_too(capsys):
    keras.utils.set_random_seed(0)
    x, tokens = keras.Input((None, FEATURES)), keras.Input((None,))
    masked = layers.Embedding(7, 3, mask_zero=True)(tokens)
    y = layers.Conv1D(6, 1, activation="relu", name="pointwise")(x)
    y = layers.Dense(4, activation="tanh", name="dense")(layers.Conv1D(6, 2, padding="causal", name="window")(y))
    last = layers.GRU(3, return_sequences=True, name="gru")(layers.Dense(3, name="masked")(masked))
    outputs = [layers.Dense(2, name="steps")(y), layers.Dense(2, name="last")(last[:, -1])]
    model = keras.Model([x, tokens], outputs)
    data = [walks(), np.random.default_rng(0).integers(0, 7, (4, 8))]
    delta = ksr.to_delta(model, data, 0.05)
    kinds = {layer.name: type(layer) for layer in delta.layers}
    assert {name for name, kind in kinds.items() if kind is ours.DeltaDense} == {"pointwise", "dense", "steps"}
    assert kinds["gru"] is ours.DeltaGRU and kinds["masked"] is kinds["last"] is layers.Dense
    left = {line.split("'")[1]: line.split("', ")[1] for line in capsys.readouterr().out.splitlines() if "left" in line}
    assert left == {
        "window": "a Conv1D over several steps",
        "masked": "its inputs have a mask, which it ignores",
        "last": "it is not called on sequences",
    }
    for one, other in zip(model.predict(data, verbose=0), delta.predict(data, verbose=0), strict=True):
        assert np.sqrt(np.mean((one - other) ** 2)) <= 0.05 * one.std()
    kept = ksr.to_delta(model, data, 0.05, dense=False, verbose=False)
    assert not any(isinstance(layer, ours.DeltaDense) for layer in kept.layers)


def test_a_model_that_was_trained_with_a_loss_of_ones_own():
    """Keras's clones are compiled as their model was, which fails without the function."""

    def loss(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    x = keras.Input((8, FEATURES))
    functional = keras.Model(x, layers.GRU(4, return_sequences=True)(x))
    for model in (functional, keras.Sequential([keras.Input((8, FEATURES)), layers.GRU(4, return_sequences=True)])):
        model.compile("sgd", loss)
        model.train_on_batch(walks(), np.ones((4, 8, 4)))
        delta = ksr.to_delta(model, walks(), 0.1, verbose=False)
        assert type(delta) is type(model) and not delta.compiled and model.compiled
        assert deviation(model, delta, walks()) <= 0.1
    if keras.backend.backend() == "tensorflow":
        converted = ksr.convert(functional, weights="float32")
        np.testing.assert_allclose(
            converted.predict(walks(), "native"), functional.predict(walks(), verbose=0), rtol=0, atol=1e-5
        )


class TestTolerance:
    """No delta network leaves with a larger error than was asked for."""

    def test_thresholds_are_zero_where_no_larger_ones_are_within_it(self):
        model = keras.Sequential([keras.Input((8, FEATURES)), layers.GRU(4, return_sequences=True), layers.Dense(2)])
        delta = ksr.to_delta(model, walks(), 1e-6, verbose=False, dense=False)
        assert not delta.layers[0].input_threshold.any() and not delta.layers[0].hidden_threshold.any()
        assert deviation(model, delta, walks()) <= 1e-6

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (lambda expected, outputs: 1.0, "`error` is 1 even with thresholds of 0, and tolerance=0.05"),
            (lambda expected, outputs: np.nan, "`error` must return a number. Received: nan"),
            (lambda expected, outputs: None, "`error` must return a number. Received: None"),
        ],
    )
    def test_an_error_that_is_never_within_it(self, error, message):
        model = keras.Sequential([keras.Input((8, FEATURES)), layers.GRU(4)])
        with pytest.raises(ValueError, match=message):
            ksr.to_delta(model, walks(), 0.05, error=error)

    def test_values_that_are_not_finite(self):
        model = keras.Sequential([keras.Input((8, FEATURES)), layers.GRU(4, name="gru")])
        with pytest.raises(ValueError, match="data holds NaN or infinite values"):
            ksr.to_delta(model, np.full((2, 8, FEATURES), np.nan, "float32"))
        model.layers[0].cell.bias.assign(np.full((2, 12), np.nan))
        with pytest.raises(ValueError, match="gives NaN or infinite values on `data`"):
            ksr.to_delta(model, walks())


def test_layers_that_skip_already_stay_as_they_are(capsys):
    model = keras.Sequential(
        [
            keras.Input((8, FEATURES)),
            ours.DeltaGRU(4, 0.3, 0.2, trainable_threshold=True, return_sequences=True, name="delta"),
            ours.EventGRU(4, return_sequences=True, name="event"),
            layers.GRU(4, name="gru"),
        ]
    )
    made = ksr.to_delta(model, walks(), 0.1)
    assert [type(layer) for layer in made.layers] == [ours.DeltaGRU, ours.EventGRU, ours.DeltaGRU]
    for one, other in zip(made.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert 0 < deviation(model, made, walks()) <= 0.1
    assert [line[:32].split() for line in capsys.readouterr().out.splitlines()[2:4]] == [
        ["delta", "as", "it", "was"],
        ["event", "as", "it", "was"],
    ]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_in_mixed_precision(policy):
    made = [layers.LSTM(4, return_sequences=True, dtype=policy), layers.GRU(4, dtype=policy)]
    model = keras.Sequential([keras.Input((8, FEATURES)), *made])
    delta = ksr.to_delta(model, walks(), 0.2, verbose=False)
    assert [type(layer) for layer in delta.layers] == [ours.DeltaLSTM, ours.DeltaGRU]
    assert [layer.compute_dtype for layer in delta.layers] == [policy.removeprefix("mixed_")] * 2
    expected, outputs = (np.float32(part.predict(walks(), verbose=0)) for part in (model, delta))
    assert 0 < np.sqrt(np.mean((outputs - expected) ** 2)) <= 0.2 * expected.std()
