"""Each example, as its users run it."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def output_of(example, *arguments):
    pytest.importorskip("aeon")
    command = [sys.executable, EXAMPLES / example, "--quick", *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


converts = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it converts: TensorFlow only")


@converts
def test_sparse_gru_writes_its_model(tmp_path):
    pytest.importorskip("tflite_micro")
    out = tmp_path / "model.tflite"
    assert "accuracy in TFLM, int8" in output_of("sparse_gru.py", "--out", out)
    assert out.read_bytes()[4:8] == b"TFL3"


def test_delta_gru_costs_less_than_the_gru_that_it_was():
    *_, gru, delta, fine_tuned, _ = output_of("delta_gru.py").splitlines()
    assert gru.startswith("GRU 32") and delta.startswith("DeltaGRU 32, its weights")
    assert float(gru.split()[-1]) == 3 * 32 * (12 + 32)
    assert all(float(row.split()[-1]) < 2 / 3 * 3 * 32 * (12 + 32) for row in (delta, fine_tuned))


@converts
def test_what_tfmot_pruned_is_taken_over_and_converted(tmp_path):
    pytest.importorskip("tflite_micro")
    out, picture = tmp_path / "model.tflite", tmp_path / "kernel.png"
    printed = output_of("from_tfmot.py", "--out", out, "--picture", picture)
    _, theirs, ours, _, difference, _ = printed.splitlines()
    assert theirs.startswith("tf_keras, pruned by tfmot") and ours.startswith("Keras 3")
    assert ours.split()[-3:] == theirs.split()[-3:]
    assert float(difference.split()[-1]) < 1e-6
    assert out.read_bytes()[4:8] == b"TFL3"
    assert picture.read_bytes()[1:4] == b"PNG"


def test_a_cell_of_ones_own_is_pruned(tmp_path):
    printed = output_of("custom_cell.py", "--picture", tmp_path / "kernel.png").splitlines()
    assert (tmp_path / "kernel.png").read_bytes()[1:4] == b"PNG"
    assert printed[2].split() == ["mgu/cell/recurrent_kernel", "(32,", "64)", "90.0%"]


def run_here(example, monkeypatch, *arguments):
    """Runs a script in this process, where TensorFlow is there already."""
    monkeypatch.setattr(sys, "argv", [example, "--quick", *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / example), run_name="__main__")


@converts
@pytest.mark.parametrize(
    "example, nets", [("keyword_spotting.py", ["DeltaGRU 32", "GRU 8"]), ("gesture.py", ["DeltaGRU 16"])]
)
def test_from_the_sensor_to_the_board(example, nets, tmp_path, monkeypatch, capsys):
    for name in ("aeon", "tflite_micro", "matplotlib"):
        pytest.importorskip(name)
    if example.startswith("keyword") and "KSR_DATA" not in os.environ:
        pytest.skip("KSR_DATA does not name a folder with fsdd.npz")
    run_here(example, monkeypatch, "--out", tmp_path)
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "accuracy" and heading.split()[-1] == "flash"
    for net, row in zip(nets, rows, strict=False):
        assert row.startswith(net)
        assert (tmp_path / f"{net}.tflite").read_bytes()[4:8] == b"TFL3"
        assert (tmp_path / f"{net}, C" / "ksr" / "ksr_gru.h").exists()
    [picture] = tmp_path.glob("*.png")
    assert picture.read_bytes()[1:4] == b"PNG"
