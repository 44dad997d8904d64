"""The adapter and the generated projects against a source tree of TensorFlow Lite Micro.

TFLM_DIR names the tree, with what its Makefile downloads (flatbuffers, gemmlowp and ruy) in its place; TFLM_LIBRARY a
libtensorflow-microlite.a built from it for this computer.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from adapter_models import between_dense_layers
from ai_edge_litert import schema_py_generated as schema
from random_models import random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware import FRAMEWORKS, save_firmware
from keras_sparse_rnn.firmware.sources import source_folder
from keras_sparse_rnn.runtime import tflm_ops
from keras_sparse_rnn.runtime.model import Model

TREE, LIBRARY = (os.environ.get(name) for name in ("TFLM_DIR", "TFLM_LIBRARY"))
RESOLVER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
needs_tree = pytest.mark.skipif(
    not (TREE and shutil.which("g++")), reason="TFLM_DIR does not name a source tree of tflite-micro, or no g++"
)
needs_library = pytest.mark.skipif(
    not (TREE and LIBRARY and shutil.which("cmake")), reason="TFLM_DIR and TFLM_LIBRARY do not name a built TFLM"
)
WITH_TFLM = [name for name, framework in FRAMEWORKS.items() if framework.has_interpreter]


def _includes(*folders):
    downloads = Path(TREE or ".") / "tensorflow/lite/micro/tools/make/downloads"
    theirs = (TREE, downloads / "flatbuffers/include", downloads / "gemmlowp", downloads / "ruy")
    return [f"-I{folder}" for folder in folders], [f"-isystem{folder}" for folder in theirs]


def _recorded_methods():
    """`{method: op}` of the header that the table was read from."""
    lines = (Path(__file__).parent / "micro_mutable_op_resolver.txt").read_text().splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))


def _methods_of(header):
    """`{method: op}` of a header, custom ops in quotes."""
    functions = re.findall(r"TfLiteStatus (Add\w+)\([^{]*\{(.*?)\n  \}", header, re.S)
    found = {}
    for method, body in functions:
        op = re.search(r'AddBuiltin\(\s*BuiltinOperator_(\w+)|AddCustom\(\s*("[^"]+")', body)
        if op:
            found[method] = op[1] or op[2]
    return found


def _table():
    custom = {method: f'"{op}"' for op, method in tflm_ops._CUSTOM.items() if method != "AddEthosU"}
    return custom | {method: op for op, method in tflm_ops._BUILTIN.items()}


def test_the_table_of_ops_is_that_of_the_recorded_header():
    assert _table() == _recorded_methods()
    assert set(tflm_ops._BUILTIN) <= set(vars(schema.BuiltinOperator))


@needs_tree
def test_the_table_of_ops_is_that_of_this_tree():
    assert _table() == _methods_of((Path(TREE) / RESOLVER).read_text())


@needs_tree
def test_the_adapter_fits_the_headers(tmp_path):
    use = tmp_path / "use.cc"
    use.write_text(
        '#include "ksr_tflm_all.h"\n'
        f'#include "{RESOLVER}"\n'
        "TfLiteStatus Use(tflite::MicroMutableOpResolver<5>& resolver) { return ksr::AddAllOps(resolver); }\n"
    )
    folder = source_folder()
    ours, theirs = _includes(folder / "include", folder / "adapters/tflm")
    for source in (folder / "adapters/tflm/ksr_tflm.cc", use):
        strict = ("-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror")
        subprocess.run(["g++", *strict, *ours, *theirs, source], check=True)


@needs_tree
@pytest.mark.parametrize("framework", WITH_TFLM)
def test_each_project_fits_the_headers(framework, tmp_path):
    models = {"string": between_dense_layers(all_outputs=False), "gru": _two_inputs_and_outputs()}
    save_firmware(models, tmp_path / "new", framework)
    _, theirs = _includes()
    sources = [path for path in (tmp_path / "new").rglob("*.c*") if path.suffix in (".cc", ".cpp")]
    assert len(sources) >= 5
    strict = ("-fsyntax-only", "-Wall", "-Wextra", "-Werror")
    cpp = ("-std=c++17", "-fno-rtti", "-fno-exceptions", "-DTF_LITE_STATIC_MEMORY", *theirs)
    subprocess.run(["g++", *strict, *cpp, *sources], check=True)
    headers = [path for path in (tmp_path / "new").rglob("*.h") if path.name != "ksr_tflm.h"]
    c_sources = [path for path in (tmp_path / "new").rglob("*.c")]
    subprocess.run(["gcc", "-std=c99", *strict, *c_sources, *headers], check=True)


def _two_inputs_and_outputs():
    """A GRU of int8 and one of float32 side by side; their inputs have names that are one in C."""
    writer, ends = ModelWriter(), ({}, {})
    for name, op in (("mi*/c", random_op(11, kind="KsrGru")), ("mi:c", random_op(11, np.float32, kind="KsrGru"))):
        scales = [(1 / 64, 4), (1, -5)] if op.op.is_integer else [None, None]
        x = writer.add_tensor(name, (1, *op.x.shape), op.x.dtype, scale=scales[0])
        y = writer.add_tensor(name, op.output_shape, op.x.dtype, scale=scales[1])
        writer.add_recurrent(name, op.op, op.constants, x, y)
        ends[0][name], ends[1][f"{name} out"] = x, y
    return writer.finish(*ends)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc not installed")
def test_the_header_tells_every_input_and_output(tmp_path):
    model = Model(_two_inputs_and_outputs())
    save_firmware({"Zwei": model}, tmp_path / "new", "tflm-cmake")
    use = tmp_path / "use.c"
    use.write_text("""
        #include <stdio.h>
        #include "new/zwei_model.h"
        int8_t in_0[1]; float in_1[1]; const int8_t out_0[1]; const float out_1[1];
        int8_t *zwei_model_input_0(void) { return in_0; }
        float *zwei_model_input_1(void) { return in_1; }
        const int8_t *zwei_model_output_0(void) { return out_0; }
        const float *zwei_model_output_1(void) { return out_1; }
        int main(void) {
          printf("%d %.9g %d ", ZWEI_MODEL_INPUT_0_SIZE, ZWEI_MODEL_INPUT_0_SCALE, ZWEI_MODEL_INPUT_0_ZERO_POINT);
          printf("%d ", ZWEI_MODEL_INPUT_1_SIZE);
          printf("%d %.9g %d ", ZWEI_MODEL_OUTPUT_0_SIZE, ZWEI_MODEL_OUTPUT_0_SCALE, ZWEI_MODEL_OUTPUT_0_ZERO_POINT);
          printf("%d ", ZWEI_MODEL_OUTPUT_1_SIZE);
          return zwei_model_input_mi_c() != in_0 || zwei_model_input_mi_c_2() != in_1 ||
                 zwei_model_output_mi_c_out() != out_0 || zwei_model_output_mi_c_out_2() != out_1;
        }
    """)
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", use, "-o", tmp_path / "use"], check=True)
    told = iter(subprocess.run([tmp_path / "use"], check=True, capture_output=True, text=True).stdout.split())
    for tensor in (*model.inputs, *model.outputs):
        assert int(next(told)) == np.prod(tensor.shape)
        if tensor.scale is not None:
            assert (np.float32(next(told)), int(next(told))) == (tensor.scale, tensor.zero_point)


@needs_library
def test_the_cmake_project_runs_and_says_what_an_arena_lacks(tmp_path):
    model = Model(_two_inputs_and_outputs())
    save_firmware(model, tmp_path / "new", "tflm-cmake", "net")
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-100, 100, tensor.shape).astype(tensor.dtype) for tensor in model.inputs]
    main = tmp_path / "new" / "main.cc"
    fill = ""
    for i, x in enumerate(inputs):
        fill += f"const float x_{i}[] = {{{', '.join(map(str, x.ravel()))}}};\n"
        fill += f"for (int i = 0; i < NET_MODEL_INPUT_{i}_SIZE; ++i) net_model_input_{i}()[i] = x_{i}[i];\n"
    main.write_text(main.read_text().replace("if (!net_model_invoke", f"{fill}if (!net_model_invoke"))
    whole, real = (y.ravel() for y in runtime.load(model, "reference").invoke(inputs))
    printed = [float(n) for n in _build_and_run(tmp_path).stdout.split()]
    np.testing.assert_array_equal(printed[: len(whole)], whole)
    np.testing.assert_allclose(printed[len(whole) :], real, rtol=1e-4, atol=1e-5)

    runner = tmp_path / "new" / "net_model.cc"
    arena = int(runner.read_text().split("uint8_t arena[")[1].split("]")[0])
    runner.write_text(runner.read_text().replace(f"arena[{arena}]", f"arena[{arena // 32 * 16}]"))
    failed = _build_and_run(tmp_path)
    assert failed.returncode == 1
    assert f"net_model cannot be loaded into an arena of {arena // 32 * 16} bytes" in failed.stdout + failed.stderr
    assert f"it needs {arena} bytes" in failed.stdout + failed.stderr


def _build_and_run(folder):
    options = (f"-DTFLM_DIR={TREE}", f"-DTFLM_LIBRARY={LIBRARY}")
    subprocess.run(["cmake", "-S", folder / "new", "-B", folder / "build", *options], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", folder / "build"], check=True, capture_output=True)
    return subprocess.run([folder / "build" / "firmware"], capture_output=True, text=True)
