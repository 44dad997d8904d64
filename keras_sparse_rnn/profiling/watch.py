"""Records the calls of a model's parts: their shapes and, on data, which inputs and units act."""

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_sparse_rnn.cells import read_apart
from keras_sparse_rnn.inputs import check_inputs
from keras_sparse_rnn.layers import DeltaHold, FrameGate
from keras_sparse_rnn.profiling import costs
from keras_sparse_rnn.profiling.parts import Part, cells_in
from keras_sparse_rnn.typing import Arrays

BATCH = 256


@dataclass(eq=False)
class Seen:
    """How a part was called, over all samples.

    Attributes:
        calls: How often each weight is used per sample, on average.
        products: MACs per sample in addition to those of its matrices.
        counted: Number of counted steps, or inputs of a Dense layer.
        active: For each source of the matrices, inputs first, the number of counted steps in which it acts; None if all
            sources act in all steps.
        acted: For each unit, whether it ever acted or had a non-zero output; None if not measured.
        events: Booleans (samples, steps, units) per batch: which units act. Only with `keep_events`.
        unknown: The reason why nothing could be recorded, or None.
    """

    calls: float = 0.0
    products: float = 0.0
    counted: int = 0
    active: np.ndarray | None = None
    acted: np.ndarray | None = None
    events: list[np.ndarray] = field(default_factory=list)
    unknown: str | None = None


def watch(
    model: keras.Model, parts: Sequence[Part], data: Arrays, valid: np.ndarray | None = None, keep_events: bool = False
) -> dict[int, Seen]:
    """Runs a model on data from zero states, and records the calls of its parts.

    Args:
        model: Built model. Its variables and losses are not changed.
        parts: The parts to record.
        data: Inputs (samples, ...), as for `model.predict`.
        valid: Booleans (samples, time), True for the steps to count; by default all. It applies to every part with this
            number of steps.
        keep_events: Whether to record which units act in each step.

    Returns:
        Dict from `id(part.layer)` to a `Seen`.

    Raises:
        ValueError: The data do not fit, have no samples, or hold NaN or infinite values.
    """
    seen = _Watch(parts, keep_events)
    data = check_inputs("data", model, data)
    samples = len(keras.tree.flatten(data)[0])
    fixed = _batch_size(model)
    with seen.hooks(model):
        for first in range(0, samples, fixed or BATCH):
            rows = np.arange(first, min(first + (fixed or BATCH), samples))
            here = len(rows)
            if fixed:  # the last batch is filled up with samples that are not counted
                rows = np.resize(rows, fixed)
            seen.begin(len(rows), here, None if valid is None else valid[rows])
            _run(model, keras.tree.map_structure(lambda x, rows=rows: x[rows], data))
    return seen.finish(samples)


def watch_shapes(model: keras.Model, parts: Sequence[Part]) -> dict[int, Seen] | None:
    """Returns how often each part is called per sample; None for a model whose inputs have no fixed shape."""
    inputs = _zeros(model)
    if inputs is None:
        return None
    seen, samples = _Watch(parts, keep_events=False, with_values=False), _batch_size(model) or 1
    with seen.hooks(model):
        seen.begin(samples, samples, None)
        _run(model, inputs)
    return seen.finish(samples)


def _batch_size(model):
    """Returns the fixed number of samples in a batch, or None."""
    inputs = getattr(model, "inputs", None)
    return inputs[0].shape[0] if inputs else None


def _zeros(model):
    """Returns inputs of zeros with the shape that the model was built for, or None."""
    if getattr(model, "inputs", None):
        given = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        shapes = [tensor.shape[1:] for tensor in keras.tree.flatten(given)]
        if any(None in shape for shape in shapes):
            return None
        batch = _batch_size(model) or 1
        return keras.tree.map_structure(
            lambda x: np.zeros((batch, *x.shape[1:]), keras.backend.standardize_dtype(x.dtype)), given
        )
    shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shape, (list, tuple)) or not all(isinstance(size, int) for size in shape[1:]):
        return None
    return np.zeros((1, *shape[1:]), "float32")


