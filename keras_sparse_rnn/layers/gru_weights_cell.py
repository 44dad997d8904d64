"""The weights of a GRU as a Keras cell."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.layers.recurrent_layer import check_rate
from keras_sparse_rnn.typing import Shape, Tensor, is_integer


class GRUWeightsCell(keras.layers.GRUCell):
    """The weights of `keras.layers.GRUCell(reset_after=True)` and what they give: a base for cells that add to it.

    `kernel` W (features, 3 * units), `recurrent_kernel` R (units, 3 * units) and `bias` b_x and b_r (2, 3 * units),
    gates in the order z, r, h. The arguments are those of the Keras cell; `reset_after` must be True. Without
    `reset_gate` there are the gates z and h alone, 2 * units columns, and one bias (2 * units,).

    Thresholds are further weights, behind those of the GRU: whoever gives this cell the weights of a GRU alone, by
    `set_weights` or from a file, leaves them as they are.
    """

    in_keras = keras.layers.GRUCell  # what it takes the place of

    def __init__(
        self,
        units: int,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        reset_gate: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not (is_integer(units) and units > 0):
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        if not reset_after:
            raise ValueError(
                f"`reset_after` must be True: {type(self).__name__} applies the reset gate after the recurrent "
                f"product. Received: reset_after={reset_after}"
            )
        check_rate("dropout", dropout)
        check_rate("recurrent_dropout", recurrent_dropout)
        # Keras draws a seed of its own for None, which would move all later random numbers.
        of_dropout = seed if dropout or recurrent_dropout else 0
        super().__init__(units, dropout=dropout, recurrent_dropout=recurrent_dropout, seed=of_dropout, **kwargs)
        self.seed = seed
        self.reset_gate = reset_gate
        if recurrent_dropout:
            self.dropout_mask_count = len(self.gates)

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates side by side in the columns of the kernels."""
        return ("z", "r", "h") if self.reset_gate else ("z", "h")

    @property
    def candidate_gate(self) -> int:
        """The place of the candidate among them."""
        return len(self.gates) - 1

    def build(self, input_shape: Shape) -> None:
        if self.reset_gate:
            super().build(input_shape)
            return
        keras.layers.Layer.build(self, input_shape)
        columns = 2 * self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], columns),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, columns),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(columns,),
                name="bias",
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def project(self, inputs: Tensor, training: bool = False) -> tuple[Tensor, ...]:
        """What the inputs give to each gate: tensors (..., units) for inputs (..., features).

        The recurrent biases of z and r are added here, once for a whole sequence. In training `dropout` acts on the
        inputs, alike at all steps.
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
        if self.use_bias and not self.reset_gate:
            gates[0] = gates[0] + self.bias[: self.units]
        elif self.use_bias:
            (b_z, b_r, b_h), (recurrent_b_z, recurrent_b_r, _) = (ops.split(self.bias[i], 3) for i in range(2))
            biases = (b_z + recurrent_b_z, b_r + recurrent_b_r, b_h)
            gates = [gate + bias for gate, bias in zip(gates, biases, strict=True)]
        return tuple(gates)

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """R and the recurrent bias of the candidate, its only one without a reset gate, in the compute dtype."""
        bias = ops.zeros((self.units,))
        if self.use_bias:
            bias = self.bias[1, 2 * self.units :] if self.reset_gate else self.bias[self.units :]
        weights = (self.recurrent_kernel, bias)
        return tuple(ops.cast(ops.convert_to_tensor(weight), self.compute_dtype) for weight in weights)

    def recurrent_masks(self, state: Tensor, training: bool) -> tuple[Tensor, ...]:
        """In training with `recurrent_dropout` what R's sources are multiplied by, for each gate; else nothing.

        Args:
            state: Tensor (batch, units), for its shape.
            training: Whether to drop.
        """
        return tuple(_as_list(self.get_recurrent_dropout_mask(state) if training else None))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reset_gate": self.reset_gate}

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets all weights, or with those of a `keras.layers.GRU` alone all but the thresholds."""
        super().set_weights(
            [*weights, *self.get_weights()[self._of_gru :]] if len(weights) == self._of_gru else weights
        )

    def load_own_variables(self, store: Any) -> None:
        """The hook of Keras for reading a file: all weights, or those of a GRU, which leave the thresholds.

        Args:
            store: What the file holds for this cell: arrays by "0", "1", ...

        Raises:
            ValueError: It holds nothing, or another number of arrays.
        """
        if not store.keys():
            raise ValueError(
                f"the file holds no weights of a {type(self).__name__} in this place. If it was written with "
                "keras.layers.GRU there, read it with `keras_sparse_rnn.load_keras_weights`."
            )
        if len(store.keys()) != self._of_gru:
            return super().load_own_variables(store)
        for number, variable in enumerate((self.kernel, self.recurrent_kernel, self.bias)[: self._of_gru]):
            variable.assign(store[str(number)])

    @property
    def _of_gru(self):
        """Number of the weights that a GRU has too; they come first."""
        return 2 + self.use_bias

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]


def _as_list(masks):
    """Keras's dropout masks: None, one for all gates, or a list with one for each."""
    return [] if masks is None else list(masks) if isinstance(masks, (list, tuple)) else [masks]
