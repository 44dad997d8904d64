"""Pruned dense layers as LiteRT's own sparse FULLY_CONNECTED."""

import keras
import numpy as np
import pytest
from adapter_models import DenseWriter
from event_models import sequences
from keras.layers import GRU, Dense

import keras_sparse_rnn as ksr
from keras_sparse_rnn import runtime
from keras_sparse_rnn.convert import litert_sparse
from keras_sparse_rnn.runtime.model import Model


def _model(inputs, units, activation=None, use_bias=True, density=0.05, block=1, whole_sequence=False):
    """A GRU and a dense layer with `density` of its blocks along the inputs, the first unit without any."""
    keras.utils.set_random_seed(0)
    dense = Dense(units, activation, use_bias=use_bias)
    model = keras.Sequential([keras.Input((12, 7)), GRU(inputs, return_sequences=whole_sequence), dense])
    rng = np.random.default_rng(0)
    blocks = rng.random((-(-inputs // block), units)) < density
    kernel = rng.normal(size=(inputs, units)) * np.repeat(blocks, block, axis=0)[:inputs]
    kernel[:, 0] = 0
    dense.set_weights([kernel, rng.normal(size=units)][: 1 + use_bias])
    return model


CASES = [
    ({"inputs": 64, "units": 61}, "1x1"),
    pytest.param({"inputs": 62, "units": 50, "activation": "relu"}, "1x1", marks=pytest.mark.slow),
    ({"inputs": 64, "units": 64, "use_bias": False, "block": 4, "density": 0.2}, "1x4"),
    ({"inputs": 63, "units": 64, "block": 4, "density": 0.2}, "1x4 and PAD"),
    ({"inputs": 64, "units": 40, "whole_sequence": True}, "1x1"),
    pytest.param({"inputs": 64, "units": 40, "density": 0}, "1x1", marks=pytest.mark.slow),
    ({"inputs": 520, "units": 300, "density": 0.01}, "1x1"),  # more than a byte counts
]
INT8_CASES = [
    ({"inputs": 64, "units": 61, "block": 16}, "1x16"),
    ({"inputs": 70, "units": 64, "block": 16, "activation": "relu"}, "1x16 and PAD"),
    pytest.param(
        {"inputs": 96, "units": 50, "block": 16, "use_bias": False, "whole_sequence": True},
        "1x16",
        marks=pytest.mark.slow,
    ),
    ({"inputs": 131, "units": 50, "block": 16, "whole_sequence": True}, "1x16 and PAD"),
]


@pytest.mark.parametrize(("arguments", "encoding"), CASES, ids=str)
def test_litert_computes_what_keras_does(arguments, encoding):
    model, x = _model(**arguments), sequences(4)
    converted = ksr.convert(model, x, weights="float32", target="litert")
    _check_stored(converted, encoding)
    np.testing.assert_allclose(converted.predict(x), np.asarray(model(x)), atol=2e-5)


@pytest.mark.parametrize(("arguments", "encoding"), INT8_CASES, ids=str)
def test_int8_is_what_the_dense_layer_gives(arguments, encoding, monkeypatch):
    model, x = _model(**arguments), sequences(4)
    converted = ksr.convert(model, x, target="litert")
    _check_stored(converted, encoding)
    monkeypatch.setattr(litert_sparse, "BLOCKS", {})
    dense = ksr.convert(model, x, target="litert", verify=False)
    assert dense.report.dense == []
    error = np.abs(converted.predict(x) - dense.predict(x)).max()
    assert error <= 1.01 * dense.engine().outputs[0].scale  # XNNPACK rounds otherwise than the sparse kernel


def _check_stored(converted, encoding):
    (layer,) = converted.report.dense
    assert layer.stored == f"SparsityParameters of {encoding}" and layer.bytes[layer.stored] < layer.bytes["dense"]
    names = [op.name for op in Model(converted.data).operators]
    assert "DENSIFY" not in names and ("PAD" in names) == ("PAD" in encoding)


@pytest.mark.parametrize(("dtype", "block"), [(np.float32, 1), (np.float32, 4), (np.int8, 16)])
def test_every_width_is_right(dtype, block, monkeypatch):
    """Sizes from 1 to 64, in one interpreter with the same weights dense, from one input that both read."""
    monkeypatch.setattr(litert_sparse, "BLOCKS", {np.dtype(dtype): (block,)})
    monkeypatch.setattr(litert_sparse, "_TABLE_BYTES", -(10**6))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        units, inputs, rows = (int(n) for n in rng.integers(1, (65, 65, 5)))
        shape = [(rows, inputs), (1, rows, inputs)][rng.integers(2)]
        writer, both = DenseWriter(), {}
        quantized = {"x": (1 / 64, int(rng.integers(-128, 128))), "y": (1 / 4, int(rng.integers(-128, 128)))}
        scales = quantized if dtype == np.int8 else dict.fromkeys(quantized)
        x = writer.add_tensor("x", shape, dtype, scale=scales["x"])
        weights = rng.normal(0, 40, (units, inputs)).astype(dtype)
        weights *= rng.random(weights.shape) < rng.choice([0, 0.1, 0.5, 1])
        bias = rng.normal(0, 500, units).astype(np.int32 if dtype == np.int8 else np.float32)
        for name in ("sparse", "dense"):
            both[name] = writer.add_tensor(name, (*shape[:-1], units), dtype, scale=scales["y"])
            writer.add_dense(x, both[name], weights, bias, scale=1 / 256)
            if name == "sparse":
                (report,) = litert_sparse.pack_litert_sparse(writer)
        assert report.stored == litert_sparse.stored_as(block, -inputs % block)
        values = rng.normal(0, 50, shape).clip(-128, 127).astype(dtype)
        engine = runtime.load(writer.finish({"x": x}, both), "litert")
        sparse, dense = (output.astype(np.float64) for output in engine.invoke([values]))
        tolerance = 1 if dtype == np.int8 else 1e-6 * np.abs(weights).max(initial=1) * 50 * inputs
        assert np.abs(sparse - dense).max() <= tolerance, (seed, units, inputs, shape)


def test_the_file_shrinks_by_what_the_report_says():
    x = sequences(2)
    for arguments in ({}, {"inputs": 63, "block": 4, "density": 0.2}):
        arguments = {"inputs": 64, "units": 64, **arguments}
        sparse = ksr.convert(_model(**arguments), x, weights="float32", target="litert", verify=False)
        full = ksr.convert(_model(**arguments | {"density": 1}), x, weights="float32", target="litert", verify=False)
        layer = sparse.report.dense[0]
        assert full.report.dense[0].stored == "dense" != layer.stored
        saved = layer.bytes["dense"] - layer.bytes[layer.stored]
        assert len(full.data) - len(sparse.data) == pytest.approx(saved, abs=300)


@pytest.mark.parametrize("engine", ["native", "reference", "tflm"])
def test_other_engines_refuse_it(engine):
    if engine == "tflm":
        pytest.importorskip("tflite_micro")
    converted = ksr.convert(_model(64, 61), sequences(2), weights="float32", target="litert", verify=False)
    with pytest.raises(ValueError, match="sparse"):
        converted.engine(engine)


@pytest.mark.parametrize("block", [1, 4, 16])
def test_encoding_holds_every_weight(block):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        units, inputs = (int(n) for n in rng.integers(1, 300, 2))
        weights = rng.normal(size=(units, inputs)) * (rng.random((units, inputs)) < rng.choice([0, 0.01, 0.3, 1]))
        values, segments, indices = litert_sparse.encode(weights, block)
        decoded = np.zeros((units, -(-inputs // block), block))
        rows = np.repeat(np.arange(units), np.diff(segments.astype(int)))
        decoded[rows, indices] = values
        np.testing.assert_array_equal(decoded.reshape(units, -1)[:, :inputs], weights)
