"""A Keras layer that holds each input until it changes."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.initializers import Sensitivity
from keras_sparse_rnn.layers.delta_recurrence import HoldRecurrence
from keras_sparse_rnn.layers.recurrent_layer import TimeMajorLayer
from keras_sparse_rnn.typing import Regularizer, Shape, Tensor, check_flag, is_number, not_negative

GRADIENTS = ("exact", "straight_through")
Threshold: TypeAlias = float | Sequence[float] | Sensitivity | dict[str, Any]


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaHoldCell(keras.layers.Layer):
    """One step of `DeltaHold`, which documents the equation and the other arguments.

    Args:
        reader: Function that returns the kernel (features, columns) that reads the held values. A `Sensitivity` needs
            it; only cells have one.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of one tensor (batch, features): the values held at the previous step.
        training: Not used; present because cells have this argument.

    Returns:
        The values held now, a tensor (batch, features), and a list of that tensor.
    """

    holds_features = True

    def __init__(
        self, threshold, trainable_threshold=False, gradient="exact", surrogate_width=0.25, reader=None, **kwargs
    ):
        if isinstance(threshold, dict):
            threshold = keras.saving.deserialize_keras_object(threshold)
        sensitivity = threshold if isinstance(threshold, Sensitivity) else None
        given = not_negative("threshold", threshold if sensitivity is None else sensitivity.scale)
        if sensitivity is not None and reader is None:
            raise ValueError(
                "`threshold` can be a Sensitivity where the layer that holds also multiplies, as in DeltaGRU and "
                f"DeltaDense; {type(self).__name__} knows no weights. Give it numbers."
            )
        if gradient not in GRADIENTS:
            raise ValueError(f"`gradient` must be one of {GRADIENTS}. Received: {gradient!r}")
        if not (is_number(surrogate_width) and surrogate_width > 0):
            raise ValueError(f"`surrogate_width` must be positive. Received: {surrogate_width!r}")
        super().__init__(**kwargs)
        self._given = given
        self._sensitivity, self._reader = sensitivity, reader
        self.trainable_threshold = check_flag("trainable_threshold", trainable_threshold)
        self.gradient = gradient
        self.surrogate_width = surrogate_width
        self.recurrence = HoldRecurrence(gradient, surrogate_width, trainable_threshold)
        self._threshold = None
        self.state_size = [None]  # known when built: the number of features
        self.output_size = None

    def build(self, input_shape):
        features = input_shape[-1]
        if self._given.ndim and len(self._given) != features:
            raise ValueError(f"`threshold` has {len(self._given)} values for {features} channels.")
        given = np.full((features,), self._given, "float32")
        if self.trainable_threshold:
            self._threshold = self.add_weight(
                shape=(features,),
                name="threshold",
                initializer=lambda shape, dtype=None: ops.convert_to_tensor(given, dtype),
                constraint=keras.constraints.NonNeg(),
            )
        else:
            self._threshold = given
        self.state_size = [features]
        self.output_size = features

    @property
    def threshold(self):
        """The thresholds (features,): the weight if they are trained, else a NumPy array. Before `build`: as given."""
        if self._threshold is None:
            return self._sensitivity or self._given.tolist()
        return self._threshold if self._sensitivity is None else ops.convert_to_numpy(self._scaled())

    def threshold_tensor(self):
        """Returns the thresholds (features,) in the compute dtype."""
        thresholds = ops.convert_to_tensor(self._threshold) if self._sensitivity is None else self._scaled()
        return ops.cast(thresholds, self.compute_dtype)

    def _scaled(self):
        return self._sensitivity.thresholds(ops.convert_to_tensor(self._threshold), self._reader())

    def call(self, inputs, states, training=False):
        held, _ = self.recurrence.hold(inputs, states[0], self.threshold_tensor())
        return held, [held]

    def sequence(self, inputs, held, mask=None, training=False, event_penalty=None):
        """Computes all steps of a sequence.

        Args:
            inputs: Tensor (time, batch, features).
            held: Tensor (batch, features), the values held before the first step.
            mask: Boolean tensor (time, batch, 1), or None.
            training: Whether gradients will be computed.
            event_penalty: An `EventPenalty`, or None.

        Returns:
            The values held at each step (time, batch, features), those of the last step (batch, features), and the
            loss of the penalty or None.
        """
        asked = ("held",) if event_penalty is None else ("held", "change")
        (outputs, *changes), (last,) = self.recurrence.sequence(
            (inputs,), (held,), (self.threshold_tensor(),), mask, asked, by_hand=training
        )
        losses = [self.penalty(event_penalty, change, mask) for change in changes]
        return outputs, last, losses[0] if losses else None

    def penalty(self, event_penalty, change, mask=None):
        """Returns the loss of an `EventPenalty` for changes (time, batch, features), sent or not."""
        events = self.recurrence.event(change, self.threshold_tensor())
        return event_penalty.penalty(ops.abs(change), events, mask)

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def get_config(self):
        return {
            **super().get_config(),
            "threshold": keras.saving.serialize_keras_object(self._sensitivity)
            if self._sensitivity
            else self._given.tolist(),
            "trainable_threshold": self.trainable_threshold,
            "gradient": self.gradient,
            "surrogate_width": self.surrogate_width,
        }


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaHold(TimeMajorLayer):
    """Holds each channel of a sequence until it changes by more than a threshold.

        x^ = x where |x - x^'| > threshold, else x^'     (' marks the previous step; x^ is zero before the first step)

    In front of a recurrent layer, it lets the converted layer keep the sum x^ W and update it for changed inputs only,
    so its cost is proportional to the rate of changes. Source: Neil et al., "Delta networks for optimized recurrent
    network computation", ICML 2017, arXiv:1612.05571.

    Args:
        threshold: Number, or a list with one number for each channel, at least 0, in units of the input. At 0 the layer
            is the identity.
        trainable_threshold: Whether the thresholds are weights (features,), initialized to `threshold` and constrained
            to be at least 0. Without a penalty they become small, so add an `activity_regularizer`.
        gradient: "exact": the gradient in x^ goes to x at steps that send x, else to the step that sent the held value.
            "straight_through": it always goes to x.
        surrogate_width: For trained thresholds: half-width, positive and in units of the input, of a triangle of area 1
            that replaces the derivative of the decision to send. Sending moves x^ by the jump x - x^', so the gradient
            in a threshold is the jump times the density of changes at the threshold, which the triangle estimates.
        activity_regularizer: An `EventPenalty` acts on the rate of sent changes; its state is the size |x - x^'| of
            each change. Any other regularizer acts on the output, as in Keras.
        return_sequences: Whether to return all steps instead of the last step only. True by default.
        return_state, go_backwards, stateful, zero_output_for_mask: As in `keras.layers.RNN`.

    Call arguments:
        sequences: Tensor (batch, time, features).
        initial_state: List of one tensor (batch, features), the values held before the first step. Zero by default.
        mask: Boolean tensor (batch, time), False at steps to skip: the held values do not change there.
        training: Not used; present because recurrent layers have this argument.

    Output shape:
        (batch, time, features), or (batch, features) with `return_sequences=False`; with `return_state`, followed by
        (batch, features).

    Raises:
        ValueError: If an argument is out of range, or the number of thresholds differs from the number of channels.

    Example:

    >>> layers = [DeltaHold(0.5), keras.layers.GRU(32)]
    """

    state_names = ("held",)

    def __init__(
        self,
        threshold: float | Sequence[float],
        trainable_threshold: bool = False,
        gradient: Literal["exact", "straight_through"] = "exact",
        surrogate_width: float = 0.25,
        activity_regularizer: Regularizer = None,
        return_sequences: bool = True,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = DeltaHoldCell(
            threshold,
            trainable_threshold=trainable_threshold,
            gradient=gradient,
            surrogate_width=surrogate_width,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="delta_hold_cell",
        )
        super().__init__(
            cell,
            activity_regularizer=activity_regularizer,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )

    threshold = property(attrgetter("cell.threshold"))
    trainable_threshold = property(attrgetter("cell.trainable_threshold"))
    gradient = property(attrgetter("cell.gradient"))
    surrogate_width = property(attrgetter("cell.surrogate_width"))

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        batch, _, features = sequences_shape
        output = tuple(sequences_shape) if self.return_sequences else (batch, features)
        return (output, (batch, features)) if self.return_state else output

    def loop(
        self, sequences: Tensor, states: Sequence[Tensor], mask: Tensor | None, training: bool
    ) -> tuple[Tensor | None, Tensor, Sequence[Tensor]]:
        held, last, loss = self.cell.sequence(sequences, states[0], mask, training, self.event_penalty)
        if loss is not None:
            self.add_loss(loss)
        return held, last, (last,)
