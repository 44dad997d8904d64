"""Recognises spoken digits, from the sound to the board: log-mel, sparse streaming nets, int8, C, and unknown speakers.

    python examples/keyword_spotting.py [--data DIR] [--quick] [--out keywords]

DIR, or KSR_DATA, names the folder with fsdd.npz (`keras_sparse_rnn.experiments.data`). Each net takes 32 log-mel bands
every 20 ms and classifies after each. Prints the cost of every net on the board, and its accuracy on the official split
and on each speaker when trained on the other five. Saves the models, the C and a picture.
"""

import argparse
import os
import shutil
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.board import run_on_board
from keras_sparse_rnn.experiments.data import FSDD_TEST, fsdd_recordings, spoken_digits
from keras_sparse_rnn.experiments.training import start_again

BATCH, EPOCHS = 60, 60
SPARSE = {"EventGRU 64": 0.8, "DeltaGRU 32": 0.7}  # share of zeros, in blocks of 1x4
DENSE = (8, 12, 16, 24, 32)  # units of dense GRUs, smallest first
COLORS = ("#0072B2", "#D55E00", "#777777")


def net(name, data):
    kind, units = name.split()
    recurrent = {
        "EventGRU": lambda: ksr.layers.EventGRU(
            int(units), readout="cell", activity_regularizer=ksr.regularizers.EventPenalty(2.0)
        ),
        "DeltaGRU": lambda: ksr.layers.DeltaGRU(int(units), input_threshold=0.5, hidden_threshold=0.2),
        "GRU": lambda: keras.layers.GRU(int(units)),
    }[kind]()
    shape, classes = data.train.x.shape[1:], len(data.classes)
    head = keras.layers.Dense(classes, activation="softmax")
    return keras.Sequential([keras.Input(shape), keras.layers.GaussianNoise(0.4), recurrent, head])


def fit(model, name, data, epochs, seed=0):
    steps = epochs * -(-len(data.train) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(0.001, steps, warmup_target=0.02, warmup_steps=steps // 20)
    if not model.compiled:  # once for all splits
        optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0)
        # Without XLA, which draws the noise slowly on a CPU.
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    start_again(model, seed)
    callbacks = []
    if name in SPARSE:
        begin, end = int(0.1 * steps), int(0.65 * steps)
        schedule = ksr.schedules.PolynomialDecay(0.0, SPARSE[name], begin, end, frequency=max(1, steps // 100))
        callbacks.append(ksr.callbacks.MagnitudePruning(schedule, block_shape=(1, 4)))
    model.fit(data.train.x, data.train.y, batch_size=BATCH, epochs=epochs, callbacks=callbacks, verbose=0)
    return float(np.mean(model.predict(data.test.x, verbose=0).argmax(axis=1) == data.test.y))


class Row:
    """The results of a net: on the official split, on the board, and on unknown speakers."""

    def __init__(self, name, data, strangers, epochs, out):
        self.name, model = name, net(name, data)
        self.accuracy = fit(model, name, data, epochs)
        [self.macs] = ksr.profiling.count_macs(model, data.test.x, data.test.valid)
        int8 = ksr.convert(model, data.train.x[::27], labels=data.classes)
        int8.save(out / f"{name}.tflite")
        decisions = int8.predict(data.test.x, engine="tflm").argmax(axis=1)
        self.int8_accuracy = float(np.mean(decisions == data.test.y))
        shutil.rmtree(out / f"{name}, C", ignore_errors=True)
        self.firmware = int8.save_firmware(out / f"{name}, C", "plain-c", name="keywords")
        heard = slice(None, None, len(data.test) // 10)
        self.stream, self.instructions = run_on_board(int8, data.test.x[heard], data.test.valid[heard])
        self.by_speaker = [fit(model, name, other, epochs) for other in strangers]

    def __str__(self):
        instructions = "no QEMU" if self.instructions is None else f"{self.instructions:,.0f}"
        builds = self.firmware.builds
        flash = builds["-O2"].flash_bytes if builds else self.firmware.model_bytes
        accuracies = "".join(f"{a:9.1%}" for a in (self.accuracy, self.int8_accuracy, np.mean(self.by_speaker)))
        return f"{self.name:14}{accuracies}{self.macs.effective:9,.0f}{instructions:>9}{flash:9,}"


def main(epochs, speakers, sparse, dense, every, out):
    recordings = fsdd_recordings()
    part = np.arange(len(recordings.audio)) % every == 0
    official = np.isin(recordings.index, FSDD_TEST)
    data = spoken_digits(recordings, part & ~official, part & official)
    strangers = [
        spoken_digits(recordings, part & (recordings.speaker != who), part & (recordings.speaker == who))
        for who in range(speakers)
    ]
    print(f"{'':14}{'accuracy':>9}{'int8':>9}{'stranger':>9}{'MACs':>9}{'M4 instr':>9}{'flash':>9}")
    rows = []

    def enter(name):
        rows.append(Row(name, data, strangers, epochs, out))
        print(rows[-1], flush=True)
        return rows[-1]

    goal = max(enter(name).accuracy for name in sparse)
    margin = np.sqrt(goal * (1 - goal) / len(data.test))
    for units in dense:  # the smallest equally accurate one, judged on the test set itself, which favours it
        if enter(f"GRU {units}").accuracy >= goal - margin:
            break
    draw([*rows[: len(sparse)], rows[-1]], data, out / "keyword_spotting.png")
    print(f"\nIn {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def draw(rows, data, path):
    """Draws the input and output of the first net frame by frame, and the accuracy of each net on each speaker."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    above, below = left.subplots(2, 1, sharex=True)
    end = data.step_ms * data.test.x.shape[1]
    extent = (0, end, 0, data.test.x.shape[2])
    above.imshow(data.test.x[0].T, origin="lower", aspect="auto", cmap="cividis", extent=extent)
    above.set(ylabel="mel band", title=f"“{data.classes[data.test.y[0]]}”, padded in front")
    if rows[0].stream is not None:
        for digit, line in enumerate(rows[0].stream[0].T):
            below.plot((1 + np.arange(len(line))) * data.step_ms, line, color=f"C{digit}", label=data.classes[digit])
        below.legend(ncols=5, fontsize=7, frameon=False)
    below.set(xlabel="time (ms)", ylabel="probability", ylim=(0, 1.02), title=f"{rows[0].name}, int8 on a Cortex-M4")
    axes = right.subplots()
    for number, (row, color) in enumerate(zip(rows, COLORS, strict=False)):
        places = np.arange(len(row.by_speaker)) + 0.27 * (number - 1)
        axes.bar(places, 100 * np.array(row.by_speaker), 0.25, color=color, label=row.name)
    axes.set(xlabel="speaker, none of whose words were trained on", ylabel="accuracy (%)", ylim=(0, 100))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(rows), frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder that holds fsdd.npz, instead of KSR_DATA")
    parser.add_argument("--quick", action="store_true", help="train for a moment only: the figures mean nothing")
    parser.add_argument("--out", type=Path, default="keywords", help="a folder; default: %(default)s")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ["KSR_DATA"] = arguments.data
    arguments.out.mkdir(parents=True, exist_ok=True)
    size = (1, 1, ["DeltaGRU 32"], DENSE[:1], 10) if arguments.quick else (EPOCHS, 6, SPARSE, DENSE, 1)
    main(*size, arguments.out)
