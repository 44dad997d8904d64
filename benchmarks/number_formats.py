"""What each number format of `ksr.convert` costs and keeps, on real data: the table of docs/quantisation.md.

    python benchmarks/number_formats.py                     # JapaneseVowels, from the wheel of aeon
    KSR_DATA=~/data python benchmarks/number_formats.py --data fsdd

The demo's nets, trained by its recipe: an EventGRU and a GRU of 128 units, pruned to 90 % in 1x4 blocks, and a dense
GRU of --small units. "output error": mean distance of the class probabilities from Keras's on the test set. "drift":
that of the recurrent layer's output in the first and in the last hundred of 1,000 steps, test sequences end to end.
Bytes are those of the whole file; instructions are executed, not cycles, a step of the recurrent layer alone on a
Cortex-M4 in QEMU (integers alone: C libraries differ in the last bit of float32, which the run would refuse).
"""

import argparse
import os
from dataclasses import replace

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.data import load
from keras_sparse_rnn.experiments.training import RECIPES, SPARSITY, build, start_again, train
from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.runtime.model import Model

FORMATS = {
    "float32": {"weights": "float32"},
    "int8": {},
    "int8, per output": {"scales": "output"},
    "int8x16": {"weights": "int8x16"},
    "int8x16, per output": {"weights": "int8x16", "scales": "output"},
}
STEPS, STREAMS, MEASURED = 1000, 4, 40


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(RECIPES), default="japanese-vowels")
    parser.add_argument("--small", type=int, default=24, help="units of the small dense GRU; default: %(default)s")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the recipe's")
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.data]
    recipe = replace(recipe, epochs=arguments.epochs or recipe.epochs, seeds=tuple(arguments.seeds or recipe.seeds))
    data = load(arguments.data)
    print("| net | numbers | accuracy | output error | drift: first, last | bytes | M4 instructions |")
    print("|---|---|---|---|---|---|---|")
    for kind, units, is_pruned in (
        ("EventGRU", recipe.units, True),
        ("GRU", recipe.units, True),
        ("GRU", arguments.small, False),
    ):
        _print_net(kind, units, is_pruned, data, recipe)


def _print_net(kind, units, is_pruned, data, recipe):
    trained = build(kind, units, data, recipe)
    figures = {name: [] for name in FORMATS if kind == "EventGRU" or "events" not in FORMATS[name]}
    for seed in recipe.seeds:
        start_again(trained, seed)
        train(trained, data, recipe, SPARSITY if is_pruned else 0, seed)
        model = keras.models.clone_model(trained)
        model.set_weights(trained.get_weights())
        for name, rows in figures.items():
            rows.append(_measure(model, data, FORMATS[name]))
    for name, rows in figures.items():
        accuracy, error, first, last, size, instructions = np.mean(rows, axis=0)
        cells = [f"{kind} {units}{', pruned' if is_pruned else ''}", name, f"{accuracy:.2%}", f"{error:.5f}"]
        cells += [f"{first:.5f}, {last:.5f}", f"{size:,.0f}", "" if np.isnan(instructions) else f"{instructions:,.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def _measure(model, data, number_format):
    """Accuracy, output error, drift in the first and the last tenth, bytes, instructions."""
    x, y = data.test.x, data.test.y
    samples = data.train.x[:: max(1, len(data.train) // 100)]
    converted = ksr.convert(model, samples, **number_format)
    outputs = converted.predict(x)
    error = np.abs(outputs - model.predict(x, verbose=0)).mean()

    recurrent = _alone(model.get_layer("recurrent"), x.shape[2])
    streams, calibration = _streams(data.test, seed=0), _streams(data.train, seed=1)
    layer = ksr.convert(recurrent, calibration, **number_format)
    drift = layer.drift(streams, recurrent.predict(streams, verbose=0))
    file = Model(layer.data)
    inputs = file.inputs[0].quantize(streams[0, -MEASURED:])
    is_float32 = file.inputs[0].dtype == np.float32
    instructions = np.nan if is_float32 else qemu.measure(file, inputs, "cortex-m4").mean_instructions
    return np.mean(outputs.argmax(axis=1) == y), error, drift[0], drift[-1], len(converted.data), instructions


def _alone(layer, inputs):
    """The recurrent layer over streams, its weights kept."""
    copy = type(layer).from_config(layer.get_config() | {"activity_regularizer": None})
    model = keras.Sequential([keras.Input((STEPS, inputs)), copy])
    copy.set_weights(layer.get_weights())
    return model


def _streams(split, seed):
    """Sequences end to end, without their padding: `(STREAMS, STEPS, features)`."""
    order = np.random.default_rng(seed).permutation(len(split))
    frames = np.concatenate([split.x[i][split.valid[i]] for i in order])
    return frames[: STREAMS * STEPS].reshape(STREAMS, STEPS, -1)


if __name__ == "__main__":
    main()
