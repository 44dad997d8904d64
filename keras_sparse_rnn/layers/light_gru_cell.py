"""One step of the light GRU as a Keras cell."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_sparse_rnn.layers.gru_recurrence import LightGRURecurrence
from keras_sparse_rnn.layers.gru_weights_cell import GRUWeightsCell
from keras_sparse_rnn.typing import Activation, Constraint, Initializer, Rank, Regularizer, Tensor


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class LightGRUCell(GRUWeightsCell):
    """A GRU cell without a reset gate: two thirds of the weights and of the work, at about the same accuracy.

        a = x W + h' R + b ;  z = sigma(a_z) ;  g = tanh(a_h) ;  h = z * h' + (1 - z) * g

    (' marks values of the previous step.) `kernel` W (features, 2 * units), `recurrent_kernel` R (units, 2 * units)
    and `bias` b (2 * units,) have the gates in the order z, h. As in `keras.layers.GRUCell`, z multiplies the previous
    state.

    Source: Ravanelli et al., "Light gated recurrent units for speech recognition", 2018, arXiv:1803.10225. The paper
    uses `activation="relu"` and batch normalization of x W; this cell has no batch normalization.

    Args:
        units: Positive integer, number of units.
        activation: Activation of the candidate g. None is linear.
        recurrent_activation: Activation of the update gate z. None is linear.
        use_bias: Whether to use a bias.
        kernel_initializer: Initializer of W.
        recurrent_initializer: Initializer of R.
        bias_initializer: Initializer of the bias.
        kernel_regularizer: Regularizer of W.
        recurrent_regularizer: Regularizer of R.
        bias_regularizer: Regularizer of the bias.
        kernel_constraint: Constraint of W.
        recurrent_constraint: Constraint of R.
        bias_constraint: Constraint of the bias.
        dropout: Fraction of the inputs of W to drop in training, in [0, 1). One mask per sequence is used at all steps;
            the remaining inputs are divided by 1 - dropout. As in `keras.layers.GRUCell`.
        recurrent_dropout: Likewise for the inputs of R.
        seed: Integer, seed of dropout.
        rank: None for kernels of full rank. An integer r makes a middle of r values of the inputs and the state
            together, m = x W + h' R, and a product m G with the gates: `kernel` W is (features, r), `recurrent_kernel`
            R (units, r), and `gate_kernel` G (r, 2 * units). A pair makes a middle of each, x W and h' R, and G has
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

    >>> rnn = keras.layers.RNN([LightGRUCell(32), LightGRUCell(32)])
    >>> rnn(np.random.random((8, 20, 4))).shape
    (8, 32)
    """

    in_keras = None
    gates, candidate_gate = GRUWeightsCell.gates, GRUWeightsCell.candidate_gate

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
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        rank: Rank = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
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
            reset_gate=False,
            seed=seed,
            rank=rank,
            **kwargs,
        )
        self.state_size = [units]
        self.recurrence = LightGRURecurrence(self.activation, self.recurrent_activation)

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        weights = (*self.recurrent_weights(), *self.recurrent_masks(states[0], training))
        h = self.recurrence.step(self.project(inputs, training), states, weights)["h"]
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config = {name: value for name, value in config.items() if name not in ("reset_after", "reset_gate")}
        return {**config, "rank": self.rank}
