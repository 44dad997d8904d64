"""Base class of the layers that replace a Keras layer."""

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_sparse_rnn.layers.recurrent_layer import TimeMajorLayer
from keras_sparse_rnn.typing import Regularizer, Tensor

if TYPE_CHECKING:
    from typing_extensions import Self


class KerasPlaceLayer(TimeMajorLayer):
    """A layer over a `WeightsCell`, with the arguments and the weights of the Keras layer `in_keras`."""

    in_keras: Any

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
    def in_place_of(cls, layer: keras.layers.RNN, **arguments: Any) -> "Self":
        """Creates this layer with the configuration and, if built, the weights of a Keras layer.

        Args:
            layer: A layer of the class `in_keras`. It is not changed.
            **arguments: Arguments of this layer. They override those of `layer`.

        Returns:
            The new layer. It has the same name unless `arguments` contain another.

        Raises:
            ValueError: If `layer` is of another class, or has an argument that this layer does not support.
        """
        if not isinstance(layer, cls.in_keras):
            raise ValueError(
                f"`layer` must be a keras.layers.{cls.in_keras.__name__}. Received: {type(layer).__name__}"
            )
        return cls._like(layer, **arguments)

    @classmethod
    def _like(cls, layer, **arguments):
        """Creates a layer with the configuration and, if built, the weights of a layer with the same weights."""
        config = {**layer.get_config(), "unroll": False, "seed": layer.cell.seed}  # SimpleRNN leaves out its seed
        config.pop("rank", None)
        new = cls.from_config({**config, **arguments})
        if layer.built:
            batch = layer.states[0].shape[0] if layer.stateful else None
            new.build((batch, None, layer.cell.kernel.shape[0]))
            new.set_weights(layer.get_weights())
        return new

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets all weights. A list with the weights of the Keras layer only leaves the thresholds unchanged."""
        self.cell.set_weights(weights)

    def loop(
        self, sequences: Tensor, states: Sequence[Tensor], mask: Tensor | None, training: bool
    ) -> tuple[Tensor | None, Tensor, Sequence[Tensor]]:
        """See `TimeMajorLayer`; of a layer that puts out its only state h."""
        recurrence, masks = self.cell.recurrence, self.cell.recurrent_masks(states[0], training)
        emitted, last_states = recurrence.sequence(
            self.cell.project(sequences, training),
            states,
            (*self.cell.recurrent_weights(), *masks),
            mask,
            ["h"] * self.return_sequences,
            by_hand=recurrence.hand_written and training and not masks,
        )
        return emitted[0] if emitted else None, last_states[0], last_states

    units = property(attrgetter("cell.units"))
    activation = property(attrgetter("cell.activation"))
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
    seed = property(attrgetter("cell.seed"))
    rank = property(attrgetter("cell.rank"))
