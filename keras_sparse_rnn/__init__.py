"""Recurrent networks sparse in weights and in activity, from `model.fit` to a microcontroller.

Importing the package is cheap: each name is loaded when it is first used, and TensorFlow's converter and the
interpreters when they are needed. `__init__.pyi` lists where the names are defined.
"""

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType

import lazy_loader

from keras_sparse_rnn._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_OF_KERAS_FILES = ("initializers", "layers", "optimizers", "regularizers", "schedules")
_WITH_THEM = {*_OF_KERAS_FILES, "cells", "inputs", "sparsity"}  # what they import that imports Keras


class _Package(ModuleType):
    """A module whose functions are not replaced when a submodule of the same name is imported."""

    def __setattr__(self, name, value):
        if not (
            isinstance(value, ModuleType)
            and name in ("convert", "factorize", "from_tf_keras", "report", "shrink", "to_delta")
        ):
            super().__setattr__(name, value)


class _Imported(Loader):
    """Gives a module that has been imported already, which keeps its own loader."""

    def __init__(self, module):
        self.module, self.loader = module, module.__spec__.loader

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        module.__spec__.loader = self.loader


def _spec_of_imported(name):
    spec = sys.modules[name].__spec__
    spec.loader = _Imported(sys.modules[name])
    return spec


class _WithKeras(MetaPathFinder):
    """Registers the classes that a Keras file can name as soon as Keras has been imported.

    Of these and the modules that they need, the first one to be imported would be needed while it is half executed:
    Keras is imported before it.
    """

    def find_spec(self, fullname, path, target=None):
        package, _, name = fullname.partition(".")
        if package == __name__ and name.partition(".")[0] in _WITH_THEM:
            importlib.import_module("keras")
            return _spec_of_imported(fullname) if fullname in sys.modules else None
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                execute(module)
                _register()

            spec.loader.exec_module = execute_and_register
        return spec


def _register():
    for name in _OF_KERAS_FILES:
        importlib.import_module(f"{__name__}.{name}")


sys.modules[__name__].__class__ = _Package
if "keras" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _WithKeras())
