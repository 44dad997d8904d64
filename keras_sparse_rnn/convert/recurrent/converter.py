"""The interface between convert and a recurrent layer."""

from abc import ABC, abstractmethod
from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.quantize import quantize
from keras_sparse_rnn.layers.states import states_of
from keras_sparse_rnn.ops.activations import NUMBERS, SIGMOID, TANH
from keras_sparse_rnn.ops.recurrent_schema import BACKWARDS_IN_ORDER


class LayerConverter(ABC):
    """A recurrent layer of a Keras model, which becomes one op.

    Class attributes:
        LAYER, CELL: Classes of the Keras layer and of its cell.
        STATES: The op's names of the states of the cell, in their order.
        ACTIVATIONS: Names of the arguments that are activations.
        RANGED: The states whose ranges determine its integers.
        SENDS_EVENTS: Whether it sends events.
        HOLDS_INPUTS: Whether it holds its inputs itself.

    Attributes:
        layer: The Keras layer.
        name: Its name.
        in_order: Whether outputs stand in the order of the inputs even if the layer goes backwards.
    """

    LAYER: ClassVar[type]
    CELL: ClassVar[type]
    STATES: ClassVar[tuple] = ("h",)
    ACTIVATIONS: ClassVar[tuple] = ("activation", "recurrent_activation")

    RANGED: ClassVar[tuple] = ("h",)
    SENDS_EVENTS: ClassVar[bool] = False
    HOLDS_INPUTS: ClassVar[bool] = False

    def __init__(self, layer, in_order=False):
        self.layer = layer
        self.name = layer.name
        self.in_order = in_order

    def check(self, stateful):
        """Raises ValueError if the op does not support the layer's configuration.

        Args:
            stateful: Whether the op keeps its state from one inference to the next.
        """
        check_layer(self.layer, {}, stateful)
        for argument in self.ACTIVATIONS:
            activation_number(self.layer, argument)

    @property
    def gate_order(self):
        """A pair for each gate of the op: which gate of the cell it is, and the sign of its weights. None if the op has
        the gates of the cell."""
        return None

    @property
    def has_usual_unit(self):
        """Whether tanh and sigmoid bound its gates, states and candidates to 1."""
        return True

    @property
    def ranged(self):
        """The ranges that determine its integers: of states, and if they are not bounded to 1, of all gates, and of all
        states and candidates."""
        usual = {"activation": TANH, "recurrent_activation": SIGMOID}
        is_usual = self.has_usual_unit and all(
            activation_number(self.layer, argument) == usual[argument] for argument in self.ACTIVATIONS
        )
        has_gates = "recurrent_activation" in self.ACTIVATIONS
        return self.RANGED if is_usual else (*self.RANGED, *["gates"] * has_gates, "candidates")

    def check_initial(self):  # noqa: B027
        """Raises ValueError if the op cannot begin with given states."""

    def observe(self, x, name, stateful, initial=None, mask=None):
        """The states after each step, as Keras computes them.

        Args:
            x: Symbolic input of the layer.
            name: Name of the new layer that computes them.
            stateful: Whether it continues from call to call.
            initial: List of initial states; None for 0.
            mask: Mask of the steps, (batch, steps); None if no step is skipped.

        Returns:
            A dict from the names of the op's states to symbolic tensors (batch, steps, size), with the steps in the
            order of computation.
        """
        return dict(zip(self.STATES, states_of(self.layer, x, name, stateful, initial, mask), strict=False))

    @abstractmethod
    def float32_op(self, block):
        """The layer as a `RecurrentOp` in float32, with blocks of the given width."""

    def integer_op(self, block, x, output, seen, options):
        """The layer as a `RecurrentOp` in integers.

        Args:
            block: Width of a block.
            x, output: `Scale` of the input and of the output tensor.
            seen: An `Observed`: its inputs, and the results of `observe`, on the representative data; or the ranges of
                `ranged` in place of its states.
            options: A `ConvertOptions`.

        Raises:
            ValueError: The layer does not fit into the op's integers.
        """
        largest = max(float(np.abs(seen.states["h"]).max()), 1 / 16)
        return self.quantize(block, x, output, largest, seen, options)

    def quantize(self, block, x, output, largest, seen, options):
        """Returns the op in integers, given the largest state that the recurrence reads."""
        op, number_format, middle = self.float32_op(block), options.number_format, None
        if getattr(op.options, "rank", 0):
            middle = _largest_middle(op, seen)
            op = op.balanced(middle)
        if op.has_usual_gates:
            gates = states = 0.0
        elif "candidates" in seen.states:
            gates, states = (float(np.abs(seen.states.get(name, 0.0)).max()) for name in ("gates", "candidates"))
        else:
            gates, states = _largest(op, seen)
        return quantize(
            op, self.name, x, largest, output, number_format, options.scales, self.SENDS_EVENTS, gates, states, middle
        )

    def exact(self, op):
        """The float32 op whose weights an integer op has rounded."""
        exact = self.float32_op(op.options.block)
        largest = op.made_with.middle
        return exact if largest is None else exact.balanced(largest)

    def event_rate(self, states):
        """Share of units that fire in a step; None for a layer without events."""
        return None

    def input_rate(self, states):
        """Share of inputs that change in a step; None if they are not held."""
        return None

    def compare(self, op, ours, keras, x_scale):
        """Compares one step of the op with one step of the layer from the same state.

        Args:
            op: The `RecurrentOp`.
            ours, keras: The states after the step, dicts of real 1-D arrays.
            x_scale: Scale of the input; None in float32.

        Returns:
            A tuple `(error, flips, margin)` of 1-D arrays over the units and all other compared values. `error` is the
            distance of the states; it is relative for states beyond 1, or, in integers that hold such states, beyond
            half their range. `flips` is True where only one of the two has an event, and `margin` is the distance of
            the state from its threshold (both None for a layer without events).
        """
        own = [name for name in self.STATES if not name.startswith("held")]
        distances = [np.abs(ours[name] - keras[name]) / np.maximum(unit_of(op), np.abs(keras[name])) for name in own]
        return np.max(distances, axis=0), None, None

    def _options(self, block):
        """The options that every op has, in float32."""
        return {
            **{argument: activation_number(self.layer, argument) for argument in self.ACTIVATIONS},
            "units": self.layer.units,
            "block": block,
            "go_backwards": BACKWARDS_IN_ORDER if self.in_order else int(self.layer.go_backwards),
            "return_sequences": int(self.layer.return_sequences),
            "zero_output_for_mask": int(self.layer.zero_output_for_mask),
        }


