"""The C sources of the core that a model needs."""

import re
from functools import cache
from pathlib import Path

import numpy as np

from keras_sparse_rnn.formats import FLOAT32, INT8X16

_INCLUDE = re.compile(r'^ *#include "([^"]+)"', re.MULTILINE)
_SOURCES = re.compile(r"^/\* Sources: (.*) \*/$", re.MULTILINE)
_BODY = re.compile(r"^#define (ksr_\w+) ksr_\w+ +/\* (.*) \*/$", re.MULTILINE)


@cache
def source_folder():
    """The folder `tflite/` with the C sources: beside the package in a checkout, inside it where it is installed.

    Raises:
        RuntimeError: There is none.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "tflite_sources", package.parent / "tflite"):
        if (folder / "kernels").is_dir():
            return folder
    raise RuntimeError(f"The C sources of keras-sparse-rnn are missing from {package}; install the package again.")


# Those besides int8 by the endings of their kernels, with the switches that build them.
FORMATS = {number_format.kernel: number_format.switch for number_format in (FLOAT32, INT8X16)}


def formats_of(dtypes):
    """Those of `FORMATS` that tensors of the given dtypes need."""
    kinds = {np.dtype(dtype) for dtype in dtypes}
    return tuple(f.kernel for f in (FLOAT32, INT8X16) if f.activations in kinds)


def files_of(roots, formats):
    """The paths of the C files `roots` and of all that they include or call into.

    What a header declares is in the files that it lists, `/* Sources: gru_i8.c KSR_WITH_INT16:gru_i16.c */`, the latter
    where the number format with that switch is one of `formats`. The bodies of a target are in the files that its
    header lists beside each (`tflite/kernels/target.h`), and come with those who call them.
    """
    switches = [FORMATS[ending] for ending in formats]
    found, paths = {}, [_path(name) for name in roots]
    while paths:
        path = paths.pop()
        if path in found or path.name == "ksr_build.h":  # a project has its own
            continue
        found[path] = text = path.read_text()
        paths += [_path(name, path.parent) for name in _INCLUDE.findall(text)]
        for listed in " ".join(_SOURCES.findall(text)).split():
            switch, _, name = listed.rpartition(":")
            paths += [_path(name)] if not switch or switch in switches else []
        paths += [_path(name) for body, names in _bodies().items() if re.search(rf"\b{body}\(", text) for name in names]
    return sorted(found)


def _path(name, folder=None):
    """Where a file of the core lies that is named relative to the folder of one that includes it, or to its own."""
    folders = (folder, *(source_folder() / part for part in ("include", "kernels")))
    return next(path for path in (folder / name for folder in folders if folder) if path.exists()).resolve()


@cache
def _bodies():
    """The files that hold a kernel's bodies for all targets, by the kernel's name."""
    bodies = {}
    for path in (source_folder() / "kernels").glob("*/*.h"):
        for name, files in _BODY.findall(path.read_text()):
            bodies.setdefault(name, set()).update(files.split())
    return bodies
