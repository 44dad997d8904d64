"""The package as a whole: who imports whom, what an import brings, what is built, with and without a compiler."""

import ast
import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import setuptools

import keras_sparse_rnn as ksr
from keras_sparse_rnn.runtime import native

ROOT = Path(__file__).parents[1]

# The data go layers -> fit with callbacks -> convert -> runtime, firmware; imports do not go back.
NEVER_IMPORTS = {
    "layers": {"callbacks", "profiling", "convert", "quantization", "runtime", "firmware"},
    "sparsity": {"layers", "callbacks", "profiling", "convert", "runtime", "firmware"},
    "callbacks": {"convert", "firmware", "quantization"},
    "profiling": {"callbacks", "firmware"},  # convert knows how it stores kernels
    "convert": {"callbacks", "profiling", "quantization"},
    "quantization": {"firmware"},
    "ops": {"layers", "sparsity", "callbacks", "profiling", "convert", "runtime", "firmware"},
    "runtime": {"layers", "sparsity", "callbacks", "profiling", "convert", "firmware"},
    "firmware": {"layers", "sparsity", "callbacks", "profiling", "convert"},
}
AT_THE_END = {"verbs", "demo", "experiments"}  # nothing else imports them
NEEDS_NO_KERAS = ("ops", "runtime", "firmware")
QUICK_BACKEND = "jax" if importlib.util.find_spec("jax") else "tensorflow"  # with it Keras loads more quickly


def _python(code, cwd=ROOT, **env):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **env},
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.strip()


def _imports(package):
    """Whatever the modules of a package import, at their top or where it is used, by full names."""
    for path in (ROOT / "keras_sparse_rnn" / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", NEVER_IMPORTS)
def test_imports_go_one_way(package):
    imports = [name.split(".") for name in _imports(package)]
    ours = {parts[1] for parts in imports if parts[0] == "keras_sparse_rnn"}
    assert not ours & (NEVER_IMPORTS[package] | AT_THE_END)
    if package in NEEDS_NO_KERAS:
        assert not {parts[0] for parts in imports} & {"keras", "tensorflow", "tf_keras"}


def test_nothing_private_of_tensorflow_or_keras_is_imported():
    """Conversion makes do with their public interfaces, so that a release of theirs breaks none of it."""
    private = ("tensorflow.python", "tensorflow.lite.python", "keras.src", "tf_keras.src", "ai_edge_litert._")
    assert not [name for name in _imports("") if name.startswith(private)]


def test_public_names_exist():
    for name in ksr.__all__:
        assert hasattr(ksr, name)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """What a process finds that has none of the extras' packages, imports Keras first, opens a pruned model without
    this package, imports this package, opens a model of its layers, prunes it in `fit`, and asks for more."""
    folder = tmp_path_factory.mktemp("models")
    pruned = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(8)])
    pruned.compile("adam", "mse")
    pruning = ksr.callbacks.MagnitudePruning(ksr.schedules.ConstantSparsity(0.75, 0))
    pruned.fit(np.ones((4, 4, 3)), np.ones((4, 8)), verbose=0, callbacks=[pruning])
    pruned.save(folder / "pruned.keras")
    keras.Sequential([keras.Input((6, 5)), *everything_that_a_file_can_name()]).save(folder / "events.keras")
    code = """
import sys
extras = "tensorflow tf_keras tensorflow_model_optimization ai_edge_litert flatbuffers jinja2 tflite_micro".split()
extras += ["matplotlib", "bokeh", "aeon"]
import json, keras, numpy as np  # Keras itself takes TensorFlow where that is
for name in ["keras_sparse_rnn", *extras]:
    sys.modules[name] = None
model = keras.models.load_model("pruned.keras")
zeros = [float(np.mean(keras.ops.convert_to_numpy(w) == 0)) for w in model.trainable_variables if "kernel" in w.path]
del sys.modules["keras_sparse_rnn"]
before = set(sys.modules)
import keras_sparse_rnn
new = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
model = keras.models.load_model("events.keras")
kinds = [type(layer).__name__ for layer in model.layers]
import keras_sparse_rnn as ksr
model.compile("adam", "mse")
pruning = ksr.callbacks.MagnitudePruning(ksr.schedules.ConstantSparsity(0.75, 0))
model.fit(np.ones((4, 6, 5)), np.ones((4, 2)), verbose=0, callbacks=[pruning])
zeros += [ksr.sparsity.measure(model)]
messages = []
for use in (
    lambda: ksr.convert(model, np.ones((4, 6, 5))),
    lambda: ksr.inspect("pruned.keras"),
    lambda: ksr.runtime.load("pruned.keras"),
    lambda: ksr.runtime.load("pruned.keras", "tflm"),
    lambda: __import__("keras_sparse_rnn.firmware"),
    lambda: ksr.report(model, path="report.html"),
    lambda: ksr.plot.events(np.eye(3)),
    lambda: ksr.from_tf_keras("pruned.keras"),
):
    try:
        use()
        messages.append("nothing")
    except ImportError as error:
        messages.append(str(error))
print(json.dumps([zeros, new, kinds, messages]))
"""
    return json.loads(_python(code, cwd=folder, KERAS_BACKEND=QUICK_BACKEND).splitlines()[-1])


