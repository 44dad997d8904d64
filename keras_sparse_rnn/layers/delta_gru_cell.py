"""One step of the delta GRU as a Keras cell."""

from typing import Any, Literal

import keras

from keras_sparse_rnn.layers.delta_cell import DeltaCell
from keras_sparse_rnn.layers.delta_gru_recurrence import DeltaGRURecurrence, DeltaResetRecurrence
from keras_sparse_rnn.layers.delta_hold import DeltaHoldCell, Threshold
from keras_sparse_rnn.layers.delta_recurrence import DeltaRecurrence
from keras_sparse_rnn.layers.gru_weights_cell import GRUWeightsCell
from keras_sparse_rnn.typing import Activation, Constraint, Initializer, Regularizer, Tensor


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaGRUCell(DeltaCell, GRUWeightsCell):
    """A GRU cell whose kernels read held inputs and states: a value is held until it changes by more than a threshold.

        x^ = x where |x - x^'| > input_threshold, else x^' ;  h^ = h' where |h' - h^'| > hidden_threshold, else h^'
        a = x^ W + b_x ;  q = h^ R + b_r ;  z = sigma(a_z + q_z) ;  r = sigma(a_r + q_r) ;  g = tanh(a_h + r * q_h)
        h = z * h' + (1 - z) * g

    (' marks values of the previous step.) With `reset_after=False`, the candidate reads r * h, which is held too:

        p^ = r * h' where |r * h' - p^'| > reset_threshold, else p^' ;  g = tanh(a_h + p^ R_h)

    The converted layer keeps x^ W and h^ R and updates them for changed values only, so its cost is proportional to
    the rate of changes. The weights are those of `keras.layers.GRUCell`, in the same order. Fixed thresholds are not
    weights, so `set_weights` accepts the weights of a GRU. With thresholds of 0 the cell computes the same as the GRU.
    Trained thresholds are further weights at the end: of the inputs (features,), of the states (units,), and of r * h
    (units,).

    Source: Neil et al., "Delta networks for optimized recurrent network computation", ICML 2017, arXiv:1612.05571.

    Args:
        units: Positive integer, number of units.
        input_threshold: Number, or a list with one number for each input, at least 0, in units of the input; or an
            `initializers.Sensitivity`.
        hidden_threshold: Likewise for the units. With tanh, the states lie in (-1, 1).
        trainable_threshold, gradient, surrogate_width: As in `DeltaHold`, for all thresholds.
        activation: Activation of the candidate g. None is linear.
        recurrent_activation: Activation of the gates z and r. None is linear.
        use_bias: Whether to use a bias.
        kernel_initializer: Initializer of W.
        recurrent_initializer: Initializer of R.
        bias_initializer: Initializer of both biases.
        kernel_regularizer: Regularizer of W.
        recurrent_regularizer: Regularizer of R.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of W.
        recurrent_constraint: Constraint of R.
        bias_constraint: Constraint of the biases.
        dropout: Fraction of the inputs of W to drop in training, in [0, 1). One mask per sequence is used at all steps;
            the remaining inputs are divided by 1 - dropout. As in `keras.layers.GRUCell`.
        recurrent_dropout: Likewise for the inputs of R.
        reset_after: Whether the reset gate is applied after the multiplication by R.
        reset_gate: False omits the reset gate, as in `LightGRU`: g = tanh(a_h + q_h). The kernels then have 2 * units
            columns, and there is one bias (2 * units,).
        reset_threshold: With `reset_after=False`, the threshold of r * h. None uses `hidden_threshold`.
        seed: Integer, seed of dropout.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of h, p^ (with `reset_after=False`) and h^, each (batch, units), and x^ (batch, features).
        training: Whether to apply `dropout` and `recurrent_dropout`.

    Returns:
        h, a tensor (batch, units), and the list of the new states.

    Raises:
        ValueError: If an argument is out of range, or the number of thresholds differs from that of inputs or units.

    Example:

    >>> rnn = keras.layers.RNN([DeltaGRUCell(32, 0.5, 0.2), DeltaGRUCell(32, 0.2, 0.2)])
    >>> rnn(np.random.random((8, 20, 4))).shape
    (8, 32)
    """

    gates, candidate_gate = GRUWeightsCell.gates, GRUWeightsCell.candidate_gate
    resets_before = True

    def __init__(
        self,
        units: int,
        input_threshold: Threshold = 0.0,
        hidden_threshold: Threshold = 0.0,
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
        reset_threshold: Threshold | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            input_threshold=input_threshold,
            hidden_threshold=hidden_threshold,
            trainable_threshold=trainable_threshold,
            gradient=gradient,
            surrogate_width=surrogate_width,
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
        if reset_after and reset_threshold is not None:
            raise ValueError(
                "`reset_threshold` must be None with reset_after=True: the candidate then reads h^. Received: "
                f"reset_threshold={reset_threshold!r}"
            )
        if not reset_after:
            given = hidden_threshold if reset_threshold is None else reset_threshold
            self.reset_hold = self._hold("reset", given, lambda: self.recurrent_kernel[:, 2 * units :])
            self.state_size = [units, *self.state_size]

    def _make_recurrence(self, hold: Any) -> DeltaRecurrence:
        if not self.reset_after:
            return DeltaResetRecurrence(self.activation, self.recurrent_activation, hold)
        return DeltaGRURecurrence(self.activation, self.recurrent_activation, hold, self.reset_gate)

    def _read_by_state(self) -> Tensor:
        return self.recurrent_kernel if self.reset_after else self.recurrent_kernel[:, : 2 * self.units]

    @property
    def read_apart(self) -> tuple[int, ...]:
        """Indices of the gates that read the held r * h."""
        return () if self.reset_after else (2,)

    @property
    def holds_of_states(self) -> list[DeltaHoldCell]:
        """The holds of h and, if the reset gate is applied before the product, of r * h."""
        return [self.hidden_hold] if self.reset_after else [self.hidden_hold, self.reset_hold]

    @property
    def reset_threshold(self) -> Any:
        """The thresholds of r * h (units,), see `DeltaHold.threshold`; None with `reset_after=True`."""
        return None if self.reset_after else self.reset_hold.threshold

    def get_config(self) -> dict[str, Any]:
        given = None if self.reset_after else self.reset_hold.get_config()["threshold"]
        return {**super().get_config(), "reset_threshold": given}
