"""Multiply-accumulates (MACs) of recurrent and dense layers, without and with what is skipped, counted on data."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.cells import read_apart
from keras_sparse_rnn.ops.macs import effective_macs
from keras_sparse_rnn.profiling.parts import Part, find_parts
from keras_sparse_rnn.profiling.watch import Seen, watch
from keras_sparse_rnn.typing import Arrays


@dataclass(frozen=True)
class LayerMacs:
    """What the matrix products of one recurrent layer cost per time step.

    Attributes:
        name: Name of the layer, after the names of the layers that contain it.
        steps: Number of time steps that were counted.
        weights: Number of weights in the kernel and the recurrent kernel.
        nonzero_weights: Number of non-zero weights.
        effective: MACs per step of a kernel that skips zero weights and sources that do not act, the mean over the
            counted steps.
        input_rate: Share of inputs that act, in [0, 1]: those that are not zero, or that have changed where they are
            held; 1 for layers whose kernels skip no input.
        activity: Share of units that act on the recurrence, in [0, 1], in the same sense.
        gates: Effective MACs per step of each gate, in the order of the kernel's columns.
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
        """MACs per step with all weights and all sources: the size of both matrices."""
        return self.weights

    @property
    def sparsity(self) -> float:
        """Share of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero_weights / self.weights


def count_macs(model: keras.Model, x: Arrays, valid: ArrayLike | None = None, partial: bool = False) -> list[LayerMacs]:
    """Counts the MACs of each recurrent layer of a model, from zero states.

    Each step costs the sum, over the sources that act (inputs now, states of the step before), of the non-zero weights
    that they feed. The sum is taken over the actual steps, not estimated from mean rates, because the units that fire
    often may be those that kept many weights. Which sources act:
        EventGRU: inputs and events that are not zero
        DeltaGRU, DeltaLSTM, DeltaSimpleRNN: inputs and states whose held value has changed
        any layer directly behind a DeltaHold: inputs whose held value has changed
        any other layer: all, including those that are zero; `effective` is then the number of non-zero weights
    The element-wise part (3 non-linearities per unit in a GRU) is not counted, nor are other layers; `profile` counts
    those too.

    Args:
        model: Any built Keras model with EventGRU, GRU, LSTM, SimpleRNN, ONLSTM or RecurrentHighway layers, or delta
            layers, or `keras.layers.RNN` over one or several of their cells, or over cells that say what they are (see
            `keras_sparse_rnn.cells`), at any depth.
        x: Its inputs, `(samples, time, ...)`, as for `model.predict`.
        valid: Boolean array `(samples, time)`, True for the steps to count; by default all. Steps that are left out,
            such as padding, still run. A layer with another number of steps is counted on all of them.
        partial: Whether to leave out recurrent layers that cannot be counted instead of raising.

    Returns:
        A list of `LayerMacs`, in the order of the layers; stacked cells have one each.

    Raises:
        ValueError: The model has no recurrent layer, or one of another kind (the message names it), or `valid` does not
            fit.

    Example:

    >>> [macs] = count_macs(model, x_test)
    >>> macs.dense / macs.effective
    21.4
    """
    parts = [part for part in find_parts(model, None)[0] if part.rnn is not None]
    known = [part for part in parts if part.unknown is None and part.gates is not None]
    seen = watch(model, known, x, check_valid(valid, x))
    if not partial:
        if not parts:
            raise ValueError(f"model '{model.name}' has no recurrent layer.")
        for part in parts:
            reason = part.unknown if part in known or part.unknown else f"{part.title} has no gates"
            if reason := reason or seen[id(part.layer)].unknown:
                raise ValueError(f"{reason}; `partial=True` leaves it out.")
    return [recurrent_macs(part, seen[id(part.layer)]) for part in known if seen[id(part.layer)].unknown is None]


def count_dense_macs(model: keras.Model, x: Arrays, valid: ArrayLike | None = None) -> dict[str, float]:
    """Counts the MACs of the Dense layers of a model: the non-zero weights fed by inputs that are not zero.

    Args:
        model: Any built Keras model.
        x: Its inputs, `(samples, time, ...)`, as for `model.predict`.
        valid: Boolean array `(samples, time)`, True for the steps to count where a layer is called at each step.

    Returns:
        Dict {name of a layer: MACs of a call, the mean over samples, or samples and steps}, in the order of the layers.
    """
    parts = find_parts(model, lambda layer: True)[0]
    known = [part for part in parts if isinstance(part.layer, keras.layers.Dense) and part.unknown is None]
    seen = watch(model, known, x, check_valid(valid, x))
    return {part.name: macs for part in known if (macs := dense_macs(part, seen[id(part.layer)])) is not None}


def record_events(model: keras.Model, x: Arrays) -> dict[str, np.ndarray]:
    """Which units act on the recurrence, in each step: EventGRUs that fire, delta layers whose held state changes.

    Args:
        model: A model as for `count_macs`; other layers in it are left out.
        x: Its inputs, `(samples, time, ...)`, as for `model.predict`.

    Returns:
        Dict {name of a layer: boolean array (samples, time, units)}, in the order of the layers.

    Example:

    >>> ksr.plot.events(record_events(model, x_test)["event_gru"][0])
    """
    parts = [part for part in find_parts(model, None)[0] if part.skips in ("zeros", "unchanged")]
    seen = watch(model, parts, x, keep_events=True)
    return {part.name: np.concatenate(seen[id(part.layer)].events) for part in parts if seen[id(part.layer)].events}


def recurrent_macs(part: Part, seen: Seen) -> LayerMacs:
    """The `LayerMacs` of a cell with gates, from what `watch` saw."""
    kernels = _kernels(part)
    active = np.full(sum(map(len, kernels)), seen.counted) if seen.active is None else seen.active
    rates = np.split(active / max(1, seen.counted), np.cumsum([len(kernel) for kernel in kernels])[:-1])
    macs = effective_macs(kernels, rates)
    return LayerMacs(
        name=part.name,
        steps=seen.counted,
        weights=kernels[0].size + kernels[1].size,
        nonzero_weights=sum(int(np.count_nonzero(weights)) for weights in kernels),
        effective=float(macs.sum()),
        input_rate=float(rates[0].mean()),
        activity=float(rates[1].mean()),
        gates=tuple(map(float, macs)),
    )


def dense_macs(part: Part, seen: Seen) -> float | None:
    """MACs per call of a Dense layer, the mean over the counted calls; None if none was counted."""
    kernel = keras.ops.convert_to_numpy(part.matrices["kernel"])
    if seen.active is None or not seen.counted:
        return None
    return effective_macs([kernel[:, None]], [seen.active]).item() / seen.counted


def check_valid(valid: ArrayLike | None, x: Arrays) -> np.ndarray | None:
    """`valid` as booleans.

    Raises:
        ValueError: Its shape is not that of samples and steps, or it has no step to count.
    """
    if valid is None:
        return None
    valid, shape = np.asarray(valid, bool), np.shape(keras.tree.flatten(x)[0])[:2]
    if valid.shape != shape or not valid.any():
        raise ValueError(
            f"`valid` must have the shape (samples, time) = {shape} with a step to count; given: {valid.shape}."
        )
    return valid


def _kernels(part):
    """What the inputs feed, and what the states feed: arrays (sources, gates, units), two, or three where gates read a
    state of their own."""
    matrices: dict[bool, list] = {False: [], True: []}
    for name, weights in part.matrices.items():
        matrices["recurrent" in name].append(keras.ops.convert_to_numpy(weights))
    of_inputs, of_states = (
        np.concatenate(same, axis=1).reshape(len(same[0]), -1, part.layer.units) for same in matrices.values()
    )
    if not read_apart(part.layer):
        return [of_inputs, of_states]
    is_apart = np.isin(np.arange(of_states.shape[1]), read_apart(part.layer))[:, None]
    return [of_inputs, np.where(is_apart, 0, of_states), np.where(is_apart, of_states, 0)]
