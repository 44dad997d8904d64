"""Writing files: whole, or not at all."""

import os
import tempfile
from pathlib import Path


def check_path(path: str | os.PathLike[str]) -> None:
    """Raises OSError where no file can be written to `path`, before the work whose result is to go there."""
    path = Path(path)
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


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes bytes to a file; an existing one is replaced at once or not at all.

    Args:
        path: Where to; its folder must exist.
        data: The bytes.

    Raises:
        OSError: It cannot be written, as the folder does not exist.
    """
    path = Path(path)
    check_path(path)
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
