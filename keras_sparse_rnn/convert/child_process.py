"""Converts in a separate process in which Keras runs on TensorFlow."""

import importlib
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import keras

from keras_sparse_rnn.extras import check_installed


def convert_in_child(model, representative_data, representative_labels, ranges, options):
    """Runs `conversion.run` on a model of another Keras backend.

    The process receives the model as a `.keras` file, and imports the modules of the classes of its layers first.

    Args:
        model: A built Keras model.
        representative_data, representative_labels, ranges: As in `ksr.convert`.
        options: A `ConvertOptions`.

    Returns:
        The `ConvertedModel`.

    Raises:
        ImportError: TensorFlow is not installed.
        RuntimeError: The process ended without a result.
        Exception: Any exception of the conversion.
    """
    check_installed("ksr.convert", "convert", "tensorflow")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model.keras"))
        given = representative_data, representative_labels, ranges, options
        Path(folder, "arguments").write_bytes(pickle.dumps((given, _modules_of(model))))
        path = os.pathsep.join(part for part in sys.path if part)
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": path}
        command = [sys.executable, "-m", "keras_sparse_rnn.convert.child_process", folder]
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
        result = Path(folder, "result")
        if not result.exists():
            lines = "\n".join(done.stderr.splitlines()[-20:])
            raise RuntimeError(f"the conversion's own process, with TensorFlow, ended with {done.returncode}:\n{lines}")
        value, error = pickle.loads(result.read_bytes())
    if error is not None:
        raise error
    return value


def _modules_of(model):
    """Returns the modules of the classes that must be known to load the model."""
    layers = [part for part in model._flatten_layers() if isinstance(part, keras.Layer)]
    modules = {type(layer).__module__ for layer in layers}
    return sorted(name for name in modules if name.split(".")[0] != "keras" and name != "__main__")


def main(folder):
    from keras_sparse_rnn.convert.conversion import run
    from keras_sparse_rnn.progress import Progress

    (data, labels, ranges, options), modules = pickle.loads(Path(folder, "arguments").read_bytes())
    value = error = None
    try:
        for name in modules:
            importlib.import_module(name)
        model = keras.models.load_model(Path(folder, "model.keras"), compile=False)
        with Progress("convert") as progress:
            value = run(model, data, labels, ranges, options, progress)
    except Exception as raised:
        error = raised
    Path(folder, "result").write_bytes(pickle.dumps((value, error)))


if __name__ == "__main__":
    main(sys.argv[1])
