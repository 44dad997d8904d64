"""Keras's own recurrent layers, held to what Keras itself predicts."""

import keras
import numpy as np
import pytest
from event_models import event_model, prune, sequences
from keras.layers import GRU, LSTM, Dense, SimpleRNN

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.runtime.model import Model

LAYERS = {
    "GRU": lambda units=9, **arguments: GRU(units, **arguments),
    "GRU, reset before": lambda units=9, **arguments: GRU(units, reset_after=False, **arguments),
    "LSTM": lambda units=9, **arguments: LSTM(units, **arguments),
    "SimpleRNN": lambda units=9, **arguments: SimpleRNN(units, **arguments),
}
MODELS = {
    "one layer": lambda layer: [layer()],
    "stacked": lambda layer: [layer(return_sequences=True), layer(6, return_sequences=True)],
    "no bias": lambda layer: [layer(use_bias=False), Dense(2)],
    "backwards": lambda layer: [layer(go_backwards=True, return_sequences=True), Dense(3, activation="softmax")],
    "dropout": lambda layer: [layer(dropout=0.3, recurrent_dropout=0.3), Dense(2)],
    "after and before an EventGRU": lambda layer: [
        layer(return_sequences=True),
        EventGRU(8, return_sequences=True, readout="cell"),
        layer(6),
    ],
}
by_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)


def _model(layers):
    """With biases that are not zero, as after training."""
    model = event_model(layers)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if variable.name == "bias":
            variable.assign_add(rng.normal(0, 0.5, variable.shape))
    return model


@by_layer
@pytest.mark.parametrize("layers", MODELS.values(), ids=MODELS)
def test_float32_equals_keras(layer, layers):
    model, x = _model(layers(layer)), sequences()
    outputs = ksr.convert(model, x, weights="float32", target="litert").predict(x)
    error = np.abs(outputs - model.predict(x, verbose=0)).reshape(len(x), -1).max(axis=1)
    # An EventGRU's state within rounding of its threshold may fire in one and not in the other.
    has_events = any(isinstance(layer, EventGRU) for layer in model.layers)
    assert (np.median(error) if has_events else error.max()) <= 1e-6


@by_layer
@pytest.mark.parametrize("layers", MODELS.values(), ids=MODELS)
def test_int8_follows_keras(layer, layers):
    model, x = _model(layers(layer)), sequences()
    converted = ksr.convert(model, x)
    error = np.abs(converted.predict(x) - model.predict(x, verbose=0))
    # All of a SimpleRNN's state is int8, rounded at each step.
    steps = 1.25 if any(isinstance(layer, SimpleRNN) for layer in model.layers) else 1
    assert error.mean() <= steps * converted.engine().outputs[0].scale  # of the output's 255 steps
    limit = 0.01 if isinstance(model.layers[0], SimpleRNN) else 0.005
    assert max(layer.step_error for layer in converted.report.layers) <= limit


@by_layer
def test_pruned_layers_are_stored_in_blocks(layer):
    model, x = _model([layer(32, return_sequences=True, name="first"), layer(16)]), sequences()
    prune(model.get_layer("first"))
    for weights, limit in (("float32", 1e-6), ("int8", 0.01)):
        converted = ksr.convert(model, x, weights=weights)
        assert np.abs(converted.predict(x) - model.predict(x, verbose=0)).mean() <= limit
        first, second = converted.report.layers
        assert set(first.storage) == {"blocks"} and set(second.storage) == {"dense"}
        assert first.bytes < 0.25 * first.dense_bytes and second.bytes == second.dense_bytes


@by_layer
def test_engines_agree(layer):
    model, x = _model([layer(12, return_sequences=True), layer(7)]), sequences()
    converted = ksr.convert(model, x)
    outputs = [converted.predict(x, engine=name) for name in ("reference", "native", "litert")]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])


@by_layer
def test_error_does_not_grow_along_a_long_sequence(layer):
    model, x = _model([layer(16, return_sequences=True)]), sequences(samples=4, steps=1000)
    model = keras.Sequential([keras.Input((1000, 7)), *model.layers])
    converted = ksr.convert(model, x)
    error = np.abs(converted.predict(x) - model.predict(x, verbose=0))
    assert error.mean() <= converted.engine().outputs[0].scale
    assert error[:, -100:].mean() <= 1.5 * error[:, :100].mean()


def test_layers_become_ops_and_only_events_have_a_rate():
    layers = [layer(8, return_sequences=True) for layer in (EventGRU, GRU, LSTM)]
    converted = ksr.convert(_model(layers), sequences())
    assert [op.name for op in Model(converted.data).operators] == ["KsrEventGru", "KsrGru", "KsrLstm"]
    events, *others = converted.report.layers
    assert 0 < events.event_rate < 1 and events.event_agreement > 0.97
    assert all(layer.event_rate is None and layer.event_agreement is None for layer in others)
    assert str(converted.report).count("events") == 2  # both lines of the EventGRU


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
            ksr.convert(_model([GRU(9, name="wrong")]), sequences(), weights=weights)
