"""Compares generated C, compiled for this computer, with the NumPy engine.

Every op is compared, not only the outputs: the engine computes each op from the tensors that the C computed. So the
rounding of one op does not grow in later ops, and a fault is found in the op that causes it.

- Custom ops give the same bits in integers.
- Builtin ops in integers may differ by one step of their scale, as the engine computes them in real numbers.
- In float32, the order of sums may differ. To estimate the effect, the engine also runs with weights and thresholds off
  by rounding, and the difference between these runs is allowed in addition to `_TOLERANCE`. From the step at which an
  event fires in only one of these runs, nothing is compared.
"""

import copy
import math
import os
import shlex
import shutil
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from keras_sparse_rnn.firmware.objects import call, compile_sources
from keras_sparse_rnn.firmware.rendering import render
from keras_sparse_rnn.firmware.sources import source_folder
from keras_sparse_rnn.runtime.reference import ReferenceEngine

# A call without a prototype, of which older compilers only warn, is an error to newer ones.
_FLAGS = ("-std=c99", "-Werror=implicit-function-declaration", "-ffp-contract=off")
# Of the largest value, at least of 1.
_TOLERANCE = 1e-5
_ROUNDING = 1e-6
_PARTED = 1e-3
_STEPS = 300  # of the sequences that `noise` makes, where one is not longer

_ENDS = {2: "its init refuses the model", 3: "it was cut off", 4: "it writes past the end of an output"}


class MismatchError(RuntimeError):
    """Generated C does not do what its model does."""


def compiler():
    """The command of this computer's C compiler, a list: `$CC`, cc, gcc or clang; None if there is none."""
    for command in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    return None