def activation_number(layer, argument):
    """Returns the number of a layer's activation; raises ValueError if the ops do not have it."""
    name, is_of_keras = _named(getattr(layer, argument))
    if not is_of_keras or name not in NUMBERS:
        what = name if is_of_keras else f"{name}, not one of Keras's own"
        raise ValueError(
            f"layer '{layer.name}' has {argument}={what}; can be converted: {', '.join(NUMBERS)}, as in "
            "keras.activations. Use one of them and train again."
        )
    return NUMBERS[name]


def has_number(activation):
    """Whether the ops have an activation."""
    name, is_of_keras = _named(activation)
    return is_of_keras and name in NUMBERS


def _named(activation):
    """The name of an activation, and whether it is Keras's own."""
    function = _of_layer(activation)
    name = getattr(function, "__name__", type(function).__name__)
    return name, function is getattr(keras.activations, name, None)


def _of_layer(activation):
    """Returns the function of an activation layer, such as `ReLU()`, and any other activation unchanged."""
    config = activation.get_config() if isinstance(activation, keras.Layer) else {}
    settings = {name: config[name] for name in ("max_value", "negative_slope", "threshold", "alpha") if name in config}
    for kind, of_it, name in _LAYERS_OF_ACTIVATIONS:
        if type(activation) is kind and settings == of_it:
            return getattr(keras.activations, name)
    return activation


