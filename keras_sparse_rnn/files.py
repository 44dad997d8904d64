"""Writing files: whole, or not at all."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

# Suffixes that say what a file holds. Such a file is not overwritten with something else.
# fmt: off
KNOWN = frozenset((
    ".c", ".cc", ".cpp", ".csv", ".gz", ".h", ".h5", ".hdf5", ".html", ".ini", ".ipynb", ".jpg", ".json",
    ".keras", ".md", ".npy", ".npz", ".onnx", ".pb", ".pdf", ".pkl", ".png", ".pt", ".pth", ".py", ".safetensors",
    ".svg", ".tflite", ".toml", ".txt", ".wav", ".yaml", ".yml", ".zip",
))
# fmt: on


def check_path(
    path: str | os.PathLike[str], suffixes: Sequence[str] = (), inputs: Iterable[str | os.PathLike[str] | None] = ()
) -> None:
    """Raises where no file can be written to `path`, before the work whose result is to go there.

    Args:
        path: Path of the file.
        suffixes: Those of such a file. A path may have another one, unless it is that of another kind of file.
        inputs: Files that are read, which it must not overwrite; None is left out.

    Raises:
        ValueError: It is one of the inputs, or its suffix is that of another kind of file.
        OSError: It cannot be written.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() in KNOWN - set(suffixes):
        raise ValueError(f"the output must be a file {' or '.join(suffixes)}; given: '{path}'.")
    for read in inputs:
        if read is not None and os.path.realpath(read) == os.path.realpath(path):
            raise ValueError(f"the output '{path}' would overwrite the input '{read}': give another file to write.")
    if path.is_dir():
        raise IsADirectoryError(f"path must name a file; given: the folder '{path}'.")
    if not path.parent.is_dir():
        what = "is no folder" if path.parent.exists() else "does not exist"
        raise FileNotFoundError(f"path must lie in an existing folder; '{path.parent}' {what} (given: '{path}').")
    _try_to_write(path.parent)


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Raises OSError where no files can be written into `folder`, which need not exist: before the work.

    It is not made, and what lies in it stays.
    """
    folder = Path(folder).absolute()
    existing = next(part for part in (folder, *folder.parents) if os.path.lexists(part))
    if not existing.is_dir():
        raise NotADirectoryError(f"folder must be a folder, or be to be made; '{existing}' is a file.")
    _try_to_write(existing)


def _try_to_write(folder):
    # Permissions do not tell: root has all of them, and still makes no file in /proc or on a read-only disk.
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise type(error)(f"the folder '{folder}' cannot be written to: {error.strerror}.") from error


def write_file(path: str | os.PathLike[str], data: bytes, suffixes: Sequence[str] = ()) -> None:
    """Writes bytes to a file; an existing one is replaced at once or not at all.

    Args:
        path: Where to; its folder must exist.
        data: The bytes.
        suffixes: As in `check_path`.

    Raises:
        ValueError: The suffix of `path` is that of another kind of file.
        OSError: It cannot be written, as the folder does not exist.
    """
    path = Path(path)
    check_path(path, suffixes)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
