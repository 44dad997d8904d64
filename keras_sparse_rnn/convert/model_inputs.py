"""Checks a model before its conversion, and determines the inputs of the converted model."""

import keras
import numpy as np

from keras_sparse_rnn.convert.options import ConvertOptions
from keras_sparse_rnn.convert.recurrent import is_cell
from keras_sparse_rnn.convert.traced import is_functional
from keras_sparse_rnn.inputs import check_is_keras


def check_model(model):
    """Raises TypeError if this is not a Keras model, ValueError if it is not built or a weight is not finite."""
    check_is_keras(model)
    if not model.built:
        raise ValueError(f"model '{model.name}' is not built: call it on data or model.build(input_shape) first.")
    for variable in model.weights:
        values = np.asarray(keras.ops.convert_to_numpy(variable))
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise ValueError(
                f"weight '{variable.path}' holds NaN or infinite values; train the model without them first."
            )


def check_arguments(model, options):
    """Raises ValueError if an argument for recurrent layers is given and the model has none."""
    if any(isinstance(layer, keras.layers.RNN) or is_cell(layer) for layer in model._flatten_layers()):
        return
    for name in ("stateful", "block_size", "scales"):
        given = getattr(options, name)
        if given != getattr(ConvertOptions, name):
            raise ValueError(
                f"{name} is for recurrent layers, of which model '{model.name}' has none: leave it out "
                f"(given: {given!r})."
            )


def holds_indices(model, tensor):
    """Whether only Embeddings read an input. Its default type in Keras is float32 even then."""
    if isinstance(model, keras.Sequential):
        readers = [(layer, 0) for layer in model.layers[:1]]
    else:
        nodes = [node for operation in model.operations for node in operation._inbound_nodes]
        readers = [(node.operation, i) for node in nodes for i, x in enumerate(node.input_tensors) if x is tensor]
    return bool(readers) and all(_reads_indices(reader, place) for reader, place in readers)


def _reads_indices(reader, place):
    if isinstance(reader, keras.Model) and is_functional(reader):
        return holds_indices(reader, reader.inputs[place])
    # In a graph, Keras makes the mask of an Embedding by a NotEqual.
    return isinstance(reader, keras.layers.Embedding) or type(reader).__name__ == "NotEqual"


def has_time_axis(tensor, dtype):
    """Whether the first axis after the batch is time: its length is open, features follow it, or the input holds word
    indices or a mask."""
    shape = tensor.shape[1:]
    return len(shape) > 1 or (len(shape) == 1 and (shape[0] is None or "float" not in dtype))


def given_shape(tensor, time_steps):
    """Returns the input's shape without its batch axis."""
    shape = list(tensor.shape[1:])
    name = plain_name(tensor.name)
    if shape and shape[0] is None:
        if time_steps is None:
            raise ValueError(
                f"input '{name}' has an open time axis, {tuple(tensor.shape)}: give time_steps, the length of an "
                "input, or stateful=True, for one step per inference of an endless stream."
            )
        shape[0] = int(time_steps)
    elif time_steps is not None and len(shape) > 1 and shape[0] != time_steps:
        raise ValueError(f"time_steps is {time_steps}, but input '{name}' has the fixed shape {tuple(tensor.shape)}.")
    return tuple(shape)


def plain_name(name):
    return name.split("/")[-1].split(":")[0]
