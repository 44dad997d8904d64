"""Layers that compute in float32 in an integer model, and gelu by ops that TensorFlow Lite Micro has."""

import keras
import numpy as np
import pytest
from event_models import sequences
from keras import layers
from keras.layers import GRU, Dense
from zoo import ENGINES

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.float_layers import Gelu


def _of_words_left_out():
    x = sequences()
    x[:, 9:] = 0
    return x


MODELS = {
    "normalization, PReLU": lambda: [
        layers.LayerNormalization(),
        GRU(6, return_sequences=True),
        layers.PReLU(alpha_initializer="ones", shared_axes=[1]),
        layers.LayerNormalization(),
        layers.Flatten(),
        layers.UnitNormalization(),
        Dense(3),
    ],
    "activations": lambda: [
        Dense(8, activation="gelu"),
        GRU(6),
        Dense(8, activation="elu"),
        layers.Activation("selu"),
        Dense(8, activation="softsign"),
        layers.Activation("linear"),
        layers.Activation("gelu"),
        Dense(3),
    ],
    "masked pooling": lambda: [
        layers.Masking(),
        GRU(6, return_sequences=True),
        layers.GlobalAveragePooling1D(),
        Dense(3),
    ],
}


@pytest.mark.parametrize(("name", "weights"), [(name, "int8x16") for name in MODELS] + [("activations", "int8")])
def test_they_are_as_near_as_the_weights_allow(name, weights):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((12, 7)), *MODELS[name]()])
    x = _of_words_left_out() if name == "masked pooling" else sequences()
    expected = model.predict(x, verbose=0)
    converted = ksr.convert(model, x, weights=weights)
    for engine in ENGINES:
        error = converted.predict(x, engine=engine) - expected
        assert np.sqrt(np.mean(error**2)) <= (0.05 if weights == "int8" else 0.03) * expected.std(), engine


def test_gelu_is_that_of_keras():
    x = np.concatenate([np.linspace(-9, 9, 2001), [-1e-6, 0, 1e-6, -60, 60]]).astype("float32")
    np.testing.assert_allclose(Gelu()(x), keras.activations.gelu(x), rtol=0, atol=1e-6)


def test_gelu_in_float32():
    model = keras.Sequential([keras.Input((12, 7)), GRU(6), Dense(8, activation="gelu"), Dense(3)])
    x = sequences()
    converted = ksr.convert(model, x, weights="float32")
    for engine in ENGINES:
        np.testing.assert_allclose(converted.predict(x, engine=engine), model.predict(x, verbose=0), atol=1e-5)
