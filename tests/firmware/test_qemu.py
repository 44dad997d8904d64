"""Models on emulated Cortex-M boards."""

import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from adapter_models import between_dense_layers
from random_models import random_op
from recorded_models import images, recorded_models

from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.firmware.project import write_plain_c
from keras_sparse_rnn.firmware.targets import TARGETS
from keras_sparse_rnn.runtime.model import Model

needs_tools = pytest.mark.skipif(
    bool(qemu.missing_tools()),
    reason=f"{', '.join(qemu.missing_tools())} not installed ({qemu.INSTALL})",
)
# Each set of kernels once, and the level that boards are built at by default.
QUICK = {("cortex-m4", "-Os"), ("cortex-m55", "-O2")}


def _calls(op):
    """What a streaming model takes call by call, and what it has to give."""
    backwards = op.op.options.go_backwards
    return (op.x[None].reshape(1, -1), op.expected().reshape(1, -1)) if backwards else (op.x, op.op(op.x))


def _needs(cpu):
    missing, install = TARGETS[cpu].missing_tools(), TARGETS[cpu].toolchain.install
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed ({install})")


@pytest.mark.parametrize(
    ("cpu", "level"),
    [
        pytest.param(cpu, level, marks=[_needs(cpu), *([] if (cpu, level) in QUICK else [pytest.mark.slow])])
        for cpu in TARGETS
        for level in ("-O0", "-Os", "-O2")
    ],
)
def test_every_bit_equals_the_definition(cpu, level):
    for models in images(cpu):
        qemu.check(models, cpu, level)


@needs_tools
@pytest.mark.skipif(shutil.which("clang") is None, reason="clang not installed (Debian: apt-get install clang)")
@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m0plus", "cortex-m55"])
def test_every_bit_of_what_clang_compiles_equals_the_definition(cpu):
    search = subprocess.run(["arm-none-eabi-cpp", "-v", "/dev/null"], check=True, capture_output=True, text=True).stderr
    library = next(folder for folder in search.split() if Path(folder, "string.h").exists())
    target = [option for option in TARGETS[cpu].compiler("-Os") if option.startswith("-m")]
    for models in images(cpu):
        qemu.check(models, cpu, "-Os", ("clang", "--target=arm-none-eabi", *target, f"-isystem{library}"))


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("cpu", TARGETS)
def test_every_bit_of_small_kernels_equals_the_definition(cpu):
    for models in images(cpu):
        qemu.check(models, cpu, "-Os", write=partial(write_plain_c, small=True))


@needs_tools
def test_a_wrong_output_is_found_and_named():
    *right, last = recorded_models()[:2]
    outputs = last.outputs[0].copy()
    outputs[-1, -1] ^= 1
    with pytest.raises(RuntimeError, match=f"failed with status 2:\n.*\n{last.code.name}: output differs"):
        qemu.check([*right, replace(last, outputs=[outputs])], "cortex-m3")


@pytest.mark.slow_but(cpu=["cortex-m4"])
@pytest.mark.parametrize("cpu", [pytest.param(cpu, marks=_needs(cpu)) for cpu in ("cortex-m4", "rv32imc")])
def test_counts_are_exact(cpu):
    """A second run executes the same instructions; a call with the same input from the same state, too."""
    op = random_op(8)
    model = Model(op.to_model())
    silent = np.full((3, op.x.shape[-1] * (1 if not op.op.options.go_backwards else len(op.x))), 0, np.int8)
    first, second = (qemu.measure(model, silent, cpu, by_function=by_function) for by_function in (False, True))
    assert first.instructions == second.instructions and len(first.instructions) == 3
    assert min(first.instructions) > 100
    assert sum(second.functions.values()) == pytest.approx(second.mean_instructions)
    assert "ksr_event_gru_run_i8" in second.functions and not first.functions
    with pytest.raises(RuntimeError, match="failed with status 2"):
        qemu.measure(model, silent, cpu, expected=first.outputs ^ 1)


@pytest.mark.slow
@needs_tools
def test_costs_by_op_and_an_estimate_of_cycles():
    model = Model(between_dense_layers(all_outputs=False))
    x = np.random.default_rng(0).integers(-128, 128, model.inputs[0].shape[1:]).astype(np.int8).reshape(1, -1)
    for cpu, timed in (("cortex-m4", True), ("cortex-m7", False)):
        seen = qemu.measure(model, x, cpu, whole_sequences=True)
        assert [op.name for op in seen.ops] == [*(op.name for op in model.operators), ""]
        assert min(op.instructions for op in seen.ops) > 0
        assert sum(op.instructions for op in seen.ops) == seen.mean_instructions
        if timed:
            assert sum(op.cycles_estimate for op in seen.ops) == seen.cycles_estimate
            assert 1.2 * seen.mean_instructions < seen.cycles_estimate < 2.5 * seen.mean_instructions
            assert seen.flash_cycles_estimate == pytest.approx(1.27 * seen.cycles_estimate)
        else:
            assert seen.cycles_estimate is None and seen.flash_cycles_estimate is None


def test_an_unknown_cpu_is_named():
    with pytest.raises(ValueError, match=r"cpu must be one of .*cortex-m4.*; given: 'cortex-a9'"):
        qemu.measure(Model(random_op(0).to_model()), np.zeros((1, 1)), "cortex-a9")


def test_missing_tools_are_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "qemu-system-riscv32" else name)
    with pytest.raises(RuntimeError, match=r"^qemu-system-riscv32 must be installed .*picolibc-riscv64-unknown-elf"):
        qemu.measure(Model(random_op(0).to_model()), np.zeros((1, 1)), "rv32imc")
