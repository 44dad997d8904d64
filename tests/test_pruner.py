"""Pruning without fit: loops of every backend end as fit does, and pruning at once."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.callbacks import MagnitudePruning, RigL, SelfishRNN, ThresholdPruning
from keras_sparse_rnn.regularizers import BlockGroupLasso
from keras_sparse_rnn.schedules import ConstantSparsity, PolynomialDecay, RampThreshold
from keras_sparse_rnn.sparsity import find_kernels, measure

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(32, 4, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")
BATCHES = [(X[n : n + 4], Y[n : n + 4]) for n in range(0, 32, 4)]


def gru_model(lasso=None):
    keras.utils.set_random_seed(7)
    gru = layers.GRU(8, name="gru", recurrent_regularizer=lasso)
    return keras.Sequential([keras.Input((4, 3)), gru, layers.Dense(2, name="out")])


def loss(model, x, y):
    return keras.ops.mean((model(x) - y) ** 2)


def tape_loop(model, make_pruner):
    import tensorflow as tf

    optimizer = optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    pruner = make_pruner(optimizer)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            error = loss(model, x, y)
        gradients = tape.gradient(error, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return gradients

    for x, y in BATCHES:
        gradients = step(tf.constant(x), tf.constant(y))
        pruner.step(gradients=gradients)
        yield pruner
    pruner.finish()


def torch_loop(model, make_pruner):
    import torch

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    pruner = make_pruner(optimizer)
    for x, y in BATCHES:
        optimizer.zero_grad()
        loss(model, torch.tensor(x), torch.tensor(y)).backward()
        optimizer.step()
        pruner.step(gradients=[v.value.grad for v in model.trainable_variables])
        yield pruner
    pruner.finish()


def jax_loop(model, make_pruner):
    import jax

    optimizer = optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    pruner = make_pruner(optimizer)

    @jax.jit
    def step(trainable, state, x, y):
        def error(trainable):
            outputs, _ = model.stateless_call(trainable, [v.value for v in model.non_trainable_variables], x)
            return keras.ops.mean((outputs - y) ** 2)

        gradients = jax.grad(error)(trainable)
        return *optimizer.stateless_apply(state, gradients, trainable), gradients

    trainable, state = [v.value for v in model.trainable_variables], [v.value for v in optimizer.variables]
    for x, y in BATCHES:
        trainable, state, gradients = step(trainable, state, x, y)
        trainable, state = pruner.step(trainable, state, gradients)
        yield pruner
    trainable, _ = pruner.finish(trainable, state)
    for variable, value in zip(model.trainable_variables, trainable, strict=True):
        variable.assign(value)


LOOP = {"tensorflow": tape_loop, "torch": torch_loop, "jax": jax_loop}[BACKEND]
METHODS = {
    "magnitude": lambda: MagnitudePruning(PolynomialDecay(0.0, 0.75, 0, 7, frequency=3), (1, 2)),
    "threshold": lambda: ThresholdPruning(RampThreshold(1, 3, 7, q=0.3, frequency=2)),
    "selfish": lambda: SelfishRNN(0.25, 0.3, frequency=3),
    "rigl": lambda: RigL(0.25, 0.3, frequency=3),
}


@pytest.mark.backend
@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=[] if m in ("magnitude", "rigl") else [pytest.mark.slow]) for m in METHODS]
)
def test_ends_as_fit_does(method, recwarn):
    ours, theirs = gru_model(), gru_model()
    list(LOOP(ours, lambda optimizer: ksr.Pruner(ours, METHODS[method](), optimizer=optimizer)))
    theirs.compile(optimizers.SGD(0.1, momentum=0.9), "mse")
    theirs.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[METHODS[method]()])
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a == 0, b == 0)
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert measure(ours) > 0.3
    assert not [w for w in recwarn if "sparsity" in str(w.message)]


def test_keeps_zeros_from_the_first_step_and_says_what_was_not_reached():
    model = gru_model()
    schedule = ConstantSparsity(0.75, 2, frequency=3)
    loop = LOOP(model, lambda optimizer: ksr.Pruner(model, schedule, (1, 2), optimizer=optimizer))
    assert [pruner.sparsity for pruner in loop] == [0] + 7 * [0.75]
    assert measure(model) == 0.75
    model = gru_model()
    with pytest.warns(
        UserWarning, match="a sparsity of 0.75, but .* of 0. It stopped at step 8; its schedule begins at"
    ):
        list(LOOP(model, lambda optimizer: ksr.Pruner(model, ConstantSparsity(0.75, 9), optimizer=optimizer)))


@pytest.mark.backend_slow
def test_train_on_batch_and_going_on():
    whole, halves = gru_model(), gru_model()
    schedule = PolynomialDecay(0.0, 0.75, 1, 7, frequency=2)
    whole.compile(optimizers.SGD(0.1), "mse")
    whole.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[MagnitudePruning(schedule)])
    halves.compile(optimizers.SGD(0.1), "mse")
    for first in (0, 4):
        pruner = ksr.Pruner(halves, schedule, initial_step=first)
        for x, y in BATCHES[first : first + 4]:
            halves.train_on_batch(x, y)
            pruner.step()
    pruner.finish()
    for a, b in zip(whole.get_weights(), halves.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert measure(halves) == 0.75


@pytest.mark.backend
def test_averages_of_an_optimizer_that_the_model_does_not_hold():
    model, optimizer = gru_model(), optimizers.SGD(0.1, use_ema=True)
    optimizer.build(model.trainable_variables)
    ksr.Pruner(model, ConstantSparsity(0.75, 0), optimizer=optimizer)
    optimizer.finalize_variable_values(model.trainable_variables)
    # The averages begin as zeros; a mask leaves zeros, and what is kept is what the average was.
    averages = optimizer._model_variables_moving_average
    assert all(np.mean(keras.ops.convert_to_numpy(a) == 0) >= 0.75 for a in averages[:2])


@pytest.mark.backend
@pytest.mark.skipif(BACKEND != "jax", reason="functions without state are JAX's")
def test_apply_is_a_pure_function():
    import jax

    model = gru_model()
    pruner = ksr.Pruner(model, ConstantSparsity(0.75, 0))
    weights = [jax.numpy.ones(v.shape) for v in model.trainable_variables]
    masked = jax.jit(ksr.Pruner.apply)(weights, pruner.variable_masks())
    assert [float((w == 0).mean()) for w in masked] == [0.75, 0.75, 0, 0, 0]
    for w, v in zip(masked[:2], model.trainable_variables, strict=False):
        assert np.array_equal(np.asarray(w) == 0, np.asarray(v.value) == 0)
    with pytest.raises(ValueError, match="while a function is traced"):
        jax.jit(pruner.step)(weights)
    assert [float((w == 0).mean()) for w in pruner.step(weights)] == [0.75, 0.75, 0, 0, 0]
    optimizer = optimizers.SGD(0.1, use_ema=True)
    optimizer.build(model.trainable_variables)
    with pytest.raises(ValueError, match="SGD holds of the weights must follow the masks: hand its state over too"):
        ksr.Pruner(model, ConstantSparsity(0.75, 0), optimizer=optimizer).step(weights)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function")
def test_refuses_to_be_traced():
    import tensorflow as tf

    pruner = ksr.Pruner(gru_model(), ConstantSparsity(0.75, 0))
    with pytest.raises(ValueError, match="while a function is traced"):
        tf.function(pruner.step)()


def test_prune_at_once():
    model = gru_model()
    before = [keras.ops.convert_to_numpy(kernel.variable.value).copy() for kernel in find_kernels(model, "all")[0]]
    assert ksr.prune(model, 0.5, layers="all") == 0.5
    for old, new in zip(before, find_kernels(model, "all")[0], strict=True):
        expected = np.where(np.abs(old) > np.median(np.abs(old)), old, 0)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(new.variable.value), expected)
    assert ksr.prune(gru_model(), 0.5, (1, 4), scope="global") == pytest.approx(0.5, abs=4 / 264)


def test_refuses():
    model = gru_model()
    for make, message in [
        (lambda: ksr.prune(model, 1.0), r"sparsity=1.0: must be a number in \[0, 1\)"),
        (lambda: ksr.prune(model, 0.5, layers="lstm"), "'lstm' matches no layer"),
        (lambda: ksr.Pruner(model, PolynomialDecay(0, 0.9, begin=0, end=1)), "pass schedule.resolve"),
        (
            lambda: ksr.Pruner(model, SelfishRNN(0.1), (1, 4), score="l2"),
            "block_shape, score: give it to the SelfishRNN",
        ),
        (
            lambda: ksr.Pruner(model, ConstantSparsity(0.5, 0), initial_step=-1),
            "initial_step=-1: must be an integer >=",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
    pruner = ksr.Pruner(model, RigL(0.25, 0.3, frequency=1))
    with pytest.raises(ValueError, match="hand the gradients of the update to pruner.step"):
        pruner.step()
    lasso = BlockGroupLasso(0.1, (1, 1), gates=3)
    with pytest.raises(ValueError, match="BlockGroupLasso"):
        ksr.Pruner(gru_model(lasso), ThresholdPruning(RampThreshold(0, 1, 2, q=0.1)))
