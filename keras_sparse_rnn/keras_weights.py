"""Loads weights of a model with Keras's own layers into the same model with layers of this package."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def load_keras_weights(model: keras.Model, source: keras.Model | str | os.PathLike[str] | Sequence[np.ndarray]) -> None:
    """Loads the weights of a model with `keras.layers.GRU` into the same model with EventGRU or DeltaGRU in its place.

    Keras stores a layer's weights under the name of its class, so `model.load_weights` does not find the weights of a
    GRU for an EventGRU. Thresholds, which a GRU does not have, keep their values.

    Args:
        model: Built model. It differs from the source only in that it has EventGRU, DeltaGRU or their cells where the
            source has `keras.layers.GRU` or GRUCell with `reset_after=True`.
        source: The other model, the result of its `get_weights`, or a file: `.weights.h5` from `save_weights`, or
            `.keras` from `save`. A file requires a `model` that Keras can rebuild from its configuration: Sequential,
            Functional, or of a class with `get_config`.

    Raises:
        ValueError: The weights do not fit, or the file cannot be read.

    Example:

    >>> gru_model.save_weights("gru.weights.h5")
    >>> ksr.load_keras_weights(delta_model, "gru.weights.h5")
    """
    if isinstance(source, (str, os.PathLike)):
        path, source = source, type(model).from_config(_in_keras(model.get_config()))
        if not source.built:
            source.build_from_config(model.get_build_config())
        source.load_weights(path)
    values = source.get_weights() if isinstance(source, keras.Model) else list(source)
    own = {id(weight) for layer in model._flatten_layers() for weight in _thresholds(layer)}
    weights = [weight for weight in model.weights if id(weight) not in own]
    shapes, given = [tuple(w.shape) for w in weights], [np.shape(value) for value in values]
    if shapes != given:
        raise ValueError(
            f"source must have the weights of {model.name!r} without its thresholds, of the shapes {shapes}; given: "
            f"{given}."
        )
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)


def _thresholds(layer):
    """Returns the weights of a cell that the corresponding Keras cell or Dense does not have."""
    if not hasattr(layer, "kernel") or not (hasattr(layer, "in_keras") or hasattr(layer, "input_hold")):
        return []
    shared = {id(getattr(layer, name, None)) for name in ("kernel", "recurrent_kernel", "bias")}
    return [weight for weight in layer.weights if id(weight) not in shared]


def _in_keras(config: Any) -> Any:
    """Returns the configuration of a model with Keras's layers in place of ours."""
    if isinstance(config, (list, tuple)):
        return [_in_keras(part) for part in config]
    if not isinstance(config, dict):
        return config
    name = config.get("registered_name")
    kind = getattr(keras.saving.get_registered_object(name) if name else None, "in_keras", None)
    if kind is None:
        return {name: _in_keras(part) for name, part in config.items()}
    known = kind(1).get_config()
    changed = {"class_name": kind.__name__, "module": "keras.layers", "registered_name": None}
    return {**config, **changed, "config": {k: v for k, v in config["config"].items() if k in known}}
