"""When the averaging of `optimizers.SNTASGD` starts, and where its averages stand in for the weights."""

import warnings
from typing import Any

import keras

from keras_sparse_rnn.optimizers import SNTASGD


class NonMonotonicTrigger(keras.callbacks.Callback):
    """Starts the averaging of `optimizers.SNTASGD`, evaluates and saves its averages (arXiv:2101.09048).

    At the end of each epoch it passes the validation loss to the optimizer, which decides when averaging starts. From
    then on the model holds the averages from the validation of an epoch until the next epoch begins, and after `fit`;
    training continues with the weights. So validation, `ModelCheckpoint`, `EarlyStopping`, `BackupAndRestore` and the
    model that `fit` leaves have the averages, with zeros where a weight is masked. Meanwhile the optimizer holds the
    weights and is saved with them: another `fit` with this callback continues with them.

    Put it before all callbacks that save or evaluate. To continue with another optimizer, compile the model again; it
    then starts from the averages.

    The logs contain `averaging` at the end of each epoch: 1.0 if averaging has started, else 0.0.

    Args:
        monitor: Name of the loss in the logs; smaller is better.

    Raises:
        ValueError: In `fit`, if the optimizer is not `SNTASGD`.

    Example:

    >>> model.compile(ksr.optimizers.SNTASGD(15.0, global_clipnorm=0.25), loss)
    >>> model.fit(x, y, validation_data=validation, callbacks=[ksr.callbacks.NonMonotonicTrigger()])
    """

    def __init__(self, monitor: str = "val_loss") -> None:
        super().__init__()
        if not isinstance(monitor, str):
            raise ValueError(f"monitor={monitor!r}: must be the name of a loss in the logs.")
        self.monitor = monitor

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._optimizer()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Not in on_train_begin: there BackupAndRestore may still have to load what was saved with averages in place.
        self._optimizer().swap_out()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._optimizer().swap_in()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer, logs = self._optimizer(), {} if logs is None else logs
        if self.monitor in logs:
            optimizer.observe(float(logs[self.monitor]))
        else:
            warnings.warn(
                f"NonMonotonicTrigger needs monitor={self.monitor!r} in the logs, which have {sorted(logs)}: give fit "
                "validation_data, or a monitor that there is.",
                stacklevel=2,
            )
        logs["averaging"] = float(optimizer.averaging)
        optimizer.swap_in()

    def _optimizer(self):
        # `self.model`, not a stored reference: on JAX this property copies the training state back into the model.
        optimizer = getattr(self.model, "optimizer", None)
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # LossScaleOptimizer
        if not isinstance(optimizer, SNTASGD):
            raise ValueError(
                f"The optimizer is {type(optimizer).__name__}: NonMonotonicTrigger needs optimizers.SNTASGD."
            )
        return optimizer
