"""Whole models: what converts, and that it computes what Keras computes."""

import logging
from dataclasses import replace
from functools import cache, partial

import keras
import numpy as np
import pytest
from event_models import event_model, prune, sequences
from keras.layers import Dense

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.recurrent.event_gru import EventGRUConverter
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.runtime.model import Model


@pytest.fixture(scope="module")
def classifier():
    """Two event layers and a softmax, the first pruned to 90 %."""
    model = event_model(
        [
            EventGRU(32, return_sequences=True, name="first"),
            EventGRU(16, return_sequences=True, readout="cell", name="second"),
            keras.layers.GlobalAveragePooling1D(),
            Dense(5, activation="softmax", name="classes"),
        ]
    )
    prune(model.get_layer("first"))
    return model


@pytest.fixture(scope="module")
def converted(classifier):
    """`converted(**options)`: what the classifier converts to, made once."""
    return cache(partial(ksr.convert, classifier, sequences()))


def _functional():
    """Two branches over two inputs, one layer shared, a nested model with the same names, a residual connection."""
    keras.utils.set_random_seed(1)
    left, right = keras.Input((12, 7), name="left"), keras.Input((12, 7), name="right")
    shared = EventGRU(8, return_sequences=True, name="shared")
    same_names = [EventGRU(8, return_sequences=True, name="shared"), Dense(8, name="level")]
    inner = keras.Sequential([keras.Input((12, 8)), *same_names])
    a, b = shared(left), shared(Dense(7, activation="relu")(right))
    x = keras.layers.Add()([inner(a), b])
    summary = EventGRU(10, readout="trace", go_backwards=True, name="summary")(x)
    outputs = [Dense(3, name="decision")(summary), Dense(1, name="level")(a)]
    return keras.Model([left, right], outputs)


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_functional_model_of_several_inputs_and_outputs(weights):
    model = _functional()
    x = {"left": sequences(seed=1), "right": sequences(seed=2)}
    converted = ksr.convert(model, x, weights=weights)
    expected = model.predict(x, verbose=0)
    for ours, theirs in zip(converted.predict(x), expected, strict=True):
        assert np.abs(ours - theirs).mean() <= (1e-4 if weights == "float32" else 0.03)
    file = Model(converted.data)
    assert [tensor.name for tensor in file.inputs] == ["left", "right"]
    assert [tensor.name for tensor in file.outputs] == ["decision", "level"]
    assert sum(op.name == "KsrEventGru" for op in file.operators) == 4


def test_pruned_weights_are_stored_in_blocks(converted):
    report = converted().report
    first, second = report.layers
    assert first.storage == ("blocks of 1x4", "blocks of 1x4")
    assert second.storage == ("dense", "dense")
    assert first.bytes < 0.2 * first.dense_bytes
    assert second.bytes == second.dense_bytes


def test_what_is_pruned_along_the_sources_is_stored_along_them():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.GRU(32, return_sequences=True, name="gru"), EventGRU(24, name="events"), Dense(64)]
    model = keras.Sequential([keras.Input((12, 32)), *layers])
    along_sources = ["gru", lambda layer: isinstance(layer, Dense), "events/event_gru_cell/kernel"]
    ksr.prune(model, 0.8, block_shape=(16, 1), layers=along_sources)
    ksr.prune(model, 0.8, block_shape=(1, 4), layers="events/event_gru_cell/recurrent_kernel")
    report = ksr.convert(model, np.random.default_rng(0).normal(size=(20, 12, 32)).astype("float32")).report
    gru, events = report.layers
    assert events.storage == ("blocks of 16x1", "blocks of 1x4")
    assert gru.storage == ("blocks of 16x1", "blocks of 16x1") and gru.bytes < 0.3 * gru.dense_bytes
    assert report.dense[0].stored == "blocks of 8x1"  # of 24 inputs, which are no whole blocks of 16
    assert [op.block for op in report.inspection.ops if op.is_custom] == ["16x1", "16x1, 1x4", "8x1"]


@pytest.mark.parametrize("block_size", [4, 8, 16])
def test_block_size_changes_storage_only(classifier, converted, block_size):
    x = sequences()
    outputs = ksr.convert(classifier, x, block_size=block_size, verify=False).predict(x)
    np.testing.assert_array_equal(outputs, converted().predict(x))


def test_engines_agree(converted):
    x = sequences()
    outputs = {name: converted().predict(x, engine=name) for name in ("reference", "native", "litert")}
    step = converted().engine("litert").outputs[0].scale
    np.testing.assert_array_equal(outputs["reference"], outputs["native"])
    assert np.abs(outputs["litert"] - outputs["native"]).max() <= 1.001 * step


def test_the_report_tells_the_arena(classifier, converted):
    pytest.importorskip("tflite_micro")
    assert converted().report.arena_bytes == ksr.runtime.load(converted().data, "tflm").memory["arena_size"]
    assert ksr.convert(classifier, sequences(), target="litert", verify=False).report.arena_bytes is None


def test_open_time_axis_takes_time_steps():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, 7)), EventGRU(6), Dense(2)])
    x = sequences()
    converted = ksr.convert(model, x, weights="float32", time_steps=12)
    assert converted.predict(x).shape == (24, 2)