def _run(model, inputs):
    states = [
        (state, np.zeros(state.shape, "float32"))
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.RNN)
        for state in keras.tree.flatten(layer.states or [])
    ]
    with _without_gradient(), keras.StatelessScope(states):
        model(inputs, training=False)


def _without_gradient():
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


class _Watch:
    """Hooks into the calls of a model's layers."""

    def __init__(self, parts, keep_events, with_values=True):
        self._parts = [part for part in parts if part.unknown is None]
        self._keep_events, self._with_values = keep_events, with_values
        self._seen = {id(part.layer): Seen() for part in self._parts}
        self._in_time = []  # for each running TimeDistributed, how often each layer in it was called, by its id

    def begin(self, size, samples, valid):
        """Begins a batch of `size` samples, of which the first `samples` are counted."""
        self._size, self._samples, self._valid, self._held, self._gated = size, samples, valid, [], []

    def finish(self, samples):
        """Returns a dict from the id of each part's layer to its `Seen`, averaged over this number of samples."""
        for seen in self._seen.values():
            seen.calls, seen.products = seen.calls / samples, seen.products / samples
        return self._seen

    @contextlib.contextmanager
    def hooks(self, model):
        """Context manager in which calls of a model's layers are recorded."""
        with contextlib.ExitStack() as stack:
            for layer in {id(layer): layer for layer in model._flatten_layers()}.values():
                if isinstance(layer, keras.layers.RNN):
                    parts = [part for part in self._parts if part.rnn is layer]
                    stack.enter_context(_replaced(layer, "inner_loop", self._loop(layer, parts)))
                elif isinstance(layer, FrameGate):
                    stack.enter_context(_replaced(layer, "compute_mask", self._gate(layer)))
                elif isinstance(layer, keras.layers.TimeDistributed):
                    stack.enter_context(_replaced(layer, "call", self._time_distributed(layer)))
            for part in self._parts:
                if part.rnn is None:
                    stack.enter_context(_replaced(part.layer, "call", self._call(part)))
            yield

    def _time_distributed(self, layer):
        call = layer.call

        def hook(*args, **kwargs):
            self._in_time.append({})
            try:
                return call(*args, **kwargs)
            finally:
                self._in_time.pop()

        return hook

    def _gate(self, layer):
        compute_mask = layer.compute_mask

        def hook(*args, **kwargs):
            self._gated.append(compute_mask(*args, **kwargs))
            return self._gated[-1]

        return hook

    def _made(self, mask):
        """Returns the computed steps, booleans `(rows, steps)`; None if the mask is not from a FrameGate."""
        return keras.ops.convert_to_numpy(mask) if any(mask is gated for gated in self._gated) else None

    def _call(self, part):
        call, seen = part.layer.call, self._seen[id(part.layer)]

        def hook(*args, **kwargs):
            output = call(*args, **kwargs)
            x = keras.tree.flatten((args, kwargs))[0]
            if not _is_concrete(x):
                seen.unknown = f"{part.title} is called in a loop of the backend, which cannot be observed"
                return output
            shapes = costs.argument_shapes(part.layer, args, kwargs)
            if costs.is_product(part.layer):
                seen.products += self._of(x.shape[0]) * costs.products(part.layer, shapes)
            if part.matrices:
                seen.calls += self._of(x.shape[0]) * costs.positions(part.layer, shapes, tuple(output.shape))
            if self._with_values and part.matrices:
                self._see_values(part, seen, x, output)
            return output

        return hook

    def _see_values(self, part, seen, x, output):
        if isinstance(part.layer, keras.layers.Dense):
            inputs = keras.ops.convert_to_numpy(x)
            counted = self._counted(inputs.shape[:-1], part.layer)
            seen.counted += int(counted.sum())
            _add(seen, (inputs[counted] != 0).sum(axis=0))
        if not isinstance(part.layer, keras.layers.Embedding):
            _note_acting(seen, _given(part.layer, output))

    def _loop(self, rnn, parts):
        loop = rnn.inner_loop

        def hook(sequences, initial_state, mask, training=False):
            size, rows = getattr(rnn.cell, "output_size", None), keras.ops.shape(sequences)[0]
            if not self._with_values and isinstance(size, int) and len(sequences.shape) == 3:
                outputs = keras.ops.zeros((rows, sequences.shape[1], size), rnn.compute_dtype)
                result = outputs[:, 0], outputs, initial_state
            else:
                result = loop(sequences=sequences, initial_state=initial_state, mask=mask, training=training)
            if not _is_concrete(sequences):
                for part in parts:
                    reason = f"{part.title} is called in a loop of the backend, which cannot be observed"
                    self._seen[id(part.layer)].unknown = reason
                return result
            for part in parts:
                made = self._made(mask) if mask is not None else None
                positions = sequences.shape[1] if made is None else made[: round(self._of(rows))].sum(axis=1).mean()
                if costs.is_conv_rnn(rnn):
                    positions *= costs.conv_rnn_positions(rnn, tuple(result[0].shape))
                self._seen[id(part.layer)].calls += self._of(rows) * positions
            if self._with_values:
                self._see_loop(rnn, parts, sequences, initial_state, mask, result)
            return result

        return hook

    def _see_loop(self, rnn, parts, sequences, initial_state, mask, result):
        if isinstance(rnn, DeltaHold):
            self._held.append(keras.ops.convert_to_numpy(result[1]))
            return
        order = slice(None, None, -1 if rnn.go_backwards else 1)  # as the layer reads
        counted = self._counted(tuple(sequences.shape[:2]))
        if mask is not None and (made := self._made(mask)) is not None:
            counted &= made
        counted = counted[:, order]
        sources = _sources(rnn, parts, sequences, initial_state, mask)
        if self._held and parts and parts[0].skips in ("nothing", "zeros"):
            values = keras.ops.convert_to_numpy(sequences)[:, order]
            if any(np.array_equal(values, held[:, order]) for held in self._held):
                first = sources.setdefault(id(parts[0].layer), [None, None, None])
                first[0] = values != np.concatenate([np.zeros_like(values[:, :1]), values[:, :-1]], axis=1)
        for part in parts:
            seen = self._seen[id(part.layer)]
            inputs, units, acting = sources.get(id(part.layer), (None, None, None))
            seen.counted += int(counted.sum())
            if inputs is not None:
                if units is None:
                    units = np.ones((*counted.shape, part.matrices["recurrent_kernel"].shape[0]), bool)
                flags = [inputs, units]
                _add(seen, np.concatenate([acts[counted].sum(axis=0) for acts in flags]))
            if acting is not None:
                _note_acting(seen, acting[counted])
                if self._keep_events:
                    seen.events.append(acting[: self._samples, order])
            elif part is parts[-1]:
                for output in result[: 1 + rnn.return_sequences]:
                    _note_acting(seen, _given(part.layer, output))

    def _of(self, rows):
        """Returns the number of counted samples in these rows; a model may fold its steps into the batch axis."""
        return rows * self._samples / self._size

    def _counted(self, shape, layer=None):
        """Returns which inputs or steps to count: booleans of this shape, which begins with the batch."""
        valid = self._valid
        if valid is not None and self._in_time and layer is not None:
            time = self._in_time[-1].get(id(layer), 0)
            self._in_time[-1][id(layer)] = time + 1
            valid = valid[:, time] if time < valid.shape[1] else None
        counted = valid.copy() if valid is not None and valid.shape == shape else np.ones(shape, bool)
        if shape[0] == self._size:
            counted[self._samples :] = False
        return counted


