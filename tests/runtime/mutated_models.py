"""A run of the damaged and hostile models of `mutations.py` through everything that takes a file.

    python tests/runtime/mutated_models.py --count 10000              # each engine and function
    python tests/runtime/mutated_models.py --count 10000 --sanitize   # the C core under AddressSanitizer and UBSan

Each has to refuse a model with a ValueError that says why, or to take it, within seconds and a gigabyte. Models run in
child processes: one that ends its process is named.
"""

import argparse
import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from mutations import base_inputs, base_models, mutant

ROOT = Path(__file__).parents[2]
PER_CHILD = 250
LARGEST = 10**6  # values in a model that is still run, not only loaded
MEMORY = 2**30  # bytes that a model may take
SECONDS = 30  # of CPU time for one model, which other work on the machine does not change
SANITIZED_CORE = "KSR_SANITIZED_CORE"


def _load(engine):
    def load(data):
        from keras_sparse_rnn import runtime

        loaded = runtime.load(data, engine)
        if _is_small(loaded.model):
            for _ in range(2):
                loaded.invoke([np.ones(tensor.shape, tensor.dtype) for tensor in loaded.inputs])
            loaded.reset()

    return load


def _is_small(model):
    return sum(tensor.size for tensor in model.tensors) <= LARGEST


def _inspect(data):
    from keras_sparse_rnn.inspection import inspect

    str(inspect(data, engines=()))


def _verb(verb, *arguments):
    """A verb of the command line, on a file and recorded inputs."""

    def call(data, inputs):
        from keras_sparse_rnn.cli import main

        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            model = Path(folder, "model.tflite")
            model.write_bytes(data)
            np.savez(Path(folder, "x.npz"), **inputs)
            main([part.format(folder=folder) for part in ("--debug", verb, str(model), *arguments)])

    return call


def _bench(data):
    from keras_sparse_rnn.firmware.bench import bench
    from keras_sparse_rnn.runtime.model import Model

    model = Model(data)
    if _is_small(model):
        bench(model, cpu="host", rounds=1)


def _report(data):
    from keras_sparse_rnn.report import report

    with tempfile.TemporaryDirectory() as folder:
        report(data, path=Path(folder, "report.html"), cpu=None)


ENGINES = ("native", "reference", "litert", "tflm")
ENTRIES = {engine: _load(engine) for engine in ENGINES}
ENTRIES |= {"inspect": _inspect, "bench": _bench, "report": _report}
VERBS = {
    "run": _verb("run", "--inputs", "{folder}/x.npz"),
    "firmware": _verb("firmware", "--out", "{folder}/project"),
    "project": _verb("firmware", "--out", "{folder}/project", "--framework", "tflm-cmake"),
}
ALL = [*ENTRIES, *VERBS]


def run(entry, number):
    """Gives a mutant to a key of `ENTRIES` or `VERBS`: "refused" or "ran".

    Raises:
        AssertionError: The refusal says nothing, or is of another kind than ValueError, or it took too much memory.
    """
    data, label = mutant(number)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = "ran"
    try:
        if entry in VERBS:
            VERBS[entry](data, base_inputs(number))
        else:
            ENTRIES[entry](data)
    except ValueError as error:
        assert len(str(error)) > 10, f"{label}: {error!r}"
        result = "refused"
    except Exception as error:
        raise AssertionError(f"{label}, in {entry}: {type(error).__name__}: {error}") from error
    taken = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert taken < MEMORY, f"{label}, in {entry}: took {taken:,} bytes"
    return result


def run_all(entry, count, first=0):
    """How many mutants ran and were refused, and the faults of those that did neither."""
    counts, faults = {"ran": 0, "refused": 0}, []
    base_models()
    for begin in range(first, first + count, PER_CHILD):
        numbers = list(range(begin, min(begin + PER_CHILD, first + count)))
        while numbers:
            done, fault = _in_child(entry, numbers)
            for result in done:
                counts[result] += 1
            numbers = numbers[len(done) + 1 :] if fault else []
            faults += [fault] if fault else []
    return counts, faults


def _in_child(entry, numbers):
    """The results of the first mutants, and the fault of the one after them."""
    with tempfile.TemporaryFile() as errors:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            os.dup2(errors.fileno(), 2)
            os.environ["PATH"] = ""  # no compiler: it would build what it was given
            _limit_memory()
            try:
                for number in numbers:
                    signal.setitimer(signal.ITIMER_PROF, SECONDS)
                    os.write(write, b"+" if run(entry, number) == "ran" else b"-")
            except AssertionError as error:
                os.write(2, f"{error}\n".encode())
                os._exit(1)
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            done = pipe.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors.seek(0)
        text = errors.read().decode(errors="replace")[-1500:]
    results = ["ran" if mark == "+" else "refused" for mark in done]
    if status == 0 and len(done) == len(numbers):
        return results, None
    return results, f"{mutant(numbers[len(done)])[1]}, in {entry}: exit status {status}: {text.strip()}"


def _limit_memory():
    """A model that asks for the whole machine is a fault of its own, not the end of everything else."""
    if SANITIZED_CORE not in os.environ:  # AddressSanitizer reserves terabytes
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + 4 * MEMORY, taken + 4 * MEMORY))


def build_sanitized_core(folder):
    """Compiles the C core with the sanitizers; its path."""
    core = Path(folder) / "_core.so"
    sources = [str(path) for part in ("kernels", "adapters") for path in (ROOT / "tflite" / part).rglob("*.c")]
    flags = ["-std=c99", "-g", "-O1", "-fPIC", "-shared", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(
        ["gcc", *flags, f"-I{ROOT}/tflite/include", f"-I{ROOT}/tflite/kernels", *sources, "-o", str(core), "-lm"],
        check=True,
    )
    return core


def run_sanitized(arguments, core):
    """Runs this command on the core that `build_sanitized_core` made: its `subprocess.CompletedProcess`."""
    # Also the C++ library, whose exceptions the sanitizer has to know from the start.
    names = ("libasan.so", "libstdc++.so")
    found = [
        subprocess.run(["gcc", f"-print-file-name={n}"], capture_output=True, text=True, check=True) for n in names
    ]
    environment = {
        **os.environ,
        "LD_PRELOAD": ":".join(os.path.realpath(run.stdout.strip()) for run in found),
        "ASAN_OPTIONS": "detect_leaks=0",
        SANITIZED_CORE: str(core),
    }
    command = [sys.executable, __file__, *arguments, "--entries", "native"]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="number of models; default: %(default)s")
    parser.add_argument("--first", type=int, default=0, help="number of the first; default: %(default)s")
    parser.add_argument("--entries", nargs="+", choices=ALL, default=ALL, metavar="ENTRY")
    parser.add_argument("--sanitize", action="store_true", help="build and run the C core with sanitizers, in `native`")
    arguments = parser.parse_args()
    if arguments.sanitize:
        with tempfile.TemporaryDirectory() as folder:
            done = run_sanitized(
                ["--count", str(arguments.count), "--first", str(arguments.first)], build_sanitized_core(folder)
            )
        print(done.stdout, end="")
        raise SystemExit(done.returncode)
    failed = False
    for entry in arguments.entries:
        counts, faults = run_all(entry, arguments.count, arguments.first)
        print(f"{entry}: {counts['refused']} refused, {counts['ran']} ran, {len(faults)} faults", flush=True)
        for fault in faults:
            print(f"  {fault}")
        failed |= bool(faults)
    raise SystemExit(failed)


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    if SANITIZED_CORE in os.environ:
        from keras_sparse_rnn.runtime import native

        native.library_path = lambda: Path(os.environ[SANITIZED_CORE])
    main()
