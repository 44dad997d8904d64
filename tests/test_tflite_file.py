"""A `.tflite` file that is read and built again says the same; an edit changes what it names and nothing else."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import keras_sparse_rnn as ksr
from keras_sparse_rnn.tflite_file import ModelFile


def _from_tensorflow(kind):
    """Files that TensorFlow Lite's converter wrote: shape signatures, several graphs, ranges of values, a signature."""
    import tensorflow as tf

    x = keras.Input((6, 4), batch_size=1 if kind == "while loop" else None)
    if kind == "while loop":
        y = keras.layers.GRU(3)(x)
    else:
        y = keras.layers.Dense(3, activation="relu")(keras.layers.Conv1D(5, 3)(x))
    model = keras.Model(x, y)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind == "int8":
        values = np.random.default_rng(0).normal(size=(4, 1, 6, 4)).astype(np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in values)
    return converter.convert()


def _converted(weights, target):
    keras.utils.set_random_seed(0)
    x = keras.Input((6, 4))
    y = ksr.layers.EventGRU(8, return_sequences=True)(keras.layers.Dense(121)(x))
    model = keras.Model(x, keras.layers.Dense(40)(keras.layers.Dense(121)(y)))
    ksr.prune(model, 0.9, (1, 4))
    data = np.random.default_rng(0).normal(size=(4, 6, 4)).astype(np.float32)
    return ksr.convert(model, data, weights=weights, target=target, stateful=True, verify=False).data


FILES = {
    "while loop": lambda: _from_tensorflow("while loop"),
    "float32 by TensorFlow": lambda: _from_tensorflow("float32"),
    "int8 by TensorFlow": lambda: _from_tensorflow("int8"),
    "int8 for TFLM": lambda: _converted("int8", "tflm"),
    "float32 for LiteRT": lambda: _converted("float32", "litert"),
}


@pytest.fixture(scope="module")
def files():
    return {name: make() for name, make in FILES.items()}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_built_as_it_was_read(files, name):
    """By the schema's own objects: in everything but the places where buffers and op codes lie."""
    data = files[name]
    built = ModelFile(data).build()
    assert _everything(schema.ModelT.InitFromPackedBuf(built)) == _everything(schema.ModelT.InitFromPackedBuf(data))
    assert ModelFile(built).differences(ModelFile(data)) == []


@pytest.mark.parametrize("name", ["while loop", "int8 by TensorFlow"])
def test_litert_computes_the_same_with_it(files, name):
    outputs = []
    for data in (files[name], ModelFile(files[name]).build()):
        interpreter = Interpreter(model_content=data)
        interpreter.allocate_tensors()
        given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        values = np.random.default_rng(1).normal(size=given["shape"]).astype(given["dtype"])
        interpreter.set_tensor(given["index"], values)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(made["index"]))
    assert np.any(outputs[0])
    np.testing.assert_array_equal(*outputs)


def _rename(file):
    file.tensors[0] = replace(file.tensors[0], name="speech")


def _scale(file):
    file.tensors[0] = replace(file.tensors[0], scale=0.5)


def _channels(file):
    number = next(i for i, tensor in enumerate(file.tensors) if np.size(tensor.scale) > 1)
    file.tensors[number] = replace(file.tensors[number], scale=file.tensors[number].scale * 2)


def _data(file):
    number, tensor = next((i, t) for i, t in enumerate(file.tensors) if t.data is not None)
    file.tensors[number] = replace(tensor, data=np.zeros_like(tensor.data))


def _version(file):
    file.operators[0] = replace(file.operators[0], version=7)


def _options(file):
    number, op = next((i, op) for i, op in enumerate(file.operators) if op.name == "CONV_2D")
    options = schema.Conv2DOptionsT()
    options.__dict__ |= vars(op.options) | {"strideW": 2}
    file.operators[number] = replace(op, options=options)


def _description(file):
    file.description = "mine"


def _metadata(file):
    file.metadata["note"] = b"mine"


def _shape(file):
    file.tensors[0] = replace(file.tensors[0], shape=(1, 2, 3))


EDITS = {
    _rename: [".name"],
    _scale: [".quantization.scale"],
    _channels: [".quantization.scale"],
    _data: [".buffer"],
    _version: [".opcodeIndex.version"],
    _options: [".builtinOptions.strideW"],
    _description: ["description"],
    _metadata: [".name", ".buffer"],
    _shape: [".shape"],
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_what_it_names(files, edit):
    data = files["int8 by TensorFlow"]
    file, before = ModelFile(data), ModelFile(data)
    edit(file)
    paths = [difference.split(":")[0] for difference in file.differences(before)]
    assert len(paths) == len(EDITS[edit])
    assert all(path.endswith(end) for path, end in zip(paths, EDITS[edit], strict=True))
    assert ModelFile(file.build()).differences(file) == []


def test_a_model_is_built_from_nothing():
    file = ModelFile()
    x, y = (file.add_tensor(name, (1, 3), np.float32) for name in ("x", "y"))
    file.add_tensor("unused", (5,), np.float32)
    half = file.add_tensor("half", (1,), np.float32, data=np.array([0.5], np.float32))
    file.add_operator("MUL", [x, half], [y], schema.MulOptionsT())
    file.set_ends({"given": x}, {"made": y})
    interpreter = Interpreter(model_content=file.build())
    run = interpreter.get_signature_runner()
    np.testing.assert_array_equal(run(given=np.array([[1, 2, 3]], np.float32))["made"], [[0.5, 1, 1.5]])
    assert [tensor.name for tensor in file.tensors] == ["given", "made", "half"]


def test_tensors_that_share_their_values_share_a_buffer():
    file, values = ModelFile(), np.arange(1000, dtype=np.float32)
    for name in ("a", "b"):
        file.add_tensor(name, values.shape, values.dtype, data=values)
    data = file.build()
    assert len(data) < 1.5 * values.nbytes
    again = ModelFile(data)
    assert len(again.build()) == len(data)
    np.testing.assert_array_equal(again.tensors[1].data, values)


def test_a_bias_may_have_the_quantized_dimension_of_its_weights():
    """Files of 2020 do, such as TensorFlow Lite Micro's person_detect.tflite."""
    file = ModelFile()
    file.add_tensor("bias", (3,), np.int32, data=np.arange(3, dtype=np.int32))
    file.tensors[0] = replace(file.tensors[0], scale=np.ones(3), zero_point=np.zeros(3, int), channel_axis=3)
    again = ModelFile(file.build())
    assert again.tensors[0].channel_axis == 3
    np.testing.assert_array_equal(again.tensors[0].scale, np.ones(3))
    assert again.differences(file) == []


def _everything(table, file=None):
    """A schema's object as plain values; of an absent vector and an empty one the same."""
    file = file or table
    if hasattr(table, "__dict__"):
        values = {name: _everything(value, file) for name, value in vars(table).items()}
        if "buffer" in values:
            values["buffer"] = _everything(file.buffers[table.buffer].data, file)
        if "opcodeIndex" in values:
            values["opcodeIndex"] = _everything(file.operatorCodes[table.opcodeIndex], file)
        if table is file:
            del values["buffers"], values["operatorCodes"]
        return values
    if isinstance(table, (list, tuple)):
        return [_everything(part, file) for part in table]
    if isinstance(table, np.ndarray):
        return table.tolist()
    return [] if table is None else table
