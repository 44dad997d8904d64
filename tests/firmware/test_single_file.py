"""Plain C as one header and one source for a processor."""

import json
import re
import subprocess
from functools import partial

import pytest
from adapter_models import between_dense_layers
from random_models import random_op
from recorded_models import images, recorded_models

from keras_sparse_rnn.cli import main
from keras_sparse_rnn.firmware import host_check, qemu, save_firmware
from keras_sparse_rnn.firmware.conditionals import Conditionals
from keras_sparse_rnn.firmware.image import STRICT, build_for_host
from keras_sparse_rnn.firmware.project import write_single_file
from keras_sparse_rnn.firmware.targets import PROCESSORS, TARGETS, host

needs_tools = pytest.mark.skipif(bool(qemu.missing_tools()), reason="no compiler or emulator for boards")
needs_riscv = pytest.mark.skipif(bool(qemu.missing_tools("rv32imc")), reason="no compiler or emulator for RISC-V")
needs_compiler = pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
# Which processors' bodies a file for int8 may hold; those of the DSP extension fall back on plain C.
BODIES = {
    "any": {"portable"},
    "x86-64": {"portable", "x86"},
    "cortex-m0plus": {"portable", "thumb"},
    "cortex-m3": {"portable", "thumb"},
    "cortex-m4": {"portable", "thumb", "dsp"},
    "cortex-m55": {"portable", "thumb", "dsp", "helium"},
    "rv32imc": {"portable", "rv32"},
    "arm64": {"portable", "neon"},
}


@pytest.mark.slow_but(small=[True])
@needs_compiler
@pytest.mark.parametrize(("cpu", "small"), dict.fromkeys([("any", True), (host(), False)]))
def test_all_models_in_one_file_run_here(cpu, small, tmp_path):
    """Each op in each number format, every bit of their outputs."""
    compiler = (*host_check.compiler(), "-O1")
    write = partial(write_single_file, processor=PROCESSORS[cpu], small=small)
    program = build_for_host(recorded_models(), tmp_path, compiler, write)
    subprocess.run([program], check=True, capture_output=True)
    assert sorted(path.name for path in tmp_path.glob("firmware.*")) == ["firmware.c", "firmware.h"]
    assert not list(tmp_path.glob("ksr*"))


@needs_tools
@pytest.mark.parametrize(
    "cpu",
    [
        "cortex-m4",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("cortex-m0plus", "cortex-m3", "cortex-m55")),
        pytest.param("rv32imc", marks=[needs_riscv, pytest.mark.slow]),
    ],
)
def test_all_models_in_one_file_run_on_a_board(cpu):
    for models in images(cpu):
        qemu.check(models, cpu, write=partial(write_single_file, processor=PROCESSORS[cpu]))


@pytest.mark.slow_but(cpu=["cortex-m4", "cortex-m55", "rv32imc"])
@pytest.mark.parametrize("cpu", BODIES)
def test_a_file_holds_the_kernels_of_its_processor_alone(cpu, tmp_path):
    codes = [recording.code for recording in recorded_models()]
    write_single_file(codes, tmp_path, PROCESSORS[cpu])
    text = re.sub(r"/\*.*?\*/", "", (tmp_path / "firmware.c").read_text(), flags=re.DOTALL)
    found = set(re.findall(r"\bksr_\w+_(portable|thumb|dsp|helium|rv32|x86|neon)\b", text))
    assert found == BODIES[cpu]
    assert re.findall(r'#include "(.*)"', text) == ["firmware.h"]
    asked = set(
        re.findall(r"\b(?:__ARM\w+|__thumb__|__x86_64__|__aarch64__|__riscv\w*|KSR_PORTABLE|KSR_WITH_\w+)\b", text)
    )
    asked -= {"__ARM_FEATURE_DOTPROD"} if cpu == "arm64" else set()  # which some of them have
    assert asked == {name for name in PROCESSORS[cpu].macros if name.startswith("__")} - {"__GNUC__"}


