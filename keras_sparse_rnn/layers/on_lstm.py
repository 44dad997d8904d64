"""Ordered-neurons LSTM: master gates open and close chunks of units in order."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar

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
)


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class ONLSTMCell(keras.layers.Layer):
    """An LSTM cell with ordered units: the later the chunk of a unit, the longer it remembers.

        i, f, o = sigma(x W + h' R + b)      g = tanh(x W_g + h' R_g + b_g)
        f~ = cumax(x V_f + h' U_f + d_f)     i~ = 1 - cumax(x V_i + h' U_i + d_i)          cumax = cumsum of softmax
        w = f~ * i~ ;   f^ = f * w + (f~ - w) ;   i^ = i * w + (i~ - w)
        c = f^ * c' + i^ * g ;   h = o * tanh(c)

    (' marks values of the previous step.) The master gates f~ and i~ have one entry per chunk of `chunk_size` units:
    unit u reads entry u // chunk_size. f~ rises and i~ falls along the chunks. As a cumax ends at 1, the last chunk has
    f~ = 1 and i~ = 0: it is never written and keeps its initial state, which is zero by default. This also holds for
    the authors' code.

    The weights of the LSTM and of the master gates are separate:
        `kernel` W (features, 4 * units), `recurrent_kernel` R (units, 4 * units) and `bias` b (4 * units,), with the
        gates in the order i, f, g, o of `keras.layers.LSTMCell`, whose weights load unchanged;
        `master_kernel` V (features, 2 * chunks), `master_recurrent_kernel` U (units, 2 * chunks) and `master_bias` d
        (2 * chunks,), with the gates in the order f~, i~ and chunks = units / chunk_size.

    The pruning callbacks prune all four matrices, as Selfish-RNN does. Blocks must not be wider than `chunks`.

    Source: Shen et al., "Ordered neurons: integrating tree structures into recurrent neural networks", ICLR 2019,
    arXiv:1810.09536, equations 9 to 14. Selfish-RNN trains this network, among others (Liu et al., ICML 2021,
    arXiv:2101.09048).

    Args:
        units: Positive integer, number of units.
        chunk_size: Positive integer, number of units per entry of a master gate. `units` must be a multiple of it, at
            least twice as large.
        activation: Activation of g and of c in the output. None is linear.
        recurrent_activation: Activation of the gates i, f and o. None is linear.
        use_bias: Whether to use biases.
        kernel_initializer: Initializer of W and V.
        recurrent_initializer: Initializer of R and U.
        bias_initializer: Initializer of b and d.
        unit_forget_bias: Whether to initialize the bias of f to 1 regardless of `bias_initializer`, as in Keras. The
            authors initialize it near 0.
        kernel_regularizer: Regularizer of W and V.
        recurrent_regularizer: Regularizer of R and U.
        bias_regularizer: Regularizer of b and d.
        kernel_constraint: Constraint of W and V.
        recurrent_constraint: Constraint of R and U.
        bias_constraint: Constraint of b and d.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of h and c, each (batch, units).
        training: Not used; present because cells have this argument.

    Returns:
        The new h, a tensor (batch, units), and the list of the new h and c.

    Raises:
        ValueError: If `units` or `chunk_size` is not a positive integer, or `units` is not a multiple of `chunk_size`
            with at least two chunks.

    Example:

    >>> rnn = keras.layers.RNN([ONLSTMCell(32, chunk_size=4), ONLSTMCell(32, chunk_size=4)])
    >>> rnn(np.random.random((8, 20, 4))).shape
    (8, 32)
    """

    gates: ClassVar = {
        "kernel": ("i", "f", "g", "o"),
        "recurrent_kernel": ("i", "f", "g", "o"),
        "master_kernel": ("f~", "i~"),
        "master_recurrent_kernel": ("f~", "i~"),
    }

    def __init__(
        self,
        units: int,
        chunk_size: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        **kwargs: Any,
    ) -> None:
        for name, value in (("units", units), ("chunk_size", chunk_size)):
            if not (is_integer(value) and value > 0):
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        if units % chunk_size or units == chunk_size:
            raise ValueError(
                "`units` must be a multiple of `chunk_size`, two chunks or more. "
                f"Received: units={units}, chunk_size={chunk_size}"
            )
        super().__init__(**kwargs)
        self.units = units
        self.chunk_size = chunk_size
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias = check_flag("use_bias", use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.unit_forget_bias = check_flag("unit_forget_bias", unit_forget_bias)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.chunks = units // chunk_size
        self.drawn = None  # R and U after dropconnect, while an ONLSTM trains
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape: Shape) -> None:
        bias = self._initial_bias if self.unit_forget_bias else self.bias_initializer
        self.kernel, self.recurrent_kernel, self.bias = self._add_gates("", input_shape[-1], 4 * self.units, bias)
        self.master_kernel, self.master_recurrent_kernel, self.master_bias = self._add_gates(
            "master_", input_shape[-1], 2 * self.chunks, self.bias_initializer
        )
        self.built = True

    def _add_gates(self, prefix, features, columns, bias_initializer):
        kernel = self.add_weight(
            shape=(features, columns),
            name=f"{prefix}kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        recurrent_kernel = self.add_weight(
            shape=(self.units, columns),
            name=f"{prefix}recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        bias = None
        if self.use_bias:
            bias = self.add_weight(
                shape=(columns,),
                name=f"{prefix}bias",
                initializer=bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        return kernel, recurrent_kernel, bias

    def _initial_bias(self, shape, dtype=None):
        i, _, g_and_o = (self.bias_initializer((n * self.units,), dtype) for n in (1, 1, 2))
        return ops.concatenate([i, ops.ones((self.units,), dtype), g_and_o])

    def master_gates(self, inputs: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the master gates f~ and i~, each (batch, units / chunk_size), for inputs x and previous output h'.

        units / chunk_size - sum(f~) estimates how many chunks a step erases. It is larger at the end of phrases that
        are higher in the syntax tree; section 5.2 of the paper uses it to parse sentences.
        """
        recurrent_kernel = self.master_recurrent_kernel if self.drawn is None else self.drawn[1]
        a = ops.matmul(inputs, self.master_kernel) + ops.matmul(h, recurrent_kernel)
        if self.use_bias:
            a = a + self.master_bias
        # In half precision, sums of many small terms end well below 1, and the last chunk would forget.
        a = ops.cast(a, keras.backend.result_type(a.dtype, "float32"))
        f, i = (ops.cumsum(ops.softmax(gate, axis=-1), axis=-1) for gate in ops.split(a, 2, axis=-1))
        return ops.cast(f, self.compute_dtype), ops.cast(1 - i, self.compute_dtype)

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        h, c = states
        master_f, master_i = (ops.repeat(gate, self.chunk_size, axis=-1) for gate in self.master_gates(inputs, h))
        recurrent_kernel = self.recurrent_kernel if self.drawn is None else self.drawn[0]
        a = ops.matmul(inputs, self.kernel) + ops.matmul(h, recurrent_kernel)
        if self.use_bias:
            a = a + self.bias
        i, f, g, o = ops.split(a, 4, axis=-1)
        i, f, o = (self.recurrent_activation(gate) for gate in (i, f, o))
        overlap = master_f * master_i
        f = f * overlap + (master_f - overlap)
        i = i * overlap + (master_i - overlap)
        c = f * c + i * self.activation(g)
        h = o * self.activation(c)
        return h, [h, c]

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "chunk_size": self.chunk_size,
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "unit_forget_bias": self.unit_forget_bias,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class ONLSTM(RecurrentLayer):
    """Ordered-neurons LSTM.

    `ONLSTMCell` computes one step and documents the equations.

    Args:
        units, chunk_size, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint: As in `ONLSTMCell`.
        recurrent_dropconnect: Fraction of the weights R and U to drop in training, in [0, 1), drawn once for a batch of
            sequences; the remaining weights are divided by 1 - recurrent_dropconnect.
        activity_regularizer: Regularizer of the output.
        seed: Integer, seed of `recurrent_dropconnect`.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: As in `keras.layers.RNN`.

    Call arguments:
        sequences: Tensor (batch, time, features).
        initial_state: List of h and c before the first step, each (batch, units). Zero by default.
        mask: Boolean tensor (batch, time), False at steps to skip: the states do not change there.
        training: Whether to apply `recurrent_dropconnect`.

    Output shape:
        (batch, units), or (batch, time, units) with `return_sequences`; with `return_state`, followed by h and c.

    Raises:
        ValueError: If `units` or `chunk_size` is not a positive integer, `units` is not a multiple of `chunk_size` with
            at least two chunks, or `recurrent_dropconnect` is not in [0, 1).

    Example:

    >>> layer = ONLSTM(64, chunk_size=8, return_sequences=True)
    >>> layer(np.random.random((8, 20, 4))).shape
    (8, 20, 64)
    """

    def __init__(
        self,
        units: int,
        chunk_size: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        unit_forget_bias: bool = True,
        recurrent_dropconnect: float = 0.0,
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
        check_rate("recurrent_dropconnect", recurrent_dropconnect)
        cell = ONLSTMCell(
            units,
            chunk_size,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="on_lstm_cell",
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
        self.recurrent_dropconnect = recurrent_dropconnect
        self.seed = check_seed(seed)
        if recurrent_dropconnect:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def draw(self, batch: int) -> tuple[Tensor, ...] | None:
        if not self.recurrent_dropconnect:
            return None
        kernels = (self.cell.recurrent_kernel, self.cell.master_recurrent_kernel)
        return tuple(
            keras.random.dropout(
                ops.cast(ops.convert_to_tensor(kernel), self.compute_dtype),
                self.recurrent_dropconnect,
                seed=self.seed_generator,
            )
            for kernel in kernels
        )

    units = property(attrgetter("cell.units"))
    chunk_size = property(attrgetter("cell.chunk_size"))
    activation = property(attrgetter("cell.activation"))
    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    use_bias = property(attrgetter("cell.use_bias"))
    kernel_initializer = property(attrgetter("cell.kernel_initializer"))
    recurrent_initializer = property(attrgetter("cell.recurrent_initializer"))
    bias_initializer = property(attrgetter("cell.bias_initializer"))
    unit_forget_bias = property(attrgetter("cell.unit_forget_bias"))
    kernel_regularizer = property(attrgetter("cell.kernel_regularizer"))
    recurrent_regularizer = property(attrgetter("cell.recurrent_regularizer"))
    bias_regularizer = property(attrgetter("cell.bias_regularizer"))
    kernel_constraint = property(attrgetter("cell.kernel_constraint"))
    recurrent_constraint = property(attrgetter("cell.recurrent_constraint"))
    bias_constraint = property(attrgetter("cell.bias_constraint"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "recurrent_dropconnect": self.recurrent_dropconnect, "seed": self.seed}
