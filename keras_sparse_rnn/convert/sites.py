"""Determines which tensors of a model trained for integers share a scale, and that scale."""

import contextlib
from dataclasses import dataclass, field
from functools import partial

import keras
import numpy as np

from keras_sparse_rnn.convert.float_layers import Gelu
from keras_sparse_rnn.convert.quantize import OF_PROBABILITIES, Scale

_L = keras.layers
_PASSES_ON = (  # their outputs are values of their inputs: one scale for both
    _L.Flatten,
    _L.Reshape,
    _L.Permute,
    _L.RepeatVector,
    _L.Concatenate,
    *(_L.MaxPooling1D, _L.MaxPooling2D, _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D),
    *(_L.ZeroPadding1D, _L.ZeroPadding2D, _L.Cropping1D, _L.Cropping2D),
)
AVERAGES = (_L.GlobalAveragePooling1D, _L.GlobalAveragePooling2D)
_OPERATIONS = ("Concatenate", "ExpandDims", "Flip", "GetItem", "Reshape", "Squeeze", "Transpose")  # of keras.ops
# TensorFlow Lite fixes the scale of the outputs of these.
_FIXED = {"softmax": OF_PROBABILITIES, "sigmoid": OF_PROBABILITIES, "tanh": Scale(1 / 128, 0)}
_FUSED = ("linear", "relu", "relu6")
# For each layer with a kernel, the axes along which each index is an output with its own scale.
KERNELS = {
    _L.Dense: (-1,),
    _L.Conv1D: (-1,),
    _L.Conv2D: (-1,),
    _L.Conv1DTranspose: (-2,),
    _L.Conv2DTranspose: (-2,),
    _L.DepthwiseConv1D: (-2, -1),
    _L.DepthwiseConv2D: (-2, -1),
}


COMPUTES_IN_INTEGERS = "__ksr_computes_in_integers"  # an attribute of a model within `fake_quantized`


def check_computes_in_floats(model):
    """Raises ValueError if a model is within `quantization.fake_quantized`."""
    if hasattr(model, COMPUTES_IN_INTEGERS):
        raise ValueError(
            f"model '{model.name}' already computes in integers: leave the `with ksr.quantization.fake_quantized(...)` "
            "block that it is in first."
        )


class LearnedScales:
    """The scales of a `Plan` by `Ranges`."""

    def __init__(self, cut, ranges):
        self._sites, self._ranges = Sites(cut), ranges

    def of(self, tensor):
        """Returns the `Scale` of a symbolic tensor; None if it does not hold floats."""
        site = self._sites.of(tensor)
        return None if site is None else site.scale(self._ranges)

    def sample(self, tensor, lead, generator):
        """Returns random values for an input, `(*lead, *shape)`: floats within its range, 0 and 1 for other types."""
        shape = (*lead, *tensor.shape[1:])
        if "float" not in tensor.dtype:
            return generator.integers(0, 2, shape).astype(tensor.dtype)
        scale = self.of(tensor)
        low, high = ((limit - scale.zero_point) * scale.scale for limit in (-128, 127))
        middle, spread = (low + high) / 2, (high - low) / 6
        return np.clip(generator.normal(middle, spread, shape), low, high).astype(np.float32)

    def states(self, call):
        """Dict from each range that a `RecurrentCall` needs to its ends, as an array."""
        return {name: np.array(self._ranges[f"{call.layer.name}/{name}"]) for name in call.layer.ranged}

    def fake(self, values, scale):
        """Applies TensorFlow's op that gives its converter the scale of a tensor."""
        import tensorflow as tf

        if scale is None:
            return values
        ends = [(limit - scale.zero_point) * scale.scale for limit in (-128, 127)]
        return tf.quantization.fake_quant_with_min_max_args(values, *ends)

    @contextlib.contextmanager
    def in_the_graph(self, model):
        """Context manager in which layers pass the scales of their outputs to the converter."""
        layers = [layer for layer in model.layers if isinstance(layer, (*KERNELS, *AVERAGES))]
        for layer in layers:
            layer.call = self._told(layer)
        try:
            yield
        finally:
            for layer in layers:
                del layer.call

    def _told(self, layer):
        logits = Site([f"{layer.name}/logits"])

        def give(site):
            return lambda values: self.fake(values, site.scale(self._ranges))

        def call(*args, **kwargs):
            own = partial(type(layer).call, layer, *args, **kwargs)
            return call_in_parts(layer, own, give(logits), give(self._sites.gives[layer.name]))

        return call


@dataclass(eq=False)
class Site:
    """Tensors that share a scale.

    Attributes:
        names: The names in `Ranges` that it covers.
        fixed: Its `Scale` if that is known without `Ranges`.
        is_input: Whether an input of the model is among them.
    """

    names: list = field(default_factory=list)
    fixed: Scale | None = None
    is_input: bool = False

    def scale(self, ranges):
        """Its `Scale`, from `Ranges`."""
        if self.fixed is not None:
            return self.fixed
        return Scale.of_range(min(ranges[name][0] for name in self.names), max(ranges[name][1] for name in self.names))


