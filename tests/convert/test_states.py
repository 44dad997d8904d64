"""Models whose recurrent layers are given states and give them away, held to what Keras predicts."""

import keras
import numpy as np
import pytest
from event_models import sequences
from keras import layers
from keras.layers import GRU, LSTM, SimpleRNN
from zoo import ENGINES, assert_follows_keras

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaGRU, DeltaHold, EventGRU

FORMATS = ("float32", "int8", "int8x16")
by_format = pytest.mark.parametrize("weights", FORMATS)


def _states(*sizes, samples=24, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-0.8, 0.8, (samples, size)).astype(np.float32) for size in sizes]


def _return_state():
    x = keras.Input((12, 7))
    y, h = GRU(9, return_sequences=True, return_state=True)(x)
    return keras.Model(x, [layers.Dense(3)(y), h]), [sequences()]


def _encoder_decoder():
    """Through a layer of the rest, and from op to op."""
    x, target = keras.Input((12, 7)), keras.Input((5, 4))
    _, h, c = LSTM(8, return_state=True)(x)
    y = LSTM(8, return_sequences=True)(target, initial_state=[layers.Dense(8, activation="tanh")(h), c])
    return keras.Model([x, target], layers.Dense(3)(y)), [sequences(), sequences(steps=5, inputs=4)]


def _bidirectional():
    x, target = keras.Input((12, 7)), keras.Input((5, 4))
    y, *states = layers.Bidirectional(GRU(6, return_sequences=True, return_state=True))(x)
    z = layers.Bidirectional(GRU(6), merge_mode="sum")(target, initial_state=states)
    return keras.Model([x, target], [layers.Dense(3)(y), z]), [sequences(), sequences(steps=5, inputs=4)]


def _stacked_cells():
    x, target = keras.Input((12, 7)), keras.Input((5, 4))
    cells = lambda: [layers.LSTMCell(6), layers.GRUCell(5)]  # noqa: E731
    _, *states = layers.RNN(cells(), return_state=True)(x)
    y = layers.RNN(cells(), return_sequences=True)(target, initial_state=states)
    return keras.Model([x, target], layers.Dense(3)(y)), [sequences(), sequences(steps=5, inputs=4)]


def _one_step():
    """As a streaming model that keeps its own states; the second GRU is a cell."""
    x, h, *more = (keras.Input(shape) for shape in ((1, 7), (9,), (8,), (8,), (6,), (5,)))
    y, after = GRU(9, return_sequences=True, return_state=True)(x, initial_state=h)
    y, *lstm = LSTM(8, return_state=True)(y, initial_state=more[:2])
    y, simple = layers.SimpleRNNCell(6)(y, more[2])
    y, gru = layers.GRUCell(5)(y, [more[3]])
    model = keras.Model([x, h, *more], [layers.Dense(3)(y), after, *lstm, simple, *gru])
    return model, [sequences(steps=1), *_states(9, 8, 8, 6, 5)]


def _one_cell_again():
    """A decoder that reads its own predictions: one cell, called four times."""
    x, cell, dense = keras.Input((1, 7)), layers.GRUCell(7), layers.Dense(7)
    y, h = layers.RNN(cell, return_state=True)(x)
    predictions = [dense(y)]
    for _ in range(3):
        y, (h,) = cell(predictions[-1], [h])
        predictions.append(dense(y))
    return keras.Model(x, keras.ops.stack(predictions, axis=1)), [sequences(steps=1)]


def _events():
    x, y, c = keras.Input((12, 7)), keras.Input((9,)), keras.Input((9,))
    z, *after = EventGRU(9, return_state=True)(x, initial_state=[y, c])
    return keras.Model([x, y, c], [z, *after]), [sequences(), *(abs(state) for state in _states(9, 9))]


def _simple():
    x, h = keras.Input((12, 7)), keras.Input((9,))
    y, after = SimpleRNN(9, return_state=True, go_backwards=True)(x, initial_state=h)
    return keras.Model([x, h], [y, after]), [sequences(), *_states(9)]


def _delta():
    x = keras.Input((12, 7))
    return keras.Model(x, DeltaGRU(9, input_threshold=0.1, return_state=True)(x)[:2]), [sequences()]


