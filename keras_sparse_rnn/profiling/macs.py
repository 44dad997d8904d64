"""Multiply-accumulates (MACs) of recurrent and dense layers, dense and effective, counted on data."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.cells import read_apart
from keras_sparse_rnn.ops.macs import effective_macs
from keras_sparse_rnn.profiling.parts import Part, find_parts
from keras_sparse_rnn.profiling.watch import Seen, watch
from keras_sparse_rnn.typing import Arrays, check_flag


@dataclass(frozen=True)
class LayerMacs:
    """Cost of the matrix products of one recurrent layer per time step.

    Attributes:
        name: Name of the layer, preceded by the names of the layers that contain it.
        steps: Number of counted time steps.
        weights: Number of weights in the kernel and the recurrent kernel.
        nonzero_weights: Number of non-zero weights.
        effective: MACs per step if zero weights and inactive sources are skipped; mean over the counted steps.
        input_rate: Fraction of active inputs, in [0, 1]. An input is active if it is not zero or, if the layer holds
            inputs, if its held value has changed. 1 for layers that skip no inputs.
        activity: Fraction of active units in the recurrence, in [0, 1], in the same sense; 0 without a recurrence.
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
        """MACs per step with all weights and all sources; equal to the size of both matrices."""
        return self.weights

    @property
    def sparsity(self) -> float:
        """Fraction of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero_weights / self.weights


def count_macs(model: keras.Model, x: Arrays, valid: ArrayLike | None = None, partial: bool = False) -> list[LayerMacs]:
    """Counts the MACs of each recurrent layer of a model, from zero states.

    A step costs the number of non-zero weights that active sources feed. Sources are the current inputs and the states
    of the previous step. The count is taken over the actual steps instead of mean rates, because units that fire often
    may have more weights. Active sources are:
        EventGRU: inputs and events that are not zero
        DeltaGRU, DeltaLSTM, DeltaSimpleRNN, DeltaDense: inputs and states whose held value has changed
        any layer directly after a DeltaHold: inputs whose held value has changed
        any other layer: all, including zeros; `effective` is then the number of non-zero weights
    Element-wise operations (3 non-linearities per unit in a GRU) and other layers are not counted. `profile` also
    counts other layers.

    Args:
        model: Any built Keras model with, at any depth, EventGRU, GRU, LSTM, SimpleRNN, ONLSTM, RecurrentHighway or
            delta layers, or `keras.layers.RNN` over one or several of their cells or over cells that describe
            themselves (see `keras_sparse_rnn.cells`).
        x: Inputs of the model, `(samples, time, ...)`, as for `model.predict`.
        valid: Boolean array `(samples, time)`, True for the steps to count; by default all. Steps that are not counted,
            such as padding, are still computed. Layers with another number of steps are counted on all of their steps.
        partial: Whether to leave out recurrent layers that cannot be counted instead of raising an error.

    Returns:
        A list of `LayerMacs` in the order of the layers, with one entry for each of several stacked cells.

    Raises:
        ValueError: If the model has no recurrent layer, or has one that cannot be counted (the message names it), or
            `x` or `valid` does not fit, or `x` has no samples or values that are not finite.

    Example:

    >>> [macs] = count_macs(model, x_test)
    >>> macs.dense / macs.effective
    21.4
    """
    check_flag("partial", partial)
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
    """Counts the MACs of the Dense layers of a model: the non-zero weights that non-zero inputs feed.

    Args:
        model: Any built Keras model.
        x: Inputs of the model, `(samples, time, ...)`, as for `model.predict`.
        valid: Boolean array `(samples, time)`, True for the steps to count if a layer is called at each step.

    Returns:
        Dict from the names of layers to their MACs per call, in the order of the layers. They are means over samples,
        or over samples and steps.
    """
    parts = find_parts(model, lambda layer: True)[0]
    known = [part for part in parts if isinstance(part.layer, keras.layers.Dense) and part.unknown is None]
    seen = watch(model, known, x, check_valid(valid, x))
    return {part.name: macs for part in known if (macs := dense_macs(part, seen[id(part.layer)])) is not None}


def record_events(model: keras.Model, x: Arrays) -> dict[str, np.ndarray]:
    """Records which units are active in each step: units of EventGRU that fire, or of delta layers that change.

    Args:
        model: A model as for `count_macs`; other layers in it are ignored.
        x: Inputs of the model, `(samples, time, ...)`, as for `model.predict`.

    Returns:
        Dict from the names of layers to boolean arrays (samples, time, units), in the order of the layers.

    Example:

    >>> ksr.plot.events(record_events(model, x_test)["event_gru"][0])
    """
    parts = [part for part in find_parts(model, None)[0] if part.skips in ("zeros", "unchanged")]
    seen = watch(model, parts, x, keep_events=True)
    return {part.name: np.concatenate(seen[id(part.layer)].events) for part in parts if seen[id(part.layer)].events}


def recurrent_macs(part: Part, seen: Seen) -> LayerMacs:
    """Returns the `LayerMacs` of a cell with gates, from the result of `watch`."""
    kernels = _kernels(part)
    active = np.full(sum(map(len, kernels)), seen.counted)
    if seen.active is not None:  # of inputs and units; the values between two factors always act
        active[: len(seen.active)] = seen.active
    rates = np.split(active / max(1, seen.counted), np.cumsum([len(kernel) for kernel in kernels])[:-1])
    macs = effective_macs(kernels, rates)
    return LayerMacs(
        name=part.name,
        steps=seen.counted,
        weights=sum(int(np.prod(weights.shape)) for weights in part.matrices.values()),
        nonzero_weights=sum(int(np.count_nonzero(weights)) for weights in kernels),
        effective=float(macs.sum()),
        input_rate=float(rates[0].mean()),
        activity=float(rates[1].mean()) if rates[1].size else 0.0,
        gates=tuple(map(float, macs)),
    )


def dense_macs(part: Part, seen: Seen) -> float | None:
    """Returns the mean MACs per counted call of a Dense layer; None if no call was counted."""
    kernel = keras.ops.convert_to_numpy(part.matrices["kernel"])
    if seen.active is None or not seen.counted:
        return None
    return effective_macs([kernel[:, None]], [seen.active]).item() / seen.counted


def check_valid(valid: ArrayLike | None, x: Arrays) -> np.ndarray | None:
    """Returns `valid` as a boolean array (samples, time), or None.

    Raises:
        ValueError: If its shape is not (samples, time), or it has no step to count.
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
    """Returns the weights that the inputs and the states feed, two arrays (sources, gates, units).

    If some gates read a separate state, their weights are a third array. If these are factors, so is the matrix that
    reads what they give; and all are of one gate.
    """
    if getattr(part.layer, "matrices", None) is not None:
        return [keras.ops.convert_to_numpy(weights)[:, None] for weights in part.matrices.values()]
    matrices: dict[bool, list] = {False: [], True: []}
    for name, weights in part.matrices.items():
        kernel = keras.ops.convert_to_numpy(weights)
        kernel = kernel.reshape(len(kernel), len(part.gates[name]), -1)
        # Master gates have fewer columns than units.
        matrices["recurrent" in name].append(np.pad(kernel, ((0, 0), (0, 0), (0, part.layer.units - kernel.shape[2]))))
    of_inputs, *of_recurrence = (np.concatenate(same, axis=1) for same in matrices.values() if same)
    of_states = of_recurrence[0] if of_recurrence else of_inputs[:0]
    if not read_apart(part.layer):
        return [of_inputs, of_states]
    is_apart = np.isin(np.arange(of_states.shape[1]), read_apart(part.layer))[:, None]
    return [of_inputs, np.where(is_apart, 0, of_states), np.where(is_apart, of_states, 0)]
