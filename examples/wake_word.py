"""A wake word, always listening: streaming nets trained on streams, their misses, and their instructions per second.

    KERAS_BACKEND=jax python examples/wake_word.py train   # misses; minutes per speaker, longer in TensorFlow
    python examples/wake_word.py measure                   # instructions on a Cortex-M4, in QEMU
    python examples/wake_word.py table [--csv FILE] [--picture FILE]  # means over speakers and seeds

KSR_DATA, or --data, names the folder that holds fsdd.npz (`keras_sparse_rnn.experiments.data`). Everything lies in the
folder `--out`; each command goes on where it was stopped.

One spoken digit is the wake word. A stream consists of digits, a tenth of them the wake word, with pauses and white
noise: "speech" with short pauses, "silence" with nobody speaking 90 % of the time. Each net is trained on streams of
all speakers but one, whose streams it is tested on. All speakers are brought to one level; the words of a training
stream are also played faster or slower, which changes the voice, and filtered. After each frame a net outputs the
log-odds that the wake word has just ended, which are averaged over 100 ms. A detection is right if it comes between the
beginning of a wake word and half a second after its end.

`train` counts the wake words that are missed at 1 and at 0.5 false accepts per hour (the threshold is chosen on the
test streams, as is usual), in Keras. `measure` counts executed instructions of the int8 net; those of the features are
not counted. "held" is the dense GRU of that size and hop as a delta network (`to_delta`, with that tolerance),
fine-tuned for a quarter of the epochs; a "gated" net is behind a `FrameGate`, in training too.

Features: "log", the logarithm of the energy in 32 mel bands; "floor", how far it is above a slowly tracked noise floor,
and 0 within 10 dB of it; "pcen", per-channel energy normalization (Wang et al., 2017, arXiv:1607.05666); "quiet-pcen",
the same with an absolute floor near the energy of white noise of -42 dBFS, so that weaker noise stays near zero.
"""

import argparse
import collections
import csv
import itertools
import json
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.board import run_on_board
from keras_sparse_rnn.experiments.data import FSDD_RATE, fsdd_recordings
from keras_sparse_rnn.experiments.log_mel import log_mel

WAKE = 7
LEVEL_DB, LEVELS_DB = -26, 6  # dBFS of a word in the mean, and how far single words differ from it
PAUSES = {"speech": (0.1, 0.6), "silence": (1.0, 6.8)}  # seconds, between digits of .43 s in the mean
TRAINING_PAUSES = ((0.1, 0.6), (0.5, 2.5))  # four times in five the first
TRAINING_NOISE_DB, NOISE_DB = (None, -60, -50, -40), -60  # dBFS, in training and in the test
CHUNK_S = 4.0  # of a training sequence
SPEED, TILT = 0.15, 0.6  # of words in training: logarithm of the speed, and coefficient of a filter
SMOOTH_S, REFRACTORY_S, LATE_S = 0.1, 0.8, 0.5
TARGET_S = (0.06, 0.24)  # before and after the end of the word: where the net is to say so
FALSE_PER_HOUR = (1.0, 0.5)
GATE = {"threshold": 0.3, "count": 2}  # in standard deviations
BATCH, RATE, FINE_TUNING_RATE = 32, 5e-3, 1e-3
KINDS = ("log", "floor", "pcen", "quiet-pcen")
KEY = ("net", "features", "speaker", "seed")  # of a row
BOARD_S = 30  # of each stream, on the board


