"""Which block? The sweep of arXiv 1711.02782: loss, bytes and instructions by block and method.

    KSR_DATA=DIR KERAS_BACKEND=jax python benchmarks/blocks.py            # trains; goes on where it was stopped
    KSR_DATA=DIR python benchmarks/blocks.py --measure                    # bytes, and instructions on a Cortex-M4
    KSR_DATA=DIR python benchmarks/blocks.py --table
    python benchmarks/blocks.py --random                                  # what blocks cost, with random weights

`--task digits`: an EventGRU on spoken digits; the nets, the data and their training are those of `methods.py`.
`--task words`: a GRU that reads the Penn Treebank in windows of its own; see `Words`. Give another file as `--results`.

Four methods prune to 80 and 90 %:
    magnitude  blocks of the smallest mean |w|, along a cubic ramp
    BP         the paper's block pruning, by a rising threshold (`ThresholdPruning`)
    GL         group lasso all along; half-way the smallest blocks are cut, once
    GLP        BP with group lasso until pruning ends
What share of zeros a threshold leaves comes out only in the end: for BP and GLP each wanted share is searched for, in
runs of the first seed, and the other seeds take what came nearest. Smaller dense GRUs are trained to compare with.
"""

import argparse
import collections
import functools
import itertools
import json
import math
import os
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path

import methods
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
NETS = {"digits": "EventGRU 128", "words": "GRU 128"}
SMALLER = ("GRU 16", "GRU 24", "GRU 32", "GRU 48")  # trained dense, to compare with
BLOCKS = ("1x1", "1x4", "1x8", "1x16", "4x4", "8x8", "16x16", "32x32")
SPARSITIES = (90, 80)
FIRST_FACTOR = {"threshold": 1.0, "GLP": 0.5}  # of the paper's q
NEAR, TRIES = 0.02, 6  # a share of zeros is found if it is so near; both are searched for in so many runs at most


def main():
    arguments = parse()
    if arguments.random:
        return print(random_table())
    if arguments.measure:
        measure(arguments)
    elif not arguments.table:
        train(arguments)
    print(summary(arguments), table(arguments), sep="\n\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default="blocks.jsonl", help="a JSON object for each run; nets beside")
    parser.add_argument("--task", choices=NETS, default="digits")
    parser.add_argument("--net", help="as in methods.py; default: EventGRU 128 for digits, GRU 128 for words")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="REGEX", help="of 'method block share %%', as 'BP 4x4 90 %%'")
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--epochs", type=int, help="instead of 60 or 90 for digits and 5 for words")
    parser.add_argument("--measure", action="store_true", help="train nothing; needs the TensorFlow backend")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--random", action="store_true", help="bytes and instructions alone, of random weights")
    arguments = parser.parse_args()
    arguments.net = arguments.net or NETS[arguments.task]
    return arguments


class Digits:
    """Spoken digits, as in `methods.py`."""

    @staticmethod
    def epochs_and_rate(net):
        return methods.epochs_of(net), methods.highest_rate(net)

    @staticmethod
    def model(net, method):
        return methods.build(f"{net} | {method}", methods.load(20, "test"))

    @staticmethod
    def steps_an_epoch(split):
        return len(methods.load(20, split).train) // methods.BATCH

    @classmethod
    def fit(cls, model, seed, split, **arguments):
        batches = methods.batches(methods.load(20, split).train, seed)
        model.fit(batches, steps_per_epoch=cls.steps_an_epoch(split), verbose=0, **arguments)

    @staticmethod
    def figures(model, split):
        return methods.figures(model, methods.load(20, split))

    @staticmethod
    def for_the_board(model, split):
        """What `board_cost` takes: the model, a sample, inputs and which of their steps are real."""
        digits = methods.load(20, split)
        return model, digits.train.x[::27], digits.test.x[::20], digits.test.valid[::20]


