"""The C sources of the core that a model needs."""

import re
from functools import cache
from pathlib import Path

from keras_sparse_rnn.formats import FLOAT32, INT8X16
from keras_sparse_rnn.ops import ALL_OPS, OPS
from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS, GROUPS
from keras_sparse_rnn.ops.recurrent_schema import BY_OUTPUTS, DIAGONAL, height_of
from keras_sparse_rnn.ops.schema import BLOCKS

_INCLUDE = re.compile(r'^ *#include "([^"]+)"', re.MULTILINE)
SOURCES = re.compile(r"^/\* Sources: (.*?) \*/$", re.MULTILINE | re.DOTALL)
_BODY = re.compile(r"^#define (ksr_\w+) ksr_\w+ +/\* (.*) \*/$", re.MULTILINE)


@cache
def source_folder():
    """Returns the folder `tflite/` with the C sources: beside the package in a checkout, inside an installed package.

    Raises:
        RuntimeError: There is none.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "tflite_sources", package.parent / "tflite"):
        if (folder / "kernels").is_dir():
            return folder
    raise RuntimeError(f"The C sources of keras-sparse-rnn are missing from {package}; install the package again.")


# Features that a build may omit, with the switches of `tflite/include/ksr_build.h`: number formats other than int8, by
# the endings of their kernels; gates of recurrent layers, and the files of their activations; in integers, storage
# formats of a matrix, bits of a weight, held values, diagonals stored apart,
# several micro-layers in a step, and kernels of low rank.
FEATURES = {number_format.kernel: number_format.switch for number_format in (FLOAT32, INT8X16)}
FEATURES |= {name: f"KSR_WITH_{name.upper()}" for name in ("usual_gates", "other_gates", *GROUPS)}
_MATRICES = (*(f"blocks_{width}" for width in BLOCKS), "high_blocks", "by_sources", "by_outputs")
_OTHERS = ("weights_8", "weights_4", "holds", "diagonal", "deep", "rank")
FEATURES |= {name: f"KSR_WITH_{name.upper()}" for name in (*_MATRICES, *_OTHERS)}


def features_of(ops, tensors):
    """The `FEATURES` that the ops of a model need."""
    kinds = {tensors[op.inputs[0]].dtype for op in ops}
    needed = {number_format.kernel for number_format in (FLOAT32, INT8X16) if number_format.activations in kinds}
    for op in ops:
        if op.is_custom and op.name in OPS:
            needed |= _gates_of(OPS[op.name], OPS[op.name].SCHEMA.decode(op.options))
        if op.is_custom and op.name in ALL_OPS:
            needed |= _matrices_of(ALL_OPS[op.name], op)
    return tuple(feature for feature in FEATURES if feature in needed)


def _matrices_of(kind, op):
    schema, options = kind.SCHEMA, kind.SCHEMA.decode(op.options)
    given = set(schema.named([None if i < 0 else i for i in op.inputs]))
    in_all_formats = {"deep_kernel": "deep", "input_factor_kernel": "rank"}
    needed = {feature for name, feature in in_all_formats.items() if name in given}
    if not options.number_format.is_integer:
        return needed
    needed |= {feature for name, feature in {"input_threshold": "holds", DIAGONAL: "diagonal"}.items() if name in given}
    for matrix in schema.matrices:
        if matrix.name in given:
            needed.add(f"weights_{options.weight_bits or 8}")
        if f"{matrix.name}_rows" in given:
            is_high = height_of(options.layout, matrix.sources) > 1
            needed.add("high_blocks" if is_high else f"blocks_{options.block}")
        elif matrix.name in given:
            needed.add("by_outputs" if options.layout & BY_OUTPUTS[matrix.sources] else "by_sources")
    return needed


def _gates_of(kind, options):
    if kind.are_usual(options):
        return {"usual_gates"}
    numbers = [options.activation] + ([options.recurrent_activation] if "gate" in kind.SLOTS else [])
    groups = {ALL_ACTIVATIONS[number].group for number in numbers}
    return {"other_gates"} | (groups if options.number_format.is_integer else set())


def files_of(roots, features, small=False):
    """Returns the paths of the C files `roots` and of all files that they include or call.

    A header lists the files that define what it declares: `/* Sources: gru_i8.c KSR_WITH_INT16:gru_i16.c */`. The
    second one is needed only if `features` contain the feature with that switch; if several switches are joined by +,
    all are required. `small` sets the switch `KSR_SMALL`. The header of a target (`tflite/kernels/target.h`) lists the
    file of each implementation, which is added with its callers.
    """
    switches = {FEATURES[feature] for feature in features} | ({"KSR_SMALL"} if small else set())
    found, paths = {}, [_path(name) for name in roots]
    while paths:
        path = paths.pop()
        if path in found or path.name == "ksr_build.h":  # a project has its own
            continue
        found[path] = text = path.read_text()
        paths += [_path(name, path.parent) for name in _INCLUDE.findall(text)]
        for listed in " ".join(SOURCES.findall(text)).replace("*", "").split():
            needs, _, name = listed.rpartition(":")
            paths += [_path(name)] if set(needs.split("+")) - {""} <= switches else []
        paths += [_path(name) for body, names in _bodies().items() if re.search(rf"\b{body}\(", text) for name in names]
    return sorted(found)


def _path(name, folder=None):
    """The path of a core file, named relative to the folder of the including file or to its own."""
    folders = (folder, *(source_folder() / part for part in ("include", "kernels")))
    return next(path for path in (folder / name for folder in folders if folder) if path.exists()).resolve()


@cache
def _bodies():
    """Dict from the names of kernels to the files with their implementations for all targets."""
    bodies = {}
    for path in (source_folder() / "kernels").glob("*/*.h"):
        for name, files in _BODY.findall(path.read_text()):
            bodies.setdefault(name, set()).update(files.split())
    return bodies
