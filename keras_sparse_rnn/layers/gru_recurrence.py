"""What all recurrences with the gates of keras.layers.GRU(reset_after=True) share, on arrays."""

import keras
from keras import ops

from keras_sparse_rnn.layers.recurrence import Recurrence


class GRURecurrence(Recurrence):
    """The gates of a GRU whose recurrent kernel reads what the subclass gives it, the source u.

        z = s(a_z + q_z) ;  r = s(a_r + q_r) ;  g = f(a_h + r * q_h) ;  q = u R + b ;  c = g + z * (c' - g)

    Inputs are the gates (a_z, a_r, a_h) = x W + b_x; weights are (R, b, threshold), where b is the recurrent bias of
    the candidate g alone: those of z and r belong to the inputs. Behind them may stand three masks (batch, units) that
    u is multiplied by for z, r and g: recurrent dropout, which the gradient written by hand does not know. A subclass
    has the fields `activation` f, `recurrent_activation` s and `trainable_threshold`.
    """

    input_names = ("a_z", "a_r", "a_h")
    weight_names = ("recurrent_kernel", "bias", "threshold")
    step_gradients = 4  # of a_z, a_r, a_h and q_h

    @property
    def hand_written(self):
        return self.activation is keras.activations.tanh and self.recurrent_activation is keras.activations.sigmoid

    def weights_backward(self, weights):
        return (ops.transpose(weights[0]), *weights[1:])

    def update(self, inputs, source, c, weights):
        """The new state, and a dict of z, r, g and q_h."""
        a_z, a_r, a_h = inputs
        recurrent_kernel, bias, _, *masks = weights
        if masks:
            parts = ops.split(recurrent_kernel, 3, axis=-1)
            q_z, q_r, q_h = ((source * mask) @ part for mask, part in zip(masks, parts, strict=True))
        else:
            q_z, q_r, q_h = ops.split(source @ recurrent_kernel, 3, axis=-1)
        q_h = q_h + bias
        z = self.recurrent_activation(a_z + q_z)
        r = self.recurrent_activation(a_r + q_r)
        g = self.activation(a_h + r * q_h)
        return g + z * (c - g), {"z": z, "r": r, "g": g, "q_h": q_h}

    def update_gradient(self, tape, state, d_state, weights):
        """Gradients in the source, in the state before, and in (a_z, a_r, a_h, q_h), from that in the new state.

        d_a_z = (c' - g) z (1 - z) d_c ;  d_a_h = (1 - z) (1 - g^2) d_c ;  d_c' = z d_c
        d_q_h = r d_a_h ;  d_a_r = q_h (1 - r) d_q_h ;  d_u = (d_a_z, d_a_r, d_q_h) R^T
        """
        z, r, g, q_h = (tape[name] for name in ("z", "r", "g", "q_h"))
        d_not_z = (1 - z) * d_state
        d_a_z, d_a_h = (state - g) * d_not_z, (1 - g * g) * d_not_z  # c - g = z (c' - g)
        d_q_h = r * d_a_h
        d_a_r = q_h * (1 - r) * d_q_h
        d_source = ops.concatenate([d_a_z, d_a_r, d_q_h], axis=-1) @ weights[0]
        return d_source, z * d_state, (d_a_z, d_a_r, d_a_h, d_q_h)

    def update_gradients(self, sources, d_steps, d_threshold):
        """Gradients in the inputs and the weights: that in R is one product over all steps."""
        d_a_z, d_a_r, d_a_h, d_q_h = d_steps
        units = sources.shape[-1]
        sources = ops.transpose(ops.reshape(sources, (-1, units)))
        d_kernel = [sources @ ops.reshape(d_q, (-1, units)) for d_q in (d_a_z, d_a_r, d_q_h)]
        return d_a_z, d_a_r, d_a_h, ops.concatenate(d_kernel, axis=-1), ops.sum(d_q_h, axis=(0, 1)), d_threshold
