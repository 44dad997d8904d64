"""Trained kernels as products: the best of each rank, and the smallest rank within a tolerance."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import FastGRNN, LightGRU

TIME, FEATURES, UNITS = 6, 5, 8


def sequences(seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(16, TIME, FEATURES)).astype("float32")


def model_of(*layers):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((TIME, FEATURES)), *layers, keras.layers.Dense(2, name="out")])


def kernels_of(layer):
    return np.concatenate([keras.ops.convert_to_numpy(kernel) for kernel in layer.cell.kernels()])


def test_each_rank_is_the_best_approximation():
    model = model_of(LightGRU(UNITS, name="light", bias_initializer="glorot_normal"))
    whole = kernels_of(model.get_layer("light"))
    values = np.linalg.svd(whole, compute_uv=False)
    for rank in (3, 13):
        with pytest.warns(UserWarning, match="has 411 weights") if rank == 13 else nullcontext():
            small = ksr.factorize(model, rank=rank)
        error = np.linalg.norm(kernels_of(small.get_layer("light")) - whole)
        assert error == pytest.approx(np.linalg.norm(values[rank:]), abs=1e-4)
    np.testing.assert_allclose(small.predict(sequences(), verbose=0), model.predict(sequences(), verbose=0), atol=1e-5)
    apart = ksr.factorize(model, rank=(2, 4)).get_layer("light")
    assert apart.rank == (2, 4) and model.get_layer("light").rank is None
    parts = np.split(whole, [FEATURES])
    for rank, ours, part in zip((2, 4), np.split(kernels_of(apart), [FEATURES]), parts, strict=True):
        expected = np.linalg.norm(np.linalg.svd(part, compute_uv=False)[rank:])
        assert np.linalg.norm(ours - part) == pytest.approx(expected, abs=1e-4)


def test_data_weigh_what_inputs_multiply():
    """An input that is always 0 costs no rank."""
    model = model_of(FastGRNN(UNITS, name="fast", return_sequences=True), LightGRU(4, name="light"))
    x = sequences()
    x[..., 1:] = 0
    errors = []
    for data in (None, x):
        small = ksr.factorize(model, rank=4, data=data, layers=["fast"])
        errors.append(np.abs(small.predict(x, verbose=0) - model.predict(x, verbose=0)).max())
    assert errors[1] < errors[0] and small.get_layer("light").rank is None


def test_data_pass_masks_and_initial_states():
    x, state = sequences(), np.ones((16, UNITS), np.float32)
    given, before = keras.Input((TIME, FEATURES)), keras.Input((UNITS,))
    layer = LightGRU(UNITS, name="light")
    started = keras.Model([given, before], layer(given, initial_state=before))
    masked = keras.Sequential([keras.Input((TIME, FEATURES)), keras.layers.Masking(), LightGRU(UNITS, name="light")])
    x[:, -2:] = 0
    for model, data in ((started, [x, state]), (masked, x)):
        small = ksr.factorize(model, rank=13, data=data)
        np.testing.assert_allclose(small.predict(data, verbose=0), model.predict(data, verbose=0), atol=1e-5)
        assert ksr.factorize(model, tolerance=0.5, data=data).layers[-1].rank < 13


def test_the_rank_is_as_small_as_the_tolerance_allows():
    model = model_of(LightGRU(UNITS, name="light"))
    x = sequences()
    expected = model.predict(x, verbose=0)
    found = []
    for tolerance in (0.05, 0.5):
        small = ksr.factorize(model, tolerance=tolerance, data=x)
        found.append(small.get_layer("light").rank)
        error = np.sqrt(np.mean((small.predict(x, verbose=0) - expected) ** 2)) / expected.std()
        smaller = ksr.factorize(model, rank=found[-1] - 1, data=x).predict(x, verbose=0)
        assert error <= tolerance < np.sqrt(np.mean((smaller - expected) ** 2)) / expected.std()
    assert 1 < found[1] < found[0] < 13


def test_what_cannot_be_factorized_is_refused_by_name():
    model = model_of(LightGRU(UNITS, name="light"))
    gru = keras.Sequential([keras.Input((TIME, FEATURES)), keras.layers.GRU(4)], name="gated")
    for call, words in (
        (lambda: ksr.factorize(model, rank=14), "layer 'light': `rank` must be at most 13"),
        (lambda: ksr.factorize(model), "give `rank` or `tolerance`"),
        (lambda: ksr.factorize(model, rank=2, tolerance=0.1), "give `rank` or `tolerance`"),
        (lambda: ksr.factorize(model, tolerance=0.1), "with `data`"),
        (lambda: ksr.factorize(model, rank=2, layers=["out"]), "no layer 'out' that can be factorized"),
        (lambda: ksr.factorize(model, rank=2, layers="light"), "`layers` must be a list of names"),
        (lambda: ksr.factorize(gru, rank=2), "model 'gated' has no layer that can be factorized"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
