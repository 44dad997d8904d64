"""Runs a model in C on an emulated Cortex-M: every output bit is checked, and every instruction counted.

Needs `cmake`, `arm-none-eabi-gcc` with newlib, `qemu-system-arm` and a C compiler for the host (Debian: `apt-get
install cmake gcc gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm`).
"""

import contextlib
import ctypes
import re
import shutil
import subprocess
import tempfile
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_sparse_rnn.firmware.c_source import array
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.project import write_plain_c
from keras_sparse_rnn.firmware.sources import source_folder

# QEMU's board for each core. There is none with a Cortex-M0+; a Cortex-M3 runs its instructions.
BOARDS = {
    "cortex-m0plus": "mps2-an385",
    "cortex-m3": "mps2-an385",
    "cortex-m4": "mps2-an386",
    "cortex-m7": "mps2-an500",
    "cortex-m55": "mps3-an547",
}
# Cores whose timings are known (tflite/firmware/cycles.h). A Cortex-M7 issues two instructions a cycle, by rules that
# are not public.
TIMED = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55")
TOOLS = ("cmake", "gcc", "arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm")


@dataclass(frozen=True)
class OpCost:
    """What an op takes in a call, in the mean over the calls.

    Attributes:
        name: As in the model; "" is the copying of input and output.
        instructions: Executed.
        cycles_estimate: See `Measurement`.
    """

    name: str
    instructions: float
    cycles_estimate: float | None


@dataclass(frozen=True)
class Measurement:
    """What a run on an emulated board showed.

    Attributes:
        outputs: `(calls, values)`, as the board gave them.
        instructions: Executed in each call, in order: `NAME_step` of a model that takes one time step a call, else
            `NAME_run`.
        cycles_estimate: Of the mean call: the cores' documented timings applied to those instructions
            (`tflite/firmware/cycles.h`), for memory without wait states. An estimate, not a measurement; None for a
            core that is not one of `TIMED`.
        ops: An `OpCost` for each op of the model, in its order, and a last one for what is between them.
        functions: Instructions in the mean call by the C function that they belong to, the largest first; empty unless
            `measure` was asked for them.
        code_bytes, data_bytes: Of the image, with the recorded inputs and the C library: what lies in flash, and in RAM
            without the stack. What the model and its kernels take: `project.plain_c_sizes`.
    """

    outputs: np.ndarray
    instructions: tuple
    cycles_estimate: float | None
    ops: tuple
    functions: dict
    code_bytes: int
    data_bytes: int

    @property
    def mean_instructions(self):
        return float(np.mean(self.instructions))


def missing_tools():
    """Names of the programs that `measure` needs and this machine lacks."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def measure(
    model,
    inputs,
    cpu="cortex-m4",
    *,
    calls_per_sequence=None,
    whole_sequences=False,
    portable=False,
    optimization="-O2",
    by_function=False,
    expected=None,
    folder=None,
):
    """Runs a model on an emulated board, from a clear state, and counts.

    Args:
        model: A `runtime.model.Model`.
        inputs: What the calls take, one after the other, `(calls, values)` in the model's own dtype.
        cpu: One of `BOARDS`.
        calls_per_sequence: After so many calls the states are cleared, outside of what is counted; None: never.
        whole_sequences: Whether a call takes a whole sequence even where the model could take a step.
        portable: Whether to take the kernels in plain C alone.
        optimization: Of the compiler, `"-O2"`, `"-Os"`, ...
        by_function: Whether to tell functions apart.
        expected: What the outputs must be, `(calls, values)`; None: what the same C gives on this machine.
        folder: Where to build, so that models measured there one after the other, with the same options, do not compile
            the kernels again; None: a temporary folder.

    Returns:
        A `Measurement`.

    Raises:
        ValueError: `cpu` is unknown, the inputs do not fit, or plain C has no kernel for an op.
        RuntimeError: A tool is missing, the image cannot be built, or an output differs from what is expected.
    """
    if cpu not in BOARDS:
        raise ValueError(f"cpu must be one of {list(BOARDS)}; given: {cpu!r}.")
    if missing := missing_tools():
        raise RuntimeError(
            f"{', '.join(missing)} must be installed to run firmware in QEMU (Debian: apt-get install cmake gcc "
            "gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)."
        )
    code = PlainC(model, allow_streaming=not whole_sequences, has_marks=True)
    inputs = np.ascontiguousarray(inputs, model.inputs[0].dtype)
    if inputs.ndim != 2 or inputs.shape[1] != code.input_size or len(inputs) == 0:
        raise ValueError(f"inputs must have the shape (calls, {code.input_size}); given: {inputs.shape}.")
    calls_per_sequence = calls_per_sequence or len(inputs)
    with tempfile.TemporaryDirectory() if folder is None else contextlib.nullcontext(folder) as folder:
        folder = Path(folder) / "model"
        write_plain_c([code], folder)
        for program in ("main.c", "frames.c"):
            (folder / program).unlink(missing_ok=True)
        if expected is None:
            expected = _run_on_host(code, folder, inputs, calls_per_sequence)
        (folder / "recorded.h").write_text(_recording(code, inputs, expected, calls_per_sequence))
        image = _build(folder, cpu, portable, optimization)
        calls, functions = _run(image, cpu, by_function)
        if len(calls) != len(inputs):
            raise RuntimeError(f"the emulated board reported {len(calls)} of {len(inputs)} calls.")
        counts, parts = zip(*calls, strict=True)
        cycles = float(np.mean(counts, axis=0)[1]) if cpu in TIMED else None
        ops = _op_costs([op.name for op in model.operators], np.mean(counts, axis=0), np.mean(parts, axis=0), cpu)
        return Measurement(expected, tuple(n for n, _ in counts), cycles, ops, functions, *_sizes(image))


def _run_on_host(code, folder, inputs, calls_per_sequence):
    """The outputs of the same C, compiled for this machine: `(calls, values)`."""
    library = folder / "host.so"
    sources = [*folder.glob("*.c"), *folder.glob("ksr/*.c")]
    _call(
        "gcc",
        "-O2",
        "-ffp-contract=off",
        "-shared",
        "-fPIC",
        f"-I{folder}",
        f"-I{folder}/ksr",
        f"-I{source_folder() / 'firmware'}",
        *sources,
        "-o",
        library,
        "-lm",
    )
    core = ctypes.CDLL(str(library))
    if getattr(core, f"{code.name}_init")() != 0:
        raise RuntimeError("the model's C refuses the model on this machine.")
    outputs = np.zeros((len(inputs), code.output_size), code.tensors[1].dtype)
    for i, (x, y) in enumerate(zip(inputs, outputs, strict=True)):
        if i % calls_per_sequence == 0:
            getattr(core, f"{code.name}_reset")()
        getattr(core, code.call)(x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p))
    return outputs


def _recording(code, inputs, outputs, calls_per_sequence):
    as_bytes = [
        array(f"recorded_{name}", values.view(np.uint8)) for name, values in (("input", inputs), ("output", outputs))
    ]
    return f"""\
