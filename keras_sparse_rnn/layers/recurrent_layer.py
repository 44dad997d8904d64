"""What the layers of this package add to keras.layers.RNN."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_sparse_rnn.regularizers import EventPenalty
from keras_sparse_rnn.typing import Regularizer, Tensor, is_number

if TYPE_CHECKING:
    from typing_extensions import Self


class RecurrentLayer(keras.layers.RNN):
    """An RNN over a cell of its own, whose configuration is that of the layer and of the cell in one."""

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
        """What a subclass draws once for all steps of a batch in training; its cell finds it as `drawn`."""
        return None

    def get_config(self) -> dict[str, Any]:
        config, of_cell = super().get_config(), self.cell.get_config()
        del config["cell"]
        activity_regularizer = keras.regularizers.serialize(self.activity_regularizer)
        # The layer's name, dtype and trainable win over the cell's.
        return {**of_cell, **config, "activity_regularizer": activity_regularizer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Self":
        return cls(**config)


def check_rate(name: str, rate: float) -> None:
    """Raises ValueError unless the rate of a dropout is in [0, 1)."""
    if not (is_number(rate) and 0 <= rate < 1):
        raise ValueError(f"`{name}` must be in [0, 1). Received: {name}={rate!r}")


class TimeMajorLayer(RecurrentLayer):
    """A recurrent layer with a loop of its own, on arrays (time, batch, channels), and with events to penalise.

    A subclass names its states in `state_names` and has

        loop(sequences, states, mask, training) -> (outputs, last output, last states)

    for a tensor (time, batch, features) in the order to be read, a list of the states before the first step, a boolean
    tensor (time, batch, 1) or None, and whether a gradient will be asked for. `outputs` may be None if the layer is to
    return the last only.
    """

    has_events = True  # for an `EventPenalty`, which `loop` applies; where there are none, it refuses to be called

    def __init__(self, cell: keras.layers.Layer, activity_regularizer: Regularizer = None, **kwargs: Any) -> None:
        if kwargs.pop("unroll", False):
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
    """What the `inner_loop` of a layer is to return, by a `loop` as that of `TimeMajorLayer`."""
    initial_state = [ops.convert_to_tensor(state, layer.compute_dtype) for state in initial_state]
    if layer.stateful:
        # Keras overwrites its variables in place at the end of the call; on PyTorch the gradient would notice.
        initial_state = [ops.copy(state) for state in initial_state]
    sequences = ops.transpose(sequences, (1, 0, 2))
    if mask is not None:
        mask = ops.expand_dims(ops.transpose(ops.cast(mask, "bool")), -1)
    if layer.go_backwards:
        sequences = ops.flip(sequences, axis=0)
        mask = None if mask is None else ops.flip(mask, axis=0)
    outputs, last_output, states = loop(sequences, initial_state, mask, bool(training))
    if mask is not None and layer.zero_output_for_mask:
        last_output = ops.where(mask[-1], last_output, ops.zeros_like(last_output))
        outputs = None if outputs is None else ops.where(mask, outputs, ops.zeros_like(outputs))
    outputs = ops.transpose(outputs, (1, 0, 2)) if layer.return_sequences else ops.expand_dims(last_output, 1)
    return last_output, outputs, list(states)
