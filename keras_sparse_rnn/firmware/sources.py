"""The C sources of the core that a model needs."""

import re
from functools import cache
from pathlib import Path

import numpy as np

from keras_sparse_rnn.formats import FLOAT32, INT8X16

_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


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
    """The C files `roots` and all that they include or call into, as a dict from file names to paths.

    A header `name.h`, `ksr_name.h` or `name_steps.h` brings `name.c` and its bodies for a number format or a processor
    of a microcontroller, `name_i8.c`, `name_dsp.c`, `name_helium.c`, `name_thumb.c`, `name_x86.c` (for
    tests on a computer) and `name_f32.c` or `name_i16.c` where `formats` names them.
    """
    folder = source_folder()
    places = {path.name: path for part in ("include", "kernels") for path in sorted((folder / part).rglob("*.[ch]"))}
    found, open_names = {}, list(roots)
    while open_names:
        name = open_names.pop()
        if name in found or name not in places or name == "ksr_build.h":  # a project has its own
            continue
        found[name] = places[name]
        includes = _INCLUDE.findall(found[name].read_text())
        left_out = tuple(f"_{ending}.h" for ending in FORMATS if ending not in formats)
        open_names += [include for include in includes if not include.endswith(left_out)]
        if name.endswith(".h"):
            stem = name.removesuffix(".h").removeprefix("ksr_")
            loops = stem.removesuffix("_steps")
            if name == "ksr_matrix.h":
                open_names.append("add_events.h")
            if name == "add_events.h":
                open_names += ["add_dense_dsp.c", "add_dense_helium.c"]
            endings = ("_i8", "_dsp", "_helium", "_thumb", "_x86", *(f"_{ending}" for ending in formats))
            open_names += [f"{stem}.c", *(f"{loops}{ending}.c" for ending in endings)]
    return dict(sorted(found.items()))
