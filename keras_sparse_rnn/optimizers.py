"""Sparse averaged gradient descent."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.typing import Tensor, is_integer, is_number


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class SNTASGD(keras.optimizers.Optimizer):
    """Sparse non-monotonically triggered averaged gradient descent (Liu et al. 2021, arXiv:2101.09048).

    Plain gradient descent. Once the validation loss no longer falls, the optimizer also averages each weight over the
    steps since then; the averages are evaluated and kept. It requires `callbacks.NonMonotonicTrigger`, which starts the
    averaging and exchanges weights and averages when `fit` evaluates and saves. For a weight w, its average a and the
    number s of steps in this average:

        w <- w - learning_rate * (gradient + weight_decay * w)
        s <- 0 and a <- 0 where w is masked, else s + 1
        a <- a + mu * (w - a)      mu = 1 / max(1, s - 1), in tensors without masked weights 1 / max(1, s)

    So a removed weight loses its average, and a weight that grows again starts a new one. A weight counts as masked if
    it is exactly zero when a step begins: all callbacks of this package leave masked weights at zero, and a trained
    weight is zero only by accident. In that case only its average starts anew.

    The optimizer keeps all its state in variables, so training that is restored from a saved model or by
    `BackupAndRestore` continues as if it had not stopped.

    Args:
        learning_rate: Float, a Keras schedule, or a function without arguments. The paper uses 15 to 40, with
            `global_clipnorm=0.25`.
        interval: Number n of epochs, >= 1. Averaging starts in an epoch whose validation loss is larger than the
            smallest one of the epochs up to n before the last. 5 in the paper.
        weight_decay: Float or None; 1.2e-6 in the paper.
        name, **arguments: As in all Keras optimizers: `clipnorm`, `clipvalue`, `global_clipnorm`, `loss_scale_factor`,
            `gradient_accumulation_steps`.

    Raises:
        ValueError: If `interval` is not an integer >= 1, `weight_decay` is negative or not a number, or `use_ema` is
            set, since there can be only one average.

    Example:

    >>> model.compile(ksr.optimizers.SNTASGD(15.0, weight_decay=1.2e-6, global_clipnorm=0.25), loss)
    >>> callbacks = [ksr.callbacks.SelfishRNN(density=0.33), ksr.callbacks.NonMonotonicTrigger()]
    >>> model.fit(x, y, validation_data=(x_val, y_val), callbacks=callbacks)
    """

    def __init__(
        self,
        learning_rate: Any,
        interval: int = 5,
        weight_decay: float | None = None,
        name: str = "snt_asgd",
        **arguments: Any,
    ) -> None:
        if arguments.get("use_ema"):
            raise ValueError("use_ema=True: SNTASGD averages the weights itself; leave use_ema out.")
        if not (is_integer(interval) and interval >= 1):
            raise ValueError(f"interval={interval!r}: must be an integer >= 1.")
        if weight_decay is not None and not (is_number(weight_decay) and weight_decay >= 0):
            raise ValueError(f"weight_decay={weight_decay!r}: must be a number >= 0, or None.")
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **arguments)
        self.interval = int(interval)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._averages = [self.add_variable_from_reference(v, name="average") for v in variables]
        self._counts = [self.add_variable_from_reference(v, name="count") for v in variables]
        self._averaging = self.add_variable((), name="averaging")
        self._exchanged = self.add_variable((), name="exchanged")
        # The smallest loss up to `interval` epochs before the last, then those of the last `interval` epochs.
        self._losses = self.add_variable(
            (1 + self.interval,), initializer=keras.initializers.Constant(np.inf), name="losses"
        )

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        average, count = self._averages[index], self._counts[index]
        masked = ops.equal(ops.convert_to_tensor(variable), 0)
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, ops.multiply(ops.cast(gradient, variable.dtype), rate))

        w, a, s = (ops.convert_to_tensor(v) for v in (variable, average, count))
        s = ops.where(masked, ops.zeros_like(s), s + ops.cast(self._averaging, s.dtype))
        mu = 1 / ops.maximum(s - ops.cast(ops.any(masked), s.dtype), 1)
        self.assign(count, s)
        # Not a + mu * (w - a), which for mu = 1 is not quite w.
        self.assign(average, ops.where(masked, ops.zeros_like(a), mu * w + (1 - mu) * a))

    @property
    def averaging(self) -> bool:
        """Whether averaging has started."""
        return bool(self.built and ops.convert_to_numpy(self._averaging.value))

    def observe(self, loss: float) -> None:
        """Takes the validation loss of an epoch, a float, and starts averaging if it has ceased to fall.

        With hist the losses of earlier epochs and n the interval: if len(hist) > n and loss > min(hist[:-n]).
        """
        best, oldest, *recent = ops.convert_to_numpy(self._losses.value).tolist()
        if loss > best:
            self._averaging.assign(1)
        self._losses.assign([min(best, oldest), *recent, loss])

    def swap_in(self) -> None:
        """Puts the averages into the model in place of the weights, if averaging has started.

        Weights that are not averaged yet keep their values, and masked weights stay zero. The optimizer keeps the
        replaced weights. Do not train in this state: call `swap_out` first.
        """
        if self.averaging and not self._swapped:
            for variable, average, count in self._triples():
                w, a, s = (ops.convert_to_tensor(v) for v in (variable, average, count))
                # Since the last step, a mask may have changed and a weight may have grown.
                _exchange(variable, average, ops.where(ops.equal(w, 0) | ops.equal(s, 0), w, a))
            self._exchanged.assign(1)

    def swap_out(self) -> None:
        """Puts the weights back if the averages are in the model."""
        if self.averaging and self._swapped:
            for variable, average, _ in self._triples():
                _exchange(variable, average, ops.copy(average))
            self._exchanged.assign(0)

    @property
    def _swapped(self):
        return bool(ops.convert_to_numpy(self._exchanged.value))

    def _triples(self):
        return zip(self._trainable_variables, self._averages, self._counts, strict=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interval": self.interval}


def _exchange(variable, average, value):
    """Sets `variable` to the tensor `value`, and stores its previous value in `average`."""
    average.assign(variable)
    variable.assign(value)
