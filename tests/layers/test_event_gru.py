"""The event GRU as a Keras layer."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse_rnn.initializers import Beta
from keras_sparse_rnn.layers import DeltaGRU, EventGRU, EventGRUCell
from keras_sparse_rnn.regularizers import EventPenalty

BATCH, TIME, FEATURES, UNITS = 4, 7, 3, 5
JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
EAGERLY = keras.backend.backend() != "jax"  # a graph would take longer to build than to run
# JAX compiles by itself; torch.compile needs a C++ compiler and minutes.
tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="XLA is an option of TensorFlow only"
)


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def assert_close(a, b, atol=1e-6):
    np.testing.assert_allclose(numpy(a), numpy(b), atol=atol)


def test_events_are_sparse_and_exceed_their_threshold():
    layer = EventGRU(64, return_sequences=True, threshold_mode="clipped", seed=1)
    y = numpy(layer(sequences()))
    theta = np.broadcast_to(numpy(layer.cell.threshold), y.shape)
    assert 0 < np.mean(y != 0) < 0.5
    assert np.all(y[y != 0] > theta[y != 0])


@pytest.mark.backend_slow
def test_stateful_layer_trains_and_carries_its_state():
    model = keras.Sequential([keras.Input((TIME, FEATURES), batch_size=BATCH), EventGRU(UNITS, stateful=True)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=EAGERLY)
    losses = []
    for _ in range(2):
        for _ in range(2):
            model.reset_metrics()
            losses.append(model.train_on_batch(sequences(), np.ones((BATCH, UNITS))))
        model.layers[0].reset_state()
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[:2], losses[2:], rtol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("xla", [False, pytest.param(True, marks=[tensorflow_only, pytest.mark.slow])])
def test_trains_under_fit_with_any_length(xla):
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            keras.layers.Masking(),
            EventGRU(16, return_sequences=True, activity_regularizer=EventPenalty(0.1)),
            EventGRU(16, readout="cell", return_sequences=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=xla or JIT)
    model.optimizer.build(model.trainable_variables)  # or TensorFlow traces twice
    losses = []
    for step in range(20):
        x = sequences()[:, : TIME - step % 2]
        losses.append(model.train_on_batch(x, x[:, 0, :1]))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.backend_slow(policy=["mixed_float16"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_trains_in_half_precision(policy):
    keras.utils.set_random_seed(0)
    penalty = EventPenalty(0.1)
    events = EventGRU(FEATURES, readout="trace", return_sequences=True, activity_regularizer=penalty, dtype=policy)
    changes = DeltaGRU(UNITS, 0.1, 0.1, activity_regularizer=penalty, dtype=policy)
    model = keras.Sequential([keras.Input((TIME, FEATURES)), events, changes])
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=EAGERLY)
    history = model.fit(sequences(), np.ones((BATCH, UNITS)), epochs=5, verbose=0).history["loss"]
    assert np.all(np.isfinite(history)) and history[-1] < history[0]


def test_config_round_trip_keeps_every_argument():
    arguments = {
        "units": 6,
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid",
        "use_bias": False,
        "kernel_initializer": keras.initializers.HeNormal(seed=1),
        "recurrent_initializer": keras.initializers.GlorotNormal(seed=2),
        "bias_initializer": keras.initializers.Ones(),
        "threshold_mode": "clipped",
        "threshold_initializer": Beta(0.1, seed=3),
        "trainable_threshold": False,
        "surrogate_height": 0.3,
        "surrogate_width": 0.4,
        "reset": False,
        "readout": "trace",
        "trace_decay": 0.8,
        "kernel_regularizer": keras.regularizers.L2(0.1),
        "recurrent_regularizer": keras.regularizers.L2(0.2),
        "bias_regularizer": keras.regularizers.L2(0.3),
        "kernel_constraint": keras.constraints.MaxNorm(1),
        "recurrent_constraint": keras.constraints.MaxNorm(2),
        "bias_constraint": keras.constraints.MaxNorm(3),
        "seed": 4,
    }
    of_layer = {
        "recurrent_dropconnect": 0.3,
        "carry_cell": False,
        "activity_regularizer": EventPenalty(0.5, on="rate", target=0.1),
        "return_sequences": True,
        "return_state": True,
        "go_backwards": True,
        "stateful": True,
        "zero_output_for_mask": True,
        "name": "events",
        "dtype": "mixed_float16",
        "trainable": False,
    }
    for layer in (EventGRUCell(**arguments), EventGRU(**arguments, **of_layer)):
        config = layer.get_config()
        assert set(arguments) <= set(config)
        loaded = type(layer).from_config(json.loads(json.dumps(config)))
        assert loaded.get_config() == config
        for name, value in arguments.items():
            if isinstance(value, (bool, int, float)):
                assert getattr(loaded, name) == value
    assert set(of_layer) <= set(config)


def test_thresholds_learn_and_clipped_ones_stay_in_the_unit_interval():
    for mode in ("sigmoid", "clipped"):
        for trainable in (True, False):
            layer = EventGRU(UNITS, threshold_mode=mode, trainable_threshold=trainable)
            model = keras.Sequential([keras.Input((TIME, FEATURES)), layer])
            model.compile(keras.optimizers.SGD(30.0), "mse", run_eagerly=EAGERLY)
            before = numpy(layer.cell.threshold).copy()
            model.fit(sequences(), -np.ones((BATCH, UNITS)), epochs=2, verbose=0)
            after = numpy(layer.cell.threshold)
            assert np.all((after >= 0) & (after <= 1))
            assert np.array_equal(before, after) == (not trainable)


@pytest.mark.backend
def test_dropconnect_draws_one_matrix_for_all_steps():
    plain, dropped = EventGRU(UNITS, seed=1), EventGRU(UNITS, seed=1, recurrent_dropconnect=0.4)
    for layer in (plain, dropped):
        layer.build((None, None, FEATURES))
    kernel, recurrent_kernel, *rest = plain.get_weights()
    dropped.set_weights([kernel, recurrent_kernel, *rest])
    assert_close(dropped(sequences()), plain(sequences()))
    seed = keras.random.SeedGenerator(1)
    outputs = []
    for _ in range(2):
        outputs.append(numpy(dropped(sequences(), training=True)))
        drawn = numpy(keras.random.dropout(ops.convert_to_tensor(recurrent_kernel), 0.4, seed=seed))
        assert 0 < np.mean(drawn == 0) < 1
        plain.set_weights([kernel, drawn, *rest])
        assert_close(outputs[-1], plain(sequences()))
    assert np.any(outputs[0] != outputs[1])


@pytest.mark.backend
def test_without_carried_cell_only_events_pass_from_batch_to_batch():
    layer = EventGRU(UNITS, return_state=True, stateful=True, carry_cell=False)
    _, y, c = (numpy(value) for value in layer(sequences()))
    assert np.any(y != 0) and np.any(c != 0)
    carried = EventGRU(UNITS)
    carried.build((None, None, FEATURES))
    carried.set_weights(layer.get_weights())
    expected = carried(sequences(1), initial_state=[y, np.zeros_like(c)])
    assert_close(layer(sequences(1))[0], expected)


def test_other_activations_and_no_bias():
    x = sequences()
    arguments = {"activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": False}
    gru = keras.layers.GRU(UNITS, **arguments)
    expected = gru(x)
    never_below = keras.initializers.Constant(-2.0)
    layer = EventGRU(UNITS, threshold_mode="clipped", threshold_initializer=never_below, reset=False, **arguments)
    layer.build(x.shape)
    layer.set_weights([*gru.get_weights(), layer.get_weights()[-1]])
    assert_close(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "units=0"),
        ({"units": 2.5}, "units=2.5"),
        ({"threshold_mode": "tanh"}, "'sigmoid', 'clipped'"),
        ({"surrogate_height": -1}, "surrogate_height"),
        ({"surrogate_width": 0}, "surrogate_width"),
        ({"readout": "y"}, "'event', 'cell', 'trace'"),
        ({"trace_decay": 1.0}, "trace_decay"),
        ({"unroll": True}, "unroll"),
        ({"recurrent_dropconnect": -0.1}, "recurrent_dropconnect=-0.1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        EventGRU(**{"units": UNITS, **arguments})


def test_wrong_number_of_initial_states_is_named():
    with pytest.raises(ValueError, match="initial_state"):
        EventGRU(UNITS)(sequences(), initial_state=[np.zeros((BATCH, UNITS), "float32")])
