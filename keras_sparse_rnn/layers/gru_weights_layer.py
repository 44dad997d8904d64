"""Base class of the layers with the weights of a GRU."""

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import keras

from keras_sparse_rnn.layers.keras_place_layer import KerasPlaceLayer

if TYPE_CHECKING:
    from typing_extensions import Self


class GRUWeightsLayer(KerasPlaceLayer):
    """A layer over a `GRUWeightsCell`, with the arguments and the weights of `keras.layers.GRU`."""

    in_keras = keras.layers.GRU  # the Keras layer that it replaces

    @classmethod
    def from_gru(cls, layer: keras.layers.RNN, **arguments: Any) -> "Self":
        """Creates this layer with the configuration and, if built, the weights of a GRU or a LightGRU.

        Args:
            layer: A `keras.layers.GRU` with `reset_after=True`, or with False if this layer supports it; or a
                `LightGRU`, which results in a layer with `reset_gate=False`. It is not changed.
            **arguments: Arguments of this layer. They override those of the GRU.

        Returns:
            The new layer. It has the same name unless `arguments` contain another.

        Raises:
            ValueError: If `layer` is neither, its `reset_after` is not supported, or it is a GRU and this layer has no
                reset gate, or `layer` has a `rank`.

        Example:

        >>> delta = DeltaGRU.from_gru(model.get_layer("gru"), input_threshold=0.5, hidden_threshold=0.2)
        """
        if getattr(layer, "rank", None) is not None:
            raise ValueError(
                f"`layer` '{layer.name}' has rank={layer.rank!r}: a {cls.__name__} has kernels of full rank."
            )
        if cls.in_keras and isinstance(layer, GRUWeightsLayer) and not layer.in_keras:
            return cls._like(layer, **arguments, reset_gate=False)
        if cls.in_keras is None or not arguments.get("reset_gate", True):
            raise ValueError(
                f"a {cls.__name__} without a reset gate cannot take the weights of a GRU: train it from scratch."
            )
        return cls.in_place_of(layer, **arguments)

    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    reset_after = property(attrgetter("cell.reset_after"))
    reset_gate = property(attrgetter("cell.reset_gate"))
