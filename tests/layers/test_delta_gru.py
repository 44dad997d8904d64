"""The delta GRU: Keras's GRU at threshold 0, its equations in NumPy else, and finite differences of these."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse_rnn.layers import DeltaGRU, DeltaHold
from keras_sparse_rnn.regularizers import EventPenalty
from keras_sparse_rnn.sparsity import find_kernels

BATCH, TIME, FEATURES, UNITS = 4, 9, 3, 5
THRESHOLDS = {"input_threshold": 0.5, "hidden_threshold": 0.1}
# JAX compiles by itself; torch.compile needs a C++ compiler and minutes.
tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="an option of TensorFlow")
EAGERLY = keras.backend.backend() != "jax"  # a graph would take longer to build than to run
JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def masks():
    mask = np.ones((BATCH, TIME), bool)
    mask[0, :2] = mask[1, 3:5] = mask[2, 6:] = False
    return mask


def assert_close(a, b, atol=1e-5):
    np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=atol)


def other_tanh(x):
    """tanh by another name: the layer knows the gradient of keras.activations.tanh only."""
    return ops.tanh(x)


@pytest.mark.backend_slow(masked=[True], go_backwards=[True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_threshold_zero_is_keras_gru(masked, go_backwards):
    mask = masks() if masked else None
    arguments = {"return_sequences": True, "return_state": True, "go_backwards": go_backwards}
    gru = keras.layers.GRU(UNITS, bias_initializer="glorot_uniform", **arguments)
    expected, last = gru(sequences(), mask=mask)
    layer = DeltaGRU(UNITS, **arguments)
    layer.build((None, None, FEATURES))
    layer.set_weights(gru.get_weights())
    output, h, _, held_inputs = layer(sequences(), mask=mask)
    assert_close(output, expected)
    assert_close(h, last)
    assert held_inputs.shape == (BATCH, FEATURES)


def test_training_at_threshold_zero_is_that_of_keras_gru():
    layers = [kind(UNITS, return_sequences=True) for kind in (keras.layers.GRU, DeltaGRU)]
    models = [keras.Sequential([keras.Input((TIME, FEATURES)), layer]) for layer in layers]
    models[1].set_weights(models[0].get_weights())
    results = []
    for model in models:
        model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=EAGERLY)
        model.fit(sequences(), np.ones((BATCH, TIME, UNITS)), epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def forward(weights, x, mask, input_threshold, hidden_threshold):
    """h of each step (time, batch, units) for x (time, batch, features), by the equations."""
    kernel, recurrent_kernel, bias = weights
    h, held = np.zeros((2, x.shape[1], UNITS))
    held_x, outputs = np.zeros(x.shape[1:]), []
    for x_t, valid in zip(x, mask, strict=True):
        new_x = np.where(abs(x_t - held_x) > input_threshold, x_t, held_x)
        new_held = np.where(abs(h - held) > hidden_threshold, h, held)
        a_z, a_r, a_h = np.split(new_x @ kernel + bias[0], 3, axis=-1)
        q_z, q_r, q_h = np.split(new_held @ recurrent_kernel + bias[1], 3, axis=-1)
        z, r = 1 / (1 + np.exp(-a_z - q_z)), 1 / (1 + np.exp(-a_r - q_r))
        new_h = z * h + (1 - z) * np.tanh(a_h + r * q_h)
        h, held, held_x = (np.where(valid, n, o) for n, o in ((new_h, h), (new_held, held), (new_x, held_x)))
        outputs.append(h)
    return np.array(outputs)


@pytest.mark.backend(masked=[True])
@pytest.mark.parametrize("masked", [False, True])
def test_output_and_exact_gradient_are_those_of_the_equations(masked):
    mask = masks() if masked else None
    keras.utils.set_random_seed(0)
    layer = DeltaGRU(UNITS, **THRESHOLDS, return_sequences=True, bias_initializer="glorot_uniform")
    sequence, valid = keras.Input((TIME, FEATURES)), keras.Input((TIME,), dtype="bool")
    identity = keras.layers.Dense(FEATURES, use_bias=False, kernel_initializer="identity")
    if mask is None:
        model = keras.Model([sequence], layer(identity(sequence)))
    else:
        model = keras.Model([sequence, valid], layer(identity(sequence), mask=valid))
    weights = [w.astype("float64") for w in layer.get_weights()]
    x = sequences()
    inputs, mask = ([x], np.ones((BATCH, TIME), bool)) if mask is None else ([x, mask], mask)
    upstream = np.random.default_rng(1).normal(size=(BATCH, TIME, UNITS)).astype("float32")

    def outputs():
        moved = x.astype("float64") @ matrix
        return forward(weights, moved.transpose(1, 0, 2), mask.T[..., None], *THRESHOLDS.values()).transpose(1, 0, 2)

    matrix = np.eye(FEATURES)
    assert_close(model(inputs), outputs())
    loss = lambda y_true, y_pred: ops.sum(y_true * y_pred)  # noqa: E731
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=EAGERLY)
    before = model.get_weights()
    model.train_on_batch(inputs, upstream)
    grads = [b - a for b, a in zip(before, model.get_weights(), strict=True)]
    rng = np.random.default_rng(2)
    for values, grad in zip([matrix, *weights], grads, strict=True):
        for index in rng.choice(values.size, min(9, values.size), replace=False):
            index = np.unravel_index(index, values.shape)
            saved, losses = values[index], []
            for shift in (1e-6, -1e-6):
                values[index] = saved + shift
                losses.append(np.sum(outputs() * upstream))
            values[index] = saved
            assert grad[index] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-4, abs=1e-4)


def gradients(activation, masked=False, xla=False, batches=1, **arguments):
    """Gradients in all weights and in the input, and the loss, of one step after `batches` - 1 others."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    arguments = {**THRESHOLDS, "bias_initializer": "glorot_uniform", **arguments}
    layer = DeltaGRU(UNITS, activation=activation, **arguments)
    assert layer.cell.recurrence.hand_written == (activation == "tanh")
    sequence, valid = keras.Input((TIME, FEATURES), BATCH), keras.Input((TIME,), BATCH, dtype="bool")
    output = layer(keras.layers.Dense(FEATURES)(sequence), mask=valid if masked else None)
    model = keras.Model([sequence, valid][: 1 + masked], output)
    upstream = rng.normal(size=model.output_shape).astype("float32")
    model.compile(
        keras.optimizers.SGD(1.0),
        loss=lambda y_true, y_pred: ops.sum(y_true * y_pred),
        jit_compile=xla or "auto",
        run_eagerly=EAGERLY and not xla,
    )
    for _ in range(batches):
        before = model.get_weights()
        loss = model.train_on_batch([sequences(), masks()][: 1 + masked], upstream)
        grads = [b - a for b, a in zip(before, model.get_weights(), strict=True)]
        model.set_weights(before)
    return [*grads, np.array(loss)]


