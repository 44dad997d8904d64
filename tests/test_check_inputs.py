"""Inputs that do not fit a Keras model are refused before it runs."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.inputs import check_inputs
from keras_sparse_rnn.profiling import count_dense_macs, count_macs, record_events


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((3, 4)), layers.GRU(4)])


@pytest.fixture(scope="module")
def two_inputs():
    left, right = keras.Input((None, 4), name="left"), keras.Input((1,), name="right")
    return keras.Model({"left": left, "right": right}, layers.Add()([layers.GRU(2)(left), layers.Dense(2)(right)]))


MEASURE = [ksr.profile, ksr.summary, ksr.to_delta, count_macs, count_dense_macs, record_events]


@pytest.mark.parametrize("measure", MEASURE, ids=lambda measure: measure.__name__)
def test_measuring_needs_samples_that_fit(measure, model):
    with pytest.raises(ValueError, match=r"data must have the shape \(samples, 3, 4\) .*; given: \(0, 3, 4\)"):
        measure(model, np.zeros((0, 3, 4)))
    with pytest.raises(ValueError, match=r"data must have the shape \(samples, 3, 4\) .*; given: \(2, 3, 5\)"):
        measure(model, np.zeros((2, 3, 5)))
    with pytest.raises(ValueError, match="data holds NaN or infinite values"):
        measure(model, np.full((2, 3, 4), np.inf))


def test_a_report_needs_samples_that_fit(model, tmp_path):
    with pytest.raises(ValueError, match=r"data must have the shape \(samples, 3, 4\) .*; given: \(0, 3, 4\)"):
        ksr.report(model, np.zeros((0, 3, 4)), tmp_path / "page.html", cpu=None)
    assert not list(tmp_path.iterdir())


def test_several_inputs_go_by_names_or_in_order(two_inputs):
    left, right = np.zeros((2, 7, 4)), np.ones((2, 1))
    for given in ({"right": right, "left": left}, {"left": left, "right": right[:, 0]}, {"left": left, "right": right}):
        assert set(check_inputs("x", two_inputs, given)) == {"left", "right"}
        assert two_inputs(given).shape == (2, 2)
    for given, said in (
        ({"left": left, "right": right[:1]}, r"x for input 'right' must have .* \(samples, 1\) .*; given: \(1, 1\)"),
        ({"left": right, "right": right}, r"x for input 'left' must have .* \(samples, any, 4\) .*; given: \(2, 1\)"),
        (left, "x must hold 2 arrays, one for each input; given: 1"),
    ):
        with pytest.raises(ValueError, match=said):
            check_inputs("x", two_inputs, given)


def test_integers_and_models_of_unknown_inputs_are_taken():
    embedding = keras.Sequential([keras.Input((3,), dtype="int32"), layers.Embedding(5, 4), layers.GRU(2)])
    assert check_inputs("x", embedding, np.zeros((2, 3), int)).shape == (2, 3)

    class Own(keras.Model):
        pass

    assert check_inputs("x", Own(), [np.zeros((2, 3))])[0].shape == (2, 3)
    with pytest.raises(ValueError, match=r"x must have the shape \(samples, 3\) with at least one .*; given: \(0, 3\)"):
        check_inputs("x", Own(), np.zeros((0, 3)))
