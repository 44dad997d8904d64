"""Data, features and training of what the demo, the examples and the benchmarks share."""

import os

import keras
import numpy as np
import pytest

from keras_sparse_rnn.experiments import data
from keras_sparse_rnn.experiments.log_mel import log_mel


def check_split(split, sequences, steps, features, classes):
    assert split.x.shape == (sequences, steps, features)
    assert split.x.dtype == np.float32
    assert split.valid.shape == (sequences, steps)
    assert len(split) == sequences
    assert set(split.y) == set(range(classes))
    # Padding is silent and in front: once a sequence has begun it goes on to the end.
    assert not split.x[~split.valid].any()
    assert (np.diff(split.valid.astype(int), axis=1) >= 0).all()
    assert split.valid[:, -1].all()


def check_standardised(split):
    frames = split.x[split.valid]
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-4)


def test_japanese_vowels():
    pytest.importorskip("aeon")
    loaded = data.load("japanese-vowels")
    check_split(loaded.train, 270, 29, 12, classes=9)
    check_split(loaded.test, 370, 29, 12, classes=9)
    check_standardised(loaded.train)
    assert np.bincount(loaded.train.y).tolist() == [30] * 9
    # As published with the data set.
    assert np.bincount(loaded.test.y).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert len(loaded.classes) == 9


@pytest.mark.skipif("KSR_DATA" not in os.environ, reason="KSR_DATA does not name a folder with fsdd.npz")
def test_fsdd():
    loaded = data.load("fsdd")
    check_split(loaded.train, 2700, 36, 32, classes=10)
    check_split(loaded.test, 300, 36, 32, classes=10)
    check_standardised(loaded.train)
    assert np.bincount(loaded.test.y).tolist() == [30] * 10


def test_fsdd_with_something_else_in_its_file(monkeypatch, tmp_path):
    np.savez(tmp_path / "fsdd.npz", samples=np.zeros(5), digit=np.zeros(1))
    monkeypatch.setenv("KSR_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"missing: \['index', 'length', 'speaker'\]"):
        data.load("fsdd")


def test_log_mel_is_that_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    samples = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    spectrum = tf.signal.stft(samples, 200, 160, 256, window_fn=lambda n, dtype: np.hanning(n).astype(np.float32))
    filters = tf.signal.linear_to_mel_weight_matrix(32, 129, 8000, 60.0, 4000.0)
    expected = np.log(np.abs(spectrum) ** 2 @ filters.numpy() + 1e-6)
    np.testing.assert_allclose(log_mel(samples, 8000), expected, atol=1e-3)


def test_log_mel_of_a_sound_shorter_than_a_window():
    assert log_mel(np.ones(50), 8000).shape == (1, 32)


def test_batches_leave_padding_silent_and_are_the_same_for_a_seed(two_classes):
    from keras_sparse_rnn.experiments.training import Batches

    loaded, recipe = two_classes
    batches, again, other = (Batches(loaded.train, recipe, seed) for seed in (0, 0, 1))
    assert len(batches) == 4
    seen = 0
    for index in range(len(batches)):
        x, y = batches[index]
        np.testing.assert_array_equal(x, again[index][0])
        assert not np.array_equal(x, other[index][0])
        assert np.array_equal(x.any(axis=2).sum(axis=1), (x != 0).all(axis=2).sum(axis=1))
        assert x.dtype == np.float32
        seen += len(y)
    assert seen == len(loaded.train)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data")
def test_batches_made_ahead_are_those_of_each_epoch(two_classes):
    from keras_sparse_rnn.experiments.training import Batches, _of_all_epochs

    loaded, recipe = two_classes
    made = list(_of_all_epochs(Batches(loaded.train, recipe, 0), 2))
    batches, expected = Batches(loaded.train, recipe, 0), []
    for _ in range(2):
        expected += [batches[index] for index in range(len(batches))]
        batches.on_epoch_end()
    assert len(made) == len(expected) == 8
    for ours, theirs in zip(made, expected, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_start_again_is_a_fresh_start(two_classes, without_xla):
    from keras_sparse_rnn.experiments.training import build, start_again, train

    loaded, recipe = two_classes
    model = build("GRU", 4, loaded, recipe)
    start_again(model, 0)
    first = model.get_weights()
    train(model, loaded, recipe, sparsity=0.9, seed=0)
    assert int(model.optimizer.iterations) == 12
    start_again(model, 1)
    assert not np.array_equal(model.get_weights()[0], first[0])
    start_again(model, 0)
    assert all(np.array_equal(new, old) for new, old in zip(model.get_weights(), first, strict=True))
    assert not any(np.any(keras.ops.convert_to_numpy(variable)) for variable in model.optimizer.variables)
