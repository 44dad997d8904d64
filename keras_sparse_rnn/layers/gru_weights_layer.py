"""What the layers with the weights of a GRU have in common."""

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import keras

from keras_sparse_rnn.layers.keras_place_layer import KerasPlaceLayer

if TYPE_CHECKING:
    from typing_extensions import Self


class GRUWeightsLayer(KerasPlaceLayer):
    """A layer over a `GRUWeightsCell`: takes the arguments and the weights of `keras.layers.GRU`."""

    in_keras = keras.layers.GRU  # what it takes the place of

    @classmethod
    def from_gru(cls, layer: keras.layers.RNN, **arguments: Any) -> "Self":
        """This layer in the place of a GRU or a LightGRU: with its configuration and, if it is built, its weights.

        Args:
            layer: A `keras.layers.GRU`, with `reset_after=True` unless this layer has it either way; or a `LightGRU`,
                which gives a layer with `reset_gate=False`. It is not changed.
            **arguments: Arguments of this layer, which win over those of the GRU.

        Returns:
            The new layer, of the same name unless `arguments` give it another.

        Raises:
            ValueError: It is neither, its `reset_after` is False, or a GRU is given for a layer without a reset gate.

        Example:

        >>> delta = DeltaGRU.from_gru(model.get_layer("gru"), input_threshold=0.5, hidden_threshold=0.2)
        """
        if cls.in_keras and isinstance(layer, GRUWeightsLayer) and not layer.in_keras:
            return cls._like(layer, **arguments, reset_gate=False)
        if cls.in_keras is None or not arguments.get("reset_gate", True):
            raise ValueError(f"a {cls.__name__} without a reset gate cannot take the weights of a GRU: train it anew.")
        return cls.in_place_of(layer, **arguments)

    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    reset_after = property(attrgetter("cell.reset_after"))
    reset_gate = property(attrgetter("cell.reset_gate"))
