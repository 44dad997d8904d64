"""Which small net for spoken digits? Loss, MACs and bytes, searched by Optuna, and then looked at twice.

    KERAS_BACKEND=jax python examples/sweep.py search --trials 200     # as many of these at a time as there are cores
    KERAS_BACKEND=jax python examples/sweep.py confirm                 # five seeds of what was chosen, on the test set
    python examples/sweep.py measure                                   # bytes, and instructions on a Cortex-M4 in QEMU
    python examples/sweep.py table                                     # prints the tables, saves the picture
    python examples/sweep.py continuous                                # a minute of words, pauses and noise
    python examples/sweep.py arrays --x x.npy --y y.npy                # your own sequences and their classes

KSR_DATA names the folder that holds fsdd.npz (`keras_sparse_rnn.experiments.data`). Everything lies in the folder
`--out`; each command goes on where it was stopped, and processes that share the folder share the work of a search.

`search` varies the cell, its units, whether a second layer hears the first, the time between two frames, the sparsity,
its blocks and by what method it comes, thresholds and penalty, and judges by recordings 5-9 of the training set.
`confirm` takes of each sparse kind and hop the nets with the fewest MACs whose loss there is at most one of `--goals`,
dense GRUs of several sizes at each hop, and a few nets without a reset gate or of low rank; nothing is chosen on the
test set.
All nets are trained alike and for as many epochs.

`arrays` trains a few nets of each family at three frame rates on sequences `x` (samples, steps, features) of classes
`y` (samples,). It prints the nets that no other beats in both loss and MACs on sequences left out, and the cheapest
that is nearly as good as the best, as code. A frame of yours counts as 20 ms.
"""

import argparse
import collections
import functools
import itertools
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments import data
from keras_sparse_rnn.experiments.log_mel import log_mel
from keras_sparse_rnn.experiments.training import RECIPES, classifier, start_again, train

HOPS = (20, 40, 80)  # ms
# Batches of 60 divide both training sets; smaller nets need the higher rate.
RECIPE = replace(RECIPES["fsdd"], epochs=90, batch=60, learning_rate=2e-2)
LASSO = 1e-4  # of blocks of 8
NOISE_DB = (None, -60, -40)  # of full scale, under the minute of words; None is digital silence


