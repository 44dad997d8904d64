"""Layers, methods and callbacks on the other Keras backends, each in a process of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

TESTS = Path(__file__).parent


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the run on TensorFlow starts the others")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_side_on(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    names = ("initializers", "optimizers", "regularizers", "schedules")
    modules = [TESTS / name for name in ("layers", "sparsity", "callbacks", *(f"test_{name}.py" for name in names))]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, modules)],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    print(f"{backend}: {run.stdout.strip().splitlines()[-1]}")
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
