"""Trains language models of the Penn Treebank with the papers' recipes, sparse in weights, in activity or in both.

    python examples/penn_treebank.py --preset small --data DIR
    python examples/penn_treebank.py --preset small --data DIR --start runs/small/best.weights.h5 --sparsity 0.9

DIR, or KSR_DATA, names the folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt; without either, the public copy
is downloaded. Prints perplexities, zeros, active units and multiply-accumulates (MACs) per word after each epoch, and
at the end a table for the weights with the best validation loss. `--resume` continues an interrupted run, with the same
result as without the interruption. The papers' recipes need a GPU (--backend jax); `small` runs on two CPU cores.
"""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path


def main():
    arguments = parse()
    os.environ["KERAS_BACKEND"] = arguments.backend
    from language_model import corpus, report, training
    from language_model.presets import PRESETS

    if arguments.bfloat16:
        import jax

        jax.config.update("jax_default_matmul_precision", "BF16_BF16_F32")
    preset = chosen(PRESETS[arguments.preset], arguments)
    text = corpus.load(arguments.data or os.environ.get("KSR_DATA"), preset.vocabulary, preset.train_words)
    lengths = ", ".join(f"{len(getattr(text, part)):,} {part}" for part in ("train", "valid", "test"))
    print(f"{len(text.words):,} words; the text has {lengths}", flush=True)
    folder = arguments.out or Path("runs") / arguments.preset
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    training.train(preset, text, folder, arguments.seed, arguments.start, arguments.resume)
    result = {
        **training.evaluate(preset, text, folder / "best.weights.h5"),
        "preset": arguments.preset,
        "epochs": preset.epochs,
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - began),
    }
    print(report.table(result))
    if preset.paper:
        print(f"paper: {preset.paper}")
    (folder / "result.json").write_text(json.dumps(result) + "\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small", choices=PRESET_NAMES)
    parser.add_argument("--data", type=Path, help="folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt")
    parser.add_argument("--backend", choices=["jax", "tensorflow", "torch"], default="jax")
    parser.add_argument("--out", type=Path, help="folder for checkpoints and result.json (runs/PRESET)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--start", type=Path, metavar="FILE", help="initial weights, best.weights.h5 of a run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bfloat16", action="store_true", help="matrix products in bfloat16 (JAX)")
    parser.add_argument("--quick", action="store_true", help="train a tiny net for two epochs, to try it out")
    change = parser.add_argument_group("changes to the preset")
    change.add_argument("--cell", choices=["event_gru", "gru", "lstm"])
    change.add_argument("--units", type=int, nargs="+", help="of each recurrent layer")
    change.add_argument("--embedding", type=int)
    change.add_argument("--epochs", type=int)
    change.add_argument("--rate", type=float, help="learning rate")
    change.add_argument("--sparsity", type=float, help="share of weights to be zero; magnitude pruning by default")
    change.add_argument("--method", choices=["magnitude", "selfish", "set", "rigl", "dense"])
    return parser.parse_args()


PRESET_NAMES = [
    "egru-1350",
    "egru-2000",
    "selfish-lstm",
    "selfish-rhn",
    "selfish-onlstm",
    "iss-lstm",
    "lstm-pruned",
    "selfish-small",
    "small",
]


def chosen(preset, arguments):
    """Returns the preset with the changes that the arguments request."""
    changes = {name: getattr(arguments, name) for name in ("cell", "embedding", "epochs", "rate", "sparsity", "method")}
    changes["units"] = tuple(arguments.units) if arguments.units else None
    if arguments.quick:
        changes |= {"units": (20,) * len(preset.units), "embedding": 20, "epochs": 2, "batch": 4}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes.get("method") == "dense":
        changes |= {"method": None, "sparsity": 0.0}
    elif changes.get("sparsity") and not preset.method:
        changes.setdefault("method", "magnitude")
    if changes.get("cell", preset.cell) != preset.cell:
        changes |= {"cell_options": {}, "last_cell_options": {}}
    return dataclasses.replace(preset, **changes)


if __name__ == "__main__":
    main()
