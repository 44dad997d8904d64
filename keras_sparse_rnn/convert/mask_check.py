"""Whether a plan hands masks on as Keras does, on sequences of which some steps are masked."""

import keras
import numpy as np

from keras_sparse_rnn.convert.observe import run_keras
from keras_sparse_rnn.convert.recurrent.converter import copy_layer
from keras_sparse_rnn.convert.traced import call_layers, is_functional

_SAMPLES = 32
_FEW = 4  # of them may differ: where a threshold lies within rounding, events differ
_TOLERANCE = 1e-3


def check_masks(model, cut, data):
    """Compares the plan's Keras model with the model itself, each chunk from clear states.

    Args:
        model: The Keras model.
        cut: Its `Plan`.
        data: Arrays `(samples, chunks, *shape)`, of which some steps are masked here.

    Raises:
        ValueError: An output depends on masks in another way.
    """
    if not (cut.masks or cut.gates or any(call.mask is not None for call in cut.calls)):
        return
    chunks = _masked_chunks(cut, data)
    expected = _run_whole(model, chunks)
    if expected is None:
        return
    ours = run_keras(cut, [chunk[:, None] for chunk in chunks])
    for name, values, wanted in zip(cut.output_names, ours, expected, strict=True):
        largest = np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0)
        equal = np.isclose(values[:, 0], wanted, rtol=0, atol=_TOLERANCE * largest, equal_nan=True)
        if np.count_nonzero(~equal.reshape(_SAMPLES, -1).all(axis=1)) > _FEW:
            raise ValueError(
                f"output '{name}' depends on masks that are passed on in a way that cannot be converted: give each "
                "layer the mask of its input, or one that is an input of the model."
            )


def _masked_chunks(cut, data):
    """Chunks of the data, in which half of the steps are masked, at random places."""
    rng = np.random.default_rng(0)
    chunks = [np.resize(array.reshape(-1, *array.shape[2:]), (_SAMPLES, *array.shape[2:])) for array in data]
    places = {id(tensor): place for place, tensor in enumerate(cut.inputs)}
    for place, tensor in enumerate(cut.inputs):
        if tensor.dtype == "bool":
            chunks[place] = rng.random(chunks[place].shape) < 0.5
    for masks, value in [(cut.gates, None), *(([mask], mask.value) for mask in cut.masks)]:
        for tensor in [mask.x for mask in masks if id(mask.x) in places]:
            x = chunks[places[id(tensor)]]
            masked = rng.random(x.shape[:2]) < 0.5
            for t in range(x.shape[1]):
                still = x[:, t - 1] if t else np.zeros_like(x[:, 0])
                x[masked[:, t], t] = still[masked[:, t]] if value is None else value
    return chunks


def _run_whole(model, chunks):
    """The model's outputs, a list of arrays, without states from before; None where a nested layer keeps some."""
    if any(_keeps_states(layer) and layer not in model.layers for layer in model._flatten_layers()):
        return None
    inputs = [keras.Input(batch_shape=chunk.shape, dtype=str(chunk.dtype)) for chunk in chunks]
    return keras.tree.flatten(keras.Model(inputs, on_other_inputs(model, inputs)).predict_on_batch(chunks))


def on_other_inputs(model, inputs):
    """The outputs of a model's layers on inputs of another length, without states from before; a flat list."""

    def call(layer, *args, **kwargs):
        if isinstance(layer, keras.Model) and is_functional(layer):
            results = on_other_inputs(layer, keras.tree.flatten(args))
            return results[0] if len(results) == 1 else results
        return (copy_layer(layer, stateful=False) if _keeps_states(layer) else layer)(*args, **kwargs)

    return call_layers(model, inputs, call)


def _keeps_states(layer):
    return getattr(layer, "stateful", False) is True
