"""What all callbacks share that keep masks on a model while it trains."""

import abc
import warnings
from typing import Any

import keras

from keras_sparse_rnn.sparsity import Masks, find_kernels
from keras_sparse_rnn.sparsity.blocks import check_block_shape
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction


class MaskCallback(keras.callbacks.Callback, abc.ABC):
    """Base of the callbacks that keep masks: finds the kernels, asks the schedule, keeps masked weights at zero.

    A method is a subclass with two short functions: `start(step)` makes the masks when training begins,
    `update(step, value)` changes them whenever the schedule acts. Masked weights, and their moving averages if the
    optimizer has `use_ema=True`, are set to zero after every call of the train function (every `steps_per_execution`
    steps), and the weights once more when `fit` has finished, where optimizers and other callbacks may have replaced
    them. So the model always is a plain Keras model with zeros in it.

    Put it first in the list of callbacks: those behind it see, save and log the masked model and its sparsity.

    Args:
        schedule: Function of the optimizer step that returns `(due, value)`; see `keras_sparse_rnn.schedules`.
        block_shape: Pair (rows, cols): weights are masked in blocks of this shape, which never cross a gate.
        layers: Which layers; None for all recurrent ones. See `keras_sparse_rnn.sparsity.find_kernels`.

    Attributes:
        masks: The `keras_sparse_rnn.sparsity.Masks`, from the beginning of `fit`.
        skipped: From the beginning of `fit`, a dict: for each layer or weight left out, why.

    Raises:
        ValueError: If an argument is outside what is allowed; in `fit`, if the model is not compiled, has nothing to
            prune, a layer is not found, a block is larger than a gate, or another callback masks the same kernel.
    """

    def __init__(
        self, schedule: ScheduleFunction, block_shape: BlockShape = (1, 1), layers: LayerSelection = None
    ) -> None:
        super().__init__()
        if not callable(schedule):
            raise ValueError(
                f"schedule={schedule!r}: must be a function step -> (due, value), such as "
                "schedules.PolynomialDecay(0.0, 0.9, begin_step=0, end_step=1000)."
            )
        self.schedule = schedule
        self.block_shape = check_block_shape(block_shape)
        self.layers = layers
        self.masks: Masks  # from the beginning of fit
        self.skipped: dict[str, str] = {}
        self._step: Any = None

    def start(self, step: int) -> None:
        """Makes the masks for a training that begins, or goes on, at optimizer step `step`."""
        self.masks.recover()

    @abc.abstractmethod
    def update(self, step: int, value: float) -> None:
        """Changes the masks at a `step` at which the schedule acts with `value`."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        model = self.model
        if getattr(model, "optimizer", None) is None:
            raise ValueError(f"The model {model.name!r} is not compiled: call model.compile() before training.")
        kernels, self.skipped = find_kernels(model, self.layers)
        if not kernels:
            raise ValueError(f"The model {model.name!r} has nothing to prune. Skipped: {self.skipped}.")
        self._claim(kernels)
        self.masks = Masks(kernels, self.block_shape)
        self._step = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Not in on_train_begin: there BackupAndRestore may still have to load the weights that masks are read from.
        if self._step is None:
            self._step = self._iterations()
            self._warn_of_short_fit(epoch)
            self.start(self._step)
            self._apply()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        last, self._step = self._step, self._iterations()
        acted = [(step, value) for step in range(last + 1, self._step + 1) for due, value in [self.ask(step)] if due]
        # Before masked weights are set to zero again: a method may let those return that their gradient has revived.
        if acted:
            self.update(*acted[-1])
        self._apply()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            of_fit = {id(callback): callback.masks for callback in self._claims().values()} or {0: self.masks}
            sizes = [masks.size for masks in of_fit.values()]
            masked = [masks.sparsity * masks.size for masks in of_fit.values()]
            logs["sparsity"] = sum(masked) / sum(sizes)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._apply()

    def ask(self, step: int) -> tuple[bool, float]:
        """`(due, value)` of the schedule at `step`, as bool and float. Its last step is always due."""
        due, value = self.schedule(step)
        return bool(due) or step == self._end_step, float(value)

    def last_acted(self, step: int) -> tuple[int, float] | None:
        """`(step, value)` of the schedule's last action at or before `step`, or None."""
        newest = step if self._end_step < 0 else min(step, self._end_step)
        for candidate in range(newest, getattr(self.schedule, "begin_step", 0) - 1, -1):
            due, value = self.ask(candidate)
            if due:
                return candidate, value
        return None

    @property
    def _end_step(self):
        return getattr(self.schedule, "end_step", -1)

    def _iterations(self):
        # `self.model`, not a reference kept: on JAX this property brings the state of training back into the model.
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))

    def _apply(self):
        self.masks.apply(moving_averages(self.model.optimizer))

    def _claim(self, kernels):
        claims = self._claims()
        for kernel in kernels:
            if claims.setdefault(id(kernel.variable), self) is not self:
                raise ValueError(
                    f"{kernel.path} is pruned by two callbacks of this fit. Divide the layers among them with `layers`."
                )

    def _claims(self):
        """Which callback masks which kernel in this fit: a dict from `id(variable)`."""
        # Keras hands all callbacks of one fit the same `params`: what lies there lives exactly as long as the fit.
        return self.params.setdefault("masked_kernels", {}) if self.params else {}

    def _warn_of_short_fit(self, epoch):
        params = self.params or {}
        if not params.get("steps") or not params.get("epochs"):
            return
        accumulated = getattr(self.model.optimizer, "gradient_accumulation_steps", None) or 1
        last = self._step + (params["epochs"] - epoch) * params["steps"] // accumulated
        begin = getattr(self.schedule, "begin_step", 0)
        if last < begin or self._step < self._end_step > last:
            when = f"begins at step {begin}" if last < begin else f"ends at step {self._end_step}"
            warnings.warn(
                f"This fit goes to optimizer step {last} only, but the schedule of {type(self).__name__} {when}.",
                stacklevel=2,
            )


def moving_averages(optimizer):
    """Maps `id(variable)` to its moving average for an optimizer with `use_ema=True`; else an empty dict."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # LossScaleOptimizer
    averages = {}
    for part in getattr(optimizer, "optimizers", [optimizer]):  # MultiOptimizer
        if getattr(part, "use_ema", False) and part.built:
            # Private, as in keras.callbacks.SwapEMAWeights: there is no public way to an optimizer's averages.
            pairs = zip(part._trainable_variables, part._model_variables_moving_average, strict=True)
            averages.update((id(variable), average) for variable, average in pairs)
    return averages