def everything_that_a_file_can_name():
    beta, penalty = ksr.initializers.Beta(), ksr.regularizers.EventPenalty(1.0)
    return [ksr.layers.EventGRU(8, threshold_initializer=beta, activity_regularizer=penalty), keras.layers.Dense(2)]


def test_a_pruned_model_opens_without_this_package(fresh):
    assert fresh[0][:2] == [0.75, 0.75]


def test_training_needs_no_package_of_an_extra(fresh):
    assert fresh[0][2:] == [0.75]


def test_what_a_package_of_an_extra_is_needed_for_names_the_extra(fresh):
    extras = [re.search(r'pip install "keras-sparse-rnn\[(\w+)]"', message)[1] for message in fresh[3]]
    assert extras == ["convert"] * 5 + ["report"] * 2 + ["tfmot"]


def test_import_is_light(fresh):
    """Beyond what Keras itself imports for its backend."""
    heavy = {"tensorflow", "tf_keras", "tensorflow_model_optimization", "ai_edge_litert", "tflite_micro", "matplotlib"}
    assert "keras_sparse_rnn" in fresh[1] and not heavy & set(fresh[1])


def test_importing_the_package_makes_our_layers_known_to_keras(fresh):
    assert fresh[2] == ["EventGRU", "Dense"]


def test_names_load_where_they_are_used():
    """Keras knows our layers when it is imported later; a module leaves the function of its name alone."""
    code = """
import sys, keras_sparse_rnn as ksr
before = "keras" in sys.modules
import keras, keras_sparse_rnn.convert.options
print(before, keras.saving.get_registered_object("keras_sparse_rnn>EventGRU").__name__)
print(ksr.convert.__module__, ksr.shrink.__name__)
"""
    printed = _python(code, KERAS_BACKEND=QUICK_BACKEND).splitlines()[-2:]
    assert printed == ["False EventGRU", "keras_sparse_rnn.convert shrink"]


def test_what_comes_with_keras_is_known():
    code = "import keras_sparse_rnn, keras, sys; print(*(m for m in sys.modules if m.startswith('keras_sparse_rnn.')))"
    loaded = {name.split(".")[1] for name in _python(code, KERAS_BACKEND=QUICK_BACKEND).splitlines()[-1].split()}
    assert loaded - {"_version", "typing"} == ksr._WITH_THEM


@pytest.mark.slow_but(name=["regularizers"])
@pytest.mark.parametrize("name", ["regularizers", "inputs", "cells", "sparsity.kernels"])
def test_a_module_can_be_imported_before_keras(name):
    code = f"""
import keras_sparse_rnn.{name} as first
import keras, importlib, sys
print(first is sys.modules[first.__name__], keras.saving.get_registered_object("keras_sparse_rnn>EventGRU").__name__)
importlib.reload(first)
"""
    assert _python(code, KERAS_BACKEND=QUICK_BACKEND).splitlines()[-1] == "True EventGRU"


