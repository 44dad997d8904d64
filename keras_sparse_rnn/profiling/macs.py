"""Multiply-accumulates (MACs) of recurrent layers, dense and effective, counted step by step on data."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_sparse_rnn.layers import EventGRUCell
from keras_sparse_rnn.sparsity import find_kernels

_DENSE_CELLS = (keras.layers.GRUCell, keras.layers.LSTMCell, keras.layers.SimpleRNNCell)


@dataclass(frozen=True)
class LayerMacs:
    """What the matrix products of one recurrent layer cost a time step.

    Attributes:
        name: Name of the layer.
        steps: Number of time steps that were counted.
        weights: Number of weights in the kernel and the recurrent kernel.
        nonzero_weights: How many of them are not zero.
        effective: MACs a step that a kernel does which skips zero weights and, for event layers, zero sources; the mean
            over the counted steps.
        input_rate: Share of inputs that are not zero, in [0, 1]; 1 for layers whose kernels skip no input.
        activity: Share of units whose output enters the recurrence as non-zero, in [0, 1]; 1 likewise.
    """

    name: str
    steps: int
    weights: int
    nonzero_weights: int
    effective: float
    input_rate: float
    activity: float

    @property
    def dense(self):
        """MACs a step with all weights and all sources: the size of both matrices."""
        return self.weights

    @property
    def sparsity(self):
        """Share of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero_weights / self.weights


def count_macs(model, x, valid=None):
    """Counts the MACs of each recurrent layer of a model, from zero states.

    Each step costs the sum, over the sources that are not zero (inputs now, outputs of the step before), of the
    non-zero weights that they feed. It is added up over the real steps, not estimated from mean rates, since the units
    that fire often may be those that kept many weights. Only event layers skip sources: for the layers of Keras each
    input and each state counts, also where it is zero, and so their `effective` is the number of their non-zero
    weights. The element-wise part (3 non-linearities a unit for a GRU) is not counted, nor are other layers.

    Args:
        model: A built Sequential or Functional model with EventGRU, GRU, LSTM or SimpleRNN layers, or
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
    probes = {layer.name: _events(layer) for layer in layers if isinstance(layer.cell, EventGRUCell)}
    seen = keras.Model(model.inputs, probes).predict(x, batch_size=256, verbose=0) if probes else {}
    return [
        _count_events(layer, *seen[layer.name], valid) if layer.name in seen else _count_dense(layer, x, valid)
        for layer in layers
    ]


def _recurrent_layers(model):
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.RNN)]
    for layer in layers:
        if not isinstance(layer.cell, (EventGRUCell, *_DENSE_CELLS)):
            raise ValueError(
                f"layer '{layer.name}' has a cell of class {type(layer.cell).__name__}; the MACs of EventGRU, GRU, "
                "LSTM and SimpleRNN can be counted."
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


def _events(layer):
    """Symbolic inputs of an event layer (batch, time, features) and its events (batch, time, units), step by step."""
    cell = EventGRUCell.from_config({**layer.cell.get_config(), "readout": "event"})
    twin = keras.layers.RNN(cell, return_sequences=True, go_backwards=layer.go_backwards, name=f"{layer.name}_events")
    twin.build(layer.input.shape)
    twin.set_weights(layer.get_weights())
    return layer.input, twin(layer.input)


def _count_events(layer, inputs, events, valid):
    valid = _check_valid(valid, inputs.shape[:2])
    if layer.go_backwards:
        inputs, valid = inputs[:, ::-1], valid[:, ::-1]
    before = np.concatenate([np.zeros_like(events[:, :1]), events[:, :-1]], axis=1)
    sources = [(inputs != 0)[valid], (before != 0)[valid]]
    fed = [np.count_nonzero(weights, axis=1) for weights in _kernels(layer)]
    macs = sum(active @ count for active, count in zip(sources, fed, strict=True))
    return LayerMacs(
        name=layer.name,
        steps=len(macs),
        weights=sum(weights.size for weights in _kernels(layer)),
        nonzero_weights=int(sum(count.sum() for count in fed)),
        effective=float(macs.mean()),
        input_rate=float(sources[0].mean()),
        activity=float(sources[1].mean()),
    )


def _count_dense(layer, x, valid):
    steps = np.shape(keras.tree.flatten(x)[0])[:2]
    kernels = _kernels(layer)
    nonzero = int(sum(np.count_nonzero(weights) for weights in kernels))
    return LayerMacs(
        name=layer.name,
        steps=int(_check_valid(valid, steps).sum()),
        weights=sum(weights.size for weights in kernels),
        nonzero_weights=nonzero,
        effective=float(nonzero),
        input_rate=1.0,
        activity=1.0,
    )


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
