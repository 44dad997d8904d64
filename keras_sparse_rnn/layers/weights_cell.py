"""What the cells with the weights of one of Keras's have in common."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.layers.recurrent_layer import check_rate
from keras_sparse_rnn.typing import Tensor, is_integer


class WeightsCell(keras.layers.Layer):
    """A base in front of one of Keras's cells: its arguments and weights, for an arithmetic of one's own.

    A subclass names its `gates`, and the Keras cell in `in_keras`. Thresholds are further weights, behind those of the
    Keras cell: whoever gives this cell the weights of that alone, by `set_weights` or from a file, leaves them as they
    are.
    """

    gates: Any

    def __init__(
        self, units: int, dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        if not (is_integer(units) and units > 0):
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        check_rate("dropout", dropout)
        check_rate("recurrent_dropout", recurrent_dropout)
        # Keras draws a seed of its own for None, which would move all later random numbers.
        of_dropout = seed if dropout or recurrent_dropout else 0
        super().__init__(units, dropout=dropout, recurrent_dropout=recurrent_dropout, seed=of_dropout, **kwargs)
        self.seed = seed

    def input_biases(self) -> list[Tensor]:
        """What is added to the inputs' part of each gate, (units,) each."""
        return list(ops.split(ops.convert_to_tensor(self.bias), len(self.gates)))

    def project(self, inputs: Tensor, training: bool = False) -> tuple[Tensor, ...]:
        """What the inputs give to each gate: tensors (..., units) for inputs (..., features).

        The biases are added here, once for a whole sequence. In training `dropout` acts on the inputs, alike at all
        steps.
        """
        kernel, count = ops.convert_to_tensor(self.kernel), len(self.gates)
        masks = _as_list(self.get_dropout_mask(inputs if len(inputs.shape) == 2 else inputs[0]) if training else None)
        if len(masks) == 1:
            inputs = inputs * masks.pop()
        # A split copies: of the product for one step, of the smaller kernel for a sequence.
        if len(inputs.shape) == 2 and not masks:
            gates = ops.split(ops.matmul(inputs, kernel), count, axis=-1)
        else:
            sources = [inputs * mask for mask in masks] or [inputs] * count
            gates = [ops.matmul(*pair) for pair in zip(sources, ops.split(kernel, count, axis=-1), strict=True)]
        if self.use_bias:
            gates = [gate + bias for gate, bias in zip(gates, self.input_biases(), strict=True)]
        return tuple(gates)

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """R as a tensor in the compute dtype, and what else a step needs."""
        return (ops.cast(ops.convert_to_tensor(self.recurrent_kernel), self.compute_dtype),)

    def recurrent_masks(self, state: Tensor, training: bool) -> tuple[Tensor, ...]:
        """In training with `recurrent_dropout` what R's sources are multiplied by, for each gate; else nothing.

        Args:
            state: Tensor (batch, units), for its shape.
            training: Whether to drop.
        """
        return tuple(_as_list(self.get_recurrent_dropout_mask(state) if training else None))

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets all weights, or with those of the Keras cell alone all but the thresholds."""
        super().set_weights(
            [*weights, *self.get_weights()[self._of_keras :]] if len(weights) == self._of_keras else weights
        )

    def load_own_variables(self, store: Any) -> None:
        """The hook of Keras for reading a file: all weights, or those of the Keras cell, which leave the thresholds.

        Args:
            store: What the file holds for this cell: arrays by "0", "1", ...

        Raises:
            ValueError: It holds nothing, or another number of arrays.
        """
        if not store.keys():
            layer = self.in_keras.__name__.removesuffix("Cell")
            raise ValueError(
                f"the file holds no weights of a {type(self).__name__} in this place. If it was written with "
                f"keras.layers.{layer} there, read it with `keras_sparse_rnn.load_keras_weights`."
            )
        if len(store.keys()) != self._of_keras:
            return super().load_own_variables(store)
        for number, variable in enumerate((self.kernel, self.recurrent_kernel, self.bias)[: self._of_keras]):
            variable.assign(store[str(number)])

    @property
    def _of_keras(self):
        """Number of the weights that the Keras cell has too; they come first."""
        return 2 + self.use_bias

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]


def _as_list(masks):
    """Keras's dropout masks: None, one for all gates, or a list with one for each."""
    return [] if masks is None else list(masks) if isinstance(masks, (list, tuple)) else [masks]
