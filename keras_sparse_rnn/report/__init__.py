"""A page that shows what a model holds, does and costs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_sparse_rnn.extras import packages_of
from keras_sparse_rnn.progress import Progress
from keras_sparse_rnn.typing import Arrays, ModelSource

if TYPE_CHECKING:
    import keras

__all__ = ["report"]

SUFFIXES = (".html", ".htm")


def report(
    model: "keras.Model | ModelSource",
    data: Arrays | None = None,
    path: str | os.PathLike[str] = "report.html",
    *,
    cpu: str | None = "cortex-m4",
    step_ms: float | None = None,
    **options: Any,
) -> Path:
    """Writes a page of HTML about a model: one file, which needs no network.

    It shows totals; bytes, MACs and instructions of each op; the memory map and the ops to register; the zeros of each
    layer and gate; the pattern of the weights; which units fire; and the error against Keras along a sequence. An
    unknown value is a "?", and the page says why: instructions need the cross compiler and QEMU (`firmware.qemu`), the
    arena needs the `tflite-micro` wheel, events and effective MACs need data.

    Args:
        model: A Keras model, which is converted, or a `.tflite` model: its path, its bytes, or the result of
            `ksr.convert`. The path of a `.keras` file is accepted as well.
        data: Typical inputs, `(samples, time, ...)`; a hundred are enough.
        path: Path of the page; an existing file is replaced.
        cpu: The core whose instructions are counted, a key of `firmware.bench.CPUS`; None counts none.
        step_ms: Milliseconds per time step, for the axes.
        **options: Options of `ksr.convert` for a Keras model; by default int8 with data, and float32 without.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: The model's file, or the folder of `path`, does not exist.
        ImportError: A package of the extra `report` or `convert` is not installed.
        ValueError: The model cannot be read, `cpu` is unknown, or `path` is the model's path or has the suffix of
            another kind of file.

    Example:

    >>> ksr.report(model, x_test, "report.html")
    """
    from keras_sparse_rnn.files import check_path, write_file

    with packages_of("report", "ksr.report"):
        from keras_sparse_rnn.firmware.bench import CPUS
        from keras_sparse_rnn.report.facts import gather
        from keras_sparse_rnn.report.page import render

    inputs = [model] if isinstance(model, (str, os.PathLike)) else []
    check_path(path, SUFFIXES, inputs)
    if cpu is not None and cpu not in CPUS:
        raise ValueError(f"cpu must be None or one of {list(CPUS)}; given: {cpu!r}.")
    if isinstance(model, (str, os.PathLike)) and Path(model).suffix in (".keras", ".h5"):
        import keras

        model = keras.models.load_model(model, compile=False)
    with Progress("report") as progress:
        facts = gather(model, data, cpu, options, progress)
        page = render(facts, step_ms, progress)
    write_file(path, page.encode(), SUFFIXES)
    return Path(path)