@dataclass(frozen=True)
class Net:
    """A recurrent layer and what it is trained with.

    Attributes:
        cell: "GRU", "LightGRU", "FastGRNN", "EventGRU" or "DeltaGRU".
        units: Its units.
        hop: Milliseconds between two frames.
        sparsity, block: Share of the weights that are pruned, in blocks of 1 x `block`.
        method: What prunes: "magnitude", "group lasso" (magnitude, of blocks that `BlockGroupLasso` has made small) or
            "RigL", which is sparse from the beginning.
        layers: How many of the layer stand one behind the other.
        penalty: Strength of an `EventPenalty`.
        input_threshold, hidden_threshold: Of a DeltaGRU, in deviations of a feature, and in units of the state.
        reset_gate: Whether an EventGRU or a DeltaGRU has one.
        rank: Of the kernels of a LightGRU or a FastGRNN: a number for both together, a pair for each; 0 for full rank.
        gate: Threshold of a `FrameGate` of two features, in deviations of a feature, that a trained net is put behind.
    """

    cell: str
    units: int
    hop: int = 20
    sparsity: float = 0.0
    block: int = 4
    method: str = "magnitude"
    layers: int = 1
    penalty: float = 0.0
    input_threshold: float = 0.0
    hidden_threshold: float = 0.0
    reset_gate: bool = True
    rank: int | tuple = 0
    gate: float = 0.0

    def __post_init__(self):
        if isinstance(self.rank, list):  # of a file
            object.__setattr__(self, "rank", tuple(self.rank))

    def __str__(self):
        method = f" by {self.method}" if self.method != "magnitude" else ""
        pruned = f", {self.sparsity:.0%} in 1x{self.block}{method}" if self.sparsity else ""
        holds = f", holds {self.input_threshold:g} and {self.hidden_threshold:g}" if self.cell == "DeltaGRU" else ""
        penalty = f", penalty {self.penalty:g}" if self.penalty else ""
        units = " + ".join([str(self.units)] * self.layers)
        light = "" if self.reset_gate else ", no reset gate"
        rank = f", rank {' + '.join(map(str, np.atleast_1d(self.rank)))}" if self.rank else ""
        gate = f", gate {self.gate:g}" if self.gate else ""
        return f"{self.cell} {units}, {self.hop} ms{rank}{pruned}{holds}{penalty}{light}{gate}"

    @property
    def kind(self):
        light = "" if self.reset_gate else ", no reset gate"
        pruned = "pruned " if self.cell in ("GRU", "LightGRU", "FastGRNN") and self.sparsity else ""
        return f"{pruned}{self.cell}{' of low rank' * bool(self.rank)}{light}{' behind a gate' * bool(self.gate)}"

    @property
    def is_light(self):
        return self.cell == "LightGRU" or not self.reset_gate

    def stack(self):
        """Its recurrent layers."""
        return [self._layer(place) for place in range(self.layers)]

    def _layer(self, place):
        last = place == self.layers - 1
        options = {"return_sequences": True, "name": "recurrent" if last else f"recurrent_{place}"}
        if self.penalty:
            options["activity_regularizer"] = ksr.regularizers.EventPenalty(self.penalty)
        if self.sparsity and self.method == "group lasso":
            strength = LASSO * (self.block / 8) ** 0.5
            lasso = ksr.regularizers.BlockGroupLasso(
                strength, (1, self.block), gates={"FastGRNN": 1}.get(self.cell, 2 if self.is_light else 3)
            )
            options |= {"kernel_regularizer": lasso, "recurrent_regularizer": lasso}
        if self.cell == "EventGRU":
            # A layer hears the events of the one before; what is read off the last one is its state.
            readout = "cell" if last else "event"
            return ksr.layers.EventGRU(self.units, readout=readout, reset_gate=self.reset_gate, **options)
        if self.cell == "DeltaGRU":
            input_threshold = self.hidden_threshold if place else self.input_threshold
            holds = {"input_threshold": input_threshold, "hidden_threshold": self.hidden_threshold}
            return ksr.layers.DeltaGRU(self.units, reset_gate=self.reset_gate, **holds, **options)
        if self.cell == "GRU":
            return keras.layers.GRU(self.units, **options)
        kind = ksr.layers.FastGRNN if self.cell == "FastGRNN" else ksr.layers.LightGRU
        return kind(self.units, rank=self.rank or None, **options)


