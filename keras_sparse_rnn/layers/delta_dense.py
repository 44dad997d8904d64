"""The delta dense layer: the step of a sequence and the layer."""

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.layers.delta_hold import DeltaHoldCell, Threshold
from keras_sparse_rnn.layers.recurrent_layer import TimeMajorLayer
from keras_sparse_rnn.typing import Constraint, Initializer, Regularizer, Shape, Tensor, check_flag, is_integer

if TYPE_CHECKING:
    from typing_extensions import Self


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaDenseCell(keras.layers.Layer):
    """One step of `DeltaDense`, which documents the equation and whose arguments it has.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of one tensor (batch, features): the inputs held at the previous step.
        training: Not used; present because cells have this argument.

    Returns:
        The output, a tensor (batch, units), and a list of the inputs held now.
    """

    gates: ClassVar[dict[str, tuple[str, ...]]] = {"kernel": ("y",)}
    candidate_gate = 0
    skips = "unchanged"
    holds_of_states = ()

    def __init__(
        self,
        units: int,
        input_threshold: Threshold = 0.0,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        trainable_threshold: bool = False,
        gradient: Literal["exact", "straight_through"] = "exact",
        surrogate_width: float = 0.25,
        **kwargs: Any,
    ) -> None:
        if not (is_integer(units) and units > 0):
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.use_bias = check_flag("use_bias", use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.input_hold = DeltaHoldCell(
            input_threshold,
            trainable_threshold=trainable_threshold,
            gradient=gradient,
            surrogate_width=surrogate_width,
            reader=lambda: self.kernel,
            dtype=self.dtype_policy,
            name="input_hold",
        )
        self.state_size: Any = [None]  # known when built: the number of features
        self.output_size = units

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(features, self.units),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.units,),
                name="bias",
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_hold.build(input_shape)
        self.state_size = [features]

    @property
    def input_threshold(self) -> Any:
        """The thresholds of x (features,); see `DeltaHold.threshold`."""
        return self.input_hold.threshold

    trainable_threshold = property(attrgetter("input_hold.trainable_threshold"))
    gradient = property(attrgetter("input_hold.gradient"))
    surrogate_width = property(attrgetter("input_hold.surrogate_width"))

    def project(self, held: Tensor) -> Tensor:
        """Returns the outputs (..., units) for held inputs (..., features)."""
        outputs = ops.matmul(held, self.kernel)
        return self.activation(ops.add(outputs, self.bias) if self.use_bias else outputs)

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        held, _ = self.input_hold(inputs, states)
        return self.project(held), [held]

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "input_threshold": self.input_hold.get_config()["threshold"],
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "trainable_threshold": self.trainable_threshold,
            "gradient": self.gradient,
            "surrogate_width": self.surrogate_width,
        }


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class DeltaDense(TimeMajorLayer):
    """A Dense layer on sequences that reads held inputs: each is held until it changes by more than a threshold.

        x^ = x where |x - x^'| > input_threshold, else x^' ;  y = f(x^ W + b)

    (' marks the previous step; x^ is zero before the first step.) The converted layer keeps the sums x^ W and updates
    them for changed inputs only. At threshold 0 it is `keras.layers.Dense`. To convert a trained Dense:

        delta = DeltaDense.from_dense(layer, input_threshold=0.5)

    Args:
        units, activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint: As in `keras.layers.Dense`.
        input_threshold: Number, list with one number for each feature, or `initializers.Sensitivity`, at least 0, in
            units of the input.
        trainable_threshold, gradient, surrogate_width, activity_regularizer: As in `DeltaHold`.
        return_sequences: Whether to return all steps instead of the last step only. True by default.
        **kwargs: `return_state`, `go_backwards`, `stateful`, `zero_output_for_mask`: as in `keras.layers.RNN`.

    Call arguments:
        As in `DeltaHold`.

    Output shape:
        (batch, time, units), or (batch, units) with `return_sequences=False`; with `return_state`, followed by
        (batch, features). As in an RNN, the output at masked steps is that of the step before, or zero at the start.

    Raises:
        ValueError: If an argument is out of range, or the number of thresholds differs from the number of features.

    Example:

    >>> layers = [DeltaDense(24, 0.1, activation="tanh"), DeltaGRU(32, 0.1, 0.05)]
    """

    state_names = ("held x",)
    in_keras = keras.layers.Dense

    def __init__(
        self,
        units: int,
        input_threshold: Threshold = 0.0,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        trainable_threshold: bool = False,
        gradient: Literal["exact", "straight_through"] = "exact",
        surrogate_width: float = 0.25,
        activity_regularizer: Regularizer = None,
        return_sequences: bool = True,
        **kwargs: Any,
    ) -> None:
        cell = DeltaDenseCell(
            units,
            input_threshold,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            trainable_threshold=trainable_threshold,
            gradient=gradient,
            surrogate_width=surrogate_width,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="delta_dense_cell",
        )
        super().__init__(cell, activity_regularizer=activity_regularizer, return_sequences=return_sequences, **kwargs)

    @classmethod
    def from_dense(cls, layer: keras.layers.Dense, **arguments: Any) -> "Self":
        """Creates a DeltaDense with the configuration and, if built, the weights of a Dense.

        Args:
            layer: The Dense. It is not changed.
            **arguments: Arguments of this layer. They override those of `layer`.

        Returns:
            The new layer. It has the same name unless `arguments` contain another.

        Raises:
            ValueError: If `layer` is no Dense.
        """
        if not isinstance(layer, keras.layers.Dense):
            raise ValueError(f"`layer` must be a keras.layers.Dense. Received: {type(layer).__name__}")
        new = cls.from_config(cls.config_of(layer) | arguments)
        if layer.built:
            new.build((None, None, layer.kernel.shape[0]))
            weights = [layer.kernel, *([layer.bias] if layer.use_bias else [])]
            new.set_weights([ops.convert_to_numpy(weight) for weight in weights])
        return new

    @staticmethod
    def config_of(layer: keras.layers.Layer) -> dict[str, Any]:
        """Returns the arguments that a DeltaDense shares with a `layer`, a Dense or a Conv1D, and that this has."""
        config = layer.get_config()
        return {"units": config.get("filters")} | {name: config[name] for name in _OF_DENSE if name in config}

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets all weights. A list with the weights of a Dense only leaves the thresholds unchanged."""
        super().set_weights([*weights, *self.get_weights()[1 + self.use_bias :]][: len(self.weights)])

    units = property(attrgetter("cell.units"))
    input_threshold = property(attrgetter("cell.input_threshold"))
    activation = property(attrgetter("cell.activation"))
    use_bias = property(attrgetter("cell.use_bias"))
    trainable_threshold = property(attrgetter("cell.trainable_threshold"))
    gradient = property(attrgetter("cell.gradient"))
    surrogate_width = property(attrgetter("cell.surrogate_width"))

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        batch, time, features = sequences_shape
        output = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        return (output, (batch, features)) if self.return_state else output

    def loop(
        self, sequences: Tensor, states: Sequence[Tensor], mask: Tensor | None, training: bool
    ) -> tuple[Tensor | None, Tensor, Sequence[Tensor]]:
        held, last, loss = self.cell.input_hold.sequence(sequences, states[0], mask, training, self.event_penalty)
        if loss is not None:
            self.add_loss(loss)
        outputs = self.cell.project(held if self.return_sequences else last)
        if mask is not None:  # nothing has been computed before the first step
            made = ops.cumsum(ops.cast(mask, "int32"), axis=0) > 0
            outputs = ops.where(made if self.return_sequences else made[-1], outputs, ops.zeros_like(outputs))
        return (outputs, outputs[-1], (last,)) if self.return_sequences else (None, outputs, (last,))


_OF_DENSE = (
    *("name", "trainable", "dtype", "units", "activation", "use_bias", "kernel_initializer", "bias_initializer"),
    *("kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint", "activity_regularizer"),
)
