"""Each example, as its users run it."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the examples convert: TensorFlow only")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_writes_its_model(example, tmp_path):
    pytest.importorskip("tflite_micro")
    out = tmp_path / "model.tflite"
    run = subprocess.run([sys.executable, example, "--quick", "--out", out], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "accuracy in TFLM, int8" in run.stdout
    assert out.read_bytes()[4:8] == b"TFL3"
