"""Measures trained models on Cortex-M cores: instructions and estimated cycles per step (-O2); flash, RAM and stack
(-Os).

    python -m keras_sparse_rnn demo --out vowels
    KSR_DATA=DIR KERAS_BACKEND=tensorflow python benchmarks/real_models.py --train digits
    python benchmarks/real_models.py vowels digits

A folder contains `.tflite` files and their inputs, `inputs.npy`: the longest sequences of the test set, so that padding
does not distort the counts. The demo writes such a folder; `--train` writes one with a pruned DeltaGRU and a dense GRU
for spoken digits, trained by `benchmarks/methods.py`. A step runs the whole model, including the layers after the
recurrent one. Every bit of the outputs is compared with the same C on this computer. "Est." is the estimate of cycles
from the cores' documented timings (`tflite/firmware/cycles.h`).
"""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from keras_sparse_rnn.firmware.bench import bench

CORES = ("m0plus", "m4", "m55")
CELLS = {"delta_gru_32_pruned": "DeltaGRU 32 | magnitude 1x4 70 %", "gru_16": "GRU 16 | dense"}
SEQUENCES = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--train", type=Path, metavar="FOLDER", help="train the nets of spoken digits into a folder")
    arguments = parser.parse_args()
    if arguments.train:
        _train(arguments.train)
    if arguments.folders:
        print("| model | data | " + " | ".join(f"{core}, est." for core in CORES) + " | flash M4 | RAM M4 | stack M4 |")
        print(f"|---|---|{'---|' * len(CORES)}---|---|---|")
    for folder in arguments.folders:
        for path in sorted(folder.glob("*.tflite")):
            print(_row(path, np.load(folder / "inputs.npy")), flush=True)


def _row(path, x):
    seen = {core: bench(path, x, core) for core in CORES}
    fast = [cost.builds["-O2"] for cost in seen.values()]
    small = seen["m4"].builds["-Os"]
    costs = [f"{cost.instructions:,.0f}, {cost.cycles_estimate:,.0f}" for cost in fast]
    sizes = [f"{size:,}" for size in (small.flash_bytes, small.ram_bytes, small.stack_bytes)]
    cells = [path.stem, path.parent.name, *costs, *sizes]
    return f"| {' | '.join(cells)} |"


def _train(folder):
    import methods

    from keras_sparse_rnn import convert

    folder.mkdir(parents=True, exist_ok=True)
    data = methods.load(20, "test")
    for name, cell in CELLS.items():
        model = methods.trained(cell, 0, SimpleNamespace(split="test", epochs=None, results=None))
        converted = convert(model, data.train.x[:: len(data.train) // 100])
        converted.save(folder / f"{name}.tflite")
        classes = converted.predict(data.test.x, engine="native").argmax(axis=1)
        figures = methods.figures(model, data) | {"int8_accuracy": float(np.mean(classes == data.test.y))}
        (folder / f"{name}.json").write_text(json.dumps(figures, indent=1))
        print(name, figures)
    longest = np.argsort(-data.test.valid.sum(axis=1), kind="stable")[:SEQUENCES]
    np.save(folder / "inputs.npy", data.test.x[longest])


if __name__ == "__main__":
    main()
