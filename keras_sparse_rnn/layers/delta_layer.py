"""Base classes of the layers whose kernels read held inputs and states."""

import inspect
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Literal

from keras_sparse_rnn.layers.delta_hold import Threshold
from keras_sparse_rnn.layers.keras_place_layer import KerasPlaceLayer
from keras_sparse_rnn.typing import Shape, Tensor


class DeltaLayer(KerasPlaceLayer):
    """A layer over a `DeltaCell`. It computes the held inputs of all steps before the loop over the states."""

    input_threshold = property(attrgetter("cell.input_threshold"))
    hidden_threshold = property(attrgetter("cell.hidden_threshold"))
    trainable_threshold = property(attrgetter("cell.trainable_threshold"))
    gradient = property(attrgetter("cell.gradient"))
    surrogate_width = property(attrgetter("cell.surrogate_width"))

    @property
    def state_names(self) -> tuple[str, ...]:
        *own, held = self.cell.recurrence.state_names
        return (*(name.replace("_", " ") for name in own), f"{held} h", "held x")

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        self.state_size = [*self.cell.state_size[:-1], sequences_shape[-1]]
        return super().compute_output_shape(sequences_shape, initial_state_shape)

    def loop(
        self, sequences: Tensor, states: Sequence[Tensor], mask: Tensor | None, training: bool
    ) -> tuple[Tensor | None, Tensor, Sequence[Tensor]]:
        cell, penalty = self.cell, self.event_penalty
        *own, held_inputs = states
        masks = cell.recurrent_masks(own[0], training)
        inputs, last_inputs, loss = cell.input_hold.sequence(sequences, held_inputs, mask, training, penalty)
        changes = cell.recurrence.changes if penalty is not None else ()
        asked = [*(["h"] if self.return_sequences else []), *changes]
        emitted, last_states = cell.recurrence.sequence(
            cell.project(inputs, training),
            own,
            (*cell.recurrent_weights(), *masks),
            mask,
            asked,
            by_hand=cell.recurrence.hand_written and training and not masks,
        )
        emitted = dict(zip(asked, emitted, strict=True))
        if penalty is not None:
            for name, hold in zip(changes, cell.holds_of_states, strict=True):
                loss = loss + hold.penalty(penalty, emitted[name], mask)
            self.add_loss(loss)
        return emitted.get("h"), last_states[0], (*last_states, last_inputs)


class DeltaLayerOfKeras(DeltaLayer):
    """A delta layer with the arguments of `cell_class`, a delta cell based on a Keras cell, and those of an RNN."""

    cell_class: Any

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
        names = set(inspect.signature(self.cell_class.in_keras.__init__).parameters) - {"self", "kwargs"}
        of_cell = {name: kwargs.pop(name) for name in names & set(kwargs)}
        cell = self.cell_class(
            units,
            input_threshold=input_threshold,
            hidden_threshold=hidden_threshold,
            trainable_threshold=trainable_threshold,
            gradient=gradient,
            surrogate_width=surrogate_width,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            **of_cell,
        )
        super().__init__(cell, **kwargs)