_LAYERS_OF_ACTIVATIONS = (
    (keras.layers.ReLU, {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, "relu"),
    (keras.layers.ReLU, {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}, "relu6"),
    (keras.layers.ReLU, {"max_value": None, "negative_slope": 0.2, "threshold": 0.0}, "leaky_relu"),
    (keras.layers.LeakyReLU, {"negative_slope": 0.2}, "leaky_relu"),
    (keras.layers.ELU, {"alpha": 1.0}, "elu"),
)


def state_scale(op):
    """Scale of a state in an integer op."""
    return 2.0 ** (op.options.state_bits - 15)


def unit_of(op):
    """Unit of the distance between states: 1, or half the range of states that go beyond 1."""
    return 2.0 ** max(op.options.state_bits - 1, 0)


def _largest(op, seen):
    """The largest magnitudes of gates, and of states and candidates, of a float32 op on the observed data."""
    largest = np.zeros(2)
    for x, before, after in steps_seen(op, seen):
        largest = np.maximum(largest, op.largest(x, before, after))
    return tuple(largest.tolist())


def _largest_middle(op, seen):
    """The largest magnitude of each value that kernels of low rank read, on the observed data."""
    largest = [np.abs(op.middle(x, before["h"])).max(axis=0) for x, before, _ in steps_seen(op, seen)]
    most = np.max(largest, axis=0)
    return np.where(most > 0, most, 1).astype(np.float32)


def steps_seen(op, seen):
    """The steps of each sample that an op was observed in: what they read, and the states before and after them."""
    for i, x in enumerate(seen.x):
        steps = np.arange(len(x)) if seen.mask is None else np.flatnonzero(seen.mask[i])
        if not len(steps):
            continue
        if op.options.go_backwards:
            x, steps = x[::-1], len(x) - 1 - steps
        states = {name: state[i] for name, state in seen.states.items()}
        after = {name: state[len(state) - len(x) :] for name, state in states.items()}
        before = {  # those that it begins with may be given
            name: state[:-1] if len(state) > len(x) else np.concatenate([np.zeros_like(state[:1]), state[:-1]])
            for name, state in states.items()
        }
        around = ({name: state[steps] for name, state in part.items()} for part in (before, after))
        yield x[steps], *around


def check_layer(layer, allowed, stateful):
    """Raises ValueError if a Keras layer's configuration differs from `allowed`, a dict."""
    if layer.compute_dtype != "float32":
        raise ValueError(
            f"layer '{layer.name}' has the dtype policy '{layer.dtype_policy.name}'; only 'float32', 'mixed_float16' "
            "and 'mixed_bfloat16', whose weights are float32, can be converted."
        )
    config = layer.get_config()
    hints = {"go_backwards": " with stateful=True", "stateful": " without stateful=True"}
    for argument, value in (allowed | ({"go_backwards": False} if stateful else {"stateful": False})).items():
        if config[argument] != value:
            raise ValueError(
                f"layer '{layer.name}' has {argument}={config[argument]!r}; only {value!r} can be converted"
                f"{hints.get(argument, '')}."
            )


def to_float32(variable):
    """A variable's value in NumPy."""
    return keras.ops.convert_to_numpy(variable).astype(np.float32)


def call_copy(layer, x, *, initial_state=None, mask=None, **changes):
    """Calls a layer with the same weights and another configuration on a symbolic tensor."""
    copy = type(layer).from_config({**layer.get_config(), **changes})
    given = {"initial_state": initial_state, "mask": mask}
    y = copy(x, **{name: value for name, value in given.items() if value is not None})
    copy.set_weights(layer.get_weights())
    return y


def copy_layer(layer, **changes):
    """Returns a layer with the same weights and another configuration."""
    copy = type(layer).from_config({**layer.get_config(), **changes})
    if layer.built:
        copy.build_from_config(layer.get_build_config())
        copy.set_weights(layer.get_weights())
    return copy
