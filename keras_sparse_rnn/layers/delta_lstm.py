"""The delta LSTM: the recurrence on arrays, the cell and the layer."""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
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
class DeltaLSTMRecurrence(DeltaRecurrence):
    """i, f, o = s(a + h^ R) ;  g = f(a_c + h^ R_c) ;  c = f * c' + i * g ;  h = o * f(c), with inputs a = x W + b."""

    activation: Callable
    recurrent_activation: Callable
    hidden: HoldRecurrence

    input_names = ("a_i", "a_f", "a_c", "a_o")
    weight_names = ("recurrent_kernel", "threshold")
    state_names = ("h", "c", "held")
    tape_names = ("held", "change", "i", "f", "g", "o", "before", "active")
    step_gradients = 4
    changes = ("change",)

    @property
    def hand_written(self):
        return bool(slope_of(self.activation) and slope_of(self.recurrent_activation))

    def cell(self, inputs, source, states, weights, automatic):
        values = {"before": states[1]}
        products = self.products(source, weights[0], self.masks_of(weights), 4, weights)
        for name, a, q in zip(("i", "f", "g", "o"), inputs, products, strict=True):
            self.activate(values, name, self.pre_activation(name, a + q, weights), weights)
        c = self.next_cell(values, weights)
        active = self.activate(values, "active", self.pre_activation("active", c, weights), weights)
        return {**values, "c": c, "h": self.times(values["o"], active, weights)}

    def next_cell(self, values, weights):
        """Returns f * c' + i * g."""
        return values["f"] * values["before"] + values["i"] * values["g"]

    def cell_gradient(self, tape, d_states, d_values, weights):
        (d_h, d_c), (i, f, g, o) = d_states, (tape[name] for name in ("i", "f", "g", "o"))
        d_c = d_c + d_h * o * self.slope("active", tape)
        d_step = (
            d_c * g * self.slope("i", tape),
            d_c * tape["before"] * self.slope("f", tape),
            d_c * i * self.slope("g", tape),
            d_h * tape["active"] * self.slope("o", tape),
        )
        return ops.concatenate(d_step, axis=-1) @ weights[0], [ops.zeros_like(d_h), d_c * f], d_step, []

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return *d_steps, kernel_gradient(tape["held"], d_steps), d_threshold


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaLSTMCell(DeltaCell, keras.layers.LSTMCell):
    """An LSTM cell whose kernels read held inputs and states.

        x^ = x where |x - x^'| > input_threshold, else x^' ;  h^ = h' where |h' - h^'| > hidden_threshold, else h^'
        i, f, o = sigma(x^ W + h^ R + b) ;  g = tanh(x^ W_c + h^ R_c + b_c) ;  c = f * c' + i * g ;  h = o * tanh(c)

    (' marks values of the previous step.) A value is held until it changes by more than a threshold. No kernel
    reads the cell state c, so it is not held. The thresholds, their training and the source are documented in
    `DeltaGRUCell`.

    Args:
        units: Positive integer, number of units.
        input_threshold, hidden_threshold, trainable_threshold, gradient, surrogate_width: As in `DeltaGRUCell`.
        **kwargs: All other arguments of `keras.layers.LSTMCell`. The weights are the same.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of h, c and h^, each (batch, units), and x^ (batch, features).
        training: Whether to apply `dropout` and `recurrent_dropout`.

    Returns:
        h, a tensor (batch, units), and the list of the new states.

    Raises:
        ValueError: If an argument is out of range, or the number of thresholds differs from that of inputs or units.
    """

    gates = ("i", "f", "c", "o")
    candidate_gate = 2
    in_keras = keras.layers.LSTMCell

    def _make_recurrence(self, hold: HoldRecurrence) -> DeltaRecurrence:
        return DeltaLSTMRecurrence(self.activation, self.recurrent_activation, hold)


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaLSTM(DeltaLayerOfKeras):
    """An LSTM whose kernels read held inputs and states: a value is held until it changes by more than a threshold.

    `DeltaLSTMCell` computes one step and documents the equations. To convert a trained LSTM:

        delta = DeltaLSTM.from_lstm(lstm, input_threshold=0.5, hidden_threshold=0.2)

    Args:
        units, input_threshold, hidden_threshold, trainable_threshold, gradient, surrogate_width: As in `DeltaLSTMCell`.
        **kwargs: All other arguments of `keras.layers.LSTM` except `unroll`. `activity_regularizer` may be an
            `EventPenalty`, as in `DeltaGRU`.

    Call arguments and output shape:
        As in `DeltaGRU`, with the states h, c, h^ and x^.

    Raises:
        ValueError: If an argument is out of range, or `initial_state` has the wrong number of states.

    Example:

    >>> layer = DeltaLSTM(64, input_threshold=0.5, hidden_threshold=0.2, return_sequences=True)
    >>> layer(np.random.random((8, 20, 4))).shape
    (8, 20, 64)
    """

    cell_class = DeltaLSTMCell
    in_keras = keras.layers.LSTM
    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    unit_forget_bias = property(attrgetter("cell.unit_forget_bias"))

    @classmethod
    def from_lstm(cls, layer: keras.layers.LSTM, **arguments: Any) -> "Self":
        """Returns a DeltaLSTM with the configuration and weights of an LSTM; arguments as in `DeltaGRU.from_gru`."""
        return cls.in_place_of(layer, **arguments)
