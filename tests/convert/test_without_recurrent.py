"""Models without recurrent layers: against Keras in every engine, in the report and in firmware."""

import keras
import numpy as np
import pytest
from keras import layers
from zoo import ENGINES, error_by_sample

import keras_sparse_rnn as ksr
from keras_sparse_rnn.firmware import host_check


@pytest.fixture(scope="module")
def cnn():
    """Pruned to 90 % in blocks, and images."""
    keras.utils.set_random_seed(0)
    parts = [
        keras.Input((12, 12, 2)),
        layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2D(16, 1, activation="relu"),
        layers.Dropout(0.1),
        layers.Flatten(),
        layers.Dense(64, "relu", name="wide"),
        layers.Dense(4, name="classes"),
    ]
    model = keras.Sequential(parts)
    ksr.prune(model, 0.9, (1, 4), layers="wide")
    return model, np.random.default_rng(0).normal(size=(24, 12, 12, 2)).astype("float32")


@pytest.fixture(scope="module")
def perceptron():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((20,)), layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(4)])
    return model, np.random.default_rng(0).normal(size=(24, 20)).astype("float32")


@pytest.fixture(scope="module")
def converted(cnn):
    return ksr.convert(*cnn)


@pytest.mark.parametrize(("weights", "target"), [("float32", "tflm"), ("float32", "litert"), ("int8", "litert")])
def test_a_pruned_cnn_gives_what_keras_does(cnn, weights, target):
    model, x = cnn
    converted, expected = ksr.convert(model, x, weights=weights, target=target), model.predict(x, verbose=0)
    for engine in ENGINES if target == "tflm" else ["litert"]:
        error = error_by_sample(converted.predict(x, engine), expected)
        assert error.max() <= 1e-5 if weights == "float32" else error.mean() <= 0.05 * expected.std(), engine
    *_, wide, _ = converted.report.dense
    assert wide.zeros == pytest.approx(0.9, abs=0.01) and wide.bytes[wide.stored] < wide.bytes["dense"]
    assert wide.stored == {"tflm": "blocks of 1x4", "litert": "SparsityParameters of 1x1"}[target] or weights == "int8"


def test_integers_in_every_engine(cnn, converted):
    model, x = cnn
    expected, step = converted.predict(x, "reference"), converted.engine().outputs[0].scale
    assert np.abs(expected - model.predict(x, verbose=0)).mean() <= 0.05 * expected.std()
    for engine in ENGINES:
        assert np.abs(converted.predict(x, engine) - expected).max() <= 1.01 * step, engine
    assert converted.report.relative_error < 0.1 and converted.report.layers == []
    metadata = converted.engine().model.metadata
    assert (metadata["time_steps"], metadata["sparsity"], metadata["stateful"]) == (None, None, False)


def test_macs_are_counted(converted):
    inspection = ksr.inspect(converted, engines=())
    assert inspection.macs == 5 * 5 * (8 * 9 * 2 + 9 * 8 + 16 * 8) + 400 * 64 + 64 * 4
    assert "KsrSparseDense" in inspection.register


@pytest.mark.slow
@pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
def test_it_becomes_firmware(converted, tmp_path):
    firmware = converted.save_firmware(tmp_path, "plain-c", cpu=None)
    assert not (tmp_path / "model.c").read_text().count("KsrGru") and "every op compared" in str(firmware)


@pytest.mark.parametrize("weights", ["int8", "int8x16"])
def test_the_smallest_arena_of_dense_layers_is_found(perceptron, weights):
    """TensorFlow Lite Micro's planner ends the process in one that is 16 bytes smaller."""
    pytest.importorskip("tflite_micro")
    model, x = perceptron
    converted = ksr.convert(model, x, weights=weights, verify=False)
    size = converted.report.arena_bytes
    tight = ksr.runtime.load(converted.data, "tflm", arena_size=size)
    np.testing.assert_array_equal(tight.predict(x[:2]), converted.predict(x[:2], "tflm"))
    with pytest.raises(ValueError, match=f"it needs {size}"):
        ksr.runtime.load(converted.data, "tflm", arena_size=size - 16)


def test_words_and_open_axes():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(11, 8, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3),
        ]
    )
    words = np.random.default_rng(0).integers(0, 11, (24, 9)).astype("int32")
    words[:, 0] = 1  # no sample is masked as a whole
    converted = ksr.convert(model, words, weights="float32", time_steps=9)
    for engine in ENGINES:
        np.testing.assert_allclose(converted.predict(words, engine), model.predict(words, verbose=0), atol=1e-5)
    with pytest.raises(ValueError, match="open time axis.*give time_steps"):
        ksr.convert(model, words)


def test_training_for_integers(cnn):
    model, x = keras.models.clone_model(cnn[0]), cnn[1]
    model.compile("adam", "mse")
    training = ksr.quantization.QuantizationAware()
    y = np.random.default_rng(1).normal(size=(24, 4)).astype("float32")
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[training])
    with ksr.quantization.fake_quantized(model, training.ranges):
        expected = model.predict(x, verbose=0)
    converted = ksr.convert(model, ranges=training.ranges)
    assert np.abs(converted.predict(x) - expected).max() <= 1.01 * converted.engine().outputs[0].scale
    with pytest.raises(ValueError, match="weights='int4': only recurrent layers"):
        model.fit(x, y, verbose=0, callbacks=[ksr.quantization.QuantizationAware("int4")])


@pytest.mark.parametrize(("argument", "value"), [("stateful", True), ("block_size", 4), ("scales", "output")])
def test_arguments_for_recurrent_layers_are_refused(cnn, argument, value):
    with pytest.raises(ValueError, match=f"{argument} is for recurrent layers, of which model 'sequential.*' has none"):
        ksr.convert(*cnn, **{argument: value})


@pytest.mark.parametrize(("weights", "target"), [("int4", "litert"), ("int4x16", "tflm")])
def test_four_bits_of_nothing_are_refused(perceptron, weights, target):
    with pytest.raises(ValueError, match=f"weights='{weights}' has nothing to store in 4 bits"):
        ksr.convert(*perceptron, weights=weights, target=target, verify=False)
