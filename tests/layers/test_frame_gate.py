"""FrameGate: which steps are made, and what layers behind it do at the others."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn.initializers import Sensitivity
from keras_sparse_rnn.layers import DeltaGRU, EventGRU, FrameGate, LightGRU

BATCH, TIME, FEATURES = 3, 12, 4
THRESHOLD, COUNT = [0.3, 0.5, 0.2, 0.4], 2


def walk(seed=0):
    """Sequences that move slowly."""
    steps = np.random.default_rng(seed).normal(0, 0.25, (BATCH, TIME, FEATURES))
    return np.cumsum(steps, axis=1).astype("float32")


def steps_made(x, threshold=THRESHOLD, count=COUNT, mask=None):
    """Frame by frame, in plain Python."""
    made = np.zeros(x.shape[:2], bool)
    for sample, frames in enumerate(x):
        last = np.zeros(x.shape[2], "float32")
        for step, frame in enumerate(frames):
            moved = sum(abs(a - b) > t for a, b, t in zip(frame, last, threshold, strict=True)) >= count
            if moved and (mask is None or mask[sample, step]):
                made[sample, step], last = True, frame
    return made


def numpy(value):
    return ops.convert_to_numpy(value)


@pytest.mark.backend
def test_a_step_is_made_where_enough_features_have_moved():
    x, given = walk(), np.random.default_rng(1).random((BATCH, TIME)) < 0.7
    gate = FrameGate(THRESHOLD, COUNT)
    for mask in (None, given):
        expected = steps_made(x, mask=mask)
        np.testing.assert_array_equal(numpy(gate.compute_mask(ops.convert_to_tensor(x), mask)), expected)
        assert 0.2 < expected.mean() < 0.8
    np.testing.assert_array_equal(numpy(gate(x)), x)
    every = numpy(FrameGate(0.0).compute_mask(ops.convert_to_tensor(x)))
    assert every.all()


@pytest.mark.backend(kind=[layers.LSTM])
@pytest.mark.backend_slow(kind=[LightGRU])
@pytest.mark.parametrize("kind", [LightGRU, EventGRU, DeltaGRU, layers.GRU, layers.LSTM, layers.SimpleRNN])
def test_behind_it_states_are_held_and_outputs_repeated(kind):
    x, made = walk(), steps_made(walk())
    layer = kind(5, return_sequences=True)
    model = keras.Sequential([keras.Input((TIME, FEATURES)), FrameGate(THRESHOLD, COUNT), layer, layers.GRU(3)])
    outputs = numpy(keras.Sequential(model.layers[:2])(x))
    last = numpy(model(x))
    for sample, steps in enumerate(made):
        alone = numpy(layer(x[sample, steps][None]))[0]
        place = np.cumsum(steps) - 1
        np.testing.assert_allclose(outputs[sample, place >= 0], alone[place[place >= 0]], atol=1e-6)
        np.testing.assert_allclose(last[sample], numpy(model.layers[2](alone[None]))[0], atol=1e-6)


@pytest.mark.backend_slow
def test_a_network_behind_it_trains(tmp_path):
    x, y = walk(), np.arange(BATCH) % 2
    model = keras.Sequential(
        [keras.Input((TIME, FEATURES)), FrameGate(THRESHOLD, COUNT), LightGRU(5), layers.Dense(2, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True))
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "gated.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "gated.keras").predict(x, verbose=0), expected)


@pytest.mark.backend_slow
def test_a_stream_in_chunks_is_the_whole():
    x = walk()
    whole = keras.Sequential(
        [keras.Input((TIME, FEATURES)), FrameGate(THRESHOLD, COUNT), LightGRU(5, return_sequences=True)]
    )
    expected = numpy(whole(x))
    stream = keras.Sequential(
        [
            keras.Input(batch_shape=(BATCH, None, FEATURES)),
            FrameGate(THRESHOLD, COUNT, stateful=True),
            LightGRU(5, return_sequences=True, stateful=True),
        ]
    )
    stream.set_weights(whole.get_weights())
    for _ in range(2):
        chunks = [x[:, a:b] for a, b in ((0, 5), (5, 6), (6, TIME))]
        # A chunk without a step begins with the output of none, zero: states are what goes on.
        outputs = np.concatenate([stream.predict_on_batch(chunk) for chunk in chunks], axis=1)
        made = steps_made(x)
        np.testing.assert_allclose(outputs[made], expected[made], atol=1e-6)
        for layer in stream.layers:
            layer.reset_state()


def test_profile_counts_the_steps_that_are_made():
    x, made = walk(), steps_made(walk())
    gated = keras.Sequential([keras.Input((TIME, FEATURES)), FrameGate(THRESHOLD, COUNT), LightGRU(5, name="light")])
    every = keras.Sequential([keras.Input((TIME, FEATURES)), LightGRU(5, name="light")])
    calls = [ksr.profile(model, x).layers[-1].calls for model in (gated, every)]
    assert calls == [pytest.approx(made.sum(axis=1).mean()), TIME]
    [macs] = ksr.profiling.count_macs(gated, x)
    assert macs.steps == made.sum() and macs.effective == 2 * 5 * (FEATURES + 5)


def test_thresholds_by_sensitivity():
    kernel = np.random.default_rng(2).normal(size=(FEATURES, 6)).astype("float32")
    gate = FrameGate(Sensitivity.thresholds(0.4, kernel), COUNT)
    expected = steps_made(walk(), 0.4 / np.linalg.norm(kernel, axis=1), COUNT)
    np.testing.assert_array_equal(numpy(gate.compute_mask(ops.convert_to_tensor(walk()))), expected)


def test_what_does_not_fit_is_refused_by_name():
    for threshold in (-1.0, [], [[0.5]], np.nan, [0.1, np.inf], "a", True, 1 + 2j, {"a": 1}):
        with pytest.raises(ValueError, match="`threshold` must be a number or a list of numbers, >= 0"):
            FrameGate(threshold)
    for count in (0, 1.5, True):
        with pytest.raises(ValueError, match="`count` must be a positive integer"):
            FrameGate(0.5, count)
    with pytest.raises(ValueError, match="`count` is 5, more than the 4 features"):
        FrameGate(0.5, 5)(walk())
    with pytest.raises(ValueError, match="`threshold` has 3 values for 4 features"):
        FrameGate([0.1, 0.2, 0.3])(walk())
    with pytest.raises(ValueError, match="stateful=True and needs a fixed batch size"):
        keras.Sequential([keras.Input((TIME, FEATURES)), FrameGate(0.5, stateful=True)])
