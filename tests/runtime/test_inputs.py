"""Inputs that a model cannot take, or only clipped, are refused or told, in every engine alike."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.runtime import ENGINES

ROWS = 10


@pytest.fixture(scope="module")
def of_tokens():
    keras.utils.set_random_seed(0)
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    model = keras.Model(tokens, layers.Dense(2)(layers.GRU(4)(layers.Embedding(ROWS, 4)(tokens))))
    return ksr.convert(model, np.arange(100, dtype="int32").reshape(20, 5) % ROWS, max_relative_error=10)


@pytest.fixture(scope="module")
def of_features():
    keras.utils.set_random_seed(0)
    features = keras.Input((5, 3), name="features")
    model = keras.Model(features, layers.GRU(4)(features))
    x = np.random.default_rng(0).uniform(-1, 1, (100, 5, 3)).astype("float32")
    return ksr.convert(model, x), x


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("wrong", [ROWS, -1, 2**31 - 1])
def test_an_index_outside_of_a_table_is_refused(of_tokens, engine, wrong):
    x = np.zeros((3, 5), "int32")
    x[2, 3] = wrong
    with pytest.raises(ValueError, match=f"indices from 0 to {ROWS - 1}, of the rows of a table .*; given: {wrong}"):
        of_tokens.predict(x, engine)
    x[2, 3] = ROWS - 1
    assert of_tokens.predict(x, engine).shape == (3, 2)


@pytest.mark.parametrize("wrong", [0.5, np.nan, 2.0**31, -(2.0**40)])
def test_what_is_no_integer_of_the_type_is_refused(of_tokens, wrong):
    x = np.ones((3, 5))
    assert of_tokens.predict(x).shape == (3, 2)
    x[1, 4] = wrong
    with pytest.raises(ValueError, match=rf"takes integers from -2147483648 to 2147483647 \(int32\); given: {wrong}"):
        of_tokens.predict(x)


def test_an_inference_that_fails_says_why(of_tokens):
    for engine, name in (("litert", "LiteRT"), ("tflm", "TFLM")):
        with pytest.raises(ValueError, match=f"{name} cannot run the model: .*GATHER"):
            of_tokens.engine(engine).invoke([np.full((1, 5), ROWS, "int32")])


@pytest.mark.parametrize(
    ("dtype", "refused_by"), [("uint8", ["tflm"]), ("int64", ["tflm"]), ("float64", ["tflm", "litert"])]
)
def test_types_of_inputs_that_interpreters_lack_are_refused(dtype, refused_by):
    image = keras.Input((5, 3), dtype=dtype, name="image")
    model = keras.Model(image, layers.GRU(4)(keras.ops.cast(image, "float32")))
    for target in ("tflm", "litert"):
        if target in refused_by:
            with pytest.raises(ValueError, match=f"input 'image' is of the type {dtype}; with target='{target}' allow"):
                ksr.convert(model, weights="float32", target=target)
        else:
            assert ksr.convert(model, weights="float32", target=target).engine().inputs[0].dtype == dtype


def told(run):
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        run()
    return [str(warning.message) for warning in record if "are clipped" in str(warning.message)]


def test_inputs_far_outside_of_the_range_are_told_once(of_features):
    converted, x = of_features
    fresh = ksr.runtime.load(converted.data, "native")
    rare = x.copy()
    rare[0, 0, 0] = 1.5  # one of 1,500, half a width away
    assert not told(lambda: fresh.predict(x)) and not told(lambda: fresh.predict(rare))
    wide = 10 * x
    share = np.mean(np.abs(wide) > 1)
    (message,) = told(lambda: (fresh.predict(wide), fresh.predict(wide)))
    assert 0.89 < share < 0.91
    given = float(message.split("%")[0]) / 100
    assert given == pytest.approx(share, abs=0.005)
    assert f"of input 'features', which go from {wide.min():.4g} to {wide.max():.4g}, lie outside" in message
    assert message.endswith("or convert with representative_data, or ranges, as in use.")
    (message,) = told(lambda: ksr.runtime.load(converted.data, "native").step(np.full((5, 3), 30.0)))
    assert message.startswith("100.0% of the values of input 'features'")
    far = x.copy()
    far[0, 0, 0] = -9
    (message,) = told(lambda: ksr.runtime.load(converted.data, "native").predict(far))
    assert message.startswith("0.1% of the values")
