"""How far an integer model may be from Keras: rated in standard deviations of its outputs, and what lies behind it."""

import math

import keras
import numpy as np
import pytest
from keras.layers import GRU, Dense

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.causes import few_steps, likely_causes
from keras_sparse_rnn.convert.options import ConvertOptions
from keras_sparse_rnn.convert.quantize import Scale
from keras_sparse_rnn.layers import EventGRU

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs TensorFlow")


def walks(samples=32, steps=20, inputs=6):
    rng = np.random.default_rng(0)
    return np.cumsum(0.3 * rng.normal(size=(samples, steps, inputs)), axis=1).astype(np.float32)


def unscaled():
    """Of the small channels a scale for all of them leaves three steps."""
    x = walks()
    x[..., 0] *= 100
    return x


def sequential(layers, steps=20):
    """A model of what `layers()` gives; they draw their seeds when they are made."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((steps, 6)), *layers()])


@pytest.fixture(scope="module")
def off_by_a_quarter():
    return sequential(lambda: [GRU(16), Dense(2, name="y")])


def relative_error(model, converted, x):
    expected = model.predict(x, verbose=0)
    return np.sqrt(np.mean((converted.predict(x) - expected) ** 2)) / np.sqrt(expected.var(axis=0).mean())


def test_a_large_error_is_rated_and_its_cause_named(off_by_a_quarter):
    x = unscaled()
    with pytest.warns(UserWarning, match="output 'y' in litert is off by 0.* standard deviations") as caught:
        converted = ksr.convert(off_by_a_quarter, x, target="litert")
    error = relative_error(off_by_a_quarter, converted, x)
    assert 0.1 < error < 0.5 and converted.report.relative_error == pytest.approx(error, rel=1e-4)
    assert [str(w.message) for w in caught if w.category is UserWarning] == converted.report.warnings
    assert "channels 1, 2, 3, 4, 5 of input" in converted.report.warnings[0]
    with pytest.raises(ksr.VerificationError, match=r"allowed: 0.\d+. Likely: channels 1, 2, 3, 4, 5 of input"):
        ksr.convert(off_by_a_quarter, x, target="litert", max_relative_error=error / 2)


def test_what_is_advised_helps(off_by_a_quarter):
    x = unscaled()
    assert ksr.convert(off_by_a_quarter, x, weights="int8x16").report.relative_error < 0.1
    standardised = sequential(lambda: [GRU(16), Dense(2)])
    report = ksr.convert(standardised, (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))).report
    assert report.relative_error < 0.1 and report.warnings == []


@pytest.mark.parametrize("layer", [GRU, EventGRU])
def test_a_model_of_noise_is_refused(layer):
    """Its first layer has learned to ignore the one channel that the input's scale is made for. Each recurrent layer is
    right on its own."""
    model, x = sequential(lambda: [Dense(8, name="first"), layer(16), Dense(2)]), walks()
    x[..., 0] *= 1000
    kernel, bias = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([kernel * (np.arange(6) > 0)[:, None], bias])
    with pytest.raises(ksr.VerificationError, match="allowed: 0.5. Likely: channels 1, 2, 3, 4, 5 of input"):
        ksr.convert(model, x, target="litert")
    with pytest.warns(UserWarning, match="standard deviations"):
        converted = ksr.convert(model, x, target="litert", max_relative_error=math.inf)
    assert converted.report.relative_error > 0.5


def test_events_that_part_are_no_fault():
    """Each of the layers is right from the same state; what rounding does to the whole, it does in Keras as well."""
    threshold = keras.initializers.Constant(0.05)

    def layers():
        events = [EventGRU(24, return_sequences=i < 2, threshold_initializer=threshold) for i in range(3)]
        return [*events, Dense(4)]

    model = sequential(layers, steps=60)
    for layer in model.layers[:3]:
        layer.cell.kernel.assign(8 * layer.cell.kernel)
        layer.cell.recurrent_kernel.assign(8 * layer.cell.recurrent_kernel)
    x = np.random.default_rng(0).normal(size=(32, 60, 6)).astype(np.float32)
    with pytest.warns(UserWarning, match="amplifies rounding: Keras's own outputs move by"):
        report = ksr.convert(model, x, target="litert").report
    assert report.relative_error > 0.5 and min(layer.event_agreement for layer in report.layers) > 0.9


def test_causes():
    options, y = ConvertOptions(), {"y": walks()[:, None]}
    assert likely_causes({"x": walks()[:, None]}, y, options) == []
    assert likely_causes({"words": np.array([[[0, 9999]]] * 32)}, y, options) == []
    (few,) = likely_causes({"x": walks(3)[:, None]}, y, options)
    assert few.startswith("representative_data hold only 3 samples")
    offset = walks()[:, None] + 1000 * (np.arange(6) > 3)
    (narrow,) = likely_causes({"x": offset.astype(np.float32)}, y, options)
    assert narrow.startswith("channels 0, 1, 2, 3, 4, 5 of input 'x' span less than 1/30")
    fine = ConvertOptions(weights="int8x16")
    assert likely_causes({"x": offset.astype(np.float32)}, y, fine) == []
    spike = walks()[:, None].copy()
    spike[0, 0, 0, 0] = 1e3
    sample, outlier = likely_causes({"x": spike}, y, options)
    assert sample.startswith("samples 0 of input 'x' in representative_data span over 30 times what most do")
    assert outlier.startswith("the range of input 'x' is ") and outlier.endswith("take percentile=99.9")
    assert likely_causes({"x": spike}, y, ConvertOptions(percentile=99.9)) == []


def test_what_varies_by_few_steps_of_its_integers_is_a_cause():
    values, options = np.tile([[0.5], [-0.5]], (10, 3)), ConvertOptions()
    tensors = [("fine", values, Scale(1 / 32, 0, 8)), ("coarse", values, Scale(1 / 8, 0, 8)), ("a mask", values, None)]
    assert few_steps(tensors[::2], options) == []
    assert few_steps(tensors, options) == [
        "coarse varies by only 4 steps of its integers: weights='int8x16' may come closer"
    ]
    assert few_steps(tensors, ConvertOptions(weights="int8x16", scales="output")) == [
        "coarse varies by only 4 steps of its integers"
    ]


def test_without_any_other_cause_the_layer_that_rounding_moves_most_is_named():
    model = sequential(lambda: [GRU(16, name="gru"), Dense(2)])
    with pytest.raises(ksr.VerificationError, match="Likely: rounding, which moves the states of layer 'gru' by 0.00"):
        ksr.convert(model, walks(), target="litert", max_relative_error=1e-4)


@pytest.mark.parametrize("value", [0, -1, math.nan, "0.5", True])
def test_max_relative_error(value):
    with pytest.raises(ValueError, match="max_relative_error must be a number above 0"):
        ConvertOptions(max_relative_error=value)
    with pytest.raises(ValueError, match="max_relative_error is for integers"):
        ConvertOptions(weights="float32", max_relative_error=1)


def outputs_of(scale, bias):
    """A model whose outputs are scaled and moved."""
    model = sequential(lambda: [GRU(16), Dense(len(bias), name="y")])
    kernel, _ = model.get_layer("y").get_weights()
    model.get_layer("y").set_weights([kernel * np.float32(scale), np.float32(bias)])
    return model


@pytest.mark.parametrize(
    ("scale", "bias", "what"),
    [([100, 0.1], [0, 0], "channel 1 of output 'y'"), (5, [1013], "output 'y'")],
    ids=["small beside large", "far from zero"],
)
def test_what_int8_cannot_tell_apart_is_said(scale, bias, what):
    model, x = outputs_of(scale, bias), walks()
    with pytest.warns(UserWarning, match=f"^{what} in litert is off by .* steps of int8, which cannot tell them apart"):
        converted = ksr.convert(model, x, target="litert")
    off = converted.predict(x) - model.predict(x, verbose=0)
    worst = np.sqrt(np.square(off).mean(axis=0)) / model.predict(x, verbose=0).std(axis=0)
    [warning] = converted.report.warnings
    assert float(warning.split(" standard")[0].split()[-1]) == pytest.approx(worst.max(), rel=0.05)
    assert ksr.convert(model, x, target="litert", weights="int8x16").report.warnings == []


@pytest.mark.filterwarnings("error::UserWarning")
def test_classes_that_no_sample_belongs_to_are_no_fault():
    model, x = sequential(lambda: [GRU(8), Dense(3, "softmax", name="y")]), walks()
    kernel, _ = model.get_layer("y").get_weights()
    model.get_layer("y").set_weights([kernel, np.array([0, 0, -9])])
    converted = ksr.convert(model, x)
    assert 0 < model.predict(x, verbose=0)[:, 2].std() < 1e-3 and converted.report.warnings == []


def test_samples_from_the_beginning_to_the_end_are_verified():
    """Sorted by class, the first samples leave the output of the other class as good as constant."""
    model, x = sequential(lambda: [GRU(8), Dense(1)]), np.repeat(walks(2), 40, axis=0)
    converted = ksr.convert(model, x, target="litert")
    assert converted.report.relative_error < 0.1 and converted.report.warnings == []


def test_samples_that_are_all_the_same_are_said():
    model, x = outputs_of(1, [0, 0]), np.zeros_like(walks())
    with pytest.warns(UserWarning, match="all 32 samples of representative_data for input '.*' are the same"):
        ksr.convert(model, x, target="litert", max_relative_error=math.inf)


def test_an_integer_model_refuses_what_is_no_number():
    x = walks()
    converted = ksr.convert(outputs_of(1, [0, 0]), x, target="litert")
    x[0, 3, 2] = np.nan
    for engine in ("litert", "native", "reference"):
        with pytest.raises(ValueError, match="hold NaN"):
            converted.predict(x[:1], engine=engine)


def test_a_token_that_no_embedding_has_is_refused():
    keras.utils.set_random_seed(0)
    tokens = np.arange(60).reshape(12, 5).astype("int32") % 10
    model = keras.Sequential([keras.Input((5,), dtype="int32"), keras.layers.Embedding(10, 6), GRU(8)])
    converted = ksr.convert(model, tokens, weights="float32", target="litert")
    tokens[0, 3] = -1
    for engine in ("litert", "native", "reference"):
        with pytest.raises(ValueError, match=r"must hold indices from 0 to 9, .*; given: -1"):
            converted.predict(tokens[:1], engine=engine)
