"""Pruning without `fit`: in a custom training loop, or in one shot."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras

from keras_sparse_rnn.callbacks import DynamicSparseTraining, MagnitudePruning, MaskCallback
from keras_sparse_rnn.callbacks.fit_outcome import warn_if_less_sparse
from keras_sparse_rnn.callbacks.gradient_record import GivenGradients
from keras_sparse_rnn.callbacks.optimizer_state import moving_averages
from keras_sparse_rnn.inputs import check_is_keras
from keras_sparse_rnn.schedules import ConstantSparsity, Schedule
from keras_sparse_rnn.sparsity import Masks
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction, Score, Tensor, is_integer, is_number


class Pruner:
    """Prunes a model in a custom training loop, on any backend: call `step()` after each update of the weights.

    The loop may use `GradientTape`, `train_on_batch`, PyTorch optimizers, or stateless JAX functions. `step` does what
    `MagnitudePruning` does after each batch of `fit`: it masks the smallest weights whenever the schedule is due, and
    sets all masked weights to zero. Each call counts as one step.

    If the loop keeps the weights outside the model, as in JAX, `step` takes and returns them:

    >>> trainable, state = train_step(trainable, state, x, y)  # a function under jax.jit
    >>> trainable = pruner.step(trainable)

    If the optimizer's state must follow the masks (moving averages, methods that grow weights), it takes that as well:

    >>> trainable, state = pruner.step(trainable, state)

    Inside a compiled function, such as a `lax.scan` over many updates, use `Pruner.apply`, a pure function of weights
    and masks.

    Args:
        model: Built `keras.Model`. It need not be compiled.
        schedule: A schedule in optimizer steps, as for `MagnitudePruning` (`schedule.resolve(steps)` converts fractions
            of the training to steps). Or a mask callback that defines the method, such as `callbacks.RigL(0.1)`; pass
            the arguments from `block_shape` to `keep_diagonal` to that callback then.
        block_shape, scope, layers, score, pattern, gate_density, keep_diagonal: See `MagnitudePruning`.
        optimizer: The Keras or PyTorch optimizer, if the model is not compiled with it. Its moving averages of masked
            weights are masked too; for methods that grow weights, so are their moments.
        initial_step: The step at which training starts or resumes, >= 0. Masks are read from the zeros in the weights.

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
                f"The schedule begins at begin={asked.begin} in unit={asked.unit!r}, but the length of a custom "
                "training loop is not known: pass schedule.resolve(steps, epochs)."
            )
        if not (is_integer(initial_step) and initial_step >= 0):
            raise ValueError(f"initial_step={initial_step!r}: must be an integer >= 0.")
        check_is_keras(model)
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
        """Maps the path of each layer or weight that is not pruned to the reason."""
        return self._method.skipped

    @property
    def sparsity(self) -> float:
        """Fraction of the weights of the pruned kernels that are masked, in [0, 1]."""
        return self.masks.sparsity

    def step(
        self,
        trainable_variables: Sequence[Tensor] | None = None,
        optimizer_variables: Sequence[Tensor] | None = None,
        gradients: Sequence[Tensor] | None = None,
    ) -> Any:
        """Updates and applies the masks after one update of the weights.

        Args:
            trainable_variables: The weights after the update, in the order of `model.trainable_variables`, if they are
                kept outside the model. The pruned ones are assigned to the model.
            optimizer_variables: The state of the Keras optimizer, in the order of `optimizer.variables`, if it is kept
                outside the optimizer.
            gradients: The gradients of this update, in the order of `model.trainable_variables`, for a method that
                grows weights where the gradient is largest. They are read when the schedule is due.

        Returns:
            None if the weights are kept in the model. Otherwise the masked `trainable_variables` as a list, or the pair
            of that list and the list of `optimizer_variables`, if those are passed.

        Raises:
            ValueError: If it is called while a function is traced, where it would take effect only once, or if
                `optimizer_variables` are needed and missing.
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
        """Masks the weights at the end of training, and warns if they are less sparse than the schedule asked for.

        Arguments and return value are those of `step`.
        """
        self._take(trainable_variables, optimizer_variables)
        self._method.apply()
        warn_if_less_sparse(self._method)
        return self._hand_back(trainable_variables, optimizer_variables)

    def variable_masks(self) -> list[Tensor | None]:
        """Returns a mask for each of `model.trainable_variables`: a boolean tensor, True for weights that are kept.

        The mask of a variable that is not pruned is None.
        """
        masks = {id(k.variable): mask for k, mask in zip(self.masks.kernels, self.masks.tensors(), strict=True)}
        return [masks.get(id(variable)) for variable in self._method.model.trainable_variables]

    @staticmethod
    def apply(trainable_variables: Sequence[Tensor], masks: Sequence[Tensor | None]) -> list[Tensor]:
        """Sets masked weights to zero. A pure function, which works under `jax.jit` too.

        Args:
            trainable_variables: Weights in the order of `model.trainable_variables`.
            masks: The result of `variable_masks()`. Pass it to a compiled function as an argument, as masks change.

        Returns:
            List of the masked weights.
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
    """Sets the smallest weights of a model to zero in one shot, without training.

    Existing zeros stay. To fine-tune the model and keep its zeros, pass a `callbacks.KeepSparsity` to `fit`.

    Args:
        model: Built `keras.Model`; it is changed in place.
        sparsity: Fraction of the weights to set to zero, in [0, 1).
        block_shape, scope, layers, score, pattern, gate_density, keep_diagonal: See `callbacks.MagnitudePruning`.

    Returns:
        The fraction of the weights of the pruned kernels that are zero now, in [0, 1].

    Raises:
        ValueError: If an argument is outside its range, or the model has nothing to prune.

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
