"""The verbs `firmware` and `bench`."""

import json

import numpy as np
import pytest
from adapter_models import between_dense_layers, with_state
from random_models import random_op

from keras_sparse_rnn import cli
from keras_sparse_rnn.firmware import FRAMEWORKS, qemu
from keras_sparse_rnn.firmware.bench import CPUS
from keras_sparse_rnn.firmware.bench import bench as bench_model
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.verbs import bench, firmware

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
    assert (tmp_path / "out" / "net_model.c").exists()
    assert "plain-c firmware in" in capsys.readouterr().out


def test_firmware_writes_several_models(model, tmp_path, capsys):
    other = tmp_path / "word.tflite"
    other.write_bytes(random_op(11).to_model())
    out = str(tmp_path / "out")
    assert cli.main(["firmware", str(model), str(other), "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["names"] == ["model", "word_model"]
    out = str(tmp_path / "named")
    assert cli.main(["firmware", str(model), str(other), "--name", "wake", "word", "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["names"] == ["wake_model", "word_model"]
    assert cli.main(["firmware", str(model), str(other), "--name", "one", "--out", str(tmp_path / "third")]) == 1
    assert "--name must give a name for each model; given: 1 for 2." in capsys.readouterr().err


def test_firmware_offers_each_framework():
    assert tuple(FRAMEWORKS) == firmware.FRAMEWORKS


def test_bench_knows_each_core_under_both_names():
    assert set(bench.CPUS) == set(CPUS)
    assert CPUS["m4"] == CPUS["cortex-m4"] == "cortex-m4" and CPUS["m0"] == "cortex-m0plus"


@needs_tools
def test_bench_counts_by_op_on_recorded_inputs(tmp_path, capsys):
    model = Model(between_dense_layers(all_outputs=False))
    (tmp_path / "model.tflite").write_bytes(model.data)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(2, *model.inputs[0].shape[1:])))
    arguments = ["bench", str(tmp_path / "model.tflite"), "--inputs", str(tmp_path / "x.npy")]
    assert cli.main([*arguments, "--cpu", "m4", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    steps = model.inputs[0].shape[1]
    assert (seen["cpu"], seen["unit"], seen["count"]) == ("cortex-m4", "step", 2 * steps)
    assert [op["name"] for op in seen["ops"]] == [*(op.name for op in model.operators), ""]
    assert sum(op["instructions"] for op in seen["ops"]) == pytest.approx(seen["instructions"])
    assert seen["instructions"] < seen["cycles_estimate"] and seen["flash_bytes"] > seen["ram_bytes"] > 0
    assert cli.main([*arguments, "--cpu", "cortex-m7"]) == 0
    shown = capsys.readouterr().out
    assert "cortex-m7, mean of" in shown and "KsrEventGru" in shown and "cycles" not in shown


@needs_tools
def test_bench_clears_the_state_before_each_sample():
    data, op = with_state("KsrEventGru", np.int8)
    x = op.x[None]
    once, twice = (bench_model(data, np.concatenate([x] * n), "m4") for n in (1, 2))
    assert once.instructions == twice.instructions and twice.count == 2 * once.count == 2 * len(op.x)


def test_bench_times_the_host_and_checks_inputs(model, tmp_path, capsys):
    assert cli.main(["bench", str(model), "--cpu", "host"]) == 0
    printed = capsys.readouterr().out
    assert "us a step" in printed and "KsrEventGru in the C core: " in printed
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    for cpu in ("m4", "host"):
        assert cli.main(["bench", str(model), "--cpu", cpu, "--inputs", str(tmp_path / "x.npy")]) == 1
        assert "inputs must have the shape (samples, " in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"cpu must be one of .*'cortex-m4'.*; given: 'avr'"):
        bench_model(model, cpu="avr")
