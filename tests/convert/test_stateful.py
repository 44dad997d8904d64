"""Models that go on from one inference to the next."""

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras.layers import GRU, LSTM, Dense
from zoo import ENGINES, STEPS

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import EventGRU


def test_state_lasts_until_reset():
    model, x = event_model([GRU(8), Dense(2)]), sequences()
    converted = ksr.convert(model, x, stateful=True, time_steps=4)
    for name in ENGINES:
        first, second = converted.step(x[0, :4], name), converted.step(x[0, :4], name)
        assert np.any(first != second)
        converted.reset()
        np.testing.assert_array_equal(converted.step(x[0, :4], name), first)
        np.testing.assert_array_equal(converted.predict(x[:1, :4], name)[0], first)  # predict starts afresh


def test_a_single_step_needs_no_time_axis():
    model, x = event_model([LSTM(8), Dense(2)]), sequences()
    converted = ksr.convert(model, x, stateful=True)
    first = converted.step(x[0, 0])
    assert first.shape == (2,)
    converted.reset()
    np.testing.assert_array_equal(converted.step(x[0, :1]), first)


def test_a_keras_model_that_is_stateful_itself():
    keras.utils.set_random_seed(0)
    layers = [GRU(8, stateful=True, return_sequences=True), EventGRU(8, stateful=True)]
    model = keras.Sequential([keras.Input(batch_shape=(1, 4, 7)), *layers])
    x = sequences(samples=1)
    converted = ksr.convert(model, x, weights="float32", stateful=True, time_steps=4)
    assert all(np.all(keras.ops.convert_to_numpy(layer.states[0]) == 0) for layer in layers)  # left as they were
    for first in range(0, STEPS, 4):
        expected = model.predict(x[:, first : first + 4], verbose=0)[0]
        np.testing.assert_allclose(converted.step(x[0, first : first + 4]), expected, atol=1e-5)


def test_layers_that_look_over_time_see_their_chunk():
    model = event_model([GRU(8, return_sequences=True), keras.layers.GlobalAveragePooling1D(), Dense(2)])
    x = sequences()
    converted = ksr.convert(model, x, weights="float32", stateful=True, time_steps=4)
    gru, pooling, dense = model.layers
    expected = dense(pooling(gru(x[:1])[:, 4:8])).numpy()[0]
    converted.step(x[0, :4])
    np.testing.assert_allclose(converted.step(x[0, 4:8]), expected, atol=1e-5)


def test_inputs_without_time_are_the_same_in_every_chunk():
    keras.utils.set_random_seed(0)
    words, context = keras.Input((STEPS,), dtype="int32", name="words"), keras.Input((5,), name="context")
    y = GRU(8)(keras.layers.Embedding(20, 6)(words))
    model = keras.Model([words, context], Dense(2)(keras.layers.Concatenate()([y, context])))
    rng = np.random.default_rng(0)
    data = {"words": rng.integers(0, 20, (16, STEPS), np.int32), "context": rng.normal(size=(16, 5)).astype("float32")}
    converted = ksr.convert(model, data, stateful=True, time_steps=2)
    expected = model.predict(data, verbose=0)
    ours = []
    for tokens, fixed in zip(*data.values(), strict=True):
        converted.reset()
        ours.append([converted.step({"words": tokens[t : t + 2], "context": fixed}) for t in range(0, STEPS, 2)][-1])
    assert np.abs(ours - expected).mean() <= 0.02


@pytest.mark.parametrize(
    ("layer", "arguments", "message"),
    [
        (lambda: GRU(4, go_backwards=True, name="back"), {}, "'back' has go_backwards=True; .* with stateful=True"),
        (lambda: GRU(4), {"time_steps": 5}, r"samples, a multiple of 5 steps, 7\).*given: \(24, 12, 7\)"),
        (lambda: GRU(4), {"time_steps": 0}, "time_steps must be an integer of at least 1; given: 0"),
    ],
)
def test_refusals(layer, arguments, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(event_model([layer()]), sequences(), stateful=True, **arguments)


def test_step_refuses_another_shape():
    converted = ksr.convert(event_model([GRU(4)]), sequences(), stateful=True, time_steps=3)
    with pytest.raises(ValueError, match="shape"):
        converted.step(np.zeros((2, 7), np.float32))


@pytest.mark.parametrize("layer", [GRU, LSTM])
def test_drift_over_a_thousand_steps(layer):
    """In a stream and in a whole sequence the same error, which does not grow."""
    model, x = event_model([layer(8, return_sequences=True)], steps=1000), sequences(samples=3, steps=1000)
    expected = model.predict(x, verbose=0)
    stream = ksr.convert(model, x, stateful=True, time_steps=50, verify=False)
    drift = stream.drift(x, expected)
    assert drift.shape == (10,) and drift.max() <= stream.engine().outputs[0].scale
    assert drift[-1] <= 1.5 * drift[0]
    whole = ksr.convert(model, x, verify=False)
    np.testing.assert_allclose(whole.drift(x, expected), drift, rtol=0.02)
    with pytest.raises(ValueError, match="a multiple of 50"):
        stream.drift(x[:, :60], expected[:, :60])
    with pytest.raises(ValueError, match="a value at each step"):
        ksr.convert(event_model([layer(8)]), sequences(), verify=False).drift(x, expected)
