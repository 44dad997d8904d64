"""Converts Keras 2 models (tf_keras), also those pruned by tensorflow-model-optimization (tfmot), to Keras 3."""

import os
from typing import Any

import keras

from keras_sparse_rnn.extras import packages_of

# Their weights and all relevant settings have the same names, shapes and meanings in tf_keras and Keras 3.
_LAYERS = (
    "Activation",
    "Add",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Cropping1D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRU",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "LSTM",
    "LayerNormalization",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "SimpleRNN",
    "SpatialDropout1D",
    "Subtract",
    "TimeDistributed",
    "UpSampling1D",
    "ZeroPadding1D",
    "ZeroPadding2D",
)
# hard_sigmoid, for example, is a different function in Keras 3.
_ACTIVATIONS = (
    "elu",
    "exponential",
    "gelu",
    "linear",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
)
_KERAS_2_ONLY = ("batch_input_shape", "implementation", "input_length", "time_major")


def from_tf_keras(model: Any) -> keras.Model:
    """Converts a Keras 2 model to a Keras 3 model with the same outputs.

    Args:
        model: A built Sequential or Functional model of tf_keras. Or the path of a model saved by Keras 2: an `.h5`
            file, a SavedModel folder or a `.keras` file; loading it requires the package `tf_keras`. Supported are
            recurrent layers (also in Bidirectional), Dense, Embedding, convolution, pooling, normalization and merging
            layers and some others, with activations that mean the same in both versions.

    Returns:
        A Keras model, Sequential or Functional like `model`, with the same layer names. It is not compiled.

    Raises:
        FileNotFoundError: The path does not exist.
        ImportError: `model` is a path and tf_keras is not installed.
        TypeError: If `model` is no tf_keras model.
        ValueError: If the model is not built, is neither Sequential nor Functional, or has a layer, an activation or a
            call of a layer that is not supported. The message names it.

    Example:

    >>> model = ksr.from_tf_keras("trained_in_2021.h5")
    >>> converted = ksr.convert(model, representative_data=x)
    """
    return _taken_over(_load(model) if isinstance(model, (str, os.PathLike)) else model)


def from_tfmot(model: Any) -> keras.Model:
    """Converts a tf_keras model pruned by tfmot to a Keras 3 model with the same zeros and outputs.

    Args:
        model: As in `from_tf_keras`, with or without tfmot's `PruneLowMagnitude` wrappers. Weights that a wrapper masks
            become zero, as in every call of the wrapper. A model that was never pruned works too. tfmot's wrappers drop
            masks over time steps (`Masking`, `Embedding(mask_zero=True)`), so stripping them changes the outputs. The
            result behaves like the stripped model.

    Returns:
        A Keras model as from `from_tf_keras`. Its pruned weights are zero: `callbacks.MagnitudePruning` continues from
        these zeros, and `convert` stores them compactly.

    Raises:
        TypeError: If `model` is no tf_keras model.
        ValueError: As for `from_tf_keras`.

    Example:

    >>> pruned = tfmot.sparsity.keras.prune_low_magnitude(model, schedule)
    >>> pruned.fit(x, y, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    >>> model3 = ksr.from_tfmot(pruned)
    """
    return _taken_over(model)


def _load(path):
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no model at '{os.fspath(path)}'.")
    with packages_of("tfmot", f"to load '{os.fspath(path)}'"):
        import tf_keras
    return tf_keras.models.load_model(path, compile=False)


def _taken_over(model):
    # By name only, so that neither tf_keras nor tfmot is imported here. Whoever has such a model has imported them.
    if isinstance(model, keras.Model):
        raise TypeError(f"The model {model.name!r} is a Keras 3 model already; model must be one of tf_keras.")
    kind = type(model).__name__
    if not type(model).__module__.startswith("tf_keras."):
        raise TypeError(f"model must be a Sequential or Functional model of tf_keras; given: {type(model)}.")
    if kind not in ("Sequential", "Functional"):
        raise ValueError(f"The model {model.name!r} is a {kind}: must be Sequential or Functional.")
    if not model.built or not model.inputs:
        raise ValueError(f"The model {model.name!r} is not built: give it an Input, or call it on a batch of data.")
    layers = {layer.name: layer for layer in model.layers if type(layer).__name__ != "InputLayer"}
    copies = {name: _copy(layer) for name, layer in layers.items()}
    copy = _sequential(model, copies) if kind == "Sequential" else _functional(model, copies)
    for name, layer in layers.items():
        copies[name].set_weights(_weights(layer))
    return copy


