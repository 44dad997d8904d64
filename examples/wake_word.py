"""A wake word, always listening: streaming nets trained on streams, their misses, and their instructions per second.

    python examples/wake_word.py [--data DIR] [--quick] [--features log floor pcen] [--speakers 1] [--seeds 1]

DIR, or KSR_DATA, names the folder that holds fsdd.npz (`keras_sparse_rnn.experiments.data`). One spoken digit is the
wake word. A stream consists of digits, a tenth of them the wake word, with pauses and white noise: "speech" with short
pauses, "silence" with nobody speaking 90 % of the time. Each net is trained on streams of all speakers but one, whose
streams it is tested on. It outputs a probability after each frame, which is averaged over 100 ms. A detection is right
if it comes between the beginning of a wake word and half a second after its end.

The table shows the wake words that are missed at 1 and at 0.5 false accepts per hour (the threshold is chosen on the
test streams, as is usual), in Keras; executed instructions of the int8 net per second of sound on a Cortex-M4; and the
steps that `FrameGate` in front of the net leaves to be computed, with the misses then. The instructions of features and
gate are not counted.

Features: "log", the logarithm of the energy in 32 mel bands; "floor", how far it is above a slowly tracked noise floor,
and 0 within 10 dB of it; "pcen", per-channel energy normalization (Wang et al., 2017, arXiv:1607.05666).
"""

import argparse
import os
from dataclasses import dataclass

import keras
import numpy as np

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.board import run_on_board
from keras_sparse_rnn.experiments.data import FSDD_RATE, fsdd_recordings
from keras_sparse_rnn.experiments.log_mel import log_mel
from keras_sparse_rnn.experiments.training import start_again

WAKE = 7
PAUSES = {"speech": (0.1, 0.6), "silence": (1.0, 6.8)}  # seconds, between digits of .43 s in the mean
NOISE_DB = (None, -60, -40)  # dBFS, in training; the test has the second
CHUNK_S = 4.0  # of a training sequence
SMOOTH_S, REFRACTORY_S, LATE_S = 0.1, 0.8, 0.5
TARGET_S = (0.06, 0.24)  # before and after the end of the word: where the net is to say so
FALSE_PER_HOUR = (1.0, 0.5)
GATE = {"threshold": 1.0, "count": 2}  # in standard deviations
BATCH = 32


@dataclass(frozen=True)
class Net:
    """A recurrent layer and the frames it reads.

    Attributes:
        kind, units: Of the layer.
        hop_ms: Milliseconds from frame to frame.
        sparsity: Share of zeros, in blocks of 1x4; 0 for a dense net.
    """

    kind: str
    units: int
    hop_ms: int
    sparsity: float = 0.0

    def __str__(self):
        zeros = f", {self.sparsity:.0%}" if self.sparsity else ""
        return f"{self.kind} {self.units}{zeros}, {self.hop_ms} ms"

    def build(self):
        layers = {
            "GRU": lambda: keras.layers.GRU(self.units, return_sequences=True),
            "LightGRU": lambda: ksr.layers.LightGRU(self.units, return_sequences=True),
            "DeltaGRU": lambda: ksr.layers.DeltaGRU(self.units, 0.5, 0.2, return_sequences=True),
        }
        head = keras.layers.Dense(1, activation="sigmoid")
        return keras.Sequential([keras.Input((None, 32)), keras.layers.GaussianNoise(0.3), layers[self.kind](), head])


NETS = (
    *(Net("GRU", units, hop) for hop in (20, 40, 80) for units in (12, 24)),
    *(Net("LightGRU", units, 40) for units in (16, 32)),
    *(Net("DeltaGRU", 32, hop, 0.7) for hop in (20, 40)),
)


@dataclass(frozen=True)
class Stream:
    """Continuous sound.

    Attributes:
        audio: Samples in [-1, 1].
        words: Beginning and end of each wake word in seconds.
    """

    audio: np.ndarray
    words: np.ndarray


def make_stream(recordings, speakers, seconds, pauses, noise_db, rng, wake_share=0.1):
    """Digits of some speakers, at levels from -6 to +6 dB, with pauses, in white noise."""
    spoken = np.isin(recordings.speaker, speakers)
    pools = [np.flatnonzero(spoken & ((recordings.digit == WAKE) == is_wake)) for is_wake in (False, True)]
    audio, words, end = np.zeros(round(seconds * FSDD_RATE)), [], 0
    while True:
        is_wake = rng.random() < wake_share
        word = recordings.audio[rng.choice(pools[is_wake])] * 10 ** (rng.uniform(-6, 6) / 20)
        begin = end + round(rng.uniform(*pauses) * FSDD_RATE)
        end = begin + len(word)
        if end > len(audio):
            break
        audio[begin:end] = word
        if is_wake:
            words.append((begin / FSDD_RATE, end / FSDD_RATE))
    if noise_db is not None:
        audio += 10 ** (noise_db / 20) * rng.normal(size=len(audio))
    return Stream(audio, np.reshape(words, (-1, 2)))


