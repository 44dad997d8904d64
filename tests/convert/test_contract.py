"""What holds for each recurrent layer that is converted, in each number format and each engine."""

import numpy as np
import pytest
from event_models import event_model, sequences
from keras.layers import Dense
from zoo import (
    ENGINES,
    HELD,
    LAYERS,
    ONE_OF_EACH,
    biases_as_after_training,
    by_kind,
    converted,
    error_by_sample,
    member,
)

import keras_sparse_rnn as ksr
from keras_sparse_rnn.runtime.model import Model

INT8X16 = {"weights": "int8x16", "scales": "output"}


@by_kind(*ONE_OF_EACH, "EventGRU, trace", "held LSTM")
def test_float32_is_keras_in_every_engine(kind):
    this = member(kind)
    for name in ENGINES:
        error = error_by_sample(converted(kind, weights="float32").predict(this.x, name), this.expected)
        assert (np.median(error) if this.may_flip else error.max()) <= 1e-5, name
    assert not any("Delta" in op.name for op in Model(converted(kind, weights="float32").data).operators)


@by_kind(*ONE_OF_EACH, "EventGRU, trace", "held LSTM")
def test_int8_is_the_same_in_every_engine_and_follows_keras(kind):
    this, int8 = member(kind), converted(kind)
    first, *others = [int8.predict(this.x, name) for name in ENGINES]
    for other in others:
        np.testing.assert_array_equal(first, other)
    assert len(np.unique(first)) > 50
    # All of a SimpleRNN's state is int8, rounded at each step; an event or a change may come a step later.
    # Each micro-layer rounds.
    steps = 3 if this.may_flip or kind in HELD or "RecurrentHighway" in kind else 1
    steps *= 1.25 if "SimpleRNN" in kind else 1
    assert np.abs(first - this.expected).mean() <= steps * int8.engine().outputs[0].scale
    for layer in int8.report.layers:
        assert layer.step_error <= (0.01 if kind in HELD or "SimpleRNN" in kind else 0.005)
        assert layer.event_agreement is None or layer.event_agreement >= 0.97


@by_kind(*ONE_OF_EACH, of=LAYERS)
def test_int8x16(kind):
    # With one scale for W and R, as a LightGRU's candidate and all of a FastGRNN have, more is the error of weights.
    _check_scale_for_each_output(kind, INT8X16, most={"LightGRU": 0.95, "FastGRNN": 1.1}.get(kind, 0.75))


@by_kind("EventGRU", "LSTM", of=LAYERS)
def test_int8_with_a_scale_for_each_output(kind):
    _check_scale_for_each_output(kind, {"scales": "output"}, most=1.25)


def _check_scale_for_each_output(kind, options, most):
    """The error beside that of int8 with a scale for each gate, and the same bits in every engine."""
    this, model = member(kind), converted(kind, **options)
    first, *others = [model.predict(this.x, name) for name in ENGINES]
    for other in others:
        np.testing.assert_array_equal(first, other)
    assert np.abs(first - this.expected).mean() <= 0.03
    for layer, plain in zip(model.report.layers, converted(kind).report.layers, strict=True):
        assert layer.step_error < most * plain.step_error
        assert layer.output_scales and not plain.output_scales
    assert model.engine().inputs[0].dtype == (np.int16 if options == INT8X16 else np.int8)
    assert model.engine().model.metadata["weights"] == options.get("weights", "int8")


@by_kind(*ONE_OF_EACH)
def test_steps_are_the_whole_in_every_engine(kind):
    _check_stream(kind, {}, time_steps=1)


@by_kind("EventGRU", "GRU", "LSTM", of=LAYERS)
def test_chunks_of_three_streams_are_the_whole_in_every_engine(kind):
    _check_stream(kind, {}, time_steps=3, batch_size=3)


@by_kind("EventGRU", "LSTM", of=LAYERS)
def test_chunks_of_int8x16_are_the_whole_in_every_engine(kind):
    _check_stream(kind, INT8X16, time_steps=3, batch_size=3)


def _check_stream(kind, options, time_steps, batch_size=1):
    """Also where the last batch is not full; after the first one from what the engine's own reset leaves."""
    x = member(kind).x[:4]
    stream = converted(kind, stateful=True, time_steps=time_steps, batch_size=batch_size, **options, verify=False)
    for name in ENGINES:
        whole, engine = converted(kind, **options).engine(name), stream.engine(name)
        chunks = engine.run_chunks([x.reshape(len(x), -1, time_steps, x.shape[2])])[0]
        assert engine.batch_size == batch_size
        # In counts: calibration in chunks gives a scale whose last bits differ.
        stored = engine.outputs[0].quantize(chunks.reshape(len(x), -1, chunks.shape[-1]))
        np.testing.assert_array_equal(stored, whole.outputs[0].quantize(whole.predict(x)), err_msg=name)


