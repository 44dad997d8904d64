"""Measures the cost of a model: instructions per op on an emulated board, or time on this computer."""

import time
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.rendering import columns
from keras_sparse_rnn.firmware.targets import LEVELS, TARGETS
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.typing import ModelSource

HOST = "host"
# Each core by its name and its short forms, and "host".
CPUS = {name: name for name in TARGETS} | {name.removeprefix("cortex-"): name for name in TARGETS}
CPUS |= {"m0": "cortex-m0plus", "cortex-m0": "cortex-m0plus", "m0+": "cortex-m0plus", HOST: HOST}
CPUS |= {"esp32-c3": "rv32imc", "esp32-c6": "rv32imc"}
_NOISE_STEPS = 40


@dataclass(frozen=True)
class OpTime:
    """The time of a custom op on this computer.

    Attributes:
        name: Its custom code.
        microseconds: Median time in the C core, including the call from Python.
    """

    name: str
    microseconds: float


@dataclass(frozen=True)
class BuildCost:
    """The cost of a model at one optimization level. Instructions and cycles are per time step if the model has a time
    axis, and per inference otherwise, averaged over the inputs.

    Attributes:
        instructions: Executed instructions.
        least, most: The smallest and the largest count of a call of the C function; a call is a step, or a sequence if
            the model does not take single steps.
        cycles_estimate, flash_cycles_estimate: Cycles for memory without wait states, and for flash with wait states;
            see `firmware.qemu.Measurement`. None if unknown.
        ops: A `firmware.qemu.OpCost` for each op, and one named "" for the copying of input and output.
        init_instructions: Instructions of `NAME_init`.
        flash_bytes, ram_bytes, stack_bytes: See `firmware.qemu.Measurement`.
    """

    instructions: float
    least: int
    most: int
    cycles_estimate: float | None
    flash_cycles_estimate: float | None
    ops: tuple
    init_instructions: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int


@dataclass(frozen=True)
class Bench:
    """The result of `bench`.

    Attributes:
        cpu: A name in `firmware.targets.TARGETS`, or "host".
        unit: "step" or "inference".
        count: Number of steps or inferences that ran.
        builds: A `BuildCost` for each of `firmware.targets.LEVELS`, `{"-O2": ..., "-Os": ...}`; empty on the host.
        ops: An `OpTime` for each custom op on the host; `()` if the engine "native" lacks another op of the model.
        microseconds: Median time on the host in LiteRT with this package's ops and one thread; None on a board.
    """

    cpu: str
    unit: str
    count: int
    builds: dict = field(default_factory=dict)
    ops: tuple = ()
    microseconds: float | None = None

    def __str__(self) -> str:
        if self.cpu == HOST:
            ops = [f"  {op.name} in the C core: {op.microseconds:,.2f} us" for op in self.ops]
            whole = f"LiteRT on this computer, one thread: {self.microseconds:,.2f} us per {self.unit} (median)"
            return "\n".join([whole, *ops])
        lines = columns({level: self._figures(build) for level, build in self.builds.items()})
        count = f"mean of {self.count} {self.unit}s"
        return "\n".join([f"{self.cpu}, {count}, outputs as the NumPy engine's", *lines])

    def _figures(self, build):
        """The printed lines of a build, a list of `(label, number)`."""
        figures = [(f"instructions per {self.unit}", build.instructions)]
        figures += [(f"  {op.name or 'input, output'}", op.instructions) for op in build.ops]
        if build.least != build.most:
            figures += [("  fewest in a call", build.least), ("  most in a call", build.most)]
        cycles = {"": build.cycles_estimate, ", flash that waits": build.flash_cycles_estimate}
        figures += [(f"cycles per {self.unit}{memory} (estimate)", n) for memory, n in cycles.items() if n is not None]
        figures += [("instructions of init", build.init_instructions)]
        figures += [(f"{name}, bytes", getattr(build, f"{name.lower()}_bytes")) for name in ("flash", "RAM", "stack")]
        return figures


