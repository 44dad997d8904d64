"""The adapter and the generated projects against a source tree of TensorFlow Lite Micro.

TFLM_DIR names the tree, with what its Makefile downloads (flatbuffers, gemmlowp and ruy) in its place; TFLM_LIBRARY a
libtensorflow-microlite.a built from it for this computer.
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from adapter_models import between_dense_layers
from random_models import random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.firmware import save_firmware
from keras_sparse_rnn.firmware.sources import source_folder
from keras_sparse_rnn.firmware.tflm_project import FRAMEWORKS
from keras_sparse_rnn.runtime.model import Model

TREE, LIBRARY = (os.environ.get(name) for name in ("TFLM_DIR", "TFLM_LIBRARY"))
needs_tree = pytest.mark.skipif(
    not (TREE and shutil.which("g++")), reason="TFLM_DIR does not name a source tree of tflite-micro, or no g++"
)
needs_library = pytest.mark.skipif(
    not (TREE and LIBRARY and shutil.which("cmake")), reason="TFLM_DIR and TFLM_LIBRARY do not name a built TFLM"
)


def _includes(*folders):
    downloads = Path(TREE or ".") / "tensorflow/lite/micro/tools/make/downloads"
    theirs = (TREE, downloads / "flatbuffers/include", downloads / "gemmlowp", downloads / "ruy")
    return [f"-I{folder}" for folder in folders], [f"-isystem{folder}" for folder in theirs]


@needs_tree
def test_the_adapter_fits_the_headers(tmp_path):
    use = tmp_path / "use.cc"
    use.write_text(
        '#include "ksr_tflm_all.h"\n'
        "struct Resolver { TfLiteStatus AddCustom(const char*, const TFLMRegistration*) { return kTfLiteOk; } };\n"
        "TfLiteStatus Use(Resolver& resolver) { return ksr::AddAllOps(resolver); }\n"
    )
    folder = source_folder()
    ours, theirs = _includes(folder / "include", folder / "adapters/tflm")
    for source in (folder / "adapters/tflm/ksr_tflm.cc", use):
        strict = ("-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror")
        subprocess.run(["g++", *strict, *ours, *theirs, source], check=True)


@needs_tree
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_project_fits_the_headers(framework, tmp_path):
    save_firmware(between_dense_layers(all_outputs=False), tmp_path / "new", framework, "net")
    ours, theirs = _includes(*{path.parent for path in (tmp_path / "new").rglob("*.h")})
    define = "-DTF_LITE_STATIC_MEMORY"
    sources = [path for path in (tmp_path / "new").rglob("*.c*") if path.suffix in (".cc", ".cpp")]
    assert len(sources) >= 3
    strict = ("-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", define)
    subprocess.run(["g++", *strict, *ours, *theirs, *sources], check=True)
    c_sources = [path for path in (tmp_path / "new").rglob("*.c")]
    subprocess.run(["gcc", "-std=c99", "-fsyntax-only", "-Wall", "-Werror", *ours, *c_sources], check=True)


@needs_library
def test_the_cmake_project_runs_and_says_what_an_arena_lacks(tmp_path):
    model = Model(random_op(8).to_model())
    save_firmware(model, tmp_path / "new", "tflm-cmake", "net")
    x = np.random.default_rng(0).integers(-128, 128, model.inputs[0].shape).astype(np.int8)
    (expected,) = runtime.load(model, "reference").invoke([x])
    main = tmp_path / "new" / "main.cc"
    array = f"const signed char x[] = {{{', '.join(map(str, x.ravel()))}}};"
    fill = f"{array}\n  for (int i = 0; i < {x.size}; ++i) net_input()[i] = x[i];\n  if (!net_invoke"
    main.write_text(main.read_text().replace("if (!net_invoke", fill))
    assert [int(n) for n in _build_and_run(tmp_path).stdout.split()] == expected.ravel().tolist()

    runner = tmp_path / "new" / "net.cc"
    arena = int(runner.read_text().split("uint8_t arena[")[1].split("]")[0])
    runner.write_text(runner.read_text().replace(f"arena[{arena}]", f"arena[{arena // 32 * 16}]"))
    failed = _build_and_run(tmp_path)
    assert failed.returncode == 1
    assert f"net cannot be loaded into an arena of {arena // 32 * 16} bytes" in failed.stdout + failed.stderr
    assert f"it needs {arena} bytes" in failed.stdout + failed.stderr


def _build_and_run(folder):
    options = (f"-DTFLM_DIR={TREE}", f"-DTFLM_LIBRARY={LIBRARY}")
    subprocess.run(["cmake", "-S", folder / "new", "-B", folder / "build", *options], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", folder / "build"], check=True, capture_output=True)
    return subprocess.run([folder / "build" / "net"], capture_output=True, text=True)
