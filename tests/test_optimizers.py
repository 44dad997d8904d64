"""SNTASGD against its equations in NumPy, and where its averages are in the model."""

import json

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks import DynamicSparseTraining, MagnitudePruning, NonMonotonicTrigger, RigL
from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.optimizers import SNTASGD
from keras_sparse_rnn.schedules import ConstantSparsity

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(12, 4)).astype("float32"), RNG.normal(size=(12, 6)).astype("float32")


class Scripted(MaskCallback):
    """Masks drawn anew every second step, so that weights go and return."""

    def __init__(self, masks):
        super().__init__(lambda step: (step % 2 == 0, 0.0), layers="out")
        self.script = masks

    def start(self, step):
        self.update(step, 0.0)

    def update(self, step, value):
        self.apply()  # what returns starts from zero
        kernel = self.masks.kernels[0].variable
        returned = self.script[step] & ~self.masks.kept[0].reshape(4, 6) if step else np.zeros((4, 6), bool)
        kernel.assign(np.where(returned, 1e-30, keras.ops.convert_to_numpy(kernel.value)))
        self.masks.keep([self.script[step].reshape(4, 1, 6)])


class Steps(keras.callbacks.Callback):
    """The kernel and its average after each step, before masks are set; averaging is switched on at step `at`."""

    def __init__(self, at):
        super().__init__()
        self.at, self.seen, self.averages = at, [], []

    def on_train_batch_end(self, batch, logs=None):
        optimizer = self.model.optimizer
        if int(optimizer.iterations) == self.at:
            optimizer._averaging.assign(1)
        self.seen.append(self.model.get_weights())
        self.averages.append([keras.ops.convert_to_numpy(v.value) for v in optimizer._averages])


def linear_model(optimizer):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6, name="out")])
    model.compile(optimizer, "mse", jit_compile=JIT)
    return model


@pytest.mark.backend
def test_is_the_equations_of_the_paper_with_weights_that_return():
    masks = {step: RNG.random((4, 6)) < 0.6 for step in range(0, 31, 2)}
    rate = optimizers.schedules.ExponentialDecay(0.2, 10, 0.5)
    model, steps = linear_model(SNTASGD(rate, weight_decay=0.01)), Steps(at=9)
    w, b = (v.astype("float64") for v in model.get_weights())
    b = b + 0.1
    model.set_weights([w, b])
    model.fit(X, Y, batch_size=12, epochs=30, verbose=0, callbacks=[Scripted(masks), steps])

    mask = masks[0]
    w = w * mask
    s_w, s_b, a_w, a_b = np.zeros((4, 6)), 0, 0 * w, 0 * b
    restarted = 0
    for step in range(30):
        lr = 0.2 * 0.5 ** (step / 10)
        error = 2 * (X @ w + b - Y) / Y.size
        w, b = w - lr * (X.T @ error + 0.01 * w), b - lr * (error.sum(axis=0) + 0.01 * b)
        if step >= 9:
            restarted += np.sum((s_w == 0) & mask & (step > 9))
            s_w = np.where(mask, s_w + 1, 0)
            mu = np.where(s_w <= 2, 1, 1 / np.maximum(s_w - 1, 1))
            a_w = np.where(mu == 1, w, a_w + mu * (w - a_w)) * mask
            s_b = s_b + 1
            a_b = a_b + 1 / max(1, s_b) * (b - a_b)
            np.testing.assert_allclose(steps.averages[step][0], a_w, atol=2e-6)
            np.testing.assert_allclose(steps.averages[step][1], a_b, atol=2e-6)
        w = w * mask
        if (step + 1) % 2 == 0:
            mask = masks[step + 1]
            w = w * mask
        np.testing.assert_allclose(steps.seen[step][0], w, atol=2e-6)
        np.testing.assert_allclose(steps.seen[step][1], b, atol=2e-6)
    assert restarted > 20


def test_starts_as_the_rule_says():
    for losses, n in (
        ([5, 4, 3, 2, 1, 1.5, 1.6, 2.5, 0.9, 3.1], 2),
        ([3, 4, 5, 6, 7], 3),
        ([1, 1, 1, 2], 1),
        ([9, 8, 7], 5),
    ):
        optimizer, hist = SNTASGD(0.1, interval=n), []
        optimizer.build([keras.Variable(np.ones(2))])
        expected = False
        for loss in losses:
            expected = expected or (len(hist) > n and loss > min(hist[:-n]))
            hist.append(loss)
            optimizer.observe(loss)
            assert optimizer.averaging == expected


def net(optimizer):
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh", name="hidden"), layers.Dense(6)])
    model.compile(optimizer, "mse", jit_compile=JIT)
    return model


class Rising(keras.callbacks.Callback):
    """Gives the trigger a loss that rises from the start: averaging starts after the third epoch with interval 1."""

    def on_epoch_end(self, epoch, logs=None):
        logs["rising"] = float(epoch)


def fit(model, *callbacks, epochs=6, **args):
    args = {"validation_data": (X, Y), **args}
    return model.fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **args)


def callbacks(first=None):
    first = first or DynamicSparseTraining(0.25, 0.3, frequency=3, layers="hidden")
    return [first, Rising(), NonMonotonicTrigger("rising")]


class Look(keras.callbacks.Callback):
    """The model's weights wherever one looks."""

    def __init__(self):
        super().__init__()
        self.batches, self.tests, self.epochs, self.begins = [], [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.begins.append(self.model.get_weights())

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self.model.get_weights())

    def on_test_begin(self, logs=None):
        self.tests.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())


