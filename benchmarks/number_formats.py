"""Measures the cost and the error of each number format of `ksr.convert`, on real data.

    python benchmarks/number_formats.py                     # the table of docs/quantisation.md
    python benchmarks/number_formats.py --trained --units 24 --epochs 60 --seeds 0 1 --results trained.csv
    KSR_DATA=~/data python benchmarks/number_formats.py --data fsdd

By default the demo's nets, trained by its recipe: an EventGRU and a GRU of --units units, pruned to 90 % in 1x4 blocks,
and a dense GRU of --small units. With --trained, dense nets of --units units of several kinds, each of them in floats,
and then a tenth of the epochs more in the integers of each format, by a tenth of the learning rate. With --results,
each row goes into the file as soon as it is measured, and the next run does not measure it again.

"output error": mean distance of the class probabilities from those of the model that was converted: in floats, or if
it was trained in integers, in these. "drift": that of the recurrent layer's output in the first and in the last hundred
of 1,000 steps, test sequences end to end. "steps": the largest difference of the class probabilities, in steps of their
scale, between the integer model and the model as it was trained. Bytes are those of the whole file; instructions are
executed, not cycles, per step of the recurrent layer alone on a Cortex-M4 in QEMU (integers only: C libraries differ in
the last bit of float32, which the run would refuse). JapaneseVowels comes from the wheel of aeon.
"""

import argparse
import contextlib
import csv
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.data import load
from keras_sparse_rnn.experiments.training import RECIPES, SPARSITY, build, classifier, start_again, train
from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.quantization import QuantizationAware, fake_quantized
from keras_sparse_rnn.runtime.model import Model

FORMATS = {
    "float32": {"weights": "float32"},
    "int8": {},
    "int8, per output": {"scales": "output"},
    "int8x16": {"weights": "int8x16"},
    "int8x16, per output": {"weights": "int8x16", "scales": "output"},
}
AFTER_TRAINING = {name: FORMATS[name] for name in ("float32", "int8x16", "int8")} | {"int4": {"weights": "int4"}}
IN_TRAINING = ("int8", "int4")
LAYERS = {
    "GRU": keras.layers.GRU,
    "LSTM": keras.layers.LSTM,
    "EventGRU": ksr.layers.EventGRU,
    "DeltaGRU": lambda units, **arguments: ksr.layers.DeltaGRU(units, 0.1, 0.05, **arguments),
    "LightGRU": ksr.layers.LightGRU,
}
MORE = 0.1  # share of the epochs, and of the learning rate, of a training in integers
STEPS, STREAMS, MEASURED = 1000, 4, 40
KEYS = ("net", "numbers", "seed")
FIGURES = {  # of a row, with the format of each
    "accuracy": ".2%",
    "NLL": ".4f",
    "output error": ".5f",
    "drift, first": ".5f",
    "drift, last": ".5f",
    "steps": ".1f",
    "bytes": ",.0f",
    "M4 instructions": ",.0f",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(RECIPES), default="japanese-vowels")
    parser.add_argument("--trained", action="store_true", help="nets that were trained in integers, too")
    parser.add_argument("--nets", nargs="+", choices=list(LAYERS), default=list(LAYERS), help="with --trained")
    parser.add_argument("--units", type=int, help="instead of the recipe's")
    parser.add_argument("--small", type=int, default=24, help="units of the small dense GRU; default: %(default)s")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the recipe's")
    parser.add_argument("--results", type=Path, help="a CSV file to which each row is added")
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.data]
    recipe = replace(recipe, epochs=arguments.epochs or recipe.epochs, seeds=tuple(arguments.seeds or recipe.seeds))
    units, data, results = arguments.units or recipe.units, load(arguments.data), Results(arguments.results)
    if arguments.trained:
        for kind in arguments.nets:
            _train_in_integers(kind, units, data, recipe, results)
    else:
        for kind, size, is_pruned in (("EventGRU", units, True), ("GRU", units, True), ("GRU", arguments.small, False)):
            _train_in_floats(kind, size, is_pruned, data, recipe, results)
    results.print()


