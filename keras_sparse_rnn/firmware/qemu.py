"""Runs models in C on an emulated board, checks every output bit and counts every instruction.

Needs gcc for this computer and the toolchain of the core (`targets.Toolchain`): for Cortex-M `arm-none-eabi-gcc` with
newlib and `qemu-system-arm`, for RISC-V `riscv64-unknown-elf-gcc` with picolibc and `qemu-system-riscv32`.
"""

import re
import tempfile
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np

from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.image import Recording, build_image
from keras_sparse_rnn.firmware.objects import call, kept_folder
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.project import write_plain_c
from keras_sparse_rnn.firmware.sources import source_folder
from keras_sparse_rnn.firmware.targets import ARM, TARGETS

INSTALL = ARM.install
_PORTABLE = ("-DKSR_PORTABLE",)


@dataclass(frozen=True)
class OpCost:
    """The cost of an op per call, averaged over the calls.

    Attributes:
        name: Its name in the model; "" is the copying of input and output.
        instructions: Executed instructions.
        cycles_estimate: See `Measurement`.
    """

    name: str
    instructions: float
    cycles_estimate: float | None


@dataclass(frozen=True)
class Measurement:
    """The result of a run on an emulated board.

    Attributes:
        outputs: Outputs of the board, `(calls, values)`.
        instructions: Instructions executed in each call, in order: of `NAME_step` if the model takes one time step per
            call, and of `NAME_run` otherwise.
        cycles_estimate: Mean cycles per call, estimated from the core's documented timings of those instructions
            (`tflite/firmware/cycles.h`), for memory without wait states. This is not a measurement. None for a core
            without documented timings.
        flash_cycles_estimate: The same for a chip whose flash has wait states (`Target.flash_factor`); None for a core
            without published times.
        init_instructions: Instructions executed in `NAME_init`; None with `by_function`.
        ops: An `OpCost` for each op of the model, in its order, and a last one for the code between them.
        functions: Dict from each C function to its mean instructions per call, the largest first; empty unless
            `measure` was called with `by_function=True`.
        flash_bytes, ram_bytes: Bytes of the model and its kernels after linking with `--gc-sections`, without the C
            library and the stack.
        stack_bytes: The most stack that `NAME_init` and the calls used, measured by painting it before each.
    """

    outputs: np.ndarray
    instructions: tuple
    cycles_estimate: float | None
    flash_cycles_estimate: float | None
    init_instructions: int | None
    ops: tuple
    functions: dict = field(repr=False)
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int

    @property
    def mean_instructions(self):
        return float(np.mean(self.instructions))


def missing_tools(cpu="cortex-m4"):
    """Names of the programs that `measure` needs for a core and that this computer lacks."""
    return TARGETS[cpu].missing_tools()


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
    small=False,
):
    """Runs a model on an emulated board, from a clear state, and counts instructions.

    Args:
        model: A `runtime.model.Model`.
        inputs: Inputs of the consecutive calls, `(calls, values)` in the model's own dtype.
        cpu: One of `targets.TARGETS`.
        calls_per_sequence: Number of calls after which the states are cleared, which is not counted; None for never.
        whole_sequences: Whether a call takes a whole sequence even if the model can take single steps.
        portable: Whether to use only the kernels in portable C.
        optimization: Option of the compiler, `"-O2"`, `"-Os"`, ...
        by_function: Whether to count the instructions of each function.
        expected: The expected outputs, `(calls, values)`. None takes those of the same C on this computer, where every
            op is compared with the NumPy engine (`host_check`).
        small: As in `project.save_firmware`.

    Returns:
        A `Measurement`.

    Raises:
        ValueError: `cpu` is unknown, the inputs do not fit, or plain C has no kernel for an op.
        RuntimeError: A tool is missing, the image cannot be built, or an output differs from what is expected.
        MismatchError: The C differs from the NumPy engine.
    """
    target = _target(cpu)
    code = PlainC(model, allow_streaming=not whole_sequences, has_marks=True)
    given = len(code.inputs), len(code.outputs)
    if given != (1, 1):
        raise ValueError(f"model must have one input and one output to be measured; given: {given[0]} and {given[1]}.")
    inputs, size = np.ascontiguousarray(inputs, model.inputs[0].dtype), code.inputs[0].size
    if inputs.ndim != 2 or inputs.shape[1] != size or len(inputs) == 0:
        raise ValueError(f"inputs must have the shape (calls, {size}); given: {inputs.shape}.")
    calls_per_sequence = calls_per_sequence or len(inputs)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if expected is None:
            write_plain_c([code], folder, small)
            starts = range(0, len(inputs), calls_per_sequence)
            checked = host_check.check(code, folder, [[inputs[i : i + calls_per_sequence]] for i in starts])
            expected = np.concatenate([outputs for (outputs,) in checked])
        recording = Recording(code, [inputs], [np.asarray(expected)], calls_per_sequence)
        options = {"options": _PORTABLE if portable else (), "write": partial(write_plain_c, small=small)}
        image, flash, ram = build_image(
            [recording], folder, target, optimization, counts_init=not by_function, **options
        )
        seen = _run(image, target, by_function)
    init, calls = (None, seen.counts) if by_function else (seen.counts[0][0][0], seen.counts[1:])
    if len(calls) != len(inputs):
        raise RuntimeError(f"the emulated board reported {len(calls)} of {len(inputs)} calls.")
    counts, parts = zip(*calls, strict=True)
    mean = np.mean(counts, axis=0)
    ops = _op_costs([op.name for op in code.operators], mean, np.mean(parts, axis=0), target)
    cycles = float(mean[1]) if target.is_timed else None
    in_flash = cycles * target.flash_factor if cycles and target.flash_factor else None
    instructions, functions = tuple(n for n, _ in counts), {name: n / len(calls) for name, n in seen.functions.items()}
    stack = max(seen.stacks)
    return Measurement(expected, instructions, cycles, in_flash, init, ops, functions, flash, ram, stack)


