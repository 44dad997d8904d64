"""The recurrence of the event GRU on arrays: one step and its gradient."""

import dataclasses
from collections.abc import Callable

from keras import ops

from keras_sparse_rnn.layers import loops
from keras_sparse_rnn.layers.gru_recurrence import GRURecurrence
from keras_sparse_rnn.layers.recurrence import triangle


@dataclasses.dataclass(frozen=True)
class EventRecurrence(GRURecurrence):
    """The equations of the event GRU (Subramoney et al., ICLR 2023, arXiv:2206.06178).

        c~ = z * c' + (1 - z) * g ;  e = [c~ > theta] ;  y = e * c~ ;  c = c~ - e * theta

    The recurrent kernel reads y'. psi is the surrogate, and d_v the gradient in v:

        d_e = c~ d_y - theta d_c ;  d_c~ = e d_y + d_c + psi d_e ;  d_theta = -sum(psi d_e + e d_c)
    """

    activation: Callable
    recurrent_activation: Callable
    surrogate_height: float
    surrogate_width: float
    reset: bool
    trainable_threshold: bool = True
    reset_gate: bool = True

    state_names = ("y", "c")

    @property
    def tape_names(self):
        return ("y", "candidate", *self.gate_names)

    def surrogate(self, distance):
        """Returns the surrogate of the derivative of the event: a triangle over c~ - theta."""
        return triangle(distance, self.surrogate_height, self.surrogate_width)

    def event(self, candidate, threshold):
        """Returns 1 where the state exceeds its threshold, else 0, in the state's dtype, with a surrogate gradient."""
        distance = candidate - threshold
        slope = ops.stop_gradient(self.surrogate(distance))
        # The second term is exactly zero and carries the gradient.
        return _fired(candidate, threshold) + slope * (distance - ops.stop_gradient(distance))

    def step(self, inputs, states, weights, automatic=True):
        y, c = states
        threshold = self.threshold_of(weights)
        candidate, values = self.update(inputs, y, c, weights)
        e = self.event(candidate, threshold) if automatic else _fired(candidate, threshold)
        new_c = candidate - e * threshold if self.reset else candidate
        return {**values, "candidate": candidate, "y": e * candidate, "c": new_c}

    def step_gradient(self, tape, d_states, d_values, weights):
        d_y, d_c = d_states
        candidate, threshold = tape["candidate"], self.threshold_of(weights)
        e = _fired(candidate, threshold)
        d_e = candidate * d_y
        if self.reset:
            d_e = d_e - threshold * d_c
        d_by_event = self.surrogate(candidate - threshold) * d_e
        d_candidate = e * d_y + d_c + d_by_event
        if "candidate" in d_values:
            d_candidate = d_candidate + d_values["candidate"]
        d_y_before, d_c_before, d_step = self.update_gradient(tape, candidate, d_candidate, weights)
        d_threshold = None
        if self.trainable_threshold:
            d_threshold = -d_by_event - e * d_c if self.reset else -d_by_event
        return (d_y_before, d_c_before), d_step, d_threshold

    def gradients(self, first_states, tape, d_steps, d_threshold):
        y_before = ops.concatenate([first_states[0][None], tape["y"][:-1]], axis=0)
        return *self.update_gradients(y_before, d_steps), d_threshold

    def trace_step(self, y, trace, decay, weights):
        return decay * trace + (1 - decay) * y

    def trace(self, sequence, initial, decay, weights, mask=None):
        """Returns the decaying trace of a sequence: tr = decay * tr' + (1 - decay) * y, unchanged at masked steps.

        Args:
            sequence: Array (time, batch, units).
            initial: The trace before the first step, (batch, units).
            decay: In [0, 1).
            weights: Those of the recurrence.
            mask: Boolean array (time, batch, 1) or None.

        Returns:
            The traces (time, batch, units), and the last one.
        """

        def step(states, inputs):
            y, *masks = inputs
            new = self.trace_step(y, states[0], decay, weights)
            for valid in masks:
                new = ops.where(valid, new, states[0])
            return (new,), (new,)

        sequences = (sequence, mask) if mask is not None else (sequence,)
        (last,), (traces,) = loops.scan(step, (initial,), sequences, 1)
        return traces, last


def _fired(candidate, threshold):
    return ops.cast(candidate > threshold, candidate.dtype)
