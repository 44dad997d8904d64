"""DeltaGRU, and DeltaHold in front of recurrent layers, folded into the ops."""

import numpy as np
import pytest
from event_models import event_model
from keras.layers import GRU, Bidirectional, Dense
from zoo import biases_as_after_training, error_by_sample

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaGRU, DeltaHold


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


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([DeltaHold(0.1, name="lone"), Dense(2), GRU(3)], "'lone' .DeltaHold. can be converted in front of EventGRU"),
        ([GRU(3, return_sequences=True), DeltaHold(0.1, name="last")], "'last' .DeltaHold. can be converted in front"),
        ([DeltaHold(0.1, name="before"), GRU(3, go_backwards=True)], "'before' .* must both go forwards"),
        ([DeltaHold(0.1, go_backwards=True, name="before"), GRU(3)], "'before' .* must both go forwards"),
        ([DeltaHold(0.1, name="twice"), DeltaGRU(3)], "DeltaHold 'twice' .* out of the model"),
        ([DeltaHold(0.1, name="two"), DeltaHold(0.2), GRU(3)], "'two' .DeltaHold. can be converted in front"),
    ],
)
def test_what_cannot_be_folded_is_named(layers, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(event_model(layers), weights="float32")
