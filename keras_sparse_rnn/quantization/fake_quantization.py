"""Lets a Keras model temporarily compute as its converted integer model will."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import keras
from keras import ops

from keras_sparse_rnn.convert.options import ConvertOptions
from keras_sparse_rnn.convert.plan import plan
from keras_sparse_rnn.convert.ranges import Ranges, check_ranges
from keras_sparse_rnn.convert.sites import (
    COMPUTES_IN_INTEGERS,
    KERNELS,
    Site,
    Sites,
    call_in_parts,
    check_computes_in_floats,
    input_names,
)
from keras_sparse_rnn.quantization.recurrent import IntegerLayer, check_integer_layer, threshold_in_integers
from keras_sparse_rnn.quantization.rounding import Grid, Recorder, kernel_in_int8

MOMENTUM = 0.95
_FUNCTIONS = ("train_function", "test_function", "predict_function")


@contextlib.contextmanager
def fake_quantized(model: keras.Model, ranges: Ranges) -> Iterator[None]:
    """Context manager in which a Keras model computes the same as `ksr.convert(model, ranges=ranges)`.

    The outputs equal those of the integer model to within one step of their scale. It can be used in a callback of a
    running `fit`, too.

    Args:
        model: A Keras model that can be converted.
        ranges: The `Ranges` learned in training.

    Raises:
        ValueError: If a layer cannot be trained for integers, ranges are missing, or the model already computes in
            integers.
    """
    check_ranges(ranges)
    integers = IntegerModel(model, ranges.weights, ranges.scales, COMPUTES_IN_INTEGERS)
    try:
        integers.set(ranges)
        with _fresh_functions(model), integers.computing(rounds=True):
            yield
    finally:
        integers.release()


@contextlib.contextmanager
def _fresh_functions(model):
    """Context manager in which a model compiles its functions anew; a `fit` that is running keeps its own."""
    before, compiled = {name: getattr(model, name) for name in _FUNCTIONS}, _compiled(model)
    for name in _FUNCTIONS:
        setattr(model, name, None)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(model, name, function if _compiled(model) is compiled else None)


def _compiled(model):
    """Returns what `compile` makes anew each time."""
    return getattr(model, "_compile_loss", None)


class IntegerModel:
    """Replaces the calls of a model's layers while the model computes in integers.

    Args:
        model: The model.
        weights, scales: As in `ksr.convert`.
        held_as: Name of the attribute by which the model holds the variables until `release`. It begins with two
            underscores, as Keras saves no such attribute.
        momentum: Momentum of the moving averages of ranges.
    """

    def __init__(self, model, weights, scales, held_as, momentum=MOMENTUM):
        check_computes_in_floats(model)
        self.model, self._held_as = model, held_as
        stateful = any(getattr(layer, "stateful", False) for layer in model.layers)
        self._options = ConvertOptions(weights=weights, scales=scales, stateful=stateful, time_steps=_steps(model))
        cut = plan(model, self._options)
        if self._options.number_format.weight_bits and not cut.calls:
            raise ValueError(
                f"weights={weights!r}: only recurrent layers are trained for 4 bits, of which model '{model.name}' has "
                "none. Take weights='int8'."
            )
        self._sites = Sites(cut)
        self._inputs = {name: Recorder(name, momentum) for name in input_names(cut)}
        self._recorders = dict(self._inputs)
        self._grids, self._recurrent, self._logits = {}, {}, {}
        self._layers = self._own_layers(cut)
        recurrent = {call.layer.name: call.layer for call in cut.calls}
        # A DeltaHold is a part of the op of the layer behind it.
        self._holds = {name: part.hold for name, part in recurrent.items() if hasattr(part, "hold")}
        for name in self._layers:
            site = self._sites.reads.get(name)
            if site is not None:
                self._grid(site)
            if name in recurrent:
                twin = self._recurrent[name] = IntegerLayer(recurrent[name], self._grid(site), momentum, self._options)
                self._recorders[name] = twin.output
                self._recorders |= {f"{name}/{state}": recorder for state, recorder in twin.states.items()}
            else:
                rounded = [self._sites.gives[name]]
                if rounded[0].fixed:
                    self._logits[name] = Site([f"{name}/logits"])
                    rounded.append(self._logits[name])
                for site in rounded:
                    self._grid(site)
                name = rounded[-1].names[0]
                self._recorders[name] = Recorder(name, momentum)
        held = [recorder.held for recorder in self._recorders.values()]
        held += [grid.held for _, grid in self._grids.values()]
        held += [part for twin in self._recurrent.values() for part in twin.held]
        self.release()  # what an interrupted fit has left
        setattr(model, held_as, list({id(part): part for part in held}.values()))
        self.recording = False

    def set(self, ranges):
        """Computes the converter's numbers from the ranges, a `Ranges` or a dict, and the current weights."""
        of = getattr(ranges, "of", ranges)
        for site, grid in self._grids.values():
            grid.set(self._scale(site, of))
        for name, twin in self._recurrent.items():
            reads, gives = (self._scale(part[name], of) for part in (self._sites.reads, self._sites.gives))
            twin.refresh(reads, gives, of.get)

    def ranges(self):
        """Returns the recorded ranges, a dict from names to `(low, high)`; tensors not seen yet are left out."""
        found = {name: recorder.read() for name, recorder in self._recorders.items()}
        return {name: pair for name, pair in found.items() if pair is not None}

    @contextlib.contextmanager
    def computing(self, rounds, recording=False):
        """Context manager in which the layers' calls are replaced.

        Args:
            rounds: Whether the layers compute in integers.
            recording: Whether they record ranges.
        """
        self.recording = recording
        replace = self._rounding if rounds else self._recording
        replaced = []
        for name, layer in self._layers.items():
            replaced.append((layer, "inner_loop" if name in self._recurrent else "call", replace(name, layer)))
        for name, hold in self._holds.items():
            replaced.append((hold, "inner_loop", self._holding(name, hold, rounds)))
        # In the instances' dicts, because Keras would track attributes.
        for layer, method, function in replaced:
            vars(layer)[method] = function
        try:
            yield
        finally:
            self.recording = False
            for layer, method, _ in replaced:
                vars(layer).pop(method, None)

    def release(self):
        """Removes the variables from the model."""
        if hasattr(self.model, self._held_as):
            getattr(self.model, self._held_as).clear()
            delattr(self.model, self._held_as)

    def _recording(self, name, layer):
        if name in self._recurrent:
            own, output = type(layer).inner_loop, self._recorders[name]

            def inner_loop(sequences, *args, **kwargs):
                self._read(name, sequences)
                last, outputs, states = own(layer, sequences, *args, **kwargs)
                self._record(output, outputs)
                return last, outputs, states

            return inner_loop

        def call(*args, **kwargs):
            self._read(name, args[0])
            return self._in_parts(name, layer, lambda: type(layer).call(layer, *args, **kwargs), rounds=False)

        return call

    def _holding(self, name, hold, rounds):
        """Returns the `inner_loop` of a DeltaHold in front of a recurrent layer."""

        def inner_loop(sequences, *args, **kwargs):
            sequences = self._read(name, sequences, rounds)
            grid = self._grid(self._sites.reads[name])
            with threshold_in_integers(hold.cell, grid) if rounds else contextlib.nullcontext():
                return type(hold).inner_loop(hold, sequences, *args, **kwargs)

        return inner_loop

    def _rounding(self, name, layer):
        if name in self._recurrent:
            twin = self._recurrent[name]

            def inner_loop(sequences, initial_state, mask, training=False):
                twin.recording = self.recording
                return twin.inner_loop(self._read(name, sequences, rounds=True), initial_state, mask, training)

            return inner_loop

        def call(x, *args, **kwargs):
            x = self._read(name, x, rounds=True)
            replaced = {}
            if isinstance(layer, tuple(KERNELS)):
                axes = next(axes for kind, axes in KERNELS.items() if isinstance(layer, kind))
                replaced[id(layer.kernel)] = kernel_in_int8(ops.convert_to_tensor(layer.kernel), axes)
            # The only way to substitute weights that works with every layer and every backend.
            scope = keras.StatelessScope([(v, replaced.get(id(v), v.value)) for v in layer.variables])

            def own():
                with scope:
                    return type(layer).call(layer, x, *args, **kwargs)

            return self._in_parts(name, layer, own, rounds=True)

        return call

    def _in_parts(self, name, layer, call, rounds):
        def give(part, site):
            def quantize(values):
                if part in self._recorders:
                    self._record(self._recorders[part], values)
                return self._grid(site).quantize(values) if rounds else values

            return quantize

        gives = self._sites.gives[name]
        if not isinstance(layer, tuple(KERNELS)):
            return give(name, gives)(call())
        return call_in_parts(layer, call, give(f"{name}/logits", self._logits.get(name)), give(name, gives))

    def _read(self, name, values, rounds=False):
        """Returns the input of a layer; inputs of the model, which nothing has rounded yet, are rounded."""
        site = self._sites.reads.get(name)
        if site is None or not site.is_input:
            return values
        self._record(self._inputs[next(part for part in site.names if part in self._inputs)], values)
        return self._grid(site).quantize(values) if rounds else values

    def _record(self, recorder, values):
        if self.recording:
            recorder.record(values)

    def _grid(self, site):
        if id(site) not in self._grids:
            self._grids[id(site)] = site, Grid(site.names[0])
        return self._grids[id(site)][1]

    def _scale(self, site, of):
        met = {name: of[name] for name in site.names if name in of}
        if not met and site.fixed is None:
            raise ValueError(
                f"the range of '{site.names[0]}' has not been learned: use the ranges of this model, and train for at "
                "least one step."
            )
        return replace(site, names=list(met)).scale(met)

    def _own_layers(self, cut):
        """Returns the layers whose calls are replaced, by name."""
        layers = {
            **self._sites.around,
            **{lookup.layer.embedding.name: lookup.layer.embedding for lookup in cut.lookups},
        }
        own = {id(layer) for layer in self.model._flatten_layers()}
        for call in cut.calls:
            check_integer_layer(call.layer)
        for name, layer in layers.items():
            if id(layer) not in own:
                raise ValueError(
                    f"layer '{name}' cannot be trained for integers: it stands for a cell, or for another layer of the "
                    "same name. Take a recurrent layer instead of RNN over a cell, and a name for each layer."
                )
        return layers


def _steps(model):
    """Returns a number of steps for the plan if the model does not fix it; the sites do not depend on the number."""
    return None if all(None not in tensor.shape[1:2] for tensor in model.inputs) else 64
