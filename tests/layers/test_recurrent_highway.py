"""The recurrent highway network against its equations in NumPy, and as a Keras layer."""

import itertools
import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse_rnn.callbacks import MagnitudePruning
from keras_sparse_rnn.layers import RecurrentHighway, RecurrentHighwayCell
from keras_sparse_rnn.schedules import ConstantSparsity
from keras_sparse_rnn.sparsity import find_kernels

BATCH, TIME, FEATURES, UNITS = 3, 5, 2, 4
EAGERLY = keras.backend.backend() != "jax"  # a graph would take longer to build than to run
JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without


def sequences(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape or (BATCH, TIME, FEATURES)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def assert_close(a, b, atol=1e-6):
    np.testing.assert_allclose(numpy(a), numpy(b), atol=atol)


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def reference(x, s, W, R, b, coupled):
    """States (batch, time, units). Shapes: W (features, gates, units), R (depth, units, gates, units), b likewise."""
    states = []
    for x_t in x.swapaxes(0, 1):
        for n, (R_n, b_n) in enumerate(zip(R, b, strict=True)):
            a = np.tensordot(s, R_n, 1) + b_n + (np.tensordot(x_t, W, 1) if n == 0 else 0)
            h, t = np.tanh(a[:, 0]), sigmoid(a[:, 1])
            s = h * t + s * (1 - t if coupled else sigmoid(a[:, 2]))
        states.append(s)
    return np.stack(states, axis=1)


def layer_and_reference(depth, coupled, **arguments):
    """A layer with random weights, and its function of (x, s_0, kernel, recurrent_kernel, bias) in NumPy."""
    layer = RecurrentHighway(UNITS, depth, coupled, return_sequences=True, **arguments)
    layer.build((None, None, FEATURES))
    layer.set_weights([sequences(*w.shape, seed=n) for n, w in enumerate(layer.weights)])
    gates = 2 if coupled else 3

    def function(x, s, W, R, b):
        shapes = (FEATURES, gates, UNITS), (depth, UNITS, gates, UNITS), (depth, gates, UNITS)
        return reference(x, s, *(w.reshape(shape) for w, shape in zip((W, R, b), shapes, strict=True)), coupled)

    return layer, function


def test_depth_1_by_hand():
    cell = RecurrentHighwayCell(1, depth=1)
    cell.build((1, 1))
    cell.set_weights([np.array([values]) for values in ([0.5, -1.0], [2.0, 0.25], [0.1, 0.3])])
    output, states = cell(np.array([[1.0]], "float32"), [np.array([[0.4]], "float32")])
    h, t = np.tanh(0.5 + 0.8 + 0.1), sigmoid(-1.0 + 0.1 + 0.3)
    assert_close(output, [[h * t + 0.4 * (1 - t)]])
    assert_close(states[0], output)


def test_gates_that_are_shut_carry_the_state():
    cell = RecurrentHighwayCell(UNITS, depth=10, transform_bias=-40.0)
    s = sequences(BATCH, UNITS)
    assert_close(cell(sequences(BATCH, FEATURES), [s])[0], s)


@pytest.mark.backend(coupled=[False], depth=[4])
@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("depth", [1, 4])
def test_output_and_state_are_those_of_the_equations(depth, coupled):
    layer, function = layer_and_reference(depth, coupled, return_state=True)
    x, s = sequences(), sequences(BATCH, UNITS, seed=9)
    expected = function(*(v.astype("float64") for v in (x, s, *layer.get_weights())))
    output, state = layer(x, initial_state=[s])
    assert_close(output, expected, atol=1e-5)
    assert_close(state, expected[:, -1], atol=1e-5)


@pytest.mark.backend(coupled=[False])
@pytest.mark.parametrize("coupled", [True, False])
def test_gradients_are_finite_differences_of_the_equations(coupled):
    layer, function = layer_and_reference(3, coupled)
    x, upstream = sequences(), sequences(BATCH, TIME, UNITS, seed=8)
    s = np.zeros((BATCH, UNITS))
    before = [w.astype("float64") for w in layer.get_weights()]
    # One step of gradient descent shows the gradients on every backend, by the path that every user takes.
    model = keras.Sequential([keras.Input((TIME, FEATURES)), layer])
    loss = lambda y_true, y_pred: ops.sum(y_true * y_pred)  # noqa: E731
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=EAGERLY)
    model.train_on_batch(x, upstream)
    for n, (weight, after) in enumerate(zip(before, layer.get_weights(), strict=True)):
        for index in np.ndindex(weight.shape):
            sums = []
            for shift in (1e-6, -1e-6):
                moved = [w.copy() for w in before]
                moved[n][index] += shift
                sums.append((function(x.astype("float64"), s, *moved) * upstream).sum())
            gradient = (sums[0] - sums[1]) / 2e-6
            np.testing.assert_allclose(weight[index] - after[index], gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("coupled", [True, False])
def test_initial_weights(coupled):
    cell = RecurrentHighwayCell(
        UNITS, 3, coupled, transform_bias=-1.5, recurrent_initializer=keras.initializers.Orthogonal(seed=1)
    )
    cell.build((None, FEATURES))
    gates = numpy(cell.bias).reshape(3, len(cell.gates), UNITS)
    for gate, start in enumerate([0, -1.5, 1.5][: len(cell.gates)]):
        assert np.all(gates[:, gate] == start)
    parts = numpy(cell.recurrent_kernel).reshape(3, UNITS, -1)
    for part in parts:
        assert_close(part @ part.T, np.eye(UNITS), atol=1e-5)
    assert np.abs(parts[0] - parts[1]).max() > 0.1 and np.abs(parts[1] - parts[2]).max() > 0.1
    again = RecurrentHighwayCell.from_config(cell.get_config())
    again.build((None, FEATURES))
    assert_close(again.recurrent_kernel, cell.recurrent_kernel, atol=0)


def test_dropout_is_the_same_at_all_steps_and_micro_layers():
    """A unit that is left out is as one whose row of each R_n is zero; what the others give is scaled."""
    layer = RecurrentHighway(UNITS, depth=2, recurrent_dropout=0.5, seed=1)
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    expected = RecurrentHighway(UNITS, depth=2)
    for part in (layer, expected):
        part.build(x.shape)
    expected.set_weights(layer.get_weights())
    np.testing.assert_array_equal(numpy(layer(x)), numpy(expected(x)))
    again = RecurrentHighway(UNITS, depth=2, recurrent_dropout=0.5, seed=1)
    again.build(x.shape)
    masks = numpy(again.draw(3))
    assert set(np.unique(masks)) == {0.0, 2.0}
    outputs = numpy(layer(x, training=True))
    kernel, recurrent, bias = layer.get_weights()
    for i, mask in enumerate(masks):
        expected.set_weights([kernel, recurrent * np.tile(mask, 2)[:, None], bias])
        np.testing.assert_allclose(outputs[i], numpy(expected(x[i : i + 1]))[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="recurrent_dropout=-0.1"):
        RecurrentHighway(UNITS, recurrent_dropout=-0.1)


def test_config_round_trip_keeps_every_argument():
    arguments = {
        "units": 6,
        "depth": 2,
        "coupled": False,
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid",
        "use_bias": False,
        "transform_bias": -4.0,
        "kernel_initializer": keras.initializers.HeNormal(seed=1),
        "recurrent_initializer": keras.initializers.GlorotNormal(seed=2),
        "bias_initializer": keras.initializers.Ones(),
        "kernel_regularizer": keras.regularizers.L2(0.1),
        "recurrent_regularizer": keras.regularizers.L2(0.2),
        "bias_regularizer": keras.regularizers.L2(0.3),
        "kernel_constraint": keras.constraints.MaxNorm(1),
        "recurrent_constraint": keras.constraints.MaxNorm(2),
        "bias_constraint": keras.constraints.MaxNorm(3),
    }
    flags = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
    of_layer = dict.fromkeys(flags, True) | {"activity_regularizer": "l1", "name": "highway", "trainable": False}
    of_layer |= {"recurrent_dropout": 0.3, "seed": 3}
    for layer in (RecurrentHighwayCell(**arguments), RecurrentHighway(**arguments, **of_layer, dtype="mixed_float16")):
        config = json.loads(json.dumps(layer.get_config()))
        loaded = type(layer).from_config(dict(config))
        assert loaded.get_config() == layer.get_config()
        for name, value in arguments.items():
            given = getattr(loaded, name)
            if hasattr(value, "get_config"):
                given, value = given.get_config(), value.get_config()
            assert getattr(given, "__name__", given) == value
    assert all(getattr(loaded, flag) for flag in flags)
    assert (loaded.name, loaded.trainable, loaded.compute_dtype) == ("highway", False, "float16")
    assert (loaded.recurrent_dropout, loaded.seed) == (0.3, 3)


@pytest.mark.slow
def test_learns_to_recall_the_first_input_and_stays_pruned():
    keras.utils.set_random_seed(1)
    x = np.array(list(itertools.product([-1.0, 1.0], repeat=5)), "float32")[:, :, None]
    model = keras.Sequential([keras.Input((5, 1)), RecurrentHighway(16, depth=3, name="highway"), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=JIT)
    pruning = MagnitudePruning(ConstantSparsity(0.5, begin_step=20), block_shape=(1, 4))
    model.fit(x, x[:, 0], epochs=40, verbose=0, callbacks=[pruning])
    kernels, _ = find_kernels(model)
    assert [(kernel.variable.name, kernel.gates) for kernel in kernels] == [("kernel", 2), ("recurrent_kernel", 2)]
    for kernel in kernels:
        blocks = numpy(kernel.variable.value).reshape(-1, 4)
        assert np.mean(np.all(blocks == 0, axis=1)) == 0.5 == np.mean(blocks == 0)
    # Without memory of the first input the error is 1.
    assert model.evaluate(x, x[:, 0], verbose=0) < 0.1


@pytest.mark.parametrize("arguments", [{"units": 0}, {"units": 2.5}, {"depth": 0}, {"depth": "3"}])
def test_bad_arguments_are_named(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        RecurrentHighway(**{"units": UNITS, **arguments})
