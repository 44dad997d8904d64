"""Each example, run as a script in this process, where TensorFlow is there already."""

import contextlib
import csv
import io
import os
import runpy
import sys
from pathlib import Path
from unittest import mock

import keras
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def printed_by(example, *arguments):
    shown, argv = io.StringIO(), [example, "--quick", *map(str, arguments)]
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(shown):
        runpy.run_path(str(EXAMPLES / example), run_name="__main__")
    return shown.getvalue()


def percentages(printed, start):
    """Those at the end of the lines that begin so."""
    ends = [line.split()[-1] for line in printed.splitlines() if line.startswith(start)]
    return [float(end.removesuffix("%")) for end in ends]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


converts = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it converts: TensorFlow only")


@converts
def test_sparse_gru_writes_its_model(tmp_path):
    for name in ("aeon", "tflite_micro"):
        pytest.importorskip(name)
    out = tmp_path / "model.tflite"
    in_keras, in_tflm = percentages(printed_by("sparse_gru.py", "--out", out), "accuracy in ")
    assert 0 < in_keras <= 100 and in_tflm == pytest.approx(in_keras, abs=3)
    assert out.read_bytes()[4:8] == b"TFL3"


@pytest.mark.slow
def test_delta_gru_costs_less_than_the_gru_that_it_was():
    pytest.importorskip("aeon")
    *_, gru, delta, fine_tuned, _ = printed_by("delta_gru.py").splitlines()
    assert gru.startswith("GRU 32") and delta.startswith("DeltaGRU 32, its weights")
    assert float(gru.split()[-1]) == 3 * 32 * (12 + 32)
    assert all(float(row.split()[-1]) < 2 / 3 * 3 * 32 * (12 + 32) for row in (delta, fine_tuned))


@converts
def test_what_tfmot_pruned_is_taken_over_and_converted(tmp_path, beside_tfmot):
    for name in ("aeon", "tflite_micro", "matplotlib"):
        pytest.importorskip(name)
    out, picture = tmp_path / "model.tflite", tmp_path / "kernel.png"
    printed = beside_tfmot(printed_by, "from_tfmot.py", "--out", out, "--picture", picture)
    _, theirs, ours, _, difference, _ = printed.splitlines()
    assert theirs.startswith("tf_keras, pruned by tfmot") and ours.startswith("Keras 3")
    assert ours.split()[-3:] == theirs.split()[-3:]
    assert float(difference.split()[-1]) < 1e-6
    assert out.read_bytes()[4:8] == b"TFL3"
    assert picture.read_bytes()[1:4] == b"PNG"


@pytest.mark.slow
@converts
@pytest.mark.skipif("KSR_DATA" not in os.environ, reason="KSR_DATA does not name a folder with rnnoise.npz")
def test_rnnoise_is_what_its_own_c_computes(tmp_path):
    pytest.importorskip("tflite_micro")
    results = tmp_path / "results.csv"
    printed = printed_by("rnnoise.py", "--results", results)
    assert float(printed.splitlines()[0].split()[-3]) < 2e-4
    rows = rows_of(results)
    largest = {"int8": 1.5, "int8, by channel": 1, "int8, scaled": 1, "int8x16": 0.3, "int8x16, by channel": 0.3}
    assert [row["net"] for row in rows] == list(largest)
    assert all(float(row["dB"]) < largest[row["net"]] for row in rows)
    if rows[0]["M4"]:  # the GRUs alone, in integers, and in float32 by RNNoise's C
        own_on_m4 = int(printed.splitlines()[-1].split("M4 ")[1].split(", M55")[0].replace(",", ""))
        assert max(int(row["M4, GRUs"]) for row in rows) < own_on_m4 / 4
    # A later run goes on from there: nothing is computed again.
    with mock.patch("keras_sparse_rnn.convert", side_effect=AssertionError):
        assert printed_by("rnnoise.py", "--results", results) == printed
    assert rows_of(results) == rows


@converts
@pytest.mark.slow
@pytest.mark.skipif("KSR_DATA" not in os.environ, reason="KSR_DATA does not name a folder with rnnoise.npz")
def test_rnnoise_is_fine_tuned_drawn_and_written_as_c(tmp_path):
    for name in ("tflite_micro", "matplotlib"):
        pytest.importorskip(name)
    out, results = (tmp_path / "gains.png", tmp_path / "c"), tmp_path / "results.csv"
    extra = "--picture", out[0], "--firmware", out[1], "--results", results
    printed_by("rnnoise.py", "--delta", 1, "--train", 4, *extra)
    *_, float32, int8, int8x16 = rows_of(results)
    assert [row["net"] for row in (float32, int8, int8x16)] == [
        f"delta 1 dB, 4 updates, {weights}" for weights in ("float32", "int8", "int8x16")
    ]
    assert float(float32["MACs"]) < 86_952 / 1.5
    assert out[0].read_bytes()[1:4] == b"PNG"
    assert "rnnoise_model_set_threshold" in (out[1] / "rnnoise_model.h").read_text()


@converts
@pytest.mark.slow
@pytest.mark.skipif("KSR_DATA" not in os.environ, reason="KSR_DATA does not name a folder with rnnoise.npz")
def test_students_of_rnnoise_are_pruned_and_hold(tmp_path):
    printed_by("rnnoise.py", "--students", 4, "--results", tmp_path / "results.csv")
    [row] = rows_of(tmp_path / "results.csv")
    assert row["net"] == "delta 0.5, 70% zeros, 4 updates" and 0 < float(row["loss"]) < 0.5
    assert float(row["MACs"]) < 0.3 * 27_060  # of the dense one of the same width


def test_a_cell_of_ones_own_is_pruned(tmp_path):
    pytest.importorskip("matplotlib")
    printed = printed_by("custom_cell.py", "--picture", tmp_path / "kernel.png").splitlines()
    assert (tmp_path / "kernel.png").read_bytes()[1:4] == b"PNG"
    assert printed[2].split() == ["mgu/cell/recurrent_kernel", "(32,", "64)", "90.0%"]


@pytest.mark.slow
@converts
@pytest.mark.parametrize(
    "example, nets",
    [
        ("gesture.py", ["DeltaGRU 16"]),
        pytest.param("keyword_spotting.py", ["DeltaGRU 32", "GRU 8"], marks=pytest.mark.slow),
    ],
)
def test_from_the_sensor_to_the_board(example, nets, tmp_path):
    for name in ("aeon", "tflite_micro", "matplotlib"):
        pytest.importorskip(name)
    if example.startswith("keyword") and "KSR_DATA" not in os.environ:
        pytest.skip("KSR_DATA does not name a folder with fsdd.npz")
    heading, *rows = printed_by(example, "--out", tmp_path).splitlines()
    assert heading.split()[0] == "accuracy" and heading.split()[-1] == "flash"
    for net, row in zip(nets, rows, strict=False):
        assert row.startswith(net)
        assert (tmp_path / f"{net}.tflite").read_bytes()[4:8] == b"TFL3"
        assert (tmp_path / f"{net}, C" / "ksr" / "ksr_gru_layer.h").exists()
    [picture] = tmp_path.glob("*.png")
    assert picture.read_bytes()[1:4] == b"PNG"
