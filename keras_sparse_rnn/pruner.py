"""Pruning without `fit`: in a training loop of one's own, and at once."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras

from keras_sparse_rnn.callbacks import DynamicSparseTraining, MagnitudePruning, MaskCallback
from keras_sparse_rnn.callbacks.fit_outcome import warn_if_less_sparse
from keras_sparse_rnn.callbacks.gradient_record import GivenGradients
from keras_sparse_rnn.callbacks.optimizer_state import moving_averages
from keras_sparse_rnn.schedules import ConstantSparsity, Schedule
from keras_sparse_rnn.sparsity import Masks
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction, Score, Tensor, is_integer, is_number


class Pruner:
    """Prunes a model in a training loop of one's own, on any backend: call `step()` after each update of the weights.

    The loop may be one of `GradientTape`, of `train_on_batch`, of torch's optimizers, or of JAX functions without
    state. `step` does what `MagnitudePruning` does after each batch of `fit`: when the schedule says so it masks the
    smallest weights, and it sets masked weights to zero. It counts its calls.

    Where a loop keeps the weights outside of the model, as JAX does, `step` takes and returns them:

    >>> trainable, state = train_step(trainable, state, x, y)  # a function under jax.jit
    >>> trainable = pruner.step(trainable)

    and, where what the optimizer holds must follow the masks (moving averages, methods that grow weights), its state:

    >>> trainable, state = pruner.step(trainable, state)

    Within such a function, as a `lax.scan` over many updates, `Pruner.apply` masks: a pure function of weights and
    masks.

    Args:
        model: Built `keras.Model`. It need not be compiled.
        schedule: As for `MagnitudePruning`, in optimizer steps (`schedule.resolve(steps)` turns shares of a training
            into them). Or a mask callback for its method, such as `callbacks.RigL(0.1)`; it has the arguments from
            `block_shape` to `keep_diagonal`, then.
        block_shape, scope, layers, score, pattern, gate_density, keep_diagonal: See `MagnitudePruning`.
        optimizer: The Keras or torch optimizer, if the model is not compiled with it: masked too is what it holds of
            masked weights (moving averages; for methods that grow weights, their moments).
        initial_step: The step at which training begins or goes on, >= 0. Masks are read from the weights' zeros.

    Raises:
        ValueError: As `MagnitudePruning` in `fit`.

    Example:

    >>> pruner = ksr.Pruner(model, ksr.schedules.PolynomialDecay(0.0, 0.9, begin_step=0, end_step=1000), (1, 4))
    >>> for x, y in batches:
    ...     model.train_on_batch(x, y)
    ...     pruner.step()
    >>> pruner.finish()
    """

    def __init__(
        self,
        model: keras.Model,
        schedule: ScheduleFunction | MaskCallback,
        block_shape: BlockShape | None = None,
        scope: Literal["layer", "global"] | None = None,
        layers: LayerSelection = None,
        score: Score | None = None,
        *,
        pattern: tuple[int, int] | None = None,
        gate_density: Mapping[str, float] | None = None,
        keep_diagonal: bool | None = None,
        optimizer: Any = None,
        initial_step: int = 0,
    ) -> None:
        arguments: dict[str, Any] = {
            "block_shape": block_shape,
            "scope": scope,
            "layers": layers,
            "score": score,
            "pattern": pattern,
            "gate_density": gate_density,
            "keep_diagonal": keep_diagonal,
        }
        given = {name: value for name, value in arguments.items() if value is not None}
        if isinstance(schedule, MaskCallback) and given:
            raise ValueError(
                f"{', '.join(given)}: give it to the {type(schedule).__name__} that stands for the schedule."
            )
        self._method = schedule if isinstance(schedule, MaskCallback) else MagnitudePruning(schedule, **given)
        asked = self._method.schedule
        if isinstance(asked, Schedule) and asked.begin is not None:
            raise ValueError(
                f"The schedule begins at begin={asked.begin} in unit={asked.unit!r}, and a loop of one's own has no "
                "known length: give schedule.resolve(steps, epochs)."
            )
        if not (is_integer(initial_step) and initial_step >= 0):
            raise ValueError(f"initial_step={initial_step!r}: must be an integer >= 0.")
        method = self._method
        method.set_model(model)
        method.find()
        masked = {id(kernel.variable) for kernel in method.masks.kernels}
        self._places = [(place, v) for place, v in enumerate(model.trainable_variables) if id(v) in masked]
        if isinstance(method, DynamicSparseTraining):
            method.gradients = GivenGradients()
        method.begin(initial_step, method.schedule, optimizer)

    @property
    def masks(self) -> Masks:
        """The masks."""
        return self._method.masks

    @property
    def skipped(self) -> dict[str, str]:
        """For each layer or weight that is not pruned, why."""
        return self._method.skipped

    @property
    def sparsity(self) -> float:
        """Share of the pruned kernels' weights that is masked, in [0, 1]."""
        return self.masks.sparsity

    def step(
        self,
        trainable_variables: Sequence[Tensor] | None = None,
        optimizer_variables: Sequence[Tensor] | None = None,
        gradients: Sequence[Tensor] | None = None,
    ) -> Any:
        """Does what is due after one update of the weights.

        Args:
            trainable_variables: The weights after the update, in the order of `model.trainable_variables`, where they
                are not in the model. The pruned ones among them are put there.
            optimizer_variables: With them, the state of the Keras optimizer, in the order of `optimizer.variables`.
            gradients: For a method that grows weights where the gradient is largest: the gradients of this update in
                the order of `model.trainable_variables`; they are read when the schedule acts.

        Returns:
            `trainable_variables` as a list, masked, and if `optimizer_variables` are given a pair with these; None if
            the weights are in the model.

        Raises:
            ValueError: If it is called where a function is traced, since it would act once and never again, or
                `optimizer_variables` are needed and not given.
        """
        _refuse_tracing(trainable_variables)
        self._take(trainable_variables, optimizer_variables)
        if gradients is not None and isinstance(self._method, DynamicSparseTraining):
            by_variable = {id(variable): gradients[place] for place, variable in self._places}
            self._method.gradients.give([by_variable[id(kernel.variable)] for kernel in self.masks.kernels])
        self._method.advance(self._method.step + 1)
        return self._hand_back(trainable_variables, optimizer_variables)

    def finish(
        self, trainable_variables: Sequence[Tensor] | None = None, optimizer_variables: Sequence[Tensor] | None = None
    ) -> Any:
        """Masks the weights that training has left, and warns if they are less sparse than the schedule has asked for.

        Arguments and result are those of `step`.
        """
        self._take(trainable_variables, optimizer_variables)
        self._method.apply()
        warn_if_less_sparse(self._method)
        return self._hand_back(trainable_variables, optimizer_variables)

    def variable_masks(self) -> list[Tensor | None]:
        """For each of `model.trainable_variables` its mask, a tensor of bools, True for what is kept; else None."""
        masks = {id(k.variable): mask for k, mask in zip(self.masks.kernels, self.masks.tensors(), strict=True)}
        return [masks.get(id(variable)) for variable in self._method.model.trainable_variables]

    @staticmethod
    def apply(trainable_variables: Sequence[Tensor], masks: Sequence[Tensor | None]) -> list[Tensor]:
        """Sets masked weights to zero: a pure function, to be called in functions under `jax.jit` too.

        Args:
            trainable_variables: Weights in the order of `model.trainable_variables`.
            masks: What `variable_masks()` gives. Hand it to the function as an argument: masks change.

        Returns:
            A list of the weights, masked.
        """
        pairs = zip(trainable_variables, masks, strict=True)
        return [w if mask is None else keras.ops.where(mask, w, keras.ops.zeros_like(w)) for w, mask in pairs]

    def _take(self, trainable_variables, optimizer_variables):
        optimizer = self._method.optimizer
        if trainable_variables is None:
            return
        for place, variable in self._places:
            variable.assign(trainable_variables[place])
        if optimizer_variables is not None and optimizer is None:
            raise ValueError("optimizer_variables: give Pruner the Keras optimizer whose state they are, optimizer=...")
        if optimizer_variables is not None:
            for variable, value in zip(optimizer.variables, optimizer_variables, strict=True):
                variable.assign(value)
        elif optimizer and (moving_averages(optimizer) or isinstance(self._method, DynamicSparseTraining)):
            raise ValueError(
                f"What {type(optimizer).__name__} holds of the weights must follow the masks: hand its state over too, "
                "as trainable, state = pruner.step(trainable, state)."
            )

    def _hand_back(self, trainable_variables, optimizer_variables):
        if trainable_variables is None:
            return None
        masked = list(trainable_variables)
        for place, variable in self._places:
            masked[place] = variable.value
        if optimizer_variables is None:
            return masked
        return masked, [variable.value for variable in self._method.optimizer.variables]


