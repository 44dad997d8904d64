"""The ordered-neurons LSTM against its equations in NumPy and against keras.layers.LSTM, and as a Keras layer."""

import itertools
import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse_rnn.callbacks import MagnitudePruning
from keras_sparse_rnn.layers import ONLSTM, ONLSTMCell
from keras_sparse_rnn.schedules import ConstantSparsity
from keras_sparse_rnn.sparsity import find_kernels

BATCH, TIME, FEATURES, UNITS, CHUNK = 3, 5, 2, 6, 2
EAGERLY = keras.backend.backend() != "jax"  # a graph would take longer to build than to run
JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
CHUNKS = UNITS // CHUNK


def sequences(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape or (BATCH, TIME, FEATURES)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def assert_close(a, b, atol=1e-6):
    np.testing.assert_allclose(numpy(a), numpy(b), atol=atol)


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def cumax(v):
    p = np.exp(v - v.max(-1, keepdims=True))
    return np.repeat(np.cumsum(p / p.sum(-1, keepdims=True), axis=-1), CHUNK, axis=-1)


def reference(x, h, c, W, R, b, V, U, d):
    """Outputs (batch, time, units) and the last cell state, in float64."""
    outputs = []
    for x_t in x.swapaxes(0, 1):
        i, f, g, o = np.split(x_t @ W + h @ R + b, 4, axis=-1)
        master_f, master_i = np.split(x_t @ V + h @ U + d, 2, axis=-1)
        master_f, master_i = cumax(master_f), 1 - cumax(master_i)
        w = master_f * master_i
        c = (sigmoid(f) * w + master_f - w) * c + (sigmoid(i) * w + master_i - w) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1), c


def random_layer(**arguments):
    layer = ONLSTM(UNITS, CHUNK, return_sequences=True, **arguments)
    layer.build((None, None, FEATURES))
    layer.set_weights([sequences(*w.shape, seed=n) for n, w in enumerate(layer.weights)])
    return layer


@pytest.mark.backend
def test_output_and_states_are_those_of_the_equations():
    layer = random_layer(return_state=True)
    x, h, c = sequences(), sequences(BATCH, UNITS, seed=8), sequences(BATCH, UNITS, seed=9)
    expected, last_c = reference(*(v.astype("float64") for v in (x, h, c, *layer.get_weights())))
    output, *states = layer(x, initial_state=[h, c])
    assert_close(output, expected, atol=1e-5)
    assert_close(states[0], expected[:, -1], atol=1e-5)
    assert_close(states[1], last_c, atol=1e-5)


@pytest.mark.backend
def test_gradients_are_finite_differences_of_the_equations():
    layer = random_layer()
    x, upstream = sequences(), sequences(BATCH, TIME, UNITS, seed=8)
    zero = np.zeros((BATCH, UNITS))
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
                sums.append((reference(x.astype("float64"), zero, zero, *moved)[0] * upstream).sum())
            gradient = (sums[0] - sums[1]) / 2e-6
            np.testing.assert_allclose(weight[index] - after[index], gradient, rtol=1e-4, atol=1e-4)


def test_master_gates_are_ordered_and_the_last_chunk_is_never_written():
    layer = random_layer(return_state=True)
    forget, write = (numpy(g) for g in layer.cell.master_gates(sequences(99, FEATURES), sequences(99, UNITS)))
    assert forget.shape == write.shape == (99, CHUNKS)
    assert np.all(np.diff(forget) >= 0) and np.all(np.diff(write) <= 0)
    assert forget.min() >= 0 and write.max() <= 1
    assert_close(forget[:, -1], np.ones(99)), assert_close(write[:, -1], np.zeros(99))
    c = sequences(BATCH, UNITS)
    _, _, last = layer(sequences(), initial_state=[c, c])
    assert_close(numpy(last)[:, -CHUNK:], c[:, -CHUNK:], atol=1e-5)


