"""Writes files completely or not at all."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

# Suffixes that say what a file holds. Such a file is not overwritten with other contents.
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
    """Raises an error if no file can be written to `path`. Called before the work whose result goes there.

    Args:
        path: Path of the file.
        suffixes: The usual suffixes of such a file. Others are allowed, except those of other kinds of files.
        inputs: Input files, which must not be overwritten; None is ignored.

    Raises:
        ValueError: `path` is one of the inputs, or has the suffix of another kind of file.
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
    """Raises OSError if no files can be written into `folder`, which need not exist. Called before the work.

    The folder is not created, and its contents are not changed.
    """
    folder = Path(folder).absolute()
    existing = next(part for part in (folder, *folder.parents) if os.path.lexists(part))
    if not existing.is_dir():
        raise NotADirectoryError(f"folder must be a folder or not exist yet; '{existing}' is a file.")
    _try_to_write(existing)


def _try_to_write(folder):
    # Permissions are not enough: root has all of them and still cannot create a file in /proc or on a read-only disk.
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise type(error)(f"the folder '{folder}' cannot be written to: {error.strerror}.") from error


def write_file(path: str | os.PathLike[str], data: bytes, suffixes: Sequence[str] = ()) -> None:
    """Writes bytes to a file. An existing file is replaced atomically or not at all.

    Args:
        path: Path of the file; its folder must exist.
        data: The bytes.
        suffixes: As in `check_path`.

    Raises:
        ValueError: The suffix of `path` is that of another kind of file.
        OSError: The file cannot be written, for example because the folder does not exist.
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
