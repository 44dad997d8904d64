"""Dense layers in blocks."""

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras.layers import GRU, Conv1D, Conv2D, Dense
from zoo import ENGINES

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.formats import INT8
from keras_sparse_rnn.ops.sparse_dense import SparseDense
from keras_sparse_rnn.runtime.model import Model


def _pruned(units, activation, density=0.1, use_bias=True):
    model = event_model([Dense(70, name="first"), GRU(9, return_sequences=True), Dense(64), Dense(units, activation)])
    model.layers[-1].use_bias = use_bias
    rng = np.random.default_rng(0)
    kernel = np.array(model.layers[-1].kernel)
    for first in range(0, units, 4):
        kernel[:, first : first + 4] *= rng.random((64, 1)) < density
    model.layers[-1].kernel.assign(kernel)
    model.layers[-1].bias.assign(rng.normal(size=units))
    return model


@pytest.mark.parametrize(
    ("weights", "units", "activation"),
    [
        *(("int8", 61, None), ("int8", 64, "relu"), ("int8", 70, "relu6"), ("float32", 61, "softmax")),
        pytest.param("int8", 61, "softmax", marks=pytest.mark.slow),
        pytest.param("float32", 61, None, marks=pytest.mark.slow),
        pytest.param("float32", 64, "relu", marks=pytest.mark.slow),
        pytest.param("float32", 70, "relu6", marks=pytest.mark.slow),
    ],
)
def test_a_pruned_layer_is_packed_and_computes_the_same(units, activation, weights):
    model, x = _pruned(units, activation), sequences()
    converted = ksr.convert(model, x, weights=weights)
    assert [op.name for op in Model(converted.data).operators].count("KsrSparseDense") == 1
    expected = np.asarray(model(x))
    plain = ksr.convert(model, x, weights=weights, target="litert", verify=False)
    step = plain.engine().outputs[0].scale or 0
    for name in ENGINES:
        outputs = converted.predict(x, name)
        # Beside TensorFlow Lite's own dense kernel, which rounds twice where ours rounds once.
        assert np.abs(outputs - plain.predict(x)).max() <= (1.01 * step if weights == "int8" else 1e-5)
        assert np.abs(outputs - expected).mean() <= (0.03 if weights == "int8" else 1e-5)


def test_only_where_smaller_and_the_report_says_what_each_would_cost(monkeypatch):
    model, x = _pruned(64, None), sequences()
    sparse = ksr.convert(model, x, verify=False)
    first, other, pruned = sparse.report.dense
    assert (first.stored, other.stored, pruned.stored) == ("dense", "dense", "blocks of 1x4")
    assert pruned.bytes["blocks of 1x4"] == min(pruned.bytes.values()) < 0.5 * pruned.bytes["dense"]
    assert pruned.zeros == pytest.approx(0.9, abs=0.03)
    assert f"stored blocks of 1x4 (bytes: dense {pruned.bytes['dense']:,}, " in str(sparse.report)
    monkeypatch.setattr("keras_sparse_rnn.ops.sparse_dense.BLOCKS", ())
    dense = ksr.convert(model, x, verify=False)
    assert len(dense.data) - len(sparse.data) == pytest.approx(
        pruned.bytes["dense"] - pruned.bytes["blocks of 1x4"], abs=400
    )
    assert not any(
        "MatMul" in t.name and t.data.size == 64 * 64 for t in Model(sparse.data).tensors if t.data is not None
    )


@pytest.mark.parametrize("weights", ["int8", "float32"])
def test_a_pruned_convolution_of_one_place_is_packed(weights):
    """Of a sequence and of an image; not one that skips places, nor one of several."""
    over_time = event_model([GRU(8, return_sequences=True), Conv1D(64, 1, activation="relu", name="pointwise"), GRU(4)])
    layers = [Conv2D(64, 1, activation="relu6", name="pointwise"), Conv2D(64, 1, strides=2, name="strides")]
    layers += [Conv2D(4, 3, name="window")]
    image = keras.Sequential([keras.Input((6, 6, 16)), *layers])
    images = np.random.default_rng(0).normal(size=(24, 6, 6, 16)).astype("float32")
    for model, x in ((over_time, sequences()), (image, images)):
        ksr.prune(model, 0.9, (1, 4), layers=lambda layer: isinstance(layer, (Conv1D, Conv2D)))
        converted, expected = ksr.convert(model, x, weights=weights), np.asarray(model(x))
        (report,) = converted.report.dense
        assert "pointwise" in report.name and report.stored == "blocks of 1x4"
        for name in ENGINES:
            error = np.abs(converted.predict(x, name) - expected)
            assert error.mean() <= 0.05 * expected.std() if weights == "int8" else error.max() <= 1e-5, name
        assert PlainC(Model(converted.data)).is_streaming == (model is over_time)


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_every_engine_gives_the_same_bits(dtype):
    """Random layers of every block width, ragged and empty ones too, on inputs of one to three dimensions."""
    for seed in range(24):
        rng = np.random.default_rng(seed)
        inputs, units, block = int(rng.integers(1, 40)), int(rng.integers(1, 60)), int(rng.choice([4, 8, 16]))
        mask = rng.random((inputs, 1, units)) < rng.choice([0, 0.1, 1])
        options = {"units": units, "block": block, "activation": int(rng.integers(3))}
        shape = (*rng.integers(1, 4, rng.integers(0, 3)), inputs)
        if dtype == np.int8:
            options |= {"x_zero_point": int(rng.integers(-128, 128)), "output_zero_point": int(rng.integers(-128, 128))}
            options |= {"format": INT8.number, "output_min": -128, "output_max": int(rng.integers(-128, 128))}
            kernel = (rng.integers(-128, 128, mask.shape) * mask).astype(np.int8)
            bias = rng.integers(-(2**16), 2**16, units).astype(np.int32)
            scales = rng.integers(0, 2**31, units).astype(np.int32), rng.integers(35, 50, units).astype(np.uint8)
            op = SparseDense(SparseDense.SCHEMA.options(**options), kernel, bias, *scales)
            x = rng.integers(-128, 128, shape).astype(np.int8)
        else:
            kernel = (rng.normal(size=mask.shape) * mask).astype(np.float32)
            op = SparseDense(SparseDense.SCHEMA.options(**options), kernel, rng.normal(size=units).astype(np.float32))
            x = rng.normal(size=shape).astype(np.float32)
        writer = ModelWriter()
        scale = (1.0, 0) if dtype == np.int8 else None
        numbers = [
            writer.add_tensor(name, s, dtype, scale=scale) for name, s in (("x", shape), ("y", (*shape[:-1], units)))
        ]
        writer.add_recurrent("dense", op, op.constants(sparse=[None, True][seed % 2]), *numbers)
        model = writer.finish({"x": numbers[0]}, {"y": numbers[1]})
        for name in ENGINES:
            (output,) = ksr.runtime.load(model, name).invoke([x])
            np.testing.assert_allclose(
                output, op.invoke(x, {}), atol=0 if dtype == np.int8 else 1e-5, err_msg=str(seed)
            )
