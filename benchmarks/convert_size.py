"""What a keyword model takes in a file: ours in blocks, and what TensorFlow Lite makes of weights pruned alike.

    python benchmarks/convert_size.py [--quick | --unrolled]

The model: 49 frames of 40 features, two EventGRUs of 128 units, Dense 12. Random weights of which blocks of the
smallest norm are zero: the bytes do not depend on what was learned. TensorFlow Lite gets GRUs of Keras in float32; its
own int8 recurrent path is the fused LSTM of tf_keras, four gates to a GRU's three. Each file is also zipped.
`--unrolled` prints what int8 takes for Keras's GRU and LSTM with `unroll=True`, alone: its conversion takes minutes.
"""

import argparse
import contextlib
import gzip
import io
import os
import time
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import EventGRU

STEPS, INPUTS, UNITS, CLASSES = 49, 40, 128, 12
GOALS = {4: 0.135, 8: 0.12}  # recurrent weights at 90 %, of dense int8
WEIGHTS = 3 * UNITS * (INPUTS + UNITS) + 3 * UNITS * 2 * UNITS


def prune(kernels, sparsity, block):
    """Blocks of 1x`block` along the units are zero, those of the smallest norm."""
    for kernel in kernels:
        weights = np.array(kernel)
        blocks = weights.reshape(len(weights), -1, block)
        norms = np.linalg.norm(blocks, axis=-1)
        blocks[norms < np.quantile(norms, sparsity)] = 0
        kernel.assign(weights)


def keyword_model(library, layer, sparsity, block):
    library.utils.set_random_seed(0)
    layers = [layer(UNITS, return_sequences=True), layer(UNITS)]
    x = library.Input((STEPS, INPUTS), batch_size=1)
    model = library.Sequential([x, *layers, library.layers.Dense(CLASSES)])
    prune([k for part in layers for k in (part.cell.kernel, part.cell.recurrent_kernel)], sparsity, block)
    return model


def tflite(model, data=None, *, sparse=False):
    """The bytes of TensorFlow Lite's file; int8 with representative `data`."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if data is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample[None]] for sample in data)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    elif sparse:
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    with contextlib.redirect_stdout(io.StringIO()):
        return converter.convert()


def units_of(size):
    """Units of a dense int8 EventGRU in both layers whose recurrent weights take `size` bytes."""
    # 3 u (INPUTS + u) + 3 u (2 u) = 9 u^2 + 3 INPUTS u
    return int((-3 * INPUTS + np.sqrt(9 * INPUTS**2 + 36 * size)) / 18)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="90 % alone, and only ours and dense float32")
    parser.add_argument("--unrolled", action="store_true", help="TensorFlow Lite's int8 of unrolled layers alone")
    arguments = parser.parse_args()
    quick = arguments.quick
    import tf_keras

    x = np.random.default_rng(0).normal(size=(8, STEPS, INPUTS)).astype(np.float32)
    if arguments.unrolled:
        for layer in (keras.layers.GRU, keras.layers.LSTM):
            data = tflite(keyword_model(keras, partial(layer, unroll=True), 0.0, 4), x)
            print(f"{layer.__name__}, unrolled, int8: {len(data):,} bytes, zipped {len(gzip.compress(data)):,}")
        return
    others = {"TensorFlow Lite float32": lambda *case: tflite(keyword_model(keras, keras.layers.GRU, *case))}
    if not quick:
        others["with EXPERIMENTAL_SPARSITY"] = lambda *case: tflite(
            keyword_model(keras, keras.layers.GRU, *case), sparse=True
        )
        others["int8, LSTM"] = lambda *case: tflite(keyword_model(tf_keras, tf_keras.layers.LSTM, *case), x)
    cases = [(0.9, 4), (0.9, 8)] if quick else [(0.0, 4), *((s, b) for b in (4, 8) for s in (0.8, 0.9, 0.95))]
    heads = ["zeros", "ours, int8", "zipped", "recurrent weights", "of dense int8", "dense units of that size"]
    for name in others:
        heads += [name, "zipped"]
    print(f"| {' | '.join(heads)} |\n|---|{'---:|' * (len(heads) - 1)}")
    met = True
    for sparsity, block in cases:
        begin = time.perf_counter()
        model = keyword_model(keras, EventGRU, sparsity, block)
        converted = ksr.convert(model, x, verify=False, block_size=block)
        seconds = time.perf_counter() - begin
        size = sum(layer.bytes for layer in converted.report.layers)
        files = [converted.data, *(make(sparsity, block) for make in others.values())]
        sizes = [f"{n:,}" for data in files for n in (len(data), len(gzip.compress(data)))]
        share = [f"{size:,}", f"{size / WEIGHTS:.1%}", str(units_of(size))]
        cells = [f"{sparsity:.0%} in 1x{block}", *sizes[:2], *share, *sizes[2:]]
        print(f"| {' | '.join(cells)} |", flush=True)
        if sparsity == 0.9:
            met &= size <= GOALS[block] * WEIGHTS and len(files[0]) <= len(files[1]) / 10
    print(f"\nDense int8 recurrent weights: {WEIGHTS:,} bytes. The last conversion took {seconds:.1f} s.")
    print(f"Goals at 90 % (13.5 % in 1x4, 12 % in 1x8, a tenth of float32): {'met' if met else 'MISSED'}")
    raise SystemExit(not met)


if __name__ == "__main__":
    main()
