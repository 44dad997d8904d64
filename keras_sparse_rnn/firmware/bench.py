"""What a model costs: instructions on an emulated Cortex-M by op, or time on this computer."""

import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.project import plain_c_sizes
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.typing import ModelSource

HOST = "host"
# Each core under its name, as users shorten it, and "host".
CPUS = {name: name for name in qemu.BOARDS} | {name.removeprefix("cortex-"): name for name in qemu.BOARDS}
CPUS |= {"m0": "cortex-m0plus", "cortex-m0": "cortex-m0plus", "m0+": "cortex-m0plus", HOST: HOST}
_NOISE_STEPS = 40


@dataclass(frozen=True)
class OpTime:
    """What one of our ops takes on this computer.

    Attributes:
        name: Its custom code.
        microseconds: Median time in the C core, the call from Python included.
    """

    name: str
    microseconds: float


@dataclass(frozen=True)
class Bench:
    """What `bench` saw. Figures are for a time step where the model has a time axis, else for an inference, in the mean
    over the inputs.

    Attributes:
        cpu: A name in `firmware.qemu.BOARDS`, or "host".
        unit: "step" or "inference".
        count: How many of them ran.
        instructions: Executed; None on the host.
        least, most: Of the calls of the C function; a call is a step, or a sequence where the model takes no steps.
        cycles_estimate: See `firmware.qemu.Measurement`; None on the host and for cores without known timings.
        ops: A `firmware.qemu.OpCost` for each op, and one of the name "" for the copying of input and output. On the
            host an `OpTime` for each of our ops; `()` where the engine "native" lacks an op between them.
        flash_bytes, ram_bytes: Of the model and its kernels as plain C at -Os, without the C library and the stack;
            None on the host.
        microseconds: Median time in LiteRT with this package's ops, one thread, on the host; else None.
    """

    cpu: str
    unit: str
    count: int
    instructions: float | None = None
    least: int | None = None
    most: int | None = None
    cycles_estimate: float | None = None
    ops: tuple = ()
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    microseconds: float | None = None

    def __str__(self) -> str:
        if self.cpu == HOST:
            ops = [f"  {op.name} in the C core: {op.microseconds:,.2f} us" for op in self.ops]
            whole = f"LiteRT on this computer, one thread: {self.microseconds:,.2f} us a {self.unit} (median)"
            return "\n".join([whole, *ops])
        names = [op.name or "input, output" for op in self.ops]
        rows = [(name, op.instructions, op.cycles_estimate) for name, op in zip(names, self.ops, strict=True)]
        rows.append(("in all", self.instructions, self.cycles_estimate))
        width = max(len(name) for name, *_ in rows)
        timed = self.cycles_estimate is not None
        lines = [f"{'a ' + self.unit:{width}}  instructions" + "  cycles (estimate)" * timed]
        for name, instructions, cycles in rows:
            lines.append(f"{name:{width}}  {instructions:12,.0f}" + (f"  {cycles:17,.0f}" if timed else ""))
        if self.least != self.most:
            lines.append(f"calls of the model: {self.least:,} to {self.most:,} instructions")
        return "\n".join(
            [
                f"{self.cpu}, mean of {self.count} {self.unit}s, every bit of the outputs checked",
                *lines,
                f"flash {self.flash_bytes:,} bytes, RAM {self.ram_bytes:,} bytes (plain C, -Os)",
            ]
        )


def bench(
    model: ModelSource,
    x: np.ndarray | None = None,
    cpu: str = "cortex-m4",
    *,
    rounds: int = 50,
) -> Bench:
    """Runs a model from a clear state on each of some inputs, and says what it costs.

    Args:
        model: A `.tflite` model with one input and one output: its path, its bytes, a `runtime.model.Model`, or what
            `ksr.convert` returns.
        x: Recorded inputs, `(samples, *shape of the input without its batch axis)`; where the model can take one step
            at a time, `(samples, steps, ...)` of any length. Real values, or values of the input's own dtype. None:
            noise.
        cpu: A key of `CPUS`.
        rounds: How many inferences are timed on the host.

    Returns:
        A `Bench`; it prints as text.

    Raises:
        ValueError: `cpu` is unknown, the inputs do not fit, or (on a Cortex-M) plain C has no kernel for an op.
        RuntimeError: A tool is missing, or an output differs from that of the same C on this computer.
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
    has_steps = len(model.inputs[0].shape) == 3
    takes_steps = has_steps and (code.is_streaming or model.inputs[0].shape[1] == 1)
    sequences = _stored(model.inputs[0], x, takes_steps)
    batch = model.inputs[0].shape[0]  # each sample of it the same
    calls = sequences.reshape(-1, 1, code.input_size // batch).repeat(batch, axis=1).reshape(-1, code.input_size)
    seen = qemu.measure(model, calls, cpu, calls_per_sequence=len(calls) // len(sequences))
    steps = model.inputs[0].shape[1] if has_steps and not takes_steps else 1

    def of_step(total):
        return None if total is None else total / steps

    return Bench(
        cpu,
        "step" if has_steps else "inference",
        len(calls) * steps,
        of_step(seen.mean_instructions),
        min(seen.instructions),
        max(seen.instructions),
        of_step(seen.cycles_estimate),
        tuple(qemu.OpCost(op.name, of_step(op.instructions), of_step(op.cycles_estimate)) for op in seen.ops),
        *plain_c_sizes([code], cpu),
    )


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
    except ValueError:  # an op around ours that it lacks
        ops = ()
    else:
        by_op, run_custom = _Clock(), core.run_custom
        core.run_custom = lambda op, inputs: by_op(op, run_custom, op, inputs)
        run(core, lambda _, invoke, inputs: invoke(inputs))
        ops = tuple(OpTime(op.name, median(by_op.seconds[op])) for op in core.custom_operators)
    unit = "step" if has_steps else "inference"
    return Bench(HOST, unit, rounds * steps, ops=ops, microseconds=median(whole.seconds[""]))


class _Clock:
    """Calls functions, and keeps what each call took by a key."""

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
