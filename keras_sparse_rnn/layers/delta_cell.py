"""Base class of the cells whose kernels read held inputs and states."""

import abc
from collections.abc import Sequence
from typing import Any, Literal

from keras import ops

from keras_sparse_rnn.layers.delta_hold import DeltaHoldCell, Threshold
from keras_sparse_rnn.layers.delta_recurrence import DeltaRecurrence
from keras_sparse_rnn.layers.weights_cell import WeightsCell
from keras_sparse_rnn.typing import Shape, Tensor, check_flag


class DeltaCell(WeightsCell):
    """Base class that precedes a Keras cell: the kernel reads held inputs x^, the recurrent kernel a held state h^.

    A subclass defines `_make_recurrence` and may hold further values. Its states are the states of the Keras cell,
    the further held values, h^ and x^.
    """

    skips = "unchanged"
    state_size: Any

    def __init__(
        self,
        units: int,
        input_threshold: Threshold = 0.0,
        hidden_threshold: Threshold = 0.0,
        trainable_threshold: bool = False,
        gradient: Literal["exact", "straight_through"] = "exact",
        surrogate_width: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        self.trainable_threshold = check_flag("trainable_threshold", trainable_threshold)
        self.gradient = gradient
        self.surrogate_width = surrogate_width
        self.input_hold = self._hold("input", input_threshold, lambda: self.kernel)
        self.hidden_hold = self._hold("hidden", hidden_threshold, self._read_by_state)
        self.recurrence = self._make_recurrence(self.hidden_hold.recurrence)
        own: Any = self.state_size
        own = [own] if isinstance(own, int) else list(own)
        self.state_size = [*own, units, None]  # the last is known when built: the number of features

    @abc.abstractmethod
    def _make_recurrence(self, hold: Any) -> DeltaRecurrence:
        """Returns the recurrence on arrays, with a `HoldRecurrence` for the states."""

    def _read_by_state(self) -> Tensor:
        """The columns of R that h^ feeds."""
        return self.recurrent_kernel

    @property
    def holds_of_states(self) -> list[DeltaHoldCell]:
        """The holds of states, in the order of `recurrence.changes`."""
        return [self.hidden_hold]

    def _hold(self, name, threshold, reader):
        return DeltaHoldCell(
            threshold,
            trainable_threshold=self.trainable_threshold,
            gradient=self.gradient,
            surrogate_width=self.surrogate_width,
            reader=reader,
            dtype=self.dtype_policy,
            name=f"{name}_hold",
        )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.input_hold.build(input_shape)
        for hold in self.holds_of_states:
            hold.build((None, self.units))
        self.state_size = [*self.state_size[:-1], input_shape[-1]]

    @property
    def input_threshold(self) -> Any:
        """The thresholds of x (features,); see `DeltaHold.threshold`."""
        return self.input_hold.threshold

    @property
    def hidden_threshold(self) -> Any:
        """The thresholds of h (units,); see `DeltaHold.threshold`."""
        return self.hidden_hold.threshold

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """Returns tensors in the compute dtype: R, other weights of a step, and the concatenated state thresholds."""
        thresholds = [hold.threshold_tensor() for hold in self.holds_of_states]
        return (*super().recurrent_weights(), ops.concatenate(thresholds) if thresholds[1:] else thresholds[0])

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        *own, held_inputs = states
        held_inputs, _ = self.input_hold(inputs, [held_inputs])
        weights = (*self.recurrent_weights(), *self.recurrent_masks(own[0], training))
        values = self.recurrence.step(self.project(held_inputs, training), own, weights)
        return values["h"], [*(values[name] for name in self.recurrence.state_names), held_inputs]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_threshold": self.input_hold.get_config()["threshold"],
            "hidden_threshold": self.hidden_hold.get_config()["threshold"],
            "trainable_threshold": self.trainable_threshold,
            "gradient": self.gradient,
            "surrogate_width": self.surrogate_width,
        }
