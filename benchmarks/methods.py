"""Compares all methods of making a recurrent net sparse, on spoken digits: loss, accuracy, activity and MACs.

    KSR_DATA=DIR KERAS_BACKEND=jax python benchmarks/methods.py --results methods.jsonl

DIR holds `fsdd.npz` (see `keras_sparse_rnn.experiments.data.fsdd`). Nets of 128 units learn for 60 epochs, smaller ones
for 90, all by one recipe, which was chosen on recordings 5-9 of the training set (`--split validation`), as were the
thresholds and strengths below. Each run is written to the results file when it ends, and is not repeated by the next
call. The table is printed at the end; `--table` only prints it. The rows of tfmot require tf-keras and are trained in a
separate process.
"""

import argparse
import collections
import functools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

BATCH, WEIGHT_DECAY, CLIP, DROPOUT, EVENT_PENALTY = 64, 0.01, 1.0, 0.1, 2.0
NOISE, OFFSET = 0.4, 0.2  # deviations of the noise on each feature, and of that which is constant over a recording
RAMP = (0.10, 0.65)  # shares of the training between which magnitude pruning goes on
LASSO = 1e-4  # of blocks of 8; else times the root of size / 8, so that each weight is drawn as much
Q_FACTOR = {"threshold 1x1": 1.0, "GLP 1x8": 0.5}  # of the paper's q, for about 90 % zeros
SGD_RATE, SGD_CLIP = 10.0, 0.25
INPUT_THRESHOLD, HIDDEN_THRESHOLD = 0.5, 0.2  # of DeltaGRU, in deviations of a feature and in units of the state

SIZES = ["EventGRU 128", "DeltaGRU 128", "GRU 128", "LSTM 128"]
METHODS = [
    "dense",
    *(f"magnitude {block} 90 %" for block in ("1x1", "1x4", "1x8", "4x4", "1x16")),
    "magnitude 1x1 95 %",
    "threshold 1x1",
    "GLP 1x8",
    "SET 90 %",
    "RigL 90 %",
    "SelfishRNN 90 %",
    "SelfishRNN, SNT-ASGD 90 %",
]
SMALL = [
    *(f"GRU {units} | dense" for units in (12, 16, 24)),
    *(f"GRU {units} {hop} ms | dense" for hop in (40, 80) for units in (16, 24)),
    "GRU 32 | magnitude 1x4 70 %",
    "EventGRU 64 | magnitude 1x4 80 %",
    "DeltaGRU 24 | magnitude 1x4 50 %",
    "DeltaGRU 32 | dense",
    "DeltaGRU 32 | magnitude 1x4 70 %",
    "DeltaGRU 64 | magnitude 1x4 80 %",
]
# Which weights: zeros n of m, by gate (LPCNet's densities), and by kinds of layers in two convolutions and a GRU.
DENSITIES = {"z": 0.2, "r": 0.3, "h": 0.5}
CONVOLUTIONS = ["conv1", "conv2"]
WHICH = [
    "GRU 32 | dense",
    "GRU 32 | magnitude 1x1 50 %",
    "GRU 32 | 2:4 50 %",
    *(f"GRU 32 | {method} 1x4 67 %" for method in ("magnitude", "by gate", "by gate, diagonal")),
    "CRNN 32 | dense",
    *(f"CRNN 32 | magnitude of {kinds} 1x1 80 %" for kinds in ("GRU", "convolutions", "all")),
]
CELLS = [f"{net} | {method}" for net in SIZES for method in METHODS] + ["GRU 128 | tfmot 1x1 90 %", *SMALL, *WHICH]


def main():
    arguments = parse()
    if arguments.tfmot:
        return print(json.dumps(train_by_tfmot(*arguments.tfmot, arguments)))
    cells = [cell for cell in CELLS if re.search(arguments.only, cell)]
    for cell in [] if arguments.table else cells:
        for seed in range(arguments.seeds):
            if not any((run["cell"], run["seed"]) == (cell, seed) for run in runs(arguments)):
                began = time.perf_counter()
                run = {"cell": cell, "seed": seed, "split": arguments.split, **train(cell, seed, arguments)}
                run["seconds"] = round(time.perf_counter() - began, 1)
                with arguments.results.open("a") as file:
                    file.write(json.dumps(run) + "\n")
                print(run, file=sys.stderr, flush=True)
    print(table(arguments))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default="methods.jsonl", help="a JSON object for each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="REGEX", help="of 'net | method'")
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--epochs", type=int, help="instead of 60 and 90, to try the benchmark out")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--tfmot", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def runs(arguments):
    lines = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    return [run for run in map(json.loads, lines) if run["split"] == arguments.split]


