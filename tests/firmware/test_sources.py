"""Which C files a model needs."""

import re

import pytest

from keras_sparse_rnn.firmware.sources import FEATURES, files_of, source_folder

KERNELS = source_folder() / "kernels"
OPS = ("event_gru", "gru", "lstm", "simple_rnn", "sparse_dense")


def test_every_source_is_listed_by_a_header():
    roots = ["ksr_layers.h", "ksr_elementwise.h", "ksr_quantize.h", *(f"ksr_{op}.h" for op in OPS)]
    needed = {path for path in files_of(roots, tuple(FEATURES)) if path.suffix == ".c"}
    assert needed == {path.resolve() for path in KERNELS.rglob("*.c")} - {(KERNELS / "ops.c").resolve()}


@pytest.mark.parametrize("target", ["portable", "dsp", "helium", "thumb", "x86"])
def test_a_target_says_which_bodies_its_folder_brings(target):
    header = (KERNELS / target / f"{target}.h").read_text()
    listed = {file for files in re.findall(r"/\* (\w+/.*\.c) \*/", header) for file in files.split()}
    assert listed == {f"{target}/{path.name}" for path in (KERNELS / target).glob("*.c")}
    functions = set(re.findall(r"#define ksr_\w+ (ksr_\w+)", header))
    defined = "".join(path.read_text() for path in (KERNELS / target).glob("*.c"))
    assert functions == set(re.findall(rf"^(?!static)[\w *]*?(ksr_\w+_{target})\(", defined, re.MULTILINE)) - {
        f"ksr_add_dense_{target}"  # which the other loops over events call
    }


def test_a_model_needs_nothing_of_other_ops_and_formats():
    def names(*arguments):
        return {path.relative_to(source_folder()).as_posix() for path in files_of(*arguments) if path.suffix == ".c"}

    assert names(["ksr_layers.h"], ()) == {"kernels/layers_i8.c"}
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
