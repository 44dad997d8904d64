"""A scale for each channel of an input, folded into the weights that read it."""

import json

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.channel_readers import ChannelReaders
from keras_sparse_rnn.initializers import Sensitivity
from keras_sparse_rnn.runtime.model import METADATA, Model
from keras_sparse_rnn.tflite_file import ModelFile

L = keras.layers
STEPS, CHANNELS = 6, 4
RANGES = np.array([0.1, 1.0, 3.0, 30.0], np.float32)


def data(samples=40, steps=STEPS):
    return np.random.default_rng(0).normal(size=(samples, steps, CHANNELS)).astype(np.float32) * RANGES / 3


def wired(layers):
    """A model that concatenates raw features with what a layer makes of them, as RNNoise does."""
    x = keras.Input((STEPS, CHANNELS), name="features")
    first = L.Dense(3, activation="tanh")(x)
    return keras.Model(x, L.GRU(5)(L.concatenate([first, L.Dropout(0.5)(x)])) if layers else first)


def chain(*layers):
    return keras.Sequential([keras.Input((STEPS, CHANNELS), name="features"), *layers])


def normalized():
    layer = L.Normalization()
    layer.adapt(data())
    return chain(layer, L.GRU(3))


def batch_normalized():
    model = chain(L.BatchNormalization(), L.Dense(3))
    generator = np.random.default_rng(1)
    model.layers[0].set_weights([generator.uniform(0.5, 2, CHANNELS) for _ in range(4)])
    return model


FOLDED = {
    "dense, GRU and concatenate": lambda: wired(True),
    "LSTM": lambda: chain(L.LSTM(3)),
    "cells": lambda: chain(L.RNN([L.GRUCell(3), L.LSTMCell(2)])),
    "bidirectional": lambda: chain(L.Bidirectional(L.GRU(3))),
    "convolution": lambda: chain(L.Conv1D(3, 3, padding="same"), L.GRU(2)),
    "separable": lambda: chain(L.SeparableConv1D(3, 3, depth_multiplier=2)),
    "transposed": lambda: chain(L.Conv1DTranspose(3, 2)),
    "depthwise": lambda: chain(L.DepthwiseConv1D(2, depth_multiplier=2)),
    "flatten": lambda: chain(L.MaxPooling1D(2), L.Flatten(), L.Dense(3)),
    "over time": lambda: chain(L.Masking(), L.TimeDistributed(L.Dense(3))),
    "normalization": normalized,
    "batch normalization": batch_normalized,
    "held": lambda: chain(ksr.layers.DeltaHold(0.2), L.GRU(3)),
    "delta": lambda: chain(ksr.layers.DeltaGRU(3, 0.2, 0.01)),
    "delta, trained thresholds": lambda: chain(ksr.layers.DeltaGRU(3, 0.2, 0.01, trainable_threshold=True)),
    "delta by sensitivity": lambda: chain(ksr.layers.DeltaGRU(3, Sensitivity(0.2), 0.01)),
    "events": lambda: chain(ksr.layers.EventGRU(3)),
    "one matrix": lambda: chain(ksr.layers.FastGRNN(3)),
    "highway": lambda: chain(ksr.layers.RecurrentHighway(3)),
}


@pytest.mark.parametrize("build", FOLDED.values(), ids=FOLDED)
def test_the_model_of_divided_inputs_gives_what_the_model_gives(build):
    keras.utils.set_random_seed(0)
    model, x = build(), data(8)
    before = model.get_weights()
    divided = ChannelReaders(model, ["features"], [CHANNELS]).multiplied(RANGES)
    expected, given = (keras.ops.convert_to_numpy(part) for part in (model(x), divided(x / RANGES)))
    np.testing.assert_allclose(given, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    for own, values in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, values)


def shared():
    x = keras.Input((STEPS, CHANNELS), name="features")
    layer = L.Dense(CHANNELS)
    return keras.Model(x, layer(layer(x)))