def _held():
    """Both states of an LSTM behind a DeltaHold."""
    x = keras.Input((12, 7))
    return keras.Model(x, LSTM(9, return_state=True)(DeltaHold(0.1)(x))), [sequences()]


EACH = (
    *(_return_state, _encoder_decoder, _bidirectional, _stacked_cells, _one_step, _one_cell_again),
    *(_events, _simple, _delta, _held),
)
MODELS = {f.__name__.strip("_"): f for f in EACH}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    keras.utils.set_random_seed(0)
    model, x = MODELS[request.param]()
    expected = model.predict(x if len(x) > 1 else x[0], verbose=0)
    return request.param, model, x if len(x) > 1 else x[0], [expected] if isinstance(expected, np.ndarray) else expected


@pytest.mark.slow_but(weights=["int8"])
@by_format
def test_outputs_and_states(case, weights):
    name, model, x, expected = case
    converted = ksr.convert(model, x, weights=weights)
    assert converted.report.engines == [engine for engine in ("litert", "tflm") if engine in ENGINES]
    assert_follows_keras(converted, x, expected, weights, limit=0.06 if name == "events" else 0.03)


def test_states_go_in_circles_without_loss():
    """A model of one step whose states are inputs and outputs is the stateful model of the whole, to the bit."""
    keras.utils.set_random_seed(0)
    x, h, c = keras.Input((1, 7)), keras.Input((8,)), keras.Input((8,))
    lstm = LSTM(8, return_state=True, return_sequences=True)
    step = keras.Model([x, h, c], lstm(x, initial_state=[h, c]))
    whole = keras.Sequential([keras.Input((12, 7)), LSTM(8, return_sequences=True)])
    whole.set_weights(step.get_weights())
    data = sequences()
    states = np.stack([np.asarray(part) for part in _after_each_step(lstm, data)], axis=1)  # (samples, 2, steps, 8)
    given = [data[:, 1:].reshape(-1, 1, 7), *(states[:, i, :-1].reshape(-1, 8) for i in range(2))]
    loaded = ksr.convert(step, given).engine("native")
    stream = []
    state = [np.zeros((1, 8), tensor.dtype) for tensor in loaded.inputs[1:]]
    for t in range(12):
        y, *state = loaded.invoke([loaded.inputs[0].quantize(data[:1, t : t + 1]), *state])
        stream.append(loaded.outputs[0].dequantize(y)[0, 0])
    expected = whole.predict(data[:1], verbose=0)[0]
    assert np.abs(stream - expected).mean() <= 0.03 * expected.std()


def _after_each_step(lstm, data):
    from keras_sparse_rnn.layers.states import states_of

    return states_of(lstm, keras.ops.convert_to_tensor(data))


def test_a_stateful_model_gives_its_states_as_well():
    keras.utils.set_random_seed(0)
    x = keras.Input((None, 7))
    y, *states = LSTM(8, return_state=True)(x)
    model, data = keras.Model(x, [y, *states]), sequences()
    converted = ksr.convert(model, data, weights="float32", stateful=True, time_steps=4)
    expected = [model.predict(data[:1, :end], verbose=0) for end in (4, 8, 12)]
    for end, wanted in zip((4, 8, 12), expected, strict=True):
        for ours, keras_own in zip(converted.step(data[0, end - 4 : end]), wanted, strict=True):
            np.testing.assert_allclose(ours, keras_own[0], atol=1e-5)


def test_states_that_integers_cannot_hold_are_refused():
    keras.utils.set_random_seed(0)
    x, h = keras.Input((12, 7)), keras.Input((9,))
    model = keras.Model([x, h], GRU(9, name="narrow")(x, initial_state=layers.Dense(9)(h)))
    data = [sequences(), 5 * _states(9)[0]]
    with pytest.raises(ValueError, match=r"'narrow' has an initial state of up to .* state h goes up to 1\. Use"):
        ksr.convert(model, data)
    ksr.convert(model, data, weights="float32")


def test_a_delta_layer_begins_at_zero():
    x, h = keras.Input((12, 7)), keras.Input((9,))
    held = [keras.Input((9,)), keras.Input((7,))]
    model = keras.Model([x, h, *held], DeltaGRU(9, name="changes")(x, initial_state=[h, *held]))
    with pytest.raises(ValueError, match=r"'changes' \(DeltaGRU\) is called with an initial state"):
        ksr.convert(model, weights="float32")
