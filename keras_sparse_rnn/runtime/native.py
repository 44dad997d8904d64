"""The custom ops of the compiled C core, called with ctypes."""

import ctypes
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from keras_sparse_rnn.formats import CORE_TYPES
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.check import check
from keras_sparse_rnn.ops.schema import OF_INPUT, OF_WORD, STATUSES, RefusedOpError
from keras_sparse_rnn.runtime.core_sources import digest_of
from keras_sparse_rnn.runtime.graph import GraphEngine
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.tflite_file import Operator

MAX_RANK = 4
_TYPES = {dtype: number for number, dtype in enumerate(CORE_TYPES)}


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("type", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dims", ctypes.c_int32 * MAX_RANK),
    )


class _Node(ctypes.Structure):
    _fields_ = (
        ("options", ctypes.c_char_p),
        ("options_size", ctypes.c_uint32),
        ("input_count", ctypes.c_int32),
        ("output_count", ctypes.c_int32),
        ("inputs", ctypes.POINTER(_Tensor)),
        ("outputs", ctypes.POINTER(_Tensor)),
    )


class _Op(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("data_size", ctypes.c_uint32),
        ("schema", ctypes.c_void_p),
        (
            "prepare",
            ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Node), ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32)),
        ),
        ("invoke", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Node), ctypes.c_void_p, ctypes.c_void_p)),
    )


def library_path() -> Path:
    """Returns the path of the compiled core.

    Raises:
        RuntimeError: The package was built without a C compiler, or, if it is installed in place (`pip install -e`),
            from other C sources than the present ones.
    """
    path = Path(__file__).with_name("_core.pyd" if sys.platform == "win32" else "_core.so")
    if not path.exists():
        raise RuntimeError(
            f"The C core of keras-sparse-rnn is missing ({path.name}): no C compiler was found when the package was "
            "installed. Training works without it; to convert and run models install gcc or clang (Debian: "
            "apt-get install gcc) and install the package again."
        )
    _refuse_stale(path)
    return path


@cache
def _refuse_stale(core):
    sources = core.parents[2] / "tflite"
    # A wheel was built from the sources that it contains; another package named tflite may be installed beside it.
    if not (sources / "include" / "ksr.h").exists():
        return
    try:
        built_from = (ctypes.c_char * 64).in_dll(ctypes.CDLL(str(core)), "ksr_sources").value.decode()
    except ValueError:  # a core from before it said so
        built_from = ""
    if built_from != digest_of(sources):
        raise RuntimeError(
            f"The C core {core.name} was built from other sources than lie in {sources}. Rebuild it: python setup.py "
            "build_ext --inplace"
        )


@cache
def load_library():
    """The compiled core as a ctypes library."""
    library = ctypes.CDLL(str(library_path()))
    library.ksr_find_op.restype = ctypes.POINTER(_Op)
    library.ksr_find_op.argtypes = [ctypes.c_char_p]
    library.ksr_status_text.restype = ctypes.c_char_p
    library.ksr_status_text.argtypes = [ctypes.c_int]
    return library


