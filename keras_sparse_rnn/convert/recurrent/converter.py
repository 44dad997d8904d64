"""What convert must know of a recurrent layer."""

from abc import ABC, abstractmethod
from typing import ClassVar

import keras
import numpy as np

from keras_sparse_rnn.convert.quantize import quantize
from keras_sparse_rnn.layers.states import states_of
from keras_sparse_rnn.ops.recurrent import BACKWARDS_IN_ORDER


class LayerConverter(ABC):
    """A recurrent layer of a Keras model, which becomes one op.

    Class attributes:
        LAYER, CELL: Classes of the Keras layer and of its cell.
        STATES: What the op calls the states of the cell, in their order.
        ACTIVATIONS: The activations that its op has, by the arguments' names.
        SENDS_EVENTS: Whether it sends events.

    Attributes:
        layer: The Keras layer.
        name: Its name.
        in_order: Whether outputs are put where their inputs are, though the layer goes backwards.
    """

    LAYER: ClassVar[type]
    CELL: ClassVar[type]
    STATES: ClassVar[tuple] = ("h",)
    ACTIVATIONS: ClassVar[dict] = {"activation": "tanh", "recurrent_activation": "sigmoid"}

    SENDS_EVENTS: ClassVar[bool] = False

    def __init__(self, layer, in_order=False):
        self.layer = layer
        self.name = layer.name
        self.in_order = in_order

    def check(self, stateful):
        """Raises ValueError where the op cannot do what the layer is configured to.

        Args:
            stateful: Whether the op is to keep its state from one inference to the next.
        """
        check_layer(self.layer, self.ACTIVATIONS, stateful)

    def check_initial(self):  # noqa: B027
        """Raises ValueError where the op cannot begin from states that it is given."""

    def observe(self, x, name, stateful, initial=None, mask=None):
        """The states after each step, as Keras computes them.

        Args:
            x: Symbolic input of the layer.
            name: Of the new layer that computes them.
            stateful: Whether it goes on from call to call.
            initial: States to begin with, a list; None: 0.
            mask: Of the steps, (batch, steps); None: none is left out.

        Returns:
            A dict of symbolic tensors (batch, steps, size) by the names of the op's states; the steps are in the order
            in which they are computed.
        """
        return dict(zip(self.STATES, states_of(self.layer, x, name, stateful, initial, mask), strict=False))

    @abstractmethod
    def float32_op(self, block):
        """The layer as a `RecurrentOp` in float32, with blocks of the given width."""

    def integer_op(self, block, x, output, states, options):
        """The layer as a `RecurrentOp` in integers.

        Args:
            block: Width of a block.
            x, output: `Scale` of the input and of the output tensor.
            states: What `observe` gave on the representative data.
            options: A `ConvertOptions`.

        Raises:
            ValueError: The layer does not fit into the op's integers.
        """
        largest = max(float(np.abs(states["h"]).max()), 1 / 16)
        return self.quantize(block, x, output, largest, options)

    def quantize(self, block, x, output, largest, options):
        """Likewise, from the largest state that the recurrence reads."""
        op, number_format = self.float32_op(block), options.number_format
        return quantize(op, self.name, x, largest, output, number_format, options.scales, self.SENDS_EVENTS)

    def event_rate(self, states):
        """Share of units that fire in a step; None for a layer without events."""
        return None

    def input_rate(self, states):
        """Share of inputs that change in a step; None where they are not held."""
        return None

    def compare(self, op, ours, keras, x_scale):
        """How far one step of the op leads from one step of the layer, from the same state.

        Args:
            op: The `RecurrentOp`.
            ours, keras: The states after the step, dicts of real 1-D arrays.
            x_scale: What one count of the input is worth; None in float32.

        Returns:
            `(error, flips, margin)`, each 1-D, over the units and whatever else is compared: the distance, relative for
            states beyond 1; where an event of one has none of the other, and the state's distance from its threshold
            (both None for a layer without events).
        """
        own = [name for name in self.STATES if not name.startswith("held")]
        distances = [np.abs(ours[name] - keras[name]) / np.maximum(1, np.abs(keras[name])) for name in own]
        return np.max(distances, axis=0), None, None

    def _options(self, block):
        """The options that every op has in float32."""
        return {
            "units": self.layer.units,
            "block": block,
            "go_backwards": BACKWARDS_IN_ORDER if self.in_order else int(self.layer.go_backwards),
            "return_sequences": int(self.layer.return_sequences),
            "zero_output_for_mask": int(self.layer.zero_output_for_mask),
        }


def check_layer(layer, allowed, stateful):
    """Raises ValueError where a Keras layer's configuration differs from the `allowed` one, a dict."""
    if layer.compute_dtype != "float32":
        raise ValueError(
            f"layer '{layer.name}' computes in {layer.compute_dtype}; only float32 can be converted. Build the "
            "model with the dtype policy 'float32' and load the weights into it."
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
    """What a layer of the same weights with another configuration makes of a symbolic tensor."""
    copy = type(layer).from_config({**layer.get_config(), **changes})
    given = {"initial_state": initial_state, "mask": mask}
    y = copy(x, **{name: value for name, value in given.items() if value is not None})
    copy.set_weights(layer.get_weights())
    return y


def copy_layer(layer, **changes):
    """A layer of the same weights with another configuration."""
    copy = type(layer).from_config({**layer.get_config(), **changes})
    if layer.built:
        copy.build_from_config(layer.get_build_config())
        copy.set_weights(layer.get_weights())
    return copy
