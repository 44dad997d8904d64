"""Runs RNNoise, a net that removes noise from speech, on a microcontroller: its own trained weights, as int8 and
int8x16.

    python examples/rnnoise.py [--quick] [--data DIR] [--delta DB ...] [--train UPDATES] [--students UPDATES]
                               [--results FILE]

DIR, or KSR_DATA, names the folder with rnnoise.npz. It holds the weights of RNNoise v0.1 (github.com/xiph/rnnoise, BSD)
as `w_NAME`, int8 times 1/256, and noisy recordings as `f_NAME` with a row for each frame of 10 ms: 42 features, and the
22 gains and the voice activity that RNNoise's own C computes from them. The net consists of three GRUs of 24, 48 and 96
units, all with relu, between dense layers. Nothing is trained or pruned.

Four recordings set the ranges of the integers; the error is of the others. It is the mean distance of the gains from
those of RNNoise's C in dB, where gains below -40 dB count as -40 dB. "By channel": `input_scales="channel"`. "Scaled":
each feature is divided by its standard deviation instead, and the weights that read it are multiplied by as much.

--delta converts the scaled net to delta networks without training: inputs and states are held until they change, with
thresholds that change the gains by DB on the four recordings. MACs are those of a frame of the others. --train
fine-tunes them on RNNoise's own gains for the four recordings. --picture draws the last of them over time, --firmware
writes it as C, with `rnnoise_model_set_threshold`.

--students instead trains smaller nets on these gains, from random weights: dense, also at half the frame rate, pruned,
delta, and delta and pruned. Their loss is the mean of (sqrt gain - sqrt of RNNoise's gain)^2 on the others.

--results adds each row to a .csv as soon as it is known; rows that are there already are not computed again.
"""

import argparse
import csv
import os
from pathlib import Path

import keras
import numpy as np

import keras_sparse_rnn as ksr
from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.runtime.model import Model

FEATURES, GAINS = 42, 22
CALIBRATED_ON = ("f_none0", "f_white15", "f_pink5", "f_babble10")
CHUNK = 500  # frames of a representative sample
TRAINED_ON, BATCH = 100, 16  # frames of a sequence in training, and sequences of a batch
INPUTS_HELD, STATES_HELD = 0.5, 0.2  # scales of sensitivity, of students
FLOOR = 0.01  # -40 dB
CORES = {"M4": "cortex-m4", "M55": "cortex-m55"}
# RNNoise v0.1 compiled with GCC 12.2 -O2, instructions between two marks in QEMU: its three GRUs alone, in float32.
OWN_C = {"M4": 836_256, "M55": 649_458}


