"""The C core in a project: its files side by side in a folder `ksr/`."""

import re

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.firmware.rendering import render
from keras_sparse_rnn.firmware.sources import FEATURES, files_of, source_folder

FOLDER = "ksr"
CORE_SYMBOL = "ksr_core_" + re.sub(r"\W", "_", __version__)
_INCLUDE = re.compile(r'(?<=^#include ")[^"]+(?=")', re.MULTILINE)
_ROOTS = ("kernels", "include", "adapters/tflm")


def core_files(headers, features, adapter=None, small=False):
    """Returns the files that models need.

    Their names begin with `ksr` and contain their folder in the core, and they include each other by these names. So
    they need no include path (Arduino's builder has none), and no two files or object files share a name.

    Args:
        headers: Names of the core's headers that the models' sources include.
        features: The optional features of the core that they need; see `sources.features_of`.
        adapter: Suffix of C++ files, with a dot, in a project that needs the adapter to TensorFlow Lite Micro.
        small: Whether they are built with KSR_SMALL, see `tflite/include/ksr_build.h`.

    Returns:
        A dict from file names to texts.
    """
    paths = files_of([*headers, "ksr.h"], features, small)
    if adapter:
        paths += [source_folder() / "adapters" / "tflm" / name for name in ("ksr_tflm.h", "ksr_tflm.cc")]
    names = {path: core_name(path) for path in paths}
    if len(set(names.values())) < len(names):
        raise RuntimeError(f"two files of the C core have one name in a project: {sorted(names.values())}.")
    texts = {name: _renamed_includes(path, names) for path, name in names.items()}
    switches = {switch: int(feature in features) for feature, switch in FEATURES.items()}
    values = {"switches": switches, "small": int(small), "version": __version__, "core_symbol": CORE_SYMBOL}
    texts["ksr_build.h"] = render("core/ksr_build.h", **values)
    return {name.replace(".cc", adapter) if adapter else name: text for name, text in texts.items()}


def core_symbols(features):
    """Symbols of a core with some `features`; a model refers to them, so that no other core is linked."""
    return ["KSR_CORE", *(f"ksr_core{FEATURES[feature].removeprefix('KSR').lower()}" for feature in features)]


def core_include(header):
    """How a model's source includes one of the core's headers, given by its name in the core."""
    (path,) = source_folder().rglob(header)
    return f"{FOLDER}/{core_name(path)}"


def core_name(path):
    """The name of a core file in a project: public headers keep theirs, `kernels/dsp/gru.c` becomes
    `ksr_kernel_dsp_gru.c`."""
    kernels = source_folder() / "kernels"
    if kernels not in path.parents:
        return path.name
    return "_".join(("ksr_kernel", *path.relative_to(kernels).parts)).replace("_portable_", "_")


def _renamed_includes(path, names):
    """Returns the text of a file with includes by their names in the project; includes that the project lacks stay."""

    def rename(found):
        candidates = (folder / found[0] for folder in (path.parent, *(source_folder() / root for root in _ROOTS)))
        return next((names[file] for file in candidates if file in names), found[0])

    return _INCLUDE.sub(rename, path.read_text())
