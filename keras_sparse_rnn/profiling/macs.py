"""Multiply-accumulates (MACs) of recurrent layers, dense and effective, counted step by step on data."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.layers import DeltaGRUCell, DeltaHold, EventGRU, EventGRUCell
from keras_sparse_rnn.sparsity import find_kernels
from keras_sparse_rnn.typing import Arrays

_DENSE_CELLS = (keras.layers.GRUCell, keras.layers.LSTMCell, keras.layers.SimpleRNNCell)


@dataclass(frozen=True)
class LayerMacs:
    """What the matrix products of one recurrent layer cost a time step.

    Attributes:
        name: Name of the layer.
        steps: Number of time steps that were counted.
        weights: Number of weights in the kernel and the recurrent kernel.
        nonzero_weights: How many of them are not zero.
        effective: MACs a step that a kernel does which skips zero weights and sources that do not act, the mean over
            the counted steps.
        input_rate: Share of inputs that act, in [0, 1]: those that are not zero, or that have changed where they are
            held; 1 for layers whose kernels skip no input.
        activity: Share of units that act on the recurrence, in [0, 1], in the same sense.
    """

    name: str
    steps: int
    weights: int
    nonzero_weights: int
    effective: float
    input_rate: float
    activity: float

    @property
    def dense(self) -> int:
        """MACs a step with all weights and all sources: the size of both matrices."""
        return self.weights

    @property
    def sparsity(self) -> float:
        """Share of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero_weights / self.weights


def count_macs(model: keras.Model, x: Arrays, valid: ArrayLike | None = None) -> list[LayerMacs]:
    """Counts the MACs of each recurrent layer of a model, from zero states.

    Each step costs the sum, over the sources that act (inputs now, states of the step before), of the non-zero weights
    that they feed. It is added up over the real steps, not estimated from mean rates, since the units that fire often
    may be those that kept many weights. Which sources act:
        EventGRU: inputs and events that are not zero
        DeltaGRU: inputs and states whose held value has changed
        any of them, GRU, LSTM or SimpleRNN directly behind a DeltaHold: inputs whose held value has changed
        else: all, also those that are zero, so that `effective` is the number of non-zero weights
    The element-wise part (3 non-linearities a unit for a GRU) is not counted, nor are other layers.

    Args:
        model: A built Sequential or Functional model with EventGRU, DeltaGRU, GRU, LSTM or SimpleRNN layers, or
            `keras.layers.RNN` over one of their cells, at its first level.
        x: Its inputs, `(samples, time, ...)`, as for `model.predict`.
        valid: Boolean array `(samples, time)`, True for the steps to count; by default all. Steps that are left out,
            such as padding, still run.

    Returns:
        A list of `LayerMacs`, in the order of `model.layers`.

    Raises:
        ValueError: The model has no recurrent layer, one of another kind or one inside another layer (the message names
            it), or `valid` does not fit.

    Example:

    >>> [macs] = count_macs(model, x_test)
    >>> macs.dense / macs.effective
    21.4
    """
    layers = _recurrent_layers(model)
    holds = [layer for layer in model.layers if isinstance(layer, DeltaHold)]
    # KerasTensors are compared by identity: == would be a tensor.
    held = {layer.name for layer in layers if any(_input(layer) is hold.output for hold in holds)}
    probes = {layer.name: _probes(layer, layer.name in held) for layer in layers}
    probes = {name: tensors for name, tensors in probes.items() if tensors}
    seen = keras.Model(model.inputs, probes).predict(x, batch_size=256, verbose=0) if probes else {}
    steps = np.shape(keras.tree.flatten(x)[0])[:2]
    valid = _check_valid(valid, steps)
    return [_count(layer, seen.get(layer.name, {}), layer.name in held, valid) for layer in layers]


def _recurrent_layers(model):
    layers = [x for x in model.layers if isinstance(x, keras.layers.RNN) and not isinstance(x, DeltaHold)]
    for layer in layers:
        if not isinstance(layer.cell, (EventGRUCell, DeltaGRUCell, *_DENSE_CELLS)):
            raise ValueError(
                f"layer '{layer.name}' has a cell of class {type(layer.cell).__name__}; the MACs of EventGRU, "
                "DeltaGRU, GRU, LSTM and SimpleRNN can be counted."
            )
    cells = {id(layer.cell) for layer in layers}
    for kernel in find_kernels(model)[0]:
        if id(kernel.layer) not in cells:
            raise ValueError(
                f"'{kernel.path}' lies inside another layer; only layers of the first level can be counted."
            )
    if not layers:
        raise ValueError(f"model '{model.name}' has no recurrent layer.")
    return layers


