"""Models trained in mixed precision, or with another Keras backend in the same process."""

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import EventGRU


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    """What converts is the model that computes in float32 with the same weights."""
    made = []
    for dtype in (policy, "float32"):
        inner = layers.Bidirectional(layers.GRU(6, return_sequences=True, dtype=dtype), dtype=dtype)
        parts = [inner, EventGRU(5, dtype=dtype, return_sequences=True), layers.Dense(3, dtype=dtype)]
        made.append(event_model([*parts, layers.LSTM(4, dtype=dtype)]))
    mixed, plain = made
    plain.set_weights(mixed.get_weights())
    x = sequences()
    converted = ksr.convert(mixed, x, weights="float32")
    expected = plain.predict(x, verbose=0)
    assert np.median(np.abs(converted.predict(x) - expected).max(axis=1)) <= 1e-5
    assert mixed.layers[0].compute_dtype == policy.removeprefix("mixed_")  # left as it was


def test_a_process_of_another_backend(monkeypatch):
    """The conversion then runs in a process of its own: the same file, and its errors."""
    parts = [keras.Input((12, 7), name="frames"), EventGRU(6, name="events"), layers.Dense(2)]
    model, x = keras.Sequential(parts), sequences()
    here = ksr.convert(model, x)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    there = ksr.convert(model, x)
    assert [tensor.name for tensor in there.engine().inputs] == ["frames"]
    assert there.report.layers == here.report.layers and there.report.engines == here.report.engines
    np.testing.assert_array_equal(there.predict(x), here.predict(x))


def test_errors_come_from_that_process(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="no recurrent layer"):
        ksr.convert(event_model([layers.Dense(2)]), sequences())