DENSE = [Net("GRU", units, hop) for hop in HOPS for units in (12, 16, 24, 32)]
LIGHT = [
    Net("LightGRU", 24, 40),
    *(Net("LightGRU", 32, 40, rank=rank) for rank in (8, 12)),
    Net("FastGRNN", 48, 40, rank=(8, 8)),
]
HOLDS = {"input_threshold": 0.5, "hidden_threshold": 0.2}
# Where the search begins.
KNOWN = [
    *DENSE,
    *(Net("GRU", units, hop, 0.7) for hop in HOPS for units in (24, 32)),
    *(Net("DeltaGRU", 32, hop, 0.7, **HOLDS) for hop in HOPS),
    *(Net("EventGRU", 64, hop, 0.8, penalty=2.0) for hop in HOPS),
    *(Net("DeltaGRU", units, hop, 0.5, **HOLDS) for units, hop in ((24, 20), (32, 40), (32, 80), (48, 80))),
    *(Net("DeltaGRU", 64, hop, 0.8, **HOLDS) for hop in HOPS),
    Net("EventGRU", 48, 20, 0.8, penalty=2.0),
    Net("EventGRU", 32, 40, 0.7, penalty=2.0),
    *(Net("DeltaGRU", units, 20, 0.7, method="RigL", **HOLDS) for units in (32, 64)),
    *(Net("DeltaGRU", 48, hop, 0.5, method="RigL", input_threshold=0.25, hidden_threshold=0.1) for hop in HOPS[:2]),
    Net("DeltaGRU", 48, 20, 0.7, method="group lasso", input_threshold=0.25, hidden_threshold=0.1),
    Net("DeltaGRU", 96, 20, 0.8, method="RigL", **HOLDS),
    *(Net("DeltaGRU", 32, hop, 0.8, method="group lasso", **HOLDS) for hop in HOPS),
    *(Net("DeltaGRU", 48, hop, 0.9, method="group lasso", **HOLDS) for hop in HOPS),
    Net("DeltaGRU", 64, 20, 0.9, method="group lasso", **HOLDS),
    Net("DeltaGRU", 24, 20, 0.7, layers=2, **HOLDS),
    *(Net("EventGRU", 64, hop, 0.9, method="group lasso", penalty=2.0) for hop in HOPS),
    Net("EventGRU", 48, 20, 0.8, layers=2, penalty=2.0),
    *(Net("LightGRU", units, hop) for hop in HOPS for units in (12, 16, 24, 32)),
    *(Net("LightGRU", 32, hop, 0.7) for hop in HOPS),
    *(Net("DeltaGRU", 32, hop, 0.7, reset_gate=False, **HOLDS) for hop in HOPS[:2]),
    Net("EventGRU", 64, 20, 0.8, penalty=2.0, reset_gate=False),
]
GOALS = (0.035, 0.055)  # NLL on the validation set: about what dense GRUs of 24 and 16 units reach
WORST = 0.1  # NLL of a net that may still be of use: what is worse only tells the search where not to look


def search(arguments, folder):
    import optuna

    study = open_study(folder)
    for net in KNOWN:
        study.enqueue_trial(suggested(net), skip_if_exists=True)

    def objective(trial):
        net = suggest(trial)
        _, run = fit(net, 0, "validation", arguments.epochs)
        trial.set_user_attr("net", asdict(net))
        trial.set_user_attr("run", run)
        return run["nll"], run["macs"] * 20 / net.hop, run["bytes"]

    def show(_, trial):
        values = "loss {:.3f}, {:,.0f} MACs a 20 ms, {:,.0f} bytes".format(*trial.values)
        print(f"{trial.number}: {Net(**trial.user_attrs['net'])}: {values}", flush=True)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study.optimize(objective, n_trials=arguments.trials, callbacks=[show])


def open_study(folder):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return optuna.create_study(
        study_name="spoken digits, with and without a reset gate",
        storage=JournalStorage(JournalFileBackend(str(folder / "study.journal"))),
        sampler=optuna.samplers.TPESampler(
            multivariate=True,
            group=True,
            constant_liar=True,
            constraints_func=lambda trial: [trial.user_attrs["run"]["nll"] - WORST],
        ),
        directions=["minimize"] * 3,
        load_if_exists=True,
    )


def suggest(trial):
    """A net of the search space."""
    net = Net(
        cell=trial.suggest_categorical("cell", ["DeltaGRU", "EventGRU", "GRU", "LightGRU"]),
        units=trial.suggest_categorical("units", [12, 16, 24, 32, 48, 64, 96, 128]),
        hop=trial.suggest_categorical("hop", HOPS),
        sparsity=trial.suggest_categorical("sparsity", [0.0, 0.5, 0.7, 0.8, 0.9]),
        block=trial.suggest_categorical("block", [4, 8]),
        method=trial.suggest_categorical("method", ["magnitude", "group lasso", "RigL"]),
        layers=trial.suggest_categorical("layers", [1, 2]),
    )
    if net.cell in ("EventGRU", "DeltaGRU"):
        net = replace(net, reset_gate=trial.suggest_categorical("reset gate", [True, False]))
    if net.cell == "EventGRU":
        return replace(net, penalty=trial.suggest_float("event penalty", 0.5, 4.0, step=0.5))
    if net.cell == "DeltaGRU":
        return replace(
            net,
            penalty=trial.suggest_float("change penalty", 0.0, 2.0, step=0.5),
            input_threshold=trial.suggest_float("input threshold", 0.25, 1.0, step=0.25),
            hidden_threshold=trial.suggest_float("hidden threshold", 0.1, 0.4, step=0.1),
        )
    return net