class Results:
    """The rows that have been measured, in a CSV file if one is given."""

    def __init__(self, path):
        self._path, self._rows = path, []
        if path and path.exists():
            with path.open(newline="") as file:
                self._rows = list(csv.DictReader(file))

    def has(self, net, names, seed):
        """Whether the rows of these number formats are there."""
        return {name for *key, name in self._keys() if key == [net, str(seed)]} >= set(names)

    def add(self, net, numbers, seed, figures):
        """Adds a row unless it is there."""
        if self.has(net, [numbers], seed):
            return
        key = zip(KEYS, (net, numbers, str(seed)), strict=True)
        row = dict(key) | {name: f"{value:.6g}" for name, value in zip(FIGURES, figures, strict=True)}
        self._rows.append(row)
        if self._path:
            is_new = not self._path.exists()
            with self._path.open("a", newline="") as file:
                writer = csv.DictWriter(file, row, lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(row)

    def print(self):
        """Prints the means over the seeds."""
        print(f"| net | numbers | seeds | {' | '.join(FIGURES)} |")
        print("|---" * (3 + len(FIGURES)) + "|")
        for net, numbers in dict.fromkeys((row["net"], row["numbers"]) for row in self._rows):
            rows = [row for row in self._rows if (row["net"], row["numbers"]) == (net, numbers)]
            means = {name: np.mean([float(row[name]) for row in rows]) for name in FIGURES}
            cells = ["" if np.isnan(means[name]) else f"{means[name]:{form}}" for name, form in FIGURES.items()]
            print(f"| {' | '.join([net, numbers, str(len(rows)), *cells])} |")

    def _keys(self):
        return [[row["net"], row["seed"], row["numbers"]] for row in self._rows]


def _train_in_floats(kind, units, is_pruned, data, recipe, results):
    net, trained = f"{kind} {units}{', pruned' if is_pruned else ''}", build(kind, units, data, recipe)
    for seed in recipe.seeds:
        if results.has(net, FORMATS, seed):
            continue
        start_again(trained, seed)
        train(trained, data, recipe, SPARSITY if is_pruned else 0, seed)
        model = _copy(trained)
        for name, number_format in FORMATS.items():
            results.add(net, name, seed, _measure(model, data, number_format))


def _train_in_integers(kind, units, data, recipe, results):
    net, further = f"{kind} {units}", [f"{name}, trained" for name in IN_TRAINING]
    shorter = replace(recipe, epochs=round(recipe.epochs * MORE), learning_rate=recipe.learning_rate * MORE)
    in_floats, in_integers = (
        classifier(LAYERS[kind](units, return_sequences=True, name="recurrent"), data, part)
        for part in (recipe, shorter)
    )
    for seed in recipe.seeds:
        if results.has(net, [*AFTER_TRAINING, *further], seed):
            continue
        start_again(in_floats, seed)
        train(in_floats, data, recipe, 0, seed)
        model = _copy(in_floats)
        for name, number_format in AFTER_TRAINING.items():
            if not results.has(net, [name], seed):
                results.add(net, name, seed, _measure(model, data, number_format))
        for weights, name in zip(IN_TRAINING, further, strict=True):
            if results.has(net, [name], seed):
                continue
            start_again(in_integers, seed)
            in_integers.set_weights(in_floats.get_weights())
            training = QuantizationAware(weights)
            train(in_integers, data, shorter, 0, seed, [training])
            results.add(net, name, seed, _measure(_copy(in_integers), data, {"weights": weights}, training.ranges))


def _copy(trained):
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    return model


def _measure(model, data, number_format, ranges=None):
    """Returns the `FIGURES`."""
    x, y = data.test.x, data.test.y
    recurrent = _alone(model.get_layer("recurrent"), x.shape[2])
    streams = _streams(data.test, seed=0)
    with fake_quantized(model, ranges) if ranges else contextlib.nullcontext():
        expected = model.predict(x, batch_size=len(x), verbose=0)
    with fake_quantized(recurrent, ranges) if ranges else contextlib.nullcontext():
        expected_states = recurrent.predict(streams, verbose=0)
    # Those of a model that was not trained for 4 bits may be as far off as they are.
    number_format = number_format | ({"max_relative_error": np.inf} if "int4" in number_format.values() else {})
    if ranges:
        converted, layer = (ksr.convert(part, ranges=ranges, **number_format) for part in (model, recurrent))
    else:
        samples = data.train.x[:: max(1, len(data.train) // 100)]
        converted = ksr.convert(model, samples, **number_format)
        layer = ksr.convert(recurrent, _streams(data.train, seed=1), **number_format)
    outputs = converted.predict(x)
    nll = -np.log(np.maximum(outputs[np.arange(len(y)), y], 1 / 256)).mean()
    drift = layer.drift(streams, expected_states)
    file, output = Model(layer.data), Model(converted.data).outputs[0]
    inputs = file.inputs[0].quantize(streams[0, -MEASURED:])
    is_float32 = file.inputs[0].dtype == np.float32
    instructions = np.nan if is_float32 else qemu.measure(file, inputs, "cortex-m4").mean_instructions
    accuracy, error = np.mean(outputs.argmax(axis=1) == y), np.abs(outputs - expected)
    steps = error.max() / output.scale if ranges else np.nan
    return accuracy, nll, error.mean(), drift[0], drift[-1], steps, len(converted.data), instructions


def _alone(layer, inputs):
    """Returns the recurrent layer alone over streams, with its weights."""
    copy = type(layer).from_config(layer.get_config() | {"activity_regularizer": None})
    model = keras.Sequential([keras.Input((STEPS, inputs)), copy])
    copy.set_weights(layer.get_weights())
    return model


def _streams(split, seed):
    """Returns concatenated sequences without padding: `(STREAMS, STEPS, features)`."""
    order = np.random.default_rng(seed).permutation(len(split))
    frames = np.concatenate([split.x[i][split.valid[i]] for i in order])
    return frames[: STREAMS * STEPS].reshape(STREAMS, STEPS, -1)


if __name__ == "__main__":
    main()
