"""Pruning by a rising threshold against the papers' algorithm in NumPy, and with the group lasso (GLP)."""

import re
import warnings

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks import MagnitudePruning, ThresholdPruning
from keras_sparse_rnn.regularizers import BlockGroupLasso
from keras_sparse_rnn.schedules import ConstantSparsity, PolynomialDecay, RampThreshold
from keras_sparse_rnn.sparsity import measure, measure_kernels

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(16, 4, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 2)).astype("float32")


def gru_model(optimizer="adam", lasso=None):
    keras.utils.set_random_seed(7)
    gru = layers.GRU(8, kernel_regularizer=lasso, recurrent_regularizer=lasso, name="gru")
    model = keras.Sequential([keras.Input((4, 3)), gru, layers.Dense(2, name="out")])
    model.compile(optimizer, "mse", jit_compile=JIT)
    return model


def fit(model, *callbacks, epochs=2, **args):
    """4 batches of 4 an epoch, always the same."""
    return model.fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **args)


def nothing(y_true, y_pred):
    """A loss that leaves a model nothing but its regularizers."""
    return 0.0 * keras.ops.sum(y_pred)


class Watch(keras.callbacks.Callback):
    """Records what `look(model, logs)` gives after every batch, behind the pruning callback."""

    def __init__(self, look=lambda model, logs: measure(model)):
        super().__init__()
        self.look, self.seen = look, []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.look(self.model, logs))


@pytest.mark.parametrize("block_shape", [(1, 1), (2, 4), (4, 3)])
def test_trains_as_the_algorithm_of_the_papers(block_shape):
    """Linear regression with gradient descent, of which the whole training is known, returning blocks included."""
    rows, cols = block_shape
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(16, 6)), rng.normal(scale=0.3, size=(6, 8)).astype("float32").astype("float64")
    y = x @ rng.normal(scale=0.3, size=(6, 8))
    schedule = RampThreshold(begin_step=2, ramp_step=14, end_step=32, q=0.25, frequency=3)

    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, use_bias=False, name="out")])
    model.set_weights([w])
    model.compile(optimizers.SGD(1.0), "mse")
    watch = Watch(lambda model, logs: model.get_weights()[0])
    model.fit(
        x,
        y,
        batch_size=16,
        epochs=40,
        verbose=0,
        callbacks=[ThresholdPruning(schedule, block_shape, layers="out"), watch],
    )

    mask, gone, returned = np.ones((6, 8), bool), [], 0
    for step, seen in zip(range(1, 41), watch.seen, strict=True):
        w = w - 2 * x.T @ (x @ w - y) / y.size
        if 2 <= step <= 32 and (step - 2) % 3 == 0:
            before, mask = mask, np.ones((6, 8), bool)
            for i in range(0, 6, rows):
                for j in range(0, 8, cols):
                    block = np.abs(w[i : i + rows, j : j + cols])
                    mask[i : i + rows, j : j + cols] = block.max() >= schedule.value(step) * block.size**0.25
            returned += np.sum(mask & ~before)
        w = w * mask
        gone.append(np.mean(~mask))
        np.testing.assert_allclose(seen, w, atol=1e-5)
        assert np.all(seen[~mask] == 0)
    assert gone[0] == 0
    assert 0.3 < gone[-1] < 1
    assert block_shape != (1, 1) or returned > 0


@pytest.mark.parametrize(("cols", "factor"), [(1, 1.0), (4, 4**0.25)])
def test_frozen_weights_end_at_the_quantile_by_blocks_of_a_gate(cols, factor):
    model = gru_model(optimizers.SGD(0.0))
    kernel, recurrent = model.get_weights()[:2]
    schedule = RampThreshold.from_model(model, 1, 3, 8, quantile=0.6, frequency=2)
    history = fit(model, ThresholdPruning(schedule, (1, cols))).history
    end = schedule.value(8) * factor
    expected = [np.mean(np.abs(w).reshape(-1, cols).max(axis=1) < end) for w in (kernel, recurrent)]
    assert list(measure_kernels(model).values()) == pytest.approx(expected)
    assert (
        history["sparsity"][-1] == pytest.approx(measure(model)) == pytest.approx(np.average(expected, weights=[3, 8]))
    )
    assert 0 < history["sparsity"][0] < history["sparsity"][1]


@pytest.mark.backend
def test_masked_weights_are_zero_after_every_batch_and_masks_final_after_the_end():
    model = gru_model(optimizers.AdamW(0.02, use_ema=True, weight_decay=0.1))
    zeros = Watch(lambda model, logs: model.layers[0].get_weights()[1] == 0)
    fit(model, ThresholdPruning(RampThreshold(0, 4, 8, q=0.3, frequency=2), (1, 2)), zeros, epochs=4)
    final = zeros.seen[7]
    assert 0.3 < final.mean() < 1
    assert all(np.array_equal(seen, final) for seen in zeros.seen[8:])
    assert np.array_equal(model.layers[0].get_weights()[1] == 0, final)


