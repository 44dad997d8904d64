"""Which C files a model needs."""

import ctypes
import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from random_models import RandomOp, random_op

from keras_sparse_rnn.firmware.plain_c import BUILTIN_HEADERS
from keras_sparse_rnn.firmware.sources import FEATURES, features_of, files_of, source_folder
from keras_sparse_rnn.ops.activations import GROUPS
from keras_sparse_rnn.runtime import native
from keras_sparse_rnn.runtime.model import Model

KERNELS = source_folder() / "kernels"
OPS = ("event_gru", "frame_gate", "gru", "lstm", "on_lstm", "simple_rnn", "sparse_dense")


def test_every_source_is_listed_by_a_header():
    roots = [*BUILTIN_HEADERS, "ksr_thresholds.h", *(f"ksr_{op}.h" for op in OPS)]
    needed = {path for path in files_of(roots, tuple(FEATURES), small=True) if path.suffix == ".c"}
    assert needed == {path.resolve() for path in KERNELS.rglob("*.c")} - {(KERNELS / "ops.c").resolve()}


def test_a_function_has_one_prototype():
    """In one file of C, no two may share a name, whichever headers declare them."""
    prototypes = {}
    for path in [*KERNELS.rglob("*.h"), *(source_folder() / "include").glob("*.h")]:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        pattern = r"^(?!typedef|#| )[\w *()]*?\b(\w+)\(([^()]*)\)(?:;| \{)"
        for name, parameters in re.findall(pattern, text, re.MULTILINE):
            prototypes.setdefault(name, set()).add(" ".join(parameters.split()))
    assert {"ksr_multiply_i8", "ksr_multiply_pair_i8", "scaled"} <= set(prototypes)
    assert {name: found for name, found in prototypes.items() if len(found) > 1} == {}


@pytest.mark.parametrize("target", ["portable", "dsp", "helium", "neon", "rv32", "thumb", "x86"])
def test_a_target_says_which_bodies_its_folder_brings(target):
    header = (KERNELS / target / f"{target}.h").read_text()
    listed = {file for files in re.findall(r"/\* (\w+/.*\.c) \*/", header) for file in files.split()}
    assert listed == {f"{target}/{path.name}" for path in (KERNELS / target).glob("*.c")}
    functions = set(re.findall(r"#define ksr_\w+ (ksr_\w+)", header))
    defined = "".join(path.read_text() for path in (KERNELS / target).glob("*.c"))
    assert functions == set(
        re.findall(rf"^(?!static)(?:__attribute__\(\(naked\)\) )?[\w *]*?(ksr_\w+_{target})\(", defined, re.MULTILINE)
    ) - {
        f"ksr_add_dense_{target}",  # which the other loops over events call
        f"ksr_add_dense_4_{target}",
    }


def test_a_model_needs_nothing_of_other_ops_and_formats():
    def names(*arguments):
        return {path.relative_to(source_folder()).as_posix() for path in files_of(*arguments) if path.suffix == ".c"}

    products = {path.relative_to(source_folder()).as_posix() for path in KERNELS.glob("*/multiply*.c")}
    assert names(["ksr_layers.h"], ()) == {"kernels/layers_i8.c", "kernels/status.c"} | products
    dense = names(["ksr_sparse_dense_layer.h"], ())
    assert {"kernels/dsp/add_events.c", "kernels/dsp/add_dense.c", "kernels/portable/add_events.c"} <= dense
    assert not any(part in name for name in dense for part in ("gru", "holds", "tables", "recurrent", "f32", "i16"))
    floats = {"kernels/sparse_dense_f32.c", "kernels/matrix_f32.c"}
    assert names(["ksr_sparse_dense_layer.h"], ("f32",)) - dense == floats
    gru = names(["ksr_gru_layer.h"], ("i16",))
    assert {"kernels/gru_i8.c", "kernels/gru_i16.c", "kernels/dsp/holds.c"} <= gru
    assert not any(
        part in name
        for name in gru
        for part in ("event_gru", "lstm", "sparse_dense", "_op.c", "schema", "node", "check", "f32")
    )


