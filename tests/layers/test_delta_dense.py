"""DeltaDense: Keras's Dense at threshold 0, its equation else, MACs, weights and files."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn.initializers import Sensitivity
from keras_sparse_rnn.layers import DeltaDense, DeltaHold

BATCH, TIME, FEATURES, UNITS = 4, 8, 3, 5


def sequences():
    return np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def dense(**arguments):
    keras.utils.set_random_seed(1)
    layer = layers.Dense(UNITS, bias_initializer="glorot_uniform", **arguments)
    layer.build((None, TIME, FEATURES))
    return layer


def gradients(layer):
    """Gradients in the weights and in what comes before the layer, of one step."""
    keras.utils.set_random_seed(1)
    x = keras.Input((TIME, FEATURES), BATCH)
    model = keras.Model(x, layer(layers.Dense(FEATURES)(x)))
    upstream = np.random.default_rng(1).normal(size=model.output_shape).astype("float32")
    eagerly = keras.backend.backend() != "jax"
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y_true, y_pred: ops.sum(y_true * y_pred), run_eagerly=eagerly)
    before = model.get_weights()
    model.train_on_batch(sequences(), upstream)
    return [b - a for b, a in zip(before, model.get_weights(), strict=True)]


@pytest.mark.backend_slow
def test_threshold_zero_is_keras_and_trains_as_it_does():
    layer = dense(activation="tanh")
    ours = DeltaDense.from_dense(layer)
    assert ours.name == layer.name
    np.testing.assert_allclose(
        ops.convert_to_numpy(ours(sequences())), ops.convert_to_numpy(layer(sequences())), atol=1e-6
    )
    for one, other in zip(gradients(ours), gradients(layer), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.backend
def test_it_is_a_dense_behind_a_hold():
    layer = dense(activation="relu")
    ours = DeltaDense.from_dense(layer, input_threshold=[0.3, 0.5, 0.9], trainable_threshold=True)
    held = np.zeros((BATCH, FEATURES))
    for t in range(TIME):
        x = sequences()[:, t]
        held = np.where(np.abs(x - held) > [0.3, 0.5, 0.9], x, held)
        expected = np.maximum(held @ layer.get_weights()[0] + layer.get_weights()[1], 0)
        np.testing.assert_allclose(ops.convert_to_numpy(ours(sequences()))[:, t], expected, atol=1e-5)
    hold = DeltaHold([0.3, 0.5, 0.9], trainable_threshold=True)
    apart = keras.Sequential([hold, dense(activation="relu")])
    *before, of_kernel, of_bias, of_threshold = gradients(ours)
    *expected_before, expected_threshold, expected_kernel, expected_bias = gradients(apart)
    for one, other in zip(
        (*before, of_kernel, of_bias, of_threshold),
        (*expected_before, expected_kernel, expected_bias, expected_threshold),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_macs_are_those_of_what_changes():
    x = sequences()
    model = keras.Sequential([keras.Input((TIME, FEATURES)), DeltaDense(UNITS, 0.8)])
    [macs] = ksr.profiling.count_macs(model, x)
    held = np.zeros((BATCH, FEATURES))
    sent = 0
    for t in range(TIME):
        sends = np.abs(x[:, t] - held) > 0.8
        held, sent = np.where(sends, x[:, t], held), sent + sends.sum()
    assert macs.effective == pytest.approx(sent * UNITS / (BATCH * TIME)) and macs.dense == UNITS * FEATURES
    assert macs.input_rate == pytest.approx(sent / x.size) and macs.activity == 0
    assert 0 < macs.effective < macs.dense


def test_it_is_pruned_shrunk_and_reads_the_weights_of_a_dense(tmp_path):
    kinds = {"ours": DeltaDense, "keras": layers.Dense}
    models = {
        name: keras.Sequential([keras.Input((TIME, FEATURES)), kind(8, activation="relu"), kind(2)])
        for name, kind in kinds.items()
    }
    models["keras"].save(tmp_path / "dense.keras")
    ksr.load_keras_weights(models["ours"], tmp_path / "dense.keras")
    expected = models["keras"].predict(sequences(), verbose=0)
    np.testing.assert_allclose(models["ours"].predict(sequences(), verbose=0), expected, atol=1e-6)
    ksr.prune(models["ours"], 0.5)
    kernel, bias, second, _ = models["ours"].get_weights()
    assert np.mean(kernel == 0) == 0.5
    kernel[:, :3] = bias[:3] = 0
    models["ours"].layers[0].set_weights([kernel, bias])
    smaller = ksr.shrink(models["ours"])
    assert smaller.layers[0].units <= 5 < len(second)
    np.testing.assert_allclose(
        smaller.predict(sequences(), verbose=0), models["ours"].predict(sequences(), verbose=0), atol=1e-6
    )


def test_thresholds_by_sensitivity_follow_the_kernel():
    layer = DeltaDense(UNITS, Sensitivity(0.2))
    layer.build((None, None, FEATURES))
    norms = np.linalg.norm(layer.get_weights()[0], axis=1)
    np.testing.assert_allclose(layer.input_threshold, 0.2 / norms, rtol=1e-5)
    again = DeltaDense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`layer` must be a keras.layers.Dense. Received: GRU"):
        DeltaDense.from_dense(layers.GRU(3))
    with pytest.raises(ValueError, match="`units` must be a positive integer. Received: units=0"):
        DeltaDense(0)
    with pytest.raises(ValueError, match="`threshold` has 2 values for 3 channels"):
        DeltaDense(2, [0.1, 0.2])(sequences())
