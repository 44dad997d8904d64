"""Runs the Keras model on the representative data, and returns the values of its tensors and of the states of recurrent
calls."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_sparse_rnn.convert.frame_gates import MadeSteps, RepeatedOutputs
from keras_sparse_rnn.convert.plan import PROBE_BATCH
from keras_sparse_rnn.convert.quantize import within_percentile

_FEW_STEPS = 48  # running them op by op is faster than compiling a graph


@dataclass(frozen=True, eq=False)
class Observed:
    """Inputs and states of a recurrent call on the representative data.

    Attributes:
        x: Its input, `(samples, steps, ...)`.
        states: Dict from names to its states after each step, `(samples, steps, ...)`, in the order of computation.
        initial: Dict from names to the initial states, `(samples, size)`; empty if they are 0.
        mask: False where a step is skipped, `(samples, steps)`; None if no step is.
    """

    x: np.ndarray
    states: dict
    initial: dict
    mask: np.ndarray | None

    @classmethod
    def of(cls, x, states, initial, masks, go_backwards):
        """Creates it from the outputs of the probe, `(samples, chunks, ...)` each."""
        if masks:  # Keras returns 0 in a chunk until a step has been computed
            ordered = masks[0][..., ::-1] if go_backwards else masks[0]
            made = np.logical_or.accumulate(ordered, axis=2)[..., None]
            states = {name: _held(state, made, initial.get(name)) for name, state in states.items()}
        # A chunk with given states does not continue the previous one.
        join = _each if initial else _whole
        states = {name: join(state) for name, state in states.items()}
        initial = {name: _each(state) for name, state in initial.items()}
        return cls(join(x), states, initial, join(masks[0]) if masks else None)

    def all_states(self, name):
        """The values of a state, including initial ones: `(samples, steps, size)`."""
        if name not in self.initial:
            return self.states[name]
        return np.concatenate([self.initial[name][:, None], self.states[name]], axis=1)


def _held(states, made, initial):
    """Returns states `(samples, chunks, steps, size)` in which those before the first `made` step of a chunk are those
    with which the chunk begins."""
    before, held = np.zeros_like(states[:, 0, :1]), []
    for chunk in range(states.shape[1]):
        before = before if initial is None else initial[:, chunk, None]
        held.append(np.where(made[:, chunk], states[:, chunk], before))
        before = held[-1][:, -1:]
    return np.stack(held, axis=1)


@dataclass(frozen=True, eq=False)
class Observations:
    """Values in the Keras model on the representative data.

    Attributes:
        data, outputs: Inputs and outputs of the model, lists of arrays `(samples, chunks, ...)`.
        calls: An `Observed` for each recurrent call.
        gates: Inputs and output of each gate, as sequences `(sequences, steps, ...)`.
        values: Dict from the id of each symbolic tensor between the rest and the recurrent calls to its values,
            `(samples, ...)`, clipped to the given percentile.
    """

    data: list
    outputs: list
    calls: list
    gates: list
    values: dict


def observe(cut, data, percentile):
    """Returns the `Observations` of a `Plan` on data, arrays `(samples, chunks, *shape)` from `check_data`."""
    probed = keras.tree.pack_sequence_as(cut.observed, _run_probe(cut, data))
    calls, masks, gates, rows, floats, outputs = probed
    tensors = [*zip(cut.inputs, data, strict=True), *zip(cut.outputs, outputs, strict=True)]
    tensors += [(call.y, values) for call, values in zip(cut.lookups, rows, strict=True)]
    for call, seen in zip((*cut.floats, *cut.gates), (*floats, *gates), strict=True):
        tensors += zip((*call.read, call.y), seen, strict=True)
    for call, seen in zip(cut.masks, masks, strict=True):
        tensors += zip((call.x, call.y), seen, strict=True)
    observed = []
    for call, seen in zip(cut.calls, calls, strict=True):
        given = [seen["x"], *seen["initial"].values(), *seen["masks"]]
        tensors += [*zip(call.read, given, strict=True)]
        tensors += [*zip(call.given, [seen["y"], *seen["last"].values()], strict=True)]
        backwards = call.layer.layer.go_backwards
        observed.append(Observed.of(seen["x"], seen["states"], seen["initial"], seen["masks"], backwards))
    values = {id(tensor): within_percentile(_each(array), percentile) for tensor, array in tensors}
    return Observations(data, outputs, observed, [[_whole(part) for part in gate] for gate in gates], values)


def run_keras(cut, data):
    """Returns Keras's outputs, a list of arrays `(samples, chunks, ...)`."""
    *_, outputs = keras.tree.pack_sequence_as(cut.observed, _run_probe(cut, data))
    return outputs


def _run_probe(cut, data):
    """Runs the Keras model `Plan.probe`; each chunk begins with the states after the previous one.

    Args:
        cut: The `Plan`.
        data: A list with an array `(samples, chunks, *shape)` for each input.

    Returns:
        A list with an array `(samples, chunks, *shape)` for each output of the probe.
    """
    probe, batches = cut.probe, []
    samples, chunks = data[0].shape[:2]
    probe.run_eagerly = -(-samples // PROBE_BATCH) * chunks * (cut.time_steps or 1) <= _FEW_STEPS
    for first in range(0, samples, PROBE_BATCH):
        batch = [array[first : first + PROBE_BATCH] for array in data]
        size = len(batch[0])
        batch = [np.resize(array, (PROBE_BATCH, *array.shape[1:])) for array in batch]  # the last one too
        for layer in probe.layers:
            if isinstance(layer, (MadeSteps, RepeatedOutputs)):
                layer.reset_state()
            elif isinstance(layer, keras.layers.RNN) and layer.stateful:
                for state in keras.tree.flatten(layer.states):  # its reset_state fails for stacked cells
                    state.assign(keras.ops.zeros_like(state))
        inputs = [[array[:, i] for array in batch] for i in range(chunks)]
        outputs = [keras.tree.flatten(probe.predict_on_batch(chunk)) for chunk in inputs]  # one output comes alone
        batches.append([np.stack(parts, axis=1)[:size] for parts in zip(*outputs, strict=True)])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _whole(chunks):
    """Reshapes `(samples, chunks, steps, ...)` to `(samples, all steps, ...)`."""
    return chunks.reshape(len(chunks), -1, *chunks.shape[3:])


def _each(chunks):
    """Reshapes `(samples, chunks, ...)` so that every chunk is a sample."""
    return chunks.reshape(-1, *chunks.shape[2:])
