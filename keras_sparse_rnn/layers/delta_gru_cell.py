"""One step of the delta GRU as a Keras cell."""

from collections.abc import Sequence
from typing import Any, Literal

import keras

from keras_sparse_rnn.layers.delta_hold import DeltaHoldCell
from keras_sparse_rnn.layers.delta_recurrence import DeltaRecurrence
from keras_sparse_rnn.layers.gru_weights_cell import GRUWeightsCell
from keras_sparse_rnn.typing import Activation, Constraint, Initializer, Regularizer, Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaGRUCell(GRUWeightsCell):
    """A GRU cell whose kernels read inputs and states that are held until they have changed.

        x^ = x where |x - x^'| > input_threshold, else x^' ;  h^ = h' where |h' - h^'| > hidden_threshold, else h^'
        a = x^ W + b_x ;  q = h^ R + b_r ;  z = sigma(a_z + q_z) ;  r = sigma(a_r + q_r) ;  g = tanh(a_h + r * q_h)
        h = z * h' + (1 - z) * g

    (' = the step before.) The converted layer keeps x^ W and h^ R and adds to them for what changed: its cost follows
    the rate of changes. Weights and their order are those of `keras.layers.GRUCell(reset_after=True)`, and fixed
    thresholds are no weights: `set_weights` takes those of a GRU as they are. At thresholds of 0 it is that GRU.
    Trained thresholds are two more weights at the end, of the inputs (features,) and of the states (units,).

    Source: Neil et al., "Delta networks for optimized recurrent network computation", ICML 2017, arXiv:1612.05571.

    Args:
        units: Positive integer, number of units.
        input_threshold: Number, or a list with one for each input, at least 0, in units of the input.
        hidden_threshold: Number, or a list with one for each unit, at least 0; with tanh the states lie in (-1, 1).
        trainable_threshold, gradient, surrogate_width: As in `DeltaHold`, for both thresholds.
        activation: Activation of the candidate g. None is linear.
        recurrent_activation: Activation of the gates z and r. None is linear.
        use_bias: Whether there is a bias.
        kernel_initializer: Initializer of W.
        recurrent_initializer: Initializer of R.
        bias_initializer: Initializer of both biases.
        kernel_regularizer: Regularizer of W.
        recurrent_regularizer: Regularizer of R.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of W.
        recurrent_constraint: Constraint of R.
        bias_constraint: Constraint of the biases.
        dropout: Share of the inputs that W does not read in training, in [0, 1), drawn once for each sequence, the same
            at all steps; the others are divided by 1 - dropout. As in `keras.layers.GRUCell`.
        recurrent_dropout: The same for what R reads.
        reset_after: Must be True: R multiplies before the reset gate acts.
        reset_gate: False leaves out the reset gate, as in `LightGRU`: g = tanh(a_h + q_h), kernels of 2 * units columns
            and one bias (2 * units,).
        seed: Integer, seed of dropout.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of h and h^, (batch, units) each, and x^, (batch, features).
        training: Whether to draw for `dropout` and `recurrent_dropout`.

    Returns:
        h (batch, units), and the list of the new states.

    Raises:
        ValueError: an argument is out of its range, or the number of thresholds is not that of inputs or units.

    Example:

    >>> rnn = keras.layers.RNN([DeltaGRUCell(32, 0.5, 0.2), DeltaGRUCell(32, 0.2, 0.2)])
    >>> rnn(np.random.random((8, 20, 4))).shape
    (8, 32)
    """

    gates, candidate_gate = GRUWeightsCell.gates, GRUWeightsCell.candidate_gate
    skips = "unchanged"

    def __init__(
        self,
        units: int,
        input_threshold: float | Sequence[float] = 0.0,
        hidden_threshold: float | Sequence[float] = 0.0,
        trainable_threshold: bool = False,
        gradient: Literal["exact", "straight_through"] = "exact",
        surrogate_width: float = 0.25,
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
        reset_after: bool = True,
        reset_gate: bool = True,
        seed: int | None = None,
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
            reset_after=reset_after,
            reset_gate=reset_gate,
            seed=seed,
            **kwargs,
        )
        self.trainable_threshold = trainable_threshold
        self.gradient = gradient
        self.surrogate_width = surrogate_width
        self.input_hold, self.hidden_hold = (
            DeltaHoldCell(threshold, trainable_threshold, gradient, surrogate_width, dtype=self.dtype_policy, name=name)
            for name, threshold in (("input_hold", input_threshold), ("hidden_hold", hidden_threshold))
        )
        self.recurrence = DeltaRecurrence(
            self.activation, self.recurrent_activation, self.hidden_hold.recurrence, reset_gate
        )
        self.state_size = [units, units, None]  # the last is known when built: the number of features

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.input_hold.build(input_shape)
        self.hidden_hold.build((None, self.units))
        self.state_size = [self.units, self.units, input_shape[-1]]

    @property
    def input_threshold(self) -> Any:
        """The thresholds of x, as `DeltaHold.threshold`."""
        return self.input_hold.threshold

    @property
    def hidden_threshold(self) -> Any:
        """The thresholds of h, as `DeltaHold.threshold`."""
        return self.hidden_hold.threshold

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """R, the recurrent bias of the candidate, and the thresholds of h, as tensors in the compute dtype."""
        return (*super().recurrent_weights(), self.hidden_hold.threshold_tensor())

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        h, held, held_inputs = states
        held_inputs, _ = self.input_hold(inputs, [held_inputs])
        weights = (*self.recurrent_weights(), *self.recurrent_masks(h, training))
        values = self.recurrence.step(self.project(held_inputs, training), (h, held), weights)
        return values["h"], [values["h"], values["held"], held_inputs]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_threshold": self.input_hold.get_config()["threshold"],
            "hidden_threshold": self.hidden_hold.get_config()["threshold"],
            "trainable_threshold": self.trainable_threshold,
            "gradient": self.gradient,
            "surrogate_width": self.surrogate_width,
        }
