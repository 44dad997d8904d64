"""TensorFlow Lite Micro as the Python package `tflite_micro`, with the custom ops registered.

Custom ops and the package exchange C structs that differ between releases and for which the package has no headers.
Four functions of the package, looked up by their mangled names, handle the parts that differ. The other parts
(`tflite/adapters/tflm_wheel.c`) are checked against the ops that are already registered. A release without these names,
or that fails this check, is refused, since a wrong guess would end the process.
"""

import ctypes
import faulthandler
import io
import os
import re
import resource
import signal
import tempfile
import threading
import warnings
from collections.abc import Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cache

import numpy as np

from keras_sparse_rnn.extras import packages_of
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.runtime.engine import Engine, refuse_sparse_encodings
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.native import library_path

# The names of the functions in each layout; the types in the names identify the layout of a release.
LAYOUTS = {
    "tflite": (
        "_ZN6tflite36MicroContextAllocatePersistentBufferEP13TfLiteContextm",
        "_ZN6tflite39MicroContextRequestScratchBufferInArenaEP13TfLiteContextmPi",
        "_ZN6tflite28MicroContextGetScratchBufferEP13TfLiteContexti",
        "_ZN6tflite25MicroContextGetEvalTensorEPK13TfLiteContexti",
    ),
    "tflite::micro": (
        "_ZN6tflite5micro36MicroContextAllocatePersistentBufferEPNS0_13TfLiteContextEm",
        "_ZN6tflite5micro39MicroContextRequestScratchBufferInArenaEPNS0_13TfLiteContextEmPi",
        "_ZN6tflite5micro28MicroContextGetScratchBufferEPNS0_13TfLiteContextEi",
        "_ZN6tflite5micro25MicroContextGetEvalTensorEPKNS0_13TfLiteContextEi",
    ),
}
REGISTERER = "KsrRegisterOps"
SMALLEST_ARENA = 1024  # below some hundred bytes TFLM ends the process
_FIRST_ARENA = 2**16  # besides activations
_MOST_SECONDS = 60  # to load a model

_ALLOCATIONS = {"arena_bytes": "total", "persistent_bytes": "tail", "nonpersistent_bytes": "head"}


