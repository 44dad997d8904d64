"""What tests of several folders share."""

import dataclasses
import gc
import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import keras
import numpy as np
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """`@pytest.mark.backend(masked=[True])` is on those cases of a parametrised test that have one of these values, and
    `@pytest.mark.slow_but(masked=[True])` marks the others `slow`."""
    for item in items:
        for name in ("backend", "backend_slow", "slow_but"):
            mark = item.get_closest_marker(name)
            if mark and any(item.callspec.params[name] not in values for name, values in mark.kwargs.items()):
                item.own_markers.remove(mark)
                if name == "slow_but":
                    item.add_marker("slow")


def pytest_collection_finish():
    """What is imported stays, and TensorFlow's graphs are many small objects: looking through them took a tenth of the
    time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _optimize_graphs(yes):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not yes})


@pytest.fixture(scope="session", autouse=True)
def graphs_as_they_are():
    """TensorFlow's optimization of a graph takes longer than running nets as small as those of the tests."""
    _optimize_graphs(False)


@pytest.fixture
def optimized_graphs():
    """As in every other process: with the same roundings."""
    _optimize_graphs(True)
    yield
    _optimize_graphs(False)


@pytest.fixture(scope="session")
def beside_tfmot():
    """`beside_tfmot(function, *arguments)`: what a function of a test module returns in a process of its own, which
    imported tfmot before all else: that turns `tf.keras` into Keras 2 for the whole process."""
    context = multiprocessing.get_context("spawn")
    imported = {"initializer": importlib.import_module, "initargs": ("tensorflow_model_optimization",)}
    with ProcessPoolExecutor(1, context, **imported) as process:
        yield lambda function, *arguments: process.submit(function, *arguments).result()


@pytest.fixture(scope="session")
def two_classes():
    """Two classes, told apart by the sign of a feature: data and a recipe that take a moment."""
    from keras_sparse_rnn.experiments import data, training

    generator = np.random.default_rng(0)

    def split(sequences):
        y = np.arange(sequences) % 2
        valid = np.arange(6) >= generator.integers(0, 4, size=(sequences, 1))
        x = generator.normal(size=(sequences, 6, 4)) + 2 * (2 * y[:, None, None] - 1)
        return data.Split((x * valid[..., None]).astype(np.float32), valid, y)

    loaded = data.Data("Two classes", "4 features", 10.0, ("low", "high"), split(40), split(20))
    recipe = dataclasses.replace(
        training.RECIPES["japanese-vowels"],
        units=8,
        smaller=(2,),
        epochs=3,
        batch=10,
        seeds=(0, 1),
        learning_rate=0.05,
    )
    return loaded, recipe


@pytest.fixture
def without_xla(monkeypatch):
    """XLA takes longer to compile small nets than they take to train."""
    compile_model = keras.Sequential.compile
    monkeypatch.setattr(
        keras.Sequential, "compile", lambda *args, **options: compile_model(*args, **{**options, "jit_compile": False})
    )
