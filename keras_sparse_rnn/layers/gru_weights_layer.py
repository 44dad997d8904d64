"""What the layers with the weights of a GRU have in common."""

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_sparse_rnn.layers.recurrent_layer import TimeMajorLayer
from keras_sparse_rnn.typing import Regularizer

if TYPE_CHECKING:
    from typing_extensions import Self


class GRUWeightsLayer(TimeMajorLayer):
    """A layer over a `GRUWeightsCell`: takes the arguments and the weights of `keras.layers.GRU`."""

    in_keras = keras.layers.GRU  # what it takes the place of

    def __init__(
        self,
        cell: keras.layers.Layer,
        activity_regularizer: Regularizer = None,
        use_cudnn: str | bool = "auto",
        **kwargs: Any,
    ) -> None:
        if use_cudnn not in ("auto", False):
            raise ValueError(
                f"`use_cudnn` must be 'auto' or False: cuDNN has no {type(self).__name__}. Received: "
                f"use_cudnn={use_cudnn!r}"
            )
        super().__init__(cell, activity_regularizer=activity_regularizer, **kwargs)

    @classmethod
    def from_gru(cls, layer: keras.layers.GRU, **arguments: Any) -> "Self":
        """This layer in the place of a GRU: with its configuration and, if it is built, its weights.

        Args:
            layer: A `keras.layers.GRU` with `reset_after=True`. It is not changed.
            **arguments: Arguments of this layer, which win over those of the GRU.

        Returns:
            The new layer, of the same name unless `arguments` give it another.

        Raises:
            ValueError: It is no `keras.layers.GRU`, its `reset_after` is False, or the new layer has no reset gate.

        Example:

        >>> delta = DeltaGRU.from_gru(model.get_layer("gru"), input_threshold=0.5, hidden_threshold=0.2)
        """
        if not isinstance(layer, keras.layers.GRU):
            raise ValueError(f"`layer` must be a keras.layers.GRU. Received: {type(layer).__name__}")
        if cls.in_keras is None or not arguments.get("reset_gate", True):
            raise ValueError(f"a {cls.__name__} without a reset gate cannot take the weights of a GRU: train it anew.")
        new = cls.from_config({**layer.get_config(), "unroll": False, **arguments})
        if layer.built:
            batch = layer.states[0].shape[0] if layer.stateful else None
            new.build((batch, None, layer.cell.kernel.shape[0]))
            new.set_weights(layer.get_weights())
        return new

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets all weights, or with those of a `keras.layers.GRU` alone all but the thresholds."""
        self.cell.set_weights(weights)

    units = property(attrgetter("cell.units"))
    activation = property(attrgetter("cell.activation"))
    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    use_bias = property(attrgetter("cell.use_bias"))
    kernel_initializer = property(attrgetter("cell.kernel_initializer"))
    recurrent_initializer = property(attrgetter("cell.recurrent_initializer"))
    bias_initializer = property(attrgetter("cell.bias_initializer"))
    kernel_regularizer = property(attrgetter("cell.kernel_regularizer"))
    recurrent_regularizer = property(attrgetter("cell.recurrent_regularizer"))
    bias_regularizer = property(attrgetter("cell.bias_regularizer"))
    kernel_constraint = property(attrgetter("cell.kernel_constraint"))
    recurrent_constraint = property(attrgetter("cell.recurrent_constraint"))
    bias_constraint = property(attrgetter("cell.bias_constraint"))
    dropout = property(attrgetter("cell.dropout"))
    recurrent_dropout = property(attrgetter("cell.recurrent_dropout"))
    reset_after = property(attrgetter("cell.reset_after"))
    reset_gate = property(attrgetter("cell.reset_gate"))
    seed = property(attrgetter("cell.seed"))
