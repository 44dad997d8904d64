"""A recurrence on arrays: all steps of a sequence, and the backward pass through time."""

import abc
import dataclasses

from keras import ops

from keras_sparse_rnn.layers import loops
from keras_sparse_rnn.layers.slopes import slope_of

GATES = ("z", "r", "t", "i", "f", "o")  # values of a step with the recurrent activation


class Recurrence(abc.ABC):
    """Turns one forward step and one backward step of a subclass into a sequence that trains fast.

    A subclass names its arrays and works on tuples of arrays in this order:
        input_names: time-major sequences that have a gradient
        weight_names: arrays that are the same at each step; the thresholds are "threshold"
        state_names: arrays that a step passes to the next step
        tape_names: values of a step, or its new states, that `step_gradient` and `gradients` read
        step_gradients: number of gradients per step that `step_gradient` passes to `gradients`
        trainable_threshold: whether the threshold has a gradient

    The arithmetic of a step is in the methods from `products` on. `quantization` replaces them with integers.
    """

    hand_written = True  # whether `step_gradient` is the gradient of `step` with the subclass's settings
    weight_names: tuple[str, ...]

    @abc.abstractmethod
    def step(self, inputs, states, weights, automatic=True):
        """Computes one step and returns a dict of its values, including the new states.

        With `automatic`, the backend's gradient of the step must be correct; otherwise surrogates may be left out.
        """

    @abc.abstractmethod
    def step_gradient(self, tape, d_states, d_values, weights):
        """Computes the gradients of one step.

        Args:
            tape: Dict of the values `tape_names` of this step.
            d_states: Gradients in the new states.
            d_values: Dict of the gradients in other values of the step.
            weights: The weights that `weights_backward` returns.

        Returns:
            The gradients in the previous states, the arrays per step that `gradients` needs, and the gradient in the
            threshold before it is summed over the batch, or None.
        """

    @abc.abstractmethod
    def gradients(self, first_states, tape, d_steps, d_threshold):
        """Returns the gradients in the inputs and in the weights, from the results of `step_gradient` at all steps."""

    def weights_backward(self, weights):
        """Returns the weights as `step_gradient` reads them, prepared once for all steps."""
        return weights

    def threshold_of(self, weights):
        """Returns all thresholds, concatenated; masks of recurrent dropout may follow them in `weights`."""
        return weights[self.weight_names.index("threshold")]

    def masks_of(self, weights):
        return weights[len(self.weight_names) :]

    def products(self, source, kernel, masks, gates, weights):
        """Returns the products (batch, units) of a source (batch, sources) with each gate's part of a kernel.

        `masks` multiply the source, one per gate; the tuple is empty without recurrent dropout.
        """
        if not masks:
            return ops.split(source @ kernel, gates, axis=-1)
        return [(source * mask) @ part for mask, part in zip(masks, ops.split(kernel, gates, axis=-1), strict=True)]

    def pre_activation(self, name, value, weights):
        """Returns the pre-activation of a value of the step, from the sum of all products and biases."""
        return value

    def activate(self, values, name, value, weights):
        """Adds the activation of a pre-activation to the values of the step, and returns it."""
        values[name] = self.function_of(name)(value)
        return values[name]

    def function_of(self, name):
        """Returns the activation of a value of the step."""
        return self.recurrent_activation if name in GATES else self.activation

    def slope(self, name, tape):
        """Returns the derivative of the activation of a value of the step."""
        return slope_of(self.function_of(name))(tape[name])

    def total(self, x, y, weights):
        """Returns the sum of two pre-activations."""
        return x + y

    def times(self, gate, state, weights):
        return gate * state

    def mix(self, z, g, before, weights):
        """Returns z * before + (1 - z) * g."""
        return g + z * (before - g)

    def sequence(self, inputs, states, weights, mask=None, outputs=(), by_hand=False):
        """Computes all steps of a sequence.

        Args:
            inputs: Arrays (time, batch, channels).
            states: Initial states, arrays (batch, channels).
            weights: Arrays.
            mask: Boolean array (time, batch, 1). The states do not change where it is False.
            outputs: Names of the values to return for each step. Where masked, states repeat and other values have no
                meaning.
            by_hand: Whether to use the hand-written backward pass, which trains faster, instead of the backend's
                gradient. Only if `hand_written`.

        Returns:
            A tuple of the requested arrays (time, batch, channels), and the states after the last step.
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
    """Backpropagation through time. The gradients of the weights are computed after the loop, in one product."""

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

        d_threshold = ()
        if recurrence.trainable_threshold:
            d_threshold = (ops.zeros_like(d_last[-1][:, :1] * recurrence.threshold_of(weights)),)
        carried, d_steps = loops.scan(
            step, (*d_last, *d_threshold), (*tape, *masks, *d_outputs), recurrence.step_gradients, reverse=True
        )
        d_first, d_threshold = _split(carried, [len(d_last)])
        tape = dict(zip(recurrence.tape_names, tape, strict=True))
        d_threshold = ops.sum(d_threshold[0], axis=0) if d_threshold else None
        d_inputs_and_weights = recurrence.gradients(first_states, tape, d_steps, d_threshold)
        return (*d_inputs_and_weights, *d_first, *(None for _ in masks))


def triangle(distance, height, width):
    """Returns the surrogate derivative of a step at distance 0: a triangle with this height and half-width."""
    return ops.relu(height - height / width * ops.abs(distance))


def kernel_gradient(sources, d_gates):
    """Returns the gradient in a recurrent kernel, from its sources (time, batch, units) and the gates' gradients."""
    units = sources.shape[-1]
    sources = ops.transpose(ops.reshape(sources, (-1, units)))
    return ops.concatenate([sources @ ops.reshape(d_gate, (-1, units)) for d_gate in d_gates], axis=-1)


def _split(arrays, counts):
    """Splits arrays into groups of these sizes, and a last group with the rest."""
    groups = []
    for count in counts:
        groups.append(tuple(arrays[:count]))
        arrays = arrays[count:]
    return (*groups, tuple(arrays))
