"""The recurrence of the event GRU: one step, a whole sequence, and its backward pass through time."""

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from keras_sparse_rnn.layers import loops


@dataclasses.dataclass(frozen=True)
class EventRecurrence:
    """The equations of the event GRU (Subramoney et al., ICLR 2023, arXiv:2206.06178), on arrays.

        z = s(a_z + q_z) ;  r = s(a_r + q_r) ;  g = f(a_h + r * q_h) ;  q = y' R + b
        c~ = z * c' + (1 - z) * g ;  e = [c~ > theta] ;  y = e * c~ ;  c = c~ - e * theta

    Gates come as a tuple (a_z, a_r, a_h) = x W + b_x, states as (y, c), weights as (R, b, theta), where b is the
    recurrent bias of the candidate alone: those of z and r belong to the gates.
    """

    activation: Callable
    recurrent_activation: Callable
    surrogate_height: float
    surrogate_width: float
    reset: bool

    @property
    def hand_written(self):
        """Whether the backward pass below is that of the activations."""
        return self.activation is keras.activations.tanh and self.recurrent_activation is keras.activations.sigmoid

    def surrogate(self, distance):
        """The derivative that stands for that of the event: a triangle over c~ - theta."""
        slope = self.surrogate_height / self.surrogate_width
        return ops.relu(self.surrogate_height - slope * ops.abs(distance))

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
        q_z, q_r, q_h = ops.split(y @ recurrent_kernel, 3, axis=-1)
        q_h = q_h + bias
        z = self.recurrent_activation(a_z + q_z)
        r = self.recurrent_activation(a_r + q_r)
        g = self.activation(a_h + r * q_h)
        candidate = g + z * (c - g)
        e = event(candidate, threshold)
        new_y = e * candidate
        new_c = candidate - e * threshold if self.reset else candidate
        return (new_y, new_c), candidate, (z, r, g, q_h)

    def sequence(self, gates, states, weights, mask=None, outputs=("y",), by_hand=False):
        """All steps of a sequence.

        Args:
            gates: Three arrays (time, batch, units).
            states: y and c before the first step, (batch, units) each.
            weights: R (units, 3 * units), b (units,), theta (units,).
            mask: Boolean array (time, batch, 1): where it is False the states are held.
            outputs: What to return of each step: any of "y", "c" (held where masked) and "candidate" (c~, without
                meaning where masked).
            by_hand: Whether the gradient is the backward pass written below, the faster way to train, rather than the
                backend's own. Only if `hand_written`.

        Returns:
            A tuple of the asked arrays (time, batch, units), and the states after the last step.
        """
        masks = () if mask is None else (mask,)
        if by_hand:
            backward_pass = _BackwardPass(self, outputs)
            arrays = (*gates, *weights, *states, *masks)
            *emitted, y, c = loops.with_gradient(backward_pass.forward, backward_pass.backward, arrays)
            return tuple(emitted), (y, c)

        def step(states, inputs):
            new_states, candidate = self.step(inputs[:3], states, weights)
            y, c = _hold(new_states, states, inputs[3:])
            values = {"y": y, "c": c, "candidate": candidate}
            return (y, c), tuple(values[name] for name in outputs)

        states, emitted = loops.scan(step, states, (*gates, *masks), len(outputs))
        return emitted, states


