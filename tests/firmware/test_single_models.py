"""Small models alone as one header and one source: what a model does not need is not missed."""

import shutil
import subprocess
from functools import cache

import keras
import numpy as np
import pytest
from keras.layers import GRU, Bidirectional, Dense
from random_models import random_op

import keras_sparse_rnn as ksr
from keras_sparse_rnn.firmware import host_check, qemu, save_firmware
from keras_sparse_rnn.firmware.image import STRICT
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.project import write_single_file
from keras_sparse_rnn.firmware.targets import PROCESSORS, TARGETS, host
from keras_sparse_rnn.runtime.model import Model

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="convert needs the TensorFlow backend")
KINDS = {
    "int8": ("int8", lambda: GRU(16)),
    "int8x16": ("int8x16", lambda: GRU(8)),
    "float32": ("float32", lambda: GRU(8)),
    "int4": ("int4", lambda: GRU(8)),
    "bidirectional": ("int8", lambda: Bidirectional(GRU(8), merge_mode="mul")),
    "delta": ("int8", lambda: ksr.layers.DeltaLSTM(8)),
}
QUICK = {("int8", "cortex-m4"), ("int8", "any"), ("int8x16", "x86-64"), ("bidirectional", "x86-64")}
HERE = ("any", host())


@cache
def _converted(kind):
    weights, layer = KINDS[kind]
    model = keras.Sequential([keras.Input((10, 6)), layer(), Dense(2, activation="softmax")])
    x = np.random.default_rng(0).normal(size=(16, 10, 6)).astype(np.float32)
    return ksr.convert(model, None if weights == "float32" else x, weights=weights, verify=False)


def _compilers(cpu):
    if cpu in TARGETS:
        return [] if qemu.missing_tools(cpu) else [TARGETS[cpu].compiler("-O2")]
    commands = {"any": ("gcc", "clang"), host(): ("gcc", "clang"), "arm64": ("aarch64-linux-gnu-gcc",)}
    return [(command, "-O1") for command in commands.get(cpu, ()) if shutil.which(command)]


@pytest.mark.slow_but(kind=["int8"])
@pytest.mark.parametrize(
    ("kind", "cpu"),
    [
        pytest.param(kind, cpu, marks=() if (kind, cpu) in QUICK else pytest.mark.slow)
        for kind in KINDS
        for cpu in ("cortex-m4", "cortex-m0plus", "cortex-m55", "rv32imc", "x86-64", "arm64", "any")
    ],
)
def test_one_model_compiles_without_warnings_and_runs(kind, cpu, tmp_path):
    if not (compilers := _compilers(cpu)):
        pytest.skip(f"no compiler for {cpu}")
    code = PlainC(Model(_converted(kind).data))
    for small in (False, True):
        [name] = write_single_file([code], tmp_path, PROCESSORS[cpu], small)
        for compiler in compilers:
            command = (*compiler, *STRICT, "-c", f"{name}.c", "-o", "model.o")
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        if cpu in HERE:
            host_check.check(code, tmp_path)


@pytest.mark.skipif(bool(qemu.missing_tools()), reason="no compiler or emulator for boards")
def test_a_converted_model_is_saved_for_a_board(tmp_path):
    written = _converted("int8").save_firmware(tmp_path, name="k", single_file=True, cpu="cortex-m4")
    assert written.files == ("k_model.c", "k_model.h")
    assert written.is_verified is True
    assert written.builds["-O2"].instructions["k_model"] > 1000


@pytest.mark.parametrize(
    "options", [{}, {"single_file": True, "cpu": "cortex-m4"}, {"framework": "tflm-cmake"}], ids=str
)
def test_nothing_is_written_if_a_compiler_fails(options, tmp_path, monkeypatch):
    for name in ("gcc", "size"):
        tool = tmp_path / f"arm-none-eabi-{name}"
        tool.write_text("#!/bin/sh\nexit 1\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(RuntimeError, match=r"arm-none-eabi-\w+ failed with status 1"):
        save_firmware(random_op(5).to_model(), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
def test_a_call_without_a_prototype_is_not_accepted(tmp_path):
    code = PlainC(Model(random_op(5).to_model()))
    [name] = write_single_file([code], tmp_path, PROCESSORS["any"])
    host_check.check(code, tmp_path)
    with open(tmp_path / f"{name}.c", "a") as file:
        file.write("int never(void);\nint never(void) { return 0 && ksr_nowhere(); }\n")
    with pytest.raises(RuntimeError, match="ksr_nowhere"):
        host_check.check(code, tmp_path)
