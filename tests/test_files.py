"""Files are written whole or not at all, and where they cannot be, that is said before the work and in one line."""

import os
from pathlib import Path

import numpy as np
import pytest
from random_models import random_op

from keras_sparse_rnn.cli import main
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
