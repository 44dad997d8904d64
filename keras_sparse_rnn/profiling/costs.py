"""Multiply-accumulates (MACs) of Keras layers in closed form."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from keras_sparse_rnn.sparsity.kernels import own_weights

# `shapes` is a dict from the names of the arguments of `call` to their shapes, with the batch first. A list of tensors
# has a list of shapes. Other arguments are contained unchanged.


def matrices(layer: keras.layers.Layer) -> dict[str, Any] | None:
    """Returns the weights of a layer that are multiplied, each weight once at each of the `positions`.

    Returns:
        Dict from names to weights. It is empty for layers of Keras or of this package that multiply no weights, such
        as normalizations, whose element-wise work is not counted. None for unknown layers.
    """
    names = _lookup(_MATRICES, layer, (None, None))[0]
    if names is not None:
        return {name: getattr(layer, name) for name in names if hasattr(layer, name)}
    if _lookup(_ELEMENTWISE, layer, False) or _lookup(_PRODUCTS, layer, False) or _is_ours(layer):
        return {}
    return {} if _is_of_keras(layer) and not multiplies(layer) else None


def multiplies(layer: keras.layers.Layer) -> bool:
    """Whether an unknown layer multiplies anything: it has weights, or its base class multiplies its inputs."""
    return bool(own_weights(layer)) or isinstance(layer, (*_PRODUCTS, *_UNKNOWN))


def macs(layer: keras.layers.Layer, sizes: Iterable[int]) -> int:
    """Returns the MACs of a call at one position, given the sizes of the `matrices`; 0 for an Embedding lookup."""
    return 0 if isinstance(layer, keras.layers.Embedding) else sum(sizes)


def positions(layer: keras.layers.Layer, shapes: Mapping[str, Any], output: Any) -> int:
    """Returns how often each weight of `matrices` is used per sample: steps, or positions of a padded convolution."""
    count = _lookup(_MATRICES, layer, None)[1]
    return count(layer, next(iter(shapes.values())), output)


def is_product(layer: keras.layers.Layer) -> bool:
    """Whether a layer has `products`."""
    return _lookup(_PRODUCTS, layer, None) is not None


def products(layer: keras.layers.Layer, shapes: Mapping[str, Any]) -> int:
    """Returns the MACs per sample that multiply inputs by each other, as in attention."""
    return _lookup(_PRODUCTS, layer, None)(layer, shapes)


def argument_shapes(layer: keras.layers.Layer, args: tuple, kwargs: dict) -> dict[str, Any]:
    """Returns the `shapes` of a call."""
    bound = inspect.signature(type(layer).call).bind(layer, *args, **kwargs).arguments
    return {name: _shape(value) for name, value in list(bound.items())[1:]}


def conv_rnn_positions(layer: keras.layers.RNN, output: Any) -> int:
    """Returns how often each weight of a ConvLSTM is used per step, given the shape of a step's output."""
    return _spatial(layer.cell, output)


def is_conv_rnn(layer: keras.layers.RNN) -> bool:
    return _lookup(dict.fromkeys(_CONV_RNNS, True), layer, False)


def is_opaque(layer: keras.layers.Layer) -> bool:
    """Whether a layer may do multiplications outside its sublayers that cannot be counted."""
    return type(layer) is keras.layers.Lambda or not (_is_of_keras(layer) or _is_ours(layer))


def _lookup(table, layer, default):
    """Returns the entry of the class whose `call` a layer uses; a subclass with its own `call` does not match."""
    return next(
        (row for kind, row in table.items() if isinstance(layer, kind) and type(layer).call is kind.call), default
    )


def _is_of_keras(layer):
    return type(layer).call.__module__.startswith("keras.")


def _is_ours(layer):
    return type(layer).call.__module__.startswith("keras_sparse_rnn.")


def _shape(value):
    if isinstance(value, (list, tuple)):
        return [_shape(part) for part in value]
    return tuple(value.shape) if hasattr(value, "shape") else value


def _kinds(*names):
    """Returns the layer classes with these names that exist in the installed Keras."""
    return [getattr(keras.layers, name) for name in names if hasattr(keras.layers, name)]


