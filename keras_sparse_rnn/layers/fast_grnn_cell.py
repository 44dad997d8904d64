"""One step of FastGRNN as a Keras cell."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_sparse_rnn.layers.fast_grnn_recurrence import FastGRNNRecurrence
from keras_sparse_rnn.layers.weights_cell import WeightsCell
from keras_sparse_rnn.typing import (
    Activation,
    Constraint,
    Initializer,
    Rank,
    Regularizer,
    Shape,
    Tensor,
    is_number,
    is_real,
)


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class FastGRNNCell(WeightsCell, keras.layers.SimpleRNNCell):
    """A gated cell whose gate and candidate share one product: half of the weights and of the work of a LightGRUCell.

        a = x W + h' U ;  z = sigma(a + b_z) ;  g = tanh(a + b_h) ;  h = z * h' + (zeta (1 - z) + nu) * g

    (' marks values of the previous step.) `kernel` W (features, units) and `recurrent_kernel` U (units, units) have one
    gate. `bias` (2, units) has the rows b_z and b_h. The scalars zeta and nu are trained: the weights `zeta` and `nu`
    hold their logits, and the cell applies a sigmoid.

    Source: Kusupati et al., "FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated recurrent neural
    network", NeurIPS 2018, arXiv:1901.02358. The initial values of the bias, zeta and nu are those of the authors'
    code.

    Args:
        units: Positive integer, number of units.
        activation: Activation of the candidate g. None is linear.
        recurrent_activation: Activation of the gate z. None is linear.
        use_bias: Whether to use the biases.
        kernel_initializer: Initializer of W.
        recurrent_initializer: Initializer of U.
        bias_initializer: Initializer of the biases.
        zeta_initializer: Initializer of the logit of zeta; a number is a constant.
        nu_initializer: Initializer of the logit of nu; a number is a constant.
        kernel_regularizer: Regularizer of W.
        recurrent_regularizer: Regularizer of U.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of W.
        recurrent_constraint: Constraint of U.
        bias_constraint: Constraint of the biases.
        dropout: Fraction of the inputs of W to drop in training, in [0, 1). One mask per sequence is used at all steps;
            the remaining inputs are divided by 1 - dropout. As in `keras.layers.GRUCell`.
        recurrent_dropout: Likewise for the inputs of U.
        seed: Integer, seed of dropout.
        rank: None for kernels of full rank. An integer r makes a middle of r values of the inputs and the state
            together, m = x W + h' U, and a product m G with the gates: `kernel` W is (features, r), `recurrent_kernel`
            U (units, r), and `gate_kernel` G (r, units). A pair makes a middle of each, x W and h' U, and G has
            as many rows as both have values. Initializers, regularizers and constraints of W apply to G, too.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of one tensor, h (batch, units).
        training: Whether to apply `dropout` and `recurrent_dropout`.

    Returns:
        h, a tensor (batch, units), and the list [h].

    Raises:
        ValueError: If an argument is out of range, or `rank` is above what the shapes allow.

    Example:

    >>> rnn = keras.layers.RNN([FastGRNNCell(32), FastGRNNCell(32)])
    >>> rnn(np.random.random((8, 20, 4))).shape
    (8, 32)
    """

    gates = ("h",)
    _of_keras = 0  # no cell of Keras has its weights

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "ones",
        zeta_initializer: Initializer | float = 1.0,
        nu_initializer: Initializer | float = -4.0,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        rank: Rank = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            rank=rank,
            **kwargs,
        )
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.zeta_initializer = _initializer("zeta_initializer", zeta_initializer)
        self.nu_initializer = _initializer("nu_initializer", nu_initializer)
        self.state_size = [units]
        self.recurrence = FastGRNNRecurrence(self.activation, self.recurrent_activation)

    def build(self, input_shape: Shape) -> None:
        keras.layers.Layer.build(self, input_shape)
        self._add_weights(input_shape, (2, self.units))
        self.zeta = self.add_weight(shape=(), name="zeta", initializer=self.zeta_initializer)
        self.nu = self.add_weight(shape=(), name="nu", initializer=self.nu_initializer)

    def input_biases(self) -> list[Any]:
        """Returns b_z, with which the product becomes the pre-activation of the gate."""
        return [ops.convert_to_tensor(self.bias)[0]]

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """Returns U, b_h - b_z (units,), and the scalars zeta and nu in [0, 1], in the compute dtype."""
        bias = ops.zeros((self.units,))
        if self.use_bias:
            of_gate, of_candidate = ops.unstack(ops.convert_to_tensor(self.bias))
            bias = of_candidate - of_gate
        others = (ops.cast(value, self.compute_dtype) for value in (bias, *self.shares()))
        return (*super().recurrent_weights(), *others)

    def shares(self) -> tuple[Tensor, Tensor]:
        """Returns the scalars zeta and nu, in [0, 1]."""
        return ops.sigmoid(ops.convert_to_tensor(self.zeta)), ops.sigmoid(ops.convert_to_tensor(self.nu))

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        weights = (*self.recurrent_weights(), *self.recurrent_masks(states[0], training))
        h = self.recurrence.step(self.project(inputs, training), states, weights)["h"]
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
            "zeta_initializer": keras.initializers.serialize(self.zeta_initializer),
            "nu_initializer": keras.initializers.serialize(self.nu_initializer),
            "seed": self.seed,
            "rank": self.rank,
        }


def _initializer(name, given):
    if is_real(given) and not is_number(given):
        raise ValueError(f"`{name}` must be an initializer or a finite number. Received: {given!r}")
    return keras.initializers.Constant(given) if is_number(given) else keras.initializers.get(given)
