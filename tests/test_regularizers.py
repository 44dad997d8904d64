import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.regularizers import EventPenalty

RNG = np.random.default_rng(0)
STATE = RNG.normal(size=(6, 4, 5)).astype("float32")
EVENTS = (STATE > 0.1).astype("float32")
MASK = RNG.random((6, 4, 1)) < 0.6


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (EventPenalty(2.0), lambda state, events: 2 * np.maximum(state, 0).mean()),
        (EventPenalty(3.0, on="rate"), lambda state, events: 3 * events.mean()),
        (EventPenalty(3.0, on="rate", target=0.05), lambda state, events: 3 * (events.mean() - 0.05) ** 2),
    ],
)
def test_penalty_is_a_mean_over_valid_positions(penalty, expected):
    value = ops.convert_to_numpy(penalty.penalty(STATE, EVENTS))
    np.testing.assert_allclose(value, expected(STATE, EVENTS), rtol=1e-6)
    valid = MASK[..., 0]
    value = ops.convert_to_numpy(penalty.penalty(STATE, EVENTS, MASK))
    np.testing.assert_allclose(value, expected(STATE[valid], EVENTS[valid]), rtol=1e-6)


def test_batch_without_valid_positions_costs_nothing():
    value = EventPenalty(2.0).penalty(STATE, EVENTS, np.zeros_like(MASK))
    assert float(ops.convert_to_numpy(value)) == 0


@pytest.mark.parametrize("on", ["state", "rate"])
def test_layer_adds_it_whatever_the_batch_size_and_padding(on):
    layer = EventGRU(8, activity_regularizer=EventPenalty(2.0, on=on))
    x = RNG.normal(size=(3, 5, 4)).astype("float32")

    def loss(x, mask=None):
        layer(x, mask=mask)
        (value,) = layer.losses
        return float(ops.convert_to_numpy(value))

    expected = loss(x)
    assert expected > 0
    np.testing.assert_allclose(loss(np.tile(x, (4, 1, 1))), expected, rtol=1e-5)
    padded = np.pad(x, ((0, 0), (0, 3), (0, 0)), constant_values=1.0)
    mask = np.broadcast_to(np.arange(8) < 5, (3, 8))
    np.testing.assert_allclose(loss(padded, mask), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "penalty", [EventPenalty(3.0), EventPenalty(3.0, on="rate"), EventPenalty(100.0, on="rate", target=0.1)]
)
def test_training_with_it_makes_events_rarer(penalty):
    keras.utils.set_random_seed(0)
    layer = EventGRU(16, return_sequences=True, activity_regularizer=penalty)
    model = keras.Sequential([keras.Input((10, 4)), layer])
    model.compile(keras.optimizers.Adam(0.02), loss=lambda y_true, y_pred: 0.0 * ops.sum(y_pred))
    x = RNG.normal(size=(16, 10, 4)).astype("float32")

    def rate():
        return np.mean(model.predict(x, verbose=0) != 0)

    before = rate()
    model.fit(x, np.zeros((16, 10, 16)), epochs=30, verbose=0)
    after = rate()
    assert before > 0.3
    assert after < 0.15
    assert penalty.target is None or after > 0.05


def test_other_regularizers_act_on_the_output():
    x = RNG.normal(size=(3, 5, 4)).astype("float32")
    layer = EventGRU(8, activity_regularizer=keras.regularizers.L2(0.1))
    y = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.losses[0]), 0.1 * np.sum(y**2) / 3, rtol=1e-5)


def test_bad_use_is_named():
    for arguments, message in [
        ({"strength": -1}, "strength"),
        ({"on": "output"}, "'state' or 'rate'"),
        ({"target": 0.1}, "on='rate'"),
        ({"on": "rate", "target": 2}, "target"),
    ]:
        with pytest.raises(ValueError, match=message):
            EventPenalty(**arguments)
    with pytest.raises(ValueError, match="EventGRU"):
        keras.layers.GRU(4, activity_regularizer=EventPenalty())(np.zeros((2, 3, 4), "float32"))
