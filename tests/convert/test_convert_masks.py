"""Masks over time steps, held to what Keras predicts."""

import itertools

import keras
import numpy as np
import pytest
from event_models import sequences
from keras import layers
from keras.layers import GRU, LSTM
from zoo import assert_follows_keras

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.mask_check import on_other_inputs
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
    return _lookup()(x)


@pytest.mark.parametrize(
    ("weights", "nested"),
    [
        pytest.param(*case, marks=[] if case in {("float32", False), ("int8", True)} else [pytest.mark.slow])
        for case in itertools.product(("float32", "int8", "int8x16"), (False, True))
    ],
)
def test_indices_of_keras_default_type_are_int32(weights, nested):
    """The file is that of the same model with an input of int32."""
    files = []
    for dtype in ("float32", "int32"):
        keras.utils.set_random_seed(0)
        x = keras.Input((STEPS,), dtype=dtype, name="words")
        y = keras.Sequential([keras.Input((STEPS,), dtype=dtype), _lookup()])(x) if nested else _lookup()(x)
        model = keras.Model(x, layers.Dense(3, name="y")(GRU(8, name="gru")(y)))
        files.append(ksr.convert(model, _words().astype(dtype), weights=weights, target="litert"))
    floats, integers = files
    np.testing.assert_array_equal(floats.predict(_words().astype("float32")), integers.predict(_words()))
    assert floats.engine().inputs[0].dtype == np.int32
    with pytest.raises(ValueError, match=r"must have an integer dtype \(int32\); given: float64"):
        ksr.convert(model, _words() + np.float32(0.5), weights=weights)


def _lookup():
    return layers.Embedding(20, 6, mask_zero=True, embeddings_initializer=keras.initializers.RandomNormal(0, 1))


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


def _masking():
    """Features that are all 0: in a Sequential model, through a layer that hands the mask on."""
    masked = [layers.Masking(), layers.Dense(6), GRU(8, return_sequences=True), LSTM(5), layers.Dense(3)]
    return keras.Sequential([keras.Input((STEPS, 7)), *masked]), [sequences(steps=STEPS) * _lengths()[..., None]]


def _masking_another_value():
    x = keras.Input((STEPS, 7))
    y = layers.Bidirectional(GRU(8, return_sequences=True))(layers.Masking(-1.5)(x))
    data = np.where(_lengths()[..., None], sequences(steps=STEPS), np.float32(-1.5))
    return keras.Model(x, GRU(5)(y)), [data]


def _pooled():
    """Pooling over the steps that are there, behind layers that merge masks."""
    x = keras.Input((STEPS, 7))
    masked = layers.Masking()(x)
    y = layers.Concatenate()([GRU(8, return_sequences=True)(masked), masked])
    y = layers.Add()([GRU(6, return_sequences=True)(y), GRU(6, return_sequences=True, go_backwards=True)(masked)])
    mask = np.maximum(_lengths(), np.arange(STEPS) == 2)  # the mean of no step is no number
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y))), [
        sequences(steps=STEPS) * mask[..., None]
    ]


MODELS = {
    f.__name__.strip("_"): f for f in (_embedding, _bidirectional, _given, _masking, _masking_another_value, _pooled)
}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    keras.utils.set_random_seed(0)
    model, x = MODELS[request.param]()
    expected = model.predict(x if len(x) > 1 else x[0], verbose=0)
    return request.param, model, x if len(x) > 1 else x[0], [expected] if isinstance(expected, np.ndarray) else expected


@pytest.mark.slow_but(weights=["int8"])
@pytest.mark.parametrize("weights", ["float32", "int8", "int8x16"])
def test_masks(case, weights):
    name, model, x, expected = case
    converted = ksr.convert(model, x, weights=weights)
    assert_follows_keras(converted, x, expected, weights, limit=0.06 if name == "given" else 0.03)


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


