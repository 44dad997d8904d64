"""Models that were trained and pruned on another Keras backend, saved there and converted here."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from event_models import sequences

import keras_sparse_rnn as ksr

TRAINING = """
import sys, keras, numpy as np, keras_sparse_rnn as ksr
x = np.random.default_rng(0).normal(size=(64, 12, 7)).astype("float32")
rnn = [ksr.layers.EventGRU(16, return_sequences=True, name="events"), keras.layers.GRU(12, name="gru")]
model = keras.Sequential([keras.Input((12, 7)), *rnn, keras.layers.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
schedule = ksr.schedules.ConstantSparsity(0.8, begin_step=0, frequency=1)
model.fit(x, np.arange(64) % 3, batch_size=64, verbose=0, callbacks=[ksr.callbacks.MagnitudePruning(schedule)])
model.save(sys.argv[1])
np.save(sys.argv[2], keras.ops.convert_to_numpy(model(x)))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_model_trained_on(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    paths = tmp_path / "model.keras", tmp_path / "outputs.npy"
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", TRAINING, *map(str, paths)], env=environment, check=True, timeout=300)
    model, expected, x = keras.models.load_model(paths[0]), np.load(paths[1]), sequences(samples=64)
    converted = ksr.convert(model, x, weights="float32")
    assert all(layer.sparsity == pytest.approx(0.8, abs=0.05) for layer in converted.report.layers)
    # A state within rounding of its threshold may fire on one backend and not on the other.
    assert np.median(np.abs(converted.predict(x) - expected).max(axis=1)) <= 1e-5
