"""Builds the fuzzer of the ops with clang, makes seeds of the tests' random models, and runs it.

    python tests/fuzz/fuzz_ops.py --seconds 60
    python tests/fuzz/fuzz_ops.py --seconds 36000 --jobs 8 --corpus corpus    # keeps what it has found to be new

The ops run under AddressSanitizer and UndefinedBehaviorSanitizer with the bodies for this processor, and beside them
the same ops in plain C: both must give the same bits. Exit status: 0 nothing found, else the input lies in the folder
that is named.
"""

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CORE = ROOT / "tflite"
COMPILER = "clang"
SANITIZERS = "-fsanitize=address,undefined"
FLAGS = ("-std=gnu99", "-g", "-O1", "-ffp-contract=off", "-fno-sanitize-recover=all")
INCLUDES = (f"-I{CORE}/include",)
MAX_RANK = 4
RANDOM_OPS = 40  # of each kind, among the seeds
IS_CONSTANT = 1


def build(folder, kernels=CORE / "kernels"):
    """Compiles the fuzzer of these kernels, and the core in plain C that it compares with; `(fuzzer, core)`."""
    folder = Path(folder)
    sources = [str(path) for path in sorted(Path(kernels).rglob("*.c"))]
    fuzzer, core = folder / "fuzz_ops", folder / "portable_core.so"
    common = [COMPILER, *FLAGS, *INCLUDES, f"-I{kernels}"]
    shared = ["-DKSR_PORTABLE", "-fPIC", "-shared", "-Wl,-Bsymbolic"]
    fuzzed = [f"{SANITIZERS},fuzzer", str(FOLDER / "fuzz_ops.c"), *sources]
    builds = [
        subprocess.Popen([*common, SANITIZERS, *shared, *sources, "-o", str(core), "-lm"]),
        subprocess.Popen([*common, *fuzzed, "-o", str(fuzzer), "-lm", "-ldl"]),
    ]
    if any([build.wait() for build in builds]):
        raise RuntimeError(f"{COMPILER} could not build the fuzzer; Debian: apt-get install clang libclang-rt-14-dev")
    return fuzzer, core


def seeds():
    """Inputs of the fuzzer that every op takes, as bytes."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "runtime")]
    from mutations import base_models
    from random_models import KINDS, random_op

    from keras_sparse_rnn.runtime.model import Model

    # Enough of each op to meet each width of blocks, dense, stored sparse, silent and saturated.
    more = [random_op(seed, kind=kind).to_model() for kind in KINDS for seed in range(RANDOM_OPS)]
    for data in (*(data for _, data in base_models()), *more):
        model = Model(data)
        for op in model.operators:
            if op.is_custom:
                yield _serialized(model, op)


def _serialized(model, op):
    from keras_sparse_rnn.formats import CORE_TYPES

    inputs = [None if i < 0 else model.tensors[i] for i in op.inputs]
    header = struct.pack("<24sBBH", op.name.encode(), len(inputs), len(op.outputs) - 1, len(op.options))
    tables, contents = [], []
    for tensor in (*inputs, *(model.tensors[i] for i in op.outputs)):
        if tensor is None:
            tables.append(struct.pack("<bBBx4i", -1, 0, 0, *[0] * MAX_RANK))
            continue
        flags = 0 if tensor.data is None else IS_CONSTANT
        dims = [*tensor.shape, *[0] * (MAX_RANK - len(tensor.shape))]
        tables.append(struct.pack("<bBBx4i", CORE_TYPES.index(tensor.dtype), flags, len(tensor.shape), *dims))
        if tensor.data is not None:
            contents.append(np.asarray(tensor.data).tobytes())
    return b"".join([header, op.options, *tables, *contents])


def run(folder, seconds, jobs=1, corpus=None, runs=None, kernels=CORE / "kernels"):
    """Builds and runs the fuzzer.

    Args:
        folder: For what is built, and for what is found.
        seconds: How long it runs, in each job.
        jobs: How many run at a time.
        corpus: A folder that it starts from and adds to, besides the seeds.
        runs: How many inputs to run beyond the corpus; None for as many as there is time for.
        kernels: The folder of their sources.

    Returns:
        The exit status: 0 where nothing was found.
    """
    folder = Path(folder)
    fuzzer, core = build(folder, kernels)
    first = folder / "seeds"
    first.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds()):
        (first / f"{number:04}").write_bytes(seed)
    corpus = Path(corpus or folder / "corpus")
    corpus.mkdir(exist_ok=True)
    arguments = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", "-max_len=65536", "-timeout=60"]
    arguments += ["-print_final_stats=1", *([f"-fork={jobs}"] if jobs > 1 else [])]
    arguments += [] if runs is None else [f"-runs={runs}"]
    environment = {**os.environ, "KSR_PORTABLE_CORE": str(core)}
    return subprocess.run([fuzzer, *arguments, corpus, first], env=environment, check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time; default: %(default)s")
    parser.add_argument("--corpus", metavar="FOLDER", help="to start from and to add to; default: a new one")
    arguments = parser.parse_args()
    if shutil.which(COMPILER) is None:
        print(f"{COMPILER} is not installed: nothing fuzzed")
        return 0
    folder = tempfile.mkdtemp(prefix="fuzz_ops_")
    status = run(folder, arguments.seconds, arguments.jobs, arguments.corpus)
    if status:
        print(f"found something: see {folder}")
    else:
        shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")
    raise SystemExit(main())
