"""Base classes of the recurrent layers: what they add to keras.layers.RNN."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_sparse_rnn.regularizers import EventPenalty
from keras_sparse_rnn.typing import Regularizer, Tensor, check_flag, is_number

if TYPE_CHECKING:
    from typing_extensions import Self


_FLAGS = {"return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask"}


class RecurrentLayer(keras.layers.RNN):
    """An RNN over a fixed class of cell. Its configuration contains both that of the layer and that of the cell."""

    def __init__(self, cell: keras.layers.Layer, **kwargs: Any) -> None:
        for name in _FLAGS & kwargs.keys():
            kwargs[name] = check_flag(name, kwargs[name])
        super().__init__(cell, **kwargs)

    @property
    def variables(self) -> list[keras.Variable]:
        # keras.layers.RNN does not list its states; on JAX a compiled function's new states would be lost.
        return [*super().variables, *(self.states or [])]

    def inner_loop(
        self, sequences: Tensor, initial_state: Sequence[Tensor], mask: Tensor | None, training: bool = False
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The hook of `keras.layers.RNN` for the loop over time: (last output, outputs, last states)."""
        self.cell.drawn = self.draw(ops.shape(sequences)[0]) if training else None
        try:
            return super().inner_loop(sequences, initial_state, mask, training)
        finally:
            self.cell.drawn = None

    def draw(self, batch: int) -> Tensor | tuple[Tensor, ...] | None:
        """Draws the random tensors that all steps of a training batch share; the cell reads them as `drawn`."""
        return None

    def get_config(self) -> dict[str, Any]:
        config, of_cell = super().get_config(), self.cell.get_config()
        del config["cell"]
        activity_regularizer = keras.regularizers.serialize(self.activity_regularizer)
        # The layer's name, dtype and trainable override the cell's.
        return {**of_cell, **config, "activity_regularizer": activity_regularizer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Self":
        return cls(**config)


def check_rate(name: str, rate: float) -> None:
    """Raises ValueError unless the rate of a dropout is in [0, 1)."""
    if not (is_number(rate) and 0 <= rate < 1):
        raise ValueError(f"`{name}` must be in [0, 1). Received: {name}={rate!r}")


class TimeMajorLayer(RecurrentLayer):
    """A recurrent layer with its own loop over arrays (time, batch, channels), and with events to penalize.

    A subclass names its states in `state_names` and defines

        loop(sequences, states, mask, training) -> (outputs, last output, last states)

    It takes a tensor (time, batch, features) in the order of computation, a list of the initial states, a boolean
    tensor (time, batch, 1) or None, and whether gradients will be computed. `outputs` may be None if the layer returns
    the last output only.
    """

    has_events = True  # `loop` applies an `EventPenalty`; in layers without events, the penalty refuses to be called

    def __init__(self, cell: keras.layers.Layer, activity_regularizer: Regularizer = None, **kwargs: Any) -> None:
        if check_flag("unroll", kwargs.pop("unroll", False)):
            raise ValueError(
                f"`unroll` must be False: {type(self).__name__} has a loop of its own. Received: unroll=True"
            )
        penalty: Any = keras.regularizers.get(activity_regularizer)
        # Keras would give the penalty the output; `loop` gives it the states and events.
        is_event_penalty = self.has_events and isinstance(penalty, EventPenalty)
        super().__init__(cell, activity_regularizer=None if is_event_penalty else penalty, **kwargs)
        self.event_penalty = penalty if is_event_penalty else None
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def inner_loop(
        self, sequences: Tensor, initial_state: Sequence[Tensor], mask: Tensor | None, training: bool = False
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The hook of `keras.layers.RNN` for the loop over time: (last output, outputs, last states)."""
        if len(initial_state) != len(self.state_names):
            names = list(self.state_names)
            raise ValueError(f"`initial_state` must be the list of {names}. Received: {len(initial_state)} tensors")
        return over_time(self, self.loop, sequences, initial_state, mask, training)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["unroll"]
        if self.event_penalty is not None:
            config["activity_regularizer"] = keras.regularizers.serialize(self.event_penalty)
        return config


def over_time(
    layer: keras.layers.RNN,
    loop: Callable[..., Any],
    sequences: Tensor,
    initial_state: Sequence[Tensor],
    mask: Tensor | None,
    training: bool,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Implements the `inner_loop` of a layer with a `loop` like that of `TimeMajorLayer`."""
    initial_state = [ops.convert_to_tensor(state, layer.compute_dtype) for state in initial_state]
    if layer.stateful:
        # Keras overwrites its variables in place at the end of the call, which breaks the gradient on PyTorch.
        initial_state = [ops.copy(state) for state in initial_state]
    sequences = ops.transpose(sequences, (1, 0, 2))
    if mask is not None:
        mask = ops.expand_dims(ops.transpose(ops.cast(mask, "bool")), -1)
    if layer.go_backwards:
        sequences = ops.flip(sequences, axis=0)
        mask = None if mask is None else ops.flip(mask, axis=0)
    outputs, last_output, states = loop(sequences, initial_state, mask, bool(training))
    if mask is not None:
        # Until a step is computed, keras.layers.RNN puts out zeros, whatever the initial state.
        shown = mask if layer.zero_output_for_mask else ops.cumsum(ops.cast(mask, "int32"), axis=0) > 0
        last_output = ops.where(shown[-1], last_output, ops.zeros_like(last_output))
        outputs = None if outputs is None else ops.where(shown, outputs, ops.zeros_like(outputs))
    outputs = ops.transpose(outputs, (1, 0, 2)) if layer.return_sequences else ops.expand_dims(last_output, 1)
    return last_output, outputs, list(states)
