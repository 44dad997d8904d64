"""Our ops in the TensorFlow Lite Micro interpreter."""

import ctypes
import shutil
import sys

import numpy as np
import pytest
from adapter_models import (
    between_dense_layers,
    edited,
    errors_op_by_op,
    short_bias,
    sparse_constant,
    unknown_op,
    with_state,
    wrong_options,
    wrong_word,
)
from random_models import KINDS, random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.runtime import tflm
from keras_sparse_rnn.runtime.native import library_path
from keras_sparse_rnn.runtime.tflm import SMALLEST_ARENA

pytest.importorskip("tflite_micro", reason="the engine tflm needs tflite_micro")

by_kind = pytest.mark.parametrize("kind", KINDS)


def _sequence(seed=0):
    return np.random.default_rng(seed).integers(-128, 128, (1, 9, 6)).astype(np.int8)


@by_kind
@pytest.mark.parametrize(("bits", "first"), [*((8, first) for first in range(0, 200, 50)), (16, 0)])
def test_integers_equal_the_reference_bit_for_bit(kind, bits, first):
    for seed in range(first, first + 50):
        op = random_op(seed, kind=kind, activation_bits=bits)
        model = op.to_model()
        ours, reference = (runtime.load(model, engine).invoke([op.x[None]]) for engine in ("tflm", "reference"))
        np.testing.assert_array_equal(ours, reference, err_msg=op.label)


@by_kind
def test_float32_equals_the_native_core_bit_for_bit(kind):
    for seed in range(25):
        op = random_op(seed, np.float32, kind)
        model = op.to_model()
        ours, native = (runtime.load(model, engine).invoke([op.x[None]]) for engine in ("tflm", "native"))
        np.testing.assert_array_equal(ours, native, err_msg=op.label)


def test_between_builtin_ops():
    model = between_dense_layers(all_outputs=True)
    outputs = runtime.load(model, "tflm").invoke([_sequence()])
    for name, error in errors_op_by_op(model, _sequence(), outputs):
        assert error <= (0 if name in KINDS else 1), name
    alone = runtime.load(between_dense_layers(all_outputs=False), "tflm").invoke([_sequence()])
    np.testing.assert_array_equal(alone[0], outputs[-1])


@by_kind
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_state_lives_in_variable_tensors(kind, dtype):
    model, op = with_state(kind, dtype)
    engine = runtime.load(model, "tflm")
    whole = op.op(op.x)
    for _ in range(2):
        chunks = [engine.invoke([op.x[None, i : i + 3]])[0][0] for i in (0, 3, 6)]
        np.testing.assert_allclose(np.concatenate(chunks), whole, atol=0 if dtype == np.int8 else 1e-5)
        engine.reset()
    assert np.any(engine.invoke([op.x[None, 6:]])[0][0] != chunks[-1])  # the state does matter


def test_memory_is_what_the_model_needs():
    model = between_dense_layers(all_outputs=False)
    engine = runtime.load(model, "tflm")
    memory = engine.memory
    assert memory["arena_bytes"] == memory["persistent_bytes"] + memory["nonpersistent_bytes"]
    # Input of the first op and its output live at once; scratch holds 48 accumulators of four bytes.
    assert memory["nonpersistent_bytes"] >= 9 * 12 + 9 * 12 + 4 * 48

    size = memory["arena_size"]
    assert memory["arena_bytes"] <= size < memory["arena_bytes"] + 1280
    tight = runtime.load(model, "tflm", arena_size=size)
    np.testing.assert_array_equal(tight.invoke([_sequence()]), engine.invoke([_sequence()]))
    assert tight.memory == memory
    with pytest.raises(ValueError, match=f"arena of {size - 16} bytes: "):
        runtime.load(model, "tflm", arena_size=size - 16)


def test_the_arena_grows_until_the_model_fits(monkeypatch):
    monkeypatch.setattr(tflm, "_FIRST_ARENA", SMALLEST_ARENA)
    model = between_dense_layers(all_outputs=False)
    with pytest.raises(ValueError):
        runtime.load(model, "tflm", arena_size=SMALLEST_ARENA)
    assert runtime.load(model, "tflm").invoke([_sequence()])[0].shape == (1, 9, 5)


