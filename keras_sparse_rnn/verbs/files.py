"""The files that verbs read and write: models and arrays."""

from pathlib import Path

from keras_sparse_rnn.files import check_path

KINDS = (".keras", ".h5", ".tflite")


def check_out(path, suffixes, *inputs):
    """Checks, before any work, that the output can be written, has an allowed suffix and is not an input.

    Raises:
        ValueError: The output has another suffix, or is one of the inputs.
        OSError: The output cannot be written.
    """
    check_path(path, suffixes, inputs)
    if Path(path).suffix.lower() not in suffixes:
        raise ValueError(f"the output must be a file {' or '.join(suffixes)}; given: '{path}'.")


def is_keras(path):
    """Whether the name of a model's file is that of a Keras file.

    Raises:
        ValueError: It is neither that of a Keras file nor of a `.tflite` file.
        FileNotFoundError: There is no such file.
    """
    suffix = Path(path).suffix
    if suffix not in KINDS:
        raise ValueError(f"MODEL must be a file {', '.join(KINDS)}; given: '{path}'.")
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file '{path}'.")
    return suffix != ".tflite"


def check_no_data(path, data):
    """Raises ValueError if data are given for a `.tflite` file, which needs none."""
    if data is not None and not is_keras(path):
        raise ValueError("--data is for a Keras model. Leave it out for a .tflite file.")


def load_keras(path):
    """Loads the Keras model in a file, with this package's classes registered.

    Raises:
        ValueError: The file is not a Keras model, or it is damaged.
    """
    import zipfile

    import keras

    from keras_sparse_rnn import initializers, layers, regularizers, schedules  # noqa: F401

    if Path(path).suffix == ".keras" and not zipfile.is_zipfile(path):  # which Keras takes for a missing one
        raise ValueError(f"'{path}' is not a .keras file, or only a part of one: save the model again.")
    return keras.models.load_model(path, compile=False)


def load_tflite(path, data=None):
    """Returns the bytes of a `.tflite` file, or the `ConvertedModel` of a Keras model: int8 with data, otherwise
    float32."""
    if not is_keras(path):
        from keras_sparse_rnn.tflite_file import read_bytes

        return read_bytes(path)
    from keras_sparse_rnn.convert import convert

    return convert(load_keras(path), data, weights="float32" if data is None else "int8")


def load_arrays(path):
    """Reads inputs of a model: the array in a `.npy` file, or a dict of the arrays in an `.npz` file.

    Raises:
        ValueError: The file does not hold such arrays.
        FileNotFoundError: There is no such file.
    """
    import zipfile
    import zlib

    import numpy as np

    try:
        loaded = np.load(path)
        return loaded if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, EOFError, RecursionError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"'{path}' is not a .npy or .npz file of numbers: {error}") from error