def suggested(net):
    """The parameters by which `suggest` gives this net."""
    common = ("cell", "units", "hop", "sparsity", "block", "method", "layers")
    parameters = {name: getattr(net, name) for name in common}
    if net.cell in ("EventGRU", "DeltaGRU"):
        parameters["reset gate"] = net.reset_gate
    if net.cell == "EventGRU":
        parameters["event penalty"] = net.penalty
    if net.cell == "DeltaGRU":
        parameters |= {"change penalty": net.penalty, "input threshold": net.input_threshold}
        parameters["hidden threshold"] = net.hidden_threshold
    return parameters


def fit(net, seed, split, epochs):
    """Trains a net once: the model, and its figures on the test or the validation recordings."""
    digits, model = load(net.hop, split), compiled(replace(net, gate=0.0), split, epochs)
    start_again(model, seed)
    recipe, callbacks, pruned = replace(RECIPE, epochs=epochs), [], net.sparsity
    if net.sparsity and net.method == "RigL":
        steps = epochs * -(-len(digits.train) // recipe.batch)
        fraction = ksr.schedules.CosineDecay(0.3, 0.0, 0, round(0.75 * steps), frequency=max(1, steps // epochs))
        callbacks = [ksr.callbacks.RigL(1 - net.sparsity, fraction, block_shape=(1, net.block), seed=seed)]
        pruned = 0
    train(model, digits, recipe, pruned, seed, callbacks, block=(1, net.block))
    return gated(model, net), assessed(gated(model, net), digits)


def gated(model, net):
    """A trained net behind its gate, or as it is."""
    if not net.gate:
        return model
    first = ksr.layers.FrameGate(net.gate, count=2, name="gate")
    copies = [type(layer).from_config(layer.get_config()) for layer in model.layers]
    behind = keras.Sequential([keras.Input(model.input_shape[1:]), first, *copies], name=model.name)
    behind.set_weights(model.get_weights())
    return behind


def assessed(model, digits):
    """The figures of a net on the test recordings of its split."""
    probabilities = model.predict(digits.test.x, batch_size=len(digits.test), verbose=0)
    macs = ksr.profiling.count_macs(model, digits.test.x, digits.test.valid)
    layers = [layer for layer in ksr.profile(model).layers if layer.name.startswith("recurrent")]
    return {
        **scores(probabilities, digits.test.y),
        **totals(macs),
        "bytes": sum(layer.packed_bytes for layer in layers),
    }


def totals(macs):
    """Of all layers the MACs a step, and mean shares of inputs and units that are active."""
    return {
        "macs": sum(layer.effective for layer in macs),
        "inputs": float(np.mean([layer.input_rate for layer in macs])),
        "activity": float(np.mean([layer.activity for layer in macs])),
    }


@functools.cache
def load(hop, split):
    if GIVEN:
        return given_data(*GIVEN, hop // 20, split)
    return data.fsdd(hop / 1000, data.FSDD_TEST if split == "test" else range(5, 10))


@functools.lru_cache(maxsize=32)  # one compilation for all seeds
def compiled(net, split, epochs=RECIPE.epochs):
    return classifier(net.stack(), load(net.hop, split), replace(RECIPE, epochs=epochs))


def scores(probabilities, y):
    """Accuracy and mean negative log-likelihood."""
    of_class = probabilities[np.arange(len(y)), y]
    nll = -np.log(np.maximum(of_class, 1e-12)).mean()
    return {"accuracy": float((probabilities.argmax(axis=1) == y).mean()), "nll": float(nll)}


def confirm(arguments, folder):
    (folder / "nets").mkdir(exist_ok=True)
    done = {(run["net"], run["seed"]) for run in read(folder / "runs.jsonl")}
    nets = [*chosen(open_study(folder), arguments.goals), *DENSE, *LIGHT]
    # Seed by seed: what is stopped has something of everything.
    for seed in range(arguments.seeds):
        for net in nets:
            if re.search(arguments.only, str(net)) and (str(net), seed) not in done:
                model, run = fit(net, seed, "test", arguments.epochs)
                model.save_weights(folder / "nets" / f"{net}, {seed}.weights.h5")
                write(folder / "runs.jsonl", {"net": str(net), "seed": seed, "of": asdict(net), **run})
                print(f"{net}, seed {seed}: accuracy {run['accuracy']:.1%}, loss {run['nll']:.3f}", flush=True)


def chosen(study, goals):
    """Of each sparse kind at each hop, for each goal, the net with the fewest MACs whose loss on the validation set is
    at most that."""
    best = {}
    for trial, goal in itertools.product(study.get_trials(states=[_complete()]), goals):
        net, (nll, macs, _) = Net(**trial.user_attrs["net"]), trial.values
        place = (net.kind, net.hop, goal)
        if nll <= goal and net.kind != "GRU" and (place not in best or macs < best[place][0]):
            best[place] = (macs, net)
    return list(dict.fromkeys(net for _, net in best.values()))


def _complete():
    from optuna.trial import TrialState

    return TrialState.COMPLETE


def measure(arguments, folder):
    from keras_sparse_rnn.experiments.board import board_cost

    done = {cost["net"] for cost in read(folder / "costs.jsonl")}
    for net, model, digits in confirmed(arguments, folder):
        if str(net) not in done:
            sample, test = digits.train.x[::27], digits.test
            cost = board_cost(model, sample, test.x[::20], test.valid[::20])
            probabilities = ksr.convert(model, sample).predict(test.x)
            int8 = {f"int8 {name}": value for name, value in scores(probabilities, test.y).items()}
            write(folder / "costs.jsonl", {"net": str(net), **asdict(cost), **int8})
            print(f"{net}: {cost.bytes:,} bytes, {cost.instructions:,.0f} instructions a step", flush=True)


def confirmed(arguments, folder):
    """Each net that `confirm` has trained, with the weights of its first seed, and its data."""
    for run in read(folder / "runs.jsonl"):
        net = Net(**run["of"])
        if run["seed"] == 0 and re.search(arguments.only, str(net)):
            model = compiled(net, "test")
            model.load_weights(folder / "nets" / f"{net}, 0.weights.h5")
            yield net, model, load(net.hop, "test")


def table(arguments, folder):
    costs = {cost["net"]: cost for cost in read(folder / "costs.jsonl")}
    runs = collections.defaultdict(list)
    for run in read(folder / "runs.jsonl"):
        runs[Net(**run["of"])].append(run)
    rows = [Row(net, of_net, costs.get(str(net))) for net, of_net in runs.items()]
    rows.sort(key=lambda row: (row.net.hop, row.net.kind, row.macs))
    titles = ["net", "runs", "accuracy %", "NLL", "int8 NLL", "inputs %", "activity %", "MACs", "M4 instr.", "bytes"]
    print("\n".join(markdown(titles, [row.cells() for row in rows])), end="\n\n")
    print("How many times fewer MACs / M4 instructions / bytes than the smallest dense GRU that is as good:\n")
    titles = ["net", *(f"dense GRU at {hop} ms" for hop in HOPS), "pruned GRU, any hop"]
    print("\n".join(markdown(titles, [row.against(rows) for row in rows if row.net.kind != "GRU"])))
    draw(rows, open_study(folder), folder / "sweep.png")


class Row:
    """A net in the tables: means over its runs, and what the first of them costs on the board, for 20 ms of sound."""

    def __init__(self, net, runs, cost):
        self.net, self.runs, self.cost = net, runs, cost
        self.nll = np.mean([run["nll"] for run in runs])
        self.macs = np.mean([run["macs"] for run in runs]) * 20 / net.hop
        self.bytes = cost["bytes"] if cost else None
        self.instructions = cost and cost["instructions"] and cost["instructions"] * 20 / net.hop

    def cells(self):
        def spread(name, form, scale=1):
            values = [scale * run[name] for run in self.runs]
            return f"{np.mean(values):{form}}" + (f" ± {np.std(values, ddof=1):{form}}" if len(values) > 1 else "")

        rates = [f"{100 * np.mean([run[name] for run in self.runs]):.0f}" for name in ("inputs", "activity")]
        int8 = f"{self.cost['int8 nll']:.3f}" if self.cost else "?"
        sizes = [f"{value:,.0f}" if value else "?" for value in (self.macs, self.instructions, self.bytes)]
        return [self.net, len(self.runs), spread("accuracy", ".1f", 100), spread("nll", ".3f"), int8, *rates, *sizes]

    def against(self, rows):
        """As good is a net whose mean NLL is at most one standard error of this net's mean above it."""
        values = [run["nll"] for run in self.runs]
        reach = self.nll + (np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0)
        groups = [[row for row in rows if (row.net.kind, row.net.hop) == ("GRU", hop)] for hop in HOPS]
        groups.append([row for row in rows if row.net.kind == "pruned GRU"])
        cells = []
        for group in groups:
            rival = min((row for row in group if row.nll <= reach), key=lambda row: row.macs, default=None)
            cells.append("none" if rival is None else f"{rival.net.units}: {self._ratios(rival)}")
        return [self.net, *cells]

    def _ratios(self, rival):
        pairs = [(getattr(rival, name), getattr(self, name)) for name in ("macs", "instructions", "bytes")]
        return " / ".join(f"{a / b:.1f}" if a and b else "?" for a, b in pairs)


def markdown(titles, rows):
    return [f"| {' | '.join(map(str, cells))} |" for cells in (titles, ["---"] * len(titles), *rows)]


def draw(rows, study, path):
    """Loss against MACs on the test set, and small and pale what the search tried, on the validation set."""
    points = {row.net.kind: {} for row in sorted(rows, key=lambda row: row.net.kind != "GRU")}
    for row in rows:
        if row.nll > WORST:
            continue
        pruned = f" at {row.net.sparsity:.0%}" if row.net.sparsity else ""
        points[row.net.kind][f"{row.net.units}{pruned}, {row.net.hop} ms"] = (row.macs, row.nll)
    points = {kind: named for kind, named in points.items() if named}
    cost, quality = "effective MACs for 20 ms of sound", "NLL (nats)"
    axes = Figure(figsize=(10, 7), layout="constrained").subplots()
    ksr.plot.pareto(points, cost=cost, quality=quality, lower_is_better=True, ax=axes)
    most = axes.get_xlim()[1]
    for trial in study.get_trials(states=[_complete()]):
        if trial.values[0] <= WORST and trial.values[1] < most:
            axes.plot(trial.values[1], trial.values[0], "x", color=ksr.plot.GREY, markersize=3, zorder=0)
    axes.figure.savefig(path, dpi=110)


def continuous(arguments, folder):
    """What the nets cost while nobody speaks half of the time, by the loudness of the noise."""
    from keras_sparse_rnn.experiments.board import board_cost

    rows = []
    for net, model, digits in confirmed(arguments, folder):
        for noise in NOISE_DB:
            features = log_mel(minute_of_audio(noise, arguments.seconds), data.FSDD_RATE, net.hop / 1000)
            x = ((features - digits.mean) / digits.deviation)[None].astype(np.float32)
            model_of_stream = classifier(net.stack(), replace(digits, train=data.Split(x, None, np.zeros(1))), RECIPE)
            model_of_stream.set_weights(model.get_weights())
            macs = totals(ksr.profiling.count_macs(model_of_stream, x))
            # Short pieces of it set the ranges, with words: in its whole length one event more or less would tell.
            steps = digits.train.x.shape[1]
            pieces = x[0, : len(features) // steps * steps].reshape(-1, steps, x.shape[2])
            cost = board_cost(model, np.concatenate([digits.train.x[::27], pieces]), x)
            rates = [f"{100 * macs[name]:.0f}" for name in ("inputs", "activity")]
            a_second = [1000 / net.hop * figure for figure in (macs["macs"], cost.instructions or np.nan)]
            level = "none" if noise is None else f"{noise} dBFS"
            rows.append([net, level, *rates, *(f"{figure:,.0f}" for figure in a_second)])
            print(*rows[-1], flush=True)
    titles = ["net", "noise", "inputs %", "activity %", "MACs a second", "M4 instructions a second"]
    print("", *markdown(titles, rows), sep="\n")


def minute_of_audio(noise_db, seconds, seed=0):
    """Test recordings with pauses of 0.3 to 3 seconds between them, in white noise."""
    rng = np.random.default_rng(seed)
    recordings = data.fsdd_recordings()
    chosen = rng.permutation(np.flatnonzero(np.isin(recordings.index, data.FSDD_TEST)))
    audio, end, place = np.zeros(round(seconds * data.FSDD_RATE)), 0, iter(chosen)
    while True:
        word = recordings.audio[next(place)]
        begin = end + round(rng.uniform(0.3, 3) * data.FSDD_RATE)
        end = begin + len(word)
        if end > len(audio):
            break
        audio[begin:end] = word
    if noise_db is not None:
        audio += 10 ** (noise_db / 20) * rng.normal(size=len(audio))
    return audio


GIVEN: list = []  # x and y of `arrays`
SMALL = [
    *(Net(cell, units, hop) for hop in HOPS for cell in ("GRU", "LightGRU") for units in (8, 16, 32)),
    *(Net("LightGRU", 32, hop, rank=rank) for hop in HOPS for rank in (8, 12)),
    *(Net("FastGRNN", 32, hop, rank=(8, 8)) for hop in HOPS),
    *(Net("DeltaGRU", 32, hop, 0.5, **HOLDS, reset_gate=False) for hop in HOPS),
    *(Net("LightGRU", 16, hop, gate=gate) for hop in HOPS[:2] for gate in (0.25, 0.5)),
    Net("EventGRU", 32, 20, 0.5, penalty=2.0, reset_gate=False),
]


def arrays(arguments, folder):
    GIVEN[:] = given_arrays(arguments.x, arguments.y)
    tried = []
    for net in [net for net in SMALL if re.search(arguments.only, str(net))][: arguments.trials]:
        _, run = fit(net, 0, "validation", arguments.epochs)
        tried.append((net, run["nll"], run["macs"] * 20 / net.hop))
        print(f"{net}: loss {run['nll']:.3f}, {tried[-1][2]:,.0f} MACs a frame", flush=True)
    front = pareto_front(tried)
    best = recommended(front, tried)
    _, run = fit(best, 1, "test", arguments.epochs)
    rows = [[net, f"{nll:.3f}", f"{macs:,.0f}"] for net, nll, macs in front]
    print("", *markdown(["net", "loss", "MACs a frame"], rows), sep="\n")
    print(f"\nTake {best}: loss {run['nll']:.3f}, accuracy {run['accuracy']:.1%} on sequences that chose nothing.\n")
    print(code_of(best))


def given_arrays(x, y):
    """Sequences and their classes from two files.

    Raises:
        ValueError: They are no such arrays.
    """
    x, y = np.load(x), np.load(y)
    if x.ndim != 3 or y.shape != x.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"--x must hold sequences (samples, steps, features), and --y a class, an integer, for each; given: "
            f"{x.shape}, and {y.shape} of {y.dtype}."
        )
    if len(x) < 20 or not np.isfinite(x).all():
        raise ValueError(f"--x must hold at least 20 sequences of finite numbers; given: {len(x)}.")
    return x.astype(np.float32), np.unique(y, return_inverse=True)[1]


def given_data(x, y, every, split):
    """Every so manieth frame of them: 3 of 5 sequences to train on, 1 to choose by; or 4 to train on, 1 to test."""
    order, (first, last) = np.random.default_rng(0).permutation(len(x)), np.array([3, 4]) * len(x) // 5
    train, test = (order[:first], order[first:last]) if split == "validation" else (order[:last], order[last:])
    x = x[:, ::-1][:, ::every][:, ::-1]  # the last frame stays
    mean, deviation = x[train].mean(axis=(0, 1)), np.maximum(x[train].std(axis=(0, 1)), 1e-6)
    x = ((x - mean) / deviation).astype(np.float32)
    parts = [data.Split(x[part], np.ones(x[part].shape[:2], bool), y[part]) for part in (train, test)]
    classes = tuple(map(str, range(y.max() + 1)))
    return data.Data("given", f"{x.shape[2]} features", 20.0 * every, classes, *parts, mean, deviation)


def pareto_front(tried):
    """The nets that no other beats in both loss and MACs, the cheapest first."""
    front = []
    for net, nll, macs in sorted(tried, key=lambda one: (one[2], one[1])):
        if not front or nll < front[-1][1]:
            front.append((net, nll, macs))
    return front


def recommended(front, tried):
    """The cheapest net whose loss is within a tenth of the way from the best loss to the worst."""
    losses = [nll for _, nll, _ in tried]
    return next(net for net, nll, _ in front if nll <= min(losses) + 0.1 * (max(losses) - min(losses)))


def code_of(net):
    """A net as Keras code."""
    options = {"return_sequences": True}
    if net.cell == "DeltaGRU":
        options |= {"input_threshold": net.input_threshold, "hidden_threshold": net.hidden_threshold}
    if net.cell in ("DeltaGRU", "EventGRU"):
        options["reset_gate"] = net.reset_gate
    if net.cell == "EventGRU":
        options["readout"] = "cell"
    options |= {"rank": net.rank} if net.rank else {}
    given = ", ".join([str(net.units), *(f"{name}={value!r}" for name, value in options.items())])
    home = "keras.layers" if net.cell == "GRU" else "ksr.layers"
    every = f"x = x[:, ::-1][:, ::{net.hop // 20}][:, ::-1]  # a frame of {net.hop // 20}\n" if net.hop > 20 else ""
    gate = f"    ksr.layers.FrameGate({net.gate:g}, count=2),\n" if net.gate else ""
    pruning = ""
    if net.sparsity:
        schedule = f"ksr.schedules.PolynomialDecay(0, {net.sparsity:g}, begin=0.1, end=0.65)"
        pruning = f"\npruning = ksr.callbacks.MagnitudePruning({schedule}, block_shape=(1, {net.block}))"
    return (
        f"{every}model = keras.Sequential([\n    keras.Input(x.shape[1:]),\n{gate}    {home}.{net.cell}({given}),\n"
        f'    keras.layers.GlobalAveragePooling1D(),\n    keras.layers.Dense(classes, activation="softmax"),\n])'
        f"{pruning}"
    )


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(path, row):
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = {step.__name__: step for step in (search, confirm, measure, table, continuous, arrays)}
    parser.add_argument("step", choices=steps)
    parser.add_argument("--out", type=Path, default="sweep", help="the folder of the study; default: %(default)s")
    parser.add_argument("--trials", type=int, default=100, help="of this process")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--goals", type=float, nargs="+", default=GOALS, help="losses on the validation set; default: %(default)s"
    )
    parser.add_argument("--only", default="", metavar="REGEX", help="confirm and measure only nets with such names")
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--seconds", type=float, default=60, help="of continuous audio")
    parser.add_argument("--x", metavar="X.npy", help="of `arrays`: sequences (samples, steps, features)")
    parser.add_argument("--y", metavar="Y.npy", help="of `arrays`: the class of each, an integer")
    arguments = parser.parse_args()
    if arguments.step == "arrays" and not (arguments.x and arguments.y):
        parser.error("arrays needs --x and --y")
    arguments.out.mkdir(parents=True, exist_ok=True)
    steps[arguments.step](arguments, arguments.out)
