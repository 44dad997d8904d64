"""Recurrent networks sparse in weights and in activity, from `model.fit` to a microcontroller.

Importing this brings nothing: each name loads where it is first used, TensorFlow's converter and the interpreters where
they are needed. `__init__.pyi` says where the names live.
"""

import importlib
import importlib.util
import sys
from importlib.abc import MetaPathFinder
from types import ModuleType

import lazy_loader

from keras_sparse_rnn._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_OF_KERAS_FILES = ("initializers", "layers", "optimizers", "regularizers", "schedules")


class _Package(ModuleType):
    """A module whose functions stay what they are when a submodule of the same name is imported."""

    def __setattr__(self, name, value):
        if not (isinstance(value, ModuleType) and name in ("convert", "from_tf_keras", "report", "shrink", "to_delta")):
            super().__setattr__(name, value)


class _WithKeras(MetaPathFinder):
    """Makes what a file of Keras can name known to Keras as soon as it has been imported."""

    def find_spec(self, fullname, path, target=None):
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
