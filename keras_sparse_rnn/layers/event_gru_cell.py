"""One step of the event GRU as a Keras cell."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from keras_sparse_rnn.initializers import Beta
from keras_sparse_rnn.layers.event_recurrence import EventRecurrence
from keras_sparse_rnn.layers.gru_weights_cell import GRUWeightsCell
from keras_sparse_rnn.typing import (
    Activation,
    Constraint,
    Initializer,
    Regularizer,
    Shape,
    Tensor,
    check_flag,
    is_number,
)

READOUTS = ("event", "cell", "trace")
THRESHOLD_MODES = ("sigmoid", "clipped")


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class EventGRUCell(GRUWeightsCell):
    """A GRU cell whose units send their state only when it exceeds a threshold.

        a = x W + b_x ;  q = y' R + b_r ;  z = sigma(a_z + q_z) ;  r = sigma(a_r + q_r) ;  g = tanh(a_h + r * q_h)
        c~ = z * c' + (1 - z) * g ;  e = [c~ > theta] ;  y = e * c~ ;  c = c~ - e * theta

    (' marks values of the previous step.) The gates, the weights and their order are those of
    `keras.layers.GRUCell(reset_after=True)`, whose weights load unchanged: `kernel` W (features, 3 * units),
    `recurrent_kernel` R (units, 3 * units) and `bias` b_x and b_r (2, 3 * units). Each unit has a threshold theta,
    given by the weight `threshold_logit` or `threshold` (units,).

    The surrogate height * max(0, 1 - |c~ - theta| / width) replaces the derivative of e. Gradients also flow through
    the reset and into the thresholds.

    Source: Subramoney et al., "Efficient recurrent architectures through activity sparsity and sparse back-propagation
    through time", ICLR 2023, arXiv:2206.06178, as implemented by the authors (EvNN).

    Args:
        units: Positive integer, number of units.
        activation: Activation of the candidate g. None is linear.
        recurrent_activation: Activation of the gates z and r. None is linear.
        use_bias: Whether to use a bias.
        kernel_initializer: Initializer of W.
        recurrent_initializer: Initializer of R.
        bias_initializer: Initializer of both biases.
        threshold_mode: "sigmoid" trains rho with theta = sigmoid(rho), in (0, 1). "clipped" trains theta itself,
            clipped to [0, 1] after each optimizer update.
        threshold_initializer: Initializer of rho or theta. By default rho ~ Normal(-3, 0.5), which puts most
            thresholds between 0.02 and 0.12, or theta ~ Beta with mean 0.3. Small thresholds learn better; for fewer
            events, use `EventPenalty` on `EventGRU`.
        trainable_threshold: False freezes the thresholds.
        surrogate_height: Height of the surrogate, at least 0.
        surrogate_width: Half-width of the surrogate in units of the state, positive (1 / epsilon in the paper).
        reset: Whether an event subtracts the threshold from the state.
        readout: What the cell returns: the events y ("event"), the state c after the reset ("cell"), or a decaying
            trace of the events, trace = trace_decay * trace' + (1 - trace_decay) * y ("trace"). The recurrence always
            reads y.
        trace_decay: Decay of the trace, in [0, 1).
        kernel_regularizer: Regularizer of W.
        recurrent_regularizer: Regularizer of R.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of W.
        recurrent_constraint: Constraint of R.
        bias_constraint: Constraint of the biases.
        dropout: Fraction of the inputs of W to drop in training, in [0, 1). One mask per sequence is used at all steps;
            the remaining inputs are divided by 1 - dropout. As in `keras.layers.GRUCell`.
        recurrent_dropout: Likewise for the inputs of R.
        reset_after: Must be True: the reset gate is applied after the multiplication by R.
        reset_gate: False omits the reset gate, as in `LightGRU`: g = tanh(a_h + q_h). The kernels then have 2 * units
            columns, and there is one bias (2 * units,).
        seed: Integer, seed of dropout and of the default `threshold_initializer`.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of y, c and, with `readout="trace"`, the trace, each (batch, units).
        training: Whether to apply `dropout` and `recurrent_dropout`.

    Returns:
        The readout, a tensor (batch, units), and the list of the new states.

    Raises:
        ValueError: If an argument is out of range.

    On JAX, `keras.layers.RNN` repeats the first state, y, at masked steps, whatever the readout. For the other readouts
    use `EventGRU`, which repeats the readout on every backend.

    Example:

    >>> rnn = keras.layers.RNN([EventGRUCell(32), EventGRUCell(32)])
    >>> rnn(np.random.random((8, 20, 4))).shape
    (8, 32)
    """

    gates, candidate_gate = GRUWeightsCell.gates, GRUWeightsCell.candidate_gate
    skips = "zeros"

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        threshold_mode: Literal["sigmoid", "clipped"] = "sigmoid",
        threshold_initializer: Initializer | None = None,
        trainable_threshold: bool = True,
        surrogate_height: float = 0.7,
        surrogate_width: float = 1.0,
        reset: bool = True,
        readout: Literal["event", "cell", "trace"] = "event",
        trace_decay: float = 0.9,
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
        if threshold_mode not in THRESHOLD_MODES:
            raise ValueError(f"`threshold_mode` must be one of {THRESHOLD_MODES}. Received: {threshold_mode!r}")
        if not (is_number(surrogate_height) and surrogate_height >= 0):
            raise ValueError(f"`surrogate_height` must be at least 0. Received: {surrogate_height!r}")
        if not (is_number(surrogate_width) and surrogate_width > 0):
            raise ValueError(f"`surrogate_width` must be positive. Received: {surrogate_width!r}")
        if readout not in READOUTS:
            raise ValueError(f"`readout` must be one of {READOUTS}. Received: {readout!r}")
        if not (is_number(trace_decay) and 0 <= trace_decay < 1):
            raise ValueError(f"`trace_decay` must be in [0, 1). Received: {trace_decay!r}")
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
        self.threshold_mode = threshold_mode
        if threshold_initializer is None:
            if threshold_mode == "sigmoid":
                threshold_initializer = keras.initializers.RandomNormal(-3.0, 0.5, seed=seed)
            else:
                threshold_initializer = Beta(0.3, seed=seed)
        self.threshold_initializer = keras.initializers.get(threshold_initializer)
        self.trainable_threshold = check_flag("trainable_threshold", trainable_threshold)
        self.surrogate_height = surrogate_height
        self.surrogate_width = surrogate_width
        self.reset = check_flag("reset", reset)
        self.readout = readout
        self.trace_decay = trace_decay
        self.state_size = [units] * (3 if readout == "trace" else 2)
        self.recurrence = EventRecurrence(
            self.activation,
            self.recurrent_activation,
            surrogate_height,
            surrogate_width,
            reset,
            trainable_threshold,
            reset_gate,
        )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        sigmoid = self.threshold_mode == "sigmoid"
        self._threshold = self.add_weight(
            shape=(self.units,),
            name="threshold_logit" if sigmoid else "threshold",
            initializer=self.threshold_initializer,
            constraint=None if sigmoid else _UnitInterval(),
            trainable=self.trainable_threshold,
        )

    @property
    def threshold(self) -> Tensor:
        """The thresholds theta (units,): a tensor in "sigmoid" mode, the weight itself in "clipped" mode."""
        return ops.sigmoid(self._threshold) if self.threshold_mode == "sigmoid" else self._threshold

    @property
    def threshold_logit(self) -> keras.Variable:
        """The weight rho (units,), with theta = sigmoid(rho). Raises AttributeError in "clipped" mode."""
        if self.threshold_mode != "sigmoid":
            raise AttributeError("`threshold_logit` exists with threshold_mode='sigmoid' only.")
        return self._threshold

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """Returns R, the recurrent bias of the candidate, and theta, as tensors in the compute dtype."""
        return (*super().recurrent_weights(), ops.cast(ops.convert_to_tensor(self.threshold), self.compute_dtype))

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        weights = (*self.recurrent_weights(), *self.recurrent_masks(states[0], training))
        values = self.recurrence.step(self.project(inputs, training), states[:2], weights)
        new_states = [values["y"], values["c"]]
        if self.readout == "trace":
            new_states.append(self.recurrence.trace_step(values["y"], states[2], self.trace_decay, weights))
        return new_states[READOUTS.index(self.readout)], new_states

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "threshold_mode": self.threshold_mode,
            "threshold_initializer": keras.initializers.serialize(self.threshold_initializer),
            "trainable_threshold": self.trainable_threshold,
            "surrogate_height": self.surrogate_height,
            "surrogate_width": self.surrogate_width,
            "reset": self.reset,
            "readout": self.readout,
            "trace_decay": self.trace_decay,
        }


class _UnitInterval(keras.constraints.Constraint):
    def __call__(self, threshold):
        return ops.clip(threshold, 0.0, 1.0)