@pytest.mark.backend
def test_averages_are_evaluated_saved_and_returned_and_weights_trained(tmp_path):
    look, model = Look(), net(SNTASGD(0.5, interval=1))
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    first = MagnitudePruning(ConstantSparsity(0.75, 0), layers="hidden")
    history = fit(model, *callbacks(first), look, checkpoint).history
    # hist has more than one loss in the third epoch, and 2 > min([0]).
    assert history["averaging"] == [0, 0, 1, 1, 1, 1]
    for epoch in range(6):
        raw = look.batches[3 * epoch + 2]
        if epoch < 3:
            expected = raw
        else:
            since = look.batches[9 : 3 * epoch + 3]
            # Pruned tensors are averaged from the second step on, biases from the first.
            means = zip(*since[1:], strict=True), zip(*since, strict=True)
            masked, dense = ([np.mean(w, axis=0) for w in weights] for weights in means)
            expected = [m if np.any(r == 0) else d for m, d, r in zip(masked, dense, raw, strict=True)]
        loaded = keras.models.load_model(tmp_path / f"{epoch + 1}.keras").get_weights()
        for seen in (look.tests[epoch], look.epochs[epoch], loaded):
            for a, b in zip(seen, expected, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-6)
        if epoch:
            previous = look.batches[3 * epoch - 1]
            assert all(np.array_equal(a, b) for a, b in zip(look.begins[epoch], previous, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), look.epochs[-1], strict=True))
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(history["val_loss"][-1], rel=1e-4)
    assert np.array_equal(model.get_weights()[0] == 0, look.batches[-1][0] == 0)


def test_number_of_weights_is_the_same_in_the_averages():
    look, model = Look(), net(SNTASGD(0.5, interval=1))
    fit(model, *callbacks(), look)
    for seen in (*look.batches, *look.tests, *look.epochs, model.get_weights()):
        assert np.count_nonzero(seen[0]) == 8
    assert any(np.any(a != b) for a, b in zip(look.batches[-1], look.epochs[-1], strict=True))


def same(model, other):
    for a, b in zip(model.weights + model.optimizer.variables, other.weights + other.optimizer.variables, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(a.value), keras.ops.convert_to_numpy(b.value), atol=1e-6, err_msg=a.path
        )


@pytest.mark.backend_slow(first=[4])
@pytest.mark.parametrize("first", [1, 4])
def test_goes_on_from_a_file_as_if_never_stopped(tmp_path, first):
    """From before averaging, when the losses are remembered, and from after its start."""
    whole, model = (net(SNTASGD(0.5, interval=1, weight_decay=0.01)) for _ in range(2))
    fit(whole, *callbacks())
    fit(model, *callbacks(), epochs=first)
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    fit(model, *callbacks(), initial_epoch=first)
    assert model.optimizer.averaging
    same(model, whole)


def test_goes_on_from_a_backup_as_if_never_stopped(tmp_path):
    class PowerCut(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 4:
                raise KeyboardInterrupt

    whole, cut, again = (net(SNTASGD(0.5, interval=1)) for _ in range(3))
    fit(whole, *callbacks())
    backup = tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        fit(cut, *callbacks(), keras.callbacks.BackupAndRestore(backup), PowerCut())
    history = fit(again, *callbacks(), keras.callbacks.BackupAndRestore(backup))
    assert history.epoch == [4, 5]
    same(again, whole)


def test_the_best_averages_come_back():
    restore = keras.callbacks.EarlyStopping("rising", mode="max", patience=9, restore_best_weights=True)
    look, model = Look(), net(SNTASGD(0.5, interval=1))
    fit(model, *callbacks(MagnitudePruning(ConstantSparsity(0.75, 0), layers="hidden")), restore, look)
    best = look.epochs[restore.best_epoch]
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), best, strict=True))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX is always compiled here, PyTorch never")
def test_compiled_by_xla_it_is_the_same():
    models = []
    for jit in (False, True):
        models.append(net(SNTASGD(0.5, interval=1)))
        models[-1].compile(models[-1].optimizer, "mse", jit_compile=jit)
        fit(models[-1], *callbacks(RigL(0.25, 0.3, frequency=3, layers="hidden")))
    same(*models)


@pytest.mark.backend_slow
def test_config_and_loss_scaling():
    optimizer = SNTASGD(0.5, interval=3, weight_decay=0.1, global_clipnorm=0.25)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert json.dumps(copy.get_config()) == json.dumps(optimizer.get_config())
    assert copy.interval == 3
    scaled, plain = net(optimizers.LossScaleOptimizer(SNTASGD(0.5, interval=1), 8.0)), net(SNTASGD(0.5, interval=1))
    for model in (scaled, plain):
        fit(model, *callbacks())
    assert scaled.optimizer.inner_optimizer.averaging
    for a, b in zip(scaled.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_refuses_and_warns():
    with pytest.raises(ValueError, match="interval=0: must be an integer >= 1"):
        SNTASGD(0.1, interval=0)
    with pytest.raises(ValueError, match="use_ema=True: SNTASGD averages the weights itself"):
        SNTASGD(0.1, use_ema=True)
    with pytest.raises(ValueError, match="optimizer is Adam: NonMonotonicTrigger needs optimizers.SNTASGD"):
        fit(net("adam"), NonMonotonicTrigger())
    with pytest.warns(UserWarning, match=r"needs monitor='val_loss' in the logs, which have \['loss'\]"):
        fit(net(SNTASGD(0.1)), NonMonotonicTrigger(), epochs=1, validation_data=None)
