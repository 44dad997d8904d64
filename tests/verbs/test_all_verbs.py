"""What all verbs have in common, in processes of their own where that matters."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.cli import VERBS, _parser, main

NAMES = [verb.__name__.rpartition(".")[2] for verb in VERBS]


def run(*arguments, **environment):
    command = [sys.executable, "-m", "keras_sparse_rnn", *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Path of a model with everything of ours that a file can name."""
    path = tmp_path_factory.mktemp("saved") / "events.keras"
    events = ksr.layers.EventGRU(
        8, threshold_initializer=ksr.initializers.Beta(), activity_regularizer=ksr.regularizers.EventPenalty(1.0)
    )
    keras.Sequential([keras.Input((6, 5)), events, keras.layers.Dense(2)]).save(path)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_help_wraps_and_has_an_example(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0 and "--debug" in shown
    body, _, examples = shown.partition("\nexample")
    assert max(map(len, body.splitlines())) <= 100
    assert f"keras-sparse-rnn {name}" in examples or f"keras_sparse_rnn {name}" in examples


def test_help_comes_without_keras_and_without_a_word_of_tensorflow(tmp_path):
    (tmp_path / "keras.py").write_text("raise SystemExit('keras was imported')")
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('tensorflow was imported')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    for arguments, status in (["--help"], 0), (["convert", "--help"], 0), (["run"], 2):
        done = run(*arguments, PYTHONPATH=path)
        assert done.returncode == status
        assert (done.stderr == "") == (status == 0) and "imported" not in done.stderr


def test_the_command_line_knows_our_layers(saved):
    done = run("summary", saved, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["layers"][0]["kind"] == "EventGRU"


def test_documentation_shows_what_can_be_parsed():
    page = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
    shown = re.findall(r"^keras-sparse-rnn (.*?)(?: +#.*)?$", page, re.MULTILINE)
    assert {command.split()[0] for command in shown} == set(NAMES) - {"demo"}
    for command in shown:
        assert _parser().parse_args(command.split()).verb in NAMES


@pytest.mark.parametrize("place", ["in front", "behind"])
def test_debug_shows_the_traceback(place):
    arguments = ["summary", "nothing.keras"]
    with pytest.raises(FileNotFoundError):
        main(["--debug", *arguments] if place == "in front" else [*arguments, "--debug"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["summary", "nothing.keras"], "no file 'nothing.keras'"),
        (["summary", "model.onnx"], "must be a file .keras, .h5, .tflite; given: 'model.onnx'"),
        (["summary", "text.keras"], "text.keras"),
        (["inspect", "text.keras"], "text.keras"),
        (["inspect", "text.tflite"], "no .tflite file"),
        (["summary", "text.tflite"], "no .tflite file"),
        (["summary", "text.tflite", "--data", "x.npy"], "--data is for a Keras model"),
        (["inspect", "text.tflite", "--data", "x.npy"], "--data is for a Keras model"),
        (["convert", "text.tflite", "-o", "out.tflite"], "must be a Keras model"),
        (["convert", "text.keras", "-o", "missing/out.tflite"], "'missing' does not exist"),
        (["run", "text.keras", "--inputs", "x.npy", "-o", "missing/y.npy"], "'missing' does not exist"),
        (["run", "text.tflite", "--inputs", "text.keras"], "not a .npy or .npz file"),
        (["run", "text.keras", "--inputs", "x.npy", "--engine", "tflm"], "--engine is for a .tflite file"),
        (["report", "nothing.keras"], "no file 'nothing.keras'"),
        (["report", "text.tflite"], "no .tflite file"),
        (["bench", "nothing.tflite"], "nothing.tflite"),
        (["firmware", "nothing.tflite", "-o", "out"], "nothing.tflite"),
    ],
)
def test_a_failure_is_one_line(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("text.keras", "text.tflite"):
        (tmp_path / name).write_text("no model")
    np.save("x.npy", np.zeros((2, 6, 5)))
    before = sorted(tmp_path.iterdir())
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith(f"keras-sparse-rnn {arguments[0]}: ") and words in printed.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((0, 6, 5)), "must have the shape (samples, 6, 5) with at least one sample, .*; given: (0, 6, 5)."),
        (np.zeros((2, 6, 4)), "must have the shape (samples, 6, 5) with at least one sample, .*; given: (2, 6, 4)."),
        (np.full((2, 6, 5), np.nan), "holds NaN or infinite values."),
    ],
    ids=["no samples", "other features", "NaN"],
)
@pytest.mark.parametrize("verb", ["summary", "run", "report"])
def test_data_that_do_not_fit_a_keras_model_are_refused_in_a_line(verb, values, words, saved, tmp_path, capsys):
    np.save(tmp_path / "x.npy", values)
    option = "--inputs" if verb == "run" else "--data"
    out = [] if verb == "summary" else ["-o", str(tmp_path / ("page.html" if verb == "report" else "y.npy"))]
    assert main([verb, str(saved), option, str(tmp_path / "x.npy"), *out]) == 1
    printed = capsys.readouterr()
    title = "--inputs" if verb == "run" else "data"
    pattern = re.escape(f"keras-sparse-rnn {verb}: {title} {words}\n").replace(re.escape(".*"), ".*")
    assert printed.out == "" and re.fullmatch(pattern, printed.err)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
