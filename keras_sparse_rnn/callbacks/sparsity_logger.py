"""Sparsity, activity and cost of each layer among the logs of a fit."""

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
from keras_sparse_rnn.typing import Arrays, LayerSelection, is_integer


class SparsityLogger(keras.callbacks.Callback):
    """Puts the sparsity, activity and MACs of each layer into the logs at the end of each epoch.

    So the progress bar, `History`, and the `CSVLogger` and `TensorBoard` that are listed behind it show them:
        `{layer}_sparsity`: share of the weights of its kernels that are zero, in [0, 1]
        `{layer}_activity`: with `data`, share of the units that act on the recurrence in a step, in [0, 1];
            only of layers whose units can rest, such as EventGRU
        `{layer}_macs`: with `data`, multiply-accumulates of a time step, as `profiling.count_macs` has them
        `macs`: with `data`, those of a whole sample in all layers that are shown, where all of them can be counted
    List it behind the callback that prunes.

    With `picture_dir` TensorBoard also gets pictures, on any backend: the pattern of each kernel (`weights/...`), and
    with `data` the events of the first sample (`events/...`), as `ksr.plot` draws them.

    Args:
        data: Inputs (samples, time, ...) to count on, as for `model.predict`. A few hundred samples: they run through
            the model at each epoch's end. None for the sparsity alone.
        valid: Boolean array (samples, time), True for the steps to count; by default all.
        layers: Which layers to show, as for `MagnitudePruning`; None stands for the recurrent ones.
        picture_dir: Folder in which to write pictures for TensorBoard, such as a `"pictures"` below the `log_dir` of
            `keras.callbacks.TensorBoard`; None for none. Needs matplotlib, tensorflow and tensorboard.
        picture_freq: Epochs from one picture to the next, at least 1.

    Raises:
        ValueError: `picture_freq` is no integer >= 1, or in `fit` `valid` does not fit, or `layers` selects nothing.
        ImportError: A package that pictures need is not installed.

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
        self.data = data
        self.valid = valid
        self.layers = layers
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
    """TensorBoard's files in a folder."""

    def __init__(self, folder):
        with packages_of("report", "picture_dir"):
            import matplotlib  # noqa: F401
            import tensorboard  # noqa: F401
            import tensorflow as tf
        self._tf = tf
        self.writer = tf.summary.create_file_writer(str(folder))

    @contextlib.contextmanager
    def picture(self, name, step):
        """Axes to draw into; what was drawn is written."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        canvas = FigureCanvasAgg(Figure(figsize=(9, 4), layout="constrained"))
        yield canvas.figure.subplots()
        canvas.draw()
        with self.writer.as_default():
            self._tf.summary.image(name, np.asarray(canvas.buffer_rgba())[None, ..., :3], step=step)
