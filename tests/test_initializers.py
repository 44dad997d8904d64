import json

import keras
import numpy as np
import pytest

from keras_sparse_rnn import layers
from keras_sparse_rnn.initializers import Beta, Sensitivity


@pytest.mark.backend
@pytest.mark.parametrize(("mean", "beta"), [(0.3, 3.0), (0.01, 3.0), (0.8, 2.0)])
def test_moments_are_those_of_the_distribution(mean, beta):
    values = keras.ops.convert_to_numpy(Beta(mean, beta, seed=1)((50_000,)))
    variance = mean * (1 - mean) / (beta / (1 - mean) + 1)
    assert values.min() >= 0 and values.max() <= 1
    np.testing.assert_allclose(values.mean(), mean, atol=5 * np.sqrt(variance / values.size))
    np.testing.assert_allclose(values.var(), variance, rtol=0.1)


def test_seed_and_config():
    initializer = Beta(0.2, 4.0, seed=7)
    loaded = keras.initializers.get(keras.initializers.serialize(initializer))
    assert np.array_equal(keras.ops.convert_to_numpy(initializer((9,))), keras.ops.convert_to_numpy(loaded((9,))))
    assert not np.array_equal(keras.ops.convert_to_numpy(Beta()((9,))), keras.ops.convert_to_numpy(Beta()((9,))))


@pytest.mark.parametrize("arguments", [{"mean": 0}, {"mean": 1.5}, {"beta": 0}, {"seed": "a"}])
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Beta(**arguments)


def test_thresholds_by_sensitivity():
    """In any layer that holds: a scale over the norm of the weights that read a value, which follow those weights."""
    layer = layers.DeltaGRU(3, Sensitivity(0.5), Sensitivity([0.1, 0.2, 0.3]), reset_after=False)
    layer.build((None, None, 2))
    kernel, recurrent_kernel, bias = layer.get_weights()
    norms = np.linalg.norm(recurrent_kernel[:, :6], axis=1), np.linalg.norm(recurrent_kernel[:, 6:], axis=1)
    np.testing.assert_allclose(layer.input_threshold, 0.5 / np.linalg.norm(kernel, axis=1), rtol=1e-5)
    np.testing.assert_allclose(layer.hidden_threshold, [0.1, 0.2, 0.3] / norms[0], rtol=1e-5)
    np.testing.assert_allclose(layer.reset_threshold, [0.1, 0.2, 0.3] / norms[1], rtol=1e-5)
    layer.set_weights([2 * kernel, recurrent_kernel, bias])
    np.testing.assert_allclose(layer.input_threshold, 0.25 / np.linalg.norm(kernel, axis=1), rtol=1e-5)
    loaded = layers.DeltaGRU.from_config(json.loads(json.dumps(layer.get_config())))
    loaded.build((None, None, 2))
    loaded.set_weights(layer.get_weights())
    np.testing.assert_array_equal(loaded.hidden_threshold, layer.hidden_threshold)
    x = np.random.default_rng(0).normal(size=(2, 9, 2)).astype("float32")
    fixed = layers.DeltaGRU(
        3,
        *(layer.input_threshold.tolist(), layer.hidden_threshold.tolist()),
        reset_threshold=layer.reset_threshold.tolist(),
        reset_after=False,
    )
    fixed.build((None, None, 2))
    fixed.set_weights(layer.get_weights())
    np.testing.assert_allclose(*(keras.ops.convert_to_numpy(of(x)) for of in (fixed, layer)), atol=1e-6)


def test_scales_of_sensitivity_are_trained():
    layer = layers.DeltaLSTM(3, Sensitivity(0.5), Sensitivity(0.2), trainable_threshold=True)
    model = keras.Sequential([keras.Input((6, 2)), layer])
    assert [w.shape for w in layer.weights] == [(2, 12), (3, 12), (12,), (2,), (3,)]
    before = layer.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=keras.backend.backend() != "jax")
    x = np.random.default_rng(0).normal(size=(8, 6, 2)).astype("float32")
    model.train_on_batch(x, np.ones((8, 3)))
    assert all(np.any(now != then) for now, then in zip(layer.get_weights(), before, strict=True))


def test_sensitivity_asks_for_weights_and_a_scale():
    with pytest.raises(ValueError, match="DeltaHoldCell knows no weights"):
        layers.DeltaHold(Sensitivity(0.1))
    with pytest.raises(ValueError, match="`scale` must be a number or a list of numbers, >= 0. Received: -1"):
        Sensitivity(-1)
