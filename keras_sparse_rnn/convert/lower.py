"""Converts the rest of the model, without the recurrent layers, with TensorFlow Lite's converter."""

import contextlib
import logging
import os
import warnings
from dataclasses import dataclass

import keras
import numpy as np

from keras_sparse_rnn.formats import FLOAT32


@dataclass(frozen=True, eq=False)
class Rest:
    """The converted rest.

    Attributes:
        data: Its `.tflite` bytes; None if nothing is left to convert.
        inputs, outputs: Its inputs and outputs as symbolic tensors of the plan, in the order of the file.
        layers: The Keras layers in it.
    """

    data: bytes | None
    inputs: list
    outputs: list
    layers: list

    def numbers(self, file):
        """Dict from the id of each symbolic tensor to its number in a `ModelFile` of the data."""
        if self.data is None:
            return {}
        ends = [*file.graphs[0].inputs, *file.graphs[0].outputs]
        return {id(tensor): number for tensor, number in zip([*self.inputs, *self.outputs], ends, strict=True)}


def lower(plan, calibration, number_format, learned=None):
    """Converts the part of the model that is not recurrent.

    Args:
        plan: The `Plan`.
        calibration: Dict from the id of each symbolic tensor that the rest may take as input to its values on the
            representative data; used for integer models only.
        number_format: A `NumberFormat`.
        learned: A `LearnedScales` that gives the scales; the calibration is then not used.

    Returns:
        A `Rest`.

    Raises:
        ValueError: TensorFlow Lite has no builtin op for a layer of the rest.
    """
    given, wanted = ({id(tensor): tensor for tensor in tensors} for tensors in (plan.given, plan.read))
    outputs = [tensor for key, tensor in wanted.items() if key not in given]
    if not outputs:
        return Rest(None, [], [], [])
    used = {key for tensor in outputs for key in plan.sources[id(tensor)]}
    inputs = [tensor for key, tensor in given.items() if key in used]
    model = keras.Model(inputs, outputs)
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    return Rest(_to_tflite(model, inputs, calibration, number_format, learned), inputs, outputs, layers)


def lower_float32(call):
    """Converts a `FloatCall` alone to the bytes of a `.tflite` file, with its inputs in their order.

    Raises:
        ValueError: TensorFlow Lite has no builtin op for the layer.
    """
    return _to_tflite(call.model, call.read, {}, FLOAT32)


def _to_tflite(model, inputs, calibration, number_format, learned=None):
    import tensorflow as tf

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs]

    def call(*tensors):
        if learned is None:
            return model(list(tensors), training=False)
        with learned.in_the_graph(model):
            return model([learned.fake(x, learned.of(s)) for s, x in zip(inputs, tensors, strict=True)], training=False)

    function = tf.function(call, autograph=False)
    with _quiet():
        # From a function, because a model would be written to disk as a SavedModel and read again.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(*specs)])
        if number_format.is_integer:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if learned is None:
                converter.representative_dataset = lambda: _batches(inputs, calibration)
            # With scales in the graph, this set would still require data.
            sets = tf.lite.OpsSet
            ops, dtype = sets.TFLITE_BUILTINS_INT8 if learned is None else sets.TFLITE_BUILTINS, tf.int8
            if number_format.activation_bits == 16:
                ops, dtype = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, tf.int16
            converter.target_spec.supported_ops = [ops]
            converter.inference_input_type = converter.inference_output_type = dtype
        try:
            return converter.convert()
        except Exception as error:
            names = ", ".join(f"{layer.name} ({type(layer).__name__})" for layer in model.layers)
            way_out = " Take weights='int8', or 'float32'." if number_format.activation_bits == 16 else ""
            raise ValueError(
                f"TensorFlow Lite's converter refused the remaining layers ({names}): {error}{way_out}"
            ) from error


def _batches(inputs, calibration):
    """Yields the values of each input, as many samples at a time as the model takes."""
    columns = [(np.asarray(calibration[id(t)], t.dtype), t.shape) for t in inputs]
    size = max(shape[0] for _, shape in columns)
    for first in range(0, min(len(values) for values, _ in columns), size):
        yield [np.resize(values[first : first + size], shape) for values, shape in columns]


@contextlib.contextmanager
def _quiet():
    """Hides the converter's progress, which C++ and Python write to stderr and stdout, from the user."""
    saved = [os.dup(1), os.dup(2)]
    handlers = list(logging.root.handlers)
    try:
        with open(os.devnull, "w") as nothing, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
            with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
                yield
    finally:
        logging.root.handlers[:] = handlers  # a handler that the converter adds would write to a closed file later
        for number, copy in enumerate(saved, start=1):
            os.dup2(copy, number)
            os.close(copy)
