"""Layers of low rank, converted: what the engines compute is what Keras computes, in two products."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import FastGRNN, LightGRU

FEATURES, UNITS = 12, 16
KINDS = {
    "LightGRU, joint": lambda: LightGRU(UNITS, rank=5, return_sequences=True),
    "LightGRU, apart": lambda: LightGRU(UNITS, rank=(4, 6), return_sequences=True),
    "FastGRNN, joint": lambda: FastGRNN(UNITS, rank=5, return_sequences=True),
    "FastGRNN, apart": lambda: FastGRNN(UNITS, rank=(5, 3), return_sequences=True),
    "LightGRU, other gates": lambda: LightGRU(UNITS, rank=5, activation="relu", return_sequences=True),
}
BOUNDS = {"float32": 1e-5, "int8": 0.04, "int8x16": 0.02}


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(8, 10, FEATURES)).astype("float32")


@pytest.mark.parametrize("weights", BOUNDS)
@pytest.mark.parametrize("kind", KINDS)
def test_engines_compute_what_keras_does(kind, weights):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((10, FEATURES)), KINDS[kind]()])
    x = sequences()
    converted = ksr.convert(model, x, weights=weights)
    expected = model.predict(x, verbose=0)
    outputs = [ksr.runtime.load(converted.data, engine=engine).predict(x) for engine in ("native", "reference")]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5 if weights == "float32" else 0)
    bound = BOUNDS[
        "int8" if "Fast" in kind and weights != "float32" else weights
    ]  # one scale for a gate and a candidate
    assert np.abs(outputs[0] - expected).max() < bound * max(1, np.abs(expected).max())


def test_the_products_are_those_of_the_factors():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((10, FEATURES)), LightGRU(UNITS, rank=(4, 6))])
    converted = ksr.convert(model, sequences())
    macs = FEATURES * 4 + UNITS * 6 + 10 * 2 * UNITS
    [layer] = converted.report.layers
    assert layer.dense_bytes == macs and layer.inputs == FEATURES
    assert ksr.inspect(converted.data).macs == 10 * macs
