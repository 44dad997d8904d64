"""Logs the sparsity, activity and cost of each layer during a fit."""

import contextlib
import warnings
from os import PathLike
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.extras import packages_of
from keras_sparse_rnn.profiling import profile, record_events
from keras_sparse_rnn.sparsity import find_kernels
from keras_sparse_rnn.sparsity.kernels import check_selection
from keras_sparse_rnn.typing import Arrays, LayerSelection, is_integer


class SparsityLogger(keras.callbacks.Callback):
    """Adds the sparsity, activity and MACs of each layer to the logs at the end of each epoch.

    The progress bar, `History`, and `CSVLogger` and `TensorBoard` if they come after this callback, then show:
        `{layer}_sparsity`: fraction of the weights of the layer's kernels that are zero, in [0, 1]
        `{layer}_activity`: with `data`, fraction of the units that act on the recurrence in a step, in [0, 1]; only
            for layers whose units can be inactive, such as EventGRU
        `{layer}_macs`: with `data`, multiply-accumulates per time step, as in `profiling.count_macs`
        `macs`: with `data`, multiply-accumulates per sample in all selected layers, if all of them can be counted
    Put this callback after the callback that prunes.

    With `picture_dir`, TensorBoard also gets pictures, on any backend: the pattern of each kernel (`weights/...`) and,
    with `data`, the events of the first sample (`events/...`), as drawn by `ksr.plot`.

    Args:
        data: Inputs (samples, time, ...) to count on, as for `model.predict`. Use a few hundred samples: the model runs
            on them at the end of each epoch. None logs the sparsity only.
        valid: Boolean array (samples, time), True for the steps to count; by default all.
        layers: The layers to log, as in `MagnitudePruning`. None selects the recurrent layers.
        picture_dir: Folder for the pictures for TensorBoard, such as `"pictures"` inside the `log_dir` of
            `keras.callbacks.TensorBoard`. None draws no pictures. Requires matplotlib, tensorflow and tensorboard.
        picture_freq: Number of epochs between pictures, at least 1.

    Raises:
        ValueError: If `picture_freq` is not an integer >= 1; in `fit`, if `valid` does not fit the data or `layers`
            selects nothing.
        ImportError: If a package that pictures require is not installed.

    Example:

    >>> logger = ksr.callbacks.SparsityLogger(x[:256], picture_dir="logs/pictures")
    >>> board = keras.callbacks.TensorBoard("logs")
    >>> model.fit(x, y, callbacks=[pruning, logger, keras.callbacks.CSVLogger("log.csv"), board])
    """

    def __init__(
        self,
        data: Arrays | None = None,
        valid: ArrayLike | None = None,
        layers: LayerSelection = None,
        picture_dir: str | PathLike[str] | None = None,
        picture_freq: int = 1,
    ) -> None:
        super().__init__()
        if not (is_integer(picture_freq) and picture_freq >= 1):
            raise ValueError(f"picture_freq={picture_freq!r}: must be an integer >= 1.")
        if picture_dir is not None and not isinstance(picture_dir, (str, PathLike)):
            raise ValueError(f"picture_dir={picture_dir!r}: must be the path of a folder, or None.")
        self.data = data
        self.valid = valid
        self.layers = check_selection(layers)
        self.picture_dir = picture_dir
        self.picture_freq = picture_freq
        self._board = None if picture_dir is None else _Board(picture_dir)
        self._told = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        measured = profile(self.model, self.data, self.valid, layers=self.layers)
        if self.data is not None and measured.not_counted and not self._told:
            self._told = True
            warnings.warn(f"SparsityLogger cannot count all MACs: {measured.not_counted}", stacklevel=2)
        logs = {} if logs is None else logs
        for layer in measured.layers:
            logs[f"{layer.name}_sparsity"] = layer.sparsity
            if layer.events is not None and layer.skips != "nothing":
                logs[f"{layer.name}_activity"] = layer.events
            if layer.effective_macs is not None:
                logs[f"{layer.name}_macs"] = layer.effective_macs
        if measured.total("effective_macs") is not None:
            logs["macs"] = measured.total("effective_macs")
        if self._board and epoch % self.picture_freq == 0:
            self._draw(epoch)

    def _draw(self, epoch):
        from keras_sparse_rnn import plot

        for kernel in find_kernels(self.model, self.layers, frozen=True)[0]:
            values = kernel.values()
            block = (1, min(4, values.shape[1] // kernel.gates))
            with self._board.picture(f"weights/{kernel.path}", epoch) as axes:
                plot.weights(values, gates=kernel.gate_names, block_shape=block, ax=axes)
        if self.data is not None:
            first = keras.tree.map_structure(lambda x: x[:1], self.data)
            for name, active in record_events(self.model, first).items():
                with self._board.picture(f"events/{name}", epoch) as axes:
                    plot.events(active[0], ax=axes)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._board:
            self._board.writer.flush()


class _Board:
    """Writes TensorBoard files to a folder."""

    def __init__(self, folder):
        with packages_of("report", "picture_dir"):
            import matplotlib  # noqa: F401
            import tensorboard  # noqa: F401
            import tensorflow as tf
        self._tf = tf
        self.writer = tf.summary.create_file_writer(str(folder))

    @contextlib.contextmanager
    def picture(self, name, step):
        """Yields axes to draw into, and then writes the picture."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        canvas = FigureCanvasAgg(Figure(figsize=(9, 4), layout="constrained"))
        yield canvas.figure.subplots()
        canvas.draw()
        with self.writer.as_default():
            self._tf.summary.image(name, np.asarray(canvas.buffer_rgba())[None, ..., :3], step=step)
