"""The event GRU as a Keras layer."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Literal

import keras
from keras import ops

from keras_sparse_rnn.layers.event_gru_cell import READOUTS, EventGRUCell
from keras_sparse_rnn.layers.gru_weights_layer import GRUWeightsLayer
from keras_sparse_rnn.layers.recurrent_layer import check_rate
from keras_sparse_rnn.typing import Activation, Constraint, Initializer, Regularizer, Tensor, check_flag


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class EventGRU(GRUWeightsLayer):
    """A GRU with sparse activity: its units send their state only when it exceeds a threshold.

    `EventGRUCell` computes one step and documents the equations. The layer has all arguments of `keras.layers.GRU` and
    accepts the weights of a GRU: from a layer with `EventGRU.from_gru(layer)`, from a list with `set_weights`, from a
    model or a file with `load_keras_weights`. All three leave the thresholds unchanged.

    Args:
        units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            threshold_mode, threshold_initializer, trainable_threshold, surrogate_height, surrogate_width, reset,
            readout, trace_decay, kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
            recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after,
            reset_gate: As in `EventGRUCell`.
        recurrent_dropconnect: Fraction of the weights R to drop in training, in [0, 1), drawn once for a batch of
            sequences; the remaining weights are divided by 1 - recurrent_dropconnect.
        seed: Integer, seed of dropout, of `recurrent_dropconnect` and of the default `threshold_initializer`.
        activity_regularizer: An `EventPenalty` acts on the states before the threshold or on the events. Any other
            regularizer acts on the output, as in Keras.
        return_sequences: Whether to return the readout for every step instead of the last step only.
        return_state: Whether to also return the last states y and c and, with `readout="trace"`, the trace.
        go_backwards: Whether to process the sequence in reverse and return the reversed sequence.
        stateful: Whether the last states of a batch are the initial states of the next batch.
        carry_cell: False starts each call with c = 0, whatever the initial state, so that only y is carried from batch
            to batch, as in EvNN.
        zero_output_for_mask: Whether the output is zero at masked steps. By default, masked steps repeat the previous
            output.
        use_cudnn: Must be "auto" or False, as cuDNN has no kernel for this layer. `unroll`, another argument of
            `keras.layers.GRU`, must be False.

    Call arguments:
        sequences: Tensor (batch, time, features).
        initial_state: List of the states before the first step, each (batch, units): y, c and, with `readout="trace"`,
            the trace. Zero by default.
        mask: Boolean tensor (batch, time), False at steps to skip: the states do not change there.
        training: Whether to apply dropout and `recurrent_dropconnect`.

    Output shape:
        (batch, units), or (batch, time, units) with `return_sequences`; with `return_state`, followed by the states.

    Raises:
        ValueError: If an argument is out of range, or `initial_state` has the wrong number of states.

    Example:

    >>> layer = EventGRU(64, return_sequences=True, activity_regularizer=EventPenalty(2.0))
    >>> y = layer(np.random.random((8, 20, 4)))
    >>> activity = np.mean(keras.ops.convert_to_numpy(y) != 0)
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        threshold_mode: Literal["sigmoid", "clipped"] = "sigmoid",
        threshold_initializer: Initializer | None = None,
        trainable_threshold: bool = True,
        surrogate_height: float = 0.7,
        surrogate_width: float = 1.0,
        reset: bool = True,
        readout: Literal["event", "cell", "trace"] = "event",
        trace_decay: float = 0.9,
        recurrent_dropconnect: float = 0.0,
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
        carry_cell: bool = True,
        zero_output_for_mask: bool = False,
        reset_after: bool = True,
        reset_gate: bool = True,
        use_cudnn: str | bool = "auto",
        **kwargs: Any,
    ) -> None:
        check_rate("recurrent_dropconnect", recurrent_dropconnect)
        cell = EventGRUCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            threshold_mode=threshold_mode,
            threshold_initializer=threshold_initializer,
            trainable_threshold=trainable_threshold,
            surrogate_height=surrogate_height,
            surrogate_width=surrogate_width,
            reset=reset,
            readout=readout,
            trace_decay=trace_decay,
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
            seed=seed,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="event_gru_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            zero_output_for_mask=zero_output_for_mask,
            use_cudnn=use_cudnn,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.recurrent_dropconnect = recurrent_dropconnect
        self.carry_cell = check_flag("carry_cell", carry_cell)
        if recurrent_dropconnect:
            self.seed_generator = keras.random.SeedGenerator(seed)

    threshold_mode = property(attrgetter("cell.threshold_mode"))
    threshold_initializer = property(attrgetter("cell.threshold_initializer"))
    trainable_threshold = property(attrgetter("cell.trainable_threshold"))
    surrogate_height = property(attrgetter("cell.surrogate_height"))
    surrogate_width = property(attrgetter("cell.surrogate_width"))
    reset = property(attrgetter("cell.reset"))
    readout = property(attrgetter("cell.readout"))
    trace_decay = property(attrgetter("cell.trace_decay"))

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("y", "c", "trace") if self.readout == "trace" else ("y", "c")

    def loop(
        self, sequences: Tensor, states: Sequence[Tensor], mask: Tensor | None, training: bool
    ) -> tuple[Tensor | None, Tensor, Sequence[Tensor]]:
        recurrence, gates = self.cell.recurrence, self.cell.project(sequences, training)
        weights = self.cell.recurrent_weights()
        masks = self.cell.recurrent_masks(states[0], training)
        if training and self.recurrent_dropconnect:
            kernel = keras.random.dropout(weights[0], self.recurrent_dropconnect, seed=self.seed_generator)
            weights = (kernel, *weights[1:])
        if not self.carry_cell:
            states = [states[0], ops.zeros_like(states[1]), *states[2:]]
        sequence_of = {"event": "y", "cell": "c", "trace": "y"}[self.readout]
        asked = []
        if self.return_sequences or self.readout == "trace":
            asked.append(sequence_of)
        if self.event_penalty is not None:
            asked.append("candidate")
        emitted, last_states = recurrence.sequence(
            gates,
            states[:2],
            (*weights, *masks),
            mask,
            asked,
            by_hand=recurrence.hand_written and training and not masks,
        )
        emitted = dict(zip(asked, emitted, strict=True))
        outputs = emitted.get(sequence_of)
        if self.readout == "trace":
            outputs, last_trace = recurrence.trace(outputs, states[2], self.trace_decay, weights, mask)
            last_states = (*last_states, last_trace)
        if self.event_penalty is not None:
            candidate = emitted["candidate"]
            events = recurrence.event(candidate, recurrence.threshold_of(weights))
            self.add_loss(self.event_penalty.penalty(candidate, events, mask))
        return outputs, last_states[READOUTS.index(self.readout)], last_states

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "recurrent_dropconnect": self.recurrent_dropconnect,
            "carry_cell": self.carry_cell,
        }
