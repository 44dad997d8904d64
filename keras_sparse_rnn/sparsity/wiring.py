"""Finds the weights that belong to a hidden unit: its own, and those that read it."""

import keras
import numpy as np

from keras_sparse_rnn.cells import describe
from keras_sparse_rnn.inputs import check_is_keras
from keras_sparse_rnn.sparsity.kinds import (
    ACTIVATIONS,
    ATTENTION,
    BY_ELEMENT,
    BY_FEATURE,
    CONVOLUTIONS,
    DEPTHWISE,
    MERGES,
    RECURRENT,
    SEPARABLE,
    TRANSPOSED,
)

_FIXED = 0  # the channel of everything that is not a hidden unit, or must stay


class Wiring:
    """The wiring of a model's hidden units: a channel for each unit, and the position of its weights.

    A channel is a hidden unit, or several units that can only be removed together, such as the units that an Add adds
    up. Wiring follows the units of SimpleRNN, GRU, LSTM, EventGRU, DeltaGRU, Dense, Embedding, convolutions without
    groups (including transposed and separable ones) and `keras.layers.RNN` over one or several cells. It follows them
    through Bidirectional, TimeDistributed, nested models, layers that act on each feature separately (dropout,
    element-wise activations, pooling, DepthwiseConv, BatchNormalization, DeltaHold), and layers that merge (Add,
    Concatenate, ...) or flatten. It follows them into MultiHeadAttention, GroupQueryAttention and EinsumDense, but the
    units of these layers must stay; the output of attention belongs to the channels of its query. Units that enter any
    other layer must stay, and `skipped` says why. An example is LayerNormalization, whose result depends on the number
    of features. Outputs of the model must stay, too.

    Cells of other classes are followed if the class has the attributes `gates` and `candidate_gate` of
    `keras_sparse_rnn.cells`, and if the weights are a `kernel` (features, gates * units), a `recurrent_kernel` (units,
    gates * units) and others whose last axis has `units` or `gates * units` entries.

    Args:
        model: Built Sequential or Functional model. It is not changed.

    Attributes:
        units: Maps `id(layer)` of each layer or cell with units to `(layer, channels)`; channels is an int array
            (units,).
        inputs: Maps `id(model)` of the model and of each nested model to a list with the channels of its inputs.
        axes: Maps `id(variable)` to `(variable, channels)`: an int array for each axis, or None if it has no units.
        skipped: Dict that maps the name of each layer with units that could not be followed to the reason.

    Raises:
        ValueError: If the model is not built, or neither Sequential nor Functional.
    """

    def __init__(self, model: keras.Model) -> None:
        check_is_keras(model)
        if not is_graph(model):
            raise ValueError(
                f"The model {model.name!r} is a {type(model).__name__}: must be Sequential or Functional, whose graph "
                "of layers can be read."
            )
        if not model.built or not model.inputs:
            raise ValueError(f"The model {model.name!r} is not built: give it an Input, or call it on a batch of data.")
        self.units: dict[int, tuple[keras.layers.Layer, np.ndarray]] = {}
        self.inputs: dict[int, list[np.ndarray]] = {}
        self.axes: dict[int, tuple[keras.Variable, list[np.ndarray | None]]] = {}
        self.skipped: dict[str, str] = {}
        self._together = [_FIXED]  # for each channel, another one that it is tied to, or itself
        # (variable, its axes of inputs and outputs, input channels, output channels, which outputs it can activate)
        self._flows: list[tuple] = []
        self._matrices: set[int] = set()  # by id: the variables other than biases and the like
        self._awake: list[np.ndarray] = []  # arrays of channels that are not always zero
        self._directions: list[tuple] = []  # pairs of channels, forward and backward
        self._holders: dict[int, keras.layers.Layer] = {}  # for each cell the layer around it
        self._reasons: dict[int, str] = {}
        for channels in self._walk(model, [_fixed(tensor) for tensor in model.inputs]):
            self._tie(channels, np.zeros_like(channels))
        self._find_skipped()

    def roots(self, channels: np.ndarray) -> np.ndarray:
        """Returns a number for each of `channels`, equal for tied channels; 0 for channels that must stay."""
        return np.array([self._root(channel) for channel in channels], int)

    def lines(self, roots: np.ndarray) -> list[tuple[keras.Variable, int, np.ndarray]]:
        """Finds the weights of some channels, in matrices only, not in biases.

        Returns:
            A list of `(variable, axis, places)`. For each row or column along `axis`, `places` has the index in `roots`
            that it belongs to, or `len(roots)` if it belongs to none. An entry can be in both a row and a column.
        """
        place = np.full(len(self._together), len(roots))
        place[roots] = np.arange(len(roots))
        found = [
            (variable, axis, place[self.roots(channels)])
            for variable, axes in self.axes.values()
            for axis, channels in enumerate(axes)
            if channels is not None and id(variable) in self._matrices
        ]
        return [line for line in found if (line[2] < len(roots)).any()]

    def needed(self) -> np.ndarray:
        """Returns a bool array over roots: whether removing the channel changes the model's outputs.

        A channel is not needed if no path of non-zero weights leads from it to an output, or if it is always zero.
        """
        flows = [
            (self.roots(inputs), self.roots(outputs), _nonzero(variable, axes), wakes)
            for variable, axes, inputs, outputs, wakes in self._flows
        ]
        read, active = (np.zeros(len(self._together), bool) for _ in range(2))
        read[_FIXED] = active[_FIXED] = True
        for channels in self._awake:
            active[self.roots(channels)] = True
        before = -1
        while before != (before := read.sum() + active.sum()):
            for inputs, outputs, weights, wakes in flows:
                read[inputs[weights[:, read[outputs]].any(axis=1)]] = True
                active[outputs[weights[active[inputs]].any(axis=0) & wakes]] = True
        needed = read & active
        for _, channels in self.units.values():
            roots = self.roots(channels)
            needed[roots[0]] |= not needed[roots].any()  # a layer without units does not exist
        self._even(needed)
        return needed

    def _even(self, needed):
        """Keeps the same number of units in both directions of a Bidirectional, as Keras requires."""
        pairs = [[self.roots(channels) for channels in pair] for pair in self._directions]
        uneven = True
        while uneven:
            uneven = False
            for pair in pairs:
                fewer, more = sorted(pair, key=lambda roots: needed[roots].sum())
                if needed[fewer].sum() < needed[more].sum():
                    needed[fewer[~needed[fewer]][0]] = uneven = True

    def _walk(self, model, inputs):
        """Returns the channels of a model's outputs, given the channels of its inputs."""
        for one, other in zip(self.inputs.setdefault(id(model), inputs), inputs, strict=True):
            self._tie(one, other)
        known = {id(tensor): channels for tensor, channels in zip(model.inputs, inputs, strict=True)}

        def channels_of(tensor):
            if id(tensor) not in known:
                # Private, but the only way to read a model's graph without changing it: calling the layers on other
                # tensors would add to the graph.
                operation, index, _ = tensor._keras_history
                node = operation._inbound_nodes[index]
                arguments = keras.tree.map_structure(_Placed, (node.arguments.args, node.arguments.kwargs))
                for placed in keras.tree.flatten(arguments):
                    placed.channels = channels_of(placed.value) if keras.backend.is_keras_tensor(placed.value) else None
                sizes = [output.shape[-1] if output.shape else None for output in node.output_tensors]
                results = self._follow(operation, *arguments, sizes)
                for output, channels in zip(node.output_tensors, results, strict=True):
                    known[id(output)] = channels
            return known[id(tensor)]

        return [channels_of(tensor) for tensor in model.outputs]

    def _follow(self, layer, args, kwargs, sizes):
        """Returns the channels of a layer's outputs, whose last axes have `sizes`."""
        try:
            return self._outputs(layer, _channels(args), args, kwargs, sizes)
        except _CannotFollowError as reason:
            inside = layer._flatten_layers() if isinstance(layer, keras.layers.Layer) else []
            for channels in [
                *_channels((args, kwargs)),
                *(self.units[id(part)][1] for part in inside if id(part) in self.units),
            ]:
                self._reasons.update({channel: str(reason) for channel in channels})
                self._tie(channels, np.zeros_like(channels))
            if isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)):
                self.skipped[layer.name] = str(reason)
            return [np.zeros(size or 0, int) for size in sizes]

    def _outputs(self, layer, given, args, kwargs, sizes):
        kind = type(layer)
        if is_graph(layer):
            return self._walk(layer, given)
        if getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
            raise _CannotFollowError(f"{layer.name!r} is quantized or has LoRA weights")
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise _CannotFollowError(f"{layer.name!r} has data_format='channels_first'")
        if kind is keras.layers.TimeDistributed:
            return self._follow(layer.layer, args, kwargs, sizes)
        if hasattr(layer, "cell") and getattr(layer.cell, "holds_features", False):
            self._hold(layer.cell, given[0])
            return [given[0]] * len(sizes)
        if hasattr(layer, "cell") or kind is keras.layers.Bidirectional:
            return self._recurrent(layer, given[0], _channels(kwargs.get("initial_state", args[1:2])))
        if kind in BY_FEATURE:
            return [given[0]]
        if kind in ACTIVATIONS:
            self._activate(_by_element(layer) if kind is keras.layers.Activation else layer, given[0])
            return [given[0]]
        if kind in MERGES:
            return [self._merge(layer, given)]
        if kind is keras.layers.Concatenate:
            axis = layer.axis if layer.axis < 0 else layer.axis - len(args[0][0].value.shape)
            return [np.concatenate(given) if axis == -1 else self._merge(layer, given)]
        if kind is keras.layers.Flatten and sizes[0] is not None:
            return [np.tile(given[0], sizes[0] // given[0].size)]
        if kind is keras.layers.PReLU:
            if layer.alpha.shape[-1] == given[0].size:
                self._place(layer.alpha, given[0])
            return [given[0]]
        if kind is keras.layers.BatchNormalization and layer.axis in (-1, len(args[0].value.shape) - 1):
            for variable in layer.weights:
                self._place(variable, given[0])
            self._awake.append(given[0])
            return [given[0]]
        if kind is keras.layers.Embedding:
            y = self._units_of(layer, layer.output_dim)
            self._connect(layer.embeddings, np.zeros(layer.embeddings.shape[0], int), y)
            return [y]
        if kind is keras.layers.Dense or (kind in CONVOLUTIONS and layer.groups == 1):
            return [self._dense(layer, layer.kernel, given[0], sizes[0])]
        if kind in TRANSPOSED:
            return [self._dense(layer, layer.kernel, given[0], sizes[0], axes=(-1, -2))]
        if kind in DEPTHWISE:
            y = self._depthwise(layer, layer.kernel, given[0])
            self._connect(layer.bias, None, y)
            self._activate(_by_element(layer), y)
            return [y]
        if kind in SEPARABLE:
            between = self._depthwise(layer, layer.depthwise_kernel, given[0])
            return [self._dense(layer, layer.pointwise_kernel, between, sizes[0])]
        if kind is keras.layers.EinsumDense:
            self._sum_over(layer, given[0])
            return [np.zeros(sizes[0], int)]
        if kind in ATTENTION:
            return [self._attention(layer, args, kwargs, sizes[0]), *(np.zeros(size or 0, int) for size in sizes[1:])]
        raise _CannotFollowError(f"{layer.name!r} ({kind.__name__}) may mix features or depend on their number")

    def _dense(self, layer, kernel, x, units, axes=(-2, -1)):
        by_element = layer.activation in BY_ELEMENT
        y = self._units_of(layer, units) if by_element else np.zeros(units, int)
        self._connect(kernel, x, y, axes=axes)
        self._connect(layer.bias, None, y)
        if by_element:
            self._activate(layer.activation, y)
        return y

    def _depthwise(self, layer, kernel, x):
        """Returns the output channels of a kernel (..., inputs, multiplier); they are its input channels, repeated."""
        self._place(kernel, x, axis=-2)
        self._matrices.add(id(kernel))
        return np.repeat(x, layer.depth_multiplier)

    def _sum_over(self, layer, x):
        """Notes that an EinsumDense reads channels that are not an axis of its output."""
        operands, outputs = layer.equation.replace(" ", "").split("->")
        inputs, kernel = operands.split(",")
        if inputs[-1] not in kernel or inputs[-1] in outputs:
            raise _CannotFollowError(f"{layer.name!r} does not sum over its last axis")
        self._connect(layer.kernel, x, None, axes=(kernel.index(inputs[-1]) - len(kernel), None))

    def _attention(self, layer, args, kwargs, size):
        given = {**dict(zip(("query", "value", "key"), args, strict=False)), **kwargs}
        given.setdefault("key", given["value"])
        if given["key"].channels is None:
            given["key"] = given["value"]
        parts = {part.name: part for part in layer._flatten_layers(include_self=False, recursive=False) if part.weights}
        others = {name for name in given if name not in ("query", "value", "key")}
        if set(parts) != {"query", "key", "value", "attention_output"} or _channels([given[n] for n in others]):
            raise _CannotFollowError(f"{layer.name!r} has a gate, or is given a mask that the model computes")
        if any(getattr(p, "quantization_mode", None) or getattr(p, "lora_enabled", False) for p in parts.values()):
            raise _CannotFollowError(f"{layer.name!r} is quantized or has LoRA weights")
        for name in ("query", "key", "value"):
            self._sum_over(parts[name], given[name].channels)
        out = parts["attention_output"]
        kernel, outputs = out.equation.split(",")[1].split("->")
        if len(set(kernel) & set(outputs)) != 1 or getattr(layer, "_output_shape", None):
            y = np.zeros(size, int)
        else:  # without `output_shape`, the output is as wide as the query
            y = given["query"].channels
        self._matrices.add(id(out.kernel))
        self._connect(out.kernel, None, y, axes=(None, kernel.index(outputs[-1]) - len(kernel)))
        self._connect(out.bias, None, y)
        return y

    def _recurrent(self, layer, x, states):
        if type(layer) is not keras.layers.Bidirectional:
            return self._rnn(layer, x, states)
        half = len(states) // 2
        forward = self._rnn(layer.forward_layer, x, states[:half])
        backward = self._rnn(layer.backward_layer, x, states[half:])
        for pair in zip(_cells(layer.forward_layer), _cells(layer.backward_layer), strict=True):
            self._directions.append([self._units_of(cell, cell.units) for cell in pair])
        y = [forward.pop(0), backward.pop(0)]
        if layer.merge_mode is not None:
            y = [np.concatenate(y) if layer.merge_mode == "concat" else self._merge(layer, y)]
        return [*y, *forward, *backward]

    def _rnn(self, layer, x, initial_state):
        """Returns the channels of the output and, with `return_state`, of the states."""
        cells = _cells(layer)
        for cell in cells:
            if _candidate_gate(cell) is None or (type(layer) not in RECURRENT and not _is_own(cell)):
                raise _CannotFollowError(
                    f"{layer.name!r} ({type(layer).__name__} of {type(cell).__name__}) is not known"
                )
            _by_element(cell)
        states = []
        for cell in cells:
            inputs, x = x, self._cell(cell, x)
            self._holders[id(cell)] = layer
            count = len(keras.tree.flatten(cell.state_size))
            states += [x] * (count - 1) + [inputs if hasattr(cell, "input_hold") else x]
        for state, given in zip(states, initial_state, strict=False):
            self._tie(state, given)
        return [x, *states] if layer.return_state else [x]

    def _cell(self, cell, x):
        y = self._units_of(cell, cell.units)
        columns = np.tile(y, len(describe(cell).gates["kernel"]))
        wakes = np.arange(columns.size) // y.size == _candidate_gate(cell)
        thresholds = set()
        if hasattr(cell, "input_hold"):
            for hold, channels in ((cell.input_hold, x), *((hold, y) for hold in cell.holds_of_states)):
                self._hold(hold, channels)
                thresholds.update(id(variable) for variable in hold.weights)
        for variable in (weight for weight in cell.weights if id(weight) not in thresholds):
            if variable is cell.kernel:
                self._connect(variable, x, columns, wakes)
            elif variable is getattr(cell, "recurrent_kernel", None):
                self._connect(variable, y, columns, wakes)
            elif variable.shape[-1] == columns.size:
                self._connect(variable, None, columns, wakes)
            else:
                self._place(variable, y)
        self._activate(cell.activation, y)
        if hasattr(cell, "threshold"):
            # A state of zero fires if its threshold is negative.
            self._awake.append(y[keras.ops.convert_to_numpy(cell.threshold) < 0])
        return y

    def _hold(self, hold, channels):
        """Notes the channels of a hold, which acts on each feature separately."""
        given = hold.get_config()["threshold"]
        if isinstance(given, list):
            raise _CannotFollowError(f"{hold.name!r} was given a threshold for each channel")
        if isinstance(given, dict):
            raise _CannotFollowError(f"{hold.name!r} has thresholds by sensitivity, which change with the weights")
        for variable in hold.weights:
            self._place(variable, channels)

    def _activate(self, activation, channels):
        if keras.ops.convert_to_numpy(activation(keras.ops.zeros((1,))))[0] != 0:
            self._awake.append(channels)

    def _merge(self, layer, given):
        if len({channels.size for channels in given}) > 1:
            raise _CannotFollowError(f"{layer.name!r} merges tensors of different widths")
        for channels in given[1:]:
            self._tie(given[0], channels)
        return given[0]

    def _units_of(self, layer, count):
        if id(layer) not in self.units:
            channels = np.arange(len(self._together), len(self._together) + count)
            self._together.extend(channels)
            self.units[id(layer)] = (layer, channels)
        return self.units[id(layer)][1]

    def _connect(self, variable, inputs, outputs, wakes=True, axes=(-2, -1)):
        """Notes a weight whose `axes` are inputs and outputs. If one of them is None, that side must stay."""
        if variable is None:
            return
        for channels, axis in zip((inputs, outputs), axes, strict=True):
            if channels is not None:
                self._place(variable, channels, axis)
        if inputs is not None:
            self._matrices.add(id(variable))
        # A bias is a weight from a source that is never zero.
        axes = tuple(None if channels is None else axis for channels, axis in zip((inputs, outputs), axes, strict=True))
        inputs, outputs = (np.zeros(1, int) if channels is None else channels for channels in (inputs, outputs))
        self._flows.append((variable, axes, inputs, outputs, np.broadcast_to(wakes, outputs.shape)))

    def _place(self, variable, channels, axis=-1):
        """Notes the channels along an axis of a weight, and ties them to those of earlier calls of the layer."""
        _, known = self.axes.setdefault(id(variable), (variable, [None] * len(variable.shape)))
        if known[axis] is None:
            known[axis] = channels
        else:
            self._tie(known[axis], channels)

    def _tie(self, some, others):
        for one, other in zip(some, others, strict=True):
            low, high = sorted((self._root(one), self._root(other)))
            self._together[high] = low

    def _root(self, channel):
        while self._together[channel] != channel:
            channel = self._together[channel]
        return channel

    def _find_skipped(self):
        for layer, channels in self.units.values():
            reason = next((self._reasons[channel] for channel in channels if channel in self._reasons), None)
            if reason is not None:
                self.skipped[self._holders.get(id(layer), layer).name] = (
                    f"what its units enter cannot be followed: {reason}"
                )


class _CannotFollowError(Exception):
    """Raised if it is not known what a layer does with its features."""


class _Placed:
    """An argument of a call, with the channels of its features if it is a tensor."""

    def __init__(self, value):
        self.value = value
        self.channels = None


def _channels(placed):
    """Returns the channels of all tensors in a structure of `_Placed`."""
    return [part.channels for part in keras.tree.flatten(placed) if part.channels is not None]


def is_graph(layer):
    """Whether a layer is a Sequential or Functional model, whose graph of layers can be read."""
    # keras.Model(inputs, outputs) creates a Functional, a class that Keras does not export.
    return type(layer) is keras.Sequential or (isinstance(layer, keras.Model) and type(layer).__name__ == "Functional")


def cloned(model, clone):
    """Returns a model with clones of the layers of another, also in models within it; it is not compiled."""

    def part(layer):
        return cloned(layer, clone) if is_graph(layer) else clone(layer)

    if isinstance(model, keras.Sequential):
        inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in model.inputs]
        return keras.Sequential([*inputs, *map(part, model.layers)], name=model.name)
    # Keras compiles the clone of a compiled model, and fails if it cannot serialize the loss.
    graph = keras.Model(model.input, model.output, name=model.name)
    return keras.models.clone_model(graph, clone_function=part)


def _cells(layer):
    """Returns the cells of a recurrent layer, one or a stack of several."""
    return getattr(layer.cell, "cells", [layer.cell])


def _candidate_gate(cell):
    facts = describe(cell)
    return None if facts is None else facts.candidate_gate


def _is_own(cell):
    """Whether the cell's own class, not only a base class, defines `candidate_gate`."""
    return "candidate_gate" in vars(type(cell))


def _fixed(tensor):
    size = tensor.shape[-1] if tensor.shape else None
    return np.zeros(size or 0, int)


def _nonzero(variable, axes):
    """Returns a bool array (inputs, outputs): whether any weight is non-zero. An axis that is None has one entry."""
    values = keras.ops.convert_to_numpy(variable.value) != 0
    kept = [axis % values.ndim for axis in axes if axis is not None]
    matrix = values.any(axis=tuple(n for n in range(values.ndim) if n not in kept))
    if len(kept) == 2 and kept[0] > kept[1]:
        matrix = matrix.T
    return matrix.reshape([1 if axis is None else variable.shape[axis] for axis in axes])


def _by_element(layer):
    """Returns the activation of a layer or cell. It and that of the gates must act on each unit separately."""
    for name in ("activation", "recurrent_activation"):
        if getattr(layer, name, keras.activations.linear) not in BY_ELEMENT:
            raise _CannotFollowError(f"{layer.name!r} has an {name} that may mix units")
    return layer.activation
