"""Base class of the cells with the weights of a Keras cell."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.layers.low_rank import check_fits, checked_rank, middles
from keras_sparse_rnn.layers.recurrent_layer import check_rate
from keras_sparse_rnn.typing import Rank, Shape, Tensor, check_flag, check_seed, is_integer


class WeightsCell(keras.layers.Layer):
    """Base class that precedes a Keras cell: it has the arguments and weights of that cell, with different arithmetic.

    A subclass names its `gates`, and the Keras cell in `in_keras`. Thresholds are further weights after those of the
    Keras cell. `set_weights` and files may contain the weights of the Keras cell only; the thresholds are then left
    unchanged.

    With a `rank`, the kernels are products: `kernel` and `recurrent_kernel` lead to a middle, one for both or one for
    each, and `gate_kernel` from there to the gates.
    """

    gates: Any

    def __init__(
        self,
        units: int,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        rank: Rank = None,
        **kwargs: Any,
    ) -> None:
        if not (is_integer(units) and units > 0):
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        for name in {"use_bias", "unit_forget_bias"} & set(kwargs):
            check_flag(name, kwargs[name])
        check_rate("dropout", dropout)
        check_rate("recurrent_dropout", recurrent_dropout)
        seed = check_seed(seed)
        rank = checked_rank(rank)
        # For None, Keras draws a seed, which would change all later random numbers.
        of_dropout = seed if dropout or recurrent_dropout else 0
        super().__init__(units, dropout=dropout, recurrent_dropout=recurrent_dropout, seed=of_dropout, **kwargs)
        self.seed = seed
        self.rank = rank

    @property
    def matrices(self) -> dict[str, tuple[str, ...]] | None:
        """With a `rank`, the gates in the columns of each matrix; see `keras_sparse_rnn.cells`."""
        if self.rank is None:
            return None
        return {"kernel": ("middle",), "recurrent_kernel": ("middle",), "gate_kernel": tuple(self.gates)}

    def _add_weights(self, input_shape: Shape, bias_shape: Shape) -> None:
        """Creates W (features, gates * units), R (units, gates * units) or, with a `rank`, their factors, and, with
        `use_bias`, a bias."""
        features: Any = input_shape[-1]
        columns = len(self.gates) * self.units
        if self.rank is None:
            self.kernel = self._add_matrix("kernel", "kernel", features, columns)
            self.recurrent_kernel = self._add_matrix("recurrent_kernel", "recurrent", self.units, columns)
        else:
            check_fits(self.rank, features, self.units, columns)
            of_inputs, of_state, middle = middles(self.rank)
            self.kernel = self._add_matrix("kernel", "kernel", features, of_inputs)
            self.recurrent_kernel = self._add_matrix("recurrent_kernel", "recurrent", self.units, of_state)
            self.gate_kernel = self._add_matrix("gate_kernel", "kernel", middle, columns)
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=bias_shape,
                name="bias",
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _add_matrix(self, name, kind, sources, columns):
        return self.add_weight(
            shape=(sources, columns),
            name=name,
            initializer=getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )

    def kernels(self) -> tuple[Tensor, Tensor]:
        """Returns W (features, gates * units) and R (units, gates * units), with a `rank` the products of factors."""
        kernel, recurrent_kernel = map(ops.convert_to_tensor, (self.kernel, self.recurrent_kernel))
        if self.rank is None:
            return kernel, recurrent_kernel
        gates = ops.convert_to_tensor(self.gate_kernel)
        if isinstance(self.rank, int):
            return kernel @ gates, recurrent_kernel @ gates
        return kernel @ gates[: self.rank[0]], recurrent_kernel @ gates[self.rank[0] :]

    def input_biases(self) -> list[Tensor]:
        """Returns the biases to add to the projected inputs, a tensor (units,) per gate."""
        return list(ops.split(ops.convert_to_tensor(self.bias), len(self.gates)))

    def project(self, inputs: Tensor, training: bool = False) -> tuple[Tensor, ...]:
        """Projects inputs (..., features) to each gate and returns tensors (..., units).

        The biases are added here, once for a whole sequence. In training, `dropout` is applied to the inputs, with the
        same mask at all steps.
        """
        (kernel, _), count = self.kernels(), len(self.gates)
        masks = _as_list(self.get_dropout_mask(inputs if len(inputs.shape) == 2 else inputs[0]) if training else None)
        if len(masks) == 1:
            inputs = inputs * masks.pop()
        # A split copies. For one step the product is split, for a sequence the kernel, which is smaller.
        if len(inputs.shape) == 2 and not masks:
            gates = ops.split(ops.matmul(inputs, kernel), count, axis=-1)
        else:
            sources = [inputs * mask for mask in masks] or [inputs] * count
            gates = [ops.matmul(*pair) for pair in zip(sources, ops.split(kernel, count, axis=-1), strict=True)]
        if self.use_bias:
            gates = [gate + bias for gate, bias in zip(gates, self.input_biases(), strict=True)]
        return tuple(gates)

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """Returns R as a tensor in the compute dtype, and the other weights that a step needs."""
        return (ops.cast(self.kernels()[1], self.compute_dtype),)

    def recurrent_masks(self, state: Tensor, training: bool) -> tuple[Tensor, ...]:
        """Returns the masks of `recurrent_dropout`, one per gate; an empty tuple outside training or without dropout.

        Args:
            state: Tensor (batch, units), which gives the shape.
            training: Whether to apply dropout.
        """
        return tuple(_as_list(self.get_recurrent_dropout_mask(state) if training else None))

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets all weights. A list with the weights of the Keras cell only leaves the thresholds unchanged."""
        super().set_weights(
            [*weights, *self.get_weights()[self._of_keras :]] if len(weights) == self._of_keras else weights
        )

    def load_own_variables(self, store: Any) -> None:
        """Keras's hook for reading a file with all weights, or with those of the Keras cell only.

        Args:
            store: Maps "0", "1", ... to the arrays that the file holds for this cell.

        Raises:
            ValueError: If the store is empty or has the wrong number of arrays.
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
        """Number of weights that this cell shares with the Keras cell; they come first."""
        return 0 if self.rank else 2 + self.use_bias

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]


def _as_list(masks):
    """Keras's dropout masks: None, one for all gates, or a list with one for each."""
    return [] if masks is None else list(masks) if isinstance(masks, (list, tuple)) else [masks]
