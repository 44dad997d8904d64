"""A recurrence on arrays: all steps of a sequence, and its backward pass through time."""

import abc
import dataclasses

from keras import ops

from keras_sparse_rnn.layers import loops


class Recurrence(abc.ABC):
    """One step forward and one backward, from a subclass, make a sequence that trains fast.

    A subclass names its arrays and works on tuples of them in this order:
        input_names: time-major sequences that have a gradient
        weight_names: what is the same at each step; the last of them is the threshold
        state_names: what a step hands to the next
        tape_names: values of a step, or its new states, that `step_gradient` and `gradients` read
        step_gradients: number of the gradients for each step that `step_gradient` hands to `gradients`
        trainable_threshold: whether the threshold has a gradient
    """

    hand_written = True  # whether `step_gradient` is the gradient of `step` with the subclass's settings

    @abc.abstractmethod
    def step(self, inputs, states, weights, automatic=True):
        """One step: a dict of its values, the new states among them.

        With `automatic` the backend's gradient of this is the right one; without, surrogates may be left out.
        """

    @abc.abstractmethod
    def step_gradient(self, tape, d_states, d_values, weights):
        """Gradients of one step, from those in its new states, d_states, and in other values, the dict d_values.

        The weights are those of `weights_backward`. Returns the gradients in the states before, the arrays that
        `gradients` needs of each step, and the gradient in the threshold before it is summed over the batch, or None.
        """

    @abc.abstractmethod
    def gradients(self, first_states, tape, d_steps, d_threshold):
        """Gradients in the inputs and in the weights, from what all steps of `step_gradient` returned."""

    def weights_backward(self, weights):
        """The weights as `step_gradient` wants them, made once for all steps."""
        return weights

    def sequence(self, inputs, states, weights, mask=None, outputs=(), by_hand=False):
        """All steps of a sequence.

        Args:
            inputs: Arrays (time, batch, channels).
            states: What the step before the first left, (batch, channels) each.
            weights: Arrays.
            mask: Boolean array (time, batch, 1): where it is False the states are held.
            outputs: Names of the values of each step to return; states are held where masked, other values are without
                meaning there.
            by_hand: Whether the gradient is the backward pass written by hand, the faster way to train, rather than
                the backend's own. Only if `hand_written`.

        Returns:
            A tuple of the asked arrays (time, batch, channels), and the states after the last step.
        """
        masks = () if mask is None else (mask,)
        if by_hand:
            backward_pass = _BackwardPass(self, tuple(outputs))
            arrays = (*inputs, *weights, *states, *masks)
            results = loops.with_gradient(backward_pass.forward, backward_pass.backward, arrays)
            return tuple(results[: len(outputs)]), tuple(results[len(outputs) :])
        return self._scan(inputs, states, weights, masks, outputs, automatic=True)

    def _scan(self, inputs, states, weights, masks, outputs, automatic):
        def step(states, slices):
            inputs_now, masks_now = _split(slices, [len(inputs)])
            values = self.step(inputs_now, states, weights, automatic)
            for mask in masks_now:
                for name, old in zip(self.state_names, states, strict=True):
                    values[name] = ops.where(mask, values[name], old)
            return tuple(values[name] for name in self.state_names), tuple(values[name] for name in outputs)

        states, emitted = loops.scan(step, states, (*inputs, *masks), len(outputs))
        return emitted, states


@dataclasses.dataclass(frozen=True)
class _BackwardPass:
    """Backpropagation through time; products with the weights' gradients wait until the loop is over."""

    recurrence: Recurrence
    outputs: tuple

    def forward(self, *arrays):
        recurrence = self.recurrence
        counts = [len(names) for names in (recurrence.input_names, recurrence.weight_names, recurrence.state_names)]
        inputs, weights, states, masks = _split(arrays, counts)
        names = tuple(dict.fromkeys((*recurrence.tape_names, *self.outputs)))
        emitted, last = recurrence._scan(inputs, states, weights, masks, names, automatic=False)
        emitted = dict(zip(names, emitted, strict=True))
        tape = (emitted[name] for name in recurrence.tape_names)
        return (*(emitted[name] for name in self.outputs), *last), (*weights, *states, *tape, *masks)

    def backward(self, residuals, upstream):
        recurrence = self.recurrence
        counts = [len(names) for names in (recurrence.weight_names, recurrence.state_names, recurrence.tape_names)]
        weights, first_states, tape, masks = _split(residuals, counts)
        d_outputs, d_last = _split(upstream, [len(self.outputs)])
        weights = recurrence.weights_backward(weights)

        def step(carried, slices):
            d_states, d_threshold = _split(carried, [len(d_last)])
            values, masks_now, d_values = _split(slices, [len(tape), len(masks)])
            values = dict(zip(recurrence.tape_names, values, strict=True))
            d_values = dict(zip(self.outputs, d_values, strict=True))
            d_states = tuple(
                d_state + d_values.pop(name) if name in d_values else d_state
                for name, d_state in zip(recurrence.state_names, d_states, strict=True)
            )
            d_held = d_states
            for mask in masks_now:
                d_states = tuple(ops.where(mask, d_state, 0.0) for d_state in d_states)
            d_before, d_step, d_threshold_here = recurrence.step_gradient(values, d_states, d_values, weights)
            for mask in masks_now:
                d_before = tuple(
                    d_state + ops.where(mask, 0.0, held) for d_state, held in zip(d_before, d_held, strict=True)
                )
            return (*d_before, *(total + d_threshold_here for total in d_threshold)), d_step

        threshold = weights[len(recurrence.weight_names) - 1]
        d_threshold = (ops.zeros_like(d_last[-1][:, :1] * threshold),) if recurrence.trainable_threshold else ()
        carried, d_steps = loops.scan(
            step, (*d_last, *d_threshold), (*tape, *masks, *d_outputs), recurrence.step_gradients, reverse=True
        )
        d_first, d_threshold = _split(carried, [len(d_last)])
        tape = dict(zip(recurrence.tape_names, tape, strict=True))
        d_threshold = ops.sum(d_threshold[0], axis=0) if d_threshold else None
        d_inputs_and_weights = recurrence.gradients(first_states, tape, d_steps, d_threshold)
        return (*d_inputs_and_weights, *d_first, *(None for _ in masks))


def triangle(distance, height, width):
    """The derivative that stands for that of a step at distance 0: a triangle of that height and half-width."""
    return ops.relu(height - height / width * ops.abs(distance))


def gate_products(source, kernel, masks, gates):
    """The products (batch, units) of a source (batch, sources) with the part of a kernel that belongs to each gate;
    `masks` are what the source is multiplied by for each, none where recurrent dropout is off."""
    if not masks:
        return ops.split(source @ kernel, gates, axis=-1)
    return [(source * mask) @ part for mask, part in zip(masks, ops.split(kernel, gates, axis=-1), strict=True)]


def kernel_gradient(sources, d_gates):
    """That in a recurrent kernel, from what it read, (time, batch, units), and the gradients in each gate's sums."""
    units = sources.shape[-1]
    sources = ops.transpose(ops.reshape(sources, (-1, units)))
    return ops.concatenate([sources @ ops.reshape(d_gate, (-1, units)) for d_gate in d_gates], axis=-1)


def _split(arrays, counts):
    """The arrays in groups of these sizes, and the rest of them as a last group."""
    groups = []
    for count in counts:
        groups.append(tuple(arrays[:count]))
        arrays = arrays[count:]
    return (*groups, tuple(arrays))
