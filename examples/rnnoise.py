"""RNNoise, a net that removes noise from speech, on a microcontroller: its own trained weights, as int8 and int8x16.

    python examples/rnnoise.py [--quick] [--data DIR] [--delta DB ...]

DIR, or KSR_DATA, names the folder that holds rnnoise.npz: the weights of RNNoise v0.1 (github.com/xiph/rnnoise, BSD) as
`w_NAME`, int8 times 1/256, and as `f_NAME` a row for each frame of 10 ms of a noisy recording: 42 features, and the 22
gains and the voice activity that RNNoise's own C made of them. The net is three GRUs of 24, 48 and 96 units, all with
relu, between dense layers. Nothing is trained and nothing is pruned.

Four recordings set the ranges of the integers; the error is of the others. It is the mean distance of the gains from
those of RNNoise's C in dB, where gains below -40 dB count as -40 dB. "Scaled": each feature is divided by its standard
deviation, so that one scale of int8 serves all, and the weights that read it are multiplied by as much.

--delta makes delta networks of the scaled net, without training: inputs and states are held until they have changed, by
thresholds that change its gains by DB on the four recordings. MACs are those of a frame of the others.
"""

import argparse
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
FLOOR = 0.01  # -40 dB
CORES = {"M4": "cortex-m4", "M55": "cortex-m55"}
# RNNoise v0.1 compiled with GCC 12.2 -O2, instructions between two marks in QEMU: its three GRUs alone, in float32.
OWN_C = {"M4": 836_256, "M55": 649_458}


def build(weights, scale=1):
    """The net for any number of frames: 22 gains and the voice activity behind them.

    Where features are divided by a `scale`, the weights that read them are multiplied by it: the same net.
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


def on_board(converted, frames):
    """Instructions a frame on each core, in the mean over these frames, the GRUs' share of them behind a slash."""
    if qemu.missing_tools():
        return ["no QEMU" for _ in CORES]
    model, cells = Model(converted.data), []
    for cpu in CORES.values():
        seen = qemu.measure(model, model.inputs[0].quantize(frames), cpu)
        grus = sum(op.instructions for op in seen.ops if op.name == "KsrGru")
        cells.append(f"{np.mean(seen.instructions):,.0f} / {grus:,.0f}")
    return cells


def as_delta(net, samples, tolerance):
    """The net as a delta network whose gains are off by at most so many dB on these samples."""
    in_db = lambda expected, outputs: error_in_db(outputs[0], expected[0])  # noqa: E731
    return ksr.to_delta(net, samples, tolerance, error=in_db, verbose=False)


def macs_of(net, samples):
    """MACs of a frame, in the mean: those made, and those of every weight."""
    recurrent = ksr.profiling.count_macs(net, samples)
    others = sum(layer.kernel.shape[0] * layer.units for layer in net.layers if isinstance(layer, keras.layers.Dense))
    return (sum(getattr(layer, kind) for layer in recurrent) + others for kind in ("effective", "dense"))


def main(folder, frames, counted, tolerances):
    data = dict(np.load(folder / "rnnoise.npz"))
    recordings = {name: rows[:frames] for name, rows in data.items() if name.startswith("f_")}
    features = {name: rows[None, :, :FEATURES] for name, rows in recordings.items()}
    theirs = {name: rows[:, FEATURES:] for name, rows in recordings.items()}
    model = build(data)
    float32 = {name: model.predict(x, verbose=0)[0] for name, x in features.items()}
    largest = max(np.abs(float32[name][:, :GAINS] - theirs[name][:, :GAINS]).max() for name in recordings)
    count = sum(map(len, recordings.values()))
    print(f"Keras against RNNoise's C, {count:,} frames: the gains differ by {largest:.1e} at most")

    samples = np.concatenate([pieces(features[name][0]) for name in CALIBRATED_ON])
    tested = [name for name in recordings if name not in CALIBRATED_ON]
    spread = np.concatenate([features[name][0] for name in CALIBRATED_ON]).std(axis=0)
    print(
        f"{'':14}{'error, dB':>10}{'bytes':>9}{'arena':>8}" + "".join(f"{core + ', all / GRUs':>20}" for core in CORES)
    )
    for weights, scale in (("int8", 1), ("int8", spread), ("int8x16", 1)):
        net = build(data, scale)
        converted = ksr.convert(net, samples / scale, weights=weights, stateful=True)
        outputs = [stream(converted, features[name][0] / scale) for name in tested]
        error = error_in_db(outputs, [theirs[name] for name in tested])
        costs = on_board(converted, features[tested[0]][0, :counted] / scale)
        arena = converted.report.arena_bytes
        arena = "-" if arena is None else f"{arena:,}"
        name = weights if np.isscalar(scale) else f"{weights}, scaled"
        print(f"{name:14}{error:10.2f}{len(converted.data):9,}{arena:>8}" + "".join(f"{cost:>20}" for cost in costs))
    for tolerance in tolerances:
        delta = as_delta(build(data, spread), samples / spread, tolerance)
        frames = np.concatenate([pieces(features[name][0]) for name in tested]) / spread
        macs, dense = macs_of(delta, frames)
        print(
            f"delta network, {tolerance:g} dB: {macs:,.0f} MACs a frame, {dense / macs:.2f} times fewer than {dense:,}"
        )
        outputs = [delta.predict(features[name] / spread, verbose=0)[0] for name in tested]
        print(f"{'  Keras':14}{error_in_db(outputs, [theirs[name] for name in tested]):10.2f}")
        for weights in ("int8", "int8x16"):
            converted = ksr.convert(delta, samples / spread, weights=weights, stateful=True)
            outputs = [stream(converted, features[name][0] / spread) for name in tested]
            error = error_in_db(outputs, [theirs[name] for name in tested])
            costs = on_board(converted, features[tested[0]][0, :counted] / spread)
            print(
                f"{'  ' + weights:14}{error:10.2f}{len(converted.data):9,}{'':8}" + "".join(f"{c:>20}" for c in costs)
            )
    own = "".join(f"{f'- / {count:,}':>20}" for count in OWN_C.values())
    print(f"{'float32 in C':14}{0:10.2f}{'':17}{own}   RNNoise v0.1 compiled with GCC 12.2 -O2")


def pieces(frames):
    """Samples of at most `CHUNK` frames each, `(samples, frames, features)`."""
    length = min(CHUNK, len(frames))
    return np.stack([frames[i : i + length] for i in range(0, len(frames) - length + 1, length)])


def stream(converted, frames):
    """What the net gives frame by frame, one inference each."""
    converted.reset()
    return np.stack([converted.step(frame)[0] for frame in frames[:, None]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("KSR_DATA"), help="folder that holds rnnoise.npz")
    parser.add_argument("--quick", action="store_true", help="150 frames of each recording, 3 of them on the board")
    parser.add_argument(
        "--delta", type=float, nargs="*", default=[], metavar="DB", help="delta networks, by their error"
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data, or KSR_DATA, must name the folder that holds rnnoise.npz")
    main(Path(arguments.data), *((150, 3) if arguments.quick else (None, 100)), arguments.delta)