@pytest.mark.parametrize("cpu", BODIES)
def test_no_macro_of_a_file_has_two_meanings_at_once(cpu, tmp_path):
    write_single_file([recording.code for recording in recorded_models()], tmp_path, PROCESSORS[cpu])
    meant, before = set(), []
    directive = re.compile(r"^ *# *(define|undef|if|el|endif)\w* *(\w*)", re.MULTILINE)
    for verb, name in directive.findall((tmp_path / "firmware.c").read_text()):
        if verb == "define":
            assert name not in meant
            meant.add(name)
        elif verb == "undef":
            meant.discard(name)
        elif verb == "if":
            before.append(set(meant))
        elif verb == "el":
            meant = set(before[-1])
        else:
            before.pop()
    assert meant and not before


@needs_tools
def test_another_processor_is_refused(tmp_path):
    [name] = write_single_file([recorded_models()[0].code], tmp_path, PROCESSORS["cortex-m4"])
    command = (*TARGETS["cortex-m3"].compiler("-O2"), *STRICT, "-c", f"{name}.c")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "this file is for a cortex-m4" in done.stderr


@pytest.mark.parametrize(
    "cpu", [pytest.param(cpu, marks=needs_riscv if cpu == "rv32imc" else needs_tools) for cpu in TARGETS]
)
def test_processors_are_what_their_compiler_says(cpu):
    command = (*TARGETS[cpu].compiler("-O2"), "-dM", "-E", "-x", "c", "/dev/null")
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    defined = dict(line.removeprefix("#define ").split(" ", 1) for line in lines)
    asked = {name for processor in PROCESSORS.values() for name in processor.macros} - {"__GNUC__"}
    assert {name: bool(defined.get(name)) for name in asked} == {n: n in PROCESSORS[cpu].macros for n in asked}
    for name in ("__ARM_ARCH_PROFILE", "__ARM_ARCH_ISA_THUMB", "__riscv_xlen"):
        assert defined.get(name) == PROCESSORS[cpu].macros.get(name)


@pytest.mark.slow
@needs_tools
def test_the_command_line_and_the_figures(tmp_path, capsys):
    model = tmp_path / "model.tflite"
    model.write_bytes(between_dense_layers(all_outputs=False))
    given = ["firmware", str(model), "-o", str(tmp_path / "out"), "--single-file", "--cpu", "cortex-m4", "--json"]
    assert main([*given, "--small"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["files"] == ["model.c", "model.h"]
    assert written["is_verified"] is True and written["cpu"] == "cortex-m4"
    project = save_firmware(model, tmp_path / "project", small=True)
    single = written["builds"]["-O2"]
    assert single["flash_bytes"] == pytest.approx(project.builds["-O2"].flash_bytes, rel=0.05)
    assert single["instructions"]["model"] == pytest.approx(project.builds["-O2"].instructions["model"], rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"single_file": True}, r"cpu must be one of \('cortex-m0', .*'any'\) for a single file; given: None"),
        ({"single_file": True, "cpu": "cortex-m99"}, "given: 'cortex-m99'"),
        ({"cpu": "cortex-m4"}, "cpu is of a single file: pass single_file=True; given: cpu='cortex-m4'"),
        (
            {"single_file": True, "cpu": "cortex-m4", "framework": "zephyr"},
            "single_file is of framework='plain-c'; given: framework='zephyr'",
        ),
    ],
)
def test_refusals(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_firmware(random_op(5).to_model(), tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


SOURCE = """\
#if defined(KSR_A) && KSR_A == 2
two
#elif defined(UNKNOWN) || KSR_B
maybe
#elif KSR_A
one
#else
never
#endif
#ifndef KSR_C
#define KSR_C 1
#endif
#ifdef UNKNOWN
#define KSR_D
#endif
#ifdef KSR_D
d
#endif
#if KSR_C == 1 && !defined(KSR_E)
last
#endif"""


def test_conditions_are_decided_where_they_are_known():
    left = list(Conditionals({"KSR_A": "1", "KSR_B": None}, ("KSR_",)).lines(SOURCE))
    assert left == [
        "#if defined(UNKNOWN) || KSR_B",
        *("maybe", "#else", "one", "#endif", "#define KSR_C 1"),
        *("#ifdef UNKNOWN", "#define KSR_D", "#endif", "#ifdef KSR_D", "d", "#endif", "last"),
    ]
    two = list(Conditionals({"KSR_A": "2"}, ("KSR_", "UNKNOWN")).lines(SOURCE))
    assert two == ["two", "#define KSR_C 1", "last"]
