"""Each activation, of the candidate and of the gates, in each recurrent layer, number format and engine."""

import keras
import numpy as np
import pytest
from zoo import ENGINES

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.recurrent import recurrent_layer
from keras_sparse_rnn.layers import DeltaGRU, DeltaLSTM, DeltaSimpleRNN, EventGRU
from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS, MOST_BITS, NUMBERS
from keras_sparse_rnn.runtime.native import NativeOp

STEPS, SAMPLES, INPUTS, UNITS = 8, 24, 4, 5
HELD = {"input_threshold": 0.05, "hidden_threshold": 0.01}
LAYERS = {
    "GRU": lambda **options: keras.layers.GRU(UNITS, **options),
    "GRU, reset before": lambda **options: keras.layers.GRU(UNITS, reset_after=False, **options),
    "LSTM": lambda **options: keras.layers.LSTM(UNITS, **options),
    "SimpleRNN": lambda recurrent_activation, **options: keras.layers.SimpleRNN(UNITS, **options),
    "EventGRU": lambda **options: EventGRU(UNITS, readout="cell", **options),
    "DeltaGRU": lambda **options: DeltaGRU(UNITS, **HELD, **options),
    "DeltaGRU, reset before": lambda **options: DeltaGRU(UNITS, reset_after=False, **HELD, **options),
    "DeltaLSTM": lambda **options: DeltaLSTM(UNITS, **HELD, **options),
    "DeltaSimpleRNN": lambda recurrent_activation, **options: DeltaSimpleRNN(UNITS, **HELD, **options),
}
# Each is once that of the candidate and once that of the gates.
PAIRS = {name: list(NUMBERS)[(number + 4) % len(NUMBERS)] for name, number in NUMBERS.items()}
QUICK = (("GRU", "int8"), ("LSTM", "int8x16"))
X = np.random.default_rng(0).normal(0, 1, (SAMPLES, STEPS, INPUTS)).astype(np.float32)


def _layer(kind, activation, **options):
    """A built layer, with weights that do not make states grow from step to step."""
    keras.utils.set_random_seed(NUMBERS[activation])
    layer = LAYERS[kind](
        activation=activation, recurrent_activation=PAIRS[activation], return_sequences=True, name=activation, **options
    )
    layer.build((None, STEPS, INPUTS))
    rng = np.random.default_rng(0)
    for variable in layer.weights:
        if "kernel" in variable.name:
            variable.assign(variable * 0.4)
        elif variable.name == "bias":
            variable.assign_add(rng.normal(0, 0.3, variable.shape))
    return layer


@pytest.mark.slow_but(kind=["GRU", "LSTM", "EventGRU", "DeltaGRU, reset before"])
@pytest.mark.parametrize("kind", LAYERS)
def test_float32_is_what_keras_does(kind):
    for activation in PAIRS:
        layer = _layer(kind, activation)
        expected = np.asarray(layer(X[:3]))
        op = recurrent_layer(layer).float32_op(4)
        inputs = op.SCHEMA.placed({"x": X[:3], **op.constants()})
        [ours] = NativeOp(op.SCHEMA.name, op.options.to_bytes(), inputs, [(expected.shape, np.float32)])(inputs)
        error = np.abs(ours - expected) / np.maximum(1, np.abs(expected))
        assert error.max() < 1e-5, (activation, error.max())


@pytest.mark.slow_but(weights=["int8"])
@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        pytest.param(kind, weights, marks=[] if (kind, weights) in QUICK else [pytest.mark.slow])
        for kind in LAYERS
        for weights in ("int8", "int8x16")
    ],
)
def test_integers_come_near_and_are_the_same_bits_in_every_engine(kind, weights):
    """In one model of a layer each; `convert` compares each step with Keras's."""
    x = keras.Input((STEPS, INPUTS), name="x")
    has_no_end = kind in ("LSTM", "DeltaLSTM", "DeltaSimpleRNN")
    names = [name for name in PAIRS if not (has_no_end and "exponential" in (name, PAIRS[name]))]
    model = keras.Model(x, [_layer(kind, name)(x) for name in names])
    expected = [np.asarray(y) for y in model(X)]
    converted = ksr.convert(model, X, weights=weights)
    ours, *others = (converted.predict(X, engine) for engine in ENGINES)
    for outputs in others:
        for ours_of_layer, outputs_of_layer, name in zip(ours, outputs, names, strict=True):
            np.testing.assert_array_equal(outputs_of_layer, ours_of_layer, name)
    errors = {
        name: float(np.abs(y - of_keras).mean() / of_keras.std())
        for name, y, of_keras in zip(names, ours, expected, strict=True)
    }
    assert max(errors.values()) < (0.03 if weights == "int8" else 0.02), errors
    assert all(layer.saturation == 0 for layer in converted.report.layers)


def test_saturation_is_counted():
    """Ranges of data that leave rare peaks out."""
    x = X.copy()
    x[0, 0] = 30
    model = keras.Sequential([keras.Input((STEPS, INPUTS)), _layer("SimpleRNN", "relu")])
    report = ksr.convert(model, x, percentile=99, max_relative_error=10).report
    states = np.asarray(model(x))
    assert 0 < report.layers[0].saturation <= np.mean(states > np.percentile(states, 99))
    assert "of the states on the representative data saturate" in str(report)


def test_states_beyond_all_integers_are_refused_by_name():
    model = keras.Sequential([keras.Input((STEPS, INPUTS)), _layer("SimpleRNN", "linear")])
    with pytest.raises(ValueError, match=rf"layer 'linear' has states up to .*hold them up to {2**MOST_BITS}"):
        ksr.convert(model, X * 1e6)


@pytest.mark.parametrize("activation", ALL_ACTIVATIONS, ids=lambda activation: activation.name)
@pytest.mark.parametrize(("more", "error"), [(0, 2**-6), (3, 0.006), (8, 0.006)])
def test_integers_of_a_function(activation, more, error):
    """Over all that 16 bits of state hold, against Keras's own; errors count in the range of the state beyond 1."""
    x = np.linspace(-12, 12, 3001)
    value = np.rint(x * 2 ** (7 + more)).astype(np.int64)
    expected = np.asarray(getattr(keras.activations, activation.name)((value / 2 ** (7 + more)).astype(np.float32)))
    for bits in (0, 1, 4, MOST_BITS):
        ours = activation.integer(value, more, bits) * 2.0 ** (bits - 15)
        wrong = np.abs(ours - np.clip(expected, -(2.0**bits), 2.0**bits))
        assert wrong.max() <= error * 2**bits / 2, (bits, wrong.max())
