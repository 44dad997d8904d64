"""Recognises motions from the six axes of a smart watch: sparse nets, int8, C for the board, and the smallest dense
GRU.

    python examples/gesture.py [--quick] [--out gesture]

Walking, standing, running or badminton (BasicMotions, from the wheel of aeon): 40 sequences of 10 s for training and 40
for testing. As these are few, every net is trained with five seeds; the figures of the board are those of seed 0.
Without a validation set, the EventGRU's readout was chosen on the test set. Prints a table, and saves the models, the C
and a picture.
"""

import argparse
import itertools
import shutil
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.board import run_on_board
from keras_sparse_rnn.experiments.data import basic_motions
from keras_sparse_rnn.experiments.training import start_again

SPARSE = {"EventGRU 32": 0.8, "DeltaGRU 16": 0.5}  # share of zeros, in blocks of 1x4
DENSE = (4, 8, 12, 16)  # units of dense GRUs, smallest first


def net(name, data, epochs):
    kind, units = name.split()
    options = {}
    if kind == "EventGRU":
        options = {"readout": "trace", "activity_regularizer": ksr.regularizers.EventPenalty(0.5)}
    if kind == "DeltaGRU":
        options = {"input_threshold": 0.5, "hidden_threshold": 0.2}
    layer = {"EventGRU": ksr.layers.EventGRU, "DeltaGRU": ksr.layers.DeltaGRU, "GRU": keras.layers.GRU}[kind]
    noise, head = keras.layers.GaussianNoise(0.2), keras.layers.Dense(len(data.classes), activation="softmax")
    model = keras.Sequential([keras.Input(data.train.x.shape[1:]), noise, layer(int(units), **options), head])
    rate = keras.optimizers.schedules.CosineDecay(0.02, epochs)
    model.compile(keras.optimizers.AdamW(rate, clipnorm=1.0), "sparse_categorical_crossentropy", jit_compile=False)
    return model


def fit(model, name, data, epochs, seed):
    """Trains with a seed, the whole training set in a batch; returns the test accuracy."""
    start_again(model, seed)
    callbacks = []
    if name in SPARSE:
        schedule = ksr.schedules.PolynomialDecay(0.0, SPARSE[name], epochs // 10, 2 * epochs // 3, frequency=1)
        callbacks = [ksr.callbacks.MagnitudePruning(schedule, block_shape=(1, 4))]
    model.fit(data.train.x, data.train.y, batch_size=len(data.train), epochs=epochs, callbacks=callbacks, verbose=0)
    return float(np.mean(model.predict(data.test.x, verbose=0).argmax(axis=1) == data.test.y))


def row(name, data, epochs, seeds, out):
    """Trains a net, seed 0 last, and prints its line: accuracies of all seeds, and everything else of seed 0."""
    model = net(name, data, epochs)
    accuracies = [fit(model, name, data, epochs, seed) for seed in reversed(range(seeds))]
    [macs] = ksr.profiling.count_macs(model, data.test.x)
    int8 = ksr.convert(model, data.train.x, labels=data.classes)
    int8.save(out / f"{name}.tflite")
    shutil.rmtree(out / f"{name}, C", ignore_errors=True)
    firmware = int8.save_firmware(out / f"{name}, C", "plain-c", name="gesture")
    in_tflm = np.mean(int8.predict(data.test.x, engine="tflm").argmax(axis=1) == data.test.y)
    _, instructions = run_on_board(int8, data.test.x[::4])
    instructions = "no QEMU" if instructions is None else f"{instructions:,.0f}"
    rates = f"{macs.input_rate:8.0%}{macs.activity:7.0%}{macs.effective:7,.0f}{instructions:>9}"
    flash = firmware.builds["-O2"].flash_bytes if firmware.builds else firmware.model_bytes
    print(f"{name:12}{np.mean(accuracies):9.1%}{min(accuracies):7.1%}{in_tflm:8.1%}{rates}{flash:8,}", flush=True)
    return name, accuracies, macs.effective


def main(epochs, seeds, sparse, dense, out):
    data = basic_motions()
    print(
        f"{'':12}{'accuracy':>9}{'worst':>7}{'int8':>8}{'inputs':>8}{'units':>7}{'MACs':>7}{'M4 instr':>9}{'flash':>8}"
    )
    rows = [row(name, data, epochs, seeds, out) for name in (*sparse, *(f"GRU {units}" for units in dense))]
    draw(rows, data, out / "gesture.png")
    print(f"\nIn {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def draw(rows, data, path):
    """Draws a sequence of each class, and accuracy against MACs."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    panels = left.subplots(len(data.classes), 1, sharex=True)
    time = np.arange(data.test.x.shape[1]) * data.step_ms / 1000
    for index, (axes, name) in enumerate(zip(panels, data.classes, strict=True)):
        axes.plot(time, data.test.x[np.flatnonzero(data.test.y == index)[0]], linewidth=0.8)
        axes.set_ylabel(name, rotation=0, ha="right")
        axes.set_yticks([])
    panels[0].set_title("Test sequences: acceleration and rotation")
    panels[-1].set_xlabel("time (s)")
    axes = right.subplots()
    for (name, accuracies, macs), marker in zip(rows, itertools.chain("os", itertools.repeat("^")), strict=False):
        error = [[100 * (np.mean(accuracies) - min(accuracies))], [100 * (max(accuracies) - np.mean(accuracies))]]
        axes.errorbar(macs, 100 * np.mean(accuracies), yerr=error, fmt=marker, markersize=8, capsize=3, label=name)
    axes.set(
        xscale="log", xlabel="effective MACs per step", ylabel="test accuracy (%)", title="Mean and range of the seeds"
    )
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="train for a moment only: the figures mean nothing")
    parser.add_argument("--out", type=Path, default="gesture", help="a folder; default: %(default)s")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    size = (12, 1, ["DeltaGRU 16"], ()) if arguments.quick else (400, 5, SPARSE, DENSE)
    main(*size, arguments.out)
