"""Layers, methods and callbacks on the other Keras backends, each in a process of its own."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

TESTS = Path(__file__).parent
TRAINING_SIDE = ("layers", "sparsity", "callbacks")
TRAINING_SIDE += tuple(
    f"test_{name}.py" for name in ("initializers", "optimizers", "pruner", "regularizers", "schedules")
)
TRAINING_SIDE += ("test_docs.py::test_training_loop_of_this_backend_runs",)

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's run starts the others")
on_others = pytest.mark.parametrize("backend", ["jax", "torch"])


@on_others
def test_what_a_backend_computes(backend):
    _run(backend, "backend and not slow", at_least=100)


@pytest.mark.slow
@on_others
def test_the_whole_training_side(backend):
    _run(backend, "not backend or slow", at_least=300)


def _run(backend, marked, at_least):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    modules = [str(TESTS / name) for name in TRAINING_SIDE]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", marked, *modules],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    summary = run.stdout.strip().splitlines()[-1]
    print(f"{backend}: {summary}")
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", summary)[1]) >= at_least
