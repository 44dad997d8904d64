"""Checks whether the representative data fit the model, and converts them to the form that all steps of a conversion
use."""

import numpy as np

from keras_sparse_rnn.inputs import check_array

_UNGIVEN_SAMPLES = 8  # random inputs to verify a float model on
_UNGIVEN_CHUNKS = 4


def check_data(cut, data, stateful, learned=None):
    """Returns the representative data as a list of arrays `(samples, chunks, *shape)`, one for each input. If none were
    given, they are random, within the learned ranges."""
    shapes = [tuple(tensor.shape[1:]) for tensor in cut.inputs]
    if data is None:
        generator = np.random.default_rng(0)
        lead = (_UNGIVEN_SAMPLES, _UNGIVEN_CHUNKS if stateful else 1)
        if learned is not None:
            return [learned.sample(tensor, lead, generator) for tensor in cut.inputs]
        return [
            generator.standard_normal((*lead, *shape)).astype(np.float32)
            if "float" in tensor.dtype
            else generator.integers(0, 2, (*lead, *shape)).astype(tensor.dtype)
            for tensor, shape in zip(cut.inputs, shapes, strict=True)
        ]
    if isinstance(data, dict):
        if set(data) != set(cut.input_names):
            raise ValueError(f"representative_data must have the keys {cut.input_names}; given: {sorted(data)}.")
        data = [data[name] for name in cut.input_names]
    elif not isinstance(data, (list, tuple)):
        data = [data]
    if len(data) != len(shapes):
        raise ValueError(f"representative_data must hold {len(shapes)} arrays, one for each input; given: {len(data)}.")
    data = [np.asarray(array) for array in data]
    chunked = []
    for name, shape, tensor, timed, array in zip(cut.input_names, shapes, cut.inputs, cut.has_time, data, strict=True):
        if tensor.dtype == "int32" and np.issubdtype(array.dtype, np.floating):
            array = _whole_numbers(array)
        kind = np.floating if "float" in tensor.dtype else np.bool_ if tensor.dtype == "bool" else np.integer
        if not np.issubdtype(array.dtype, kind):
            raise ValueError(
                f"representative_data for input '{name}' must have {'an' if kind is np.integer else 'a'} "
                f"{kind.__name__} dtype ({tensor.dtype}); given: {array.dtype}."
            )
        timed = timed and stateful
        chunks = array.shape[1] // shape[0] if timed and array.ndim > 1 else 1
        expected = (chunks * shape[0], *shape[1:]) if timed else shape
        shown = (f"a multiple of {shape[0]} steps", *shape[1:]) if timed else shape
        check_array(f"representative_data for input '{name}'", array, expected, data[0].shape[:1], shown)
        chunked.append(array.reshape(len(array), chunks, *shape))
    most = max(array.shape[1] for array in chunked)
    for name, timed, array in zip(cut.input_names, cut.has_time, chunked, strict=True):
        if timed and array.shape[1] != most:
            raise ValueError(
                f"representative_data for input '{name}' must be as long as that of the other inputs, {most} chunks of "
                f"time_steps; given: {array.shape[1]}."
            )
    return [np.broadcast_to(array, (len(array), most, *array.shape[2:])) for array in chunked]


def _whole_numbers(array):
    """Returns floats as int32 if that changes none of them, and otherwise unchanged."""
    with np.errstate(invalid="ignore"):
        integers = array.astype(np.int32)
    return integers if np.array_equal(integers, array) else array
