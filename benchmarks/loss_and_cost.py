"""Draws loss against instructions on a Cortex-M4 for sparse and dense networks, the picture of the README.

    python benchmarks/loss_and_cost.py

reads `small_nets.csv` and `blocks_words.csv` in `benchmarks/results/` and writes `docs/results/loss_and_cost.png`.
"""

import argparse
import csv
import re
from pathlib import Path

from matplotlib.figure import Figure

import keras_sparse_rnn as ksr

ROOT = Path(__file__).parents[1]
LARGEST_LOSS = 0.1  # leaves out dense GRUs of few units at 80 ms
MOST_INSTRUCTIONS = 10_000  # leaves out a pruned GRU of 128 units on digits, at 43,478


def digits(path):
    """Returns dicts {label: (instructions per 20 ms, loss)} by family, from the search for small networks."""
    families = {name: {} for name in ("dense GRU", "pruned GRU", "EventGRU", "DeltaGRU", "LightGRU", "FastGRNN")}
    for row in _rows(path):
        name = re.match(r"(\w+) (\d+), (\d+) ms(, rank [\d +]+)?(?:, (\d+)%)?", row["net"])
        cell, units, hop, rank, pruned = name.groups(default="")
        family = cell if cell != "GRU" else "pruned GRU" if pruned else "dense GRU"
        cost, loss = float(row["M4 instr."]), float(row["NLL"])
        if cost <= MOST_INSTRUCTIONS and loss <= LARGEST_LOSS:
            families[family][f"{units}, {hop} ms{rank}"] = cost, loss
    return families


def words(path):
    """Returns dicts {label: (instructions per word, loss)} by family, from the sweep of blocks on words."""
    families = {"dense GRU": {}, "pruned GRU": {}}
    for row in _rows(path):
        point = float(row["M4 instructions per step"]), float(row["NLL"])
        if row["method"].startswith("dense"):
            families["dense GRU"][row["method"].removeprefix("dense").removeprefix(" GRU ") or "128"] = point
        elif pruned := re.match(r"magnitude 1x4 (\d+ %)", row["method"]):
            families["pruned GRU"][f"128, {pruned[1]} zeros"] = point
    return families


def draw(of_digits, of_words, path):
    left, right = Figure(figsize=(14, 6), layout="constrained").subplots(1, 2, width_ratios=[1.2, 1])
    titles = "Spoken digits: units and hop", "Next word: units, zeros in 1x4 blocks"
    costs = "20 ms of sound", "word"
    for axes, families, title, per in zip((left, right), (of_digits, of_words), titles, costs, strict=True):
        cost = f"instructions on a Cortex-M4 per {per}"
        ksr.plot.pareto(families, cost=cost, quality="test loss (nats)", lower_is_better=True, ax=axes)
        axes.set_title(f"{title}; better is to the left and above", loc="left")
    left.figure.savefig(path, dpi=110)


def _rows(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results", help="folder of the CSV files")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/loss_and_cost.png")
    arguments = parser.parse_args()
    results = arguments.results
    draw(digits(results / "small_nets.csv"), words(results / "blocks_words.csv"), arguments.out)