def test_conversion_leaves_the_model_as_it_was(classifier):
    x = sequences()
    before, weights = np.asarray(classifier(x)), classifier.get_weights()
    ksr.convert(classifier, x)
    np.testing.assert_array_equal(np.asarray(classifier(x)), before)
    for old, new in zip(weights, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_conversion_leaves_logging_as_it_was(classifier, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    ksr.convert(classifier, sequences(), verify=False)
    assert logging.root.handlers == []


def test_verification_names_the_worst_layer(classifier, monkeypatch):
    def transposed(self, block):
        op = original(self, block)
        size = 1 if self.name == "first" else 3
        return replace(op, recurrent_kernel=size * op.recurrent_kernel[:, ::-1])

    original = EventGRUConverter.float32_op
    monkeypatch.setattr(EventGRUConverter, "float32_op", transposed)
    message = "^layer 'second' does not do what Keras does.*; 'first' differ as well, but less"
    with pytest.raises(ksr.VerificationError, match=message):
        ksr.convert(classifier, sequences(), weights="float32")
    assert ksr.convert(classifier, sequences(), weights="float32", verify=False).data


def test_verification_finds_a_range_ruined_by_an_outlier(classifier):
    x = sequences()
    with pytest.raises(
        ksr.VerificationError, match=rf"samples {len(x)} of input .* in representative_data span over 30 times"
    ):
        ksr.convert(classifier, np.concatenate([x, x[:1] * 1e3]))


def test_accuracy_on_labels(classifier, converted):
    """Of 60 samples, more than the outputs are otherwise compared on; the figures by Keras's own metric."""
    x = sequences(60)
    labels = np.asarray(classifier(x)).argmax(axis=1)
    labels[::3] = (labels[::3] + 1) % 5
    labelled = ksr.convert(classifier, x, representative_labels=labels)
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    assert labelled.report.keras_accuracy == pytest.approx(float(accuracy(labels, np.asarray(classifier(x)))))
    assert labelled.report.keras_accuracy == pytest.approx(2 / 3)
    accuracy.reset_state()
    assert labelled.report.accuracy == pytest.approx(float(accuracy(labels, labelled.predict(x))))
    assert "(Keras 66.67%)" in str(labelled.report)
    assert converted().report.accuracy is None


@pytest.mark.parametrize("stateful", [False, True])
def test_accuracy_of_decisions_at_each_step(stateful):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((12, 7)), keras.layers.GRU(6, return_sequences=True), Dense(3)])
    x = sequences(8)
    labels = np.asarray(model(x)).argmax(axis=2)
    labels[:, :3] = (labels[:, :3] + 1) % 3
    convert = partial(ksr.convert, model, x, weights="float32", stateful=stateful, time_steps=4 if stateful else None)
    report = convert(representative_labels=labels).report
    assert report.accuracy == report.keras_accuracy == 0.75
    report = convert(representative_labels=labels[:, -1]).report
    assert report.accuracy == report.keras_accuracy == 1


def test_percentile_leaves_outliers_out(classifier):
    x = sequences()
    x[0, 0, 0] = 1e3
    with pytest.raises(ksr.VerificationError):
        ksr.convert(classifier, x)
    converted = ksr.convert(classifier, x, percentile=99.9)
    low, high = np.percentile(x, [0.1, 99.9])
    assert converted.engine().inputs[0].scale == pytest.approx((high - low) / 255, rel=1e-5)
    assert converted.report.output_error < 0.02


def test_percentile_warns_where_clipping_moves_the_outputs():
    """The output of the first model is that of its largest inputs; that of the second is bounded."""
    x = sequences()
    x[0, 0, 0] = 30
    inputs = keras.Input((12, 7))
    peak = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalMaxPooling1D()(inputs)))
    report = ksr.convert(peak, x, percentile=99, max_relative_error=10).report
    assert sum(text.startswith("percentile=99 clips values that matter") for text in report.warnings) == 1
    bounded = keras.Model(inputs, keras.layers.Dense(1, "tanh")(keras.layers.GRU(4)(inputs)))
    report = ksr.convert(bounded, x, percentile=99.9).report
    assert not any("clips values" in text for text in report.warnings)


def test_percentile_narrows_the_range_of_a_state():
    model = keras.Sequential([keras.Input((12, 7)), keras.layers.GRU(6, return_sequences=True)])
    x = sequences()
    expected = np.asarray(model(x))
    low, high = np.percentile(expected, [10, 90])
    clipped = ksr.convert(model, x, percentile=90, verify=False).predict(x)
    assert clipped.max() == pytest.approx(high, rel=0.02) and clipped.min() == pytest.approx(low, rel=0.02)
    assert ksr.convert(model, x).predict(x).max() == pytest.approx(expected.max(), rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_outputs_that_do_not_vary_are_no_fault(seed):
    """Where all samples are one, rounding is all that there is to compare."""
    model = event_model([EventGRU(4), Dense(2)], steps=5, inputs=3, seed=seed)
    assert ksr.convert(model, np.ones((4, 5, 3), np.float32)).report.output_error < 0.02


def test_save(converted, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    converted().save(path)
    assert path.read_bytes() == converted().data
    assert [file.name for file in tmp_path.iterdir()] == ["model.tflite"]
    with pytest.raises(FileNotFoundError, match="missing"):
        converted().save(tmp_path / "missing" / "model.tflite")


def test_failed_save_keeps_the_old_file(converted, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        converted().save(path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["model.tflite"]


def test_prune_helper_prunes():
    model = event_model([EventGRU(32)])
    prune(model.layers[0])
    assert 0.85 < np.mean(model.get_weights()[0] == 0) < 0.95
