import csv

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse_rnn.callbacks import MagnitudePruning, SparsityLogger
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.profiling import count_macs
from keras_sparse_rnn.schedules import PolynomialDecay
from keras_sparse_rnn.sparsity import measure

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(16, 5, 3)).astype("float32")
Y = X.mean(axis=1)[:, :2]


def fit(*callbacks):
    stack = [EventGRU(8, return_sequences=True, name="events"), layers.GRU(4, name="gru"), layers.Dense(2, name="out")]
    model = keras.Sequential([keras.Input((5, 3)), *stack])
    model.compile("adam", "mse", jit_compile=JIT)
    return model, model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=list(callbacks)).history


def test_logs_what_the_model_is_at_each_end_of_an_epoch(tmp_path):
    pruning = MagnitudePruning(PolynomialDecay(0.0, 0.75, 0, 12, frequency=1))
    file = tmp_path / "log.csv"
    model, history = fit(pruning, SparsityLogger(X), keras.callbacks.CSVLogger(file))
    events, gru = count_macs(model, X)
    last = {name: values[-1] for name, values in history.items()}
    assert last["events_sparsity"] == pytest.approx(measure(model, "events")) == pytest.approx(0.75, abs=0.01)
    assert (last["gru_sparsity"], last["out_sparsity"]) == (pytest.approx(measure(model, "gru")), 0)
    assert (last["events_activity"], last["events_macs"]) == (events.activity, events.effective)
    assert last["macs"] == events.effective + gru.effective
    assert history["macs"][0] > history["macs"][1] > history["macs"][2]
    assert "out_macs" not in history
    with open(file) as rows:
        assert [float(row["gru_macs"]) for row in csv.DictReader(rows)] == history["gru_macs"]


def test_sparsity_alone_without_data():
    _, history = fit(SparsityLogger())
    assert {name for name in history if name != "loss"} == {"events_sparsity", "gru_sparsity", "out_sparsity"}


def test_what_cannot_be_counted_is_an_error():
    model = keras.Sequential([keras.Input((5, 3)), layers.Bidirectional(layers.GRU(3)), layers.Dense(2)])
    model.compile("adam", "mse", jit_compile=JIT)
    with pytest.raises(ValueError, match="SparsityLogger cannot count on its data: .*inside another layer"):
        model.fit(X, Y, verbose=0, callbacks=[SparsityLogger(X)])