def shape_of_a_converted_models_outputs():
    model = keras.Sequential([keras.Input((5, 3)), ksr.layers.EventGRU(4), keras.layers.Dense(2)])
    x = np.ones((4, 5, 3), np.float32)
    return ksr.convert(model, x).predict(x).shape


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs the TensorFlow backend")
def test_conversion_works_after_tfmot_was_imported(beside_tfmot):
    """tfmot turns on legacy Keras for the whole process."""
    assert beside_tfmot(shape_of_a_converted_models_outputs) == (4, 2)


def test_without_a_compiler_the_package_builds_and_says_what_is_missing(tmp_path, monkeypatch):
    build = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--build-lib", tmp_path, "--build-temp", tmp_path],
        env={**os.environ, "CC": "no-such-compiler"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr[-2000:]
    assert not list(tmp_path.rglob("_core*"))
    monkeypatch.setattr(native, "__file__", str(tmp_path / "native.py"))
    with pytest.raises(RuntimeError, match="install gcc or clang"):
        native.library_path()


def test_a_core_built_from_other_sources_is_refused(tmp_path, monkeypatch):
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "tflite", root / "tflite")
    (root / "keras_sparse_rnn" / "runtime").mkdir(parents=True)
    shutil.copy(native.library_path(), root / "keras_sparse_rnn" / "runtime")
    monkeypatch.setattr(native, "__file__", str(root / "keras_sparse_rnn" / "runtime" / "native.py"))
    assert native.library_path().parents[2] == root
    with open(root / "tflite" / "kernels" / "tables.c", "a") as source:
        source.write("\n")
    native._refuse_stale.cache_clear()
    with pytest.raises(RuntimeError, match="Rebuild it: python setup.py build_ext --inplace"):
        native.library_path()
    shutil.rmtree(root / "tflite")
    (root / "tflite").mkdir()  # somebody else's package, beside an installed wheel
    assert native.library_path().parents[2] == root


def test_what_is_exported_for_windows_is_in_the_core(monkeypatch):
    """Visual C++ refuses to export what is not there; the other compilers export everything."""
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    monkeypatch.chdir(ROOT)
    core = native.load_library()
    assert all(hasattr(core, name) for name in runpy.run_path("setup.py")["EXPORTED"])


def test_what_is_built(tmp_path):
    """A wheel for every Python, with the C sources for firmware, the types and no tests; a source archive with all."""
    quick = tmp_path / "cc"
    quick.write_text('#!/bin/sh\nexec gcc "$@" -O0\n')
    quick.chmod(0o755)
    wheel = ["bdist_wheel", "--dist-dir", tmp_path, "--bdist-dir", tmp_path / "wheel"]
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", tmp_path, "build", "--build-base", tmp_path]
    build = subprocess.run(
        [*command, *wheel, "sdist", "--dist-dir", tmp_path],
        env={**os.environ, "CC": str(quick)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr[-2000:]
    (wheel,), (archive,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    assert wheel.name.startswith(f"keras_sparse_rnn-{ksr.__version__}-py3-none-")
    sources = {
        str(path.relative_to(ROOT)) for path in (ROOT / "tflite").rglob("*") if path.suffix in (".c", ".h", ".cc")
    }
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert inside >= {source.replace("tflite", "keras_sparse_rnn/tflite_sources", 1) for source in sources}
    ours = [
        path for path in (ROOT / "keras_sparse_rnn").rglob("*") if path.is_file() and path.suffix not in (".pyc", ".so")
    ]
    assert inside >= {str(path.relative_to(ROOT)) for path in ours}
    assert inside >= {"keras_sparse_rnn/py.typed", f"keras_sparse_rnn/runtime/{native.library_path().name}"}
    assert {name.split("/")[0] for name in inside} == {
        "keras_sparse_rnn",
        f"keras_sparse_rnn-{ksr.__version__}.dist-info",
    }
    with tarfile.open(archive) as file:
        inside = {name.partition("/")[2] for name in file.getnames()}
    assert inside >= {*sources, "CHANGES.md", "docs/train.md", "tests/test_package.py"}
    assert not any(name.endswith((".so", ".pyd")) for name in inside)
