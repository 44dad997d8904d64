"""Pruned dense layers as LiteRT's own sparse FULLY_CONNECTED."""

import keras
import numpy as np
import pytest
from event_models import sequences
from keras.layers import GRU, Dense

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.litert_sparse import encode
from keras_sparse_rnn.runtime.model import Model

STORED = "SparsityParameters of 1x4"


def _model(inputs, units, activation=None, use_bias=True, density=0.05, whole_sequence=False):
    """A GRU and a dense layer with `density` of its weights, the first unit without any."""
    keras.utils.set_random_seed(0)
    dense = Dense(units, activation, use_bias=use_bias)
    model = keras.Sequential([keras.Input((12, 7)), GRU(inputs, return_sequences=whole_sequence), dense])
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(inputs, units)) * (rng.random((inputs, units)) < density)
    kernel[:, 0] = 0
    dense.set_weights([kernel, rng.normal(size=units)][: 1 + use_bias])
    return model


@pytest.mark.parametrize(
    "arguments",
    [
        {"inputs": 64, "units": 61},
        {"inputs": 60, "units": 50, "activation": "relu"},
        {"inputs": 64, "units": 33, "use_bias": False},
        {"inputs": 64, "units": 40, "whole_sequence": True},
        {"inputs": 64, "units": 40, "density": 0},
        {"inputs": 520, "units": 300, "density": 0.01},  # more blocks than a byte counts
    ],
    ids=str,
)
def test_litert_computes_what_keras_does(arguments):
    model, x = _model(**arguments), sequences(4)
    converted = ksr.convert(model, x, weights="float32", target="litert")
    (layer,) = converted.report.dense
    assert layer.stored == STORED and layer.bytes[STORED] < layer.bytes["dense"]
    file = Model(converted.data)
    assert "DENSIFY" not in [op.name for op in file.operators]
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(converted.predict(x), expected, atol=2e-5)


def test_the_file_shrinks_by_what_the_report_says():
    x = sequences(2)
    sparse = ksr.convert(_model(64, 64), x, weights="float32", target="litert", verify=False)
    full = ksr.convert(_model(64, 64, density=1), x, weights="float32", target="litert", verify=False)
    sizes = sparse.report.dense[0].bytes
    assert full.report.dense[0].stored == "dense"
    assert len(full.data) - len(sparse.data) == pytest.approx(sizes["dense"] - sizes[STORED], abs=300)


def test_a_width_that_litert_miscomputes_stays_dense():
    model, x = _model(62, 50), sequences(2)
    converted = ksr.convert(model, x, weights="float32", target="litert")
    assert converted.report.dense == []
    np.testing.assert_allclose(converted.predict(x), model.predict(x, verbose=0), atol=2e-5)


@pytest.mark.parametrize("engine", ["native", "reference", "tflm"])
def test_other_engines_refuse_it(engine):
    if engine == "tflm":
        pytest.importorskip("tflite_micro")
    converted = ksr.convert(_model(64, 61), sequences(2), weights="float32", target="litert", verify=False)
    with pytest.raises(ValueError, match="sparse"):
        converted.engine(engine)


def test_encoding_holds_every_weight():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shape = int(rng.integers(1, 300)), 4 * int(rng.integers(1, 80))
        weights = rng.normal(size=shape) * (rng.random(shape) < rng.choice([0, 0.01, 0.3, 1]))
        values, segments, indices = encode(weights)
        decoded = np.zeros((shape[0], shape[1] // 4, 4))
        rows = np.repeat(np.arange(shape[0]), np.diff(segments.astype(int)))
        decoded[rows, indices] = values
        np.testing.assert_array_equal(decoded.reshape(shape), weights)