def _sequential(model, copies):
    (tensor,) = model.inputs
    inputs = keras.Input(batch_shape=tuple(tensor.shape), dtype=tensor.dtype.name)
    return keras.Sequential([inputs, *copies.values()], name=model.name)


def _functional(model, copies):
    config = model.get_config()
    calls = {layer["name"]: layer["inbound_nodes"] for layer in config["layers"]}
    references = [_references(config[key]) for key in ("input_layers", "output_layers")]
    known = {
        (name, node): [keras.Input(batch_shape=tuple(tensor.shape), dtype=tensor.dtype.name, name=name)]
        for (name, node, _), tensor in zip(references[0], model.inputs, strict=True)
    }

    def tensor_of(name, node, number):
        if (name, node) not in known:
            options = [reference[3] for reference in calls[name][node] if reference[3]]
            if options:
                raise ValueError(f"The layer {name!r} is called with {', '.join(options[0])}, which is not supported.")
            x = [tensor_of(*reference[:3]) for reference in calls[name][node]]
            if isinstance(copies[name], (keras.layers.RNN, keras.layers.Bidirectional)):
                y = copies[name](x[0], initial_state=x[1:] or None)
            else:
                y = copies[name](x if len(x) > 1 else x[0])
            known[name, node] = keras.tree.flatten(y)
        return known[name, node][number]

    inputs, outputs = ([tensor_of(*reference) for reference in part] for part in references)
    return keras.Model(*(part if len(part) > 1 else part[0] for part in (inputs, outputs)), name=model.name)


def _references(structure):
    """Returns the `[layer, node, tensor]` of each of a model's inputs or outputs, given one or a list."""
    if isinstance(structure, dict):
        raise ValueError("Models with a dict of inputs or outputs are not supported: use a list.")
    return [structure] if isinstance(structure[0], str) else structure


def _copy(layer):
    """Returns the layer in Keras 3, without weights."""
    layer = getattr(layer, "layer", layer) if _is_wrapper(layer) else layer
    kind = type(layer).__name__
    if kind not in _LAYERS or not type(layer).__module__.startswith("tf_keras."):
        raise ValueError(f"The layer {layer.name!r} is a {kind}: supported are {', '.join(_LAYERS)}.")
    for name in ("activation", "recurrent_activation"):
        activation = getattr(getattr(layer, name, None), "__name__", "linear")
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"The layer {layer.name!r} has {name}={activation}: allowed are {', '.join(_ACTIVATIONS)}."
            )
    config = layer.get_config()
    if config.get("time_major"):
        raise ValueError(f"The layer {layer.name!r} has time_major=True, which Keras 3 does not have.")
    config = {name: value for name, value in config.items() if name not in _KERAS_2_ONLY}
    config["dtype"] = layer.dtype_policy.name
    if kind == "SpatialDropout1D":
        del config["noise_shape"]  # always the same
    if kind == "BatchNormalization" and not isinstance(config["axis"], int):
        (config["axis"],) = config["axis"]
    trainable = config.pop("trainable")  # not all layers of Keras 3 accept this argument
    if kind == "Bidirectional":
        parts = {"layer": _copy(layer.forward_layer), "backward_layer": _copy(layer.backward_layer)}
        copy = keras.layers.Bidirectional(**parts, merge_mode=layer.merge_mode, name=layer.name)
    elif kind == "TimeDistributed":
        copy = keras.layers.TimeDistributed(_copy(layer.layer), name=layer.name)
    else:
        copy = getattr(keras.layers, kind).from_config(config)
    copy.trainable = trainable
    return copy


def _weights(layer):
    if not _is_wrapper(layer):
        return layer.get_weights()
    masks = {id(weight): mask for weight, mask, _ in layer.pruning_vars}
    values = zip(layer.layer.weights, layer.layer.get_weights(), strict=True)
    return [value * masks[id(weight)].numpy() if id(weight) in masks else value for weight, value in values]


def _is_wrapper(layer):
    return type(layer).__name__ == "PruneLowMagnitude"
