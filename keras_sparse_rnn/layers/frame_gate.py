"""A gate in front of recurrent layers: a step is computed only when enough features have changed."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.layers import loops
from keras_sparse_rnn.typing import Shape, Tensor, check_flag, not_negative


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class FrameGate(keras.layers.Layer):
    """Masks the steps at which too few features have changed since the last computed step.

        made = [sum over features of [|x - x'| > threshold] >= count] ;  x' = x where `made`, else unchanged

    The output is the input, with `made` as its Keras mask. At masked steps, the recurrent layers that follow keep their
    states and repeat their outputs. Layers that support masking pass the mask on. x' is zero before the first step.
    Steps that are already masked stay masked. The gate has no weights, so it can also be put in front of a trained
    network.

    `profile` counts the computed steps. The gate always decides in forward order: a following layer with
    `go_backwards=True` reads the same steps in reverse, which is not possible in a stream. As with every mask, Keras
    excludes masked steps from a loss per step. In a stream of chunks, Keras begins each chunk with outputs of zero
    until a step is computed; a converted model repeats the last output. Layers that go backwards are refused by
    `convert`.

    Source: the delta network of Neil et al., "Delta networks for optimized recurrent network computation", ICML 2017,
    arXiv:1612.05571, applied to whole frames.

    Args:
        threshold: Number, or a list with one number for each feature, at least 0, in units of the input. To derive it
            from a trained kernel, use `Sensitivity.thresholds(scale, kernel)`.
        count: Positive integer, at most the number of features: how many of them must have changed.
        stateful: Whether x' is carried from batch to batch. The batch size must then be fixed; `reset_state` clears x'.

    Call arguments:
        inputs: Tensor (batch, time, features).
        mask: Boolean tensor (batch, time), False at steps that are already masked.

    Output shape:
        Same as the input.

    Raises:
        ValueError: If an argument is out of range, the number of thresholds differs from the number of features,
            `count` exceeds the number of features, or a stateful gate has no fixed batch size.

    Example:

    >>> layers = [FrameGate(0.5, count=2), LightGRU(24, return_sequences=True), keras.layers.LSTM(8)]
    """

    def __init__(
        self, threshold: float | Sequence[float], count: int = 1, stateful: bool = False, **kwargs: Any
    ) -> None:
        given = not_negative("threshold", threshold)
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(f"`count` must be a positive integer. Received: {count!r}")
        super().__init__(**kwargs)
        self.threshold, self.count, self.stateful = given.tolist(), int(count), check_flag("stateful", stateful)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self._states: tuple[keras.Variable, ...] = ()

    def build(self, input_shape: Shape) -> None:
        batch, features = input_shape[0], int(input_shape[-1] or 0)
        if isinstance(self.threshold, list) and len(self.threshold) != features:
            raise ValueError(f"`threshold` has {len(self.threshold)} values for {features} features.")
        if self.count > features:
            raise ValueError(f"`count` is {self.count}, more than the {features} features that could move.")
        if self.stateful:
            if batch is None:
                raise ValueError(
                    f"layer '{self.name}' has stateful=True and needs a fixed batch size: keras.Input(batch_shape=...)."
                )
            state = keras.Variable(np.zeros((batch, features)), dtype=self.variable_dtype, trainable=False, name="last")
            # Not tracked as a weight of the model: it is the state that a stream leaves behind.
            object.__setattr__(self, "_states", (state,))

    @property
    def variables(self) -> list[keras.Variable]:
        return [*super().variables, *self._states]

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return ops.copy(inputs)  # a tensor of its own, for a mask of its own

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None = None) -> Tensor | None:
        """Returns the computed steps, a boolean tensor (batch, time); None for a symbolic input."""
        if isinstance(inputs, keras.KerasTensor):
            return None
        x = ops.stop_gradient(ops.transpose(ops.convert_to_tensor(inputs, self.compute_dtype), (1, 0, 2)))
        masks = () if previous_mask is None else (ops.transpose(ops.cast(previous_mask, "bool"))[..., None],)
        first = ops.cast(ops.convert_to_tensor(self._states[0]), x.dtype) if self._states else ops.zeros_like(x[0])
        (last,), (made,) = loops.scan(self._step, (first,), (x, *masks), 1)
        for state in self._states:
            state.assign(ops.cast(last, state.dtype))
        return ops.transpose(made[..., 0] > 0)

    def _step(self, states, inputs):
        (last,), (x, *masks) = states, inputs
        threshold = ops.convert_to_tensor(np.asarray(self.threshold, "float32"), x.dtype)
        moved = ops.sum(ops.cast(ops.abs(x - last) > threshold, "int32"), axis=-1, keepdims=True) >= self.count
        for valid in masks:
            moved = ops.logical_and(moved, valid)
        return (ops.where(moved, x, last),), (ops.where(moved, ops.ones_like(x), ops.zeros_like(x)),)

    def reset_state(self) -> None:
        """Sets x' of a stateful gate to zero."""
        for state in self._states:
            state.assign(ops.zeros(state.shape, state.dtype))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold, "count": self.count, "stateful": self.stateful}