def test_a_model_says_how_its_matrices_are_stored():
    def stored(sparse, layout=0, weight_bits=0, **options):
        op = random_op(8, kind="KsrGru", weight_bits=weight_bits, **options).op
        op = replace(op, options=replace(op.options, layout=layout, block=8))
        model = Model(RandomOp(op, op.constants(sparse), np.zeros((2, len(op.kernel)), op.dtype), "").to_model())
        features = set(features_of(model.operators, model.tensors))
        return features - {"i16", "f32", "usual_gates", "other_gates", *GROUPS}

    assert stored(True, holds=True) == {"blocks_8", "weights_8", "holds", "diagonal"}
    assert stored(False, holds=True) == {"by_sources", "weights_8", "holds"}
    assert stored(False, 3, holds=False) == {"by_outputs", "weights_8"}
    assert stored(False, 1, holds=False) == {"by_outputs", "by_sources", "weights_8"}
    assert stored(True, 3, holds=False) == {"blocks_8", "weights_8", "diagonal"}
    assert stored(True, 3 + 4 * 3 + 16 * 1, holds=False) == {"high_blocks", "weights_8"}
    assert stored(True, 3 + 4 * 3, holds=False) == {"blocks_8", "high_blocks", "weights_8", "diagonal"}
    assert stored(True, weight_bits=4, holds=False) == {"blocks_8", "weights_4", "diagonal"}
    assert stored(False, holds=False, dtype=np.float32) == set()


@pytest.mark.slow
def test_a_core_refuses_what_it_was_built_without(tmp_path):
    sources = [*KERNELS.glob("*.c"), *KERNELS.glob("*/*.c")]
    off = ["-DKSR_WITH_BLOCKS_8=0", "-DKSR_WITH_HIGH_BLOCKS=0", "-DKSR_WITH_BY_SOURCES=0"]
    off += ["-DKSR_WITH_HOLDS=0", "-DKSR_WITH_WEIGHTS_4=0", "-DKSR_WITH_DIAGONAL=0"]
    include = [f"-I{KERNELS}", f"-I{KERNELS.parent / 'include'}"]
    library = tmp_path / "core.so"
    shared = ["-shared", "-fPIC", "-Wl,-Bsymbolic"]  # not the functions of a core that this process has already
    subprocess.run(["gcc", "-O1", "-std=c99", *shared, *off, *include, *sources, "-o", library], check=True)
    core = ctypes.CDLL(str(library))
    for name in ("ksr_find_op", "ksr_status_text"):
        ours, theirs = getattr(native.load_library(), name), getattr(core, name)
        theirs.restype, theirs.argtypes = ours.restype, ours.argtypes

    def status(sparse, layout, block, holds, weight_bits=0, kind="KsrLstm"):
        op = random_op(8 if kind == "KsrGru" else 10, kind=kind, holds=holds, weight_bits=weight_bits).op
        op = replace(op, options=replace(op.options, layout=layout, block=block))
        random = RandomOp(op, op.constants(sparse), np.zeros((2, len(op.kernel)), op.dtype), "")
        try:
            native.NativeOp(kind, op.options.to_bytes(), random.inputs(), [(random.output_shape, random.x.dtype)])
        except ValueError as error:
            return error.status
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "load_library", lambda: core)
        assert status(True, 0, 8, False) == "NOT_BUILT"
        assert status(True, 3 + 4 * 3, 4, False) == "NOT_BUILT"
        assert status(False, 0, 4, False) == "NOT_BUILT"
        assert status(True, 0, 4, True) == "NOT_BUILT"
        assert status(True, 0, 4, False, weight_bits=4) == "NOT_BUILT"
        assert status(True, 0, 4, False, kind="KsrGru") == "NOT_BUILT"  # a diagonal apart
        assert status(True, 0, 4, False) is None
        assert status(False, 3, 8, False) is None
