"""Converts a model trained in mixed precision, whose weights are float32, to one that also computes in float32."""

import keras


def in_float32(model):
    """Returns the model if all its layers compute in float32 or in integers, and otherwise a copy that does.

    Args:
        model: A built Sequential or Functional model.
    """
    if not isinstance(model, keras.Model) or not model.built:
        return model  # which is refused, with more to say
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.Layer)]
    if not any(layer.dtype_policy.name.startswith("mixed_") for layer in layers):
        return model
    classes = {type(layer).__name__: type(layer) for layer in layers}
    with keras.saving.custom_object_scope({name: kind for name, kind in classes.items() if not _is_of_keras(kind)}):
        copy = type(model).from_config(_with_float32(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def _is_of_keras(kind):
    return kind.__module__.split(".")[0] == "keras"


def _with_float32(config):
    """Returns a configuration in which each mixed precision policy is replaced."""
    if isinstance(config, dict):
        return {name: _with_float32(value) for name, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_with_float32(value) for value in config)
    return "float32" if config in ("mixed_float16", "mixed_bfloat16") else config
