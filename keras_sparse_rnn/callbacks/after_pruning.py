"""Callbacks that start once pruning has ended."""

from typing import Any

import keras

from keras_sparse_rnn.callbacks.fit_outcome import mask_callbacks


class AfterPruning(keras.callbacks.CallbackList):
    """Hides the ends of epochs and batches from other callbacks until the model has reached its final sparsity.

    Wrap it around callbacks that choose an epoch: `EarlyStopping`, `ModelCheckpoint(save_best_only=True)`,
    `ReduceLROnPlateau`. The epoch with the best loss is often one before the weights are pruned. Wrapped callbacks see
    only the epochs at whose end the schedules of all mask callbacks of the fit have ended. A schedule without an end
    counts as ended once it has acted; a method with a fixed density, such as `RigL`, has its final sparsity from the
    start. All other calls are passed on unchanged.

    Args:
        *callbacks: Keras callbacks.

    Raises:
        ValueError: In `fit`, if no other callback of the fit prunes.

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