CASES = [
    {"masked": True, "trainable_threshold": True},
    {"return_sequences": True},
    {"masked": True, "return_sequences": True, "gradient": "straight_through", "use_bias": False},
    {"masked": True, "trainable_threshold": True, "go_backwards": True},
    {"masked": True, "trainable_threshold": True, "activity_regularizer": EventPenalty(on="rate", target=0.1)},
    {"return_sequences": True, "trainable_threshold": True, "activity_regularizer": EventPenalty()},
    {"stateful": True, "batches": 3, "trainable_threshold": True, "gradient": "straight_through"},
    {"masked": True, "stateful": True, "batches": 3, "zero_output_for_mask": True},
]


@pytest.mark.backend(arguments=CASES[:1])
@pytest.mark.backend_slow(arguments=[CASES[2], CASES[6]])
@pytest.mark.parametrize("arguments", CASES, ids="-".join)
def test_gradient_by_hand_is_the_automatic_one(arguments):
    _check_gradients(arguments)


@pytest.mark.slow
@tensorflow_only
@pytest.mark.parametrize(
    "arguments",
    [CASES[0], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[1:])],
    ids="-".join,
)
def test_gradient_by_hand_is_the_automatic_one_compiled_by_xla(arguments):
    _check_gradients({**arguments, "xla": True})