class TFLMEngine(Engine):
    """The interpreter for microcontrollers, on the host.

    `memory` holds `arena_bytes`, the bytes of the arena that the model uses, its two parts `persistent_bytes` and
    `nonpersistent_bytes` (activations and scratch), and `arena_size`, the smallest arena in which the model loads, to
    16 bytes, found by trial. Pointers have eight bytes on the host, so a 32-bit microcontroller needs less.

    Args:
        model: A `Model`.
        arena_size: Bytes of the arena, at least 1024; None finds a sufficient size.

    Raises:
        ImportError: `tflite_micro` is not installed.
        ValueError: `arena_size` is too small, or TFLM or a custom op refuses the model.
        RuntimeError: The model has custom ops, and the layout of this release of `tflite_micro` is unknown, or this
            package was built without a C compiler.
    """

    def __init__(self, model: Model, arena_size: int | None = None) -> None:
        super().__init__(model)
        if arena_size is not None and arena_size < SMALLEST_ARENA:
            raise ValueError(f"arena_size must be at least {SMALLEST_ARENA} bytes; given: {arena_size}.")
        refuse_sparse_encodings(model)
        _refuse_malformed(model)
        runtime = _import_package()
        registerers = []
        if any(op.is_custom for op in model.operators):
            connect(load_package_library())
            registerers = [REGISTERER]

        self._load = _Loader(runtime.Interpreter, model, registerers)
        self._arena_size, self._interpreter = self._load.growing()
        self._memory: dict[str, int] | None = None
        if arena_size is not None:
            needed = self.memory["arena_size"]
            if arena_size < needed:
                raise ValueError(f"TFLM cannot load the model with an arena of {arena_size} bytes: it needs {needed}.")
            self._arena_size, self._interpreter = self._load(arena_size)

    @property
    def memory(self) -> dict[str, int]:
        if self._memory is None:
            used = _read_allocations(self._interpreter)
            self._memory = {**used, "arena_size": self._load.smallest_size(used["arena_bytes"], self._arena_size)}
        return dict(self._memory)

    def invoke(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        for number, values in enumerate(inputs):
            self._interpreter.set_input(values, number)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ValueError(f"TFLM cannot run the model: {self._reason() or error}") from error
        return [self._interpreter.get_output(number) for number in range(len(self.outputs))]

    def reset(self) -> None:
        self._interpreter.reset()

    def _reason(self):
        """Repeats a failed inference to capture what TFLM prints, since capturing every inference would be slow."""
        with _captured_output() as read:
            with suppress(RuntimeError):
                self._interpreter.invoke()
            return read()


def layout_of(library: ctypes.CDLL) -> str:
    """Returns the name in `LAYOUTS` of the layout of a `tflite_micro`.

    Args:
        library: Its `_runtime.so`, as a ctypes library.

    Raises:
        RuntimeError: Its layout is unknown.
    """
    for layout, names in LAYOUTS.items():
        if all(hasattr(library, name) for name in names):
            return layout
    raise RuntimeError(_unknown_layout())


def connect(library: ctypes.CDLL) -> None:
    """Passes the functions of a `tflite_micro` to the C core, and loads the core where the package finds `REGISTERER`.

    Raises:
        RuntimeError: Its layout is unknown, or this package was built without a C compiler.
    """
    names = LAYOUTS[layout_of(library)]
    functions = (ctypes.c_void_p * len(names))(
        *(ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names)
    )
    ctypes.CDLL(str(library_path()), mode=ctypes.RTLD_GLOBAL).ksr_tflm_set_functions(functions)


def _import_package():
    with packages_of("tflm", "engine 'tflm'"):
        from tflite_micro.python.tflite_micro import runtime

        return runtime


@cache
def load_package_library():
    """The `_runtime.so` of the installed `tflite_micro`, as a ctypes library."""
    from tflite_micro.python.tflite_micro import _runtime

    return ctypes.CDLL(_runtime.__file__)


def _unknown_layout():
    from tflite_micro.python.tflite_micro._version import __version__

    return (
        f"tflite_micro {__version__} has a layout in memory that this release of keras-sparse-rnn does not know; "
        'pip install "keras-sparse-rnn[tflm]" brings one that it knows.'
    )


def _refuse_malformed(model):
    """Checks the model first with LiteRT's checks, since TFLM trusts its files."""
    from keras_sparse_rnn.runtime.litert import LiteRTEngine

    unknown = sorted({op.name for op in model.operators if op.is_custom} - set(ALL_OPS))
    if unknown:
        raise ValueError(f"TFLM has no custom op {', '.join(unknown)}; of ours it has {', '.join(ALL_OPS)}.")
    LiteRTEngine(model)


class _ArenaTooSmallError(ValueError):
    pass


class _Loader:
    """Loads a model with an arena of a given size; returns `(size, interpreter)`."""

    def __init__(self, interpreter_class, model, registerers):
        self._interpreter_class = interpreter_class
        self._model = model
        self._registerers = registerers

    def __call__(self, size):
        with _captured_output() as read:
            try:
                interpreter = self._interpreter_class.from_bytes(
                    self._model.data, custom_op_registerers=self._registerers, arena_size=size
                )
            except RuntimeError as error:
                reason = read()
                if REGISTERER in str(error):
                    raise RuntimeError(_unknown_layout()) from error
                custom_ops = sorted({op.name for op in self._model.operators if op.is_custom})
                kind = _ArenaTooSmallError if re.search("missing:|Too many buffers", reason) else ValueError
                raise kind(
                    f"TFLM cannot load the model (custom ops: {', '.join(custom_ops) or 'none'}) "
                    f"with an arena of {size} bytes: {error}. {reason}"
                ) from error
        return size, interpreter

    def growing(self):
        """Loads with an arena that nearly always suffices, since each failure leaks a little memory in TFLM."""
        size = _FIRST_ARENA + 2 * self._model.activation_bytes + 256 * len(self._model.tensors)
        size = -(-size // 16) * 16  # a ragged end would count as in use
        while True:
            try:
                return self(size)
            except _ArenaTooSmallError:
                if size > 2**30:
                    raise
                size *= 4

    def smallest_size(self, used, enough):
        """The smallest arena in which the model loads; planning the memory needs more than the model uses later.

        The search runs in a fork: if an arena is too small, TFLM's planner may end the process or leak memory.
        """
        low, high = max(used, SMALLEST_ARENA) // 16 - 1, -(-enough // 16)
        while high - low > 1:
            low, high = self._narrowed(low, high)
        return 16 * high

    def _narrowed(self, low, high):
        """Both bounds, in units of 16 bytes, after the first trial that ends the process, or after the last one."""
        reads, writes = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads, none of which the child needs
            child = os.fork()
        if not child:
            self._bisect_and_exit(low, high, writes)
        os.close(writes)
        with os.fdopen(reads) as pipe:
            for line in pipe:
                low, high = map(int, line.split())
        os.waitpid(child, 0)
        return ((low + high) // 2, high) if high - low > 1 else (low, high)

    def _bisect_and_exit(self, low, high, pipe):
        try:
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            while high - low > 1:
                signal.alarm(_MOST_SECONDS)
                middle = (low + high) // 2
                arguments = {"custom_op_registerers": self._registerers, "arena_size": 16 * middle}
                try:
                    self._interpreter_class.from_bytes(self._model.data, **arguments)
                    high = middle
                except RuntimeError:
                    low = middle
                os.write(pipe, b"%d %d\n" % (low, high))
        finally:
            os._exit(0)


def _read_allocations(interpreter):
    with _captured_output() as read:
        interpreter.print_allocations()
        text = read()
    return {key: int(re.search(rf"allocation {part} (\d+) bytes", text)[1]) for key, part in _ALLOCATIONS.items()}


_capturing = threading.Lock()


@contextmanager
def _captured_output():
    """Captures what the package prints, in C and in Python; yields a function that returns the output of C."""
    c_library = ctypes.CDLL(None)
    with _capturing, tempfile.TemporaryFile() as file, redirect_stdout(io.StringIO()):

        def read():
            c_library.fflush(None)
            file.seek(0)
            return file.read().decode("utf-8", "replace").strip().replace("\n", " ")

        c_library.fflush(None)
        saved = os.dup(1), os.dup(2)
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield read
        finally:
            c_library.fflush(None)
            for target, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, target)
                os.close(copy)
