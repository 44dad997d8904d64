"""What tests of several folders share."""

import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest


@pytest.fixture(scope="session")
def beside_tfmot():
    """`beside_tfmot(function, *arguments)`: what a function of a test module returns in a process of its own, which
    imported tfmot before all else: that turns `tf.keras` into Keras 2 for the whole process."""
    context = multiprocessing.get_context("spawn")
    imported = {"initializer": importlib.import_module, "initargs": ("tensorflow_model_optimization",)}
    with ProcessPoolExecutor(1, context, **imported) as process:
        yield lambda function, *arguments: process.submit(function, *arguments).result()