@dataclass(frozen=True)
class ProjectCost:
    """The cost of the models of one program at one optimization level.

    Attributes:
        flash_bytes, ram_bytes, stack_bytes: See `Measurement`; the stack is that of the model that needs most.
        instructions: Dict from the names of the models to the mean instructions per call of `NAME_step`, or of
            `NAME_run` for a model without single steps.
    """

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int | None = None
    instructions: dict | None = None


def project_cost(recordings, cpu, optimization, write=write_plain_c):
    """Runs models together in one image, checks every output, and counts; returns a `ProjectCost`.

    Args:
        recordings: A list of `image.Recording`.
        cpu: One of `targets.TARGETS`.
        optimization, write: As in `image.build_image`.

    Raises:
        ValueError: `cpu` is unknown.
        RuntimeError: As `measure` does; the message names the model.
    """
    target = _target(cpu)
    with tempfile.TemporaryDirectory() as folder:
        image, flash, ram = build_image(recordings, Path(folder), target, optimization, write=write)
        seen = _run(image, target, by_function=False)
    instructions, counts = {}, iter(seen.counts)
    for recording in recordings:
        calls = [next(counts)[0][0] for _ in recording.inputs[0]]
        instructions[recording.code.name] = float(np.mean(calls))
    return ProjectCost(flash, ram, max(seen.stacks), instructions)


def check(recordings, cpu, optimization="-O2", compiler=None, write=write_plain_c):
    """Runs models together in one image, and compares every output with the recorded one. Below -O2 the compiler does
    not align functions to words, so the image runs a second time with a half-word before those functions.

    Args:
        recordings: A list of `image.Recording`, their code without marks.
        cpu: One of `targets.TARGETS`.
        optimization, compiler, write: As in `image.build_image`.

    Raises:
        ValueError: `cpu` is unknown.
        RuntimeError: As `measure` does; the message names the model.
    """
    target = _target(cpu)
    for is_moved in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            image, *_ = build_image(
                recordings, Path(folder), target, optimization, is_moved=is_moved, compiler=compiler, write=write
            )
            call(*_emulator(image, target))


def _target(cpu):
    if cpu not in TARGETS:
        raise ValueError(f"cpu must be one of {list(TARGETS)}; given: {cpu!r}.")
    if missing := missing_tools(cpu):
        install = TARGETS[cpu].toolchain.install
        raise RuntimeError(f"{', '.join(missing)} must be installed to run firmware in QEMU ({install}).")
    return TARGETS[cpu]


@dataclass(frozen=True)
class _Seen:
    """The counts of a run.

    Attributes:
        counts: `((instructions, cycles), parts)` for each interval between marks, with parts of the shape `(parts, 2)`.
        functions: Dict from functions to their total instructions.
        stacks: For each model, the bytes of stack that its `init` and its calls used.
    """

    counts: list
    functions: dict
    stacks: list


def _run(image, target, by_function):
    log = image.with_name("count.txt")
    plugin = f"{_plugin()},isa={target.toolchain.isa},core={target.name}" + (",addresses=on" if by_function else "")
    _, printed = call(*_emulator(image, target), "-plugin", plugin, "-d", "plugin", "-D", log)
    counts, parts = [], []
    text = log.read_text()
    for kind, *numbers in re.findall(r"^(part|count) (\d+) (\d+)$", text, re.MULTILINE):
        if kind == "part":
            parts.append(tuple(map(int, numbers)))
        else:
            counts.append((tuple(map(int, numbers)), parts))
            parts = []
    executed = [(int(at, 16), int(count)) for at, count in re.findall(r"^at (\w+) (\d+)$", text, re.MULTILINE)]
    stacks = [max(map(int, pair)) for pair in re.findall(r"^stack (\d+) (\d+)$", printed, re.MULTILINE)]
    return _Seen(counts, _by_function(image, executed, target), stacks)


def _emulator(image, target):
    board = (target.toolchain.emulator, "-M", *target.board, "-kernel", image)
    board += ("-nographic", "-monitor", "none", "-serial", "none")
    return (*board, "-semihosting-config", "enable=on,target=native")


@cache
def _plugin():
    path = kept_folder() / "count.so"
    sources = (source_folder() / "firmware" / name for name in ("count_instructions.c", "cycles.c"))
    call("gcc", "-O2", "-shared", "-fPIC", *sources, "-o", path)
    return path


def _by_function(image, executed, target):
    """Sums `(address, count)` by function."""
    if not executed:
        return {}
    symbols = re.findall(r"^(\w+) [tTW] ([^$\s]+)$", call(target.toolchain.tool("nm"), "-n", image)[0], re.MULTILINE)
    starts = [int(address, 16) & ~1 for address, _ in symbols]
    counts = Counter()
    for address, count in executed:
        counts[symbols[bisect_right(starts, address) - 1][1]] += count
    return dict(counts.most_common())


def _op_costs(names, total, parts, target):
    """Returns an `OpCost` for each op and for the rest, from the means between the marks. Each step of a call has the
    code before the first op, and then each op."""
    of_ops = parts.reshape(-1, 1 + len(names), 2).sum(axis=0)[1:]
    costs = [*of_ops, total - of_ops.sum(axis=0)]
    return tuple(
        OpCost(name, float(instructions), float(cycles) if target.is_timed else None)
        for name, (instructions, cycles) in zip([*names, ""], costs, strict=True)
    )
