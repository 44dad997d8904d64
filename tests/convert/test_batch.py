"""Several samples per inference, with states of their own."""

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras.layers import GRU, Conv1D, Dense
from zoo import ENGINES, converted, member

import keras_sparse_rnn as ksr


@pytest.mark.parametrize("kind", ["EventGRU", "GRU, reset before"])
def test_a_batch_is_its_samples(kind):
    """Bit for bit what a model of batch 1 gives, also where the last batch is not full."""
    x, several = member(kind).x[:7], converted(kind, batch_size=3)
    for name in ENGINES:
        expected, engine = converted(kind).predict(x, name), several.engine(name)
        np.testing.assert_array_equal(engine.predict(x), expected, err_msg=name)
        np.testing.assert_array_equal(engine.run_chunks([x[:, None]])[0][:, 0], expected, err_msg=name)
        assert engine.batch_size == 3


def test_streams_side_by_side():
    model, x = event_model([GRU(8), Dense(2)]), sequences(samples=2)
    streams = ksr.convert(model, x, weights="float32", stateful=True, batch_size=2)
    for name in ENGINES:
        outputs = [streams.step(x[:, t], name) for t in range(x.shape[1])]
        assert outputs[-1].shape == (2, 2)
        np.testing.assert_allclose(outputs[-1], np.asarray(model(x)), atol=1e-5)
    with pytest.raises(ValueError, match="2 streams.*given: 1"):
        streams.step(x[:1, 0])


def test_layers_around_and_both_directions():
    layers = [Conv1D(6, 3), keras.layers.Bidirectional(GRU(5)), keras.layers.BatchNormalization(), Dense(4)]
    model, x = event_model(layers), sequences()
    fours = ksr.convert(model, x, weights="float32", batch_size=4)
    for name in set(ENGINES) - {"reference", "native"}:
        np.testing.assert_allclose(fours.predict(x, name), np.asarray(model(x)), atol=1e-5)
    assert fours.engine().model.metadata["batch_size"] == 4


def test_drift_of_several_streams():
    model, x = event_model([GRU(8, return_sequences=True)]), sequences(samples=5)
    expected = np.asarray(model(x))
    drift = [
        ksr.convert(model, x, stateful=True, time_steps=4, batch_size=size, verify=False).drift(x, expected, parts=3)
        for size in (1, 2)
    ]
    np.testing.assert_allclose(*drift, rtol=1e-6)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "2", None])
def test_refused_sizes(size):
    with pytest.raises(ValueError, match=r"batch_size must be .* at least 1; given: .* any number of samples"):
        ksr.convert(event_model([GRU(4)]), sequences(), batch_size=size)


def test_plain_c_takes_batch_1(tmp_path):
    pairs = ksr.convert(event_model([GRU(4)]), sequences(), batch_size=2, verify=False)
    with pytest.raises(ValueError, match="plain C takes models of batch 1; given: batch 2"):
        pairs.save_firmware(tmp_path / "firmware")
    assert not (tmp_path / "firmware").exists()
