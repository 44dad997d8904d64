"""The verbs `firmware` and `bench`."""

import numpy as np
import pytest
from random_models import random_op

from keras_sparse_rnn import cli
from keras_sparse_rnn.firmware import FRAMEWORKS, qemu
from keras_sparse_rnn.verbs import firmware

needs_tools = pytest.mark.skipif(
    bool(qemu.missing_tools()),
    reason=f"{', '.join(qemu.missing_tools())} not installed (Debian: apt-get install cmake gcc gcc-arm-none-eabi "
    "libnewlib-arm-none-eabi qemu-system-arm)",
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(random_op(8).to_model())
    return path


def test_firmware_writes_a_project(model, tmp_path, capsys):
    assert cli.main(["firmware", str(model), "--out", str(tmp_path / "out"), "--name", "net"]) == 0
    assert (tmp_path / "out" / "net.c").exists()
    assert "plain-c firmware in" in capsys.readouterr().out


def test_firmware_offers_each_framework():
    assert firmware.FRAMEWORKS == FRAMEWORKS


@needs_tools
def test_bench_counts_instructions(model, capsys):
    assert cli.main(["bench", str(model), "--cpu", "m4"]) == 0
    assert "cortex-m4: " in capsys.readouterr().out


def test_bench_times_the_host_and_checks_inputs(model, tmp_path, capsys):
    assert cli.main(["bench", str(model), "--cpu", "host"]) == 0
    assert "us an inference" in capsys.readouterr().out
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    assert cli.main(["bench", str(model), "--inputs", str(tmp_path / "x.npy")]) == 1
    assert "inputs must have the shape (samples, " in capsys.readouterr().err
