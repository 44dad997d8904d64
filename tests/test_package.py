"""The package as installed: what an import brings, and what happens without a compiler."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.runtime import native

ROOT = Path(__file__).parents[1]


def _python(code, **env):
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.strip()


def test_public_names_exist():
    for name in ksr.__all__:
        assert hasattr(ksr, name)


def test_import_is_light():
    """Beyond what Keras itself imports for its backend."""
    code = (
        "import keras, sys; before = set(sys.modules); import keras_sparse_rnn;"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    new = _python(code).split()
    heavy = {"tensorflow", "tf_keras", "tensorflow_model_optimization", "ai_edge_litert", "tflite_micro", "matplotlib"}
    assert "keras_sparse_rnn" in new and not heavy & set(new)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs the TensorFlow backend")
def test_conversion_works_after_tfmot_was_imported():
    """tfmot turns on legacy Keras for the whole process."""
    code = (
        "import tensorflow_model_optimization, keras, numpy as np, keras_sparse_rnn as ksr;"
        "model = keras.Sequential([keras.Input((5, 3)), ksr.layers.EventGRU(4), keras.layers.Dense(2)]);"
        "x = np.ones((4, 5, 3), 'float32');"
        "print(ksr.convert(model, x).predict(x).shape)"
    )
    assert _python(code).endswith("(4, 2)")


def test_without_a_compiler_the_package_builds_and_says_what_is_missing(tmp_path, monkeypatch):
    build = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--build-lib", tmp_path, "--build-temp", tmp_path],
        env={**os.environ, "CC": "no-such-compiler"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr[-2000:]
    assert not list(tmp_path.rglob("_core*"))
    monkeypatch.setattr(native, "__file__", str(tmp_path / "native.py"))
    with pytest.raises(RuntimeError, match="install gcc or clang"):
        native.library_path()
