"""Several samples an inference, with states of their own."""

import keras
import numpy as np
import pytest
from event_models import event_model, prune, sequences
from keras.layers import GRU, LSTM, Conv1D, Dense, SimpleRNN

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaGRU, DeltaHold, EventGRU

ENGINES = ("native", "reference", "litert", "tflm")
LAYERS = {
    "event layers": lambda: [EventGRU(10, return_sequences=True), EventGRU(8, readout="trace"), Dense(3)],
    "gru, lstm": lambda: [GRU(9, return_sequences=True), LSTM(7, return_sequences=True), Dense(3, activation="relu")],
    "changes": lambda: [DeltaHold(0.1), SimpleRNN(9, return_sequences=True), DeltaGRU(10), Dense(3)],
    "reset before": lambda: [GRU(9, reset_after=False, return_sequences=True), Dense(3, activation="softmax")],
}


CASES = [("event layers", False), *((name, True) for name in LAYERS if name != "reset before"), ("reset before", False)]


@pytest.mark.parametrize(("layers", "stateful"), CASES)
def test_a_batch_is_its_samples(layers, stateful):
    """Bit for bit what a model of batch 1 gives, also where the last batch is not full."""
    model, x = event_model(LAYERS[layers]()), sequences(samples=7)
    prune(model.layers[-2])
    options = {"stateful": True, "time_steps": 4} if stateful else {}
    data = [x.reshape(len(x), -1, 4, x.shape[2]) if stateful else x[:, None]]
    single = ksr.convert(model, x, **options, verify=False)
    several = ksr.convert(model, x, **options, batch_size=3)
    for name in ENGINES:
        one, three = single.engine(name), several.engine(name)
        assert (one.batch_size, three.batch_size) == (1, 3)
        expected, outputs = one.run_chunks(data)[0], three.run_chunks(data)[0]
        assert outputs.shape == expected.shape
        np.testing.assert_array_equal(
            three.outputs[0].quantize(outputs), one.outputs[0].quantize(expected), err_msg=name
        )
        if not stateful:
            np.testing.assert_array_equal(three.predict(x), outputs[:, 0])


def test_streams_side_by_side():
    model, x = event_model([GRU(8), Dense(2)]), sequences(samples=2)
    converted = ksr.convert(model, x, weights="float32", stateful=True, batch_size=2)
    for name in ENGINES:
        outputs = [converted.step(x[:, t], name) for t in range(x.shape[1])]
        assert outputs[-1].shape == (2, 2)
        np.testing.assert_allclose(outputs[-1], model.predict(x, verbose=0), atol=1e-5)
    with pytest.raises(ValueError, match="2 streams.*given: 1"):
        converted.step(x[:1, 0])


def test_layers_around_and_both_directions():
    layers = [Conv1D(6, 3), keras.layers.Bidirectional(GRU(5)), keras.layers.BatchNormalization(), Dense(4)]
    model, x = event_model(layers), sequences()
    converted = ksr.convert(model, x, weights="float32", batch_size=4)
    for name in ("litert", "tflm"):
        np.testing.assert_allclose(converted.predict(x, name), model.predict(x, verbose=0), atol=1e-5)
    assert converted.engine().model.metadata["batch_size"] == 4


def test_drift_of_several_streams():
    model, x = event_model([GRU(8, return_sequences=True)]), sequences(samples=5)
    expected = model.predict(x, verbose=0)
    drift = [
        ksr.convert(model, x, stateful=True, time_steps=4, batch_size=size, verify=False).drift(x, expected, parts=3)
        for size in (1, 2)
    ]
    np.testing.assert_allclose(*drift, rtol=1e-6)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "2"])
def test_refused_sizes(size):
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1; given"):
        ksr.convert(event_model([GRU(4)]), sequences(), batch_size=size)


def test_plain_c_takes_batch_1(tmp_path):
    converted = ksr.convert(event_model([GRU(4)]), sequences(), batch_size=2, verify=False)
    with pytest.raises(ValueError, match="plain C takes models of batch 1; given: batch 2"):
        converted.save_firmware(tmp_path / "firmware")
    assert not (tmp_path / "firmware").exists()