class Table:
    """Rows that are printed, and kept in a .csv from which a later run goes on.

    Args:
        path: The .csv, or None to keep nothing.
    """

    columns = ("net", "seed", "loss", "dB", "MACs", "bytes", "arena", "M4", "M4, GRUs", "M55", "M55, GRUs")

    def __init__(self, path):
        self._path, self._rows = path, {}
        if path and path.exists():
            with path.open(newline="") as file:
                self._rows = {(row["net"], row["seed"]): row for row in csv.DictReader(file)}
        print(f"{'net':40}" + "".join(f"{column:>11}" for column in self.columns[1:]))

    def has(self, net, seed=""):
        """Prints the row of a net if it is known, and returns whether it is."""
        row = self._rows.get((net, str(seed)))
        if row:
            self._print(row)
        return row is not None

    def add(self, net, seed="", **figures):
        row = {"net": net, "seed": str(seed)} | {
            name: f"{value:.4g}" if isinstance(value, float) else value for name, value in figures.items()
        }
        self._rows[net, str(seed)] = row
        self._print(row)
        if self._path:
            is_new = not self._path.exists()
            with self._path.open("a", newline="") as file:
                writer = csv.DictWriter(file, self.columns, lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(row)

    def _print(self, row):
        print(f"{row['net']:40}" + "".join(f"{row.get(column) or '':>11}" for column in self.columns[1:]), flush=True)


def build(weights, scale=1):
    """Builds the net for any number of frames. Its outputs are 22 gains, followed by the voice activity.

    If features are divided by a `scale`, the weights that read them are multiplied by it, which gives the same net.
    """
    layers = keras.layers
    features = keras.Input((None, FEATURES), name="features")

    def gru(units, name):
        return layers.GRU(units, activation="relu", reset_after=False, return_sequences=True, name=name)

    dense = layers.Dense(24, activation="tanh", name="input_dense")(features)
    vad = gru(24, "vad_gru")(dense)
    noise = gru(48, "noise_gru")(layers.concatenate([dense, vad, features]))
    denoise = gru(96, "denoise_gru")(layers.concatenate([vad, noise, features]))
    gains = layers.Dense(GAINS, activation="sigmoid", name="denoise_output")(denoise)
    activity = layers.Dense(1, activation="sigmoid", name="vad_output")(vad)
    model = keras.Model(features, layers.concatenate([gains, activity], name="gains_and_activity"), name="rnnoise")
    for layer in model.layers:
        names = [f"w_{layer.name}_{part}" for part in ("weights", "recurrent_weights", "bias")]
        values = [weights[name] / np.float32(256) for name in names if name in weights]
        if layer.name in ("input_dense", "noise_gru", "denoise_gru"):
            values[0][-FEATURES:] *= np.reshape(scale, (-1, 1))
        layer.set_weights(values)
    return model


def decibels(gains):
    return 20 * np.log10(np.maximum(gains[..., :GAINS], FLOOR))


def error_in_db(outputs, expected):
    return float(np.mean([np.abs(decibels(y) - decibels(e)).mean() for y, e in zip(outputs, expected, strict=True)]))


def on_board(converted, frames, frames_per_step=1):
    """Instructions per frame on each core, on average over these steps, of the whole net and of its GRUs."""
    if qemu.missing_tools():
        return {}
    model, cells = Model(converted.data), {}
    for core, cpu in CORES.items():
        seen = qemu.measure(model, model.inputs[0].quantize(frames), cpu)
        grus = sum(op.instructions for op in seen.ops if op.name == "KsrGru")
        cells[core] = round(np.mean(seen.instructions) / frames_per_step)
        cells[f"{core}, GRUs"] = round(grus / frames_per_step)
    return cells


def as_delta(net, samples, tolerance):
    """Converts the net to a delta network whose gains differ by at most `tolerance` dB on these samples.

    The dense layers are not converted, as most of their inputs change in each frame.
    """
    in_db = lambda expected, outputs: error_in_db(outputs[0], expected[0])  # noqa: E731
    return ksr.to_delta(net, samples, tolerance, error=in_db, verbose=False, dense=False)


def loss_of_gains(theirs, gains):
    """Returns the mean of (sqrt gain - sqrt of RNNoise's gain)^2."""
    roots = [keras.ops.sqrt(keras.ops.maximum(part[..., :GAINS], 1e-6)) for part in (theirs, gains)]
    return keras.ops.mean(keras.ops.square(roots[0] - roots[1]), axis=-1)


def train(net, x, y, updates, rate, seed=0, sparsity=0.0):
    """Trains a net on pieces of `TRAINED_ON` frames; with a sparsity, prunes it in blocks of 1x4."""
    x, y = (np.concatenate([pieces(part, TRAINED_ON) for part in parts]) for parts in (x, y))
    epochs = -(-updates // -(-len(x) // BATCH))
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 20, updates, warmup_target=rate, warmup_steps=updates // 20
    )
    keras.utils.set_random_seed(seed)
    net.compile(keras.optimizers.AdamW(schedule, weight_decay=0.001, clipnorm=1.0), loss_of_gains)
    callbacks = []
    if sparsity:
        ramp = ksr.schedules.PolynomialDecay(
            0, sparsity, updates // 10, max(2, updates * 2 // 3), frequency=1 + updates // 100
        )
        # All but the layer of the voice activity, which is narrower than a block.
        wide = lambda layer: getattr(layer, "units", 0) >= 4  # noqa: E731
        callbacks.append(ksr.callbacks.MagnitudePruning(ramp, block_shape=(1, 4), layers=wide))
    net.fit(x, y, batch_size=BATCH, epochs=epochs, callbacks=callbacks, verbose=0)


def student(width, kind="dense", seed=0):
    """Builds a net with RNNoise's structure and `width` times its units, from Keras's own layers or from delta layers
    with sensitivities."""
    keras.utils.set_random_seed(seed)
    layers, hold = keras.layers, ksr.initializers.Sensitivity
    features = keras.Input((None, FEATURES), name="features")

    def gru(units, x):
        units = max(4, round(width * units))
        if kind == "dense":
            return layers.GRU(units, return_sequences=True)(x)
        return ksr.layers.DeltaGRU(units, hold(INPUTS_HELD), hold(STATES_HELD), return_sequences=True)(x)

    def dense(units, activation, x):
        if kind == "dense":
            return layers.Dense(units, activation)(x)
        return ksr.layers.DeltaDense(units, hold(INPUTS_HELD), activation)(x)

    first = dense(max(4, round(width * 24)), "tanh", features)
    vad = gru(24, first)
    noise = gru(48, layers.concatenate([first, vad, features]))
    denoise = gru(96, layers.concatenate([vad, noise, features]))
    outputs = [dense(GAINS, "sigmoid", denoise), dense(1, "sigmoid", vad)]
    return keras.Model(features, layers.concatenate(outputs), name="student")


STUDENTS = (  # kind, width, share of zeros, frames per step
    *(("dense", width, 0.0, 1) for width in (0.5, 0.35, 0.25, 0.15)),
    *(("dense", width, 0.0, 2) for width in (0.5, 0.25)),
    ("dense", 0.5, 0.7, 1),
    ("delta", 0.5, 0.0, 1),
    ("delta", 0.5, 0.7, 1),
)


def compare_students(table, features, theirs, spread, updates, seeds, counted, chosen):
    """What students of RNNoise cost and how near they come."""
    tested = [name for name in features if name not in CALIBRATED_ON]
    for seed in range(seeds):
        for kind, width, sparsity, rate in chosen:
            zeros, half = f", {sparsity:.0%} zeros" if sparsity else "", ", half the rate" if rate == 2 else ""
            name = f"{kind} {width:g}{zeros}{half}, {updates} updates"
            if table.has(name, seed):
                continue
            net = student(width, kind, seed)
            known = [[part[name][::rate] for name in CALIBRATED_ON] for part in (features, theirs)]
            train(net, [x / spread for x in known[0]], known[1], updates, 4e-3, seed, sparsity)
            outputs = [
                np.repeat(net.predict(features[name][None, ::rate] / spread, verbose=0)[0], rate, axis=0)
                for name in tested
            ]
            outputs = [y[: len(theirs[name])] for y, name in zip(outputs, tested, strict=True)]
            pairs = [(theirs[name], y) for y, name in zip(outputs, tested, strict=True)]
            loss = float(np.mean([float(keras.ops.mean(loss_of_gains(*pair))) for pair in pairs]))
            test = np.concatenate([pieces(features[name][::rate], TRAINED_ON) for name in tested]) / spread
            macs, _ = macs_of(net, test)
            converted = ksr.convert(net, test, stateful=True)
            costs = on_board(converted, features[tested[0]][: counted * rate : rate] / spread, rate)
            error = error_in_db(outputs, [theirs[name] for name in tested])
            table.add(name, seed, loss=loss, dB=error, MACs=round(macs / rate), bytes=len(converted.data), **costs)


def draw(net, frames, theirs, path):
    """Draws the gains of a delta network and of RNNoise, and the share of each layer that changes, frame by frame."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    mine, own, below = figure.subplots(3, 1, sharex=True)
    extent = (0, len(frames) / 100, 0, GAINS)
    for axes, gains, title in ((mine, net.predict(frames[None], verbose=0)[0], net.name), (own, theirs, "RNNoise's C")):
        axes.imshow(gains[:, :GAINS].T, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=1, extent=extent)
        axes.set(ylabel="band", title=f"gains, {title}")
    for name, events in ksr.profiling.record_events(net, frames[None]).items():
        below.plot(np.arange(len(frames)) / 100, 100 * events[0].mean(axis=-1), label=name, linewidth=0.8)
    below.set(xlabel="time (s)", ylabel="states that change (%)", ylim=(0, 100))
    below.legend(frameon=False)
    figure.savefig(path, dpi=120)


def macs_of(net, samples):
    """Returns the mean MACs of a frame: those computed, and those with every weight."""
    recurrent = ksr.profiling.count_macs(net, samples)
    others = sum(layer.kernel.shape[0] * layer.units for layer in net.layers if isinstance(layer, keras.layers.Dense))
    return (sum(getattr(layer, kind) for layer in recurrent) + others for kind in ("effective", "dense"))


def main(folder, frames, counted, arguments):
    data = dict(np.load(folder / "rnnoise.npz"))
    recordings = {name: rows[:frames] for name, rows in data.items() if name.startswith("f_")}
    features = {name: rows[None, :, :FEATURES] for name, rows in recordings.items()}
    theirs = {name: rows[:, FEATURES:] for name, rows in recordings.items()}
    spread = np.concatenate([features[name][0] for name in CALIBRATED_ON]).std(axis=0)
    if arguments.students:
        frames_of = {name: x[0] for name, x in features.items()}
        chosen = STUDENTS[-1:] if arguments.quick else STUDENTS
        table = Table(arguments.results)
        compare_students(table, frames_of, theirs, spread, arguments.students, arguments.seeds, counted, chosen)
        return
    model = build(data)
    float32 = {name: model.predict(x, verbose=0)[0] for name, x in features.items()}
    largest = max(np.abs(float32[name][:, :GAINS] - theirs[name][:, :GAINS]).max() for name in recordings)
    total = sum(map(len, recordings.values()))
    print(f"Keras against RNNoise's C, {total:,} frames: the gains differ by {largest:.1e} at most")

    table = Table(arguments.results)
    samples = np.concatenate([pieces(features[name][0]) for name in CALIBRATED_ON])
    tested = [name for name in recordings if name not in CALIBRATED_ON]
    expected = [theirs[name] for name in tested]

    def figures(net, weights, scale, scales="tensor"):
        converted = ksr.convert(net, samples / scale, weights=weights, input_scales=scales, stateful=True)
        error = error_in_db([stream(converted, features[name][0] / scale) for name in tested], expected)
        costs = on_board(converted, features[tested[0]][0, :counted] / scale)
        return {"dB": error, "bytes": len(converted.data), "arena": converted.report.arena_bytes, **costs}

    for weights, scale, scales in (
        ("int8", 1, "tensor"),
        ("int8", 1, "channel"),
        ("int8", spread, "tensor"),
        ("int8x16", 1, "tensor"),
        ("int8x16", 1, "channel"),
    ):
        name = f"{weights}{'' if np.isscalar(scale) else ', scaled'}{', by channel' if scales == 'channel' else ''}"
        if not table.has(name):
            table.add(name, **figures(build(data, scale), weights, scale, scales))
    for tolerance in arguments.delta:
        title = f"delta {tolerance:g} dB" + (f", {arguments.train} updates" if arguments.train else "")
        missing = [weights for weights in ("float32", "int8", "int8x16") if not table.has(f"{title}, {weights}")]
        is_last = tolerance == arguments.delta[-1]
        if not missing and not (is_last and (arguments.picture or arguments.firmware)):
            continue
        delta = as_delta(build(data, spread), samples / spread, tolerance)
        if arguments.train:
            train(
                delta,
                [features[name][0] / spread for name in CALIBRATED_ON],
                [theirs[name] for name in CALIBRATED_ON],
                arguments.train,
                5e-4,
            )
        macs, _ = macs_of(delta, np.concatenate([pieces(features[name][0]) for name in tested]) / spread)
        for weights in missing:
            if weights == "float32":
                outputs = [delta.predict(features[name] / spread, verbose=0)[0] for name in tested]
                columns = {"dB": error_in_db(outputs, expected)}
            else:
                columns = figures(delta, weights, spread)
            table.add(f"{title}, {weights}", MACs=round(macs), **columns)
        if is_last and arguments.firmware:
            converted = ksr.convert(delta, samples / spread, stateful=True)
            recorded = features[tested[0]][0, :counted, None] / spread
            print(converted.save_firmware(arguments.firmware, name="rnnoise", inputs=recorded, threshold_scale=True))
    if arguments.picture and arguments.delta:
        draw(delta, features[tested[0]][0] / spread, theirs[tested[0]], arguments.picture)
    print(
        "RNNoise v0.1 compiled with GCC 12.2 -O2, its GRUs in float32: "
        + ", ".join(f"{core} {count:,}" for core, count in OWN_C.items())
    )


def pieces(frames, length=CHUNK):
    """Samples of at most `length` frames each, `(samples, frames, features)`."""
    length = min(length, len(frames))
    return np.stack([frames[i : i + length] for i in range(0, len(frames) - length + 1, length)])


def stream(converted, frames):
    """Returns the outputs of the net frame by frame, with one inference each."""
    converted.reset()
    return np.stack([converted.step(frame)[0] for frame in frames[:, None]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("KSR_DATA"), help="folder that holds rnnoise.npz")
    parser.add_argument("--quick", action="store_true", help="150 frames of each recording, 3 of them on the board")
    parser.add_argument(
        "--delta", type=float, nargs="*", default=[], metavar="DB", help="delta networks, by their error"
    )
    parser.add_argument("--train", type=int, default=0, metavar="UPDATES", help="fine-tune the delta networks")
    parser.add_argument("--students", type=int, default=0, metavar="UPDATES", help="train smaller nets instead")
    parser.add_argument("--seeds", type=int, default=1, help="of each student")
    parser.add_argument("--results", type=Path, help="a .csv that rows are added to, and from which a run goes on")
    parser.add_argument("--picture", type=Path, help="gains and events of the last delta network, a .png")
    parser.add_argument("--firmware", type=Path, help="a new folder for the C of the last delta network, in int8")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data, or KSR_DATA, must name the folder that holds rnnoise.npz")
    main(Path(arguments.data), *((150, 3) if arguments.quick else (None, 500)), arguments)
