"""Writing files: whole, or not at all."""

import os
import tempfile
from pathlib import Path


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raises FileNotFoundError where a file cannot be written to `path` because its folder is missing."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"path must lie in an existing folder; '{folder}' does not exist (given: '{path}').")


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes bytes to a file; an existing one is replaced at once or not at all.

    Args:
        path: Where to; its folder must exist.
        data: The bytes.

    Raises:
        FileNotFoundError: The folder does not exist.
    """
    path = Path(path)
    check_folder(path)
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