def added():
    x = keras.Input((STEPS, CHANNELS), name="features")
    return keras.Model(x, L.Add(name="sum")([x, L.Dense(CHANNELS)(x)]))


def put_out():
    x = keras.Input((STEPS, CHANNELS), name="features")
    return keras.Model(x, [L.GRU(2)(x), x])


REFUSED = {
    "activation": (lambda: chain(L.Activation("tanh", name="bend"), L.GRU(2)), "'features' enters layer 'bend'"),
    "masking": (lambda: chain(L.Masking(-1.0, name="skip"), L.GRU(2)), "layer 'skip'"),
    "layer normalization": (lambda: chain(L.LayerNormalization(name="norm"), L.GRU(2)), "layer 'norm'"),
    "sum": (added, "layer 'sum'"),
    "shared": (shared, "reads an input and, with the same weights, another tensor"),
    "output": (put_out, "input 'features' is an output of the model, too"),
}


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_multiply_its_input_is_refused_by_name(build, message):
    with pytest.raises(ValueError, match=message):
        ChannelReaders(build(), ["features"], [CHANNELS])


@pytest.fixture(scope="module")
def converted():
    keras.utils.set_random_seed(0)
    model, x = wired(True), data()
    for layer in model.layers:  # as trained on such features
        if layer.weights:
            kernel, *others = layer.get_weights()
            kernel[-CHANNELS:] /= RANGES[:, None]
            layer.set_weights([kernel, *others])
    return model, x, ksr.convert(model, x, input_scales="channel")


def test_it_converts_what_one_scale_ruins_and_the_file_says_so(converted):
    model, x, by_channel = converted
    with pytest.raises(ksr.VerificationError, match="input_scales='channel'"):
        ksr.convert(model, x)
    assert by_channel.report.relative_error < 0.05
    file, own = ModelFile(by_channel.data), Model(by_channel.data)
    divisors = json.loads(file.metadata[METADATA])["input_divisors"]
    spans = np.abs(x).max(axis=(0, 1)) / divisors[0]
    assert spans.max() < 4 * spans.min()  # 300 times as they are
    one = file.tensors[file.graphs[0].inputs[0]].scale
    np.testing.assert_allclose(own.inputs[0].scale, one * np.array(divisors[0]), rtol=1e-6)
    assert by_channel.report.input_scales == "channel"


@pytest.mark.parametrize("engine", ["native", "reference", "tflm"])
def test_engines_agree_on_real_inputs(converted, engine):
    if engine == "tflm":
        pytest.importorskip("tflite_micro")
    _, x, by_channel = converted
    np.testing.assert_allclose(by_channel.predict(x, engine), by_channel.predict(x), atol=1.01 / 128)


def test_values_beyond_the_range_of_a_channel_are_told(converted):
    _, x, by_channel = converted
    x = x[:3].copy()
    x[..., 1] *= 4
    with pytest.warns(UserWarning, match="channel 1 of input 'features'"):
        ksr.runtime.load(by_channel.data, "native").predict(x)


def test_divisors_that_do_not_fit_are_refused(converted):
    file = ModelFile(converted[2].data)
    noted = json.loads(file.metadata[METADATA])
    for wrong in (
        [[1.0] * 3],
        [[0.0] * CHANNELS],
        [["1"] * CHANNELS],
        [1.0],
        [None, None],
        [[float("nan")] * CHANNELS],
    ):
        file.metadata[METADATA] = json.dumps(noted | {"input_divisors": wrong}).encode()
        with pytest.raises(ValueError, match="divisors"):
            Model(file.build())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_scales": "row"}, "input_scales must be one of"),
        ({"input_scales": "channel", "weights": "float32"}, "input_scales is for integers"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(chain(L.GRU(2)), data(4), **options)


def test_inputs_without_channels_are_refused():
    model = keras.Sequential([keras.Input((STEPS,), dtype="int32"), L.Embedding(5, 3), L.GRU(2)])
    with pytest.raises(ValueError, match="no input of the model holds floats with channels"):
        ksr.convert(model, np.ones((4, STEPS), np.int32), input_scales="channel")
