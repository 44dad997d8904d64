"""Damaged and hostile models, and a run of them through an engine.

    python tests/runtime/mutated_models.py --count 10000              # every engine
    python tests/runtime/mutated_models.py --count 10000 --sanitize   # the C core under AddressSanitizer and UBSan

Each model has a number: `mutant(number)` is the same on every machine. An engine has to refuse it with a ValueError
that says why, or to run it. Models run in child processes: one that ends its process is named.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ROOT = Path(__file__).parents[2]
EXTREMES = (0, 1, 2, 255, -1, -2, 2**15, 2**31 - 1, -(2**31), 2**30)
PER_CHILD = 250
LARGEST = 10**6  # values in a model that is still run, not only loaded
SANITIZED_CORE = "KSR_SANITIZED_CORE"


def mutant(number):
    """`(bytes, label)` of model `number`."""
    rng = np.random.default_rng(number)
    bases = base_models()
    name, data = bases[number % len(bases)]
    change = CHANGES[int(rng.integers(len(CHANGES)))]
    return change(rng, data), f"{number}: {name}, {change.__name__}"


@cache
def base_models():
    """Sound models to damage: each op in int8, int16 and float32, with and without state and held inputs, one in both
    directions and one of a batch, one between dense layers, and dense layers in both sparse encodings."""
    from adapter_models import between_dense_layers, both_directions, sparse_fully_connected, with_state
    from random_models import KINDS, random_op

    models = [("between dense layers", between_dense_layers(all_outputs=False))]
    for kind in KINDS:
        for dtype in (np.int8, np.float32):
            name = f"{kind}, {np.dtype(dtype).name}"
            models.append((name, random_op(9, dtype, kind, holds=False).to_model()))
            models.append((f"{name}, holds", random_op(9, dtype, kind, holds=True).to_model()))
            models.append((f"{name}, stateful", with_state(kind, dtype)[0]))
            models.append((f"{name}, stateful, holds, batch", with_state(kind, dtype, holds=True, batch=3)[0]))
        for bits in (8, 16):
            for holds in (False, True):
                op = random_op(145, kind=kind, holds=holds, activation_bits=bits)
                models.append((f"{kind}, int{bits}, output scales, {holds}", op.to_model(stateful=holds)))
    for dtype in (np.int8, np.float32):
        name = np.dtype(dtype).name
        models.append((f"both directions, {name}", both_directions(dtype)))
        models.append((f"KsrSparseDense, {name}", _sparse_dense(dtype)))
        models.append((f"SparsityParameters, {name}", sparse_fully_connected(dtype)))
    return models


def _sparse_dense(dtype):
    from keras_sparse_rnn.convert.pack import ModelWriter
    from keras_sparse_rnn.ops.sparse_dense import SparseDense

    rng = np.random.default_rng(0)
    kernel = (rng.integers(-128, 128, (12, 1, 18)) * (rng.random((12, 1, 18)) < 0.2)).astype(dtype)
    options, bias, scales = SparseDense.SCHEMA.options(units=18, block=4), np.arange(18), []
    if dtype == np.int8:
        scales = [rng.integers(0, 2**31, 18).astype(np.int32), rng.integers(35, 50, 18).astype(np.uint8)]
        options = SparseDense.SCHEMA.options(
            format=1, units=18, block=4, x_zero_point=3, output_min=-128, output_max=127
        )
    op = SparseDense(options, kernel, bias.astype(np.int32 if scales else dtype), *scales)
    writer, scale = ModelWriter(), (1.0, 0) if scales else None
    x, y = (writer.add_tensor(name, (1, 3, size), dtype, scale=scale) for name, size in (("x", 12), ("y", 18)))
    writer.add_recurrent("dense", op, op.constants(sparse=True), x, y)
    return writer.finish({"x": x}, {"y": y})


def truncated(rng, data):
    return data[: rng.integers(len(data))]


def flipped_bytes(rng, data):
    changed = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def extreme_word(rng, data):
    changed = bytearray(data)
    place = 4 * int(rng.integers(len(data) // 4))
    changed[place : place + 4] = (int(rng.choice(EXTREMES)) % 2**32).to_bytes(4, "little")
    return bytes(changed)


def _structural(change):
    """A change of the schema's objects."""

    def mutate(rng, data):
        file = schema.ModelT.InitFromPackedBuf(data)
        graph = file.subgraphs[0]
        graph.inputs, graph.outputs = np.array(graph.inputs), np.array(graph.outputs)
        for op in graph.operators:
            op.inputs, op.outputs = np.array(op.inputs), np.array(op.outputs)
        change(rng, file, graph, graph.operators[int(rng.integers(len(graph.operators)))])
        builder = flatbuffers.Builder(1024)
        builder.Finish(file.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    mutate.__name__ = change.__name__
    return mutate


@_structural
def wrong_tensor(rng, file, graph, op):
    numbers = op.inputs if rng.random() < 0.7 else op.outputs
    numbers[rng.integers(len(numbers))] = rng.choice(
        [-1, -2, len(graph.tensors), 2**31 - 1, rng.integers(len(graph.tensors))]
    )


@_structural
def cycle(rng, file, graph, op):
    op.inputs[rng.integers(len(op.inputs))] = op.outputs[0]


@_structural
def wrong_number_of_tensors(rng, file, graph, op):
    keep = rng.integers(0, len(op.inputs) + 8)
    op.inputs = np.resize(op.inputs, keep)
    if rng.random() < 0.2:
        op.outputs = np.resize(op.outputs, rng.integers(0, 3))


@_structural
def wrong_graph_inputs(rng, file, graph, op):
    numbers = graph.inputs if rng.random() < 0.5 else graph.outputs
    numbers[0] = rng.choice([-1, len(graph.tensors), rng.integers(len(graph.tensors))])


@_structural
def wrong_shape(rng, file, graph, op):
    tensor = _any_tensor(rng, graph, op)
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    if shape and rng.random() < 0.7:
        shape[rng.integers(len(shape))] = int(rng.choice(EXTREMES))
    else:
        shape = [int(size) for size in rng.integers(0, 9, rng.integers(0, 7))]
    tensor.shape = shape


@_structural
def wrong_type(rng, file, graph, op):
    _any_tensor(rng, graph, op).type = int(rng.integers(0, 20))


@_structural
def wrong_buffer(rng, file, graph, op):
    _any_tensor(rng, graph, op).buffer = int(rng.choice([0, len(file.buffers), rng.integers(len(file.buffers)), 2**31]))


@_structural
def wrong_variable(rng, file, graph, op):
    tensor = _any_tensor(rng, graph, op)
    tensor.isVariable = not tensor.isVariable


@_structural
def wrong_data(rng, file, graph, op):
    buffer = file.buffers[_any_tensor(rng, graph, op).buffer]
    if buffer.data is not None and len(buffer.data):
        data = np.array(buffer.data, np.uint8)
        data[rng.integers(len(data), size=rng.integers(1, 9))] = rng.choice([0, 1, 127, 128, 255])
        buffer.data = data[: rng.integers(len(data) + 1)] if rng.random() < 0.2 else data


@_structural
def sparse_encoding(rng, file, graph, op):
    tensor = _any_tensor(rng, graph, op)
    if tensor.sparsity is not None and rng.random() < 0.9:
        _damage_encoding(rng, tensor.sparsity)
        return
    dimension = schema.DimensionMetadataT()
    dimension.format, dimension.denseSize = schema.DimensionType.DENSE, int(rng.choice(EXTREMES))
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder, tensor.sparsity.dimMetadata = [int(rng.choice(EXTREMES))], [dimension]


def _damage_encoding(rng, sparsity):
    level = sparsity.dimMetadata[rng.integers(len(sparsity.dimMetadata))]
    vectors = [vector for vector in (level.arraySegments, level.arrayIndices) if vector is not None]
    if vectors and rng.random() < 0.8:
        vector = vectors[rng.integers(len(vectors))]
        values = np.array(vector.values)
        values[rng.integers(len(values))] = rng.integers(np.iinfo(values.dtype).max, endpoint=True)
        vector.values = values[: rng.integers(len(values) + 1)] if rng.random() < 0.2 else values
    elif rng.random() < 0.5:
        level.denseSize = int(rng.choice(EXTREMES))
    elif rng.random() < 0.5:
        level.format = 1 - level.format
    else:
        sparsity.traversalOrder = rng.permutation(sparsity.traversalOrder)


@_structural
def wrong_options(rng, file, graph, op):
    if op.customOptions is not None:
        words = np.frombuffer(bytes(op.customOptions), "<i4").copy()
        words[rng.integers(len(words))] = rng.choice(EXTREMES)
        op.customOptions = np.frombuffer(words.tobytes(), np.uint8)


@_structural
def foreign_options(rng, file, graph, op):
    op.customOptions = rng.integers(0, 256, rng.integers(0, 200)).astype(np.uint8)


@_structural
def foreign_op(rng, file, graph, op):
    from keras_sparse_rnn.ops import ALL_OPS

    names = [*(name.encode() for name in ALL_OPS), b"NobodysOp", b"", b"\xff\xfe"]
    file.operatorCodes[op.opcodeIndex].customCode = names[rng.integers(len(names))]


@_structural
def wrong_code(rng, file, graph, op):
    op.opcodeIndex = int(rng.choice([len(file.operatorCodes), 2**31 - 1, 0]))


CHANGES = (
    *(truncated, flipped_bytes, extreme_word, wrong_tensor, cycle, wrong_number_of_tensors, wrong_graph_inputs),
    *(wrong_shape, wrong_type, wrong_buffer, wrong_variable, wrong_data, sparse_encoding),
    *(wrong_options, foreign_options, foreign_op, wrong_code),
)


def _any_tensor(rng, graph, op):
    used = [int(i) for i in (*op.inputs, *op.outputs) if 0 <= i < len(graph.tensors)]
    return graph.tensors[used[rng.integers(len(used))]]


def run(engine, number):
    """Loads a mutant and runs it: "refused" or "ran".

    Raises:
        AssertionError: The refusal says nothing, or is of another kind than ValueError.
    """
    from keras_sparse_rnn import runtime

    data, label = mutant(number)
    try:
        loaded = runtime.load(data, engine)
        if sum(np.prod(tensor.shape) for tensor in loaded.model.tensors) > LARGEST:
            return "ran"
        for _ in range(2):
            loaded.invoke([np.ones(tensor.shape, tensor.dtype) for tensor in loaded.inputs])
        loaded.reset()
    except ValueError as error:
        assert len(str(error)) > 10, f"{label}: {error!r}"
        return "refused"
    except Exception as error:
        raise AssertionError(f"{label}, in {engine}: {type(error).__name__}: {error}") from error
    return "ran"


def run_all(engine, count, first=0):
    """How many mutants ran and were refused, and the faults of those that did neither."""
    counts, faults = {"ran": 0, "refused": 0}, []
    base_models()
    for begin in range(first, first + count, PER_CHILD):
        numbers = list(range(begin, min(begin + PER_CHILD, first + count)))
        while numbers:
            done, fault = _in_child(engine, numbers)
            for result in done:
                counts[result] += 1
            numbers = numbers[len(done) + 1 :] if fault else []
            faults += [fault] if fault else []
    return counts, faults


def _in_child(engine, numbers):
    """The results of the first mutants, and the fault of the one after them."""
    with tempfile.TemporaryFile() as errors:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            os.dup2(errors.fileno(), 2)
            try:
                for number in numbers:
                    os.write(write, b"+" if run(engine, number) == "ran" else b"-")
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
    return results, f"{mutant(numbers[len(done)])[1]}, in {engine}: exit status {status}: {text.strip()}"


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


def _run_sanitized(arguments):
    # Also the C++ library, whose exceptions the sanitizer has to know from the start.
    names = ("libasan.so", "libstdc++.so")
    found = [
        subprocess.run(["gcc", f"-print-file-name={n}"], capture_output=True, text=True, check=True) for n in names
    ]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "LD_PRELOAD": ":".join(os.path.realpath(run.stdout.strip()) for run in found),
            "ASAN_OPTIONS": "detect_leaks=0",
            SANITIZED_CORE: str(build_sanitized_core(folder)),
        }
        return subprocess.run([sys.executable, __file__, *arguments], env=environment, check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="number of models; default: %(default)s")
    parser.add_argument("--first", type=int, default=0, help="number of the first; default: %(default)s")
    parser.add_argument("--engines", nargs="+", default=["native", "reference", "litert", "tflm"])
    parser.add_argument("--sanitize", action="store_true", help="build and run the C core with sanitizers, in `native`")
    arguments = parser.parse_args()
    if arguments.sanitize:
        raise SystemExit(
            _run_sanitized(["--count", str(arguments.count), "--first", str(arguments.first), "--engines", "native"])
        )
    failed = False
    for engine in arguments.engines:
        counts, faults = run_all(engine, arguments.count, arguments.first)
        print(f"{engine}: {counts['refused']} refused, {counts['ran']} ran, {len(faults)} faults", flush=True)
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
