"""The recurrence of the event GRU: one step, a whole sequence, and its backward pass through time."""

import dataclasses
from collections.abc import Callable

from keras import ops

from keras_sparse_rnn.layers import loops


@dataclasses.dataclass(frozen=True)
class EventRecurrence:
    """The equations of the event GRU (Subramoney et al., ICLR 2023, arXiv:2206.06178), on arrays.

        z = s(a_z + q_z) ;  r = s(a_r + q_r) ;  g = f(a_h + r * q_h) ;  q = y' R + b
        c~ = z * c' + (1 - z) * g ;  e = [c~ > theta] ;  y = e * c~ ;  c = c~ - e * theta

    Gates come as a tuple (a_z, a_r, a_h) = x W + b_x, states as (y, c), weights as (R, b, theta), where b is the recurrent
    bias of the candidate alone: those of z and r belong to the gates.
    """

    activation: Callable
    recurrent_activation: Callable
    surrogate_height: float
    surrogate_width: float
    reset: bool

    def surrogate(self, distance):
        """The derivative that stands for that of the event: a triangle over c~ - theta."""
        return self.surrogate_height * ops.relu(1 - ops.abs(distance) / self.surrogate_width)

    def event(self, candidate, threshold):
        """1 where the state exceeds its threshold, else 0, in the dtype of the state, with the surrogate gradient."""
        distance = candidate - threshold
        slope = ops.stop_gradient(self.surrogate(distance))
        # The second term is exactly zero and carries the gradient.
        return _fired(candidate, threshold) + slope * (distance - ops.stop_gradient(distance))

    def step(self, gates, states, weights):
        """One step: (new states, c~), differentiable."""
        return self._step(gates, states, weights, self.event)[:2]

    def _step(self, gates, states, weights, event):
        a_z, a_r, a_h = gates
        y, c = states
        recurrent_kernel, bias, threshold = weights
        q_z, q_r, q_h = ops.split(ops.matmul(y, recurrent_kernel), 3, axis=-1)
        q_h = q_h + bias
        z = self.recurrent_activation(a_z + q_z)
        r = self.recurrent_activation(a_r + q_r)
        g = self.activation(a_h + r * q_h)
        candidate = g + z * (c - g)
        e = event(candidate, threshold)
        new_y = e * candidate
        new_c = candidate - e * threshold if self.reset else candidate
        return (new_y, new_c), candidate, (z, r, g, q_h)

    def sequence(self, gates, states, weights, mask=None, outputs=("y",)):
        """All steps of a sequence.

        Args:
            gates: Three arrays (time, batch, units).
            states: y and c before the first step, (batch, units) each.
            weights: R (units, 3 * units), b (units,), theta (units,).
            mask: Boolean array (time, batch, 1): where it is False the states are held.
            outputs: What to return of each step: any of "y", "c" (held where masked) and "candidate" (c~, without meaning
                where masked).

        Returns:
            A tuple of the asked arrays (time, batch, units), and the states after the last step.
        """

        def step(states, inputs):
            new_states, candidate = self.step(inputs[:3], states, weights)
            new_states = _hold(new_states, states, inputs[3:])
            values = {"y": new_states[0], "c": new_states[1], "candidate": candidate}
            return new_states, tuple(values[name] for name in outputs)

        sequences = (*gates, mask) if mask is not None else gates
        states, emitted = loops.scan(step, states, sequences, (gates[0].shape[-1],) * len(outputs))
        return emitted, states


def trace_step(y, trace, decay):
    return decay * trace + (1 - decay) * y


def trace(sequence, initial, decay, mask=None):
    """The decaying trace of a sequence: tr = decay * tr' + (1 - decay) * y, held where masked.

    Args:
        sequence: Array (time, batch, units).
        initial: The trace before the first step, (batch, units).
        decay: In [0, 1).
        mask: Boolean array (time, batch, 1) or None.

    Returns:
        The traces (time, batch, units), and the last one.
    """

    def step(states, inputs):
        new_states = _hold((trace_step(inputs[0], states[0], decay),), states, inputs[1:])
        return new_states, new_states

    sequences = (sequence, mask) if mask is not None else (sequence,)
    (last,), (traces,) = loops.scan(step, (initial,), sequences, (sequence.shape[-1],))
    return traces, last


def _fired(candidate, threshold):
    return ops.cast(candidate > threshold, candidate.dtype)


def _hold(new, old, masks):
    """The new states, or the old ones where the mask, if there is one, is False."""
    for mask in masks:
        new = tuple(ops.where(mask, n, o) for n, o in zip(new, old, strict=True))
    return new
