"""Sparsity, activity and cost of each layer among the logs of a fit."""

from typing import Any

import keras
from numpy.typing import ArrayLike

from keras_sparse_rnn.profiling import profile
from keras_sparse_rnn.typing import Arrays


class SparsityLogger(keras.callbacks.Callback):
    """Puts the sparsity, activity and MACs of each layer into the logs at the end of each epoch.

    So the progress bar, `History`, and the `CSVLogger` and `TensorBoard` that are listed behind it show them:
        `{layer}_sparsity`: share of the weights of its kernels that are zero, in [0, 1]
        `{layer}_activity`: with `data`, share of the units that act on the recurrence in a step, in [0, 1]
        `{layer}_macs`: with `data`, multiply-accumulates of a time step, as `profiling.count_macs` has them
        `macs`: with `data`, their sum over the recurrent layers
    List it behind the callback that prunes.

    Args:
        data: Inputs (samples, time, ...) to count on, as for `model.predict`. A few hundred samples: they run through
            the model at each epoch's end. None for the sparsity alone.
        valid: Boolean array (samples, time), True for the steps to count; by default all.

    Raises:
        ValueError: In `fit`, if `data` are given and the MACs of the model cannot be counted.

    Example:

    >>> logger = ksr.callbacks.SparsityLogger(x[:256])
    >>> model.fit(x, y, callbacks=[pruning, logger, keras.callbacks.CSVLogger("log.csv")])
    """

    def __init__(self, data: Arrays | None = None, valid: ArrayLike | None = None) -> None:
        super().__init__()
        self.data = data
        self.valid = valid

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None:
            return
        measured = profile(self.model, self.data, self.valid)
        if self.data is not None and measured.not_counted:
            raise ValueError(f"SparsityLogger cannot count on its data: {measured.not_counted}")
        for layer in measured.layers:
            logs[f"{layer.name}_sparsity"] = layer.sparsity
            if layer.events is not None:
                logs[f"{layer.name}_activity"] = layer.events
                logs[f"{layer.name}_macs"] = layer.effective_macs
        if self.data is not None:
            logs["macs"] = measured.total("effective_macs")
