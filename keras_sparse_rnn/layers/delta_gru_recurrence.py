"""The recurrences of the delta GRU on arrays, with the reset gate applied after or before the recurrent product."""

import dataclasses
from collections.abc import Callable

from keras import ops

from keras_sparse_rnn.layers.delta_recurrence import DeltaRecurrence, HoldRecurrence
from keras_sparse_rnn.layers.gru_recurrence import GRURecurrence
from keras_sparse_rnn.layers.recurrence import kernel_gradient
from keras_sparse_rnn.layers.slopes import slope_of


@dataclasses.dataclass(frozen=True)
class DeltaGRURecurrence(DeltaRecurrence, GRURecurrence):
    """A GRU whose recurrent kernel reads h^.

    s' and f' are the derivatives of the activations of the gates and of the candidate:

        d_a_z = (h' - g) s'(z) d_h ;  d_a_h = (1 - z) f'(g) d_h ;  d_q_h = r d_a_h ;  d_a_r = q_h s'(r) d_a_h
    """

    activation: Callable
    recurrent_activation: Callable
    hidden: HoldRecurrence
    reset_gate: bool = True

    state_names = ("h", "held")
    changes = ("change",)

    @property
    def tape_names(self):
        return tuple(dict.fromkeys(("distance", "held", "change", *self.gate_names)))

    @property
    def hand_written(self):
        return bool(slope_of(self.activation) and slope_of(self.recurrent_activation))

    def cell(self, inputs, source, states, weights, automatic):
        new, values = self.update(inputs, source, states[0], weights)
        return {**values, "h": new}

    def cell_gradient(self, tape, d_states, d_values, weights):
        d_h, z = d_states[0], tape["z"]
        d_a_z, d_a_h = tape["distance"] * self.slope("z", tape) * d_h, (1 - z) * self.slope("g", tape) * d_h
        if not self.reset_gate:
            return ops.concatenate([d_a_z, d_a_h], axis=-1) @ weights[0], [z * d_h], (d_a_z, d_a_h), []
        r = tape["r"]
        d_q_h, d_a_r = r * d_a_h, tape["q_h"] * self.slope("r", tape) * d_a_h
        d_source = ops.concatenate([d_a_z, d_a_r, d_q_h], axis=-1) @ weights[0]
        return d_source, [z * d_h], (d_a_z, d_a_r, d_a_h, d_q_h), []

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return *self.update_gradients(tape["held"], d_steps), d_threshold


@dataclasses.dataclass(frozen=True)
class DeltaResetRecurrence(DeltaRecurrence):
    """A GRU with the reset gate before the recurrent product: z and r read h^, the candidate reads the held r * h.

    z = s(a_z + h^ R_z) ;  r = s(a_r + h^ R_r) ;  p^ = hold(r * h') ;  g = f(a_h + p^ R_h) ;  h = g + z * (h' - g)
    """

    activation: Callable
    recurrent_activation: Callable
    hidden: HoldRecurrence

    input_names = ("a_z", "a_r", "a_h")
    weight_names = ("recurrent_kernel", "threshold")  # the thresholds of h, then of r * h
    state_names = ("h", "held_reset", "held")
    tape_names = ("before", "held", "change", "held_reset", "reset_change", "z", "r", "g")
    step_gradients = 3
    changes = ("change", "reset_change")

    @property
    def hand_written(self):
        return bool(slope_of(self.activation) and slope_of(self.recurrent_activation))

    def cell(self, inputs, source, states, weights, automatic):
        (a_z, a_r, a_h), (h, held_reset), masks = inputs, states, self.masks_of(weights)
        units = h.shape[-1]
        kernel, of_candidate = weights[0][:, : 2 * units], weights[0][:, 2 * units :]
        values = {"before": h}
        q_z, q_r = self.products(source, kernel, masks[:2], 2, weights)
        z = self.activate(values, "z", self.pre_activation("z", a_z + q_z, weights), weights)
        r = self.activate(values, "r", self.pre_activation("r", a_r + q_r, weights), weights)
        threshold = self.threshold_of(weights)[units:]
        held_reset, change = self.hidden.hold(self.times(r, h, weights), held_reset, threshold, automatic)
        (q_h,) = self.products(held_reset, of_candidate, masks[2:], 1, weights)
        total = self.total(a_h, self.pre_activation("q_h", q_h, weights), weights)
        g = self.activate(values, "g", total, weights)
        return {**values, "h": self.mix(z, g, h, weights), "held_reset": held_reset, "reset_change": change}

    def cell_gradient(self, tape, d_states, d_values, weights):
        (d_h, d_held), (h, z, r, g) = d_states, (tape[name] for name in ("before", "z", "r", "g"))
        units = h.shape[-1]
        kernel, of_candidate = weights[0][: 2 * units], weights[0][2 * units :]
        d_a_z, d_a_h = (h - g) * self.slope("z", tape) * d_h, (1 - z) * self.slope("g", tape) * d_h
        d_reset, d_held_before, d_threshold = self.hidden.hold_gradient(
            tape.get("reset_change"), d_held + d_a_h @ of_candidate, self.threshold_of(weights)[units:]
        )
        if "reset_change" in d_values:
            d_reset, d_held_before = d_reset + d_values["reset_change"], d_held_before - d_values["reset_change"]
        d_a_r = h * self.slope("r", tape) * d_reset
        d_source = ops.concatenate([d_a_z, d_a_r], axis=-1) @ kernel
        return d_source, [z * d_h + r * d_reset, d_held_before], (d_a_z, d_a_r, d_a_h), [d_threshold]

    def gradients(self, first_states, tape, d_steps, d_threshold):
        d_a_z, d_a_r, d_a_h = d_steps
        d_kernel = [kernel_gradient(tape["held"], (d_a_z, d_a_r)), kernel_gradient(tape["held_reset"], (d_a_h,))]
        return d_a_z, d_a_r, d_a_h, ops.concatenate(d_kernel, axis=-1), d_threshold