def test_a_small_arena_is_refused():
    with pytest.raises(ValueError, match="arena_size must be at least 1024 bytes; given: 100"):
        runtime.load(random_op(0).to_model(), "tflm", arena_size=100)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (wrong_options, "KsrEventGru refused: the custom options have the wrong size."),
        (wrong_word, r"KsrEventGru refused: block \(word 3\) is 5; allowed: 4 to 16."),
        (short_bias, r"KsrEventGru refused: bias \(input 7\) has the wrong shape; given: \(4\)."),
        (sparse_constant, "op Ksr.* reads tensor ., which is in a sparse encoding"),
        (unknown_op, "NobodysOp"),
    ],
)
def test_refused_models(edit, message):
    with pytest.raises(ValueError, match=message):
        runtime.load(edited(random_op(1).to_model(), edit), "tflm")


def test_nothing_is_printed(capfd):
    model = random_op(1).to_model()
    runtime.load(model, "tflm").predict(random_op(1).x[None])
    with pytest.raises(ValueError):
        runtime.load(edited(model, wrong_options), "tflm")
    assert capfd.readouterr() == ("", "")


def test_output_appears_again_afterwards(capfd):
    runtime.load(random_op(1).to_model(), "tflm")
    print("seen", flush=True)
    print("seen too", file=sys.stderr, flush=True)
    assert capfd.readouterr() == ("seen\n", "seen too\n")


def test_the_layout_of_the_installed_release():
    from tflite_micro.python.tflite_micro._version import __version__

    layout = tflm.layout_of(tflm.load_package_library())
    assert layout == ("tflite" if __version__ < "0.dev20261002" else "tflite::micro")


def test_an_unknown_layout_is_refused(monkeypatch):
    monkeypatch.setattr(tflm, "load_package_library", object)  # has none of the functions
    with pytest.raises(RuntimeError, match=r"tflite_micro 0\.dev\d+.* has a layout .*does not know.*pip install"):
        runtime.load(random_op(0).to_model(), "tflm")


def test_a_layout_with_one_function_missing_is_refused():
    library = type("Library", (), dict.fromkeys(tflm.LAYOUTS["tflite"][1:]))
    with pytest.raises(RuntimeError, match="does not know"):
        tflm.layout_of(library)


class _Registration(ctypes.Structure):
    _fields_ = (
        ("functions", ctypes.c_void_p * 5),
        ("builtin_code", ctypes.c_int32),
        ("custom_name", ctypes.c_char_p),
    )


class _Resolver(ctypes.Structure):
    _fields_ = (
        ("virtual_table", ctypes.c_void_p),
        ("registrations", _Registration * 200),
        ("count", ctypes.c_uint32),
    )


def _resolver(count=3, custom_code=32):
    """A resolver with `count` ops, the first of them a custom op."""
    resolver = _Resolver(count=count)
    for i in range(min(count, 200)):
        resolver.registrations[i].functions[:] = [1, 0, 1, 1, 0]
        resolver.registrations[i].builtin_code = i
    resolver.registrations[0].builtin_code = custom_code
    resolver.registrations[0].custom_name = b"SignalWindow"
    return resolver


@pytest.fixture
def core(tmp_path):
    """A second copy of the C core, to which nothing has been set yet."""
    core = ctypes.CDLL(shutil.copy(library_path(), tmp_path))
    core.KsrRegisterOps.restype = ctypes.c_bool
    return core


def test_ops_are_registered_behind_the_others(core):
    core.ksr_tflm_set_functions((ctypes.c_void_p * 4)(1, 1, 1, 1))
    resolver = _resolver()
    assert core.KsrRegisterOps(ctypes.byref(resolver))
    assert resolver.count > 3
    ours = resolver.registrations[3]
    assert (ours.builtin_code, ours.custom_name) == (32, b"KsrEventGru")


@pytest.mark.parametrize(
    "resolver", [_resolver(count=0), _resolver(count=201), _resolver(count=200), _resolver(custom_code=5)]
)
def test_registering_refuses_a_resolver_of_another_layout(core, resolver):
    core.ksr_tflm_set_functions((ctypes.c_void_p * 4)(1, 1, 1, 1))
    before = resolver.count
    assert not core.KsrRegisterOps(ctypes.byref(resolver))
    assert resolver.count == before


def test_registering_refuses_before_the_functions_are_set(core):
    assert not core.KsrRegisterOps(ctypes.byref(_resolver()))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(ImportError, match=r'pip install "keras-sparse-rnn\[tflm\]"'):
        runtime.load(random_op(0).to_model(), "tflm")