def _check_gradients(arguments):
    by_hand, automatic = gradients("tanh", **arguments), gradients(other_tanh, **arguments)
    assert any(np.any(grad != 0) for grad in by_hand)
    for a, b in zip(by_hand, automatic, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_without_hidden_threshold_it_is_a_gru_after_a_hold():
    layer, gru = DeltaGRU(UNITS, [0.3, 0.5, 0.9]), keras.layers.GRU(UNITS)
    layer.build((None, None, FEATURES))
    gru.build((None, None, FEATURES))
    gru.set_weights(layer.get_weights())
    assert_close(layer(sequences()), gru(DeltaHold([0.3, 0.5, 0.9])(sequences())))


def test_initial_state_must_be_whole():
    with pytest.raises(ValueError, match="initial_state.*held x"):
        DeltaGRU(UNITS)(sequences(), initial_state=[np.zeros((BATCH, UNITS), "float32")])


def test_trains_under_fit_with_any_length():
    keras.utils.set_random_seed(0)
    first = DeltaGRU(16, 0.2, 0.1, return_sequences=True, trainable_threshold=True)
    layers = [keras.Input((None, FEATURES)), keras.layers.Masking(), first, DeltaGRU(16, 0.05, 0.1)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=JIT)
    model.optimizer.build(model.trainable_variables)  # or TensorFlow traces twice
    losses = []
    for step in range(20):
        x = sequences()[:, step % 2 :]
        losses.append(model.train_on_batch(x, x[:, -1, :1]))
    assert losses[-1] < 0.5 * losses[0]


def test_penalty_on_the_rate_raises_trained_thresholds():
    penalty = EventPenalty(1.0, on="rate")
    layer = DeltaGRU(UNITS, **THRESHOLDS, trainable_threshold=True, activity_regularizer=penalty)
    model = keras.Sequential([keras.Input((TIME, FEATURES)), layer])
    model.compile(keras.optimizers.SGD(0.1), lambda y_true, y_pred: 0 * ops.sum(y_pred), jit_compile=JIT)
    before = model.evaluate(sequences(), np.zeros((BATCH, UNITS)), verbose=0)
    model.fit(sequences(), np.zeros((BATCH, UNITS)), epochs=20, verbose=0)
    assert model.evaluate(sequences(), np.zeros((BATCH, UNITS)), verbose=0) < 0.7 * before
    for threshold, start in ((layer.input_threshold, 0.5), (layer.hidden_threshold, 0.1)):
        assert np.mean(ops.convert_to_numpy(threshold)) > start


def test_trained_thresholds_stay_at_zero_or_more():
    keras.utils.set_random_seed(0)
    layer = DeltaGRU(UNITS, 0.5, 0.01, trainable_threshold=True)
    model = keras.Sequential([keras.Input((TIME, FEATURES)), layer])
    model.compile(keras.optimizers.SGD(30.0), "mse", run_eagerly=EAGERLY)
    model.fit(sequences(), np.ones((BATCH, UNITS)), epochs=5, verbose=0)
    thresholds = [ops.convert_to_numpy(t) for t in (layer.input_threshold, layer.hidden_threshold)]
    assert all(np.all(t >= 0) for t in thresholds)
    assert any(np.any(t == 0) for t in thresholds)


def test_config_round_trip_keeps_every_argument():
    thresholds = {"input_threshold": [0.1] * FEATURES, "hidden_threshold": [0.2] * UNITS}
    arguments = {**thresholds, "gradient": "straight_through", "trainable_threshold": True, "surrogate_width": 0.4}
    layer = DeltaGRU(UNITS, **arguments, activity_regularizer=EventPenalty(3.0))
    for part in (layer, layer.cell):
        config = part.get_config()
        loaded = type(part).from_config(json.loads(json.dumps(config)))
        assert loaded.get_config() == config
        assert {name: config[name] for name in arguments} == arguments
        loaded.build((BATCH, TIME, FEATURES))
    layer = DeltaGRU.from_config(layer.get_config())
    assert layer.event_penalty.strength == 3.0
    layer.build((BATCH, TIME, FEATURES))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.hidden_threshold), thresholds["hidden_threshold"])


def test_its_kernels_can_be_pruned():
    model = keras.Sequential([keras.Input((TIME, FEATURES)), DeltaGRU(UNITS, trainable_threshold=True)])
    kernels, _ = find_kernels(model)
    assert [(kernel.variable.name, kernel.gates) for kernel in kernels] == [("kernel", 3), ("recurrent_kernel", 3)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "units=0"),
        ({"input_threshold": -1}, "threshold.*-1"),
        ({"hidden_threshold": [0.1, 0.2]}, "2 values for 5 channels"),
        ({"gradient": "none"}, "'exact', 'straight_through'"),
        ({"unroll": True}, "unroll"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeltaGRU(**{"units": UNITS, **arguments})(sequences())