def _sources(rnn, parts, sequences, initial_state, mask):
    """Determines which sources act, for each cell that can skip sources.

    Returns:
        Dict from the id of a cell to three boolean arrays `(batch, steps, ...)`: which inputs act, which units act on
        the recurrence, and which units act at the end of the step (None without a recurrence). The steps are in the
        order of computation.
    """
    skips = {id(part.layer): part.skips for part in parts if part.skips in ("zeros", "unchanged")}
    if not skips:
        return {}
    cell = _Sources(rnn.cell, skips)
    twin = keras.layers.RNN(cell, return_sequences=True, go_backwards=rnn.go_backwards, zero_output_for_mask=True)
    states = list(initial_state)
    if not getattr(rnn, "carry_cell", True):
        states[1] = keras.ops.zeros_like(states[1])
    flags = keras.ops.convert_to_numpy(twin(sequences, initial_state=states, mask=mask)) != 0
    found, start = {}, 0
    for inner in cells_in(rnn.cell):
        if id(inner) in skips:
            widths = np.cumsum([0, inner.kernel.shape[0], _state_sources(inner), _acting_units(inner)]) + start
            found[id(inner)] = [flags[..., a:b] for a, b in itertools.pairwise(widths)]
            if not _acting_units(inner):
                found[id(inner)][2] = None
            start = widths[-1]
    return found


