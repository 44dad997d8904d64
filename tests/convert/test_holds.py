"""DeltaGRU, and DeltaHold in front of recurrent layers, folded into the ops."""

import numpy as np
import pytest
from event_models import event_model
from keras.layers import GRU, Bidirectional, Dense, ReLU
from zoo import assert_follows_keras, biases_as_after_training, error_by_sample

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaDense, DeltaGRU, DeltaHold


def walks():
    """Sequences that change little from step to step."""
    changes = np.random.default_rng(0).normal(size=(12, 12, 7))
    return np.cumsum(0.4 * changes, axis=1, dtype=np.float32)


def test_thresholds_of_zero_are_the_plain_gru():
    x = walks()
    plain = event_model([GRU(16)])
    biases_as_after_training(plain)
    held, delta = event_model([DeltaHold(0.0), GRU(16)]), event_model([DeltaGRU(16)])
    held.set_weights(plain.get_weights())
    delta.set_weights(plain.get_weights())
    stored = []
    for model in (plain, held, delta):
        converted = ksr.convert(model, x, verify=False)
        # As int8: Keras computes the three in another order, and the scales differ in their last bits.
        stored.append(converted.engine("native").outputs[0].quantize(converted.predict(x, "native")))
    np.testing.assert_array_equal(stored[0], stored[1])
    np.testing.assert_array_equal(stored[0], stored[2])


def test_a_delta_gru_in_both_directions():
    model, x = event_model([Bidirectional(DeltaGRU(9, 0.4, [0.1] * 9, return_sequences=True)), Dense(2)]), walks()
    converted = ksr.convert(model, x, weights="float32")
    assert np.median(error_by_sample(converted.predict(x), np.asarray(model(x)))) <= 1e-5


@pytest.mark.parametrize("weights", ["float32", "int8", "int8x16"])
def test_dense_layers_that_hold_their_inputs(weights):
    """As a DeltaDense, and as a Dense behind a DeltaHold, which are one op; softmax stays apart."""
    x = walks()
    held = [DeltaHold(0.05), Dense(9, activation="tanh"), DeltaHold(0.02), Dense(4, activation="softmax")]
    delta = [DeltaDense(9, 0.05, activation="tanh"), DeltaDense(4, 0.02, activation="softmax")]
    models = [event_model([*layers, Dense(2)]) for layers in (held, delta)]
    for model in models:
        biases_as_after_training(model)
        model.set_weights(models[0].get_weights())
    converted = [ksr.convert(model, x, weights=weights) for model in models]
    for one in converted:
        assert [op.name for op in one.report.inspection.ops].count("KsrSimpleRnn") == 2
        assert_follows_keras(one, x, [models[0].predict(x[:6], verbose=0)], weights, limit=0.06)
    for engine in ("native", "litert"):
        np.testing.assert_allclose(
            converted[0].predict(x[:6], engine), converted[1].predict(x[:6], engine), rtol=0, atol=1e-6
        )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [DeltaHold(0.1, name="lone"), ReLU(), GRU(3)],
            "'lone' .DeltaHold. can be converted in front of Dense, EventGRU",
        ),
        ([DeltaDense(3, 0.1, return_state=True)], "has return_state=True; only False can be converted"),
        ([GRU(3, return_sequences=True), DeltaHold(0.1, name="last")], "'last' .DeltaHold. can be converted in front"),
        ([DeltaHold(0.1, name="before"), GRU(3, go_backwards=True)], "'before' .* must both run forwards"),
        ([DeltaHold(0.1, go_backwards=True, name="before"), GRU(3)], "'before' .* must both run forwards"),
        ([DeltaHold(0.1, name="twice"), DeltaGRU(3)], "remove the DeltaHold 'twice'"),
        ([DeltaHold(0.1, name="two"), DeltaHold(0.2), GRU(3)], "'two' .DeltaHold. can be converted in front"),
    ],
)
def test_what_cannot_be_folded_is_named(layers, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(event_model(layers), weights="float32")
