"""`keras-sparse-rnn demo`: train, prune, convert and run a sparse network, and compare it with dense ones."""

import dataclasses
import shlex
import sys
import time
from pathlib import Path

import numpy as np

from keras_sparse_rnn.extras import check_installed
from keras_sparse_rnn.files import check_folder

# Packages of the extra `demo` that each data set needs.
PACKAGES = {
    "japanese-vowels": ("aeon", "matplotlib", "rich", "tensorflow", "tflite_micro"),
    "fsdd": ("matplotlib", "rich", "tensorflow", "tflite_micro"),
}
_INPUTS = 4


def run(data, out, quick=False):
    """Runs the whole demo, prints its table and writes its files.

    Args:
        data: `"japanese-vowels"` or `"fsdd"`.
        out: Folder for table.md, results.json, picture.png, event_gru.keras, a `.tflite` file for each net, and
            inputs.npy with the longest test sequences for `keras-sparse-rnn bench`. It is created if it does not exist.
        quick: Whether to train for only a few epochs, to check that everything works.

    Raises:
        ImportError: A package of the extra `demo` is missing.
        RuntimeError: The Keras backend is not TensorFlow, or the C core is missing.
        ValueError, OSError: The data are missing, or `out` cannot be written to.
    """
    _check(data)
    from rich.console import Console

    from keras_sparse_rnn.demo import contest, picture, table
    from keras_sparse_rnn.demo.progress import Display
    from keras_sparse_rnn.experiments.data import load
    from keras_sparse_rnn.experiments.training import RECIPES

    start = time.monotonic()
    loaded, recipe = load(data), RECIPES[data]
    out = Path(out)
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    if quick:
        recipe = dataclasses.replace(recipe, epochs=4, seeds=recipe.seeds[:1], smaller=recipe.smaller[:1])
    with Display() as display:
        nets = contest.hold(loaded, recipe, display)
        with display.task("picture"):
            picture.draw(nets, loaded, recipe, out / "picture.png", quick)
    nets.event.model.save(out / "event_gru.keras")
    for net in nets.shown:
        net.runs[0].converted.save(out / f"{net.file_name}.tflite")
    longest = np.argsort(-loaded.test.valid.sum(axis=1), kind="stable")[:_INPUTS]  # padding costs less than a signal
    np.save(out / "inputs.npy", loaded.test.x[longest])
    report = table.Table(nets, loaded, recipe, quick)
    (out / "table.md").write_text(report.markdown())
    (out / "results.json").write_text(report.json())
    report.show(Console(highlight=False))
    print(f"\n{time.monotonic() - start:.0f} s. Files in {out}: " + ", ".join(sorted(p.name for p in out.iterdir())))
    print("\n".join(["", "What to do next:", *next_commands(out)]))


def next_commands(out):
    """Returns a list of commands, one per line, for the files that a demo has written to the folder `out`."""
    program = f"{Path(sys.executable).name} -m keras_sparse_rnn"
    model, inputs = shlex.quote(str(out / "event_gru_128_pruned.tflite")), shlex.quote(str(out / "inputs.npy"))
    return [
        f"  {program} report {model} --data {inputs} -o {shlex.quote(str(out / 'report.html'))}",
        f"  {program} bench {model} --inputs {inputs} --cpu m4",
        f"  {program} firmware {model} --data {inputs} --out {shlex.quote(str(out / 'board'))}",
    ]


def _check(data):
    """Raises an error if something is missing, before minutes of training."""
    check_installed("the demo", "demo", *PACKAGES[data])
    import keras

    from keras_sparse_rnn.runtime.native import library_path

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"the demo converts its network, which needs the Keras backend tensorflow; this process runs "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow."
        )
    library_path()
