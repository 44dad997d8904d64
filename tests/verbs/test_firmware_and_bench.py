"""The verbs `firmware` and `bench`."""

import json

import numpy as np
import pytest
from adapter_models import between_dense_layers, with_state
from random_models import random_op

from keras_sparse_rnn import cli
from keras_sparse_rnn.firmware import FRAMEWORKS, project, qemu
from keras_sparse_rnn.firmware.bench import CPUS
from keras_sparse_rnn.firmware.bench import bench as bench_model
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.verbs import bench, firmware

needs_tools = pytest.mark.skipif(
    bool(qemu.missing_tools()),
    reason=f"{', '.join(qemu.missing_tools())} not installed ({qemu.INSTALL})",
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


def test_firmware_compares_on_recorded_inputs(model, tmp_path, capsys, monkeypatch):
    shape = Model(model.read_bytes()).inputs[0].shape[1:]
    recorded, wrong = tmp_path / "x.npy", tmp_path / "wrong.npy"
    np.save(recorded, np.random.default_rng(0).normal(size=(3, *shape)).astype("float32"))
    np.save(wrong, np.zeros((3, shape[0], shape[1] + 1)))
    compared = []
    verify = project._verify
    monkeypatch.setattr(project, "_verify", lambda *args: compared.append(args) or verify(*args))
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["firmware", str(model), "--data", str(wrong), *out]) == 1
    assert f"must have the shape ('samples', {shape[0]}, {shape[1]})" in capsys.readouterr().err
    tflm = ["firmware", str(model), "--data", str(recorded), "--framework", "zephyr", *out]
    assert cli.main(tflm) == 1
    assert "given: .tflite files and --framework zephyr. Leave it out." in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not compared
    assert cli.main(["firmware", str(model), "--data", str(recorded), *out]) == 0
    [(_, sequences, *_)] = compared
    [samples] = sequences
    assert len(samples) == 3


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
    fast, small = seen["builds"]["-O2"], seen["builds"]["-Os"]
    for build in (fast, small):
        assert [op["name"] for op in build["ops"]] == [*(op.name for op in model.operators), ""]
        assert sum(op["instructions"] for op in build["ops"]) == pytest.approx(build["instructions"])
        assert build["instructions"] < build["cycles_estimate"]
        assert build["flash_bytes"] > build["ram_bytes"] > build["stack_bytes"] > 100
    assert fast["instructions"] < small["instructions"] and fast["flash_bytes"] > small["flash_bytes"]
    assert fast["ram_bytes"] == small["ram_bytes"]


@needs_tools
def test_bench_prints_both_builds_side_by_side(model, capsys):
    assert cli.main(["bench", str(model), "--cpu", "cortex-m7"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("cortex-m7, mean of ")
    rows = {line[:-28].strip(): line[-28:].split() for line in lines}
    assert all(len(cells) == 2 for cells in rows.values()) and rows[""] == ["-O2", "-Os"]
    unit = next(label for label in rows if label.startswith("instructions per "))
    steps = [int(n.replace(",", "")) for n in rows[unit]]
    ops = [int(n.replace(",", "")) for name in ("KsrEventGru", "input, output") for n in rows[name]]
    assert [a + b for a, b in zip(ops[:2], ops[2:], strict=True)] == pytest.approx(steps, abs=1)
    assert {"instructions of init", "flash, bytes", "RAM, bytes", "stack, bytes"} <= set(rows)


@needs_tools
def test_bench_clears_the_state_before_each_sample():
    data, op = with_state("KsrEventGru", np.int8)
    x = op.x[None]
    once, twice = (bench_model(data, np.concatenate([x] * n), "m4") for n in (1, 2))
    assert once.builds["-O2"].instructions == twice.builds["-O2"].instructions
    assert twice.count == 2 * once.count == 2 * len(op.x)


def test_bench_times_the_host_and_checks_inputs(model, tmp_path, capsys):
    assert cli.main(["bench", str(model), "--cpu", "host"]) == 0
    printed = capsys.readouterr().out
    assert "us per step" in printed and "KsrEventGru in the C core: " in printed
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    for cpu in ("m4", "host"):
        assert cli.main(["bench", str(model), "--cpu", cpu, "--inputs", str(tmp_path / "x.npy")]) == 1
        assert "inputs must have the shape (samples, " in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"cpu must be one of .*'cortex-m4'.*; given: 'avr'"):
        bench_model(model, cpu="avr")
