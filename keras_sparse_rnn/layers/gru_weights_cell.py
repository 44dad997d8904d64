"""The weights of a GRU as a Keras cell."""

from typing import Any

import keras
from keras import ops

from keras_sparse_rnn.typing import Activation, Constraint, Initializer, Regularizer, Shape, Tensor


class GRUWeightsCell(keras.layers.Layer):
    """The weights of `keras.layers.GRUCell(reset_after=True)` and what they give: a base for cells that add to it.

    `kernel` W (features, 3 * units), `recurrent_kernel` R (units, 3 * units) and `bias` b_x and b_r (2, 3 * units),
    gates in the order z, r, h. The arguments are those of the Keras cell of the same names.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        **kwargs: Any,
    ) -> None:
        if not (isinstance(units, int) and units > 0):
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.output_size = units

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units * 3),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units * 3),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(2, self.units * 3),
                name="bias",
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def project(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the inputs give to z, r and h: three tensors (..., units) for inputs (..., features).

        The recurrent biases of z and r are added here, once for a whole sequence.
        """
        kernel = ops.convert_to_tensor(self.kernel)
        # A split copies: of the product for one step, of the smaller kernel for a sequence.
        if len(inputs.shape) == 2:
            gates = ops.split(ops.matmul(inputs, kernel), 3, axis=-1)
        else:
            gates = [ops.matmul(inputs, part) for part in ops.split(kernel, 3, axis=-1)]
        if self.use_bias:
            (b_z, b_r, b_h), (recurrent_b_z, recurrent_b_r, _) = (ops.split(self.bias[i], 3) for i in range(2))
            biases = (b_z + recurrent_b_z, b_r + recurrent_b_r, b_h)
            gates = [gate + bias for gate, bias in zip(gates, biases, strict=True)]
        return tuple(gates)

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """R and the recurrent bias of the candidate, as tensors in the compute dtype."""
        bias = self.bias[1, 2 * self.units :] if self.use_bias else ops.zeros((self.units,))
        weights = (self.recurrent_kernel, bias)
        return tuple(ops.cast(ops.convert_to_tensor(weight), self.compute_dtype) for weight in weights)

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }
