"""The recurrence of FastGRNN, on arrays."""

import dataclasses
from collections.abc import Callable

from keras import ops

from keras_sparse_rnn.layers.recurrence import Recurrence, kernel_gradient
from keras_sparse_rnn.layers.slopes import slope_of


@dataclasses.dataclass(frozen=True)
class FastGRNNRecurrence(Recurrence):
    """One product for gate and candidate (Kusupati et al., 2018, arXiv:1901.02358).

        a = x W + h' U + b_z ;  z = s(a) ;  g = f(a + b) ;  h = z h' + (zeta (1 - z) + nu) g

    The input is x W + b_z. The weights are (U, b, zeta, nu), where b (units,) is b_h - b_z, and zeta and nu are scalars
    in [0, 1]. A mask (batch, units) of recurrent dropout may follow the weights: it multiplies h'. The hand-written
    gradient does not support it.
    """

    activation: Callable
    recurrent_activation: Callable

    input_names = ("a",)
    weight_names = ("recurrent_kernel", "bias", "zeta", "nu")
    state_names = ("h",)
    tape_names = ("before", "z", "g")
    step_gradients = 3  # in z, in the pre-activation of g, and in h
    trainable_threshold = False

    @property
    def hand_written(self):
        return bool(slope_of(self.activation) and slope_of(self.recurrent_activation))

    def weights_backward(self, weights):
        return (ops.transpose(weights[0]), *weights[1:])

    def step(self, inputs, states, weights, automatic=True):
        (recurrent_kernel, bias, zeta, nu), masks = weights[:4], weights[4:]
        values, h = {}, states[0]
        [product] = self.products(h, recurrent_kernel, masks, 1, weights)
        a = self.pre_activation("z", inputs[0] + product, weights)
        z = self.activate(values, "z", a, weights)
        g = self.activate(values, "g", a + self.pre_activation("g", bias, weights), weights)
        share = self.share(z, zeta, nu, weights)
        return {**values, "before": h, "h": self.mix_by_shares(z, h, share, g, weights)}

    def share(self, z, zeta, nu, weights):
        """Returns the share of g in the new state."""
        return zeta * (1 - z) + nu

    def mix_by_shares(self, z, before, share, g, weights):
        """Returns z * before + share * g."""
        return z * before + share * g

    def step_gradient(self, tape, d_states, d_values, weights):
        """Returns the gradients in the state, and for each step those in a, by way of z alone, in a + b and in h.

        d_z = (h' - zeta g) d_h ;  d_g = (zeta (1 - z) + nu) d_h ;  d_h' = z d_h + (s' d_z + f' d_g) U^T
        """
        transposed, _, zeta, nu = weights[:4]
        z, g, d_h = tape["z"], tape["g"], d_states[0]
        d_gate = self.slope("z", tape) * (tape["before"] - zeta * g) * d_h
        d_candidate = self.slope("g", tape) * (zeta * (1 - z) + nu) * d_h
        return (z * d_h + (d_gate + d_candidate) @ transposed,), (d_gate, d_candidate, d_h), None

    def gradients(self, first_states, tape, d_steps, d_threshold):
        d_gate, d_candidate, d_h = d_steps
        d_a, d_bias = d_gate + d_candidate, ops.sum(d_candidate, axis=(0, 1))
        of_candidate = tape["g"] * d_h
        d_zeta, d_nu = ops.sum((1 - tape["z"]) * of_candidate), ops.sum(of_candidate)
        return d_a, kernel_gradient(tape["before"], (d_a,)), d_bias, d_zeta, d_nu
