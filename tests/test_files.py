"""Files are written whole or not at all, and where they cannot be, that is said before the work and in one line."""

import os
from pathlib import Path

import numpy as np
import pytest
from random_models import random_op

import keras_sparse_rnn as ksr
from keras_sparse_rnn.cli import main
from keras_sparse_rnn.convert import ConvertedModel
from keras_sparse_rnn.convert.ranges import Ranges
from keras_sparse_rnn.files import check_folder, check_path, write_file

needs_proc = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="the file system in which nobody makes files")


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    for data in (b"first", b"second"):
        write_file(path, data)
        assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["file"]
    check_path(path)


def test_what_is_no_folder_or_no_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(FileNotFoundError, match=f"'{file}' is no folder"):
        check_path(file / "below")
    with pytest.raises(FileNotFoundError, match=f"'{tmp_path}/new' does not exist"):
        check_path(tmp_path / "new" / "file")
    with pytest.raises(IsADirectoryError, match=f"path must name a file; given: the folder '{tmp_path}'"):
        write_file(tmp_path, b"")
    for folder in (file, file / "below" / "further"):
        with pytest.raises(NotADirectoryError, match=f"'{file}' is a file"):
            check_folder(folder)
    check_folder(tmp_path / "new" / "further")
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    op = random_op(8)
    (folder / "model.tflite").write_bytes(op.to_model())
    np.save(folder / "x.npy", np.zeros((1, *op.x.shape), "float32"))
    return folder


@needs_proc
@pytest.mark.parametrize("verb", ["firmware", "run", "report", "convert", "demo"])
def test_verbs_say_in_a_line_that_nothing_can_be_written(saved, verb, capsys):
    arguments = {
        "firmware": [saved / "model.tflite"],
        "run": [saved / "model.tflite", "--inputs", saved / "x.npy"],
        "report": [saved / "model.tflite"],
        "convert": [saved / "model.keras"],
        "demo": [],
    }[verb]
    (saved / "model.keras").touch()
    assert main([verb, *map(str, arguments), "--out", "/proc/x"]) == 1
    assert capsys.readouterr().err == (
        f"keras-sparse-rnn {verb}: the folder '/proc' cannot be written to: No such file or directory.\n"
    )


@pytest.mark.parametrize(
    ("verb", "model", "out", "said"),
    [
        ("convert", "m.keras", "m.keras", "the output must be a file .tflite; given: 'm.keras'."),
        ("convert", "m.keras", "x.npy", "the output must be a file .tflite; given: 'x.npy'."),
        ("convert", "m.keras", "script", "the output must be a file .tflite; given: 'script'."),
        ("report", "m.keras", "m.keras", "the output must be a file .html or .htm; given: 'm.keras'."),
        ("report", "m.keras", "other.H5", "the output must be a file .html or .htm; given: 'other.H5'."),
        ("report", "m.tflite", "m.tflite", "the output must be a file .html or .htm; given: 'm.tflite'."),
        ("run", "m.tflite", "m.tflite", "the output must be a file .npy or .npz; given: 'm.tflite'."),
        (
            "run",
            "m.tflite",
            "x.npy",
            "the output 'x.npy' would overwrite the input 'x.npy': give another file to write.",
        ),
        (
            "run",
            "m.tflite",
            "link.npy",
            "the output 'link.npy' would overwrite the input 'x.npy': give another file to ",
        ),
        (
            "run",
            "m.tflite",
            "./x.npy",
            "the output 'x.npy' would overwrite the input 'x.npy': give another file to wri",
        ),
    ],
)
def test_verbs_do_not_overwrite_what_they_read_nor_files_of_another_kind(
    verb, model, out, said, saved, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for name in ("m.keras", "other.H5", "script"):
        Path(name).write_bytes(b"trained")
    Path("m.tflite").write_bytes((saved / "model.tflite").read_bytes())
    Path("x.npy").write_bytes((saved / "x.npy").read_bytes())
    Path("link.npy").symlink_to("x.npy")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main([verb, model, "--inputs" if verb == "run" else "--data", "x.npy", "-o", out]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"keras-sparse-rnn {verb}: {said}") and err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_functions_that_write_refuse_the_name_of_another_kind_of_file(saved, tmp_path):
    model = tmp_path / "model.keras"
    model.write_bytes(b"trained")
    writes = [
        (ConvertedModel(b"", None).save, ".tflite"),
        (Ranges({"x": (0.0, 1.0)}).save, ".json"),
        (lambda path: ksr.report(saved / "model.tflite", path=path, cpu=None), ".html or .htm"),
    ]
    for write, allowed in writes:
        with pytest.raises(ValueError, match=f"the output must be a file {allowed}; given: '{model}'"):
            write(model)
    assert model.read_bytes() == b"trained"
    ConvertedModel(b"made", None).save(tmp_path / "model.bin")
    assert (tmp_path / "model.bin").read_bytes() == b"made"


def test_run_writes_the_kind_of_file_that_is_asked_for(saved, tmp_path, capsys):
    arguments = ["run", str(saved / "model.tflite"), "--inputs", str(saved / "x.npy"), "--engine", "reference", "-o"]
    assert main([*arguments, str(tmp_path / "y.npy")]) == main([*arguments, str(tmp_path / "y.npz")]) == 0
    [values] = np.load(tmp_path / "y.npz").values()
    np.testing.assert_array_equal(values, np.load(tmp_path / "y.npy"))
