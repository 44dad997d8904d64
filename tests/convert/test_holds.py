"""DeltaGRU, and DeltaHold in front of recurrent layers, folded into the ops."""

import importlib.util

import keras
import numpy as np
import pytest
from event_models import event_model, prune
from keras.layers import GRU, LSTM, Bidirectional, Dense, SimpleRNN

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaGRU, DeltaHold, EventGRU
from keras_sparse_rnn.runtime.model import Model

ENGINES = ["reference", "native", "litert"] + (["tflm"] if importlib.util.find_spec("tflite_micro") else [])
STEPS = 12
LAYERS = {
    "DeltaGRU": lambda: [DeltaGRU(16, 0.5, 0.1, return_sequences=True)],
    "DeltaGRU, stacked": lambda: [
        DeltaGRU(16, 0.5, 0.1, return_sequences=True, trainable_threshold=True),
        DeltaGRU(8, 0.05, [0.05] * 8, return_sequences=True, use_bias=False),
    ],
    "GRU": lambda: [DeltaHold(0.5), GRU(16, return_sequences=True)],
    "GRU, reset before": lambda: [DeltaHold(0.5), GRU(16, return_sequences=True, reset_after=False)],
    "LSTM": lambda: [DeltaHold([0.1 * i for i in range(7)]), LSTM(16, return_sequences=True)],
    "SimpleRNN": lambda: [DeltaHold(0.5), SimpleRNN(16, return_sequences=True)],
    "EventGRU": lambda: [DeltaHold(0.5, trainable_threshold=True), EventGRU(16, return_sequences=True, readout="cell")],
    "EventGRU, trace": lambda: [DeltaHold(0.5), EventGRU(16, return_sequences=True, readout="trace")],
}
by_layers = pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)


def walks(samples=12, steps=STEPS, inputs=7):
    """Sequences that change little from step to step."""
    changes = np.random.default_rng(0).normal(size=(samples, steps, inputs))
    return np.cumsum(0.4 * changes, axis=1, dtype=np.float32)


def _model(layers, **arguments):
    model = event_model(layers, **arguments)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if variable.name == "bias":
            variable.assign_add(rng.normal(0, 0.5, variable.shape))
    return model


def _may_flip(model):
    return any(isinstance(layer, (DeltaGRU, EventGRU)) for layer in model.layers)


@by_layers
def test_float32_equals_keras(layers):
    model, x = _model(layers()), walks()
    converted = ksr.convert(model, x, weights="float32")
    assert not any("Delta" in op.name for op in Model(converted.data).operators)
    for name in ENGINES:
        error = np.abs(converted.predict(x, name) - model.predict(x, verbose=0)).reshape(len(x), -1).max(axis=1)
        assert (np.median(error) if _may_flip(model) else error.max()) <= 1e-5, name


@by_layers
def test_int8_is_the_same_in_every_engine_and_follows_keras(layers):
    model, x = _model(layers()), walks()
    prune(next(layer for layer in model.layers if isinstance(layer, keras.layers.RNN) and hasattr(layer, "units")))
    converted = ksr.convert(model, x)
    first, *others = [converted.predict(x, name) for name in ENGINES]
    for other in others:
        np.testing.assert_array_equal(first, other)
    assert np.abs(first - model.predict(x, verbose=0)).mean() <= 3 * converted.engine().outputs[0].scale
    layer = converted.report.layers[0]
    assert 0.1 < layer.input_rate < 0.9 and "of the inputs change" in str(converted.report)
    assert layer.event_agreement > 0.95 and layer.step_error <= 0.01


@by_layers
def test_chunked_equals_whole_in_every_engine(layers):
    model, x = _model(layers()), walks(samples=4)
    whole = ksr.convert(model, x, verify=False)
    streaming = ksr.convert(model, x, stateful=True)
    for name in ENGINES:
        engine = streaming.engine(name)
        streamed = []
        for sequence in x:  # after the first one from what the interpreter's own reset leaves
            engine.reset()
            streamed.append(np.concatenate([engine.step(sequence[t : t + 1]) for t in range(STEPS)]))
        quantize = whole.engine(name).outputs[0].quantize
        stored = [engine.outputs[0].quantize(np.stack(streamed)), quantize(whole.predict(x, name))]
        np.testing.assert_array_equal(*stored, err_msg=name)


def test_thresholds_of_zero_are_the_plain_gru():
    x = walks()
    plain = _model([GRU(16)])
    held, delta = _model([DeltaHold(0.0), GRU(16)]), _model([DeltaGRU(16)])
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
    model, x = _model([Bidirectional(DeltaGRU(9, 0.4, 0.1, return_sequences=True)), Dense(2)]), walks()
    converted = ksr.convert(model, x, weights="float32")
    error = np.abs(converted.predict(x) - model.predict(x, verbose=0)).reshape(len(x), -1).max(axis=1)
    assert np.median(error) <= 1e-5


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
        ksr.convert(_model(layers), weights="float32")
