"""The recurrence of FastGRNN, on arrays."""

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from keras_sparse_rnn.layers.recurrence import Recurrence, kernel_gradient
from keras_sparse_rnn.layers.slopes import slope_of


@dataclasses.dataclass(frozen=True)
class FastGRNNRecurrence(Recurrence):
    """One product for gate and candidate (Kusupati et al., 2018, arXiv:1901.02358).

        a = x W + h' U ;  z = s(a + b_z) ;  g = f(a + b_h) ;  h = z h' + (zeta (1 - z) + nu) g

    The input is x W. The weights are (U, b, zeta, nu), where b (2, units) has the rows b_z and b_h, and zeta and nu are
    scalars in [0, 1]. A mask (batch, units) of recurrent dropout may follow the weights: it multiplies h'. The
    hand-written gradient does not support it.
    """

    activation: Callable
    recurrent_activation: Callable

    input_names = ("a",)
    weight_names = ("recurrent_kernel", "bias", "zeta", "nu")
    state_names = ("h",)
    tape_names = ("h", "z", "g")
    step_gradients = 3
    trainable_threshold = False

    @property
    def hand_written(self):
        return slope_of(self.activation) is not None and self.recurrent_activation is keras.activations.sigmoid

    def weights_backward(self, weights):
        return (ops.transpose(weights[0]), *weights[1:])

    def step(self, inputs, states, weights, automatic=True):
        (recurrent_kernel, bias, zeta, nu), masks = weights[:4], weights[4:]
        [product] = self.products(states[0], recurrent_kernel, masks, 1, weights)
        a = inputs[0] + product
        z, g = self.recurrent_activation(a + bias[0]), self.activation(a + bias[1])
        return {"h": z * states[0] + (zeta * (1 - z) + nu) * g, "z": z, "g": g}

    def step_gradient(self, tape, d_states, d_values, weights):
        """Returns the gradients in the state, and for each step those in a + b_z, in a + b_h and in h.

        d_z = (h' - zeta g) d_h ;  d_g = (zeta (1 - z) + nu) d_h ;  d_h' = z d_h + (s' d_z + f' d_g) U^T
        """
        transposed, _, zeta, nu = weights
        z, g, d_h = tape["z"], tape["g"], d_states[0]
        share = zeta * (1 - z) + nu
        d_gate = (1 - z) * (tape["h"] - share * g - zeta * z * g) * d_h  # z h' = h - share g
        d_candidate = slope_of(self.activation)(g) * share * d_h
        return (z * d_h + (d_gate + d_candidate) @ transposed,), (d_gate, d_candidate, d_h), None

    def gradients(self, first_states, tape, d_steps, d_threshold):
        d_gate, d_candidate, d_h = d_steps
        sources = ops.concatenate([first_states[0][None], tape["h"][:-1]], axis=0)
        d_a = d_gate + d_candidate
        d_bias = ops.stack([ops.sum(part, axis=(0, 1)) for part in (d_gate, d_candidate)])
        of_candidate = tape["g"] * d_h
        d_zeta, d_nu = ops.sum((1 - tape["z"]) * of_candidate), ops.sum(of_candidate)
        return d_a, kernel_gradient(sources, (d_a,)), d_bias, d_zeta, d_nu
