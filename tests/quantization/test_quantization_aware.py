"""Training for integers: against the integer model in every engine, the ops' definition, and Keras's own gradients."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.options import ConvertOptions
from keras_sparse_rnn.convert.quantize import Scale
from keras_sparse_rnn.convert.recurrent import recurrent_layer
from keras_sparse_rnn.quantization import QuantizationAware, Ranges, fake_quantized

STEPS, FEATURES, UNITS = 9, 5, 12
RECURRENT = {kind.__name__: kind for kind in (keras.layers.GRU, keras.layers.LSTM, keras.layers.SimpleRNN)}


def data(samples=48, seed=0):
    x = np.random.default_rng(seed).normal(size=(samples, STEPS, FEATURES)).astype("float32")
    return x, (x[:, :, 0].sum(axis=1) > 0).astype(int)


def built(*layers, optimizer="adam", loss="sparse_categorical_crossentropy"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *layers])
    model.compile(optimizer, loss)
    return model


def trained(model, *callbacks, epochs=2, **options):
    x, y = data()
    training = QuantizationAware(**options)
    with np.errstate(all="raise"):
        model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[*callbacks, training])
    return training.ranges


def in_steps(difference, scale):
    return float(np.abs(difference).max() / scale)


@pytest.mark.parametrize(
    ("weights", "scales", "convolution", "engines"),
    [
        ("int4", "gate", [], ("reference", "native", "litert", "tflm")),
        (
            "int8",
            "output",
            [keras.layers.Conv1D(6, 3, activation="relu"), keras.layers.MaxPooling1D(2)],
            ("litert", "tflm"),
        ),
    ],
)
def test_outputs_of_the_integer_model_are_those_of_the_trained_one_in_every_engine(
    weights, scales, convolution, engines
):
    model = built(
        keras.layers.GRU(UNITS, return_sequences=True, dropout=0.1),
        keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True)),
        *convolution,
        keras.layers.SimpleRNN(UNITS, return_sequences=True),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(2, activation="softmax"),
    )
    pruning = ksr.callbacks.MagnitudePruning(ksr.schedules.ConstantSparsity(0.5, 0), (1, 4))
    ranges = trained(model, pruning, weights=weights, scales=scales)
    x = data(16, seed=1)[0]
    with fake_quantized(model, ranges):
        expected = model.predict(x, verbose=0)
    converted = ksr.convert(model, ranges=ranges, weights=weights, scales=scales)
    assert all(layer.sparsity >= 0.45 for layer in converted.report.layers)
    for engine in engines:
        assert in_steps(converted.predict(x, engine) - expected, 1 / 256) <= 1.01, engine
    assert np.abs(expected - model.predict(x, verbose=0)).max() > 0  # floats again


def test_rows_of_an_embedding_are_rounded_too():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Embedding(7, FEATURES), keras.layers.GRU(UNITS), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((STEPS,), dtype="int32"), *layers])
    model.compile("adam", "mse")
    words, training = np.random.default_rng(0).integers(0, 7, (32, STEPS)), QuantizationAware()
    model.fit(words, np.eye(2)[words[:, 0] % 2], batch_size=16, epochs=2, verbose=0, callbacks=[training])
    with fake_quantized(model, training.ranges):
        expected = model.predict(words, verbose=0)
    scale = Scale.of_range(*training.ranges[layers[2].name]).scale
    converted = ksr.convert(model, ranges=training.ranges)
    assert in_steps(converted.predict(words.astype("int32")) - expected, scale) <= 1.01


@pytest.mark.backend
@pytest.mark.parametrize(("weights", "scales"), [("int8", "gate"), ("int8", "output"), ("int4", "gate")])
@pytest.mark.parametrize("kind", RECURRENT)
def test_a_layer_computes_what_the_definition_of_its_op_does(kind, weights, scales):
    model = built(RECURRENT[kind](UNITS, return_sequences=True), loss="mse", optimizer=keras.optimizers.SGD(0.5))
    x = data()[0]
    training = QuantizationAware(weights, scales=scales)
    model.fit(x, np.zeros((len(x), STEPS, UNITS)), batch_size=16, epochs=2, verbose=0, callbacks=[training])
    ranges, name = training.ranges, model.layers[0].name
    with fake_quantized(model, ranges):
        ours = model.predict(x, verbose=0)

    converter = recurrent_layer(model.layers[0])
    scale, output = Scale.of_range(*ranges["inputs/0"]), Scale.of_range(*ranges[name])
    seen = _Seen({state: np.array(ranges[f"{name}/{state}"]) for state in converter.STATES})
    op = converter.integer_op(4, scale, output, seen, ConvertOptions(weights=weights, scales=scales))
    defined = np.stack([op(scale.quantize(sample)) for sample in x])
    difference = np.abs(ours / output.scale + output.zero_point - defined)
    assert difference.max() < 1.01 and np.mean(difference > 0.5) < 0.005


class _Seen:
    def __init__(self, states):
        self.states = states


@pytest.mark.backend
@pytest.mark.parametrize("kind", RECURRENT)
def test_gradients_are_those_of_keras_but_for_rounding(kind):
    """Of the second step, since the first records ranges in floats. The loss is linear: its gradient is that of the
    layer alone."""
    x = np.concatenate([data(16)[0]] * 2)
    wanted = np.random.default_rng(1).normal(size=(32, STEPS, UNITS)).astype("float32")
    moved = {}
    for label, callbacks in (("floats", []), ("integers", [QuantizationAware()])):
        optimizer = keras.optimizers.SGD(1.0)
        keras.utils.set_random_seed(0)  # before the layer draws its own
        model = built(RECURRENT[kind](UNITS, return_sequences=True), loss=lambda y, p: y * p, optimizer=optimizer)
        before = model.get_weights()
        wanted[16:] = wanted[:16]
        model.fit(x, wanted, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
        moved[label] = [after - w for after, w in zip(model.get_weights(), before, strict=True)]
    for floats, integers in zip(moved["floats"], moved["integers"], strict=True):
        assert np.linalg.norm(integers - floats) < 0.03 * np.linalg.norm(floats)


def test_the_model_is_a_plain_keras_model_at_any_time(tmp_path):
    model = built(keras.layers.GRU(UNITS), keras.layers.Dense(2, activation="softmax"))
    weights, variables = len(model.weights), len(model.variables)
    saved = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    ranges = trained(model, saved)
    assert (len(model.weights), len(model.variables)) == (weights, variables)
    assert not any({"call", "inner_loop"} & set(vars(layer)) for layer in model.layers)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = data()[0]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    ranges.save(tmp_path / "model.ranges.json")
    again = Ranges.load(tmp_path / "model.ranges.json")
    assert again == ranges
    first, second = (ksr.convert(loaded, ranges=again), ksr.convert(model, ranges=ranges))
    np.testing.assert_array_equal(first.predict(x), second.predict(x))


def test_it_begins_at_a_step_and_validates_in_integers():
    model = built(keras.layers.GRU(UNITS), keras.layers.Dense(2, activation="softmax"))
    x, y = data()
    training = QuantizationAware(begin=3)
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0, validation_data=(x, y), callbacks=[training]).history
    in_floats = model.evaluate(x, y, verbose=0)
    with fake_quantized(model, training.ranges):
        in_integers = model.evaluate(x, y, verbose=0)
    assert in_integers != in_floats
    assert history["val_loss"][-1] == pytest.approx(in_integers, abs=1e-6)


class TestRefused:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"weights": "int2"},
            {"activations": "int4"},
            {"scales": "layer"},
            {"begin": -1},
            {"begin": 0.5},
            {"momentum": 1},
        ],
    )
    def test_an_argument_out_of_range(self, arguments):
        with pytest.raises(ValueError, match=f"^{next(iter(arguments))} must be"):
            QuantizationAware(**arguments)

    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (ksr.layers.RecurrentHighway(4, return_sequences=True, name="bad"), "layer 'bad' .* cannot be converted"),
            (keras.layers.BatchNormalization(name="bad"), "layer 'bad' .* cannot be trained for integers"),
            (keras.layers.Dense(4, "elu", name="bad"), "layer 'bad' has activation=elu"),
            (keras.layers.GRU(4, "relu", return_sequences=True, name="bad"), "layer 'bad' has activation='relu'"),
            (keras.layers.RNN(keras.layers.GRUCell(4), return_sequences=True, name="bad"), "layer 'bad' cannot be"),
        ],
    )
    def test_a_layer_at_the_beginning_of_fit(self, layer, message):
        model = built(layer, keras.layers.GRU(4), keras.layers.Dense(2))
        before = model.get_weights()
        with pytest.raises(ValueError, match=message):
            trained(model)
        np.testing.assert_array_equal(model.get_weights()[0], before[0])

    def test_ranges_that_are_none(self):
        with pytest.raises(ValueError, match="range of 'gru' is nan to 1; it must be finite"):
            Ranges({"gru": (np.nan, 1)})
        model = built(keras.layers.GRU(4, name="gru"))
        with pytest.raises(ValueError, match="the ranges have none of 'inputs/0'"):
            ksr.convert(model, ranges=Ranges({"gru": (-1, 1)}))
        with pytest.raises(ValueError, match="scales must be that of the training, 'gate'; given: 'output'"):
            ksr.convert(model, ranges=Ranges({"gru": (-1, 1)}), scales="output")
        with pytest.raises(ValueError, match=r"ranges must be ksr\.quantization\.Ranges; given: dict"):
            ksr.convert(model, ranges={"gru": (-1, 1)})

    def test_a_file_that_holds_something_else(self, tmp_path):
        (tmp_path / "a.json").write_text('{"scales": "gate"}')
        with pytest.raises(ValueError, match=r"a\.json does not hold ranges"):
            Ranges.load(tmp_path / "a.json")