def saturated(lstm, forget, write):
    """An ONLSTM with the weights of `lstm` whose master gates step at the entries `forget` and `write`."""
    layer = ONLSTM(UNITS, CHUNK, return_sequences=True, return_state=True)
    layer.build((None, None, FEATURES))
    d = np.zeros((2, CHUNKS), "float32")
    d[0, forget] = d[1, write] = 100
    zeros = [np.zeros(w.shape) for w in (layer.cell.master_kernel, layer.cell.master_recurrent_kernel)]
    layer.set_weights([*lstm.get_weights(), *zeros, d.ravel()])
    return layer


def test_with_open_master_gates_it_is_keras_lstm():
    lstm = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    lstm.build((None, None, FEATURES))
    W, R, b = (sequences(*w.shape, seed=n) for n, w in enumerate(lstm.weights))
    R[-CHUNK:] = 0  # the last chunk, which an LSTM writes, is to tell the others nothing
    lstm.set_weights([W, R, b])
    x = sequences()
    for value, expected in zip(saturated(lstm, 0, CHUNKS - 1)(x), lstm(x), strict=True):
        assert_close(numpy(value)[..., :-CHUNK], numpy(expected)[..., :-CHUNK], atol=1e-5)
        assert_close(numpy(value)[..., -CHUNK:], np.zeros_like(numpy(value)[..., -CHUNK:]))


def test_with_disjoint_master_gates_chunks_copy_or_write():
    lstm = layers.LSTM(UNITS)
    lstm.build((None, None, FEATURES))
    layer = saturated(lstm, 1, 1)  # f~ = (0, 1, 1) and i~ = (1, 0, 0): no overlap, f and i have no say
    x, h, c = sequences(BATCH, 1, FEATURES), np.zeros((BATCH, UNITS), "float32"), sequences(BATCH, UNITS)
    _, _, last = layer(x, initial_state=[h, c])
    candidate = np.tanh(x[:, 0] @ np.split(lstm.get_weights()[0], 4, axis=1)[2])
    assert_close(last, np.hstack([candidate[:, :CHUNK], c[:, CHUNK:]]))


def test_master_gates_end_at_one_and_zero_in_half_precision():
    cell = ONLSTMCell(600, 1, recurrent_initializer="zeros", dtype="mixed_bfloat16")
    cell.build((None, FEATURES))
    forget, write = cell.master_gates(np.zeros((1, FEATURES), "float32"), np.zeros((1, 600), "float32"))
    expected = np.arange(1, 601) / 600
    assert_close(ops.cast(forget[0], "float32"), expected, atol=2**-8)
    assert_close(ops.cast(write[0], "float32"), 1 - expected, atol=2**-8)
    assert ops.all(forget[:, -1] == 1) and ops.all(ops.abs(write[:, -1]) < 1e-6)


def test_forget_bias_starts_at_one_if_asked():
    for unit_forget_bias in (True, False):
        cell = ONLSTMCell(UNITS, CHUNK, bias_initializer="zeros", unit_forget_bias=unit_forget_bias)
        cell.build((None, FEATURES))
        assert_close(cell.bias, np.repeat([0, unit_forget_bias, 0, 0], UNITS))
        assert_close(cell.master_bias, np.zeros(2 * CHUNKS))