def table(arguments):
    of_cell = collections.defaultdict(list)
    for run in runs(arguments):
        of_cell[run["cell"]].append(run)
    lines = [
        "| net | method | runs | accuracy % | NLL | zeros % | inputs % | activity % | MACs per frame | per 20 ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in (cell for cell in CELLS if cell in of_cell):

        def spread(name, form, scale=1, runs=of_cell[cell]):
            values = [scale * run[name] for run in runs]
            return f"{np.mean(values):{form}} ± {np.std(values, ddof=len(values) > 1):{form}}"

        def mean(name, form, scale=1, runs=of_cell[cell]):
            return f"{np.mean([scale * run[name] for run in runs]):{form}}"

        net, method = cell.split(" | ")
        figures = [spread("accuracy", ".1f", 100), spread("nll", ".3f"), mean("sparsity", ".1f", 100)]
        figures += [mean("input_rate", ".0f", 100), mean("activity", ".0f", 100)]
        figures += [mean("macs", ",.0f"), mean("macs", ",.0f", 20 / parse_net(net)[2])]
        lines.append(f"| {net} | {method} | {len(of_cell[cell])} | {' | '.join(figures)} |")
    return "\n".join(lines)


def train(cell, seed, arguments):
    """Trains a net once and returns its figures for the table."""
    if " | tfmot" in cell:
        command = [sys.executable, *sys.argv, "--tfmot", cell, str(seed)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return json.loads(output.splitlines()[-1])
    return figures(trained(cell, seed, arguments), load(parse_net(cell.split(" | ")[0])[2], arguments.split))


def trained(cell, seed, arguments):
    """Returns a net after its training."""
    import keras

    keras.utils.set_random_seed(seed)
    net = cell.split(" | ")[0]
    data = load(parse_net(net)[2], arguments.split)
    epochs = arguments.epochs or epochs_of(net)
    steps = epochs * (len(data.train) // BATCH)
    model = build(cell, data)
    optimizer, callbacks = recipe(cell, seed, steps, arguments)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=True)
    model.fit(batches(data.train, seed), steps_per_epoch=steps // epochs, epochs=epochs, callbacks=callbacks, verbose=0)
    return model


def build(cell, data):
    """Returns the untrained net, not compiled."""
    import keras

    net, method = cell.split(" | ")
    kind, units, _ = parse_net(net)
    convolve = functools.partial(keras.layers.Conv1D, 48, 5, padding="same", activation="relu")
    return keras.Sequential(
        [
            keras.Input(data.train.x.shape[1:]),
            *(convolve(name=name) for name in CONVOLUTIONS if kind == "CRNN"),
            recurrent_layer(kind, units, method),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dropout(DROPOUT, seed=0),
            keras.layers.Dense(len(data.classes), activation="softmax"),
        ]
    )


def figures(model, data):
    """Returns the figures of a trained net on the test set."""
    import keras

    from keras_sparse_rnn.profiling import count_macs
    from keras_sparse_rnn.sparsity import find_kernels

    of_test = scores(model.predict(data.test.x, batch_size=300, verbose=0), data.test.y)
    if model.layers[0].name in CONVOLUTIONS:  # each weight once a frame
        values = [kernel.values() for kernel in find_kernels(model, [*CONVOLUTIONS, "recurrent"])[0]]
        macs = sum(int(np.count_nonzero(w)) for w in values)
        zeros = 1 - macs / sum(w.size for w in values)
        return {**of_test, "sparsity": zeros, "input_rate": 1.0, "activity": 1.0, "macs": macs}
    [macs] = count_macs(model, data.test.x, data.test.valid)
    cell = model.layers[0].cell
    weights = [np.abs(keras.ops.convert_to_numpy(w)).ravel() for w in (cell.kernel, cell.recurrent_kernel)]
    return {
        **of_test,
        "sparsity": macs.sparsity,
        "input_rate": macs.input_rate,
        "activity": macs.activity,
        "macs": macs.effective,
        "quantile": float(np.quantile(np.concatenate(weights), 0.9)),
    }


def parse_net(net):
    """Returns kind, units and hop in ms of a net such as "GRU 24 40 ms"."""
    kind, units, *hop = net.split()
    return kind, int(units), int(hop[0]) if hop else 20


@functools.cache
def load(hop, split):
    from keras_sparse_rnn.experiments.data import FSDD_TEST, fsdd

    return fsdd(hop / 1000, test={"test": FSDD_TEST, "validation": range(5, 10)}[split])


def batches(split, seed):
    """Yields shuffled batches without end, with noise on the real steps."""
    generator = np.random.default_rng(seed)
    normal = functools.partial(generator.standard_normal, dtype=np.float32)
    while True:
        order = generator.permutation(len(split))
        for chosen in np.split(order, range(BATCH, len(order), BATCH))[: len(order) // BATCH]:
            x = split.x[chosen]
            x = x + NOISE * normal(x.shape) + OFFSET * normal((BATCH, 1, x.shape[2]))
            yield x * split.valid[chosen][..., None], split.y[chosen]


def recurrent_layer(kind, units, method, strength=LASSO):
    import keras

    import keras_sparse_rnn as ksr

    options = {"return_sequences": True, "name": "recurrent"}
    if method.startswith("GL"):
        gates, shape = {"LSTM": 4}.get(kind, 3), block(method)
        lasso = ksr.regularizers.BlockGroupLasso(strength * (np.prod(shape) / 8) ** 0.5, shape, gates)
        options |= {"kernel_regularizer": lasso, "recurrent_regularizer": lasso}
    if kind == "EventGRU":
        penalty = ksr.regularizers.EventPenalty(EVENT_PENALTY)
        return ksr.layers.EventGRU(units, readout="cell", activity_regularizer=penalty, **options)
    if kind == "DeltaGRU":
        options |= {"input_threshold": INPUT_THRESHOLD, "hidden_threshold": HIDDEN_THRESHOLD}
        return ksr.layers.DeltaGRU(units, **options)
    return (keras.layers.LSTM if kind == "LSTM" else keras.layers.GRU)(units, **options)


def block(method):
    """(1, 8) of "GLP 1x8"."""
    return tuple(map(int, re.search(r"(\d+)x(\d+)", method).groups()))


def sparsity(method):
    """0.9 of "magnitude 1x4 90 %"."""
    return int(re.search(r"(\d+) %", method)[1]) / 100


def q_factor(method):
    """0.7 of "GLP 4x4, q 0.7"; without it what `Q_FACTOR` says."""
    given = re.search(r", q (\S+)", method)
    return float(given[1]) if given else Q_FACTOR[method]


def epochs_of(net):
    return 60 if parse_net(net)[1] == 128 else 90


def highest_rate(net):
    """Of `adamw`."""
    return 1e-2 if parse_net(net)[1] == 128 else 2e-2


def adamw(package, highest, steps):
    """AdamW with a warm-up to the rate `highest` and a cosine to zero, of keras or of tf_keras."""
    rate = package.optimizers.schedules.CosineDecay(
        highest / 20, steps - steps // 20, warmup_target=highest, warmup_steps=steps // 20
    )
    return package.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, clipnorm=CLIP)


def recipe(cell, seed, steps, arguments):
    """Optimizer and callbacks of a method, for a training of so many steps."""
    import keras

    from keras_sparse_rnn import callbacks, schedules

    net, method = cell.split(" | ")
    share = lambda *shares: [round(share * steps) for share in shares]  # noqa: E731
    if method == "dense":
        return adamw(keras, highest_rate(net), steps), []
    if method.startswith(("magnitude", "2:4", "by gate")):
        schedule = schedules.PolynomialDecay(0.0, sparsity(method), *share(*RAMP), frequency=max(1, steps // 100))
        options = {"pattern": (2, 4)} if method.startswith("2:4") else {"block_shape": block(method)}
        if method.startswith("by gate"):
            options |= {"gate_density": DENSITIES, "keep_diagonal": "diagonal" in method}
        if "convolutions" in method or "of all" in method:
            options["layers"] = CONVOLUTIONS if "convolutions" in method else [*CONVOLUTIONS, "recurrent"]
        return adamw(keras, highest_rate(net), steps), [callbacks.MagnitudePruning(schedule, **options)]
    if method.startswith("GL "):
        schedule = schedules.ConstantSparsity(sparsity(method), *share(0.5), frequency=steps)
        return adamw(keras, highest_rate(net), steps), [callbacks.MagnitudePruning(schedule, block(method))]
    if method.startswith(("threshold", "GLP")):
        q = q_factor(method) * dense_quantile(net, seed, arguments)
        begin, ramp, end = share(0.1, 0.25, 0.5)
        schedule = schedules.RampThreshold(begin, ramp, end, q=q, frequency=max(1, steps // 100))
        return adamw(keras, highest_rate(net), steps), [callbacks.ThresholdPruning(schedule, block(method))]
    density, epoch = 1 - sparsity(method), len(load(20, arguments.split).train) // BATCH
    if method.startswith("SET"):
        return adamw(keras, highest_rate(net), steps), [callbacks.SET(density, 0.3, frequency=epoch, seed=seed)]
    if method.startswith("RigL"):
        fraction = schedules.CosineDecay(0.3, 0.0, 0, *share(0.75), frequency=epoch)
        return adamw(keras, highest_rate(net), steps), [callbacks.RigL(density, fraction, seed=seed)]
    training = callbacks.SelfishRNN(density, schedules.CosineDecay(0.5, 0.005, 0, steps, frequency=epoch), seed=seed)
    if "SNT-ASGD" in method:
        from keras_sparse_rnn import optimizers

        return optimizers.SNTASGD(SGD_RATE, global_clipnorm=SGD_CLIP), [
            training,
            callbacks.NonMonotonicTrigger(monitor="loss"),
        ]
    return adamw(keras, highest_rate(net), steps), [training]


def dense_quantile(net, seed, arguments):
    """The 0.9-quantile of |w| in the dense net of the same seed: the paper's q."""
    for run in runs(arguments):
        if (run["cell"], run["seed"]) == (f"{net} | dense", seed):
            return run["quantile"]
    raise SystemExit(
        f"Threshold pruning takes its threshold from the run '{net} | dense' of seed {seed}: run that first."
    )


def scores(probabilities, y):
    """Returns the accuracy and the mean negative log-likelihood."""
    of_class = probabilities[np.arange(len(y)), y]
    return {
        "accuracy": float((probabilities.argmax(axis=1) == y).mean()),
        "nll": float(-np.log(np.maximum(of_class, 1e-12)).mean()),
    }


def train_by_tfmot(cell, seed, arguments):
    """Trains the same net in tf_keras, pruned by tfmot; its effective MACs are its nonzero weights."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow_model_optimization as tfmot
    import tf_keras

    seed, (net, method) = int(seed), cell.split(" | ")
    tf_keras.utils.set_random_seed(seed)
    _, units, hop = parse_net(net)
    data = load(hop, arguments.split)
    epochs = arguments.epochs or 60
    steps = epochs * (len(data.train) // BATCH)
    begin, end = (round(share * steps) for share in RAMP)
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, sparsity(method), begin, end, frequency=max(1, steps // 100))
    gru = tfmot.sparsity.keras.prune_low_magnitude(tf_keras.layers.GRU(units, return_sequences=True), schedule)
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input(data.train.x.shape[1:]),
            gru,
            layers.GlobalAveragePooling1D(),
            layers.Dropout(DROPOUT, seed=0),
            layers.Dense(len(data.classes), activation="softmax"),
        ]
    )
    model.compile(adamw(tf_keras, highest_rate(net), steps), "sparse_categorical_crossentropy")
    step = tfmot.sparsity.keras.UpdatePruningStep()
    model.fit(batches(data.train, seed), steps_per_epoch=steps // epochs, epochs=epochs, callbacks=[step], verbose=0)
    stripped = tfmot.sparsity.keras.strip_pruning(model)
    kernels = [w.numpy() for w in stripped.layers[0].weights[:2]]
    nonzero = sum(int(np.count_nonzero(w)) for w in kernels)
    return {
        **scores(stripped.predict(data.test.x, batch_size=300, verbose=0), data.test.y),
        "sparsity": 1 - nonzero / sum(w.size for w in kernels),
        "input_rate": 1.0,
        "activity": 1.0,
        "macs": nonzero,
    }


if __name__ == "__main__":
    main()