def _spatial(layer, shape):
    """Returns the number of positions in a tensor `(batch, ..., channels)` or `(batch, channels, ...)`."""
    return math.prod(shape[1:-1] if layer.data_format == "channels_last" else shape[2:])


def _of_dense(layer, x, output):
    return math.prod(output[1:-1])


def _of_lookup(layer, x, output):
    return math.prod(x[1:])


def _of_einsum(layer, x, output):
    inputs, kernel = layer.equation.replace(" ", "").partition("->")[0].split(",")
    left, dots, right = inputs.partition("...")
    letters = [*left, *[""] * (len(x) - len(left) - len(right)) * bool(dots), *right]
    return math.prod(
        size for size, letter in list(zip(x, letters, strict=True))[1:] if letter not in kernel or not letter
    )


def _of_convolution(layer, x, output):
    return _spatial(layer, output)


def _of_transposed(layer, x, output):
    return _spatial(layer, x)


def _of_spectrogram(layer, x, output):
    channels_last = layer.data_format == "channels_last"
    return (x[-1] if channels_last else x[1]) * (output[1] if channels_last else output[-1 - layer.expand_dims])


_CONV_RNNS = _kinds("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
_MATRICES = {
    keras.layers.Dense: (("kernel",), _of_dense),
    keras.layers.EinsumDense: (("kernel",), _of_einsum),
    **dict.fromkeys(
        _kinds("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"), (("kernel",), _of_convolution)
    ),
    **dict.fromkeys(_kinds("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), (("kernel",), _of_transposed)),
    **dict.fromkeys(
        _kinds("SeparableConv1D", "SeparableConv2D"), (("depthwise_kernel", "pointwise_kernel"), _of_convolution)
    ),
    **dict.fromkeys(_kinds("STFTSpectrogram"), (("real_kernel", "imag_kernel"), _of_spectrogram)),
    **dict.fromkeys(_kinds("Embedding", "ReversibleEmbedding"), (("embeddings", "reverse_embeddings"), _of_lookup)),
}


def _of_heads(layer, shapes):
    config = layer.get_config()
    query, value = shapes["query"], shapes["value"]
    axes = config["attention_axes"] or range(1, len(query) - 1)
    axes = [axes] if isinstance(axes, int) else list(axes)
    read = math.prod(value[axis] for axis in axes)
    return math.prod(query[1:-1]) * read * config["num_heads"] * (config["key_dim"] + config["value_dim"])


def _of_grouped_heads(layer, shapes):
    config = layer.get_config()
    return 2 * shapes["query"][1] * shapes["value"][1] * config["num_query_heads"] * config["head_dim"]


def _of_attention(layer, shapes):
    query, value, *_ = shapes["inputs"]
    scores = 0 if getattr(layer, "score_mode", "dot") == "concat" else query[-1]  # a sum of tanh multiplies nothing
    return query[1] * value[1] * (scores + value[-1])


def _of_dot(layer, shapes):
    first, second = shapes["inputs"]
    axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return math.prod(first[1:]) * math.prod(second[1:]) // first[axis]


def _of_reversible_embedding(layer, shapes):
    return math.prod(shapes["inputs"][1:-1]) * layer.input_dim * layer.output_dim if shapes.get("reverse") else 0


_PRODUCTS: dict[type, Callable] = {
    keras.layers.MultiHeadAttention: _of_heads,
    keras.layers.GroupQueryAttention: _of_grouped_heads,
    keras.layers.Attention: _of_attention,
    keras.layers.AdditiveAttention: _of_attention,
    keras.layers.Dot: _of_dot,
    **dict.fromkeys(_kinds("ReversibleEmbedding"), _of_reversible_embedding),
}
# Layers that multiply their weights element-wise.
_ELEMENTWISE = dict.fromkeys(
    [
        *_kinds(
            "BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"
        ),
        *_kinds("SpectralNormalization", "Normalization", "PReLU"),
    ],
    True,
)
# Layers that multiply other weights than Keras variables.
_UNKNOWN = _kinds("MelSpectrogram", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "TFSMLayer")
