import importlib.util
import subprocess
import sys

import keras
import pytest

from keras_sparse_rnn import __version__, demo
from keras_sparse_rnn.cli import main


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["demo", "--data", "mnist"], ["demo", "--out"]])
def test_bad_use_is_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: keras-sparse-rnn" in capsys.readouterr().err


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["demo", "--help"])
    assert stopped.value.code == 0
    assert "python -m keras_sparse_rnn demo" in capsys.readouterr().out


def test_the_module_runs():
    run = subprocess.run([sys.executable, "-m", "keras_sparse_rnn", "--version"], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, f"keras-sparse-rnn {__version__}\n")


def fails(capsys, *arguments):
    """The one line on stderr of a run that has to fail."""
    assert main(list(arguments)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("keras-sparse-rnn demo: ")
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.fixture
def tensorflow(monkeypatch):
    """These errors come before anything is computed: they are the same on a process of any backend."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")


@pytest.mark.usefixtures("tensorflow")
def test_missing_data_says_what_to_do(capsys, monkeypatch, tmp_path):
    out = tmp_path / "out"
    monkeypatch.delenv("KSR_DATA", raising=False)
    assert "needs the environment variable KSR_DATA" in fails(capsys, "demo", "--data", "fsdd", "--out", str(out))
    monkeypatch.setenv("KSR_DATA", str(tmp_path))
    assert str(tmp_path / "fsdd.npz") in fails(capsys, "demo", "--data", "fsdd", "--out", str(out))
    assert not out.exists()


@pytest.mark.usefixtures("tensorflow")
def test_out_that_is_no_folder(capsys, tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    assert str(path) in fails(capsys, "demo", "--out", str(path))


@pytest.mark.usefixtures("tensorflow")
def test_missing_packages_are_named(capsys, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("aeon", "rich") else find_spec(name))
    assert 'the demo needs aeon, rich: pip install "keras-sparse-rnn[demo]"' in fails(capsys, "demo")


def test_other_backends_are_refused(capsys, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert "this process runs jax. Set KERAS_BACKEND=tensorflow." in fails(capsys, "demo")


def test_unexpected_errors(capsys, monkeypatch):
    def run(*arguments):
        raise KeyError("lost\nand gone")

    monkeypatch.setattr(demo, "run", run)
    assert "KeyError: 'lost\\nand gone' (--debug shows where)" in fails(capsys, "demo")
    with pytest.raises(KeyError):
        main(["demo", "--debug"])


def test_interruption(capsys, monkeypatch):
    def run(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", run)
    assert main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_native_logs_do_not_reach_the_user():
    script = """
import os, sys
from keras_sparse_rnn import cli, demo

def run(*arguments):
    os.write(2, b"native noise\\n")
    print("progress", file=sys.stderr)

demo.run = run
for option in ("--quick", "--debug"):
    os.write(2, f"{option}\\n".encode())
    cli.main(["demo", option])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stderr.endswith("--quick\nprogress\n--debug\nnative noise\nprogress\n")