@dataclass(frozen=True)
class Net:
    """A recurrent layer and the frames it reads.

    Attributes:
        kind: "GRU", "LightGRU", "DeltaGRU", or "held", a trained GRU as a delta network.
        units: Its units.
        hop_ms: Milliseconds from frame to frame.
        sparsity: Share of zeros, in blocks of 1x4; 0 for a dense net.
        gated: Whether a `FrameGate` is in front of it.
        tolerance: Of `to_delta`, in standard deviations of the log-odds.
    """

    kind: str
    units: int
    hop_ms: int
    sparsity: float = 0.0
    gated: bool = False
    tolerance: float = 0.0

    def __str__(self):
        zeros, gated = f", {self.sparsity:.0%}" if self.sparsity else "", ", gated" if self.gated else ""
        kind, held = ("GRU", f", held {self.tolerance:g}") if self.kind == "held" else (self.kind, "")
        return f"{kind} {self.units}{zeros}, {self.hop_ms} ms{held}{gated}"

    @property
    def origin(self):
        """The net whose weights it begins with, if any."""
        return replace(self, kind="GRU", tolerance=0.0) if self.kind == "held" else None

    def build(self):
        layers = {
            "GRU": lambda: keras.layers.GRU(self.units, return_sequences=True),
            "LightGRU": lambda: ksr.layers.LightGRU(self.units, return_sequences=True),
            "DeltaGRU": lambda: ksr.layers.DeltaGRU(self.units, 0.5, 0.2, return_sequences=True),
        }
        # The gate is in front of the noise, which would open it.
        gate = [ksr.layers.FrameGate(**GATE)] if self.gated else []
        noise, dropout = keras.layers.GaussianNoise(0.3), keras.layers.Dropout(0.1)
        head = keras.layers.Dense(1, name="log_odds")
        return keras.Sequential([keras.Input((None, 32)), *gate, noise, layers[self.kind](), dropout, head])


NETS = (
    *(Net("GRU", units, 40) for units in (32, 16)),
    Net("held", 32, 40, tolerance=0.3),
    Net("held", 32, 40, tolerance=0.1),
    Net("LightGRU", 32, 40),
    Net("DeltaGRU", 32, 40, 0.7),
    Net("GRU", 32, 40, gated=True),
    Net("held", 32, 40, gated=True, tolerance=0.1),
    *(Net("GRU", units, 80) for units in (32, 16)),
    *(Net("GRU", units, 20) for units in (32, 16)),
    Net("held", 32, 20, tolerance=0.1),
)
QUICK = Net("GRU", 32, 40), Net("held", 32, 40, tolerance=0.3), Net("GRU", 32, 40, gated=True)


@dataclass(frozen=True)
class Stream:
    """Continuous sound.

    Attributes:
        audio: Samples in [-1, 1].
        words: Beginning and end of each wake word in seconds.
    """

    audio: np.ndarray
    words: np.ndarray


def leveled(word):
    return word * 10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(word**2))


def another_voice(word, rng):
    """A word at another speed, by which its pitch and formants move too, through a filter of the first order."""
    speed = np.exp(rng.uniform(-SPEED, SPEED))
    word = np.interp(np.arange(0, len(word) - 1, speed), np.arange(len(word)), word)
    return word[1:] + rng.uniform(-TILT, TILT) * word[:-1]


def make_stream(recordings, speakers, seconds, pauses, noise_db, rng, wake_share=0.1, augment=False):
    """Digits of some speakers, at levels from -6 to +6 dB around `LEVEL_DB`, with pauses, in white noise."""
    spoken = np.isin(recordings.speaker, speakers)
    pools = [np.flatnonzero(spoken & ((recordings.digit == WAKE) == is_wake)) for is_wake in (False, True)]
    audio, words, end = np.zeros(round(seconds * FSDD_RATE)), [], 0
    while True:
        is_wake = rng.random() < wake_share
        word = recordings.audio[rng.choice(pools[is_wake])]
        word = leveled(another_voice(word, rng) if augment else word) * 10 ** (rng.uniform(-LEVELS_DB, LEVELS_DB) / 20)
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
    if kind == "log":
        return logs
    if kind == "floor":
        return above_floor(logs, hop_ms / 1000)
    return pcen(logs, hop_ms / 1000, 1e-6 if kind == "pcen" else 1e-2)


def above_floor(logs, hop_s, rise_db_per_s=6.0, margin_db=10.0):
    """How far each band is above its noise floor: the smallest energy lately, which rises slowly."""
    in_logs = np.log(10) / 10
    floor, rise, out = logs[0].copy(), rise_db_per_s * hop_s * in_logs, np.empty_like(logs)
    for frame, row in zip(logs, out, strict=True):
        floor = np.minimum(frame, floor + rise)
        row[:] = np.maximum(frame - floor - margin_db * in_logs, 0)
    return out


