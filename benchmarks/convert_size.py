"""What a keyword model takes in a file: ours in blocks, dense, and what TensorFlow Lite makes of the same weights.

    python benchmarks/convert_size.py [--quick]

The model: 49 frames of 40 features, two EventGRUs of 128 units, Dense 12. Random weights of which blocks of the
smallest norm are zero: the bytes do not depend on what was learned. TensorFlow Lite's own int8 recurrent path is the
fused LSTM of tf_keras; its figure has the weights of a GRU, which are three quarters of it.
"""

import argparse
import contextlib
import gzip
import io
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import EventGRU

STEPS, INPUTS, UNITS, CLASSES = 49, 40, 128, 12
GOALS = {4: 0.135, 8: 0.12}  # recurrent weights at 90 %, of dense int8
WEIGHTS = 3 * UNITS * (INPUTS + UNITS) + 3 * UNITS * 2 * UNITS


def keyword_model(layer, sparsity=0.0, block=4):
    keras.utils.set_random_seed(0)
    layers = [layer(UNITS, return_sequences=True, name="first"), layer(UNITS, name="second")]
    model = keras.Sequential([keras.Input((STEPS, INPUTS), batch_size=1), *layers, keras.layers.Dense(CLASSES)])
    for recurrent in layers:
        for variable in (recurrent.cell.kernel, recurrent.cell.recurrent_kernel):
            weights = np.array(variable)
            blocks = weights.reshape(len(weights), -1, block)
            norms = np.linalg.norm(blocks, axis=-1)
            blocks[norms < np.quantile(norms, sparsity)] = 0
            variable.assign(weights)
    return model


def tflite_float32(model, *, sparse=False):
    with contextlib.redirect_stdout(io.StringIO()):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if sparse:
            converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
        return converter.convert()


def tf_keras_lstm_int8(x):
    import tf_keras

    lstm = tf_keras.layers.LSTM
    model = tf_keras.Sequential(
        [
            tf_keras.Input((STEPS, INPUTS), batch_size=1),
            lstm(UNITS, return_sequences=True),
            lstm(UNITS),
            tf_keras.layers.Dense(CLASSES),
        ]
    )
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in x)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with contextlib.redirect_stdout(io.StringIO()):
        return converter.convert()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="90 % alone, and only ours")
    quick = parser.parse_args().quick
    x = np.random.default_rng(0).normal(size=(8, STEPS, INPUTS)).astype(np.float32)
    reference = 4 * (WEIGHTS + 2 * 6 * UNITS + CLASSES * (UNITS + 1))  # float32 weights and biases, nothing else
    rows = []
    if not quick:
        dense_float32 = tflite_float32(keyword_model(keras.layers.GRU))
        reference = len(dense_float32)
        rows.append(("TensorFlow Lite, Keras GRU, float32", dense_float32, None))
        rows.append(("the same, EXPERIMENTAL_SPARSITY, 90 % in 1x4", _sparse_or_none(), None))
        rows.append(("TensorFlow Lite, tf_keras LSTM, int8", tf_keras_lstm_int8(x), None))
    cases = [(0.9, 4), (0.9, 8)] if quick else [(0.0, 4), *((s, b) for b in (4, 8) for s in (0.8, 0.9, 0.95))]
    met = True
    for sparsity, block in cases:
        begin = time.perf_counter()
        model = keyword_model(EventGRU, sparsity, block)
        converted = ksr.convert(model, x, verify=False, block_size=block)
        seconds = time.perf_counter() - begin
        share = sum(layer.bytes for layer in converted.report.layers) / WEIGHTS
        rows.append((f"ours, EventGRU, int8, {sparsity:.0%} in 1x{block}", converted.data, share))
        if sparsity == 0.9:
            met &= share <= GOALS[block] and len(converted.data) <= reference / 10
    print("| model | file, bytes | zipped | of float32 | recurrent weights, of dense int8 |\n|---|---:|---:|---:|---:|")
    for name, data, share in rows:
        if data is None:
            print(f"| {name} | refused | | | |")
            continue
        percent = "" if share is None else f"{share:.1%}"
        print(f"| {name} | {len(data):,} | {len(gzip.compress(data)):,} | {len(data) / reference:.1%} | {percent} |")
    print(f"\nDense int8 recurrent weights: {WEIGHTS:,} bytes. The last conversion took {seconds:.1f} s.")
    print(f"Goals at 90 % (13.5 % in 1x4, 12 % in 1x8, a tenth of float32): {'met' if met else 'MISSED'}")
    raise SystemExit(not met)


def _sparse_or_none():
    try:
        return tflite_float32(keyword_model(keras.layers.GRU, 0.9), sparse=True)
    except Exception:
        return None


if __name__ == "__main__":
    main()