@pytest.mark.slow
@pytest.mark.backend_slow
def test_lasso_is_switched_off_when_pruning_ends(tmp_path):
    """One batch an epoch, so that the history shows for each step what penalty the compiled functions hold."""
    lasso = BlockGroupLasso(0.01, block_shape=(1, 4), gates=3)
    keras.utils.set_random_seed(7)
    gru = layers.GRU(8, kernel_regularizer=lasso, recurrent_regularizer=lasso)
    model = keras.Sequential([keras.Input((4, 3)), layers.Bidirectional(gru)])

    def train():
        model.compile(optimizers.SGD(0.1), nothing, jit_compile=JIT)
        pruning = ThresholdPruning(RampThreshold(1, 3, 5, q=0.05, frequency=2), block_shape=(1, 4))
        data = (X, np.zeros((16, 16)))
        history = model.fit(
            *data, batch_size=16, epochs=8, verbose=0, callbacks=[pruning], validation_data=data
        ).history
        return history["loss"], history["val_loss"]

    loss, val_loss = train()
    assert all(value > 0.1 for value in loss[:5])
    assert all(value > 0.1 for value in val_loss[:4])
    assert loss[5:] == [0, 0, 0]
    assert val_loss[4:] == [0, 0, 0, 0]
    assert model.evaluate(X, np.zeros((16, 16)), verbose=0) == 0
    model.save(tmp_path / "pruned.keras")
    loaded = keras.models.load_model(tmp_path / "pruned.keras", compile=False)
    assert sum(map(float, loaded.losses)) == 0
    # A training that starts anew has its lasso again.
    loss, _ = train()
    assert all(value > 0.1 for value in loss[:5])
    assert loss[5:] == [0, 0, 0]


def test_group_lasso_makes_pruning_find_more_blocks():
    def pruned(lasso):
        model = gru_model(optimizers.SGD(0.05), lasso)
        fit(model, ThresholdPruning(RampThreshold(4, 10, 16, q=0.2, frequency=2), (1, 4)), epochs=5)
        return measure(model)

    assert pruned(BlockGroupLasso(0.1, (1, 4), gates=3)) > pruned(None) + 0.1


def pruning():
    return ThresholdPruning(RampThreshold(1, 4, 7, q=0.3, frequency=2), (1, 2))


def test_goes_on_from_a_file_as_if_never_stopped(tmp_path):
    whole, first = (gru_model(optimizers.Adam(0.02)) for _ in range(2))
    fit(whole, pruning(), epochs=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # too short for the schedule, and says so
        fit(first, pruning(), epochs=1)
    assert measure(first) > 0.1
    for n in (1, 2):  # the pruning goes on, then the training after its end
        first.save(tmp_path / f"{n}.keras")
        first = keras.models.load_model(tmp_path / f"{n}.keras")
        fit(first, pruning(), initial_epoch=n, epochs=n + 1)
    for a, b in zip(whole.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert measure(first) == measure(whole) > 0.2


def test_dense_weights_where_pruning_has_ended_are_refused():
    model = gru_model()
    fit(model)
    with pytest.raises(
        ValueError, match="is at step 8 and pruning ended at step 7, but no block.*before BackupAndRestore"
    ):
        fit(model, pruning(), initial_epoch=2, epochs=3)


@pytest.mark.parametrize(("keep_zeros", "before", "after"), [(True, 0.75, 0.75), (False, 0, 0.1)])
def test_zeros_that_are_there_stay_unless_told_otherwise(keep_zeros, before, after):
    model, watch = gru_model(optimizers.SGD(0.01)), Watch()
    fit(model, MagnitudePruning(ConstantSparsity(0.75, 0), (1, 2)), epochs=1)
    schedule = RampThreshold(2, 3, 4, q=1e-5, frequency=1)
    fit(model, ThresholdPruning(schedule, (1, 2), keep_zeros=keep_zeros), watch, epochs=1)
    assert watch.seen[0] == before
    assert abs(watch.seen[-1] - after) < 0.2


def test_warns_when_a_whole_kernel_goes():
    with pytest.warns(UserWarning, match="has set all weights of gru/gru_cell/kernel to zero"):
        fit(gru_model(), ThresholdPruning(RampThreshold(0, 1, 2, q=9.0, frequency=1)))


def test_weights_that_are_not_numbers_are_not_hidden():
    model = gru_model()
    model.fit(X * np.nan, Y, verbose=0, callbacks=[ThresholdPruning(RampThreshold(0, 0, 1, q=0.1))])
    assert np.isnan(model.get_weights()[0]).any()


@pytest.mark.parametrize("schedule", [ConstantSparsity(0.5, 0), PolynomialDecay(0.0, 0.5, 0, 9)])
def test_a_sparsity_is_no_threshold(schedule):
    with pytest.raises(ValueError, match="gives a sparsity; ThresholdPruning needs a threshold.*RampThreshold"):
        ThresholdPruning(schedule)


def test_bad_thresholds_and_lassos_of_other_blocks_are_named():
    with pytest.raises(ValueError, match=r"schedule\(0\) gave the threshold -1.0: must be a number >= 0"):
        fit(gru_model(), ThresholdPruning(lambda step: (True, -1)))
    lasso = BlockGroupLasso(0.1, (1, 4))
    message = "gru/gru_cell/kernel has a BlockGroupLasso with block_shape=(1, 4), gates=1, but is pruned with"
    with pytest.raises(ValueError, match=re.escape(message) + r" block_shape=\(1, 4\), gates=3: must be the same"):
        fit(gru_model(lasso=lasso), ThresholdPruning(RampThreshold(0, 1, 2, q=0.1), (1, 4)))
