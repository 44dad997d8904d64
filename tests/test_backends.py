"""Layers, methods and callbacks on the other Keras backends, each in a process of its own."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from event_models import sequences

import keras_sparse_rnn as ksr

TESTS = Path(__file__).parent
TRAINING_SIDE = ("layers", "sparsity", "callbacks", "quantization")
TRAINING_SIDE += tuple(
    f"test_{name}.py" for name in ("initializers", "optimizers", "pruner", "regularizers", "schedules")
)
TRAINING_SIDE += ("test_docs.py::test_training_loop_of_this_backend_runs",)

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's run starts the others")
on_others = pytest.mark.parametrize("backend", ["jax", "torch"])


@pytest.mark.slow
@on_others
def test_more_of_what_a_backend_computes(backend, tmp_path):
    assert _passed(backend, "(backend_slow and not backend) or (backend and slow)", tmp_path) >= 60


@on_others
def test_what_a_backend_computes_and_that_a_model_trained_there_converts(backend, tmp_path):
    assert _passed(backend, "backend and not slow", tmp_path) >= 80
    model, expected = keras.models.load_model(tmp_path / "model.keras"), np.load(tmp_path / "outputs.npy")
    converted = ksr.convert(model, sequences(64), weights="float32")
    assert all(layer.sparsity == pytest.approx(0.8, abs=0.05) for layer in converted.report.layers)
    # A state within rounding of its threshold may fire on one backend and not on the other.
    assert np.median(np.abs(converted.predict(sequences(64)) - expected).max(axis=1)) <= 1e-5


def _passed(backend, marked, folder):
    """How many tests with such marks pass on a backend, all that there are; leaves `trained_model` in a folder."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = "import sys, pytest, trained_model; trained_model.save_to(sys.argv[1]); sys.exit(pytest.main(sys.argv[2:]))"
    path = map(str, (TESTS, TESTS / "convert", TESTS.parent))
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            folder,
            "-p",
            "no:cacheprovider",
            "-m",
            marked,
            *(TESTS / m for m in TRAINING_SIDE),
        ],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(path),
            "OMP_NUM_THREADS": "1",  # PyTorch's threads wait for each other longer than they compute
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # nets this small take longer to compile than to train
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),  # each fit compiles what those before it did
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        },
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    summary = run.stdout.strip().splitlines()[-1]
    print(f"{backend}: {summary}")
    return int(re.search(r"(\d+) passed", summary)[1])
