"""Compiles C and caches the objects for the life of the process, as models share most of their sources."""

import hashlib
import subprocess
import tempfile
from functools import cache
from pathlib import Path


def compile_sources(compiler, sources, includes):
    """Returns the object files of C sources.

    Args:
        compiler: The command with its options, a tuple of strings.
        sources: Paths; no two files have the same name.
        includes: Folders with headers. A change in any of their headers invalidates the cache.

    Returns:
        A list of paths, in the order of the sources. The files exist until the process ends.

    Raises:
        RuntimeError: The compiler fails.
    """
    headers = hashlib.sha256()
    for folder in includes:
        for path in sorted(Path(folder).glob("*.h")):
            headers.update(path.name.encode() + path.read_bytes())
    objects = {}
    for source in map(Path, sources):
        key = hashlib.sha256(repr(compiler).encode() + headers.digest() + source.read_bytes()).hexdigest()
        objects[source] = kept_folder() / f"{source.stem}-{key[:16]}.o"
    missing = [source for source, path in objects.items() if not path.exists()]
    if missing:
        with tempfile.TemporaryDirectory(dir=kept_folder()) as folder:
            options = ("-c", *(f"-I{Path(include).resolve()}" for include in includes))
            call(*compiler, *options, *(source.resolve() for source in missing), folder=folder)
            for source in missing:
                Path(folder, f"{source.stem}.o").rename(objects[source])
    return list(objects.values())


def call(*command, folder=None):
    """Runs a program; returns its standard output and its standard error.

    Raises:
        RuntimeError: Its status is not 0; the message ends with its last lines.
    """
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, cwd=folder)
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"{Path(str(command[0])).name} failed with status {done.returncode}:\n{output}")
    return done.stdout, done.stderr


def kept_folder():
    """A folder that is removed when the process ends."""
    return Path(_kept().name)


@cache
def _kept():
    return tempfile.TemporaryDirectory(prefix="keras_sparse_rnn_")
