import keras
import numpy as np
import pytest

from keras_sparse_rnn.initializers import Beta


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