def _read_beside_masks():
    """What reads masked steps, or joins masks: concatenation in time, products, maxima, convolutions, sums, states."""
    x = keras.Input((STEPS, 7))
    zeros, others = layers.Masking()(x), layers.Masking(-1.5)(x)
    gru = GRU(7, return_sequences=True)(others)
    last, state = GRU(4, return_state=True)(others)
    inner = keras.Input((STEPS, 7))
    nested = keras.Model(inner, layers.Add()([inner, GRU(7, return_sequences=True)(inner)]))
    read = [
        GRU(4)(layers.Concatenate(axis=1)([zeros, x, gru])),
        layers.Dense(2)(layers.Multiply()([gru, zeros])),
        layers.Dense(2)(layers.Multiply()([gru, LSTM(7, return_sequences=True)(others)])),
        GRU(3, return_sequences=True)(layers.Maximum()([gru, zeros])),
        layers.Conv1D(4, 3, padding="causal")(others),
        layers.Dense(2)(nested(others)),
        GRU(4)(others, initial_state=state),
    ]
    return keras.Model(x, [last, *read])


@pytest.mark.parametrize(
    ("weights", "steps"),
    [("float32", 4)]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in [("float32", None), ("float32", 1), ("int8", 4)]],
)
def test_what_is_read_beside_masks_is_what_keras_reads(weights, steps):
    """Whole, and in a stream, whose first chunk is a whole sequence to Keras."""
    keras.utils.set_random_seed(0)
    model, rng = _read_beside_masks(), np.random.default_rng(0)
    x, left_out = sequences(steps=STEPS), rng.random((24, STEPS))
    x[left_out < 0.3], x[left_out > 0.7] = 0, -1.5
    converted = ksr.convert(model, x, weights=weights, stateful=bool(steps), time_steps=steps, target="litert")
    engine = converted.engine("reference")
    if steps:
        outputs = [y[:, 0] for y in engine.run_chunks([x.reshape(24, STEPS // steps, steps, 7)])]
        inputs = keras.Input((steps, 7))
        expected = keras.Model(inputs, on_other_inputs(model, [inputs])).predict(x[:, :steps], verbose=0)
    else:
        outputs, expected = engine.predict(x), model.predict(x, verbose=0)
    for ours, wanted in zip(outputs, expected, strict=True):
        if weights == "float32":
            np.testing.assert_allclose(ours, wanted, atol=1e-5)
        else:
            assert np.abs(ours - wanted).mean() < 0.1 * wanted.std()


def test_with_an_initial_state_a_layer_has_only_the_mask_that_it_is_given():
    """As in Keras, which hands the mask of an input on to layers that are called with nothing else."""
    keras.utils.set_random_seed(0)
    x, h = keras.Input((STEPS, 7)), keras.Input((5,))
    masked = layers.Masking()(x)
    rest = keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)
    gru = GRU(5, return_sequences=True)
    model = keras.Model([x, h], [gru(masked, initial_state=h), gru(masked, initial_state=h, mask=rest)])
    data = [sequences(steps=STEPS) * _lengths()[..., None], np.random.default_rng(0).uniform(-1, 1, (24, 5))]
    data[1] = data[1].astype("float32")
    without, with_mask = model.predict(data, verbose=0)
    assert np.abs(without - with_mask).max() > 0.1
    assert_follows_keras(ksr.convert(model, data, weights="float32"), data, [without, with_mask], "float32")


def test_what_rounds_to_the_mask_value_is_said():
    """Steps that are nearly 0 are left out in int8; the warning counts them."""
    model = keras.Sequential([keras.Input((STEPS, 7)), layers.Masking(), GRU(5)])
    data = sequences(steps=STEPS)
    data[:, 3] = 1e-4
    with pytest.warns(UserWarning, match=r"8\.33% of the steps are skipped although Keras computes them: .* value 0;"):
        ksr.convert(model, data)


@pytest.mark.parametrize("stateful", [False, True])
def test_masks_that_are_followed_wrongly_are_refused(stateful):
    """A mask made of another, given to a layer whose input has one already: the plan is held to the model itself,
    whatever the data show."""
    x, mask = keras.Input((STEPS, 7)), keras.Input((STEPS,), dtype="bool")
    masked = GRU(6, return_sequences=True)(layers.Masking()(x))
    model = keras.Model([x, mask], GRU(5)(masked, mask=keras.ops.logical_not(mask)))
    with pytest.raises(ValueError, match="masks that are passed on"):
        ksr.convert(model, weights="float32", stateful=stateful)