@dataclasses.dataclass(frozen=True)
class _BackwardPass:
    """Backpropagation through time, with the gradient in R as one product over all steps after the loop.

    With psi the surrogate, and d_v the gradient in v:

        d_e = c~ d_y - theta d_c ;  d_c~ = e d_y + d_c + psi d_e ;  d_theta = -sum(psi d_e + e d_c)
        d_a_z = (c' - g) z (1 - z) d_c~ ;  d_a_h = (1 - z) (1 - g^2) d_c~
        d_q_h = r d_a_h ;  d_a_r = q_h (1 - r) d_q_h ;  d_y' = (d_a_z, d_a_r, d_q_h) R^T ;  d_c' = z d_c~

    A mask, if there is one, is the last of the arrays.
    """

    recurrence: EventRecurrence
    outputs: tuple

    def forward(self, a_z, a_r, a_h, recurrent_kernel, bias, threshold, y, c, *masks):
        weights = (recurrent_kernel, bias, threshold)

        def step(states, inputs):
            new_states, candidate, gates = self.recurrence._step(inputs[:3], states, weights, _fired)
            new_y, new_c = _hold(new_states, states, inputs[3:])
            return (new_y, new_c), (new_y, candidate, *gates, *([new_c] if "c" in self.outputs else []))

        emits = 7 if "c" in self.outputs else 6
        (last_y, last_c), emitted = loops.scan(step, (y, c), (a_z, a_r, a_h, *masks), emits)
        values = {"y": emitted[0], "candidate": emitted[1], "c": emitted[-1]}
        residuals = (recurrent_kernel, threshold, y, *emitted[:6], *masks)
        return (*(values[name] for name in self.outputs), last_y, last_c), residuals

    def backward(self, residuals, upstream):
        recurrent_kernel, threshold, first_y, y, candidates, z, r, g, q_h, *masks = residuals
        *d_outputs, d_last_y, d_last_c = upstream
        units = threshold.shape[-1]
        transposed_kernel = ops.transpose(recurrent_kernel)

        def step(states, inputs):
            d_y, d_c, d_threshold = states
            candidate, z, r, g, q_h, *rest = inputs
            d_output = dict(zip(self.outputs, rest[len(masks) :], strict=True))
            if "y" in d_output:
                d_y = d_y + d_output["y"]
            if "c" in d_output:
                d_c = d_c + d_output["c"]
            before_mask = d_y, d_c
            for mask in rest[: len(masks)]:
                d_y, d_c = ops.where(mask, d_y, 0.0), ops.where(mask, d_c, 0.0)

            e = _fired(candidate, threshold)
            d_e = candidate * d_y
            if self.recurrence.reset:
                d_e = d_e - threshold * d_c
                d_threshold = d_threshold - e * d_c
            d_by_event = self.recurrence.surrogate(candidate - threshold) * d_e
            d_candidate = e * d_y + d_c + d_by_event
            if "candidate" in d_output:
                d_candidate = d_candidate + d_output["candidate"]
            d_not_z = (1 - z) * d_candidate
            d_a_z, d_a_h = (candidate - g) * d_not_z, (1 - g * g) * d_not_z  # c~ - g = z (c' - g)
            d_q_h = r * d_a_h
            d_a_r = q_h * (1 - r) * d_q_h
            d_y_before = ops.concatenate([d_a_z, d_a_r, d_q_h], axis=-1) @ transposed_kernel
            d_c_before = z * d_candidate
            for mask in rest[: len(masks)]:
                d_y_before = d_y_before + ops.where(mask, 0.0, before_mask[0])
                d_c_before = d_c_before + ops.where(mask, 0.0, before_mask[1])
            return (d_y_before, d_c_before, d_threshold - d_by_event), (d_a_z, d_a_r, d_a_h, d_q_h)

        initial = (d_last_y, d_last_c, ops.zeros_like(d_last_c))
        sequences = (candidates, z, r, g, q_h, *masks, *d_outputs)
        states, (d_a_z, d_a_r, d_a_h, d_q_h) = loops.scan(step, initial, sequences, 4, reverse=True)
        d_first_y, d_first_c, d_threshold = states
        y_before = ops.reshape(ops.concatenate([first_y[None], y[:-1]], axis=0), (-1, units))
        d_kernel = [ops.transpose(y_before) @ ops.reshape(d_q, (-1, units)) for d_q in (d_a_z, d_a_r, d_q_h)]
        d_weights = ops.concatenate(d_kernel, axis=-1), ops.sum(d_q_h, axis=(0, 1)), ops.sum(d_threshold, axis=0)
        return (d_a_z, d_a_r, d_a_h, *d_weights, d_first_y, d_first_c, *(None for _ in masks))


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
    (last,), (traces,) = loops.scan(step, (initial,), sequences, 1)
    return traces, last


def _fired(candidate, threshold):
    return ops.cast(candidate > threshold, candidate.dtype)


def _hold(new, old, masks):
    """The new states, or the old ones where the mask, if there is one, is False."""
    for mask in masks:
        new = tuple(ops.where(mask, n, o) for n, o in zip(new, old, strict=True))
    return new
