"""Determines what becomes a custom op, and what TensorFlow Lite's converter converts.

The model is walked once: each recurrent layer is cut out, so that its input becomes an output of the rest and its
output an input. The rest is then an ordinary Keras model of builtin layers.
"""

from dataclasses import dataclass

import keras

from keras_sparse_rnn.convert.float_layers import FloatLayers
from keras_sparse_rnn.convert.model_inputs import (
    check_arguments,
    check_model,
    given_shape,
    has_time_axis,
    holds_indices,
    plain_name,
)
from keras_sparse_rnn.convert.walk import Walk

PROBE_BATCH = 32

# Types of inputs that interpreters take; TensorFlow Lite Micro casts from no other type.
_TFLM_INPUTS = ("float32", "bool", "int8", "int16", "int32", "uint32")
_INPUT_TYPES = {"tflm": _TFLM_INPUTS, "litert": (*_TFLM_INPUTS, "float16", "uint8", "uint16", "int64")}


@dataclass(frozen=True, eq=False)
class Plan:
    """A model, cut at its recurrent layers.

    Attributes:
        inputs, outputs: Symbolic tensors of the model, of the batch of one inference.
        input_names, output_names: Their names in the signature.
        calls: The `RecurrentCall`s in the order of execution.
        masks, gates: The `MaskCall`s and `GateCall`s.
        lookups: The `LookupCall`s.
        floats: The `FloatCall`s.
        pools: The layers that average over the steps of a mask.
        sources: For each symbolic tensor's id the inputs and recurrent outputs that it is computed from, by their ids.
        probe: A Keras model from the inputs (`PROBE_BATCH` of them; with `stateful` it goes on from call to call) to
            the tensors of `observed` in one flat list.
        observed: `[calls, masks, gates, lookups, floats, outputs]`: of each call a dict of `x`, `y`, the `states` that
            its `observe` gives, `initial`, `last`, and `masks`, a list of at most one; `[x, y]` of each mask; what each
            gate reads and gives; what each lookup gives; what each float call reads and gives; and the model's outputs.
        has_time: For each input, whether its first axis is time.
        time_steps: Steps of one inference; None without recurrent layers.
    """

    inputs: list
    outputs: list
    input_names: list
    output_names: list
    calls: list
    masks: list
    gates: list
    lookups: list
    floats: list
    pools: list
    sources: dict
    probe: keras.Model
    observed: list
    has_time: list
    time_steps: int | None

    @property
    def given(self):
        """The tensors that the rest may take as inputs."""
        apart = [*self.masks, *self.gates, *self.lookups, *self.floats]
        return [*self.inputs, *(part for call in self.calls for part in call.given), *(call.y for call in apart)]

    @property
    def read(self):
        """The tensors that the rest must compute."""
        apart = [*self.masks, *self.lookups]
        read = [part for call in (*self.calls, *self.gates, *self.floats) for part in call.read]
        return [*read, *(call.x for call in apart), *self.outputs]


def plan(model, options):
    """Cuts a Sequential or Functional model at its recurrent layers, if it has any.

    Args:
        model: The Keras model.
        options: A `ConvertOptions`.

    Returns:
        A `Plan`.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: It is not built, has NaN or infinite weights, an open time axis without `time_steps`, or
            a layer that cannot be converted; the message names it. An argument is for recurrent layers and there are
            none.
    """
    check_model(model)
    check_arguments(model, options)
    time_steps, stateful = options.time_steps, options.stateful
    dtypes = [
        "int32" if "float" in tensor.dtype and holds_indices(model, tensor) else tensor.dtype for tensor in model.inputs
    ]
    has_time = [has_time_axis(tensor, dtype) for tensor, dtype in zip(model.inputs, dtypes, strict=True)]
    if stateful:
        time_steps = 1 if time_steps is None else time_steps
        shapes = [
            (int(time_steps), *tensor.shape[2:]) if timed else tuple(tensor.shape[1:])
            for tensor, timed in zip(model.inputs, has_time, strict=True)
        ]
    else:
        shapes = [given_shape(tensor, time_steps) for tensor in model.inputs]
    for tensor, shape in zip(model.inputs, shapes, strict=True):
        if None in shape or any(size < 1 for size in shape):
            raise ValueError(
                f"input '{plain_name(tensor.name)}' must have a known shape; given: {tuple(tensor.shape)}, "
                f"time_steps {time_steps}."
            )
    for tensor, dtype in zip(model.inputs, dtypes, strict=True):
        if dtype not in _INPUT_TYPES[options.target]:
            raise ValueError(
                f"input '{plain_name(tensor.name)}' is of the type {dtype}; with target='{options.target}' allowed "
                f"are {', '.join(_INPUT_TYPES[options.target])}. Build the model with keras.Input(..., dtype=...) of "
                "one of them."
            )

    walk = Walk(stateful, FloatLayers(options))
    sizes = [(options.batch_size, *shape) for shape in shapes]
    inputs = [keras.Input(batch_shape=size, dtype=dtype) for size, dtype in zip(sizes, dtypes, strict=True)]
    outputs = walk(model, inputs)
    walk.check_read(outputs)
    if {id(tensor) for tensor in outputs} <= {id(tensor) for tensor in inputs}:
        raise ValueError(f"model '{model.name}' has no layer that computes anything at inference.")

    walk.check_gates(outputs)
    probe_walk = Walk(stateful, FloatLayers(options), keeps_states=stateful)
    probe_inputs = [
        keras.Input(batch_shape=(PROBE_BATCH, *shape), dtype=dtype) for shape, dtype in zip(shapes, dtypes, strict=True)
    ]
    probe_outputs = probe_walk(model, probe_inputs)
    calls = [_observed(call, f"probe_{i}", stateful) for i, call in enumerate(probe_walk.calls)]
    observed = [
        calls,
        [[mask.x, mask.y] for mask in probe_walk.masks],
        [[*gate.read, gate.y] for gate in probe_walk.gates],
        [call.y for call in probe_walk.lookups],
        [[*call.read, call.y] for call in probe_walk.floats],
        probe_outputs,
    ]
    return Plan(
        inputs=inputs,
        outputs=outputs,
        input_names=[plain_name(tensor.name) for tensor in model.inputs],
        output_names=_output_names(model),
        calls=walk.calls,
        masks=walk.masks,
        gates=walk.gates,
        lookups=walk.lookups,
        floats=walk.floats,
        pools=walk.pools,
        sources=walk.sources,
        probe=keras.Model(probe_inputs, keras.tree.flatten(observed)),
        observed=observed,
        has_time=has_time,
        time_steps=max((int(call.x.shape[1]) for call in walk.calls), default=None),
    )


def _observed(call, name, stateful):
    initial = list(call.initial.values()) or None
    return {
        "x": call.x,
        "y": call.y,
        "states": call.layer.observe(call.x, name, stateful and not initial, initial, call.mask),
        "initial": call.initial,
        "last": call.last,
        "masks": [] if call.mask is None else [call.mask],
    }


def _output_names(model):
    names = [model.layers[-1].name] if isinstance(model, keras.Sequential) else model.output_names
    names = [plain_name(name) for name in names]
    return [f"{name}_{names[:i].count(name)}" if name in names[:i] else name for i, name in enumerate(names)]