def features(audio, hop_ms, kind):
    """(frames, 32); each frame is computed from the sound up to its end."""
    logs = log_mel(audio, FSDD_RATE, hop_ms / 1000).astype(np.float64)
    return {"log": lambda logs, hop_s: logs, "floor": above_floor, "pcen": pcen}[kind](logs, hop_ms / 1000)


def above_floor(logs, hop_s, rise_db_per_s=6.0, margin_db=10.0):
    """How far each band is above its noise floor: the smallest energy lately, which rises slowly."""
    in_logs = np.log(10) / 10
    floor, rise, out = logs[0].copy(), rise_db_per_s * hop_s * in_logs, np.empty_like(logs)
    for frame, row in zip(logs, out, strict=True):
        floor = np.minimum(frame, floor + rise)
        row[:] = np.maximum(frame - floor - margin_db * in_logs, 0)
    return out


def pcen(logs, hop_s, time_s=0.4, alpha=0.98, delta=2.0, root=0.5):
    energy, keep = np.exp(logs), np.exp(-hop_s / time_s)
    mean, out = energy[0].copy(), np.empty_like(logs)
    for frame, row in zip(energy, out, strict=True):
        mean = keep * mean + (1 - keep) * frame
        row[:] = (frame / (1e-6 + mean) ** alpha + delta) ** root - delta**root
    return out


def targets(words, frames, hop_s):
    """1 at the frames at which the net is to have heard a wake word, and the weights: 0 while one is being spoken."""
    times = hop_s * (1 + np.arange(frames))
    target, weight = np.zeros(frames, np.float32), np.ones(frames, np.float32)
    for begin, end in words:
        is_due = (times > end - TARGET_S[0]) & (times <= end + TARGET_S[1])
        target[is_due] = 1
        weight[(times > begin) & (times <= end + LATE_S) & ~is_due] = 0
    return target, weight


def detections(probabilities, hop_s, threshold):
    """The times, in seconds, at which the smoothed probability exceeds the threshold."""
    window = max(1, round(SMOOTH_S / hop_s))
    sums = np.cumsum(np.pad(probabilities, (window, 0)))
    times, last = hop_s * (1 + np.flatnonzero((sums[window:] - sums[:-window]) / window > threshold)), -np.inf
    found = []
    for time in times:
        if time >= last + REFRACTORY_S:
            found.append(time)
            last = time
    return np.array(found)


def count(found, words):
    """`(missed wake words, false accepts)` of detections."""
    found = np.asarray(found)
    hits = (found[:, None] >= words[:, 0]) & (found[:, None] <= words[:, 1] + LATE_S)
    return int((~hits.any(axis=0)).sum()), int((~hits.any(axis=1)).sum())


def misses(probabilities, stream, hop_s):
    """Share of wake words that are missed at each of `FALSE_PER_HOUR`."""
    hours = len(probabilities) * hop_s / 3600
    thresholds = np.concatenate([np.linspace(0.02, 0.98, 49), 1 - np.geomspace(0.015, 1e-5, 12)])
    counts = [count(detections(probabilities, hop_s, threshold), stream.words) for threshold in thresholds]
    words = max(1, len(stream.words))
    return [
        min((m for m, false in counts if false <= limit * hours), default=words) / words for limit in FALSE_PER_HOUR
    ]


@dataclass(frozen=True)
class Size:
    """How much is trained and tested: sequences of `CHUNK_S`, epochs, minutes per test stream, frames on the board."""

    sequences: int
    epochs: int
    minutes: float
    board_frames: int


def training_set(recordings, speakers, size, hop_ms, kind, rng):
    x, y, weights = [], [], []
    for _ in range(size.sequences):
        pauses = PAUSES["silence" if rng.random() < 0.3 else "speech"]
        stream = make_stream(recordings, speakers, CHUNK_S, pauses, rng.choice(NOISE_DB), rng, wake_share=0.3)
        x.append(features(stream.audio, hop_ms, kind))
        target, weight = targets(stream.words, len(x[-1]), hop_ms / 1000)
        y.append(target)
        weights.append(weight)
    x = np.stack(x)
    mean, deviation = x.mean(axis=(0, 1)), x.std(axis=(0, 1)) + 1e-6
    return ((x - mean) / deviation).astype(np.float32), np.stack(y)[..., None], np.stack(weights), mean, deviation


