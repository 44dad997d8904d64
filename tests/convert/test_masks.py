"""Masks over time steps, held to what Keras predicts."""

import keras
import numpy as np
import pytest
from event_models import sequences
from keras import layers
from keras.layers import GRU, LSTM
from zoo import ENGINES

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import EventGRU

STEPS = 12


def _lengths(samples=24):
    """Which steps of each sample are there: from none to all, and some with gaps."""
    rng = np.random.default_rng(3)
    mask = np.arange(STEPS) < rng.integers(1, STEPS + 1, (samples, 1))
    mask[1::3] &= rng.random((len(mask[1::3]), STEPS)) < 0.7
    mask[5] = False
    return mask


def _words():
    numbers = np.random.default_rng(0).integers(1, 20, (24, STEPS)).astype(np.int32)
    return numbers * _lengths()


def _embedded(x):
    return layers.Embedding(20, 6, mask_zero=True, embeddings_initializer=keras.initializers.RandomNormal(0, 1))(x)


def _embedding():
    x = keras.Input((STEPS,), dtype="int32")
    y = layers.Dropout(0.2)(_embedded(x))
    y = GRU(8, return_sequences=True)(y)
    return keras.Model(x, layers.Dense(3)(LSTM(7)(layers.Dense(6)(y)))), [_words()]


def _bidirectional():
    x = keras.Input((STEPS,), dtype="int32")
    y = layers.Bidirectional(GRU(8, return_sequences=True))(_embedded(x))
    return keras.Model(x, [layers.Dense(3)(y), layers.Bidirectional(LSTM(5))(y)]), [_words()]


def _given():
    """A mask that is an input of the model."""
    x, mask = keras.Input((STEPS, 7)), keras.Input((STEPS,), dtype="bool")
    y = EventGRU(8, return_sequences=True)(x, mask=mask)
    y = layers.RNN([layers.GRUCell(6), layers.LSTMCell(5)], return_sequences=True, zero_output_for_mask=True)(
        y, mask=mask
    )
    return keras.Model([x, mask], y), [sequences(steps=STEPS), _lengths()]


MODELS = {f.__name__.strip("_"): f for f in (_embedding, _bidirectional, _given)}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    keras.utils.set_random_seed(0)
    model, x = MODELS[request.param]()
    expected = model.predict(x if len(x) > 1 else x[0], verbose=0)
    return request.param, model, x if len(x) > 1 else x[0], [expected] if isinstance(expected, np.ndarray) else expected


@pytest.mark.parametrize("weights", ["float32", "int8", "int8x16"])
def test_masks(case, weights):
    name, model, x, expected = case
    converted = ksr.convert(model, x, weights=weights)
    few = [array[:6] for array in x] if isinstance(x, list) else x[:6]
    for engine in ENGINES:
        outputs = converted.predict(few, engine)
        for ours, keras_own in zip(outputs if isinstance(outputs, list) else [outputs], expected, strict=True):
            error = np.abs(ours - keras_own[:6])
            if weights == "float32":
                assert np.median(error.reshape(6, -1).max(axis=1)) <= 1e-5, engine
            else:
                assert error.mean() <= (0.06 if name == "given" else 0.03) * keras_own.std(), engine


def test_a_stream_with_masks():
    keras.utils.set_random_seed(0)
    x, mask = keras.Input((None, 7)), keras.Input((None,), dtype="bool")
    model = keras.Model([x, mask], GRU(6)(x, mask=mask))
    data, steps = sequences(steps=STEPS), _lengths()
    converted = ksr.convert(model, [data, steps], weights="float32", stateful=True, time_steps=3)
    outputs = [converted.step([data[1, t : t + 3], steps[1, t : t + 3]]) for t in range(0, STEPS, 3)]
    expected = model.predict([data[1:2], steps[1:2]], verbose=0)[0]
    last = np.flatnonzero(steps[1])[-1] // 3  # a chunk without any step gives zeros, as Keras does
    np.testing.assert_allclose(outputs[last], expected, atol=1e-5)
