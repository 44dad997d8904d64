"""Layers without a reset gate against Keras's GRU, whose reset gate a large bias holds open: they are the same."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse_rnn.layers import DeltaGRU, EventGRU, LightGRU
from keras_sparse_rnn.regularizers import EventPenalty

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
EVERY_UNIT_FIRES = {
    "threshold_mode": "clipped",
    "threshold_initializer": keras.initializers.Constant(-2),
    "reset": False,
}
KINDS = {
    "LightGRU": (LightGRU, {}),
    "LightGRU, relu": (LightGRU, {"activation": "relu"}),
    "LightGRU, linear": (LightGRU, {"activation": "linear"}),
    "LightGRU, hard": (LightGRU, {"activation": "hard_tanh", "recurrent_activation": "hard_sigmoid"}),
    "EventGRU": (EventGRU, {"reset_gate": False, **EVERY_UNIT_FIRES}),
    "DeltaGRU": (DeltaGRU, {"reset_gate": False}),
}
OPEN = 50.0  # sigmoid and hard_sigmoid of it are 1


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def weights():
    """Kernels and bias of z and h."""
    rng = np.random.default_rng(1)
    return [
        rng.normal(0, 0.6, shape).astype("float32") for shape in ((FEATURES, 2, UNITS), (UNITS, 2, UNITS), (2, UNITS))
    ]


def of_gru(kernel, recurrent_kernel, bias):
    """Those of a GRU whose reset gate is open."""
    kernels = [np.insert(w, 1, 0, axis=1).reshape(len(w), -1) for w in (kernel, recurrent_kernel)]
    biases = np.stack([np.insert(bias, 1, OPEN, axis=0), np.zeros((3, UNITS))]).reshape(2, -1)
    return [*kernels, biases.astype("float32")]


def without_reset(kernel, recurrent_kernel, bias):
    """The weights of z and h in those of a GRU."""
    kernels = [np.delete(w.reshape(len(w), 3, UNITS), 1, axis=1) for w in (kernel, recurrent_kernel)]
    return [*kernels, np.delete(bias.reshape(2, 3, UNITS)[0], 1, axis=0)]


def trained(layer, values, mask):
    """Outputs in training and the weights after a step of gradient descent."""
    layer.build((BATCH, TIME, FEATURES))
    layer.set_weights(values)
    inputs = keras.Input((TIME, FEATURES)), keras.Input((TIME,), dtype="bool")
    model = keras.Model(inputs, layer(inputs[0], mask=inputs[1]))
    eagerly = keras.backend.backend() != "jax"  # a graph would take longer to build than to run
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y_true, y_pred: ops.sum(y_true * y_pred), run_eagerly=eagerly)
    output = ops.convert_to_numpy(layer(sequences(), mask=mask, training=True))
    model.train_on_batch([sequences(), mask], sequences(2)[..., :1] * np.ones(UNITS, "float32"))
    return output, layer.get_weights()[:3]


@pytest.mark.backend(kind=[KINDS["LightGRU"], KINDS["LightGRU, relu"], KINDS["EventGRU"], KINDS["DeltaGRU"]])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_outputs_and_gradients_are_those_of_a_gru_with_an_open_reset_gate(kind):
    layer, arguments = kind[0](UNITS, **kind[1], return_sequences=True), dict(kind[1])
    assert layer.cell.recurrence.hand_written == (arguments.get("recurrent_activation") is None)
    gru = layers.GRU(
        UNITS,
        activation=arguments.get("activation", "tanh"),
        recurrent_activation=arguments.get("recurrent_activation", "sigmoid"),
        return_sequences=True,
    )
    mask = np.arange(TIME) < np.array([[6], [4], [2], [5]])
    mask[1, 1] = False
    own = [w.reshape(len(w), -1) for w in weights()[:2]] + [weights()[2].reshape(-1)]
    (output, after), (expected, expected_after) = trained(layer, own, mask), trained(gru, of_gru(*weights()), mask)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    for value, target, before in zip(after, without_reset(*expected_after), own, strict=True):
        np.testing.assert_allclose(value.reshape(-1), target.reshape(-1), rtol=1e-4, atol=1e-4)
        assert np.abs(value - before).max() > 0.01


def test_configuration_is_that_of_a_gru_but_for_the_reset():
    known = set(layers.GRU(UNITS).get_config()) - {"reset_after", "unroll"}
    assert set(LightGRU(UNITS).get_config()) == known | {"rank"}


@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}], ids=str)
def test_dropout_draws_a_mask_for_each_gate(rates):
    layer = LightGRU(UNITS, seed=3, **rates)
    trained, used = (ops.convert_to_numpy(layer(sequences(), training=training)) for training in (True, False))
    assert not np.allclose(trained, used)
    if "recurrent_dropout" in rates:
        assert len(layer.cell.recurrent_masks(np.zeros((BATCH, UNITS), "float32"), True)) == 2


@pytest.mark.parametrize(("kind", "arguments"), [(EventGRU, EVERY_UNIT_FIRES), (DeltaGRU, {})], ids=["event", "delta"])
def test_a_light_gru_becomes_an_event_or_a_delta_layer(kind, arguments):
    light = LightGRU(UNITS, return_sequences=True, bias_initializer="glorot_normal", name="light")
    expected = ops.convert_to_numpy(light(sequences()))
    layer = kind.from_gru(light, **arguments)
    assert layer.name == "light" and not layer.reset_gate
    np.testing.assert_allclose(ops.convert_to_numpy(layer(sequences())), expected, atol=1e-6)


def test_what_has_no_reset_gate_is_refused_by_name():
    gru = layers.GRU(UNITS)
    for kind, arguments in ((LightGRU, {}), (EventGRU, {"reset_gate": False}), (DeltaGRU, {"reset_gate": False})):
        with pytest.raises(
            ValueError, match=f"a {kind.__name__} without a reset gate cannot take the weights of a GRU"
        ):
            kind.from_gru(gru, **arguments)
    with pytest.raises(ValueError, match="Pass it to a layer that has events"):
        LightGRU(UNITS, activity_regularizer=EventPenalty())(sequences())