def train(net, x, y, weights, epochs, seed):
    steps = epochs * -(-len(x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(0.001, steps, warmup_target=0.02, warmup_steps=max(1, steps // 20))
    keras.utils.set_random_seed(seed)
    model = net.build()
    # Without XLA, which draws the noise slowly on a CPU.
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0), "binary_crossentropy", jit_compile=False
    )
    start_again(model, seed)
    callbacks = []
    if net.sparsity:
        begin, end = int(0.1 * steps), max(int(0.65 * steps), int(0.1 * steps) + 1)
        schedule = ksr.schedules.PolynomialDecay(0.0, net.sparsity, begin, end, frequency=max(1, steps // 100))
        callbacks.append(ksr.callbacks.MagnitudePruning(schedule, block_shape=(1, 4)))
    model.fit(x, y, sample_weight=weights, batch_size=BATCH, epochs=epochs, callbacks=callbacks, verbose=0)
    return model


def row_of(net, recordings, speaker, seed, size, kind):
    """What the table shows of a net: its cells."""
    rng = np.random.default_rng(seed)
    others = [other for other in np.unique(recordings.speaker) if other != speaker]
    x, y, weights, mean, deviation = training_set(recordings, others, size, net.hop_ms, kind, rng)
    model = train(net, x, y, weights, size.epochs, seed)
    gate = ksr.layers.FrameGate(**GATE)
    gated = keras.Sequential([keras.Input((None, 32)), gate, *model.layers[1:]])  # without the noise of the training
    converted = ksr.convert(model, x[:: max(1, len(x) // 100)], time_steps=x.shape[1])
    cells, hop_s = [], net.hop_ms / 1000
    for pauses in PAUSES.values():
        stream = make_stream(recordings, [speaker], 60 * size.minutes, pauses, NOISE_DB[1], rng)
        test = ((features(stream.audio, net.hop_ms, kind) - mean) / deviation).astype(np.float32)
        found = misses(model.predict(test[None], verbose=0).ravel(), stream, hop_s)
        found_by_gated = misses(gated.predict(test[None], verbose=0).ravel(), stream, hop_s)
        made = float(np.mean(keras.ops.convert_to_numpy(gate.compute_mask(test[None]))))
        _, instructions = run_on_board(converted, test[None, : size.board_frames])
        a_second = None if instructions is None else instructions / hop_s
        cells.append((*found, a_second, made, *found_by_gated))
    return np.array(cells, float).ravel()


def main(size, nets, kinds, speakers, seeds):
    recordings = fsdd_recordings()
    print(f"wake word {WAKE}; {size.minutes:g} minutes of each test stream, {NOISE_DB[1]} dBFS; {size.epochs} epochs")
    columns = ["miss 1/h", "miss .5/h", "instr/s", "steps made", "miss 1/h", "miss .5/h"]
    print(f"{'':32}" + "".join(f"{f'{name}:':<66}" for name in PAUSES))
    print(f"{'':32}" + "".join(f"{name:>11}" for name in columns) * len(PAUSES))
    for kind in kinds:
        for net in nets:
            rows = [row_of(net, recordings, s, seed, size, kind) for s in range(speakers) for seed in range(seeds)]
            print(
                f"{f'{net}, {kind}':32}" + "".join(map(cell, np.mean(rows, axis=0), columns * len(PAUSES))), flush=True
            )


def cell(value, column):
    if np.isnan(value):
        return f"{'no QEMU':>11}"
    return f"{value:11,.0f}" if column == "instr/s" else f"{value:11.1%}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder that holds fsdd.npz, instead of KSR_DATA")
    parser.add_argument("--quick", action="store_true", help="one net, trained for a moment: the figures mean nothing")
    parser.add_argument("--features", nargs="+", choices=("log", "floor", "pcen"), default=["floor"])
    parser.add_argument("--speakers", type=int, default=1, help="how many are left out in turn, of six")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sequences", type=int, default=600, help="of 4 seconds, to train on")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=30, help="of each test stream")
    parser.add_argument("--nets", default="", metavar="TEXT", help="only nets whose names contain it")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ["KSR_DATA"] = arguments.data
    size = Size(arguments.sequences, arguments.epochs, arguments.minutes, 1500)
    nets = [net for net in NETS if arguments.nets in str(net)]
    if arguments.quick:
        size, nets = Size(8, 1, 0.2, 20), nets[-1:]
    main(size, nets, arguments.features, arguments.speakers, arguments.seeds)