def _state_sources(cell):
    """Returns the number of sources that a cell's recurrent kernel reads."""
    return _acting_units(cell) * (2 if read_apart(cell) else 1)


def _acting_units(cell):
    """Returns the number of units that a recurrence reads."""
    return cell.units if hasattr(cell, "recurrent_kernel") else 0


class _Sources(keras.layers.Layer):
    """A cell, or a stack of cells, that outputs 1 for each source that acts and 0 for each other source."""

    def __init__(self, cell, skips):
        super().__init__(dtype=cell.dtype_policy)
        self.cell, self.skips = cell, skips
        self.state_size = cell.state_size
        self.output_size = sum(
            c.kernel.shape[0] + _state_sources(c) + _acting_units(c) for c in cells_in(cell) if id(c) in skips
        )

    def build(self, input_shape):
        """Does nothing: the cell is already built."""

    def call(self, inputs, states):
        flags: list[Any] = []
        _, states = self._step(self.cell, inputs, states, flags)
        return keras.ops.concatenate([keras.ops.cast(f, self.compute_dtype) for f in flags], axis=-1), states

    def _step(self, cell, inputs, states, flags):
        if isinstance(cell, keras.layers.StackedRNNCells):
            new_states = []
            for part, own in zip(cell.cells, states, strict=True):
                is_list = keras.tree.is_nested(own)
                inputs, new = self._step(part, inputs, list(own) if is_list else [own], flags)
                new_states.append(new if is_list else new[0])
            return inputs, new_states
        output, new_states = cell(inputs, states)
        new_states = list(new_states) if keras.tree.is_nested(new_states) else [new_states]
        skips = self.skips.get(id(cell))
        if skips == "zeros":
            flags += [keras.ops.not_equal(values, 0) for values in (inputs, states[0], new_states[0])]
        elif skips == "unchanged":
            changed = [keras.ops.not_equal(new, old) for new, old in zip(new_states, states, strict=True)]
            flags += [changed[-1], *changed[-2:-1], *([changed[-3]] if read_apart(cell) else []), *changed[-2:-1]]
        return output, new_states

    def get_initial_state(self, batch_size=None):
        return self.cell.get_initial_state(batch_size)


@contextlib.contextmanager
def _replaced(layer, name, function):
    """Context manager that replaces a method of a layer, in a way that Keras does not track."""
    before = vars(layer).get(name)
    object.__setattr__(layer, name, function)
    try:
        yield
    finally:
        object.__delattr__(layer, name) if before is None else object.__setattr__(layer, name, before)


def _is_concrete(tensor):
    """Whether a tensor has values, rather than being symbolic in a traced loop or graph."""
    try:
        keras.ops.convert_to_numpy(tensor[:0])
    except Exception:  # each backend has its own
        return False
    return True


def _add(seen, active):
    seen.active = active if seen.active is None else seen.active + active


def _note_acting(seen, values):
    """Notes which units, along the last axis, are non-zero anywhere."""
    acted = (values != 0).reshape(-1, values.shape[-1]).any(axis=0)
    seen.acted = acted if seen.acted is None else seen.acted | acted


def _given(layer, output):
    """Returns a layer's output as an array with channels last."""
    values = keras.ops.convert_to_numpy(output)
    return np.moveaxis(values, 1, -1) if getattr(layer, "data_format", None) == "channels_first" else values