def prune(
    model: keras.Model,
    sparsity: float,
    block_shape: BlockShape = (1, 1),
    scope: Literal["layer", "global"] = "layer",
    layers: LayerSelection = None,
    score: Score = "l1",
    *,
    pattern: tuple[int, int] | None = None,
    gate_density: Mapping[str, float] | None = None,
    keep_diagonal: bool = False,
) -> float:
    """Sets the smallest weights of a model to zero, at once and without training.

    To train on with these zeros give `fit` a `callbacks.KeepSparsity`. Zeros that are there already stay.

    Args:
        model: Built `keras.Model`; it is changed.
        sparsity: Share of the weights to be zero, in [0, 1).
        block_shape, scope, layers, score, pattern, gate_density, keep_diagonal: See `callbacks.MagnitudePruning`.

    Returns:
        The share of the weights of the pruned kernels that is zero now, in [0, 1].

    Raises:
        ValueError: If an argument is outside what is allowed, or the model has nothing to prune.

    Example:

    >>> ksr.prune(model, 0.8, block_shape=(1, 4))
    0.8
    >>> ksr.prune(model, 0.5, layers="all", pattern=(2, 4))
    0.5
    """
    if not (is_number(sparsity) and 0 <= sparsity < 1):
        raise ValueError(f"sparsity={sparsity!r}: must be a number in [0, 1).")
    pruner = Pruner(
        model,
        ConstantSparsity(sparsity, begin_step=0),
        block_shape,
        scope,
        layers,
        score,
        pattern=pattern,
        gate_density=gate_density,
        keep_diagonal=keep_diagonal,
    )
    return pruner.masks.zeros()


def _refuse_tracing(variables):
    backend = keras.backend.backend()
    traced = False
    if backend == "tensorflow":
        import tensorflow as tf

        traced = tf.inside_function()
    elif backend == "jax":
        import jax

        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in variables or ())
    if traced:
        raise ValueError(
            "Pruner.step() is called while a function is traced and would act there once: call it after the function "
            "has returned. What a traced function may call is Pruner.apply(variables, masks)."
        )