def bench(
    model: ModelSource,
    x: np.ndarray | None = None,
    cpu: str = "cortex-m4",
    *,
    rounds: int = 50,
) -> Bench:
    """Measures the cost of a model, built for speed and for size, on inputs that each begin with a clear state.

    Args:
        model: A `.tflite` model with one input and one output: its path, its bytes, a `runtime.model.Model`, or the
            result of `ksr.convert`.
        x: Recorded inputs, `(samples, *shape of the input without its batch axis)`; if the model can take one step at
            a time, `(samples, steps, ...)` of any length. Real values, or values of the input's dtype. None uses noise.
        cpu: A key of `CPUS`.
        rounds: Number of timed inferences on the host.

    Returns:
        A `Bench`; it prints as text.

    Raises:
        ValueError: `cpu` is unknown, the inputs do not fit, or (on a board) plain C has no kernel for an op.
        RuntimeError: A tool is missing, an output of the board is not equal bit for bit to that of the same C on this
            computer, or an op of that C differs from the NumPy engine.
    """
    if cpu not in CPUS:
        raise ValueError(f"cpu must be one of {list(CPUS)}; given: {cpu!r}.")
    model = Model.of(model)
    if len(model.inputs) != 1:
        names = [tensor.name for tensor in model.inputs]
        raise ValueError(f"model must have one input to be measured; it has {len(names)}: {', '.join(names)}.")
    return _time_on_host(model, x, rounds) if CPUS[cpu] == HOST else _count_on_board(model, x, CPUS[cpu])


def _count_on_board(model, x, cpu):
    code = PlainC(model)
    has_steps = code.is_streaming or len(model.inputs[0].shape) == 3
    takes_steps = has_steps and (code.is_streaming or model.inputs[0].shape[1] == 1)
    sequences = _stored(model.inputs[0], x, takes_steps)
    calls = sequences.reshape(-1, code.inputs[0].size)
    steps = model.inputs[0].shape[1] if has_steps and not takes_steps else 1

    def of_step(total):
        return None if total is None else total / steps

    builds, expected = {}, None
    for level in LEVELS:
        options = {"calls_per_sequence": len(calls) // len(sequences), "optimization": level, "expected": expected}
        seen = qemu.measure(model, calls, cpu, **options)
        expected = seen.outputs
        builds[level] = BuildCost(
            of_step(seen.mean_instructions),
            min(seen.instructions),
            max(seen.instructions),
            of_step(seen.cycles_estimate),
            of_step(seen.flash_cycles_estimate),
            tuple(qemu.OpCost(op.name, of_step(op.instructions), of_step(op.cycles_estimate)) for op in seen.ops),
            seen.init_instructions,
            seen.flash_bytes,
            seen.ram_bytes,
            seen.stack_bytes,
        )
    return Bench(cpu, "step" if has_steps else "inference", len(calls) * steps, builds)


def _time_on_host(model, x, rounds):
    from keras_sparse_rnn import runtime

    sequences = _stored(model.inputs[0], x, takes_steps=False)
    has_steps = len(model.inputs[0].shape) == 3
    steps = model.inputs[0].shape[1] if has_steps else 1

    def run(engine, clock):
        for i in range(rounds):
            inputs = [sequences[i % len(sequences)][None].repeat(engine.batch_size, axis=0)]
            engine.reset()
            clock("", engine.invoke, inputs)

    def median(seconds):
        return float(np.median(seconds)) * 1e6 / steps

    whole = _Clock()
    run(runtime.load(model, "litert"), whole)
    try:
        core = runtime.load(model, "native")
    except ValueError:  # it lacks an op of the model
        ops = ()
    else:
        by_op, run_custom = _Clock(), core.run_custom
        core.run_custom = lambda op, inputs: by_op(op, run_custom, op, inputs)
        run(core, lambda _, invoke, inputs: invoke(inputs))
        ops = tuple(OpTime(op.name, median(by_op.seconds[op])) for op in core.custom_operators)
    unit = "step" if has_steps else "inference"
    return Bench(HOST, unit, rounds * steps, ops=ops, microseconds=median(whole.seconds[""]))


class _Clock:
    """Calls functions and records the time of each call under a key."""

    def __init__(self):
        self.seconds = defaultdict(list)

    def __call__(self, key, function, *arguments):
        start = time.perf_counter()
        result = function(*arguments)
        self.seconds[key].append(time.perf_counter() - start)
        return result


def _stored(tensor, x, takes_steps):
    """Sequences as the model stores its input, `(samples, ...)`."""
    if x is None:
        shape = (1, _NOISE_STEPS, *tensor.shape[2:]) if takes_steps else tensor.shape
        x = np.random.default_rng(0).normal(size=shape)
        if tensor.scale is None and tensor.dtype != np.float32:
            raise ValueError(f"input '{tensor.name}' holds numbers of {tensor.dtype}, not a signal: give inputs.")
    x = np.asarray(x)
    expected = ("samples", "steps", *tensor.shape[2:]) if takes_steps else ("samples", *tensor.shape[1:])
    fits = x.ndim == len(expected) and all(isinstance(e, str) or n == e for n, e in zip(x.shape, expected, strict=True))
    if not fits or x.size == 0:
        shown = ", ".join(map(str, expected))
        raise ValueError(f"inputs must have the shape ({shown}); given: {x.shape}.")
    return tensor.quantize(x if x.dtype == tensor.dtype else x.astype(np.float32))
