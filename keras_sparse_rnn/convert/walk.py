"""The walk through a model that cuts its recurrent layers out."""

from dataclasses import dataclass
from functools import partial

import keras

from keras_sparse_rnn.convert.dilated import DilatedConvolution, is_dilated
from keras_sparse_rnn.convert.float_layers import FloatCall
from keras_sparse_rnn.convert.frame_gates import RepeatedOutputs
from keras_sparse_rnn.convert.lookup import Lookup
from keras_sparse_rnn.convert.masks import MERGES_BY_MASKS, Masks, has_any
from keras_sparse_rnn.convert.recurrent import KINDS, is_cell, layers_in, recurrent_layer
from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, call_copy, copy_layer, has_number
from keras_sparse_rnn.convert.recurrent.held import dense_behind
from keras_sparse_rnn.convert.refused_layers import check_layer_class
from keras_sparse_rnn.convert.traced import call_layers, holds_recurrent, is_functional, trace
from keras_sparse_rnn.layers import DeltaDense, DeltaHold, FrameGate

# Layers that do nothing at inference.
_TRAINING_ONLY = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
_SUPPORTED = (
    f"supported: {', '.join(kind.LAYER.__name__ for kind in KINDS)}, in Bidirectional too, a DeltaHold in front of "
    "them, and around them layers that TensorFlow Lite has builtin ops for, such as Dense"
)


@dataclass(frozen=True, eq=False)
class RecurrentCall:
    """A recurrent layer at one place of the graph, between symbolic tensors of the rest.

    Attributes:
        layer: The `LayerConverter`.
        x, y: Its input and its output. Where a DeltaHold stands in front of it, `x` is what that reads.
        initial: The states that it begins with, by the names of the op's states; empty where it begins at zero.
        last: The states after the last step, likewise; empty where nothing asks for them.
        mask: (batch, steps), False where a step is left out; None where none is.
        repeats: Whether steps that are left out repeat the output of an inference before.
    """

    layer: LayerConverter
    x: object
    y: object
    initial: dict
    last: dict
    mask: object
    repeats: bool

    @property
    def read(self):
        """The tensors that it takes."""
        return [self.x, *self.initial.values(), *([] if self.mask is None else [self.mask])]

    @property
    def given(self):
        """Those that it gives."""
        return [self.y, *self.last.values()]


@dataclass(frozen=True, eq=False)
class LookupCall:
    """An Embedding at one place of the graph: `y` are the rows of its table of which `x`, int32, holds the numbers."""

    layer: Lookup
    x: object
    y: object


