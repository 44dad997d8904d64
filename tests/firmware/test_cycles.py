"""The estimate of cycles, by instructions whose timings are in Arm's manuals (and, for Cortex-M55, in LLVM's model)."""

import ctypes
import shutil
import subprocess

import pytest

from keras_sparse_rnn.firmware.sources import source_folder

CORES = {"cortex-m0plus": 0, "cortex-m3": 1, "cortex-m4": 2, "cortex-m55": 3}
TOOLS = ("gcc", "arm-none-eabi-gcc", "arm-none-eabi-objcopy")
missing = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")

STRAIGHT = {
    "cortex-m0plus": {
        "adds r0, r1, r2": 1,
        "muls r0, r1, r0": 1,
        "ldr r0, [r1]": 2,
        "ldrsb r0, [r1, r2]": 2,
        "str r0, [r1]": 2,
        "ldr r0, [r1]; ldr r2, [r3]": 4,
        "ldmia r0!, {r1-r4}": 5,
        "push {r4-r7, lr}": 6,
        "mrs r0, primask": 3,
        "dmb": 3,
    },
    "cortex-m3": {
        "mul r0, r1, r2": 1,
        "mla r0, r1, r2, r3": 2,
        "mls r0, r1, r2, r3": 2,
        "smull r0, r1, r2, r3": 4,
        "smlal r0, r1, r2, r3": 6,
        "sdiv r0, r1, r2": 7,
        "ssat r0, #8, r1": 1,
        "ldrb r0, [r1], #1": 2,
    },
    "cortex-m4": {
        "add.w r8, r1, r2, lsl #3": 1,
        "mla r0, r1, r2, r3": 1,
        "smlabb r0, r1, r2, r3": 1,
        "smmul r0, r1, r2": 1,
        "smull r0, r1, r2, r3": 1,
        "smlald r0, r1, r2, r3": 1,
        "udiv r0, r1, r2": 7,
        "ldr r0, [r1]": 2,
        "ldr.w r0, [r1, #100]": 2,
        "ldrsh.w r0, [r1, r2, lsl #1]": 2,
        "ldr r0, [r1]; ldr r2, [r3]": 3,
        "ldr r0, [r1]; ldr r2, [r0]": 4,
        "ldr r0, [r1]; ldr r2, [r3, r0]": 4,
        "ldr r0, [r1]; str r0, [r2]": 3,
        "ldr r0, [r1]; adds r2, r3; ldr r4, [r3]": 5,
        "str r0, [r1, #4]": 1,
        "str r0, [r1, r2]": 2,
        "ldmia r0!, {r1-r4}": 5,
        "ldmia.w r0!, {r4-r11}": 9,
        "stmdb sp!, {r4-r11, lr}": 10,
        "ldrd r0, r1, [r2]": 3,
        "strd r0, r1, [r2, #8]": 3,
        "tst r0, r1": 1,
        "it eq; moveq r0, r1": 2,
        "vldr s0, [r0]": 2,
        "vldmia r0!, {s0-s3}": 5,
        "vmul.f32 s0, s1, s2": 1,
        "vadd.f32 s0, s1, s2": 1,
        "vmla.f32 s0, s1, s2": 3,
        "vfma.f32 s0, s1, s2": 3,
        "vdiv.f32 s0, s1, s2": 14,
        "vsqrt.f32 s0, s1": 14,
        "vmov r0, s1": 1,
        "vmov r0, r1, s2, s3": 2,
    },
    "cortex-m55": {
        "ldr.w r0, [r1, #4]": 1,
        "mla r0, r1, r2, r3": 1,
        "ldrd r0, r1, [r2]": 1,
        "ldmia.w r0!, {r4-r11}": 4,
        "muls r0, r1, r0; adds r2, #1": 1,
        "adds r2, #1; muls r0, r1, r0; muls r0, r1, r0": 2,
        "muls r0, r1, r0; muls r0, r1, r0": 2,
        "vldrb.s32 q0, [r0]": 2,
        "vldrw.u32 q0, [r0], #16; vldrw.u32 q1, [r0], #16": 4,
        "vldrw.u32 q0, [r0]; vmla.s32 q1, q2, r3": 3,
        "vldrw.u32 q0, [r0]; vmla.s32 q1, q2, r3; vstrw.32 q1, [r0]": 4,
        "vmla.s32 q1, q2, r3; vmul.i32 q3, q4, q5": 4,
        "vadd.i32 q0, q1, q2; vmla.s32 q1, q2, r3": 3,
        "vqrdmulh.s32 q0, q1, q2; vqdmulh.s32 q0, q1, r2": 4,
        "vshr.s32 q0, q1, #3; vadd.i32 q0, q1, q2": 4,
        "vldrh.s32 q0, [r0, q1, uxtw #1]": 2,
        "vst20.16 {q0, q1}, [r0]; vst21.16 {q0, q1}, [r0]": 4,
        "vidup.u16 q0, r0, #1; vfma.f32 q0, q1, q2": 3,
        "vadd.f32 s0, s1, s2": 1,
        "vldr s0, [r0]": 1,
    },
}
TAKEN = [
    ("cortex-m0plus", "b .", 1),
    ("cortex-m0plus", "pop {r4, pc}", 2),
    ("cortex-m3", "bx lr", 2),
    ("cortex-m4", "beq.w .", 2),
    ("cortex-m55", "1: nop; le lr, 1b", 0),
    ("cortex-m55", "b .", 2),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("cycles") / "cycles.so"
    source = source_folder() / "firmware" / "cycles.c"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", source, "-o", path], check=True)
    return ctypes.CDLL(str(path))


@pytest.fixture(scope="module")
def assemble(tmp_path_factory):
    """The bytes of each of some snippets for a core, by one run of the assembler."""
    folder = tmp_path_factory.mktemp("code")

    def run(core, snippets):
        source = "".join(f'.section .s{i},"ax"\n{text.replace(";", chr(10))}\n' for i, text in enumerate(snippets))
        (folder / "code.s").write_text(f".syntax unified\n.thumb\n{source}")
        float_abi = ["-mfloat-abi=hard"] if core in ("cortex-m4", "cortex-m55") else []
        command = ["arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", *float_abi, "-c", "code.s", "-o", "code.o"]
        subprocess.run(command, check=True, cwd=folder)
        found = []
        for i in range(len(snippets)):
            copy = ["arm-none-eabi-objcopy", "-O", "binary", "-j", f".s{i}", "code.o", "code.bin"]
            subprocess.run(copy, check=True, cwd=folder)
            found.append((folder / "code.bin").read_bytes())
        return found

    return run


@pytest.mark.parametrize("core", STRAIGHT)
def test_straight_code(core, library, assemble):
    snippets = list(STRAIGHT[core])
    estimated = {
        text: library.ksr_cycles_straight(CORES[core], code, len(code))
        for text, code in zip(snippets, assemble(core, snippets), strict=True)
    }
    assert estimated == STRAIGHT[core]


@pytest.mark.parametrize(("core", "text", "expected"), TAKEN)
def test_taken_branches(core, text, expected, library, assemble):
    (code,) = assemble(core, [text])
    size = len(code) - (2 if text.startswith("1: nop") else 0)
    assert library.ksr_cycles_taken(CORES[core], code[-size:], size) == expected
