"""The loops for this processor give the same bits as those in plain C, and by another compiler."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
from random_models import KINDS, random_op

from keras_sparse_rnn.firmware.sources import source_folder
from keras_sparse_rnn.runtime import native


@pytest.fixture(
    scope="module",
    params=[("gcc", "-O1", "-DKSR_PORTABLE"), pytest.param(("clang", "-O2"), marks=pytest.mark.slow)],
    ids=" ".join,
)
def other_core(request, tmp_path_factory):
    compiler, *options = request.param
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} not installed")
    path, folder = tmp_path_factory.mktemp("core") / "core.so", source_folder()
    sources = sorted(path for part in ("kernels", "adapters") for path in (folder / part).rglob("*.c"))
    strict = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
    library = ("-shared", "-fPIC", "-Wl,-Bsymbolic", f"-I{folder}/include", f"-I{folder}/kernels")
    subprocess.run([compiler, *options, *strict, *library, *sources, "-o", path, "-lm"], check=True)
    library = ctypes.CDLL(str(path))
    for name in ("ksr_find_op", "ksr_status_text"):
        theirs, ours = getattr(library, name), getattr(native.load_library(), name)
        theirs.restype, theirs.argtypes = ours.restype, ours.argtypes
    return library


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits(kind, dtype, other_core, monkeypatch):
    for seed in range(8):
        op = random_op(seed, kind=kind, dtype=dtype)

        def run(op=op):
            made = native.NativeOp(
                op.op.SCHEMA.name, op.op.options.to_bytes(), op.inputs(), [(op.output_shape, op.x.dtype)]
            )
            return made(op.inputs())[0]

        here = run()
        with monkeypatch.context() as patch:
            patch.setattr(native, "load_library", lambda: other_core)
            np.testing.assert_array_equal(here, run(), op.label)
        assert np.isfinite(here).all()
