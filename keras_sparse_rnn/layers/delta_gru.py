"""The delta GRU as a Keras layer."""

from operator import attrgetter
from typing import Any, Literal

import keras

from keras_sparse_rnn.layers.delta_gru_cell import DeltaGRUCell
from keras_sparse_rnn.layers.delta_hold import Threshold
from keras_sparse_rnn.layers.delta_layer import DeltaLayer
from keras_sparse_rnn.layers.gru_weights_layer import GRUWeightsLayer
from keras_sparse_rnn.typing import Activation, Constraint, Initializer, Regularizer


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaGRU(DeltaLayer, GRUWeightsLayer):
    """A GRU whose kernels read held inputs and states: a value is held until it changes by more than a threshold.

    `DeltaGRUCell` computes one step and documents the equations. The layer has all arguments of `keras.layers.GRU`
    and, with fixed thresholds, the same weights. To convert a trained GRU, which is then fine-tuned:

        delta = DeltaGRU.from_gru(gru, input_threshold=0.5, hidden_threshold=0.2)

    `load_keras_weights` copies the weights of a whole model with GRUs, or of its file, into a model with this layer.

    Args:
        units, input_threshold, hidden_threshold, trainable_threshold, gradient, surrogate_width, activation,
            recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed, reset_after, reset_gate, reset_threshold: As in
            `DeltaGRUCell`.
        activity_regularizer: An `EventPenalty` acts on the rate of sent changes of the hidden states and of the inputs;
            its state is the size of each change. Any other regularizer acts on the output, as in Keras.
        return_sequences: Whether to return h for every step instead of the last step only.
        return_state: Whether to also return the last states: h, p^ (with `reset_after=False`), h^ and x^.
        go_backwards: Whether to process the sequence in reverse and return the reversed sequence.
        stateful: Whether the last states of a batch are the initial states of the next batch.
        zero_output_for_mask: Whether the output is zero at masked steps. By default, masked steps repeat the previous
            output.
        use_cudnn: Must be "auto" or False, as cuDNN has no kernel for this layer. `unroll`, another argument of
            `keras.layers.GRU`, must be False.

    Call arguments:
        sequences: Tensor (batch, time, features).
        initial_state: List of the states before the first step: h, p^ (with `reset_after=False`) and h^, each
            (batch, units), and x^ (batch, features). Zero by default.
        mask: Boolean tensor (batch, time), False at steps to skip: the states do not change there.
        training: Whether to apply dropout.

    Output shape:
        (batch, units), or (batch, time, units) with `return_sequences`; with `return_state`, followed by the states.

    Raises:
        ValueError: If an argument is out of range, or `initial_state` has the wrong number of states.

    Example:

    >>> layer = DeltaGRU(64, input_threshold=0.5, hidden_threshold=0.2, return_sequences=True)
    >>> layer(np.random.random((8, 20, 4))).shape
    (8, 20, 64)
    """

    def __init__(
        self,
        units: int,
        input_threshold: Threshold = 0.0,
        hidden_threshold: Threshold = 0.0,
        trainable_threshold: bool = False,
        gradient: Literal["exact", "straight_through"] = "exact",
        surrogate_width: float = 0.25,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool = False,
        reset_after: bool = True,
        reset_gate: bool = True,
        reset_threshold: Threshold | None = None,
        use_cudnn: str | bool = "auto",
        **kwargs: Any,
    ) -> None:
        cell = DeltaGRUCell(
            units,
            input_threshold=input_threshold,
            hidden_threshold=hidden_threshold,
            trainable_threshold=trainable_threshold,
            gradient=gradient,
            surrogate_width=surrogate_width,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            reset_after=reset_after,
            reset_gate=reset_gate,
            reset_threshold=reset_threshold,
            seed=seed,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="delta_gru_cell",
        )
        super().__init__(
            cell,
            activity_regularizer=activity_regularizer,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            zero_output_for_mask=zero_output_for_mask,
            use_cudnn=use_cudnn,
            **kwargs,
        )

    reset_threshold = property(attrgetter("cell.reset_threshold"))
