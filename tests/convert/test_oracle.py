"""Our ops beside builtin ones: a cell of Keras as a graph of one step, in stock LiteRT and TensorFlow Lite Micro."""

import contextlib
import io

import keras
import numpy as np
from zoo import ENGINES, LAYERS, WITH_OTHER_ACTIVATIONS, by_kind, converted, error_by_sample, member

import keras_sparse_rnn as ksr
from keras_sparse_rnn.runtime.model import Model

# Whose builtin ops TensorFlow Lite Micro lacks: SELECT, and TILE of the ONLSTM's chunks.
ORACLES_NOT_FOR_TFLM = {kind for kind in LAYERS if "Delta" in kind} | {"ONLSTM"}


def _one_step(cells, inputs):
    """A `.tflite` of builtin ops from x and the states before to the output and the states after."""
    import tensorflow as tf

    y = x = keras.Input(batch_shape=(1, inputs), name="x")
    before, after = [], []
    for cell in map(_renamed, cells, ("first_cell", "second_cell")):
        sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
        states = [keras.Input(batch_shape=(1, size), name=f"state_{len(before) + i}") for i, size in enumerate(sizes)]
        y, new = cell(y, states)
        before, after = before + states, after + keras.tree.flatten(new)
    model = keras.Model([x, *before], {"y": y} | {f"after_{i}": state for i, state in enumerate(after)})
    with contextlib.redirect_stdout(io.StringIO()):
        return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def _renamed(cell, name):
    """The same cell, as names in a model must differ."""
    copy = type(cell).from_config({**cell.get_config(), "name": name})
    copy.build_from_config(cell.get_build_config())
    copy.set_weights(cell.get_weights())
    return copy


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


@by_kind(
    "EventGRU", "GRU", "GRU, reset before", "LSTM", "DeltaLSTM", "LSTM, hard", of=(*LAYERS, *WITH_OTHER_ACTIVATIONS)
)
def test_builtin_ops_of_one_step_say_the_same(kind):
    this = member(kind)
    x = this.x[:6]
    data = _one_step([layer.cell for layer in this.model.layers], x.shape[-1])
    assert not any(op.is_custom for op in Model(data).operators)
    for name in ("litert", "tflm"):
        if name not in ENGINES or (name == "tflm" and kind in ORACLES_NOT_FOR_TFLM):
            continue
        theirs = ksr.runtime.load(data, name)
        expected = np.stack([_run(theirs, data, sequence) for sequence in x])
        unit = max(1, np.abs(expected).max() / 2)  # states may go beyond 1
        # All of a DeltaSimpleRNN's state is int8, rounded at each step, and what changes may be sent a step later.
        # Master gates of few chunks make the outputs of an ONLSTM small.
        of_int8 = {"DeltaSimpleRNN": 0.04, "ONLSTM": 0.005}.get(kind, 0.02)
        for weights, limit in (("float32", 1e-5 * unit), ("int8", of_int8 * unit)):
            ours = converted(kind, weights=weights).predict(x, name)
            # Events and changes within rounding of their threshold may be sent in one and not in the other.
            error = (
                np.median(error_by_sample(ours, expected)) if weights == "float32" else np.abs(ours - expected).mean()
            )
            assert error <= limit, (name, weights)
        assert np.std(expected) > (0.02 if kind == "ONLSTM" else 0.03)