def _probes(layer, held):
    """Symbolic tensors (batch, time, ...) that show which sources of a layer act."""
    if isinstance(layer.cell, DeltaGRUCell):
        cell = _Changes(DeltaGRUCell.from_config(layer.cell.get_config()))
        return {"changes": _twin(layer, keras.layers.RNN, cell=cell, zero_output_for_mask=True)}
    probes = {}
    if isinstance(layer, EventGRU):
        config = {**layer.get_config(), "readout": "event", "activity_regularizer": None}
        probes["events"] = _twin(layer, EventGRU, **config)
    elif isinstance(layer.cell, EventGRUCell):
        cell = EventGRUCell.from_config({**layer.cell.get_config(), "readout": "event"})
        probes["events"] = _twin(layer, keras.layers.RNN, cell=cell)
    if probes or held:
        probes["inputs"] = _input(layer)
    return probes


def _input(layer):
    """The symbolic input sequence; Keras lists a mask and initial states beside it."""
    return keras.tree.flatten(layer.input)[0]


def _twin(layer, kind, **arguments):
    """The outputs at each step of a layer of that kind in the place of a layer, with its weights."""
    arguments |= {"return_sequences": True, "return_state": False, "stateful": False}
    arguments |= {"go_backwards": layer.go_backwards, "name": f"{layer.name}_sources"}
    twin = kind(**arguments)
    twin.build(_input(layer).shape)
    twin.set_weights(layer.get_weights())
    return twin(_input(layer))


class _Changes(keras.layers.Layer):
    """A DeltaGRUCell that returns 1 for each input, then for each unit, whose held value has changed, else 0."""

    def __init__(self, cell):
        super().__init__(dtype=cell.dtype_policy)
        self.cell = cell
        self.state_size = cell.state_size

    def build(self, input_shape):
        self.cell.build(input_shape)
        self.output_size = input_shape[-1] + self.cell.units

    def call(self, inputs, states):
        _, new_states = self.cell(inputs, states)
        changed = [keras.ops.not_equal(new_states[i], states[i]) for i in (2, 1)]  # x^, h^
        return keras.ops.cast(keras.ops.concatenate(changed, axis=-1), self.compute_dtype), new_states

    def get_initial_state(self, batch_size=None):
        return self.cell.get_initial_state(batch_size)


def _count(layer, seen, held, valid):
    kernels = _kernels(layer)
    # Time runs as the layer reads; probes of recurrent states do already.
    order = slice(None, None, -1 if layer.go_backwards else 1)
    valid = valid[:, order]
    sources = [np.ones((*valid.shape, len(weights)), bool) for weights in kernels]
    if "changes" in seen:
        sources = np.split(seen["changes"] != 0, [len(kernels[0])], axis=-1)
    if "inputs" in seen:
        inputs = seen["inputs"][:, order]
        sources[0] = inputs != _before(inputs) if held else inputs != 0
    if "events" in seen:
        sources[1] = _before(seen["events"]) != 0
    sources = [active[valid] for active in sources]
    fed = [np.count_nonzero(weights, axis=1) for weights in kernels]
    macs = sum(active @ count for active, count in zip(sources, fed, strict=True))
    return LayerMacs(
        name=layer.name,
        steps=len(macs),
        weights=sum(weights.size for weights in kernels),
        nonzero_weights=int(sum(count.sum() for count in fed)),
        effective=float(macs.mean()),
        input_rate=float(sources[0].mean()),
        activity=float(sources[1].mean()),
    )


def _before(sequences):
    """The values of the step before, zero before the first."""
    return np.concatenate([np.zeros_like(sequences[:, :1]), sequences[:, :-1]], axis=1)


def _kernels(layer):
    return [keras.ops.convert_to_numpy(w) for w in (layer.cell.kernel, layer.cell.recurrent_kernel)]


def _check_valid(valid, shape):
    if valid is None:
        return np.ones(shape, bool)
    valid = np.asarray(valid, bool)
    if valid.shape != shape or not valid.any():
        raise ValueError(
            f"`valid` must have the shape (samples, time) = {shape} with a step to count; given: {valid.shape}."
        )
    return valid