def pcen(logs, hop_s, epsilon, time_s=0.4, alpha=0.98, delta=2.0, root=0.5):
    """Per-channel energy normalization; the energy is that of a window of 25 ms, whatever the hop."""
    energy, keep = np.exp(logs) * (0.02 / hop_s), np.exp(-hop_s / time_s)
    mean, out = energy[0].copy(), np.empty_like(logs)
    for frame, row in zip(energy, out, strict=True):
        mean = keep * mean + (1 - keep) * frame
        row[:] = (frame / (epsilon + mean) ** alpha + delta) ** root - delta**root
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


def smoothed(scores, hop_s):
    """The mean of each score and those before it, over `SMOOTH_S`."""
    window = max(1, round(SMOOTH_S / hop_s))
    sums = np.cumsum(np.pad(scores.astype(np.float64), (window, 0), mode="edge"))
    return (sums[window:] - sums[:-window]) / window


def detections(smooth, hop_s, threshold):
    """The times, in seconds, at which smoothed scores rise above the threshold, at least `REFRACTORY_S` apart.

    Behind a gate the last score is held in a pause, however high it is: it counts once.
    """
    above = np.pad(smooth > threshold, (1, 0))
    found, last = [], -np.inf
    for time in hop_s * (1 + np.flatnonzero(above[1:] & ~above[:-1])):
        if time >= last + REFRACTORY_S:
            found.append(time)
            last = time
    return np.array(found)


def count(found, words):
    """`(missed wake words, false accepts)` of detections."""
    found = np.asarray(found)
    hits = (found[:, None] >= words[:, 0]) & (found[:, None] <= words[:, 1] + LATE_S)
    return int((~hits.any(axis=0)).sum()), int((~hits.any(axis=1)).sum())


def misses(scores, words, hop_s):
    """Share of wake words that are missed at each of `FALSE_PER_HOUR`."""
    hours, smooth = len(scores) * hop_s / 3600, smoothed(scores, hop_s)
    thresholds = np.quantile(smooth, 1 - np.geomspace(1e-5, 0.2, 120))
    counts = [count(detections(smooth, hop_s, threshold), words) for threshold in thresholds]
    return [
        min((m for m, false in counts if false <= limit * hours), default=len(words)) / max(1, len(words))
        for limit in FALSE_PER_HOUR
    ]


@dataclass(frozen=True)
class Size:
    """How much is trained and tested: sequences of `CHUNK_S`, epochs, minutes per test stream."""

    sequences: int
    epochs: int
    minutes: int


class Fold:
    """What nets of one hop learn and are tested on when a speaker is left out.

    Attributes:
        x, y, weights: Of training sequences.
        tests: By the name of a stream, features (minutes, frames, 32) and the wake words of all minutes in a row.
    """

    def __init__(self, recordings, speaker, seed, hop_ms, kind, size):
        rng = np.random.default_rng((seed, speaker))
        others = [other for other in np.unique(recordings.speaker) if other != speaker]
        x, y, weights = [], [], []
        for _ in range(size.sequences):
            pauses, noise = TRAINING_PAUSES[int(rng.random() < 0.2)], rng.choice(TRAINING_NOISE_DB)
            stream = make_stream(recordings, others, CHUNK_S, pauses, noise, rng, wake_share=0.3, augment=True)
            x.append(features(stream.audio, hop_ms, kind).astype(np.float32))
            target, weight = targets(stream.words, len(x[-1]), hop_ms / 1000)
            y.append(target)
            weights.append(weight)
        x = np.stack(x)
        mean, deviation = x.mean(axis=(0, 1)), x.std(axis=(0, 1)) + 1e-6
        self.x, self.y, self.weights = (x - mean) / deviation, np.stack(y)[..., None], np.stack(weights)
        self.tests = {}
        for name, pauses in PAUSES.items():
            # The same sound for every hop and seed.
            rng = np.random.default_rng((speaker, len(self.tests)))
            minutes = [make_stream(recordings, [speaker], 60, pauses, NOISE_DB, rng) for _ in range(size.minutes)]
            frames = np.stack([features(stream.audio, hop_ms, kind) for stream in minutes])
            length_s = frames.shape[1] * hop_ms / 1000
            words = np.concatenate([stream.words + i * length_s for i, stream in enumerate(minutes)])
            self.tests[name] = ((frames - mean) / deviation).astype(np.float32), words


