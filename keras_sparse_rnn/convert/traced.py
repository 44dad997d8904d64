"""Converts a subclassed model or layer to the graph of the Keras layers that it calls."""

import keras
import numpy as np

_WAY_OUT = (
    "Write its call with layers and keras.ops only, without branches on values, or build a Functional model from its "
    "layers."
)


def is_functional(model):
    """Whether it is a graph of layers already, or a chain of them."""
    if isinstance(model, keras.Sequential):
        return True
    return type(model) is keras.Model or model.__class__.__name__ == "Functional"


def call_layers(model, inputs, call):
    """The outputs of a graph or a chain of layers on other inputs, a flat list.

    Args:
        model: A model that `is_functional`.
        inputs: List of symbolic tensors; they may have other sizes and come from another graph.
        call: Function `call(layer, *args, **kwargs)` that calls a layer or an operation.
    """
    if isinstance(model, keras.Sequential):
        [x] = inputs
        for layer in model.layers:
            x = call(layer, x)
        return keras.tree.flatten(x)
    # As `keras.models.clone_model` does, which in the end fails where masks come from outside the model.
    structure = keras.tree.pack_sequence_as(model.input, inputs)
    return keras.tree.flatten(model._run_through_graph(structure, lambda layer: layer, call))


def as_functional(model, data):
    """Returns a built subclassed model as a Functional model of the same layers, and any other model unchanged.

    Args:
        model: A `keras.Model`.
        data: Its inputs as given to `ksr.convert`, which show which inputs hold words; None: no input does.

    Raises:
        ValueError: Its `call` does more than call layers and `keras.ops`, or the shapes that it was built on are not
            known.
    """
    if not isinstance(model, keras.Model) or is_functional(model) or not model.built:
        return model
    config = model.get_build_config() or {}
    shapes = config.get("input_shape") or list((config.get("shapes_dict") or {}).values())
    if not shapes:
        raise ValueError(
            f"model '{model.name}' is subclassed, and Keras has not traced it: call it on data first. {_WAY_OUT}"
        )
    given = list(data.values()) if isinstance(data, dict) else data if isinstance(data, (list, tuple)) else [data]
    kinds = iter(["float32" if array is None else _kind(array) for array in given])

    def placeholder(shape, name=None):
        return keras.Input(shape[1:], dtype=next(kinds, "float32"), name=name)

    if isinstance(shapes, dict):
        inputs = {name: placeholder(shape, name) for name, shape in shapes.items()}
    elif isinstance(shapes[0], (list, tuple)):
        inputs = [placeholder(shape) for shape in shapes]
    else:
        inputs = placeholder(shapes)
    outputs = trace(model, inputs)
    return keras.Model(inputs, outputs, name=model.name)


def trace(layer, *args, **kwargs):
    """Calls a layer on symbolic tensors, so that each layer that its `call` calls is in the graph.

    Raises:
        ValueError: Its `call` does more than call layers and `keras.ops`.
    """
    try:
        return layer.call(*args, **kwargs)
    except Exception as error:
        raise ValueError(
            f"'{layer.name}' is subclassed, and its call is not a graph of Keras layers: {error} {_WAY_OUT}"
        ) from error


def holds_recurrent(layer):
    """Whether a user's own layer contains recurrent layers, which only its `call` shows."""
    is_own = isinstance(layer, keras.Layer) and type(layer).__module__.split(".")[0] != "keras"
    if not is_own or isinstance(layer, (keras.layers.RNN, keras.Model)):
        return False
    parts = [part for part in layer._flatten_layers(include_self=False) if isinstance(part, keras.layers.RNN)]
    return bool(parts)


def _kind(array):
    kind = np.asarray(array).dtype
    return "int32" if np.issubdtype(kind, np.integer) else "bool" if kind == np.bool_ else "float32"
