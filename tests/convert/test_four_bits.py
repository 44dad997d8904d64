"""Weights of 4 bits, from Keras to every engine."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from event_models import event_model, sequences
from keras.layers import GRU, LSTM, Dense
from zoo import ENGINES

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert import quantize
from keras_sparse_rnn.convert.quantize import to_counts, weight_scales
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.runtime.model import Model


def _on_grid():
    """A model with weights that 4 bits hold exactly: whole counts up to 7, in the kernel alone."""
    model = event_model([GRU(12), Dense(5)])
    cell, counts = model.layers[-2].cell, np.random.default_rng(0).integers(-7, 8, (7, 36))
    counts[0] = 7
    cell.kernel.assign(counts * 0.05)
    cell.recurrent_kernel.assign(np.zeros((12, 36)))
    return model


def _ops(converted):
    model = Model(converted.data)
    for op in model.operators:
        if op.is_custom:
            schema = ALL_OPS[op.name].SCHEMA
            given = schema.named([None if i < 0 else model.tensors[i].data for i in op.inputs])
            options = schema.decode(op.options)
            arrays = {name: array for name, array in given.items() if array is not None}
            yield ALL_OPS[op.name].from_constants(options, arrays, model.tensors[op.inputs[0]].shape[-1]), arrays


def _model():
    return event_model(
        [GRU(12, return_sequences=True), ksr.layers.EventGRU(16, return_sequences=True), LSTM(24), Dense(70)]
    )


@pytest.fixture(scope="module")
def converted():
    with pytest.warns(UserWarning, match="weights of 4 bits, which the model was not trained for"):
        return ksr.convert(_model(), sequences(), weights="int4", max_relative_error=np.inf)


def test_every_op_takes_them_and_every_engine_gives_the_same(converted):
    ops = list(_ops(converted))
    assert [op.options.weight_bits for op, _ in ops] == [4] * 4
    for op, arrays in ops:
        for kernel in op.kernels:
            assert np.abs(kernel).max() <= 7
        assert "output_scales" in arrays or op.SCHEMA.name == "KsrSparseDense"
    first, *others = [converted.predict(sequences(), name) for name in (*ENGINES, "reference")]
    for outputs in others:
        np.testing.assert_array_equal(outputs, first)


def test_the_report_measures_what_rounding_cost(converted):
    """A uniform rounding error of a step, relative to weights that go up to seven of them, about normal."""
    report = converted.report
    assert all(0.05 < layer.weight_error < 0.35 for layer in report.layers)
    [dense] = report.dense
    assert dense.stored.startswith("4 bits, ") and dense.bytes[dense.stored] == min(dense.bytes.values())
    measured = re.search(r"is off by ([\d.]+) standard deviations", report.warnings[0])
    assert f"zeros; {report.layers[0].stored}: {report.layers[0].bytes:,} bytes" in str(report)
    assert float(measured[1]) == pytest.approx(report.relative_error, rel=0.05)


@pytest.mark.parametrize("activations", ["", "x16"])
def test_a_model_whose_weights_are_on_the_grid_is_not_warned_of(activations):
    model, x = _on_grid(), sequences()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        four = ksr.convert(model, x, weights=f"int4{activations}", scales="output")
    eight = ksr.convert(model, x, weights=f"int8{activations}", scales="output")
    assert four.report.layers[0].weight_error < 1e-3
    assert four.report.relative_error < 2 * eight.report.relative_error + 0.02
    if activations:  # no op of 4 bits takes them
        assert [part.bytes for part in four.report.dense] == [part.bytes for part in eight.report.dense]


def _simple():
    return event_model([ksr.layers.DeltaSimpleRNN(16), Dense(2)])


@pytest.mark.filterwarnings("ignore:output .* is off by")
def test_what_rounding_costs_a_layer_is_reported_and_no_fault_of_its_op():
    """0.03 are allowed between an op and its layer with the same weights."""
    [layer] = ksr.convert(_simple(), sequences(), weights="int4", max_relative_error=np.inf).report.layers
    assert 0.03 < layer.step_error < 0.06


def test_wrong_integers_are_no_rounding(monkeypatch):
    monkeypatch.setattr(quantize, "to_counts", lambda *of: -to_counts(*of))
    with pytest.raises(ksr.VerificationError, match="does not do what Keras does with the same weights of 4 bits"):
        ksr.convert(_simple(), sequences(), weights="int4", max_relative_error=np.inf)


@pytest.mark.parametrize("weights", ["int4", "int4x16"])
def test_bytes(weights):
    """Two weights a byte; dense 50 %, in blocks of 1x4 at 90 % zeros 8.5 % at most of dense int8, index included."""
    model, x = event_model([GRU(128)]), sequences()
    dense = ksr.convert(model, x, weights=weights, verify=False).report.layers[0]
    assert dense.storage == ("dense", "dense") and dense.bytes == pytest.approx(dense.dense_bytes / 2, rel=0.06)
    ksr.prune(model, 0.9, block_shape=(1, 4))
    pruned = ksr.convert(model, x, weights=weights, block_size=4, verify=False).report.layers[0]
    assert (dense.stored, pruned.stored) == ("dense", "blocks of 1x4")
    assert replace(pruned, storage=("dense", "blocks of 1x4")).stored == "dense and blocks of 1x4"
    assert pruned.storage == ("blocks of 1x4", "blocks of 1x4") and pruned.bytes < 0.085 * pruned.dense_bytes


def test_counts_and_scales():
    """Halves go to even counts; what lies beyond goes to the end."""
    kernel = np.array([[3.5, 0.0], [-1.25, 0.0], [0.75, 0.0]])
    scales = weight_scales(kernel, 7)
    np.testing.assert_allclose(scales, [0.5, 0.0])
    np.testing.assert_array_equal(to_counts(kernel, np.array([0.5, 1.0]), 7)[:, 0], [7, -2, 2])
    assert to_counts(np.array([[9.0]]), np.array([1.0]), 7) == 7