class Words:
    """The first 150,000 words of the Penn Treebank, in windows of 35 that each begin with a state of zero.

    The vocabulary has the 1,000 most frequent words; the loss is that of the first 20,000 words of the test set.
    """

    VOCABULARY, TRAIN_WORDS, TEST_WORDS, WINDOW, DIM, BATCH = 1_000, 150_000, 20_000, 35, 64, 16
    EPOCHS, RATE, LASSO = 5, 1.6e-2, 3e-5  # chosen on the validation set; the lasso is that of blocks of 8

    @classmethod
    def epochs_and_rate(cls, net):
        return cls.EPOCHS, cls.RATE

    @classmethod
    def model(cls, net, method):
        import keras

        return keras.Sequential(
            [
                keras.Input((cls.WINDOW,), dtype="int32"),
                keras.layers.Embedding(cls.VOCABULARY, cls.DIM),
                methods.recurrent_layer(*methods.parse_net(net)[:2], method, cls.LASSO),
                keras.layers.Dropout(0.3, seed=0),
                keras.layers.Dense(cls.VOCABULARY, activation="softmax"),
            ]
        )

    @classmethod
    @functools.cache
    def load(cls, part):
        from language_model import corpus

        text = corpus.load(os.environ.get("KSR_DATA"), cls.VOCABULARY, cls.TRAIN_WORDS)
        words = {"train": text.train, "test": text.test, "validation": text.valid}[part]
        words = words if part == "train" else words[: cls.TEST_WORDS]
        count = (len(words) - 1) // cls.WINDOW
        return [words[start:][: count * cls.WINDOW].reshape(count, cls.WINDOW) for start in (0, 1)]

    @classmethod
    def steps_an_epoch(cls, split):
        return -(-len(cls.load("train")[0]) // cls.BATCH)

    @classmethod
    def fit(cls, model, seed, split, **arguments):
        x, y = cls.load("train")
        frequencies = np.maximum(np.bincount(y.ravel(), minlength=cls.VOCABULARY), 1) / y.size
        model.layers[-1].bias.assign(np.log(frequencies))
        model.fit(x, y, batch_size=cls.BATCH, verbose=0, **arguments)

    @classmethod
    def figures(cls, model, split):
        from keras_sparse_rnn.profiling import count_macs

        x, y = cls.load(split)
        [macs] = count_macs(model, x[:100])
        kernels = model.layers[1].cell.kernel, model.layers[1].cell.recurrent_kernel
        weights = np.concatenate([np.abs(np.array(kernel.value)).ravel() for kernel in kernels])
        return {
            **methods.scores(model.predict(x, batch_size=cls.BATCH, verbose=0).reshape(y.size, -1), y.ravel()),
            "sparsity": macs.sparsity,
            "activity": macs.activity,
            "macs": macs.effective,
            "quantile": float(np.quantile(weights, 0.9)),
        }

    @classmethod
    def for_the_board(cls, model, split):
        """Likewise, of the recurrent layer alone, which hears words as vectors."""
        import keras

        embedding, layer, *_ = model.layers
        words = np.array(embedding(cls.load("train")[0][:100]))
        alone = keras.Sequential([keras.Input(words.shape[1:]), layer.from_config(layer.get_config())])
        alone.set_weights(layer.get_weights())
        return alone, words, words[:4]


TASKS = {"digits": Digits, "words": Words}


def wanted(arguments):
    """Pairs of a title and a function from the seed to 'net | method' as in `methods.py`, dense nets first."""
    nets = {"dense": arguments.net, **{f"dense {net}": net for net in SMALLER}}
    rows = [(title, lambda seed, net=net: f"{net} | dense") for title, net in nets.items()]
    for percent in SPARSITIES:
        for shape in BLOCKS:
            for kind in ("magnitude", "GL"):
                name = f"{kind} {shape} {percent} %"
                rows.append((name, lambda seed, name=name: f"{arguments.net} | {name}"))
            for title, kind in (("BP", "threshold"), ("GLP", "GLP")):
                name = f"{title} {shape} {percent} %"
                rows.append((name, lambda seed, wish=(kind, shape, percent): searched(*wish, seed, arguments)))
    return [row for row in rows if row[0] == "dense" or re.search(arguments.only, row[0])]


def train(arguments):
    for seed in range(arguments.seeds):
        for _, cell_for in wanted(arguments):
            # A search asks for another method until it has found one.
            while (cell := cell_for(seed), seed) not in {(run["cell"], run["seed"]) for run in methods.runs(arguments)}:
                train_once(cell, seed, arguments)


def train_once(cell, seed, arguments):
    began = time.perf_counter()
    model = trained(cell, seed, arguments)
    run = TASKS[arguments.task].figures(model, arguments.split)
    if seed == 0:
        model.save_weights(weights_of(cell, arguments))
    run = {"cell": cell, "seed": seed, "split": arguments.split, **run, "seconds": time.perf_counter() - began}
    with arguments.results.open("a") as file:
        file.write(json.dumps(run) + "\n")
    print(run, file=sys.stderr, flush=True)


def trained(cell, seed, arguments):
    from keras_sparse_rnn.experiments.training import start_again

    task, (net, method) = TASKS[arguments.task], cell.split(" | ")
    epochs = arguments.epochs or task.epochs_and_rate(net)[0]
    steps = epochs * task.steps_an_epoch(arguments.split)
    # What is compiled serves all methods with the same regularizer, unless they switch it off as GLP does.
    make = compiled.__wrapped__ if method.startswith("GLP") else compiled
    model = make(task, net, " ".join(method.split()[:2]) if method.startswith("GL") else "dense", steps)
    start_again(model, seed)
    _, callbacks = methods.recipe(cell, seed, steps, arguments)
    task.fit(model, seed, arguments.split, epochs=epochs, callbacks=callbacks)
    return model


@functools.cache
def compiled(task, net, method, steps):
    import keras

    model = task.model(net, method)
    optimizer = methods.adamw(keras, task.epochs_and_rate(net)[1], steps)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=True)
    return model


