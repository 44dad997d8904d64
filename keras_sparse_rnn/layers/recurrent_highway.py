"""Recurrent highway network: several highway layers within each time step."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import keras
from keras import ops

from keras_sparse_rnn.layers.recurrent_layer import RecurrentLayer, check_rate
from keras_sparse_rnn.typing import (
    Activation,
    Constraint,
    Initializer,
    Regularizer,
    Shape,
    Tensor,
    check_flag,
    check_seed,
    is_integer,
    is_number,
)


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class RecurrentHighwayCell(keras.layers.Layer):
    """A cell with `depth` highway micro-layers: in each step, the state s passes through all of them in order.

        h = tanh([n = 1] x W_h + s R_h,n + b_h,n) ;  t = sigma([n = 1] x W_t + s R_t,n + b_t,n)
        c = 1 - t  (coupled)   or   sigma([n = 1] x W_c + s R_c,n + b_c,n)
        s <- h * t + s * c                                                       for n = 1 .. depth

    Only the first micro-layer reads the input. The state after the last micro-layer is the output, and the state of the
    next step.

    Weights, with the gates in the order h, t and, if not coupled, c:
        `kernel` W (features, gates * units);
        `recurrent_kernel` (depth * units, gates * units): R_1 to R_depth, stacked vertically, so that each row belongs
        to one source: a unit of the state before one micro-layer;
        `bias` (depth, gates * units).

    Source: Zilly et al., "Recurrent highway networks", ICML 2017, arXiv:1607.03474, section 4. Selfish-RNN
    trains the coupled form, among others (Liu et al., ICML 2021, arXiv:2101.09048).

    Args:
        units: Positive integer, number of units.
        depth: Positive integer, number of micro-layers within a step (the paper's recurrence depth). With 1 there is
            one gated update per step, as in a GRU without a reset gate.
        coupled: Whether the carry gate is c = 1 - t. With False it has its own weights.
        activation: Activation of h. None is linear.
        recurrent_activation: Activation of the gates t and c. None is linear.
        use_bias: Whether to use a bias.
        transform_bias: Added to the initial bias of t, and subtracted from the initial bias of c. If it is negative,
            the state at first passes through a deep cell nearly unchanged. The authors use -2 (PTB) and -4 (enwik8).
        kernel_initializer: Initializer of W.
        recurrent_initializer: Initializer of each R_n, with a different seed for each.
        bias_initializer: Initializer of the biases.
        kernel_regularizer: Regularizer of W.
        recurrent_regularizer: Regularizer of `recurrent_kernel`.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of W.
        recurrent_constraint: Constraint of `recurrent_kernel`, applied to the whole matrix.
        bias_constraint: Constraint of the biases.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of one tensor, s, (batch, units).
        training: Not used; present because cells have this argument.

    Returns:
        The new s, a tensor (batch, units), and the list [s].

    Attributes:
        gates: Names of the gates, in the order of the kernels' columns.

    Raises:
        ValueError: If `units` or `depth` is not a positive integer, or `transform_bias` is not a number.

    Example:

    >>> rnn = keras.layers.RNN([RecurrentHighwayCell(32, depth=5), RecurrentHighwayCell(32, depth=5)])
    >>> rnn(np.random.random((8, 20, 4))).shape
    (8, 32)
    """

    def __init__(
        self,
        units: int,
        depth: int = 3,
        coupled: bool = True,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        transform_bias: float = -2.0,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        **kwargs: Any,
    ) -> None:
        for name, value in (("units", units), ("depth", depth)):
            if not (is_integer(value) and value > 0):
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        if not is_number(transform_bias):
            raise ValueError(f"`transform_bias` must be a number. Received: transform_bias={transform_bias!r}")
        super().__init__(**kwargs)
        self.units = units
        self.depth = depth
        self.coupled = check_flag("coupled", coupled)
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias = check_flag("use_bias", use_bias)
        self.transform_bias = transform_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.drawn = None  # the dropout mask on the state before each R_n, while a RecurrentHighway trains
        self.state_size = units
        self.output_size = units

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates, in the order of the kernels' columns."""
        return ("h", "t") if self.coupled else ("h", "t", "c")

    def build(self, input_shape: Shape) -> None:
        columns = len(self.gates) * self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], columns),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.depth * self.units, columns),
            name="recurrent_kernel",
            initializer=self._initial_recurrent_kernel,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.depth, columns),
                name="bias",
                initializer=self._initial_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, Any]:
        s = states[0] if keras.tree.is_nested(states) else states
        from_input = ops.matmul(inputs, self.kernel)
        for n in range(self.depth):
            source = s if self.drawn is None else s * self.drawn
            a = ops.matmul(source, self.recurrent_kernel[n * self.units : (n + 1) * self.units])
            if n == 0:
                a = a + from_input
            if self.use_bias:
                a = a + self.bias[n]
            h, t, *c = ops.split(a, len(self.gates), axis=-1)
            h, t = self.activation(h), self.recurrent_activation(t)
            c = 1 - t if self.coupled else self.recurrent_activation(c[0])
            s = h * t + s * c
        return s, [s] if keras.tree.is_nested(states) else s

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "depth": self.depth,
            "coupled": self.coupled,
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            "transform_bias": self.transform_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }

    def _initial_recurrent_kernel(self, shape, dtype=None):
        shape = (self.units, shape[1])
        return ops.concatenate([_reseeded(self.recurrent_initializer, n)(shape, dtype) for n in range(self.depth)])

    def _initial_bias(self, shape, dtype=None):
        offset = ops.repeat(ops.array([0.0, self.transform_bias, -self.transform_bias][: len(self.gates)]), self.units)
        return self.bias_initializer(shape, dtype) + ops.cast(offset, dtype)


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class RecurrentHighway(RecurrentLayer):
    """Recurrent highway network: `depth` highway micro-layers within each time step.

    `RecurrentHighwayCell` computes one step and documents the equations.

    Args:
        units, depth, coupled, activation, recurrent_activation, use_bias, transform_bias, kernel_initializer,
            recurrent_initializer, bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint: As in `RecurrentHighwayCell`.
        recurrent_dropout: Fraction of the units to drop in training for all R_n, in [0, 1). One mask per sequence is
            used at all steps and micro-layers; the remaining units are divided by 1 - recurrent_dropout.
        activity_regularizer: Regularizer of the output.
        seed: Integer, seed of `recurrent_dropout`.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: As in `keras.layers.RNN`.

    Call arguments:
        sequences: Tensor (batch, time, features).
        initial_state: List of one tensor (batch, units), the state before the first step. Zero by default.
        mask: Boolean tensor (batch, time), False at steps to skip: the state does not change there.
        training: Whether to apply `recurrent_dropout`.

    Output shape:
        (batch, units), or (batch, time, units) with `return_sequences`; with `return_state`, followed by the state.

    Raises:
        ValueError: If `units` or `depth` is not a positive integer, or `recurrent_dropout` is not in [0, 1).

    Example:

    >>> layer = RecurrentHighway(64, depth=5, return_sequences=True)
    >>> layer(np.random.random((8, 20, 4))).shape
    (8, 20, 64)
    """

    def __init__(
        self,
        units: int,
        depth: int = 3,
        coupled: bool = True,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        transform_bias: float = -2.0,
        recurrent_dropout: float = 0.0,
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        check_rate("recurrent_dropout", recurrent_dropout)
        cell = RecurrentHighwayCell(
            units,
            depth=depth,
            coupled=coupled,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            transform_bias=transform_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="recurrent_highway_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self.recurrent_dropout = recurrent_dropout
        self.seed = check_seed(seed)
        if recurrent_dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def draw(self, batch: int) -> Tensor | None:
        if not self.recurrent_dropout:
            return None
        ones = ops.ones((batch, self.units), self.compute_dtype)
        return keras.random.dropout(ones, self.recurrent_dropout, seed=self.seed_generator)

    units = property(attrgetter("cell.units"))
    depth = property(attrgetter("cell.depth"))
    coupled = property(attrgetter("cell.coupled"))
    activation = property(attrgetter("cell.activation"))
    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    use_bias = property(attrgetter("cell.use_bias"))
    transform_bias = property(attrgetter("cell.transform_bias"))
    kernel_initializer = property(attrgetter("cell.kernel_initializer"))
    recurrent_initializer = property(attrgetter("cell.recurrent_initializer"))
    bias_initializer = property(attrgetter("cell.bias_initializer"))
    kernel_regularizer = property(attrgetter("cell.kernel_regularizer"))
    recurrent_regularizer = property(attrgetter("cell.recurrent_regularizer"))
    bias_regularizer = property(attrgetter("cell.bias_regularizer"))
    kernel_constraint = property(attrgetter("cell.kernel_constraint"))
    recurrent_constraint = property(attrgetter("cell.recurrent_constraint"))
    bias_constraint = property(attrgetter("cell.bias_constraint"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "recurrent_dropout": self.recurrent_dropout, "seed": self.seed}


def _reseeded(initializer, n):
    """Returns the initializer with its seed plus n; with the same seed, all micro-layers would get the same matrix."""
    seed = getattr(initializer, "seed", None)
    if not isinstance(seed, int):
        return initializer
    return initializer.from_config({**initializer.get_config(), "seed": seed + n})
