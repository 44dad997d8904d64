"""Masks under `keras.optimizers.MultiOptimizer`: each layer with an optimizer of its own."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks import MagnitudePruning, RigL
from keras_sparse_rnn.schedules import ConstantSparsity
from keras_sparse_rnn.sparsity import measure_kernels

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(32, 4, 8)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.shares = []

    def on_train_batch_end(self, batch, logs=None):
        self.shares.append([*measure_kernels(self.model, "all").values()])


@pytest.mark.backend_slow
@pytest.mark.skipif(not hasattr(optimizers, "MultiOptimizer"), reason="since Keras 3.15")
def test_each_layer_has_an_optimizer_of_its_own():
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4, 8)), layers.GRU(8, name="gru"), layers.Dense(2, name="out")])
    optimizer = optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            default_optimizer=optimizers.SGD(0.05, momentum=0.9),
            optimizer_map={".*gru.*": optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9)},
        )
    )
    model.compile(optimizer, "mse", jit_compile=JIT)
    callbacks = [RigL(0.25, 0.3, frequency=3, layers="gru"), MagnitudePruning(ConstantSparsity(0.5, 2), layers="out")]
    watch = Watch()
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[*callbacks, watch])
    assert watch.shares == [[0.75, 0.75, 0]] + 15 * [[0.75, 0.75, 0.5]]
    assert [*measure_kernels(model, "all").values()] == [0.75, 0.75, 0.5]
    assert [len(part._trainable_variables) for part in optimizer.optimizers] == [3, 2]
