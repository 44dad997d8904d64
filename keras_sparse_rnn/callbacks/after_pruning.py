"""Callbacks that begin to count when pruning has ended."""

from typing import Any

import keras

from keras_sparse_rnn.callbacks.fit_outcome import mask_callbacks


class AfterPruning(keras.callbacks.CallbackList):
    """Keeps the ends of epochs and batches from other callbacks until the model is as sparse as it is to be.

    Around a callback that chooses an epoch: `EarlyStopping`, `ModelCheckpoint(save_best_only=True)`,
    `ReduceLROnPlateau`. By its loss the best epoch often is one before the weights are pruned. So wrapped, they see the
    epochs only at whose end the schedules of all mask callbacks of the fit have ended (or have acted, if they have no
    end; a fixed density, as that of `RigL`, is there from the beginning). Everything else they get as ever.

    Args:
        *callbacks: Keras callbacks.

    Raises:
        ValueError: In `fit`, if no callback there keeps masks.

    Example:

    >>> stopping = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    >>> model.fit(x, y, validation_split=0.1, callbacks=[pruning, ksr.callbacks.AfterPruning(stopping)])
    """

    def __init__(self, *callbacks: keras.callbacks.Callback) -> None:
        super().__init__(list(callbacks))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._is_due()
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_due():
            super().on_epoch_end(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_due():
            super().on_train_batch_end(batch, logs)

    def _is_due(self):
        pruning = mask_callbacks(self.params)
        if not pruning:
            names = ", ".join(type(callback).__name__ for callback in self.callbacks)
            raise ValueError(
                f"AfterPruning({names}): no callback of this fit prunes. Give fit one, such as MagnitudePruning, or "
                f"give it {names} without AfterPruning."
            )
        return all(callback.complete for callback in pruning)