class NativeOp:
    """An op of the C core, prepared for arrays of given shapes and dtypes.

    Args:
        name: Its custom code.
        options: The bytes of its custom options.
        inputs: List of arrays, None for absent ones. Constants are kept. For x, states and masks only shape and dtype
            are used (`placeholder`), unless they are read-only: these are constants as well, and the op refuses them.
        outputs: `(shape, dtype)` of each output.

    Raises:
        ValueError: The op refuses its options or a tensor; the message names it.
    """

    def __init__(
        self,
        name: str,
        options: bytes,
        inputs: Sequence[np.ndarray | None],
        outputs: Sequence[tuple[tuple[int, ...], np.dtype]],
    ) -> None:
        self._library = load_library()
        self._op = self._library.ksr_find_op(name.encode()).contents
        schema = ALL_OPS[name].SCHEMA
        varying = {0, *(i for i, given in enumerate(schema.inputs) if not given.is_constant)}
        self._inputs = (_Tensor * len(inputs))(*(_tensor(array, i in varying) for i, array in enumerate(inputs)))
        self._output_kinds = outputs
        self._outputs = (_Tensor * len(outputs))(*(_tensor(placeholder(*kind), varies=True) for kind in outputs))
        self._kept = [options, *inputs]
        self._node = _Node(options, len(options), len(inputs), len(outputs), self._inputs, self._outputs)
        size = ctypes.c_uint32()
        self._data = ctypes.create_string_buffer(self._op.data_size)
        status = self._op.prepare(self._node, self._data, size)
        if status:
            raise _refused(schema, status, self._library.ksr_status_text(status).decode())
        self.scratch_size = size.value  # bytes
        self._scratch = np.zeros(size.value // 16 + 1, np.complex128)

    def __call__(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """The outputs for the given inputs, new arrays."""
        for i, array in enumerate(inputs):
            if array is not None:
                self._inputs[i].data = array.ctypes.data
        outputs = [np.empty(shape, dtype) for shape, dtype in self._output_kinds]
        for i, array in enumerate(outputs):
            self._outputs[i].data = array.ctypes.data
        self._op.invoke(self._node, self._data, self._scratch.ctypes.data)
        return outputs


def placeholder(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array with a shape and a dtype that takes no memory, for the preparation of an op."""
    return np.ndarray(shape, dtype, bytearray(np.dtype(dtype).itemsize), strides=(0,) * len(shape))


def _refused(schema, status, text):
    """Returns the message of a status of the core."""
    kind, index = list(STATUSES)[status & 0xFF], status >> 8
    if kind in OF_WORD:
        text = f"{schema.words[index - 1].name} (word {index}) {text}"
    elif kind in OF_INPUT:
        text = f"{schema.inputs[index].name} (input {index}) {text}"
    return RefusedOpError(schema, kind, index, text)


def _tensor(array, varies):
    if array is None:
        return _Tensor(None, -1, 0)
    dims = (ctypes.c_int32 * MAX_RANK)(*array.shape)
    data = None if varies and array.flags.writeable else array.ctypes.data
    return _Tensor(data, _TYPES[array.dtype], array.ndim, dims)


def prepare_ops(model: Model) -> dict[Operator, NativeOp]:
    """Checks and prepares the custom ops of a model in the C core.

    Raises:
        ValueError: The core refuses an op; the message says why.
        RuntimeError: The package was built without a C compiler.
    """
    ops = {}
    for op in model.operators:
        if not op.is_custom or op.name not in ALL_OPS:
            continue
        tensors = [None if i < 0 else model.tensors[i] for i in op.inputs]
        arrays = [t if t is None else placeholder(t.shape, t.dtype) if t.data is None else t.data for t in tensors]
        outputs = [model.tensors[i] for i in op.outputs]
        if any(len(t.shape) > MAX_RANK or t.dtype not in _TYPES for t in (*outputs, *tensors) if t is not None):
            raise ValueError(f"{op.name} refused: a tensor has more than {MAX_RANK} dimensions or a foreign type.")
        if max(len(tensors), len(outputs)) > 2 * len(ALL_OPS[op.name].SCHEMA.inputs):  # a million take their time
            check(ALL_OPS[op.name].SCHEMA, op.options, tensors, outputs)
        try:
            ops[op] = NativeOp(op.name, op.options, arrays, [(t.shape, t.dtype) for t in outputs])
        except RefusedOpError:
            check(ALL_OPS[op.name].SCHEMA, op.options, tensors, outputs)  # says what is allowed
            raise
    return ops


class NativeEngine(GraphEngine):
    """Custom ops from the C core, builtin ops in NumPy."""

    def prepare(self) -> None:
        self._ops = prepare_ops(self.model)

    @property
    def memory(self) -> dict[str, int]:
        return {"scratch_bytes": sum(op.scratch_size for op in self._ops.values())}

    def run_custom(self, op: Operator, inputs: Sequence[Any]) -> list[np.ndarray]:
        return self._ops[op]([None if array is None else np.ascontiguousarray(array) for array in inputs])