def noise(code):
    """Makes sequences for a comparison: noise, noise over the whole range, and a signal with silent parts.

    Returns:
        A list of sequences; each is a list of arrays `(calls, values)` for the inputs, in the model's types.
    """
    rng = np.random.default_rng(0)
    calls = code.steps if code.is_streaming else 2
    sequences = []
    for kind in range(3):
        sequence = []
        for x in code.inputs:
            shape = (calls, x.size)
            if x.tensor.dtype.kind != "f" and x.tensor.scale is None:
                sequence.append(rng.integers(0, _numbers(code, x.number), shape).astype(x.tensor.dtype))
                continue
            values = rng.uniform(-3, 3, shape) if kind == 1 else rng.normal(size=shape)
            if kind == 2:
                values *= rng.random((calls, 1)) < 0.5
            if code.is_streaming and x.steps == 1:  # the same at each step
                values[:] = values[0]
            if x.tensor.scale is not None:
                limits = np.iinfo(x.tensor.dtype)
                values = np.clip(np.rint(values * (limits.max / 3)), limits.min, limits.max)
            sequence.append(values.astype(x.tensor.dtype))
        sequences.append(sequence)
    return sequences[: max(1, _STEPS // calls)]


def _numbers(code, number):
    """Number of values that an integer input may have: the number of words, or 2 for booleans."""
    tensors = code.model.tensors
    tables = [op.inputs[0] for op in code.model.operators if op.name == "GATHER" and op.inputs[1] == number]
    return min((tensors[i].shape[0] for i in tables), default=2)


def check(code, folder, sequences=None, flags=("-O0",), kernels=None, engine=ReferenceEngine):
    """Runs a `PlainC` on this computer, each sequence from a clear state, and compares every op with an engine.

    Args:
        code: The `PlainC`.
        folder: Folder of its project.
        sequences: Sequences as from `noise`, of any length if the model takes one step per call.
        flags: Options of the compiler.
        kernels: Object files or a library to use in place of the sources in `folder/ksr`.
        engine: Class that takes a model and has the method `run_operator(op, values)` of a `GraphEngine`.

    Returns:
        The outputs of the calls: a list like `sequences`, with arrays for the outputs.

    Raises:
        MismatchError: An op differs from the engine, or `NAME_run` from `NAME_step`.
        RuntimeError: There is no compiler, or it fails.
    """
    sequences = noise(code) if sequences is None else sequences
    compared = set()
    with _program(code, Path(folder).resolve(), flags, kernels) as program:
        results = [_run(code, program, "call", sequence) for sequence in sequences]
        for sequence, (outputs, tensors) in zip(sequences, results, strict=True):
            _compare_copies(code, sequence, outputs, tensors)
            compared |= _compare_ops(code, len(sequence[0]), tensors, engine)
            if code.is_streaming and len(sequence[0]) == code.steps:
                _compare_run(code, program, sequence, outputs)
    for op in code.model.operators:
        if op not in compared:
            name = code.model.tensors[op.outputs[0]].name
            warnings.warn(
                f"{op.name} '{name}' was not compared: rounding decides its first step each time.", stacklevel=2
            )
    return [outputs for outputs, _ in results]


@contextmanager
def _program(code, folder, flags, kernels):
    command = compiler()
    if command is None:
        raise RuntimeError("no C compiler was found: set CC, or install gcc or clang.")
    with tempfile.TemporaryDirectory() as build:
        source, program = Path(build) / "check.c", Path(build) / "check"
        source.write_text(render("check/host_check.c", model=code))
        includes = [f"-I{path}" for path in (folder, folder / "ksr", source_folder() / "firmware")]
        if kernels is None:
            kernels = compile_sources((*command, *_FLAGS, *flags), folder.glob("ksr/*.c"), [folder / "ksr"])
        call(*command, *_FLAGS, *flags, *includes, source, *kernels, "-o", program)
        yield program


def _run(code, program, function, sequence):
    """Runs a sequence of calls from a clear state. Returns a list of arrays `(calls, values)` for the outputs, and a
    dict from the numbers of tensors to such arrays (empty for `NAME_run` of a model that takes single steps)."""
    is_run = function == "run"
    taken = [(x.name, x.tensor.dtype, (x.size * (x.steps if is_run else 1),)) for x in code.inputs]
    given = [(y.name, y.tensor.dtype, (y.size * (y.steps if is_run else 1),)) for y in code.outputs]
    if not is_run:
        given += [(f"tensor_{i}", code.model.tensors[i].dtype, (math.prod(code.shapes[i]),)) for i in code.computed]
    calls = np.zeros(len(sequence[0]), [("restarts", np.uint8), *taken])
    calls["restarts"][0] = 1
    for x, values in zip(code.inputs, sequence, strict=True):
        calls[x.name] = values
    done = subprocess.run([str(program), function], input=calls.tobytes(), capture_output=True, timeout=600)
    if done.returncode:
        text = done.stderr.decode(errors="replace")[-3000:]
        reason = _ENDS.get(done.returncode, f"it ended with status {done.returncode}")
        raise MismatchError(f"the generated C of '{code.name}' is wrong: {reason}. {text}")
    seen = np.frombuffer(done.stdout, given)
    outputs = [np.ascontiguousarray(seen[y.name]) for y in code.outputs]
    return outputs, {} if is_run else {i: seen[f"tensor_{i}"] for i in code.computed}


def _compare_run(code, program, sequence, outputs):
    """Compares `NAME_run` with the single steps, twice without a reset in between if the model keeps no states."""
    times = 1 if code.keeps_states else 2
    pairs = zip(code.inputs, sequence, strict=True)
    whole = [np.repeat(v.reshape(1, -1) if x.steps > 1 else v[:1], times, axis=0) for x, v in pairs]
    ran, _ = _run(code, program, "run", whole)
    for y, seen, stepped in zip(code.outputs, ran, outputs, strict=True):
        expected = stepped.reshape(1, -1) if y.steps > 1 else stepped[-1:]
        if seen.tobytes() != expected.tobytes() * times:
            raise MismatchError(f"{code.name}_run gives other values of '{y.tensor.name}' than {code.call} in steps.")


def _compare_copies(code, sequence, outputs, tensors):
    for parameter, values in [*zip(code.inputs, sequence, strict=True), *zip(code.outputs, outputs, strict=True)]:
        if tensors[parameter.number].tobytes() != values.tobytes():
            raise MismatchError(f"the generated C copies '{parameter.tensor.name}' wrongly.")


def _compare_ops(code, calls, tensors, engine):
    """Compares every op with the engine on the tensors that the C computed in this many calls; returns the ops of which
    values were compared."""
    model = _of_length(code, calls)
    engine, parted, compared = engine(model), set(), set()
    has_floats = any(op.is_custom and model.tensors[op.inputs[0]].dtype == np.float32 for op in model.operators)
    others = [_perturbed(model, seed) for seed in range(3)] if has_floats else []
    for values in _inferences(code, model, tensors):
        for op in model.operators:
            results = engine.run_operator(op, values)
            moved = [other.run_operator(op, values) for other in others if op.is_custom]
            for i, expected, *others_values in zip(op.outputs, results, *moved, strict=True):
                apart = [np.abs(array - expected) for array in others_values if array.dtype == np.float32]
                seen, expected = (_where_it_ran(code, tensors, op, i, part) for part in (values[i], expected))
                if _compare_op(op, model.tensors[i], seen, expected, apart, parted):
                    compared.add(op)
    return compared


def _where_it_ran(code, tensors, op, number, values):
    """What an op of the rest wrote into a tensor, without the steps at which a gate left it out."""
    axis = code.time.axes.get(number)
    if code.gate is None or op.is_custom or op in code.always or axis is None:
        return values
    made = tensors[code.gate.outputs[0]].reshape(-1).copy()
    made[0] = True  # the first step runs in any case
    return np.compress(np.repeat(made, values.shape[axis] // len(made)), values, axis)


def _of_length(code, calls):
    """Returns the model, with this many steps if it takes single steps."""
    model = code.model
    if not code.is_streaming or calls == code.steps:
        return model
    model = copy.copy(model)
    model.tensors = tuple(
        tensor if i not in code.time.axes else replace(tensor, shape=code.time.shape_in(calls, i, tensor.shape))
        for i, tensor in enumerate(model.tensors)
    )
    model.inputs = tuple(model.tensors[i] for i in model.input_indices)
    model.outputs = tuple(model.tensors[i] for i in model.output_indices)
    return model


def _inferences(code, model, tensors):
    """Yields the tensors of each inference in the model's shapes: the values of single steps are joined along the time
    axis, or the last step's are taken."""
    if not code.is_streaming:
        for call in range(len(next(iter(tensors.values())))):
            yield {i: values[call].reshape(model.tensors[i].shape) for i, values in tensors.items()}
        return
    whole = {}
    for i, values in tensors.items():
        axis = code.time.axes.get(i)
        steps = values.reshape(-1, *code.shapes[i])
        if axis is None:
            whole[i] = steps[-1]
            continue
        before = code.time.history.get(i, 0)
        first, *later = steps
        whole[i] = np.concatenate(
            [first, *(np.take(step, range(before, step.shape[axis]), axis) for step in later)], axis
        )
    yield whole


def _perturbed(model, seed):
    """The engine with weights off by rounding, and higher (seed 1) or lower (seed 2) thresholds."""
    rng, engine = np.random.default_rng(seed), ReferenceEngine(model)
    for op, definition in engine.definitions.items():
        changed = {}
        for field in fields(definition):
            values = getattr(definition, field.name)
            if not isinstance(values, np.ndarray) or values.dtype != np.float32:
                continue
            if "threshold" in field.name:
                values = values + np.float32((0, 1, -1)[seed] * 10 * _ROUNDING) * np.maximum(1, values)
            else:
                values = values * (1 + rng.choice([-_ROUNDING, _ROUNDING], values.shape))
            changed[field.name] = values.astype(np.float32)
        engine.definitions[op] = replace(definition, **changed)
    return engine


def _compare_op(op, tensor, seen, expected, apart, parted):
    """Raises MismatchError if values are too far from the expected ones; returns whether any were compared."""
    allowed, is_compared, unit = 0 if op.is_custom else 1, np.ones(seen.shape, bool), " steps of its scale"
    if tensor.dtype == np.float32:
        apart = np.max([np.zeros(seen.shape), *apart], axis=0)
        scale, unit = max(1.0, float(np.abs(expected).max())), ""
        allowed = _TOLERANCE * scale + 4 * apart
        is_compared = is_compared & _before_they_part(op, apart > _PARTED * scale, parted)
    difference = np.abs(seen.astype(np.float64) - expected)
    wrong = ~(difference <= allowed) & is_compared
    if wrong.any():
        limit = np.broadcast_to(allowed, wrong.shape)[wrong].max()
        raise MismatchError(
            f"the generated C differs from the engine in {op.name} '{tensor.name}': {int(wrong.sum())} of {wrong.size} "
            f"values, by up to {difference[wrong].max():.4g}{unit}; allowed: {limit:.4g}."
        )
    return is_compared.any()


def _before_they_part(op, is_far, parted):
    """Which values are compared: none from the first step in which rounding decides."""
    if op in parted or not is_far.any():
        return op not in parted
    parted.add(op)
    # (samples, steps, units), or what the last step left
    return np.cumsum(is_far.any(axis=(0, 2))).reshape(1, -1, 1) == 0 if is_far.ndim == 3 else False
