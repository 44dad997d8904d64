"""Values that are held until they change, on arrays: the recurrence of DeltaHold and the base of delta recurrences."""

import abc
import dataclasses

from keras import ops

from keras_sparse_rnn.layers.recurrence import Recurrence, triangle


@dataclasses.dataclass(frozen=True)
class HoldRecurrence(Recurrence):
    """Sends a value if it differs from the last sent value by more than a threshold, else holds the last sent value.

        d = x - x^' ;  s = [|d| > theta] ;  x^ = s * x + (1 - s) * x^'

    The gradient in x^ goes to x where x is sent and to x^' where x^' is held ("exact"), or always to x
    ("straight_through"). A threshold that passes |d| moves x^ by a jump of -d. The gradient in the threshold is that
    of the mean over a triangular density of |d| around theta, of area 1:

        d_theta = -sum(psi d d_x^) ;  psi = max(0, 1 - ||d| - theta| / width) / width

    Both gradients ignore that a different x^' may change which values are sent later.
    """

    gradient: str
    surrogate_width: float
    trainable_threshold: bool

    input_names = ("x",)
    weight_names = ("threshold",)
    state_names = ("held",)
    tape_names = ("change",)
    step_gradients = 1

    def surrogate(self, change, threshold):
        """Returns the surrogate of the derivative of s with respect to |d|."""
        return triangle(ops.abs(change) - threshold, 1 / self.surrogate_width, self.surrogate_width)

    def event(self, change, threshold):
        """Returns 1 where a change d is sent, else 0, in the dtype of d, with the surrogate gradient."""
        distance = ops.abs(change) - threshold
        slope = ops.stop_gradient(self.surrogate(change, threshold))
        # The second term is exactly zero and carries the gradient.
        return _sent(change, threshold) + slope * (distance - ops.stop_gradient(distance))

    def hold(self, x, held, threshold, automatic=True):
        """Returns the value held now, x^, and the change d."""
        change = x - held
        new = ops.where(ops.abs(change) > threshold, x, held)
        if automatic:
            # Terms that are exactly zero and carry the gradient.
            if self.gradient == "straight_through":
                new = ops.stop_gradient(new) + (x - ops.stop_gradient(x))
            if self.trainable_threshold:
                jump = ops.stop_gradient(self.surrogate(change, threshold) * change)
                new = new - jump * (threshold - ops.stop_gradient(threshold))
        return new, change

    def hold_gradient(self, change, d_held, threshold):
        """Returns the gradients in x, in the previously held value, and in theta before summation (or None)."""
        d_threshold = -self.surrogate(change, threshold) * change * d_held if self.trainable_threshold else None
        if self.gradient == "straight_through":
            return d_held, ops.zeros_like(d_held), d_threshold
        d_x = _sent(change, threshold) * d_held
        return d_x, d_held - d_x, d_threshold

    def step(self, inputs, states, weights, automatic=True):
        held, change = self.hold(inputs[0], states[0], weights[0], automatic)
        return {"held": held, "change": change}

    def step_gradient(self, tape, d_states, d_values, weights):
        d_x, d_before, d_threshold = self.hold_gradient(tape["change"], d_states[0], weights[0])
        if "change" in d_values:
            d_x, d_before = d_x + d_values["change"], d_before - d_values["change"]
        return (d_before,), (d_x,), d_threshold

    def gradients(self, first_states, tape, d_steps, d_threshold):
        return d_steps[0], d_threshold


class DeltaRecurrence(Recurrence):
    """A recurrence whose recurrent kernel reads h^, the held state h' (Neil et al., 2017, arXiv:1612.05571).

    A subclass has the field `hidden`, a `HoldRecurrence`, and defines the arithmetic after the hold:
        state_names: its own states, h first, then "held"
        cell(inputs, source, states, weights, automatic): returns the values of a step, including its own new states;
            the recurrent kernel reads `source`
        cell_gradient(tape, d_states, d_values, weights): returns the gradients in the source, in its own previous
            states (a list), of each step, and in further thresholds (a list); `d_states` are the gradients in its own
            new states
    """

    hidden: HoldRecurrence
    state_names: tuple[str, ...]
    changes: tuple[str, ...]

    @property
    def trainable_threshold(self):
        return self.hidden.trainable_threshold

    @abc.abstractmethod
    def cell(self, inputs, source, states, weights, automatic):
        """See above."""

    @abc.abstractmethod
    def cell_gradient(self, tape, d_states, d_values, weights):
        """See above."""

    def step(self, inputs, states, weights, automatic=True):
        *own, held = states
        threshold = self.threshold_of(weights)
        read = self.read(own[0], weights)
        held, change = self.hidden.hold(read, held, threshold[: held.shape[-1]], automatic)
        values = self.cell(inputs, held, own, weights, automatic)
        return {**values, "held": held, "change": change}

    def step_gradient(self, tape, d_states, d_values, weights):
        *d_own, d_held = d_states
        threshold = self.threshold_of(weights)[: d_held.shape[-1]]
        d_source, d_before, d_step, d_thresholds = self.cell_gradient(tape, d_own, d_values, weights)
        d_sent, d_held_before, d_threshold = self.hidden.hold_gradient(tape.get("change"), d_held + d_source, threshold)
        d_before[0] = d_before[0] + d_sent
        if "change" in d_values:
            d_before[0], d_held_before = d_before[0] + d_values["change"], d_held_before - d_values["change"]
        if d_thresholds and d_threshold is not None:
            d_threshold = ops.concatenate([d_threshold, *d_thresholds], axis=-1)
        return (*d_before, d_held_before), d_step, d_threshold

    def read(self, state, weights):
        """Returns a state as it is compared with its held value."""
        return state

    def weights_backward(self, weights):
        return (ops.transpose(weights[0]), *weights[1:])


def _sent(change, threshold):
    return ops.cast(ops.abs(change) > threshold, change.dtype)
