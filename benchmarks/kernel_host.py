"""Measures the time of a sequence on this computer, in one thread: LiteRT with a Keras GRU, and this library's ops.

    python benchmarks/kernel_host.py [--plot events.png]
    python benchmarks/kernel_host.py --unrolled --units 128

49 steps of 40 inputs. LiteRT runs the float32 model of `keras.layers.GRU` (its converter has no int8 for a rolled GRU);
beside it EventGRU with 90 % zero blocks and 20 % active units, in 1x4 blocks as float32 and in 1x16 blocks as int8, and
the dense GRU, all of whose units are active, as both. All of them run in turn after a warm-up; the results are medians
of the times, and of the ratios within a round. The plot shows int8 time against the blocks that events visit, over
sparsities and activities, with the line of the ideal: the gates, and a constant cost for each block.

With --unrolled, compares int8 with int8: the dense GRU and LSTM, and TensorFlow's own conversion of the Keras layer
with `unroll=True` to builtin ops, over 20 steps.
"""

import argparse
import contextlib
import io
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import random_layers

from keras_sparse_rnn import runtime

STEPS, INPUTS = 49, 40
UNROLLED_STEPS = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--unrolled", action="store_true", help="int8 beside TensorFlow's int8 of unrolled layers")
    arguments = parser.parse_args()
    if arguments.unrolled:
        print_unrolled(arguments.units, arguments.rounds)
        return
    print("| units | LiteRT GRU f32, us | EventGRU f32 | EventGRU int8 | dense GRU f32 | dense GRU int8 |")
    print("|---|---|---|---|---|---|")
    for units in arguments.units:
        rivals = [
            _keras_gru(units),
            _ours(*random_layers.event_gru(units, INPUTS, 4, 0.9, 0.2, STEPS, dtype=np.float32)),
            _ours(*random_layers.event_gru(units, INPUTS, 16, 0.9, 0.2, STEPS)),
            _ours(*random_layers.gru(units, INPUTS, 16, 0.0, STEPS, dtype=np.float32)),
            _ours(*random_layers.gru(units, INPUTS, 16, 0.0, STEPS)),
        ]
        times = seconds(rivals, arguments.rounds)
        litert, *ours = np.median(times, axis=0)
        ratios = np.median(times[:, :1] / times[:, 1:], axis=0)
        cells = [f"{t * 1e6:,.0f} ({ratio:.1f}x)" for t, ratio in zip(ours, ratios, strict=True)]
        print(f"| {units} | {litert * 1e6:,.0f} | {' | '.join(cells)} |", flush=True)
    if arguments.plot:
        _plot(arguments.plot, arguments.rounds)


def print_unrolled(all_units, rounds):
    """Prints the table of `--unrolled`."""
    print("| layer | units | unrolled Keras layer in LiteRT, int8, us | ours, int8 | bytes | ours |")
    print("|---|---|---|---|---|---|")
    for units in all_units:
        for name, make in (("GRU", random_layers.gru), ("LSTM", random_layers.lstm)):
            unrolled, (op, x) = _unrolled(name, units), make(units, INPUTS, 4, 0.0, UNROLLED_STEPS)
            times = seconds([_keras_runs(unrolled), _ours(op, x)], rounds)
            litert, ours = np.median(times, axis=0) * 1e6
            ratio = np.median(times[:, 0] / times[:, 1])
            sizes = f"{len(unrolled):,} | {len(random_layers.to_model(op, x).data):,}"
            print(f"| {name} | {units} | {litert:,.0f} | {ours:,.0f} ({ratio:.1f}x) | {sizes} |", flush=True)


def seconds(runs, rounds):
    """Returns the times of each function, `(rounds, runs)`. They run in turn, so that other load affects all of
    them."""
    times = np.zeros((1 + rounds, len(runs)))
    for row in times:
        for i, run in enumerate(runs):
            start = time.perf_counter()
            run()
            row[i] = time.perf_counter() - start
    return times[1:]  # the first warms up


def _keras_gru(units):
    import keras
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    model = keras.Sequential(
        [keras.Input((STEPS, INPUTS), batch_size=1), keras.layers.GRU(units, return_sequences=True)]
    )
    with contextlib.redirect_stdout(io.StringIO()):
        data = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    x = np.random.default_rng(0).normal(size=(1, STEPS, INPUTS)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    return interpreter.invoke


def _unrolled(name, units):
    """Returns the bytes of TensorFlow's int8 model of a Keras layer."""
    import keras
    import tensorflow as tf

    layer = getattr(keras.layers, name)(units, unroll=True, return_sequences=True)
    model = keras.Sequential([keras.Input((UNROLLED_STEPS, INPUTS), batch_size=1), layer])
    samples = np.random.default_rng(0).normal(size=(8, 1, UNROLLED_STEPS, INPUTS)).astype(np.float32)
    with contextlib.redirect_stdout(io.StringIO()):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()


def _keras_runs(data):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    x = np.random.default_rng(0).normal(size=(1, UNROLLED_STEPS, INPUTS))
    x = np.rint(x * 32).clip(-128, 127).astype(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    return interpreter.invoke


def _ours(op, x):
    engine = runtime.load(random_layers.to_model(op, x), "litert")
    return lambda: engine.invoke([x[None]])


def _plot(path, rounds, units=256):
    """Draws the cost of a step against the blocks that it visits, with the least-squares line, and prints the largest
    distance of a point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    points = []
    for sparsity in (0.5, 0.8, 0.9, 0.95):
        runs, blocks = [], []
        for activity in (0.1, 0.3, 0.6, 1.0):
            op, x = random_layers.event_gru(units, INPUTS, 16, sparsity, activity, STEPS)
            seen = random_layers.rate(op, x)
            blocks.append(((op.kernel != 0).sum() + seen * (op.recurrent_kernel != 0).sum()) / 16)
            runs.append(_ours(op, x))
        points += zip([sparsity] * 4, blocks, np.median(seconds(runs, rounds), axis=0) * 1e6 / STEPS, strict=True)
    sparsities, blocks, times = np.array(points).T
    slope, gates = np.polyfit(blocks, times, 1)
    ideal = gates + slope * blocks
    worst = np.abs(times / ideal - 1).max()
    print(f"EventGRU {units}: us a step = {gates:.2f} + {slope:.5f} x blocks; no point is off by more than {worst:.0%}")
    figure, axes = plt.subplots(figsize=(6, 4))
    for sparsity in np.unique(sparsities):
        chosen = sparsities == sparsity
        axes.plot(blocks[chosen], times[chosen], "o", label=f"{sparsity:.0%} zeros, 10 to 100 % active")
    ends = np.array([0, blocks.max()])
    axes.plot(ends, gates + slope * ends, "k-", linewidth=1, label="ideal: gates + events x stored blocks")
    axes.set(
        xlabel="1x16 blocks visited in a step", ylabel="us a step", title=f"EventGRU {units}, int8", ylim=0, xlim=0
    )
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
