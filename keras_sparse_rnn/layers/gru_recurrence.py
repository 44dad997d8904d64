"""The base of recurrences with the gates of keras.layers.GRU(reset_after=True), and the light GRU, on arrays."""

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from keras_sparse_rnn.layers.recurrence import Recurrence, gate_products, kernel_gradient
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
        return ("z", "r", "g", "q_h") if self.reset_gate else ("z", "g")

    @property
    def input_names(self):
        return ("a_z", "a_r", "a_h") if self.reset_gate else ("a_z", "a_h")

    @property
    def step_gradients(self):
        return len(self.gate_names)  # of the inputs, and with a reset gate of q_h

    @property
    def hand_written(self):
        return slope_of(self.activation) is not None and self.recurrent_activation is keras.activations.sigmoid

    def weights_backward(self, weights):
        return (ops.transpose(weights[0]), *weights[1:])

    def update(self, inputs, source, c, weights):
        """Returns the new state (batch, units), and a dict of the values `gate_names`."""
        (recurrent_kernel, bias), masks = weights[:2], weights[len(self.weight_names) :]
        q = gate_products(source, recurrent_kernel, masks, len(inputs))
        q_h = q[-1] + bias
        z = self.recurrent_activation(inputs[0] + q[0])
        if not self.reset_gate:
            g = self.activation(inputs[1] + q_h)
            return g + z * (c - g), {"z": z, "g": g}
        r = self.recurrent_activation(inputs[1] + q[1])
        g = self.activation(inputs[2] + r * q_h)
        return g + z * (c - g), {"z": z, "r": r, "g": g, "q_h": q_h}

    def update_gradient(self, tape, state, d_state, weights):
        """Returns the gradients in the source, in the previous state, and in (a_z, a_r, a_h, q_h).

        d_a_z = (c' - g) z (1 - z) d_c ;  d_a_h = (1 - z) f'(g) d_c ;  d_c' = z d_c
        d_q_h = r d_a_h ;  d_a_r = q_h (1 - r) d_q_h ;  d_u = (d_a_z, d_a_r, d_q_h) R^T

        d_c is the gradient in the new state, and f' the derivative of the activation, 1 - g^2 for tanh. Without a
        reset gate, the gradients are in (a_z, a_h), and d_u = (d_a_z, d_a_h) R^T.
        """
        z, g = tape["z"], tape["g"]
        d_not_z = (1 - z) * d_state
        d_a_z, d_a_h = (state - g) * d_not_z, slope_of(self.activation)(g) * d_not_z  # c - g = z (c' - g)
        if not self.reset_gate:
            return ops.concatenate([d_a_z, d_a_h], axis=-1) @ weights[0], z * d_state, (d_a_z, d_a_h)
        r, q_h = tape["r"], tape["q_h"]
        d_q_h = r * d_a_h
        d_a_r = q_h * (1 - r) * d_q_h
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
    tape_names = ("h", "z", "g")

    def step(self, inputs, states, weights, automatic=True):
        h, values = self.update(inputs, states[0], states[0], weights)
        return {**values, "h": h}

    def step_gradient(self, tape, d_states, d_values, weights):
        d_source, d_before, d_step = self.update_gradient(tape, tape["h"], d_states[0], weights)
        return (d_source + d_before,), d_step, None

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return self.update_gradients(ops.concatenate([first_states[0][None], tape["h"][:-1]], axis=0), d_steps)
