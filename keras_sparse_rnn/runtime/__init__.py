"""Runs a converted `.tflite` model in LiteRT, in TensorFlow Lite Micro, in the C core, or in NumPy.

Nothing here needs TensorFlow or Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from keras_sparse_rnn.extras import packages_of
from keras_sparse_rnn.typing import EngineName, ModelSource

if TYPE_CHECKING:
    from keras_sparse_rnn.runtime.engine import Engine

# The module of each engine, which is imported at first use, since each needs another package.
_ENGINES = {
    "litert": ("keras_sparse_rnn.runtime.litert", "LiteRTEngine"),
    "tflm": ("keras_sparse_rnn.runtime.tflm", "TFLMEngine"),
    "native": ("keras_sparse_rnn.runtime.native", "NativeEngine"),
    "reference": ("keras_sparse_rnn.runtime.reference", "ReferenceEngine"),
}

ENGINES = tuple(_ENGINES)

__all__ = ["ENGINES", "load", "scale_thresholds"]


def load(model: ModelSource, engine: EngineName = "litert", **options: Any) -> "Engine":
    """Loads a `.tflite` model into an engine.

    Args:
        model: Path of a `.tflite` file, its bytes, a `Model`, or the result of `ksr.convert`.
        engine: `"litert"` (the `ai-edge-litert` interpreter with the custom ops as an external delegate), `"tflm"` (the
            `tflite-micro` wheel with the custom ops registered), `"native"` (custom ops in C, builtin ops in NumPy) or
            `"reference"` (all ops in NumPy: the definition for the other engines).
        **options: Options of the engine: `num_threads` for `"litert"`, `arena_size` in bytes for `"tflm"`.

    Returns:
        An `Engine`: `.predict(x)`, `.invoke(tensors)`, `.reset()`, `.memory`.

    Raises:
        ValueError: The engine is unknown, or the model is not a valid `.tflite` file, uses an op that the engine lacks,
            or needs more memory than `runtime.model.MOST_ACTIVATIONS`.
        TypeError: `model` has another type.
        FileNotFoundError: The file does not exist.
        ImportError: The engine's package is not installed.
        RuntimeError: The C core is missing because the package was installed without a C compiler.
    """
    if not isinstance(engine, str) or engine not in _ENGINES:
        raise ValueError(f"engine must be one of {sorted(_ENGINES)}; given: {engine!r}.")
    module, name = _ENGINES[engine]
    with packages_of("convert", f"engine {engine!r}"):
        from keras_sparse_rnn.runtime.model import Model

        kind = getattr(import_module(module), name)
    return kind(Model.of(model), **options)


def scale_thresholds(model: ModelSource, scale: float) -> bytes:
    """Multiplies the thresholds of a delta network by a scale.

    A larger scale means fewer changes, so fewer MACs and a larger error. In integers, scaled thresholds are rounded
    down to whole counts, which matters where they are small.

    Args:
        model: Path of a `.tflite` file, its bytes, a `Model`, or what `ksr.convert` returns. It is not changed.
        scale: From 0, where nothing is held, to 255.99, in steps of 1/256. 1 leaves the thresholds as they are.

    Returns:
        The bytes of the new `.tflite` file, which every engine and `save_firmware` take. They say nothing of the scale:
        scale the original again, not the result.

    Raises:
        ValueError: `scale` is out of range, or the model holds neither inputs nor states.

    Example:

    >>> for scale in (0.5, 1, 2):
    ...     engine = ksr.runtime.load(ksr.runtime.scale_thresholds(converted, scale))
    ...     print(scale, np.mean((engine.predict(x) - y) ** 2))
    """
    with packages_of("convert", "scale_thresholds"):
        from keras_sparse_rnn.runtime.threshold_scale import with_scaled_thresholds
    return with_scaled_thresholds(model, scale)
