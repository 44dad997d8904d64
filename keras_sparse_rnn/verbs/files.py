"""The files that verbs take and write: models and arrays."""

from pathlib import Path

from keras_sparse_rnn.files import check_path

KINDS = (".keras", ".h5", ".tflite")


def check_out(path, suffixes, *inputs):
    """Raises, before any work, unless a file of one of these suffixes can be written that is none of the inputs.

    Raises:
        ValueError: It has another suffix, or is one of the inputs.
        OSError: It cannot be written.
    """
    check_path(path, suffixes, inputs)
    if Path(path).suffix.lower() not in suffixes:
        raise ValueError(f"the output must be a file {' or '.join(suffixes)}; given: '{path}'.")


def is_keras(path):
    """Whether a model's file is Keras's, by its name.

    Raises:
        ValueError: It is neither Keras's nor a `.tflite` file.
        FileNotFoundError: There is no such file.
    """
    suffix = Path(path).suffix
    if suffix not in KINDS:
        raise ValueError(f"MODEL must be a file {', '.join(KINDS)}; given: '{path}'.")
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file '{path}'.")
    return suffix != ".tflite"


def check_no_data(path, data):
    """Raises ValueError where there are data for a `.tflite` file, which is shown without."""
    if data is not None and not is_keras(path):
        raise ValueError("--data goes with a Keras model; a .tflite file is shown without.")


def load_keras(path):
    """The Keras model in a file, with what this package's classes need to be found by their names.

    Raises:
        ValueError: The file is no Keras model, or a damaged one.
    """
    import zipfile

    import keras

    from keras_sparse_rnn import initializers, layers, regularizers, schedules  # noqa: F401

    if Path(path).suffix == ".keras" and not zipfile.is_zipfile(path):  # which Keras takes for one that is not there
        raise ValueError(f"'{path}' is no .keras file, or only a part of one: save the model again.")
    return keras.models.load_model(path, compile=False)


def load_tflite(path, data=None):
    """The bytes of a `.tflite` file, or a Keras model's `ConvertedModel`: int8 with data, float32 without."""
    if not is_keras(path):
        from keras_sparse_rnn.tflite_file import read_bytes

        return read_bytes(path)
    from keras_sparse_rnn.convert import convert

    return convert(load_keras(path), data, weights="float32" if data is None else "int8")


def load_arrays(path):
    """What a model takes: the array in a `.npy` file, or the arrays in an `.npz` file, a dict by their names.

    Raises:
        ValueError: The file holds no such arrays.
        FileNotFoundError: There is no such file.
    """
    import zipfile
    import zlib

    import numpy as np

    try:
        loaded = np.load(path)
        return loaded if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, EOFError, RecursionError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"'{path}' is no .npy or .npz file of numbers: {error}") from error