@by_kind("EventGRU", "LSTM", "DeltaGRU", "DeltaGRU, reset before", of=LAYERS)
def test_float32_streams_are_keras(kind):
    this = member(kind)
    stream = converted(kind, weights="float32", stateful=True)
    for name in ENGINES:
        outputs = stream.engine(name).run_chunks([this.x[:, :, None]])[0][:, :, 0]
        assert np.median(error_by_sample(outputs, this.expected)) <= 1e-5


@by_kind(*ONE_OF_EACH, of=LAYERS)
def test_pruned_layers_are_stored_in_blocks(kind):
    for weights in ("float32", "int8"):
        first, second = converted(kind, weights=weights).report.layers
        assert set(first.storage) == {"blocks of 1x4"}
        assert first.bytes < 0.25 * first.dense_bytes
        # Nine units in three blocks; behind them half a master gate of nine chunks.
        columns, padded = (14, 16) if kind == "ONLSTM" else (9, 12)
        dense = second.dense_bytes * padded / columns * _padding(kind, weights)
        if set(second.storage) == {"dense"}:
            assert second.bytes == pytest.approx(dense)
        else:  # blocks along the sources need no padding of units
            assert weights == "int8" and "blocks of 1x4" not in second.storage and second.bytes < dense


def _padding(kind, weights):
    """Integers of sources that all act are stored by outputs: the nine sources of the recurrence count as sixteen."""
    if kind.startswith("RecurrentHighway") and weights == "int8":  # those of further micro-layers as nine
        deep = 9 * (1 if "not coupled" in kind else 2)
        return (32 + 16 + deep) / (32 + 9 + deep)
    return (
        (32 + 16) / (32 + 9)
        if weights == "int8" and kind.split(",")[0] in ("FastGRNN", "GRU", "LightGRU", "LSTM", "ONLSTM", "SimpleRNN")
        else 1
    )


@by_kind(*LAYERS, "held EventGRU", "held GRU", "held LSTM")
def test_rates_are_those_of_the_layer(kind):
    first = converted(kind).report.layers[0]
    assert (first.event_rate is not None) == (member(kind).may_flip and kind != "DeltaDense")  # which sends to nobody
    assert (first.input_rate is not None) == (kind in HELD or kind.startswith("Delta"))
    for rate in (first.event_rate, first.input_rate):
        assert rate is None or 0.05 < rate < 0.95


@by_kind("EventGRU", "LSTM", of=LAYERS)
def test_backwards(kind):
    """With what is for training alone, where the layer has it."""
    layer = LAYERS[kind](9, return_sequences=True, go_backwards=True)
    if "dropout" in layer.get_config():
        layer = LAYERS[kind](9, return_sequences=True, go_backwards=True, dropout=0.3, recurrent_dropout=0.3)
    model, x = event_model([layer, Dense(3, activation="softmax")]), sequences()
    biases_as_after_training(model)
    expected, may_flip = np.asarray(model(x)), member(kind).may_flip
    error = error_by_sample(ksr.convert(model, x, weights="float32", target="litert").predict(x), expected)
    assert (np.median(error) if may_flip else error.max()) <= 1e-5
    int8 = ksr.convert(model, x)
    assert (
        np.abs(int8.predict(x) - expected).mean()
        <= (3 if may_flip or "Highway" in kind else 1.25) * int8.engine().outputs[0].scale
    )


def test_layers_of_each_kind_in_a_row():
    kinds = ("EventGRU", "LSTM", "GRU, reset before", "SimpleRNN", "GRU")
    layers = [LAYERS[kind](8, return_sequences=True) for kind in kinds]
    model, x = event_model([Dense(9, activation="relu"), *layers, Dense(3)]), sequences()
    biases_as_after_training(model)
    expected = np.asarray(model(x))
    error = error_by_sample(ksr.convert(model, x, weights="float32").predict(x), expected)
    assert np.median(error) <= 1e-5
    int8, stream = ksr.convert(model, x), ksr.convert(model, x, stateful=True, time_steps=3, verify=False)
    assert np.abs(int8.predict(x) - expected).mean() <= 3 * int8.engine().outputs[0].scale
    assert [op.name for op in Model(int8.data).operators][1:-1] == [
        *("KsrEventGru", "KsrLstm", "KsrGru", "KsrSimpleRnn", "KsrGru")
    ]
    events, *others = int8.report.layers
    assert 0 < events.event_rate < 1 and events.event_agreement > 0.97
    assert all(layer.event_rate is None and layer.event_agreement is None for layer in others)
    for name in ENGINES:
        chunks = stream.engine(name).run_chunks([x.reshape(24, 4, 3, 7)])[0].reshape(expected.shape)
        np.testing.assert_allclose(chunks, int8.predict(x, name), atol=1e-6)
