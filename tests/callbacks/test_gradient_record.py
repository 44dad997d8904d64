"""The recorded gradients against automatic differentiation, and that nothing else notices them."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks.gradient_record import GradientRecord

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(12, 4, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(12, 2)).astype("float32")


class Recording(keras.callbacks.Callback):
    """After each batch: the weights before it, the gradients of it."""

    def __init__(self):
        super().__init__()
        self.weights, self.gradients = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.record = GradientRecord(self.model, self.model.trainable_variables[:2])
        self.record.attach()

    def on_train_batch_begin(self, batch, logs=None):
        self.weights.append([keras.ops.convert_to_numpy(v.value) for v in self.model.trainable_variables])

    def on_train_batch_end(self, batch, logs=None):
        assert self.model is not None  # on JAX this brings the state back
        self.gradients.append(self.record.values())

    def on_epoch_end(self, epoch, logs=None):
        self.record.detach()


def gru_model(optimizer):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4, 3)), layers.GRU(5), layers.Dense(2)])
    model.compile(optimizer, "mse", jit_compile=JIT)
    model.optimizer.build(model.trainable_variables)  # or TensorFlow traces twice
    return model


def gradients_by_autodiff(model, values, x, y):
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x) - y))
        return [np.array(g) for g in tape.gradient(loss, [v.value for v in model.trainable_variables[:2]])]
    if keras.backend.backend() == "jax":
        import jax

        def loss(trainable):
            predicted, _ = model.stateless_call(trainable, [v.value for v in model.non_trainable_variables], x)
            return jax.numpy.mean((predicted - y) ** 2)

        return [np.array(g) for g in jax.grad(loss)([v.value for v in model.trainable_variables])[:2]]
    import torch

    loss = torch.mean((model(x) - torch.as_tensor(y)) ** 2)
    return [g.numpy() for g in torch.autograd.grad(loss, [v.value for v in model.trainable_variables[:2]])]


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "adamw_clipnorm": lambda: optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=0.01, use_ema=True),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "loss_scaling": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=8.0),
}
QUICK = ("adamw_clipnorm", "accumulation", "loss_scaling")
by_optimizer = pytest.mark.parametrize("name", [*QUICK, pytest.param("sgd", marks=pytest.mark.slow)])


@pytest.mark.backend(name=["adamw_clipnorm", "loss_scaling"])
@by_optimizer
def test_gradients_of_the_last_minibatch(name):
    model, recording = gru_model(OPTIMIZERS[name]()), Recording()
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[recording])
    for i in range(3):
        batch = slice(4 * i, 4 * i + 4)
        expected = gradients_by_autodiff(model, recording.weights[i], X[batch], Y[batch])
        for ours, theirs in zip(recording.gradients[i], expected, strict=True):
            assert np.abs(theirs).max() > 1e-3
            np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=1e-4)


@pytest.mark.backend(name=["accumulation"])
@by_optimizer
def test_training_and_files_are_as_without_it(name, tmp_path):
    recorded, plain = gru_model(OPTIMIZERS[name]()), gru_model(OPTIMIZERS[name]())
    files = keras.callbacks.ModelCheckpoint(tmp_path / "{batch}.keras", save_freq=2)
    recorded.fit(X, Y, batch_size=3, shuffle=False, verbose=0, callbacks=[Recording(), files])
    plain.fit(X, Y, batch_size=3, shuffle=False, verbose=0)
    recorded.save(tmp_path / "end.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Keras warns of, and skips, an optimizer with other variables
        meanwhile, end = (keras.models.load_model(tmp_path / f"{name}.keras") for name in (2, "end"))
    assert int(meanwhile.optimizer.iterations) == int(plain.optimizer.iterations) // 2
    for model in (recorded, end):
        assert len(model.optimizer.variables) == len(plain.optimizer.variables)
        for a, b in zip(
            model.weights + model.optimizer.variables, plain.weights + plain.optimizer.variables, strict=True
        ):
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(a.value), keras.ops.convert_to_numpy(b.value), atol=1e-6
            )


@pytest.mark.backend
def test_a_fit_that_was_interrupted_leaves_nothing_to_the_next():
    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = gru_model(optimizers.SGD(0.1))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0, callbacks=[Recording(), Break()])
    model.fit(X, Y, verbose=0, callbacks=[Recording()])
    assert len(model.optimizer.variables) == 2
    assert "apply" not in vars(model.optimizer)