def test_dropconnect_leaves_out_recurrent_weights_in_training_only():
    layer = ONLSTM(6, chunk_size=3, recurrent_dropconnect=0.4, seed=1)
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    plain = ONLSTM(6, chunk_size=3)
    plain.build(x.shape)
    layer.build(x.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(numpy(layer(x)), numpy(plain(x)))
    trained = [numpy(layer(x, training=True)) for _ in range(2)]
    assert not np.array_equal(*trained)
    # A step from zero states reads no recurrent weight; the second does.
    np.testing.assert_allclose(numpy(layer(x[:, :1], training=True)), numpy(plain(x[:, :1])), rtol=1e-6)
    drawn = [numpy(kernel) for kernel in layer.draw(2)]
    for kernel, whole in zip(drawn, layer.get_weights()[1:5:3], strict=True):
        kept = kernel != 0
        np.testing.assert_allclose(kernel[kept], whole[kept] / 0.6, rtol=1e-6)
    assert 0.4 < np.mean(np.concatenate([kernel.ravel() for kernel in drawn]) != 0) < 0.8
    with pytest.raises(ValueError, match="recurrent_dropconnect=1"):
        ONLSTM(6, chunk_size=3, recurrent_dropconnect=1)


def test_config_round_trip_keeps_every_argument():
    arguments = {
        "units": 6,
        "chunk_size": 3,
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid",
        "use_bias": False,
        "kernel_initializer": keras.initializers.HeNormal(seed=1),
        "recurrent_initializer": keras.initializers.GlorotNormal(seed=2),
        "bias_initializer": keras.initializers.Ones(),
        "unit_forget_bias": False,
        "kernel_regularizer": keras.regularizers.L2(0.1),
        "recurrent_regularizer": keras.regularizers.L2(0.2),
        "bias_regularizer": keras.regularizers.L2(0.3),
        "kernel_constraint": keras.constraints.MaxNorm(1),
        "recurrent_constraint": keras.constraints.MaxNorm(2),
        "bias_constraint": keras.constraints.MaxNorm(3),
    }
    flags = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
    of_layer = dict.fromkeys(flags, True) | {"activity_regularizer": "l1", "name": "ordered", "trainable": False}
    of_layer |= {"recurrent_dropconnect": 0.3, "seed": 3}
    for layer in (ONLSTMCell(**arguments), ONLSTM(**arguments, **of_layer, dtype="mixed_float16")):
        config = json.loads(json.dumps(layer.get_config()))
        loaded = type(layer).from_config(dict(config))
        assert loaded.get_config() == layer.get_config()
        for name, value in arguments.items():
            given = getattr(loaded, name)
            if hasattr(value, "get_config"):
                given, value = given.get_config(), value.get_config()
            assert getattr(given, "__name__", given) == value
    assert all(getattr(loaded, flag) for flag in flags)
    assert (loaded.name, loaded.trainable, loaded.compute_dtype) == ("ordered", False, "float16")
    assert (loaded.recurrent_dropconnect, loaded.seed) == (0.3, 3)


@pytest.mark.slow
def test_learns_to_recall_the_first_input_and_stays_pruned():
    keras.utils.set_random_seed(1)
    x = np.array(list(itertools.product([-1.0, 1.0], repeat=5)), "float32")[:, :, None]
    model = keras.Sequential([keras.Input((5, 1)), ONLSTM(16, 4, name="ordered"), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=JIT)
    pruning = MagnitudePruning(ConstantSparsity(0.5, begin_step=20), block_shape=(1, 4), layers="ordered")
    model.fit(x, x[:, 0], epochs=40, verbose=0, callbacks=[pruning])
    found = {kernel.variable.name: kernel for kernel in find_kernels(model)[0]}
    for name, gates in (("kernel", 4), ("recurrent_kernel", 4), ("master_kernel", 2), ("master_recurrent_kernel", 2)):
        assert found[name].gates == gates
        blocks = numpy(found[name].variable.value).reshape(-1, 4)
        assert np.mean(np.all(blocks == 0, axis=1)) == 0.5 == np.mean(blocks == 0)
    # Without memory of the first input the error is 1.
    assert model.evaluate(x, x[:, 0], verbose=0) < 0.1


@pytest.mark.parametrize(
    ("units", "chunk_size", "message"),
    [
        (0, 1, "units=0"),
        (2.5, 1, "units=2.5"),
        (6, 0, "chunk_size=0"),
        (6, 4, "units=6, chunk_size=4"),
        (6, 6, "units=6, chunk_size=6"),
    ],
)
def test_bad_arguments_are_named(units, chunk_size, message):
    with pytest.raises(ValueError, match=message):
        ONLSTM(units, chunk_size)
