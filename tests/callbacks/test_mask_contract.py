"""The contract of all methods with all optimizers: no masked weight is non-zero, after any batch and after fit."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks import SET, MagnitudePruning, NonMonotonicTrigger, RigL, SelfishRNN, ThresholdPruning
from keras_sparse_rnn.optimizers import SNTASGD
from keras_sparse_rnn.schedules import PolynomialDecay, RampThreshold

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")

METHODS = {
    "magnitude": lambda: MagnitudePruning(PolynomialDecay(0.25, 0.75, 1, 5, frequency=2), (1, 2), layers="hidden"),
    "threshold": lambda: ThresholdPruning(RampThreshold(1, 3, 5, q=0.15, frequency=2), layers="hidden"),
    "set": lambda: SET(0.25, 0.3, frequency=3, layers="hidden"),
    "selfish": lambda: SelfishRNN(0.25, 0.3, frequency=3, block_shape=(1, 4), layers="hidden"),
    "rigl": lambda: RigL(0.25, 0.3, frequency=3, layers="hidden"),
}
OPTIMIZERS = {
    "sgd_clipnorm_decay": lambda: optimizers.SGD(0.05, clipnorm=0.5, weight_decay=0.1),
    "momentum_accumulation": lambda: optimizers.SGD(0.05, momentum=0.9, gradient_accumulation_steps=2),
    "adam_ema_overwriting": lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    "adamw_ema_clipnorm": lambda: optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True, global_clipnorm=0.5),
    "rmsprop_loss_scaling": lambda: optimizers.LossScaleOptimizer(optimizers.RMSprop(0.01, momentum=0.9), 8.0),
    "sntasgd_decay": lambda: SNTASGD(0.05, interval=1, weight_decay=0.1, clipvalue=0.5),
}


class Watch(keras.callbacks.Callback):
    """Counts, behind the method and before the next batch, weights outside its masks."""

    def __init__(self, method):
        super().__init__()
        self.method, self.outside, self.masked = method, [], []

    def look(self, *_, **__):
        masks = self.method.masks
        model_weights = self.model.get_layer("hidden").get_weights()[0]
        mask = masks.blocks[0].expand(masks.kept[0])
        self.outside.append(np.count_nonzero(model_weights[~mask]))
        self.masked.append(masks.sparsity)

    on_train_batch_end = on_epoch_end = on_test_begin = look

    def on_epoch_begin(self, epoch, logs=None):
        self.look()


EACH_ONCE = list(zip(OPTIMIZERS, itertools.cycle(METHODS), strict=False))


@pytest.mark.backend(case=EACH_ONCE)
@pytest.mark.parametrize(
    "case",
    [
        # Each optimizer with two methods, each method with two or three optimizers; with `-m slow` the others.
        pytest.param(
            (optimizer, method), id=f"{optimizer} {method}", marks=[] if (j - i) % 5 < 2 else [pytest.mark.slow]
        )
        for i, optimizer in enumerate(OPTIMIZERS)
        for j, method in enumerate(METHODS)
    ],
)
def test_no_masked_weight_is_non_zero(case):
    optimizer, method = case
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(12, "tanh", name="hidden"), layers.Dense(2)])
    model.compile(OPTIMIZERS[optimizer](), "mse", jit_compile=JIT)
    before = model.get_weights()[0]
    masking = METHODS[method]()
    watch = Watch(masking)
    # With a loss that rises averaging starts after the third epoch.
    trigger = [NonMonotonicTrigger("rising")] if "sntasgd" in optimizer else []
    rising = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(rising=epoch))
    model.fit(
        X,
        Y,
        batch_size=8,
        epochs=5,
        verbose=0,
        validation_data=(X, Y) if trigger else None,
        callbacks=[masking, rising, *trigger, watch],
    )
    assert set(watch.outside) == {0}
    assert watch.masked[-1] > 0.2
    after = model.get_weights()[0]
    mask = masking.masks.blocks[0].expand(masking.masks.kept[0])
    assert not after[~mask].any()
    assert np.mean(after[mask] != before[mask]) > 0.9
    if trigger:
        assert model.optimizer.averaging
