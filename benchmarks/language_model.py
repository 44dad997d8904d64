"""Do sparse weights and sparse activity multiply? Language models of the Penn Treebank, on two CPU cores.

    python benchmarks/language_model.py --data DIR --out results

Each row is a run of examples/penn_treebank.py, in a separate folder in `results`. `results/results.jsonl` has a line
for each complete run, which is not repeated; an interrupted run continues after its last epoch. The table is printed at
the end; `--table` only prints it, and `--picture FILE` draws it. DIR is as in the example.

`--rows small`: nets of the preset `small`, trained dense for 6 epochs and then for 2 more, in which the weights of a
row are pruned. Smaller dense nets are trained for as long, at first with twice the learning rate, which suits them
better. `--rows selfish`: the preset `selfish-small`, made sparse by each method with two seeds, and dense nets of its
size and with as many weights as remain.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

EXAMPLE = Path(__file__).parents[1] / "examples" / "penn_treebank.py"
NAMES = {"event_gru": "EventGRU", "gru": "GRU", "lstm": "LSTM"}


def small(seed):
    """Name of a run -> (arguments, the run that it starts from)."""
    runs = {}
    smaller = ("128 128", "64 64", "48 48", "32 32")
    for cell, units in [*((cell, "256 128") for cell in NAMES), *(("gru", units) for units in smaller)]:
        net = f"{NAMES[cell]} {units.replace(' ', ' + ')}"
        arguments = ["--preset", "small", "--cell", cell, "--units", *units.split(), "--seed", str(seed)]
        rate = ["--rate", "8e-3"] if units in smaller else []  # which suits small nets better
        runs[f"{net}, first 6 epochs"] = ([*arguments, *rate], None)
        for sparsity in (90, 0, 95, 80) if units == "256 128" else (0,):
            finetuning = ["--epochs", "2", "--rate", "2e-3", "--sparsity", str(sparsity / 100)]
            runs[f"{net}, {sparsity} %"] = ([*arguments, *finetuning], f"{net}, first 6 epochs")
    return runs


def selfish():
    runs = {}
    for seed in (0, 1):
        common = ["--preset", "selfish-small", "--seed", str(seed)]
        for sparsity, method in itertools.product((67, 90), ("selfish", "set", "rigl", "magnitude")):
            how = ["--method", method, "--sparsity", str(sparsity / 100)]
            runs[f"{method} {sparsity} %, seed {seed}"] = ([*common, *how], None)
        for units in ("100", "40", "13"):
            how = ["--units", units, units, "--embedding", units, "--method", "dense"]
            runs[f"dense, {units} + {units} units, seed {seed}"] = ([*common, *how], None)
    return runs


def main():
    arguments = parse()
    runs = small(arguments.seed) if arguments.rows == "small" else selfish()
    arguments.out.mkdir(parents=True, exist_ok=True)
    of_seed = {result["seed"] for name, result in complete(arguments.out).items() if name in runs}
    if arguments.rows == "small" and of_seed - {arguments.seed}:
        raise SystemExit(f"{arguments.out} is of seed {of_seed.pop()}: give seed {arguments.seed} another --out.")
    if not arguments.table:
        wanted = [name for name in runs if re.search(arguments.only, name)]
        for name in dict.fromkeys(part for row in wanted for part in (runs[row][1], row) if part):
            run(name, *runs[name], arguments)
    results = complete(arguments.out)
    results = {name: results[name] for name in runs if name in results}
    print({"small": small_table, "selfish": selfish_table}[arguments.rows](results))
    if arguments.picture:
        picture(results, arguments.picture)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", choices=["small", "selfish"], default="small")
    parser.add_argument("--data", help="folder with ptb.*.txt")
    parser.add_argument("--out", type=Path, default=Path("language_model"), help="folder for results and checkpoints")
    parser.add_argument("--only", default="", metavar="REGEX", help="of the name of a row")
    parser.add_argument("--seed", type=int, default=0, help="of the rows of `small`; give each an --out of its own")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="PNG or SVG of the rows of `small`")
    parser.add_argument("--quick", action="store_true", help="tiny nets, to try the benchmark out")
    return parser.parse_args()


def complete(out):
    """The results of complete runs by name."""
    path = out / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {result["run"]: result for result in map(json.loads, lines)}


def run(name, changes, start, arguments):
    if name in complete(arguments.out):
        return
    folder = arguments.out / re.sub(r"\W+", "_", name)
    command = [sys.executable, EXAMPLE, *changes, "--out", folder, "--resume"]
    command += ["--data", arguments.data] if arguments.data else []
    command += ["--start", arguments.out / re.sub(r"\W+", "_", start) / "best.weights.h5"] if start else []
    command += ["--quick"] if arguments.quick else []
    print(name, file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=sys.stderr)
    result = json.loads((folder / "result.json").read_text())
    with (arguments.out / "results.jsonl").open("a") as file:
        file.write(json.dumps({"run": name, **result}) + "\n")


def by_net(results):
    """The results of `small` after the first epochs, in lists by net, dense first; no net without a dense row."""
    nets = {}
    for name, result in results.items():
        if name.endswith(" %"):
            nets.setdefault(name.partition(",")[0], []).append(result)
    nets = {net: sorted(of_net, key=lambda result: result["sparsity"]) for net, of_net in nets.items()}
    return {net: of_net for net, of_net in nets.items() if of_net[0]["sparsity"] < 0.01}


def product(result, of_net):
    """Returns the MACs that the net would need if the savings of weights and activity multiplied."""
    return of_net[0]["effective"] * (1 - result["sparsity"])


def small_table(results):
    titles = ["net", "zeros %", "perplexity, valid", "test", "active %", "MACs per word, dense", "by weights alone"]
    titles += ["by activity alone", "product", "counted", "decoder"]
    rows = []
    for net, of_net in by_net(results).items():
        for r in of_net:
            macs = [r["dense"], r["dense"] * (1 - r["sparsity"]), of_net[0]["effective"], product(r, of_net)]
            macs += [r["effective"], r["effective_decoder"]]
            shares = f"{100 * r['sparsity']:.0f}", f"{r['valid']:.1f}", f"{r['test']:.1f}", f"{100 * r['activity']:.0f}"
            rows.append([net, *shares, *(f"{figure:,.0f}" for figure in macs)])
    return markdown(titles, rows)


def selfish_table(results):
    of_row = {}
    for name, result in results.items():
        of_row.setdefault(name.rpartition(", seed")[0], []).append(result)
    titles = ["method", "LSTM zeros %", "weights, not zero", "runs", "perplexity, valid", "test"]
    rows = []
    for name, of in of_row.items():
        means = [f"{mean(r[part] for r in of):.1f} ± {spread(r[part] for r in of):.1f}" for part in ("valid", "test")]
        weights = f"{mean(r['nonzero_parameters'] for r in of):,.0f}"
        rows.append([name, f"{100 * mean(r['sparsity'] for r in of):.0f}", weights, len(of), *means])
    return markdown(titles, rows)


def spread(values):
    """Returns the standard deviation, 0 for a single value."""
    values = list(values)
    return stdev(values) if len(values) > 1 else 0.0


def markdown(titles, rows):
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def picture(results, path):
    """Draws perplexity against effective MACs, and counted MACs against the product of both sparsities."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    nets, smaller = by_net(results), []
    for net, of_net in nets.items():
        if not net.endswith("256 + 128"):
            smaller += of_net
            continue
        [line] = left.plot([r["effective"] for r in of_net], [r["test"] for r in of_net], "o-", label=net)
        for r in of_net:
            place = (r["effective"], r["test"])
            left.annotate(f"{r['sparsity']:.0%}", place, (5, 4), textcoords="offset points", color=line.get_color())
        right.plot([product(r, of_net) for r in of_net], [r["effective"] for r in of_net], "o", label=net)
    left.plot([r["effective"] for r in smaller], [r["test"] for r in smaller], "s:", color="grey", label="smaller GRUs")
    left.set(xscale="log", xlabel="MACs per word, counted, without decoder", ylabel="test perplexity")
    left.set_title("At the points: weights that are zero", fontsize=10)
    right.set(xscale="log", yscale="log", ylabel="MACs per word, counted")
    right.set_xlabel("MACs with the dense weights x share of weights kept")
    right.axline((1e4, 1e4), (1e5, 1e5), color="grey", lw=1)
    left.legend()
    plt.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
