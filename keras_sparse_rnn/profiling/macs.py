"""Multiply-accumulates (MACs) of recurrent and dense layers, without and with what is skipped, counted on data."""

import contextlib
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.layers import (
    DeltaGRUCell,
    DeltaHold,
    EventGRU,
    EventGRUCell,
    ONLSTMCell,
    RecurrentHighwayCell,
)
from keras_sparse_rnn.sparsity import find_kernels
from keras_sparse_rnn.typing import Arrays

_DENSE_CELLS = (
    keras.layers.GRUCell,
    keras.layers.LSTMCell,
    keras.layers.SimpleRNNCell,
    ONLSTMCell,
    RecurrentHighwayCell,
)


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
        gates: Effective MACs a step of each gate, in the order of the kernel's columns.
    """

    name: str
    steps: int
    weights: int
    nonzero_weights: int
    effective: float
    input_rate: float
    activity: float
    gates: tuple

    @property
    def dense(self) -> int:
        """MACs a step with all weights and all sources: the size of both matrices."""
        return self.weights

    @property
    def sparsity(self) -> float:
        """Share of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero_weights / self.weights


def count_macs(model: keras.Model, x: Arrays, valid: ArrayLike | None = None, partial: bool = False) -> list[LayerMacs]:
    """Counts the MACs of each recurrent layer of a model, from zero states.

    Each step costs the sum, over the sources that act (inputs now, states of the step before), of the non-zero weights
    that they feed. It is added up over the real steps, not estimated from mean rates, since the units that fire often
    may be those that kept many weights. Which sources act:
        EventGRU: inputs and events that are not zero
        DeltaGRU: inputs and states whose held value has changed
        any layer directly behind a DeltaHold: inputs whose held value has changed
        else: all, also those that are zero, so that `effective` is the number of non-zero weights
    The element-wise part (3 non-linearities a unit for a GRU) is not counted, nor are other layers; dense ones are by
    `count_dense_macs`.

    Args:
        model: A built Sequential or Functional model with EventGRU, DeltaGRU, GRU, LSTM, SimpleRNN, ONLSTM or
            RecurrentHighway layers, or `keras.layers.RNN` over one of their cells, at its first level or in a
            Bidirectional there.
        x: Its inputs, `(samples, time, ...)`, as for `model.predict`.
        valid: Boolean array `(samples, time)`, True for the steps to count; by default all. Steps that are left out,
            such as padding, still run.
        partial: Whether to leave out recurrent layers that cannot be counted instead of raising.

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
    sites, reasons = _sites(model)
    if reasons and not partial:
        raise ValueError(reasons[0])
    seen = _see(model, x, sites)
    valid = _check_valid(valid, np.shape(keras.tree.flatten(x)[0])[:2])
    return [_count(site, seen.get(site.name, {}), valid) for site in sites]


def count_dense_macs(model: keras.Model, x: Arrays, valid: ArrayLike | None = None) -> dict[str, float]:
    """Counts the MACs of the Dense layers of a model: the non-zero weights fed by inputs that are not zero.

    Args:
        model: A built Sequential or Functional model. Dense layers at its first level, also in a TimeDistributed there,
            are counted; those that are called more than once are left out.
        x: Its inputs, `(samples, time, ...)`, as for `model.predict`.
        valid: Boolean array `(samples, time)`, True for the steps to count where a layer is called at each step.

    Returns:
        Dict {name of a layer: MACs of a call, the mean over samples, or samples and steps}, in the order of the layers.
    """
    probes, kernels = {}, {}
    for layer in model.layers:
        dense = layer.layer if isinstance(layer, keras.layers.TimeDistributed) else layer
        if isinstance(dense, keras.layers.Dense):
            with contextlib.suppress(AttributeError, ValueError):  # called more than once, or not in this graph
                probes[layer.name] = layer.input
                kernels[layer.name] = keras.ops.convert_to_numpy(dense.kernel)
    if not probes:
        return {}
    macs = {}
    for name, inputs in keras.Model(model.inputs, probes).predict(x, batch_size=256, verbose=0).items():
        if valid is not None and inputs.shape[:-1] == np.shape(valid):
            inputs = inputs[np.asarray(valid, bool)]
        active = (inputs != 0).reshape(-1, inputs.shape[-1]).mean(axis=0)
        macs[name] = float(active @ np.count_nonzero(kernels[name], axis=1))
    return macs


def record_events(model: keras.Model, x: Arrays) -> dict[str, np.ndarray]:
    """Which units act on the recurrence, in each step: EventGRUs that fire, DeltaGRUs whose held state changes.

    Args:
        model: A model as for `count_macs`; other layers in it are left out.
        x: Its inputs, `(samples, time, ...)`, as for `model.predict`.

    Returns:
        Dict {name of a layer: boolean array (samples, time, units)}, in the order of the layers.

    Example:

    >>> ksr.plot.events(record_events(model, x_test)["event_gru"][0])
    """
    sites = _sites(model)[0]
    recorded = {}
    for site in sites:
        seen = _see(model, x, [site]).get(site.name, {})
        if "events" in seen or "changes" in seen:
            active = seen["events"] if "events" in seen else seen["changes"][..., -site.layer.cell.units :]
            recorded[site.name] = active[:, :: -1 if site.layer.go_backwards else 1] != 0
    return recorded


@dataclass(frozen=True, eq=False)
class _Site:
    """A recurrent layer whose sources can be seen, the symbolic sequence that it reads, and whether that is held."""

    name: str
    layer: keras.layers.RNN
    x: keras.KerasTensor
    held: bool


def _sites(model):
    """The recurrent layers that can be counted, and a reason for each of the others."""
    sites, reasons, known = [], [], []
    holds = [layer for layer in model.layers if isinstance(layer, DeltaHold)]
    for layer in model.layers:
        both = isinstance(layer, keras.layers.Bidirectional)
        for part in (layer.forward_layer, layer.backward_layer) if both else (layer,):
            if not isinstance(part, keras.layers.RNN) or isinstance(part, DeltaHold):
                continue
            name = f"{layer.name}/{part.name}" if both else layer.name
            known.append(f"{name}/")
            if not isinstance(part.cell, (EventGRUCell, DeltaGRUCell, *_DENSE_CELLS)):
                reasons.append(
                    f"layer '{name}' has a cell of class {type(part.cell).__name__}; the MACs of EventGRU, DeltaGRU, "
                    "GRU, LSTM, SimpleRNN, ONLSTM and RecurrentHighway can be counted."
                )
                continue
            x = keras.tree.flatten(layer.input)[0]  # Keras lists a mask and initial states behind it
            # KerasTensors are compared by identity: == would be a tensor.
            sites.append(_Site(name, part, x, any(x is hold.output for hold in holds)))
    reasons += [
        f"'{kernel.path}' lies inside another layer; only layers of the first level, and in a Bidirectional there, "
        "can be counted."
        for kernel in find_kernels(model)[0]
        if not kernel.path.startswith(tuple(known))
    ]
    return sites, reasons if sites or reasons else [f"model '{model.name}' has no recurrent layer."]


def _see(model, x, sites):
    """For each layer that skips sources the values that show which act, by its name."""
    probes = {site.name: tensors for site in sites if (tensors := _probes(site))}
    return keras.Model(model.inputs, probes).predict(x, batch_size=256, verbose=0) if probes else {}


def _probes(site):
    """Symbolic tensors (batch, time, ...) that show which sources of a layer act."""
    layer = site.layer
    if isinstance(layer.cell, DeltaGRUCell):
        cell = _Changes(DeltaGRUCell.from_config(layer.cell.get_config()))
        return {"changes": _twin(site, keras.layers.RNN, cell=cell, zero_output_for_mask=True)}
    probes = {}
    if isinstance(layer, EventGRU):
        config = {**layer.get_config(), "readout": "event", "activity_regularizer": None}
        probes["events"] = _twin(site, EventGRU, **config)
    elif isinstance(layer.cell, EventGRUCell):
        cell = EventGRUCell.from_config({**layer.cell.get_config(), "readout": "event"})
        probes["events"] = _twin(site, keras.layers.RNN, cell=cell)
    if probes or site.held:
        probes["inputs"] = site.x
    return probes


def _twin(site, kind, **arguments):
    """The outputs at each step of a layer of that kind in the place of a layer, with its weights."""
    arguments |= {"return_sequences": True, "return_state": False, "stateful": False}
    arguments |= {"go_backwards": site.layer.go_backwards, "name": f"{site.layer.name}_sources"}
    twin = kind(**arguments)
    twin.build(site.x.shape)
    twin.set_weights(site.layer.get_weights())
    return twin(site.x)


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


def _count(site, seen, valid):
    layer, kernels = site.layer, _kernels(site.layer)
    # Time runs as the layer reads; probes of recurrent states do already.
    order = slice(None, None, -1 if layer.go_backwards else 1)
    valid = valid[:, order]
    sources = [np.ones((*valid.shape, len(weights)), bool) for weights in kernels]
    if "changes" in seen:
        sources = np.split(seen["changes"] != 0, [len(kernels[0])], axis=-1)
    if "inputs" in seen:
        inputs = seen["inputs"][:, order]
        sources[0] = inputs != _before(inputs) if site.held else inputs != 0
    if "events" in seen:
        sources[1] = _before(seen["events"]) != 0
    sources = [active[valid] for active in sources]
    # (sources, gates): the non-zero weights that each source feeds.
    fed = [np.count_nonzero(weights.reshape(len(weights), -1, layer.cell.units), axis=2) for weights in kernels]
    macs = sum(active.sum(axis=0) @ count for active, count in zip(sources, fed, strict=True)) / valid.sum()
    return LayerMacs(
        name=site.name,
        steps=int(valid.sum()),
        weights=sum(weights.size for weights in kernels),
        nonzero_weights=int(sum(count.sum() for count in fed)),
        effective=float(macs.sum()),
        input_rate=float(sources[0].mean()),
        activity=float(sources[1].mean()),
        gates=tuple(map(float, macs)),
    )


def _before(sequences):
    """The values of the step before, zero before the first."""
    return np.concatenate([np.zeros_like(sequences[:, :1]), sequences[:, :-1]], axis=1)


def _kernels(layer):
    """What the inputs feed and what the states feed: two arrays, a row for each source."""
    matrices = {name: [] for name in ("kernel", "recurrent_kernel")}
    for kernel in find_kernels(layer, lambda part: True, frozen=True)[0]:
        name = kernel.path.rpartition("/")[2].removeprefix("master_")
        matrices[name].append(keras.ops.convert_to_numpy(kernel.variable.value))
    return [np.concatenate(of_source, axis=1) for of_source in matrices.values()]


def _check_valid(valid, shape):
    if valid is None:
        return np.ones(shape, bool)
    valid = np.asarray(valid, bool)
    if valid.shape != shape or not valid.any():
        raise ValueError(
            f"`valid` must have the shape (samples, time) = {shape} with a step to count; given: {valid.shape}."
        )
    return valid
