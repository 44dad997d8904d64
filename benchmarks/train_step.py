"""Measures time and memory of a training step of EventGRU and DeltaGRU, and of keras.layers.GRU of the same size.

    python benchmarks/train_step.py --backend tensorflow --jit --size M

The models take steps in turn in one process, so that other load on the machine affects both; the table shows medians.
The matmul rate is that of a square product of 1024 rows; the share of it counts the five products with the two kernels
in a step (three with the recurrent kernel, two with the kernel). Peak memory is that of a separate process that takes
three steps of one model, minus its memory before the model was built.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

SIZES = {"S": (32, 100, 40, 128), "M": (64, 70, 256, 512)}  # batch, time, features, units


def main():
    arguments = parse()
    os.environ["KERAS_BACKEND"] = arguments.backend
    if arguments.memory_of:
        return print(peak_memory(arguments))
    names = ("GRU", "EventGRU", "DeltaGRU")
    memory = {name: memory_of(name) for name in names}  # first: a child would inherit the peak of a larger parent
    steps = {name: train_step(name, arguments) for name in names}
    for step in steps.values():
        for _ in range(3):
            step()
    times = {name: [] for name in names}
    for _ in range(arguments.steps):
        for name in names:
            times[name].append(timed(steps[name]))
    medians = {name: statistics.median(times[name]) for name in names}
    rate = matmul_rate()
    title = arguments.backend + (" XLA" if arguments.jit else "")
    print(f"{title}, size {arguments.size}: batch, time, features, units = {SIZES[arguments.size]}")
    print(f"{'':10} {'ms':>8} {'ratio':>6} {'of matmul rate':>15} {'peak MB':>8}")
    for name, median in medians.items():
        ratio, share = median / medians["GRU"], flops(SIZES[arguments.size]) / median / rate
        print(f"{name:10} {median * 1e3:8.1f} {ratio:6.2f} {share:15.0%} {memory[name]:8.0f}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["tensorflow", "jax", "torch"], default="tensorflow")
    parser.add_argument("--jit", action="store_true", help="compile by XLA (TensorFlow; JAX always does)")
    parser.add_argument("--size", choices=sorted(SIZES), default="S")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    return parser.parse_args()


def train_step(name, arguments):
    """Returns a function that takes one step of `model.fit` and waits for its end."""
    import keras
    import numpy as np

    from keras_sparse_rnn.layers import DeltaGRU, EventGRU

    batch, length, features, units = SIZES[arguments.size]
    layers = {
        "GRU": keras.layers.GRU(units, return_sequences=True),
        "EventGRU": EventGRU(units, return_sequences=True),
        "DeltaGRU": DeltaGRU(units, input_threshold=0.5, hidden_threshold=0.1, return_sequences=True),
    }
    model = keras.Sequential(
        [keras.Input((length, features)), layers[name], keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(12)]
    )
    jit_compile = arguments.jit or arguments.backend == "jax"
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=jit_compile)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, length, features)).astype("float32")
    y = rng.integers(0, 12, (batch, 1))
    return lambda: model.train_on_batch(x, y)


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def matmul_rate():
    """Returns the floating-point operations per second of a product of two square matrices, the best of ten."""
    import keras
    import numpy as np

    n = 1024
    a = keras.ops.convert_to_tensor(np.ones((n, n), "float32"))
    product = lambda: keras.ops.convert_to_numpy(keras.ops.matmul(a, a))  # noqa: E731
    return 2 * n**3 / min(timed(product) for _ in range(10))


def flops(size):
    batch, length, features, units = size
    return 2 * batch * length * 3 * units * (2 * features + 3 * units)


def memory_of(name):
    command = [sys.executable, *sys.argv, "--memory-of", name]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def peak_memory(arguments):
    """Returns the megabytes that building a model and three steps add to the process."""
    import keras

    import keras_sparse_rnn.layers  # noqa: F401

    keras.ops.matmul(keras.ops.ones((8, 8)), keras.ops.ones((8, 8)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = train_step(arguments.memory_of, arguments)
    for _ in range(3):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    main()
