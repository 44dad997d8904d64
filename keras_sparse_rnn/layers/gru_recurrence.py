"""The base of recurrences with the gates of keras.layers.GRU(reset_after=True), and the light GRU, on arrays."""

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from keras_sparse_rnn.layers.recurrence import Recurrence, kernel_gradient
from keras_sparse_rnn.layers.slopes import slope_of


class GRURecurrence(Recurrence):
    """The gates of a GRU whose recurrent kernel reads a source u that the subclass provides.

        z = s(a_z + q_z) ;  r = s(a_r + q_r) ;  g = f(a_h + r * q_h) ;  q = u R + b ;  c = g + z * (c' - g)

    The inputs are the gates (a_z, a_r, a_h) = x W + b_x. The weights are (R, b, threshold), where b is the recurrent
    bias of the candidate g only; the inputs include the recurrent biases of z and r. Masks (batch, units) of recurrent
    dropout may follow the weights: they multiply u for z, r and g. The hand-written gradient does not support them.
    Without `reset_gate` there is no r, and g = f(a_h + q_h). A subclass has the fields `activation` f,
    `recurrent_activation` s, `reset_gate` and `trainable_threshold`.
    """

    weight_names: tuple[str, ...] = ("recurrent_kernel", "bias", "threshold")

    @property
    def gate_names(self):
        """Names of the values that `update_gradient` reads."""
        names = ("z", "r", "g", "q_h") if self.reset_gate else ("z", "g")
        return names if self._has_sigmoid else (*names, "distance")

    @property
    def input_names(self):
        return ("a_z", "a_r", "a_h") if self.reset_gate else ("a_z", "a_h")

    @property
    def step_gradients(self):
        return 4 if self.reset_gate else 2  # of the inputs, and with a reset gate of q_h

    @property
    def hand_written(self):
        return slope_of(self.activation) is not None and self._has_sigmoid

    @property
    def _has_sigmoid(self):
        return self.recurrent_activation is keras.activations.sigmoid

    def weights_backward(self, weights):
        return (ops.transpose(weights[0]), *weights[1:])

    def update(self, inputs, source, c, weights):
        """Returns the new state (batch, units), and a dict of the values `gate_names`."""
        values = {}
        q = self.products(source, weights[0], self.masks_of(weights), len(inputs), weights)
        q_h = q[-1] + weights[1]
        z = self.activate(values, "z", self.pre_activation("z", inputs[0] + q[0], weights), weights)
        if self.reset_gate:
            r = self.activate(values, "r", self.pre_activation("r", inputs[1] + q[1], weights), weights)
            values["q_h"] = self.pre_activation("q_h", q_h, weights)
            total = self.total(inputs[2], r * values["q_h"], weights)
        else:
            total = self.pre_activation("g", inputs[1] + q_h, weights)
        g = self.activate(values, "g", total, weights)
        return self.mix(z, g, c, weights), {**values, "distance": c - g}

    def update_gradient(self, tape, state, d_state, weights):
        """Returns the gradients in the source, in the previous state, and in (a_z, a_r, a_h, q_h).

        d_a_z = (c' - g) z (1 - z) d_c ;  d_a_h = (1 - z) f'(g) d_c ;  d_c' = z d_c
        d_q_h = r d_a_h ;  d_a_r = q_h (1 - r) d_q_h ;  d_u = (d_a_z, d_a_r, d_q_h) R^T

        d_c is the gradient in the new state, and f' the derivative of the activation, 1 - g^2 for tanh. Without a
        reset gate, the gradients are in (a_z, a_h), and d_u = (d_a_z, d_a_h) R^T. These are the equations for the
        sigmoid; for other recurrent activations, their derivative replaces z (1 - z) and r (1 - r).
        """
        z, g = tape["z"], tape["g"]
        d_not_z = (1 - z) * d_state
        d_a_h = self.slope("g", tape) * d_not_z
        # c - g = z (c' - g), of which the tape has the distance for other functions than the sigmoid.
        d_a_z = (state - g) * d_not_z if self._has_sigmoid else tape["distance"] * self.slope("z", tape) * d_state
        if not self.reset_gate:
            return ops.concatenate([d_a_z, d_a_h], axis=-1) @ weights[0], z * d_state, (d_a_z, d_a_h)
        r, q_h = tape["r"], tape["q_h"]
        d_q_h = r * d_a_h
        d_a_r = q_h * ((1 - r) * d_q_h if self._has_sigmoid else self.slope("r", tape) * d_a_h)
        d_source = ops.concatenate([d_a_z, d_a_r, d_q_h], axis=-1) @ weights[0]
        return d_source, z * d_state, (d_a_z, d_a_r, d_a_h, d_q_h)

    def update_gradients(self, sources, d_steps):
        """Returns the gradients in the inputs, in R (one product over all steps) and in b."""
        d_inputs = d_steps[: len(self.input_names)]
        d_q = (*d_inputs[:-1], d_steps[-1])  # those of z and r are a part of the inputs
        return *d_inputs, kernel_gradient(sources, d_q), ops.sum(d_q[-1], axis=(0, 1))


@dataclasses.dataclass(frozen=True)
class LightGRURecurrence(GRURecurrence):
    """A GRU without a reset gate (Ravanelli et al., 2018, arXiv:1803.10225)."""

    activation: Callable
    recurrent_activation: Callable

    reset_gate = trainable_threshold = False
    weight_names = ("recurrent_kernel", "bias")
    state_names = ("h",)

    @property
    def tape_names(self):
        return ("h", *self.gate_names)

    def step(self, inputs, states, weights, automatic=True):
        h, values = self.update(inputs, states[0], states[0], weights)
        return {**values, "h": h}

    def step_gradient(self, tape, d_states, d_values, weights):
        d_source, d_before, d_step = self.update_gradient(tape, tape["h"], d_states[0], weights)
        return (d_source + d_before,), d_step, None

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return self.update_gradients(ops.concatenate([first_states[0][None], tape["h"][:-1]], axis=0), d_steps)
