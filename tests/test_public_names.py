"""Every public name: what its arguments are, for type checkers and for readers."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn import firmware
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.engine import Engine
from keras_sparse_rnn.runtime.model import Model


def _public(things):
    """Functions and classes by their names; modules stand for what they list, or define."""
    found = {}
    for thing in things:
        if isinstance(thing, ModuleType):
            defined = [n for n, v in vars(thing).items() if getattr(v, "__module__", "") == thing.__name__]
            names = getattr(thing, "__all__", [n for n in defined if not n.startswith("_")])
            found |= _public(getattr(thing, name) for name in names)
        elif inspect.isfunction(thing) or inspect.isclass(thing):
            found[thing.__qualname__] = thing
    return found


NAMES = _public([ksr, firmware, Engine, Model, TensorInfo])
# Methods that Keras or a base class calls, which tells what they are.
OF_KERAS = re.compile(
    "build|call|compute_.*|from_config|get_.*|inner_loop|loop|on_.*|set_model|state_names|update_step|variables|__call__"
)


def _functions(thing):
    """A function, or the methods and properties of a class that this package defines, each by its name."""
    if inspect.isfunction(thing):
        return {thing.__name__: thing}
    methods = {}
    for base in reversed(thing.__mro__):
        if base.__module__.startswith("keras_sparse_rnn"):
            methods |= {n: v for n, v in vars(base).items() if n in ("__init__", "__call__") or not n.startswith("_")}
    functions = {n: getattr(v, "__func__", getattr(v, "fget", v)) for n, v in methods.items()}
    return {n: f for n, f in functions.items() if inspect.isfunction(f) and f.__module__.startswith("keras_sparse_rnn")}


@pytest.mark.parametrize("name", NAMES)
def test_is_typed(name):
    for function in _functions(NAMES[name]).values():
        signature = inspect.signature(function)
        bare = [
            p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name not in ("self", "cls")
        ]
        assert not bare and signature.return_annotation is not signature.empty, f"{function.__qualname__}: {bare}"


@pytest.mark.parametrize("name", NAMES)
def test_is_documented(name):
    thing = NAMES[name]
    of_class = inspect.getdoc(thing)
    assert of_class
    for method, function in _functions(thing).items():
        text = of_class if method == "__init__" else inspect.getdoc(function)
        if method == "__init__" or not OF_KERAS.fullmatch(method):
            assert text, f"{function.__qualname__} has no docstring"
            if not re.search(r"[Aa]rguments\b.*\s(are those of|as in|it has)|whose arguments|\bsee `", text):
                untold = [
                    p
                    for p in inspect.signature(function).parameters
                    if p != "self" and not re.search(rf"\b{p}\b", text)
                ]
                assert set(untold) <= {"kwargs", "cls"}, f"{function.__qualname__} does not tell what {untold} are"


def test_is_in_the_reference():
    pages = "".join(page.read_text() for page in (Path(__file__).parents[1] / "docs" / "api").glob("*.md"))
    blocks = re.findall(r"^::: (\S+)\n((?:    .*\n)*)", pages, re.MULTILINE)
    whole = {name for name, options in blocks if "members" not in options}
    shown = whole | {word for _, options in blocks for word in re.findall(r"\w+", options)}
    absent = [
        name for name, thing in NAMES.items() if not {name, thing.__module__, f"{thing.__module__}.{name}"} & shown
    ]
    assert not absent