def train(model, fold, epochs, rate, seed, sparsity=0.0):
    steps = epochs * -(-len(fold.x) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 20, steps, warmup_target=rate, warmup_steps=max(1, steps // 20)
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    keras.utils.set_random_seed(seed)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.01, clipnorm=1.0), loss)
    callbacks = []
    if sparsity:
        begin, end = int(0.1 * steps), max(int(0.65 * steps), int(0.1 * steps) + 1)
        ramp = ksr.schedules.PolynomialDecay(0.0, sparsity, begin, end, frequency=max(1, steps // 100))
        callbacks.append(ksr.callbacks.MagnitudePruning(ramp, block_shape=(1, 4)))
    model.fit(
        fold.x, fold.y, sample_weight=fold.weights, batch_size=BATCH, epochs=epochs, callbacks=callbacks, verbose=0
    )


def trained(net, fold, seed, size, origin):
    """A trained model; `origin` is the file of the net that it begins with."""
    keras.utils.set_random_seed(seed)
    if net.origin:
        model = keras.saving.load_model(origin)
        model = ksr.to_delta(model, fold.x[:64], tolerance=net.tolerance, dense=False, verbose=False)
        train(model, fold, max(1, size.epochs // 4), FINE_TUNING_RATE, seed)
    else:
        model = net.build()
        train(model, fold, size.epochs, RATE, seed, net.sparsity)
    return model


def train_all(nets, kinds, speakers, seeds, size, out):
    recordings, done = fsdd_recordings(), {key_of(run) for run in read(out / "runs.jsonl")}
    for seed, speaker, kind in itertools.product(range(seeds), range(speakers), kinds):
        for hop_ms in dict.fromkeys(net.hop_ms for net in nets):
            keys = {net: (str(net), kind, speaker, seed) for net in nets if net.hop_ms == hop_ms}
            todo = {net: key for net, key in keys.items() if key not in done}
            fold = Fold(recordings, speaker, seed, hop_ms, kind, size) if todo else None
            for net, key in todo.items():
                path = out / file_name(key)
                if path.exists():
                    model = keras.saving.load_model(path)
                else:
                    model = trained(net, fold, seed, size, out / file_name((str(net.origin), *key[1:])))
                    model.save(path)
                run = dict(zip(KEY, key, strict=True)) | asdict(size) | figures(model, fold, hop_ms / 1000)
                write(out / "runs.jsonl", run)
                print(run, flush=True)


def figures(model, fold, hop_s):
    """Shares of missed words, and of the steps that are made."""
    found = {}
    for name, (x, words) in fold.tests.items():
        gates = [layer for layer in model.layers if isinstance(layer, ksr.layers.FrameGate)]
        found[f"{name}: steps made"] = float(np.mean([gate.compute_mask(x) for gate in gates])) if gates else 1.0
        scores = model.predict(x, verbose=0, batch_size=len(x)).ravel()
        for limit, missed in zip(FALSE_PER_HOUR, misses(scores, words, hop_s), strict=True):
            found[f"{name}: missed at {limit:g}/h"] = missed
    return found


def measure_all(nets, out):
    recordings, done = fsdd_recordings(), {key_of(cost) for cost in read(out / "costs.jsonl")}
    by_name = {str(net): net for net in nets}
    for run in read(out / "runs.jsonl"):
        key = key_of(run)
        if key in done or key[0] not in by_name:
            continue
        (_, kind, speaker, seed), hop_ms = key, by_name[key[0]].hop_ms
        fold = Fold(recordings, speaker, seed, hop_ms, kind, Size(100, 0, 1))
        converted = ksr.convert(
            keras.saving.load_model(out / file_name(key)), fold.x, time_steps=fold.x.shape[1], verify=False
        )
        cost = dict(zip(KEY, key, strict=True))
        for title, (x, _) in fold.tests.items():
            _, instructions = run_on_board(converted, x[:1, : BOARD_S * 1000 // hop_ms])
            cost[f"{title}: M4/s"] = instructions and instructions * 1000 / hop_ms
        write(out / "costs.jsonl", cost)
        print(cost, flush=True)


def table(out, path, picture):
    """Prints means over the speakers and seeds, and writes a row for each run."""
    costs = {key_of(cost): cost for cost in read(out / "costs.jsonl")}
    runs = [run | costs.get(key_of(run), {}) for run in read(out / "runs.jsonl")]
    if not runs:
        raise SystemExit(f"{out} holds no runs: `train` makes them.")
    titles = list(dict.fromkeys(name for run in runs for name in run))
    if path:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, titles, lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: rounded(name, value) for name, value in run.items()} for run in runs)
    groups = collections.defaultdict(list)
    for run in runs:
        groups[run["net"], run["features"]].append(run)
    titles = ["net", "features", "runs", *(name for name in titles if ":" in name)]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    means = {}
    for key, group in groups.items():
        values = {name: [run[name] for run in group if run.get(name) is not None] for name in titles[3:]}
        means[key] = {name: float(np.mean(of_name)) for name, of_name in values.items() if of_name}
        cells = [*key, len(group), *(rounded(name, means[key].get(name, "")) for name in titles[3:])]
        print(f"| {' | '.join(map(str, cells))} |")
    if picture:
        draw({key: mean for key, mean in means.items() if "speech: M4/s" in mean}, picture)


def rounded(name, value):
    if not isinstance(value, float):
        return value
    return round(value) if name.endswith("M4/s") else round(value, 4)


def draw(means, path):
    """Missed words against instructions, for each of the streams; below and left is better."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), PAUSES, strict=True):
        points = collections.defaultdict(dict)
        for (net, kind), mean in means.items():
            family = next((text for text in ("gated", "held", "DeltaGRU", "LightGRU") if text in net), "dense GRU")
            label = net if len({kind for _, kind in means}) == 1 else f"{net}, {kind}"
            points[family][label] = mean[f"{name}: M4/s"] / 1000, 100 * mean[f"{name}: missed at 1/h"]
        cost, quality = "thousand M4 instructions per second", "missed at 1 false accept per hour (%)"
        ksr.plot.pareto(points, cost=cost, quality=quality, lower_is_better=True, ax=axes)
        axes.set_title(name, loc="left")
    figure.savefig(path, dpi=110)


def key_of(row):
    return tuple(row[name] for name in KEY)


def file_name(key):
    return ", ".join(map(str, key)) + ".keras"


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(path, row):
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", nargs="?", choices=("train", "measure", "table"), help="default: all")
    parser.add_argument("--data", help="folder that holds fsdd.npz, instead of KSR_DATA")
    parser.add_argument(
        "--out", type=Path, default="wake_word", help="folder of nets and figures; default: %(default)s"
    )
    parser.add_argument(
        "--quick", action="store_true", help="three nets, trained for a moment: the figures mean nothing"
    )
    parser.add_argument("--features", nargs="+", choices=KINDS, default=["quiet-pcen"])
    parser.add_argument("--speakers", type=int, default=2, help="how many are left out in turn, of six")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sequences", type=int, default=3072, help="of 4 seconds, to train on")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--minutes", type=int, default=120, help="of each test stream")
    parser.add_argument("--nets", default="", metavar="REGEX", help="only nets with such names")
    parser.add_argument("--csv", type=Path, help="where `table` writes every run")
    parser.add_argument("--picture", type=Path, help="where `table` draws misses against instructions, a .png")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ["KSR_DATA"] = arguments.data
    nets = [net for net in NETS if re.search(arguments.nets, str(net))]
    size, speakers = Size(arguments.sequences, arguments.epochs, arguments.minutes), arguments.speakers
    if arguments.quick:
        size, nets, speakers = Size(8, 1, 1), QUICK, 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.step in ("train", None):
        train_all(nets, arguments.features, speakers, arguments.seeds, size, arguments.out)
    if arguments.step in ("measure", None):
        measure_all(nets, arguments.out)
    if arguments.step in ("table", None):
        table(arguments.out, arguments.csv, arguments.picture)