def weights_of(cell, arguments):
    folder = arguments.results.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{cell.replace(' | ', ', ')}.weights.h5"


def searched(kind, shape, percent, seed, arguments):
    """'net | method' of that threshold which left the wanted share of zeros, or with the first seed the next to try."""
    found = {}
    for run in methods.runs(arguments):
        net, method = run["cell"].split(" | ")
        if net == arguments.net and run["seed"] == 0 and method.startswith(f"{kind} {shape}, q "):
            found[methods.q_factor(method)] = run["sparsity"]
    factor = next_factor(found, percent / 100, FIRST_FACTOR[kind]) if seed == 0 else None
    return f"{arguments.net} | {kind} {shape}, q {factor or nearest(found, percent / 100)}"


def next_factor(found, share, first):
    """The factor of q to try next for a share of zeros, or None if the search is over.

    Args:
        found: Shares of zeros by the factors that were tried.
        share: The wanted one.
        first: The factor to begin with.
    """
    if not found:
        return first
    if abs(found[nearest(found, share)] - share) <= NEAR or len(found) >= TRIES:
        return None
    # The logit of the share over the logarithm of the factor is nearly a line; for single weights its slope is about 4.
    points = sorted((math.log(factor), _logit(value)) for factor, value in found.items())
    (x, y), *others = sorted(points, key=lambda point: abs(point[1] - _logit(share)))
    across = [point for point in others if (point[1] > _logit(share)) != (y > _logit(share))]
    other = (across or others or [(x - 1, y - 4)])[0]
    slope = (y - other[1]) / (x - other[0])
    factor = round(math.exp(x + (_logit(share) - y) / min(max(slope, 1), 50)), 4)
    return None if factor in found else factor


def nearest(found, share):
    return min(found, key=lambda factor: abs(found[factor] - share))


def _logit(share):
    share = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(share / (1 - share))


def measure(arguments):
    from keras_sparse_rnn.experiments.board import board_cost

    costs, task = read_costs(arguments), TASKS[arguments.task]
    for title, cell_for in wanted(arguments):
        cell = cell_for(0)
        if cell in costs or not weights_of(cell, arguments).exists():
            continue
        model = task.model(cell.split(" | ")[0], "dense")
        model.load_weights(weights_of(cell, arguments))
        cost = asdict(board_cost(*task.for_the_board(model, arguments.split)))
        with costs_path(arguments).open("a") as file:
            file.write(json.dumps({"cell": cell, **cost}) + "\n")
        print(title, cost, file=sys.stderr, flush=True)


def costs_path(arguments):
    return arguments.results.with_suffix(".costs.jsonl")


def read_costs(arguments):
    path = costs_path(arguments)
    lines = path.read_text().splitlines() if path.exists() else []
    return {cost["cell"]: cost for cost in map(json.loads, lines)}


