"""The delta SimpleRNN: the recurrence on arrays, the cell and the layer."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_sparse_rnn.layers.delta_cell import DeltaCell
from keras_sparse_rnn.layers.delta_layer import DeltaLayerOfKeras
from keras_sparse_rnn.layers.delta_recurrence import DeltaRecurrence, HoldRecurrence
from keras_sparse_rnn.layers.recurrence import kernel_gradient
from keras_sparse_rnn.layers.slopes import slope_of

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclasses.dataclass(frozen=True)
class DeltaSimpleRecurrence(DeltaRecurrence):
    """h = f(a + h^ R), with inputs a = x W + b."""

    activation: Callable
    hidden: HoldRecurrence

    input_names = ("a",)
    weight_names = ("recurrent_kernel", "threshold")
    state_names = ("h", "held")
    tape_names = ("h", "held", "change")
    step_gradients = 1
    changes = ("change",)

    @property
    def hand_written(self):
        return slope_of(self.activation) is not None

    def cell(self, inputs, source, states, weights, automatic):
        values = {}
        (q,) = self.products(source, weights[0], self.masks_of(weights), 1, weights)
        self.activate(values, "h", self.pre_activation("h", inputs[0] + q, weights), weights)
        return values

    def cell_gradient(self, tape, d_states, d_values, weights):
        d_a = self.slope("h", tape) * d_states[0]
        return d_a @ weights[0], [ops.zeros_like(d_a)], (d_a,), []

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return d_steps[0], kernel_gradient(tape["held"], d_steps), d_threshold


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaSimpleRNNCell(DeltaCell, keras.layers.SimpleRNNCell):
    """A SimpleRNN cell whose kernels read held inputs and states.

        x^ = x where |x - x^'| > input_threshold, else x^' ;  h^ = h' where |h' - h^'| > hidden_threshold, else h^'
        h = tanh(x^ W + h^ R + b)

    (' marks values of the previous step.) A value is held until it changes by more than a threshold. The
    thresholds, their training and the source are documented in `DeltaGRUCell`.

    Args:
        units: Positive integer, number of units.
        input_threshold, hidden_threshold, trainable_threshold, gradient, surrogate_width: As in `DeltaGRUCell`.
        **kwargs: All other arguments of `keras.layers.SimpleRNNCell`. The weights are the same.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of h and h^, each (batch, units), and x^ (batch, features).
        training: Whether to apply `dropout` and `recurrent_dropout`.

    Returns:
        h, a tensor (batch, units), and the list of the new states.

    Raises:
        ValueError: If an argument is out of range, or the number of thresholds differs from that of inputs or units.
    """

    gates = ("h",)
    candidate_gate = 0
    in_keras = keras.layers.SimpleRNNCell

    def _make_recurrence(self, hold: HoldRecurrence) -> DeltaRecurrence:
        return DeltaSimpleRecurrence(self.activation, hold)


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaSimpleRNN(DeltaLayerOfKeras):
    """A SimpleRNN whose kernels read held inputs and states: a value is held until it changes by more than a threshold.

    `DeltaSimpleRNNCell` computes one step and documents the equations. To convert a trained SimpleRNN:

        delta = DeltaSimpleRNN.from_simple_rnn(layer, input_threshold=0.5, hidden_threshold=0.2)

    Args:
        units, input_threshold, hidden_threshold, trainable_threshold, gradient, surrogate_width: As in
            `DeltaSimpleRNNCell`.
        **kwargs: All other arguments of `keras.layers.SimpleRNN` except `unroll`. `activity_regularizer` may be an
            `EventPenalty`, as in `DeltaGRU`.

    Call arguments and output shape:
        As in `DeltaGRU`, with the states h, h^ and x^.

    Raises:
        ValueError: If an argument is out of range, or `initial_state` has the wrong number of states.

    Example:

    >>> layer = DeltaSimpleRNN(64, input_threshold=0.5, hidden_threshold=0.2, return_sequences=True)
    >>> layer(np.random.random((8, 20, 4))).shape
    (8, 20, 64)
    """

    cell_class = DeltaSimpleRNNCell
    in_keras = keras.layers.SimpleRNN

    @classmethod
    def from_simple_rnn(cls, layer: keras.layers.SimpleRNN, **arguments: Any) -> "Self":
        """Returns a DeltaSimpleRNN with the configuration and weights of a SimpleRNN.

        The arguments are used as in `DeltaGRU.from_gru`.
        """
        return cls.in_place_of(layer, **arguments)