#include "ksr_align.h"
#include "{code.name}.h"
#define recorded_init {code.name}_init
#define recorded_reset {code.name}_reset
#define recorded_call(x, y) {code.call}((const void *)(x), (void *)(y))
enum {{
  RECORDED_CALLS = {len(inputs)},
  RECORDED_CALLS_A_SEQUENCE = {calls_per_sequence},
  RECORDED_INPUT_BYTES = {inputs[0].nbytes},
  RECORDED_OUTPUT_BYTES = {outputs[0].nbytes},
}};
{"".join(as_bytes)}"""


def _build(folder, cpu, portable, optimization):
    build, firmware = folder / "build", source_folder() / "firmware"
    toolchain = firmware / "arm-none-eabi.cmake"
    options = (
        f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
        f"-DCPU={cpu}",
        f"-DMODEL={folder}",
        f"-DOPTIMIZATION={optimization}",
        f"-DPORTABLE={int(portable)}",
    )
    if not build.exists():
        _call("cmake", "-S", firmware, "-B", build, *options)
    _call("cmake", "--build", build)
    return build / "firmware.elf"


def _run(image, cpu, by_function):
    """For each call `((instructions, cycles), parts)`, the parts being those between two marks, `(parts, 2)`; and
    `Measurement.functions`."""
    plugin, log = image.with_name("count.so"), image.with_name("count.txt")
    sources = (source_folder() / "firmware" / name for name in ("count_instructions.c", "cycles.c"))
    if not plugin.exists():
        _call("gcc", "-O2", "-shared", "-fPIC", *sources, "-o", plugin)
    board = ("-M", BOARDS[cpu], "-kernel", image, "-nographic", "-monitor", "none", "-serial", "none")
    semihosting = ("-semihosting-config", "enable=on,target=native")
    arguments = f"{plugin},core={cpu}" + (",addresses=on" if by_function else "")
    log_options = ("-plugin", arguments, "-d", "plugin", "-D", log)
    _call("qemu-system-arm", *board, *semihosting, *log_options)
    calls, parts = [], []
    text = log.read_text()
    for kind, *numbers in re.findall(r"^(part|count) (\d+) (\d+)$", text, re.MULTILINE):
        if kind == "part":
            parts.append(tuple(map(int, numbers)))
        else:
            calls.append((tuple(map(int, numbers)), parts))
            parts = []
    executed = [(int(at, 16), int(count)) for at, count in re.findall(r"^at (\w+) (\d+)$", text, re.MULTILINE)]
    return calls, _by_function(image, executed, len(calls)) if by_function else {}


def _by_function(image, executed, calls):
    """Sums `(address, count)` by function."""
    symbols = re.findall(r"^(\w+) [tTW] ([^$\s]+)$", _call("arm-none-eabi-nm", "-n", image), re.MULTILINE)
    starts = [int(address, 16) & ~1 for address, _ in symbols]
    counts = Counter()
    for address, count in executed:
        counts[symbols[bisect_right(starts, address) - 1][1]] += count / calls
    return dict(counts.most_common())


def _op_costs(names, total, parts, cpu):
    """An `OpCost` for each op and for the rest, from the means of what was between the marks: for each step of a call
    what comes before the first op, and then each op."""
    of_ops = parts.reshape(-1, 1 + len(names), 2).sum(axis=0)[1:]
    costs = [*of_ops, total - of_ops.sum(axis=0)]
    return tuple(
        OpCost(name, float(instructions), float(cycles) if cpu in TIMED else None)
        for name, (instructions, cycles) in zip([*names, ""], costs, strict=True)
    )


def _sizes(image):
    """Bytes of flash and of RAM that an image takes."""
    text, data, bss = (int(size) for size in _call("arm-none-eabi-size", image).splitlines()[1].split()[:3])
    return text + data, data + bss


def _call(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"{Path(str(command[0])).name} failed with status {done.returncode}:\n{output}")
    return done.stdout
