"""Keras's own recurrent layers, held to what Keras itself predicts."""

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras.layers import GRU, LSTM
from zoo import LAYERS, biases_as_after_training

import keras_sparse_rnn as ksr


@pytest.mark.parametrize("kind", ["GRU", "GRU, reset before", "LSTM", "SimpleRNN"])
def test_error_does_not_grow_along_a_long_sequence(kind):
    model, x = event_model([LAYERS[kind](16, return_sequences=True)]), sequences(samples=4, steps=1000)
    biases_as_after_training(model)
    model = keras.Sequential([keras.Input((1000, 7)), *model.layers])
    converted = ksr.convert(model, x)
    error = np.abs(converted.predict(x) - model.predict(x, verbose=0))
    assert error.mean() <= converted.engine().outputs[0].scale
    assert error[:, -100:].mean() <= 1.5 * error[:, :100].mean()


def _remembering(**biases):
    """An LSTM whose cells add up their inputs and forget little."""
    model = event_model([LSTM(8, return_sequences=True, name="memory")], steps=200)
    kernel, recurrent_kernel, bias = model.get_weights()
    for gate, value in biases.items():
        bias.reshape(4, 8)["ifco".index(gate)] = value
    model.set_weights([kernel, recurrent_kernel, bias])
    return model, np.abs(sequences(steps=200))


@pytest.mark.parametrize("forget_bias", [2, 4, 8])
def test_large_cell_states(forget_bias):
    model, x = _remembering(f=forget_bias)
    converted = ksr.convert(model, x)
    error = np.abs(converted.predict(x) - model.predict(x, verbose=0))
    assert error.mean() <= converted.engine().outputs[0].scale


def test_cell_states_beyond_the_range_of_int8_are_refused():
    model, x = _remembering(i=9, f=9, c=9)
    with pytest.raises(ValueError, match="'memory' has cell states up to .* hold them up to 128"):
        ksr.convert(model, x)
    converted = ksr.convert(model, x, weights="float32")
    np.testing.assert_allclose(converted.predict(x), model.predict(x, verbose=0), atol=1e-5)


def test_verification_finds_a_wrong_gate_order(monkeypatch):
    from dataclasses import replace

    from keras_sparse_rnn import VerificationError
    from keras_sparse_rnn.convert.recurrent.gru import GRUConverter

    def swapped(self, block):
        op = original(self, block)
        return replace(op, kernel=op.kernel[:, [1, 0, 2]])

    original = GRUConverter.float32_op
    monkeypatch.setattr(GRUConverter, "float32_op", swapped)
    for weights in ("float32", "int8"):
        with pytest.raises(VerificationError, match="'wrong'.*Keras"):
            ksr.convert(event_model([GRU(9, name="wrong")]), sequences(), weights=weights)
