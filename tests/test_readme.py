"""The README's example, as it stands."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs the TensorFlow backend")
def test_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(example, names)
    for variable in names["events"].cell.kernel, names["events"].cell.recurrent_kernel:
        assert np.mean(keras.ops.convert_to_numpy(variable) == 0) == pytest.approx(0.9, abs=0.01)
    dense_float32 = 4 * names["model"].count_params()
    assert (tmp_path / "model.tflite").stat().st_size < dense_float32 / 5


def test_commands_are_there():
    assert ".venv/bin/python -m keras_sparse_rnn demo" in README
    assert "pip install -q -e '.[test]' && .venv/bin/python -m pytest" in README
