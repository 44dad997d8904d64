"""Base class of the callbacks that mask weights during training."""

import abc
import math
import warnings
from typing import Any, Literal

import keras

from keras_sparse_rnn.callbacks.fit_clock import FitClock
from keras_sparse_rnn.callbacks.fit_outcome import claim_kernels, is_looked_at, mask_callbacks, warn_if_less_sparse
from keras_sparse_rnn.callbacks.optimizer_state import most_updates, moving_averages, optimizer_of, optimizers_of
from keras_sparse_rnn.sparsity import Kernel, Masks, select_kernels
from keras_sparse_rnn.sparsity.blocks import check_block_shape
from keras_sparse_rnn.sparsity.kernels import check_selection
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction


class MaskCallback(keras.callbacks.Callback, abc.ABC):
    """Base class of the callbacks that mask weights: finds the kernels, follows the schedule, applies the masks.

    A method is a subclass with two short functions: `start(step)` creates the masks when training starts, and
    `update(step, value)` changes them whenever the schedule is due. Masked weights, and their moving averages if the
    optimizer has `use_ema=True`, are set to zero after every call of the train function (every `steps_per_execution`
    steps). The weights are set to zero once more at the end of `fit`, where optimizers and other callbacks may have
    replaced them. So the model is a plain Keras model with zeros in its weights. In a custom training loop, use
    `ksr.Pruner`.

    Steps are updates of the optimizer that trains the kernels. They are counted from the beginning of epoch 0, so that
    a fit with an `initial_epoch`, or one that `BackupAndRestore` resumes, continues where it stopped.

    At the end of `fit`, after all other callbacks, the sparsity of the model is compared with that of the schedule. If
    the model is less sparse, for whatever reason, a warning states both numbers.

    Put it first in the list of callbacks, so that the others see, save and log the masked model and its sparsity.

    Args:
        schedule: Function of the step that returns `(due, value)`; see `keras_sparse_rnn.schedules`.
        block_shape: Pair (rows, cols): weights are masked in blocks of this shape, which never cross a gate.
        layers: The layers to mask; None for all recurrent ones. See `keras_sparse_rnn.sparsity.find_kernels`.
        count_from: `"fit"`: step 0 is the beginning of this training. `"optimizer"`: step 0 is that of the optimizer,
            whose count goes on in a second `fit`, and in a model that is loaded with its optimizer.

    Attributes:
        masks: The `keras_sparse_rnn.sparsity.Masks`. Available once `fit` has started.
        skipped: Dict that maps each layer or weight that is left out to the reason. Available once `fit` has started.
        step: The current step of training.

    Raises:
        ValueError: If an argument is outside its range; in `fit`, if the model is not compiled, has nothing to prune, a
            layer is not found or cannot be pruned, a block is larger than a gate, another callback masks the same
            kernel, or the schedule is in fractions of a fit whose length is not known.
    """

    keeps_frozen = False  # whether it also masks weights that are not trainable

    def __init__(
        self,
        schedule: ScheduleFunction,
        block_shape: BlockShape = (1, 1),
        layers: LayerSelection = None,
        count_from: Literal["fit", "optimizer"] = "fit",
    ) -> None:
        super().__init__()
        if not callable(schedule):
            raise ValueError(
                f"schedule={schedule!r}: must be a function step -> (due, value), such as "
                "schedules.PolynomialDecay(0.0, 0.9, begin=0.25, end=0.75)."
            )
        if count_from == "optimizer" and getattr(schedule, "begin", None) is not None:
            raise ValueError(
                "count_from='optimizer': shares and epochs are of a fit. Give the schedule begin_step and end_step."
            )
        self.schedule = schedule
        self.block_shape = check_block_shape(block_shape)
        self.layers = check_selection(layers)
        self.count_from = count_from
        self.masks: Masks  # from the beginning of fit
        self.skipped: dict[str, str] = {}
        self._step: Any = None
        self._first_step = self._batches = 0
        self._unread = 0  # the most steps that may have been made since the step was read
        self._next_due: float = 0  # no step before this one is due
        self._most_updates: int | None = None  # of a batch
        self._only_optimizer: Any = None
        self._clock = FitClock(count_from)
        self._in_steps: Any = None  # the schedule, once it is known in steps
        self._given_optimizer: Any = None
        self._last_action: tuple[int, float] | None = None

    def start(self, step: int) -> None:
        """Creates the masks for a training that starts or resumes at `step`."""
        self.masks.recover()

    @abc.abstractmethod
    def update(self, step: int, value: float) -> None:
        """Updates the masks at a `step` at which the schedule is due with `value`."""

    def asked(self) -> float | None:
        """Returns the final sparsity that the method asks for, in [0, 1]; None if it asks for none in particular."""
        return None

    @property
    def complete(self) -> bool:
        """Whether the model has its final sparsity: the schedule has ended or, if it has no end, has acted."""
        if self._in_steps is None or self._end_step < 0:
            return self._last_action is not None
        return self.step >= self._end_step

    @property
    def step(self) -> Any:
        """The current step of training; None before it has begun."""
        if self._unread:
            self.step = self._clock.step(self.optimizer)
        return self._step

    @step.setter
    def step(self, step: int | None) -> None:
        self._step, self._unread = step, 0

    def masks_over(self, kernels: list[Kernel]) -> Masks:
        """Returns the masks of this method over some kernels, with nothing masked yet."""
        return Masks(kernels, self.block_shape)

    def find(self) -> None:
        """Finds the kernels of the model; warns of selected layers that cannot be pruned."""
        kernels, self.skipped, left_out = select_kernels(self.model, self.layers, self.keeps_frozen)
        if not kernels:
            raise ValueError(f"The model {self.model.name!r} has nothing to prune. Skipped: {self.skipped}.")
        if left_out:
            told = "; ".join(f"{path}: {reason}" for path, reason in left_out.items())
            warnings.warn(f"{type(self).__name__} leaves out what it was to prune. {told}.", stacklevel=2)
        self.masks = self.masks_over(kernels)
        self.step = self._in_steps = self._last_action = None

    def begin(self, step: int, schedule: ScheduleFunction | None, optimizer: Any = None) -> None:
        """Starts or resumes training at `step`.

        Args:
            step: The step.
            schedule: The schedule in steps, or None if it is not known in steps yet.
            optimizer: The Keras or PyTorch optimizer, if the model is not compiled with it.
        """
        self._given_optimizer = optimizer
        self.step = self._first_step = step
        self._in_steps, self._batches = schedule, 0
        self._last_action = self.last_acted(step)
        self._next_due = 0
        self.start(step)
        self.apply()

    def advance(self, step: int) -> None:
        """Updates the masks for all steps up to `step`, and sets masked weights to zero."""
        last, self.step = self._step, step
        acted = [(at, value) for at in range(last + 1, step + 1) for due, value in [self.ask(at)] if due]
        # Before masked weights are set to zero again, as a method may let weights return that the gradient has moved.
        if acted:
            self._last_action = acted[-1]
            self.update(*acted[-1])
        self._next_due = self._due_after(step)
        self.apply()

    def apply(self) -> None:
        """Sets the masked weights, and their moving averages, to zero."""
        self.masks.apply(moving_averages(self.optimizer))

    @property
    def optimizer(self) -> Any:
        """The optimizer that trains the kernels; in a model with several, such as a GAN, the one that holds them."""
        # `self.model`, not a stored reference: on JAX this property copies the training state back into the model.
        model, known = self.model, self._given_optimizer or self._only_optimizer
        return known or optimizer_of(model, [kernel.variable for kernel in self.masks.kernels], self._clock.bases)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._clock.wind(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        model, optimizer = self.model, getattr(self.model, "optimizer", None)
        if optimizer is None:
            raise ValueError(f"The model {model.name!r} is not compiled: call model.compile() before training.")
        self.find()
        claim_kernels(self)
        held = optimizers_of(model)
        self._only_optimizer = held[0] if len(held) == 1 else None
        # Where data of unknown size end, TensorFlow counts an update that it does not make.
        self._most_updates = most_updates(model) if (self.params or {}).get("steps") else None
        if type(model).train_step is keras.Model.train_step and not optimizer.built:
            # Keras would build it within the train step, which TensorFlow then traces a second time.
            optimizer.build(model.trainable_variables)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Not in on_train_begin: there BackupAndRestore may still have to load the weights that masks are read from.
        if self.step is None:
            step = self._clock.start(self.optimizer, epoch, self.params or {})
            self.begin(step, self._clock.in_steps(self.schedule))
            self._warn_of_short_fit(self._clock.last(step, epoch))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        # Reading the step takes as long as masking. Before a step can be due it is not needed.
        if self._most_updates and self._step + self._unread + self._most_updates < self._next_due:
            self._unread += self._most_updates
            self.apply()
        else:
            self.advance(self._clock.step(self.optimizer))

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        # On JAX, when data of unknown size end, Keras restores the state from before the last on_train_batch_end.
        if self.step is not None:
            self.apply()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._in_steps is None:
            self._clock.learn(self.step, epoch)
            self._in_steps = self._clock.in_steps(self.schedule)
            self._last_action = self.last_acted(self.step)
            self._next_due = 0
            if self._last_action:
                self.update(*self._last_action)
        self.apply()
        if logs is not None:
            of_fit = [callback.masks for callback in mask_callbacks(self.params) or [self]]
            logs["sparsity"] = sum(masks.sparsity * masks.size for masks in of_fit) / sum(m.size for m in of_fit)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        returned = self.masks.sparsity - self.masks.zeros()
        self.apply()
        if returned > 0:
            warnings.warn(
                f"{type(self).__name__} has masked {self.masks.sparsity:.3g} of the weights, but {returned:.3g} were "
                "not zero when fit ended: another callback has restored an earlier epoch's. They are masked now, "
                "by masks that they were not trained with. Give fit ksr.callbacks.AfterPruning(keras.callbacks."
                "EarlyStopping(...)), which starts when pruning has ended.",
                stacklevel=2,
            )
        if not is_looked_at(self):
            warn_if_less_sparse(self)

    def ask(self, step: int) -> tuple[bool, float]:
        """Returns `(due, value)` of the schedule at `step`, a bool and a float. Its last step is always due."""
        if self._in_steps is None:
            return False, 0.0
        given = self._in_steps(step)
        try:
            due, value = given
            return bool(due) or step == self._end_step, float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"schedule({step}) gave {given!r}: must be a pair (due, value) of a bool and a number."
            ) from error

    def last_acted(self, step: int) -> tuple[int, float] | None:
        """Returns `(step, value)` of the schedule's last action at or before `step`, or None."""
        newest = step if self._end_step < 0 else min(step, self._end_step)
        for candidate in range(newest, self._begin_step - 1, -1):
            due, value = self.ask(candidate)
            if due:
                return candidate, value
        return None

    def last_value(self) -> float | None:
        """Returns the schedule's final value.

        If the schedule has no end, this is the value of its last action or, before it has begun, of its first. None if
        the schedule is not known in steps yet.
        """
        if self._in_steps is None:
            return None
        if self._end_step >= 0:
            return self.ask(self._end_step)[1]
        if self._last_action:
            return self._last_action[1]
        return self.ask(max(self.step, self._begin_step))[1]

    def warn_of_empty_kernels(self) -> None:
        """Warns of kernels of which all weights are masked."""
        for kernel, kept in zip(self.masks.kernels, self.masks.kept, strict=True):
            if not kept.any():
                warnings.warn(
                    f"{type(self).__name__} has set all weights of {kernel.path} to zero. Ask for less, or leave this "
                    "layer out with `layers`.",
                    stacklevel=3,
                )

    def course(self, step: int) -> str:
        """Describes when the schedule begins or ends, or when it acted last, as seen from `step`."""
        if step < self._begin_step:
            return f"begins at step {self._begin_step}"
        if step < self._end_step:
            return f"ends at step {self._end_step}"
        return f"acted last at step {self._last_action[0]}" if self._last_action else "has not acted"

    def _due_after(self, step):
        """Returns a step before which no further step is due."""
        if self._in_steps is None:
            return math.inf  # until on_epoch_end
        return self._in_steps.next_due(step) if hasattr(self._in_steps, "next_due") else step + 1

    @property
    def idle_batches(self) -> int:
        """Number of batches of this fit if the optimizer has made no update in them; else 0."""
        return self._batches if self.step == self._first_step else 0

    @property
    def _begin_step(self):
        return getattr(self._in_steps, "begin_step", 0)

    @property
    def _end_step(self):
        return getattr(self._in_steps, "end_step", -1)

    def _warn_of_short_fit(self, last):
        if last is not None and (last < self._begin_step or self.step < self._end_step > last):
            warnings.warn(
                f"This fit goes to step {last} only, but the schedule of {type(self).__name__} {self.course(last)}.",
                stacklevel=2,
            )
