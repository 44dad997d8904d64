"""Optional packages. Errors name the extra of `pip install` that brings a missing one."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager


def check_installed(purpose: str, extra: str, *packages: str) -> None:
    """Raises an error if a package is missing, without importing any.

    Args:
        purpose: What needs the packages; the subject of the message.
        extra: The extra in setup.cfg that brings them all.
        packages: Import names.

    Raises:
        ImportError: A package is not installed.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(_message(purpose, ", ".join(missing), extra))


@contextmanager
def packages_of(extra: str, purpose: str) -> Iterator[None]:
    """Context manager that names the extra if an import inside it fails.

    Args:
        extra: The extra in setup.cfg that brings all packages imported in the block.
        purpose: What needs the packages; the subject of the message.

    Raises:
        ImportError: A package is not installed, or cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "keras_sparse_rnn"):
            raise
        raise ImportError(f"{_message(purpose, package, extra)} ({error})", name=package) from error


def _message(purpose, packages, extra):
    return f'{purpose} needs {packages}: pip install "keras-sparse-rnn[{extra}]".'
