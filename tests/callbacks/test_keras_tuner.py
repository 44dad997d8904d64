"""The recipe of docs/train.md for KerasTuner, where that is installed."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr

X = np.random.default_rng(0).normal(size=(32, 4, 8)).astype("float32")
Y = X[:, 0, :2]


@pytest.mark.slow
def test_each_trial_is_judged_and_saved_when_it_is_pruned(tmp_path):
    tuner_of = pytest.importorskip("keras_tuner")

    class Net(tuner_of.HyperModel):
        def build(self, hp):
            units = hp.Int("units", 4, 8, 4)
            model = keras.Sequential([keras.Input((4, 8)), keras.layers.GRU(units), keras.layers.Dense(2)])
            model.compile("adam", "mse", jit_compile=False)
            return model

        def fit(self, hp, model, *args, callbacks=(), **kwargs):
            schedule = ksr.schedules.PolynomialDecay(0.0, 0.75, begin=0.25, end=0.75)
            pruning = ksr.callbacks.MagnitudePruning(schedule)
            logs = model.fit(*args, callbacks=[pruning, ksr.callbacks.AfterPruning(*callbacks)], **kwargs).history
            return min(loss for loss, share in zip(logs["val_loss"], logs["sparsity"], strict=True) if share > 0.74)

    tuner = tuner_of.RandomSearch(Net(), max_trials=2, directory=tmp_path, seed=0)
    tuner.search(X, Y, validation_data=(X, Y), epochs=4, batch_size=8, verbose=0)
    assert [ksr.sparsity.measure(model) for model in tuner.get_best_models(2)] == [0.75, 0.75]
