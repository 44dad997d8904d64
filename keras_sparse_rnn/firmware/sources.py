"""The C sources of the core that a model needs."""

import re
from functools import cache
from pathlib import Path

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


def files_of(roots, float32):
    """The C files `roots` and all that they include or call into, as a dict from file names to paths.

    A header `name.h`, `ksr_name.h` or `name_steps.h` brings `name.c` and its bodies for a number format or a processor
    of a microcontroller, `name_i8.c`, `name_dsp.c`, `name_helium.c`, `name_x86.c` (for tests on
    a computer) and, with `float32`, `name_f32.c`.
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
        open_names += [include for include in includes if float32 or not include.endswith("_f32.h")]
        if name.endswith(".h"):
            stem = name.removesuffix(".h").removeprefix("ksr_")
            loops = stem.removesuffix("_steps")
            if name == "add_events.h":
                open_names += ["add_dense_dsp.c", "add_dense_helium.c"]
            endings = ("_i8", "_dsp", "_helium", "_x86", *(("_f32",) if float32 else ()))
            open_names += [f"{stem}.c", *(f"{loops}{ending}.c" for ending in endings)]
    return dict(sorted(found.items()))