def complete(arguments):
    """The runs of each row of the tables, and its cost: bytes and instructions, or nothing."""
    of_cell, costs = collections.defaultdict(list), read_costs(arguments)
    for run in methods.runs(arguments):
        of_cell[run["cell"]].append(run)
    cells = {title: cell_for(0) for title, cell_for in wanted(arguments)}
    # A search that is not over names what it would try next.
    return {title: (of_cell[cell], costs.get(cell, {})) for title, cell in cells.items() if cell in of_cell}


def summary(arguments):
    """The loss by block, a column for each method; the cost is that of pruning by magnitude."""
    rows, kinds = complete(arguments), ("magnitude", "GL", "BP", "GLP")
    lines = [
        f"| zeros % | block | NLL: {' | '.join(kinds)} | bytes | M4 instructions per step |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, (runs, cost) in rows.items():
        if title.startswith("dense"):
            lines.append(f"| 0 | {title} | {spread(runs, 'nll', '.3f')} | | | | {' | '.join(cost_cells(cost))} |")
    for percent, shape in itertools.product(SPARSITIES, BLOCKS):
        of = [rows.get(f"{kind} {shape} {percent} %", ([], {})) for kind in kinds]
        if any(runs for runs, _ in of):
            losses = [spread(runs, "nll", ".3f") + found_share(runs, percent) if runs else "?" for runs, _ in of]
            cells = [percent, shape, *losses, *cost_cells(of[0][1])]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def found_share(runs, percent):
    """The share of zeros in parentheses, if it is not the wanted one."""
    found = np.mean([run["sparsity"] for run in runs])
    return f" ({100 * found:.0f} %)" if abs(found - percent / 100) > NEAR else ""


def table(arguments):
    """All figures, a row for each method and block."""
    lines = [
        "| method | runs | NLL | accuracy % | zeros % | activity % | MACs | bytes | M4 instructions per step |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for title, (runs, cost) in complete(arguments).items():
        means = {name: np.mean([run[name] for run in runs]) for name in ("sparsity", "activity", "macs")}
        cells = [title, len(runs), spread(runs, "nll", ".3f"), spread(runs, "accuracy", ".1f", 100)]
        cells += [f"{100 * means['sparsity']:.1f}", f"{100 * means['activity']:.0f}", f"{means['macs']:,.0f}"]
        lines.append(f"| {' | '.join(map(str, cells + cost_cells(cost)))} |")
    return "\n".join(lines)


def spread(runs, name, form, scale=1):
    """Mean ± standard deviation of a figure."""
    values = [scale * run[name] for run in runs]
    return f"{np.mean(values):{form}}" + (f" ± {np.std(values, ddof=1):{form}}" if len(values) > 1 else "")


def cost_cells(cost):
    return [f"{cost[name]:,.0f}" if cost.get(name) else "?" for name in ("bytes", "instructions")]


def random_table(units=128, inputs=40, activity=0.2):
    """Bytes of the kernels and instructions per step of an EventGRU, random blocks of which are zero."""
    import random_layers

    from keras_sparse_rnn.firmware import qemu

    lines = [
        "| zeros % | pruned in | stored in | weights stored | bytes | M4 instructions per step |",
        "|---|---|---|---|---|---|",
    ]
    for percent in (0, *reversed(SPARSITIES)):
        for shape in BLOCKS if percent else BLOCKS[:1]:
            pruned = tuple(map(int, shape.split("x")))
            ways = []
            for width in (4, 8, 16):
                op, x = random_layers.event_gru(units, inputs, width, percent / 100, activity, pruned=pruned)
                parts = {name: part for name, part in op.constants().items() if "kernel" in name}
                size = sum(part.nbytes for part in parts.values() if part is not None)
                weights = sum(part.size for name, part in parts.items() if name.endswith("kernel"))
                ways.append((size, width, weights, op, x))
            size, width, weights, op, x = min(ways, key=lambda way: way[0])
            instructions = qemu.measure(random_layers.to_model(op, x), x, "cortex-m4").mean_instructions
            dense = weights == op.kernel.size + op.recurrent_kernel.size
            cells = [
                percent,
                shape,
                "dense" if dense else f"1x{width}",
                f"{weights:,}",
                f"{size:,}",
                f"{instructions:,.0f}",
            ]
            lines.append(f"| {' | '.join(map(str, cells))} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
