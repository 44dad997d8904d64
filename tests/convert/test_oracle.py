"""Our ops beside builtin ones: a cell of Keras as a graph of one step, in stock LiteRT and TensorFlow Lite Micro."""

import contextlib
import importlib.util
import io

import keras
import numpy as np
import pytest
from event_models import event_model, sequences

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaGRU, EventGRU
from keras_sparse_rnn.runtime.model import Model

ENGINES = ["litert"] + (["tflm"] if importlib.util.find_spec("tflite_micro") else [])
LAYERS = {
    "EventGRU": lambda: EventGRU(8, return_sequences=True),
    "GRU": lambda: keras.layers.GRU(8, return_sequences=True),
    "GRU, reset before": lambda: keras.layers.GRU(8, return_sequences=True, reset_after=False),
    "DeltaGRU": lambda: DeltaGRU(8, 0.2, 0.05, return_sequences=True),
    "LSTM": lambda: keras.layers.LSTM(8, return_sequences=True),
    "SimpleRNN": lambda: keras.layers.SimpleRNN(8, return_sequences=True),
}


def _one_step(cell, inputs):
    """A `.tflite` of builtin ops from x and the states before to the output and the states after."""
    import tensorflow as tf

    x = keras.Input(batch_shape=(1, inputs), name="x")
    sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
    before = [keras.Input(batch_shape=(1, size), name=f"state_{i}") for i, size in enumerate(sizes)]
    y, after = cell(x, before)
    outputs = {"y": y} | {f"after_{i}": state for i, state in enumerate(keras.tree.flatten(after))}
    model = keras.Model([x, *before], outputs)
    with contextlib.redirect_stdout(io.StringIO()):
        return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def _names(data, signature):
    """Names in the signature of the model's inputs or outputs, in their order: lists, as an output may have two."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    runner = interpreter.get_signature_runner()
    details = runner.get_input_details() if signature == "inputs" else runner.get_output_details()
    places = interpreter.get_input_details() if signature == "inputs" else interpreter.get_output_details()
    return [[name for name, d in details.items() if d["index"] == place["index"]] for place in places]


def _run(engine, data, sequence):
    """The outputs of all steps, from zero states."""
    inputs, outputs = [name for (name,) in _names(data, "inputs")], _names(data, "outputs")
    values = {name: np.zeros(tensor.shape, np.float32) for name, tensor in zip(inputs, engine.inputs, strict=True)}
    ys = []
    for x in sequence:
        values["x"] = x[None]
        arrays = engine.invoke([values[name] for name in inputs])
        results = {name: array for names, array in zip(outputs, arrays, strict=True) for name in names}
        ys.append(results["y"][0])
        values |= {name.replace("after", "state"): result for name, result in results.items() if name != "y"}
    return np.array(ys)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_builtin_ops_of_one_step_say_the_same(layer):
    model, x = event_model([layer()]), sequences(samples=6)
    data = _one_step(model.layers[0].cell, x.shape[-1])
    assert not any(op.is_custom for op in Model(data).operators)
    for name in ENGINES[:1] if isinstance(model.layers[0], DeltaGRU) else ENGINES:  # TFLM has no SELECT
        theirs = ksr.runtime.load(data, name)
        expected = np.stack([_run(theirs, data, sequence) for sequence in x])
        for weights, limit in (("float32", 1e-5), ("int8", 0.02)):
            ours = ksr.convert(model, x, weights=weights, verify=False).predict(x, name)
            error = np.abs(ours - expected)
            # Events and changes within rounding of their threshold may be sent in one and not in the other.
            by_sample = error.reshape(len(x), -1).max(axis=1)
            assert (np.median(by_sample) if weights == "float32" else error.mean()) <= limit, (name, weights)
        assert np.std(expected) > 0.05