class Walk:
    """Calls a model's layers on new inputs.

    Args:
        stateful: Whether the recurrent layers are to go on from one inference to the next.
        float_layers: The `FloatLayers`.
        keeps_states: Whether the new calls do so themselves.

    Attributes:
        calls: The `RecurrentCall`s met, in the order of execution.
        masks, gates, lookups, floats: The `MaskCall`s, `GateCall`s, `LookupCall`s and `FloatCall`s met.
        pools: The layers met that average over the steps of a mask.
        sources: For each symbolic tensor's id, which inputs and recurrent outputs it is computed from, without passing
            through a recurrent layer: a dict from their ids to them.
    """

    def __init__(self, stateful, float_layers, keeps_states=False):
        self._stateful = stateful
        self._float_layers = float_layers
        self._keeps_states = keeps_states
        self.calls, self.masks, self.gates, self.lookups, self.floats, self.pools = [], [], [], [], [], []
        self.sources = {}
        self._inputs = []
        self._masked = Masks(self.masks, self.gates, self._apply, self._begin, keeps_states)
        self._holds = {}  # id of what a DeltaHold puts out -> the layer and what it reads
        self._aliases = {}  # id of a tensor with a mask of its own -> the tensor, and what layers read in its place
        self._names = {}  # layer names in use -> the layer
        self._loops = {}  # id of a cell that is called on a step -> the layer that calls it
        self._kept = []  # an id names a tensor only while the tensor lives

    def __call__(self, model, inputs):
        return self._plain(self._walk(model, inputs))

    def _walk(self, model, inputs):
        self._inputs += inputs
        for tensor in inputs:
            self.sources.setdefault(id(tensor), {id(tensor): tensor})
        return call_layers(model, inputs, self._call)

    def _call(self, layer, *args, **kwargs):
        """Calls a layer, and notes which steps of what it puts out are masked."""
        plain = self._plain(args)
        begun = self._masked.begun(layer, plain)
        if begun is not None:
            return begun
        masks = self._masked.given(args, kwargs, self._inputs)
        results = self._call_masked(layer, self._masked.read(args, kwargs, masks), *args, **kwargs)
        if not isinstance(layer, keras.Model):  # whose layers have done so
            self._masked.note(layer, plain, masks, results)
        return results

    def _alias(self, x, plain=None):
        """Another name of a tensor: x with a mask, where others read x without it, or `plain` in its place."""
        alias = keras.ops.copy(x)
        self._aliases[id(alias)] = x, x if plain is None else plain
        self._kept.append(alias)
        return alias

    def _plain(self, given):
        """A nested structure with the tensors that aliases stand for."""
        return keras.tree.map_structure(lambda value: self._aliases.get(id(value), (value, value))[1], given)

    def _masked_alias(self, layer, x):
        """What a Masking puts out, and its mask: zeros at masked steps, which only those layers read as they are that
        leave these steps out."""
        if layer.mask_value == 0:
            return self._alias(x)
        zeros = self._apply(
            lambda x, mask: keras.ops.where(keras.ops.expand_dims(mask, axis=-1), x, 0.0),
            x,
            self._masked.mask_call(x, layer.mask_value),
        )
        return self._alias(x, zeros)

    def _lookup(self, layer, x):
        if "float" in x.dtype:
            raise ValueError(
                f"layer '{layer.embedding.name}' (Embedding) reads indices of the type {x.dtype}, which are computed, "
                "or are an input that other layers read as well; integers would round them. Give them an input of "
                'their own, keras.Input(..., dtype="int32").'
            )
        if x.dtype != "int32":  # the rest makes integers of it first
            return self._apply(layer, x)
        call = LookupCall(layer, x, layer(x))
        self.lookups.append(call)
        self._begin(call.y)
        return call.y

    def _call_masked(self, layer, masks, *args, **kwargs):
        check_layer_class(layer)
        if isinstance(layer, DeltaHold):
            return self._hold(layer, self._plain(args[0]), masks)
        if isinstance(layer, keras.layers.Dense) and id(self._plain(args[0])) in self._holds:
            hold, x = self._holds[id(self._plain(args[0]))]
            return self._call_masked(dense_behind(hold, layer), masks, x)
        if isinstance(layer, DeltaDense) and not has_number(layer.activation):
            behind = keras.layers.Activation(layer.activation, name=f"{layer.name}_activation")
            return self._call(behind, self._recurrent(copy_layer(layer, activation="linear"), args[0], mask=masks))
        if isinstance(layer, keras.layers.RNN) and layers_in(layer):
            return self._recurrent(layer, args[0], initial=_initial_state(args, kwargs), mask=masks)
        if isinstance(layer, keras.layers.Bidirectional):
            return self._bidirectional(layer, args[0], _initial_state(args, kwargs), masks)
        if is_cell(layer):
            return self._cell(layer, *args, **kwargs)
        if isinstance(layer, keras.layers.TimeDistributed):
            return self._time_distributed(layer.layer, args[0])
        if (isinstance(layer, keras.Model) and not is_functional(layer)) or holds_recurrent(layer):
            layer = _traced(layer, args, kwargs)
            args, kwargs = keras.tree.flatten((args, kwargs)), {}
        if isinstance(layer, keras.Model):
            results = self._walk(layer, keras.tree.flatten(args))
            return results[0] if len(results) == 1 else results
        if isinstance(layer, _TRAINING_ONLY):
            return args[0]
        if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear:
            return args[0]
        if isinstance(layer, FrameGate) and layer.stateful and not self._stateful:
            raise ValueError(
                f"layer '{layer.name}' has stateful=True; only False can be converted without stateful=True."
            )
        if isinstance(layer, keras.layers.Masking):
            return self._masked_alias(layer, self._plain(args[0]))
        if isinstance(layer, FrameGate):
            return self._alias(self._plain(args[0]))
        if isinstance(layer, keras.layers.RNN):
            raise ValueError(f"layer '{layer.name}' ({type(layer).__name__}) cannot be converted; {_SUPPORTED}.")
        if isinstance(layer, keras.layers.Embedding):
            return self._lookup(Lookup(layer), self._plain(args[0]))
        behind = self._float_layers.activation_behind(layer)
        if behind is not None:
            return self._call(behind, self._call(copy_layer(layer, activation="linear"), *args, **kwargs))
        if is_dilated(layer):
            layer = DilatedConvolution(layer)
        args, kwargs = self._plain((args, kwargs | self._masked.arguments(layer, masks, args)))
        if has_any(masks) and isinstance(layer, keras.layers.GlobalAveragePooling1D):
            self.pools.append(layer)
        if has_any(masks) and isinstance(layer, MERGES_BY_MASKS):
            return self._apply(partial(self._masked.merge, layer), args[0], masks)
        y = self._apply(self._named_alone(layer), *args, **kwargs)
        if self._float_layers.has(layer, masked=has_any(masks)):
            read = [part for part in keras.tree.flatten((args, kwargs)) if isinstance(part, keras.KerasTensor)]
            self.floats.append(FloatCall(layer, read, y))
            self._begin(y)
        return y

    def _recurrent(self, layer, x, in_order=False, initial=None, mask=None):
        """Puts a call of each layer in a recurrent one in place; what that puts out, as Keras gives it."""
        if mask is not None and mask is self._masked.of(x):
            x = self._aliases.get(id(x), (x,))[0]
        x, initial = self._plain((x, initial))
        parts = layers_in(layer)
        results = self._over_time(layer, x, initial, mask)
        y, *states = keras.tree.flatten(results)
        y = self._repeated(layer, y, initial, mask)
        if in_order:
            y = keras.ops.flip(y, axis=1)
        initial, ends = keras.tree.flatten(initial or []), []
        for part in parts:
            count = len(keras.tree.flatten(part.cell.state_size))
            first, initial = initial[:count], initial[count:]
            if part is parts[-1]:
                own, result, part_in_order = states[len(states) - count :] if states else [], y, in_order
            else:  # all backwards or none: so the ones between keep the order of their inputs
                result, *own = keras.tree.flatten(self._over_time(part, x, first or None, mask))
                result = self._repeated(part, result, first, mask)
                part_in_order = part.go_backwards
                result = keras.ops.flip(result, axis=1) if part_in_order else result
            self._add_call(part, x, result, part_in_order, first, own, mask)
            ends += own
            x = result
        return keras.tree.pack_sequence_as(results, [y, *ends])

    def _add_call(self, layer, x, y, in_order, initial, last, mask):
        hold, read = self._holds.get(id(x), (None, x))
        recurrent = recurrent_layer(layer, in_order, hold)
        recurrent.check(self._stateful)
        if self._is_gated(mask) and layer.go_backwards:
            raise ValueError(
                f"layer '{layer.name}' goes backwards behind a FrameGate: the gate decides about a frame by those "
                "before it, as they come, and a board cannot know the last ones first. Put the gate in front of layers "
                "that go forward alone (no Bidirectional, no go_backwards=True)."
            )
        if initial:
            recurrent.check_initial()
        names = recurrent.STATES
        call = RecurrentCall(
            recurrent,
            read,
            y,
            dict(zip(names, initial, strict=False)),
            dict(zip(names, last, strict=False)),
            mask,
            self._repeats(layer, initial, mask),
        )
        self.calls.append(call)
        for tensor in call.given:
            self._begin(tensor)

    def _is_gated(self, mask):
        """Whether a mask comes from a FrameGate."""
        return mask is not None and any(id(gate.y) in self.sources.get(id(mask), {}) for gate in self.gates)

    def _repeats(self, layer, initial, mask):
        """As in `RecurrentCall`."""
        return self._stateful and not initial and self._is_gated(mask) and not layer.zero_output_for_mask

    def _repeated(self, layer, y, initial, mask):
        """What a layer puts out, with the outputs that it repeats from the call before."""
        if not (self._keeps_states and self._repeats(layer, initial, mask)):
            return y
        return RepeatedOutputs(len(y.shape) == 3)(y, mask)

    def _cell(self, cell, x, states, **_):
        """A cell called on one step: its layer on a sequence of one."""
        step = self._apply(lambda x: keras.ops.expand_dims(x, axis=1), x)
        layer = self._loops.get(id(cell))
        if layer is None:
            layer = self._loops[id(cell)] = keras.layers.RNN(cell, return_state=True, name=cell.name)
            layer.build(step.shape)  # a copy of it takes its weights only then
        initial = list(states) if isinstance(states, (list, tuple)) else [states]
        y, *after = keras.tree.flatten(self._recurrent(layer, step, initial=initial))
        return y, keras.tree.pack_sequence_as(states, after)

    def _hold(self, layer, x, mask):
        self.check_read([x])
        y = self._over_time(layer, x, None, mask)
        self._holds[id(y)] = layer, x
        self._kept.append(y)
        return y

    def _over_time(self, layer, x, initial=None, mask=None):
        """What a layer with states makes of a symbolic tensor."""
        if layer.stateful or self._keeps_states:  # a call would change its states
            name = f"{layer.name}_call_{len(self._kept) + len(self.calls)}"
            stateful = self._keeps_states and initial is None
            return call_copy(layer, x, initial_state=initial, mask=mask, name=name, stateful=stateful)
        given = {"initial_state": initial, "mask": mask}
        given = {name: value for name, value in given.items() if value is not None}
        return self._named_alone(layer)(x, **given)

    def check_gates(self, outputs):
        """Raises ValueError where nothing reads the mask of a FrameGate."""
        read = [*outputs, *(tensor for call in (*self.calls, *self.gates, *self.floats) for tensor in call.read)]
        sources = {key for tensor in read for key in self.sources.get(id(tensor), {})}
        for gate in self.gates:
            if id(gate.y) not in sources:
                raise ValueError(
                    f"layer '{gate.layer.name}' (FrameGate) has no effect: no layer reads its mask. Convolutions drop "
                    "masks, and Keras ignores that of a recurrent layer that is called with initial_state. Put the "
                    "gate in front of recurrent layers, or take it out."
                )

    def check_read(self, tensors):
        """Raises ValueError where one of them is what a DeltaHold holds: only recurrent and Dense layers read that."""
        for tensor in tensors:
            if id(tensor) in self._holds:
                raise ValueError(
                    f"layer '{self._holds[id(tensor)][0].name}' (DeltaHold) can be converted in front of Dense, "
                    f"{', '.join(kind.LAYER.__name__ for kind in KINDS if not kind.HOLDS_INPUTS)} alone."
                )

    def _bidirectional(self, layer, x, initial, mask):
        forward, backward = layer.forward_layer, layer.backward_layer
        for part in (forward, backward):
            if not layers_in(part):
                raise ValueError(f"layer '{layer.name}' (Bidirectional) holds a {type(part).__name__}; {_SUPPORTED}.")
        half = None if initial is None else len(initial) // 2
        parts = [
            self._recurrent(forward, x, initial=initial and initial[:half], mask=mask),
            self._recurrent(backward, x, backward.return_sequences, initial and initial[half:], mask),
        ]
        merges = {
            "concat": lambda a, b: keras.ops.concatenate([a, b], axis=-1),
            "sum": keras.ops.add,
            "ave": lambda a, b: (a + b) / 2,
            "mul": keras.ops.multiply,
        }
        (y, *states), (y_back, *states_back) = (part if isinstance(part, (list, tuple)) else [part] for part in parts)
        results = (y, y_back)
        if layer.merge_mode:
            results = (self._apply(merges[layer.merge_mode], *results),)
        results += (*states, *states_back)
        return results if len(results) > 1 else results[0]

    def _time_distributed(self, layer, x):
        """With the steps as a batch."""
        if isinstance(layer, keras.layers.Dense):
            return self._call(layer, x)
        if isinstance(layer, (keras.Model, keras.layers.RNN, keras.layers.Wrapper)):
            raise ValueError(f"layer '{layer.name}' ({type(layer).__name__}) in TimeDistributed cannot be converted.")
        steps = x.shape[1]
        y = self._call(layer, self._apply(lambda x: keras.ops.reshape(x, (-1, *x.shape[2:])), x))
        return self._apply(lambda y: keras.ops.reshape(y, (-1, steps, *y.shape[1:])), y)

    def _begin(self, tensor):
        """Notes a tensor that the rest takes: what is computed from it goes back to it, and no further."""
        self.sources[id(tensor)] = {id(tensor): tensor}

    def _apply(self, function, *args, **kwargs):
        """Calls a layer or an operation of the rest."""
        args, kwargs = self._plain((args, kwargs))
        self.check_read(keras.tree.flatten((args, kwargs)))
        results = function(*args, **kwargs)
        read = [self.sources.get(id(tensor), {}) for tensor in keras.tree.flatten((args, kwargs))]
        for tensor in keras.tree.flatten(results):
            merged = {key: source for sources in read for key, source in sources.items()}
            self.sources.setdefault(id(tensor), merged)  # one that is handed on has its own
            self._kept.append(tensor)
        return results

    def _named_alone(self, layer):
        """The layer, or a copy of it where a layer of another nested model has its name already."""
        if self._names.setdefault(layer.name, layer) is layer or not isinstance(layer, keras.Layer):
            return layer
        key = id(layer)
        if key not in self._names:
            name = f"{layer.name}_{len(self._names)}"
            self._names[key] = copy_layer(layer, name=name)
        return self._names[key]


def _traced(layer, args, kwargs):
    """A user's own layer or model as a Functional model of the tensors that it is called on."""
    given = (args, {name: value for name, value in kwargs.items() if isinstance(value, keras.KerasTensor)})
    inputs = keras.tree.map_structure(lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype), given)
    outputs = trace(layer, *inputs[0], **inputs[1])
    return keras.Model(keras.tree.flatten(inputs), outputs, name=layer.name)


def _initial_state(args, kwargs):
    """Of a recurrent layer's call, as a list; None where it begins at zero."""
    state = args[1] if len(args) > 1 else kwargs.get("initial_state")
    return None if state is None else list(state) if isinstance(state, (list, tuple)) else [state]