class Sites:
    """The sites of a `Plan`.

    Attributes:
        reads, gives: Dicts from the name of each recurrent layer, and of each other layer with a kernel, to the `Site`
            of its input and of its output.
        around: The other layers with a kernel.

    Raises:
        ValueError: Quantization-aware training does not support a layer.
    """

    def __init__(self, cut):
        self._sites, self._kept = {}, []
        self.reads, self.gives, self.around = {}, {}, {}
        for name, tensor in zip(input_names(cut), cut.inputs, strict=True):
            self._put(tensor, Site([name], is_input=True))
        for call in cut.calls:
            self._name(call.layer.name, call.layer.layer)
            if call.initial or call.last:
                raise ValueError(
                    f"layer '{call.layer.name}' takes or returns states, which quantization-aware training does not "
                    "support: let it begin at zero, without return_state."
                )
            self._put(call.y, Site([call.layer.name]))
            self.gives[call.layer.name] = call.y
        for lookup in cut.lookups:
            self._put(lookup.y, Site([lookup.layer.embedding.name]))
            self.gives[lookup.layer.embedding.name] = lookup.y
        for call in cut.calls:
            self._visit(call.x)
            self.reads[call.layer.name] = call.x
        for tensor in [*cut.outputs, *(mask.x for mask in (*cut.masks, *cut.gates))]:
            self._visit(tensor)
        self.reads, self.gives = (
            {name: self.of(tensor) for name, tensor in part.items()} for part in (self.reads, self.gives)
        )

    def of(self, tensor):
        """Returns the `Site` of a symbolic tensor; None if it does not hold floats."""
        return self._sites.get(id(tensor))

    def _put(self, tensor, site):
        if "float" in tensor.dtype:
            self._sites[id(tensor)] = site
            self._kept.append(tensor)

    def _name(self, name, layer):
        if self.around.setdefault(name, layer) is not layer:
            raise ValueError(f"two layers are called '{name}': quantization-aware training needs unique names.")

    def _visit(self, tensor):
        if id(tensor) in self._sites or "float" not in tensor.dtype:
            return
        operation, index, _ = tensor._keras_history
        read = [t for t in operation._inbound_nodes[index].input_tensors if "float" in t.dtype]
        for one in read:
            self._visit(one)
        if isinstance(operation, (*KERNELS, *AVERAGES)):
            self._name(operation.name, operation)
            if operation._inbound_nodes[index].arguments.kwargs.get("mask") is not None:
                raise ValueError(f"layer '{operation.name}' has a mask, so it cannot be trained for integers.")
            activation = activation_of(operation) if isinstance(operation, tuple(KERNELS)) else None
            self._put(tensor, Site([operation.name], _FIXED.get(activation)))
            self.reads[operation.name], self.gives[operation.name] = read[0], tensor
        elif isinstance(operation, _PASSES_ON) or type(operation).__name__ in _OPERATIONS:
            self._put(tensor, self.of(read[0]))
            for other in read[1:]:
                self._join(self.of(read[0]), self.of(other))
        elif isinstance(operation, Gelu):
            raise _unknown_activation(operation.given_name, "gelu")
        else:
            known = sorted({kind.__name__ for kind in (*KERNELS, *AVERAGES, *_PASSES_ON, _L.Embedding)})
            raise ValueError(
                f"layer '{operation.name}' ({type(operation).__name__}) cannot be trained for integers. These can, "
                f"besides recurrent layers: {', '.join(known)}, and layers that act in training only, such as Dropout."
            )

    def _join(self, one, other):
        if one is other:
            return
        if one.fixed or other.fixed:
            names = ", ".join(one.names + other.names)
            raise ValueError(
                f"{names} are concatenated, which quantization-aware training does not support for a softmax."
            )
        one.names += other.names
        one.is_input |= other.is_input
        for key in [key for key, site in self._sites.items() if site is other]:
            self._sites[key] = one


def input_names(cut):
    """Returns the names of a model's inputs in `Ranges`. They are derived from the positions of the inputs, as Keras
    may rename an input when it loads the model."""
    return [f"inputs/{place}" for place in range(len(cut.inputs))]


def activation_of(layer):
    """Returns the name of the activation of a layer with a kernel.

    Raises:
        ValueError: Quantization-aware training does not support it.
    """
    name = getattr(layer.activation, "__name__", str(layer.activation))
    if layer.activation is not getattr(keras.activations, name, None) or name not in (*_FUSED, *_FIXED):
        raise _unknown_activation(layer.name, name)
    return name


def _unknown_activation(layer_name, name):
    return ValueError(
        f"layer '{layer_name}' has activation={name}; quantization-aware training supports "
        f"{', '.join((*_FUSED, *_FIXED))}."
    )


def call_in_parts(layer, call, quantize_logits, quantize_output):
    """Returns the output of a layer that is not recurrent, and rounds the input of its activation if that is a tensor
    of the converted model.

    Args:
        layer: The layer.
        call: A function without arguments that calls it.
        quantize_logits, quantize_output: Functions of tensors.
    """
    name = activation_of(layer) if isinstance(layer, tuple(KERNELS)) else "linear"
    if name in _FUSED:
        return quantize_output(call())
    activation = layer.activation
    layer.activation = keras.activations.linear
    try:
        logits = call()
    finally:
        layer.activation = activation
    return quantize_output(activation(quantize_logits(logits)))
