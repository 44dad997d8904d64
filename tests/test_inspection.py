"""What `inspect` says of files, ours and others."""

import gzip
import json
import sys

import keras
import numpy as np
import pytest
from event_models import event_model, prune, sequences
from keras.layers import GRU, Dense

import keras_sparse_rnn as ksr
from keras_sparse_rnn.cli import main
from keras_sparse_rnn.firmware import save_firmware
from keras_sparse_rnn.firmware.bench import bench
from keras_sparse_rnn.progress import Progress
from keras_sparse_rnn.report.facts import gather
from keras_sparse_rnn.runtime.model import Model

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs TensorFlow")


@pytest.fixture(scope="module")
def converted():
    model = event_model([GRU(32, return_sequences=True, name="gru"), Dense(5, name="classes")])
    prune(model.layers[0])
    return ksr.convert(model, sequences(), stateful=True, time_steps=3, labels=["a", "b", "c", "d", "e"], verify=False)


def test_ops_and_totals(converted):
    inspection = ksr.inspect(converted.data)
    (gru, dense), file = inspection.ops, Model(converted.data)
    layer = converted.report.layers[0]
    assert (gru.name, gru.is_custom, gru.block, gru.output) == ("KsrGru", True, "1x4", (1, 3, 32))
    assert gru.zeros == pytest.approx(layer.sparsity) and 0.85 < gru.zeros < 0.95
    bias = 4 * 32 * 4
    assert (gru.bytes, gru.dense_bytes) == (layer.bytes + bias, layer.dense_bytes + bias)
    assert gru.macs == 3 * (7 + 32) * 3 * 32
    assert (dense.name, dense.macs, dense.bytes, dense.block) == ("FULLY_CONNECTED", 3 * 32 * 5, 160, None)
    assert gru.effective_macs == pytest.approx((1 - gru.zeros) * gru.macs) and dense.effective_macs == dense.macs
    assert inspection.macs == gru.macs + dense.macs
    assert inspection.effective_macs == gru.effective_macs + dense.effective_macs
    assert inspection.weight_bytes == gru.bytes + dense.bytes
    assert inspection.gzip_weight_bytes < inspection.dense_weight_bytes
    assert inspection.file_bytes == len(converted.data)
    assert inspection.gzip_bytes == len(gzip.compress(converted.data, mtime=0))
    assert inspection.state_bytes == 32 * 2  # int16
    for ours, tensor in zip((*inspection.inputs, *inspection.outputs), (*file.inputs, *file.outputs), strict=True):
        assert (ours.name, ours.shape, ours.dtype, ours.scales) == (tensor.name, tensor.shape, "int8", 1)
        assert (ours.scale_range, ours.zero_point) == ((tensor.scale, tensor.scale), tensor.zero_point)
    scale = f"scale {file.inputs[0].scale:.6g}, zero point {file.inputs[0].zero_point}"
    assert f"input {file.inputs[0].name} int8 (1, 3, 7): 21 bytes, {scale}\n" in str(inspection)
    assert [t.name for t in gru.tensors if t.is_variable] == ["gru/h"]
    assert inspection.register == ("AddFullyConnected", "KsrGru")


def test_memory_and_engines(converted):
    inspection = ksr.inspect(converted.data)
    assert {name: inspection.engines[name] for name in ("litert", "native", "reference")} == dict.fromkeys(
        ("litert", "native", "reference")
    )
    if inspection.engines["tflm"] is None:
        memory = converted.engine("tflm").memory
        assert (inspection.arena_bytes, inspection.persistent_bytes) == (
            memory["arena_size"],
            memory["persistent_bytes"],
        )
    assert converted.report.inspection.engines == {} and converted.report.inspection.ops == inspection.ops


def test_what_convert_returns_is_taken_where_a_file_is(converted, tmp_path):
    assert ksr.inspect(converted, engines=()) == ksr.inspect(converted.data, engines=())
    x = sequences(steps=3)
    np.testing.assert_array_equal(ksr.runtime.load(converted, "native").predict(x), converted.predict(x, "native"))
    assert save_firmware(converted, tmp_path / "a").files == save_firmware(converted.data, tmp_path / "b").files
    assert [op.name for op in bench(converted, cpu="host", rounds=1).ops] == ["KsrGru"]
    with Progress("report") as progress:
        facts = gather(converted, None, None, {}, progress)
    assert facts.conversion is converted.report and [op.layer for op in facts.ops] == ["gru", ""]
    assert facts.inspection.ops == converted.report.inspection.ops


def test_a_constant_that_ops_share_counts_once():
    model = keras.Sequential([keras.Input((9, 3), batch_size=1), GRU(8, unroll=True)])
    inspection = ksr.inspect(_lite(model), engines=())
    products = [op.bytes for op in inspection.ops if op.name == "FULLY_CONNECTED"]
    kernel, recurrent_kernel = 4 * 3 * 24, 4 * 8 * 24
    assert products.count(kernel) == 9 and products.count(recurrent_kernel) == 8  # the first step has a state of zeros
    assert 0 < inspection.weight_bytes - kernel - recurrent_kernel < 100
    assert inspection.dense_weight_bytes == inspection.weight_bytes


def test_metadata(converted):
    noted = Model(converted.data).metadata
    assert noted["version"] == ksr.__version__ and noted["labels"] == ["a", "b", "c", "d", "e"]
    assert (noted["weights"], noted["target"], noted["stateful"], noted["time_steps"]) == ("int8", "tflm", True, 3)
    assert noted["sparsity"] == pytest.approx(converted.report.layers[0].sparsity)
    assert json.loads(ksr.inspect(converted.data, engines=()).metadata["keras_sparse_rnn"]) == noted


def _lite(model, sparse=False):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if sparse:
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    return converter.convert()


def test_other_peoples_files():
    model = keras.Sequential(
        [keras.Input((8, 8, 1), batch_size=1), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), Dense(3)]
    )
    inspection = ksr.inspect(_lite(model))
    conv, _, dense = inspection.ops
    assert (conv.name, conv.macs) == ("CONV_2D", 36 * 4 * 9) and dense.macs == 144 * 3
    assert inspection.register == ("AddConv2D", "AddFullyConnected", "AddReshape")
    assert inspection.engines["litert"] is inspection.engines["native"] is None


def test_a_file_with_control_flow():
    inspection = ksr.inspect(_lite(keras.Sequential([keras.Input((5, 3), batch_size=1), GRU(4)])))
    assert "WHILE" in [op.name for op in inspection.ops]
    assert "control flow, 3 subgraphs; the engines here run one" in inspection.engines["litert"]


def test_quantized_convolutions():
    import tensorflow as tf

    layers = [keras.layers.DepthwiseConv2D(3), keras.layers.MaxPooling2D(), keras.layers.Conv2DTranspose(4, 2)]
    model = keras.Sequential([keras.Input((10, 10, 3), batch_size=1), *layers, keras.layers.Flatten(), Dense(3)])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    data = np.random.default_rng(0).normal(size=(4, 1, 10, 10, 3)).astype(np.float32)
    converter.representative_dataset = lambda: ([x] for x in data)
    inspection = ksr.inspect(converter.convert())
    macs = {op.name: op.macs for op in inspection.ops}
    assert (macs["DEPTHWISE_CONV_2D"], macs["TRANSPOSE_CONV"]) == (8 * 8 * 3 * 9, 4 * 4 * 3 * 4 * 4)
    assert inspection.effective_macs == inspection.macs == sum(macs.values())
    scales = {op.name: max(t.scales for t in op.tensors) for op in inspection.ops if op.macs}
    assert scales == {"DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 4, "FULLY_CONNECTED": 3}


def test_a_file_in_the_sparse_encoding():
    model = keras.Sequential([keras.Input((64,), batch_size=1), Dense(64, use_bias=False)])
    weights = np.zeros((64, 64), np.float32)
    weights[:4, :8] = 1
    model.set_weights([weights])
    (dense,) = ksr.inspect(_lite(model, sparse=True), engines=("litert",)).ops[-1:]
    (tensor,) = [tensor for tensor in dense.tensors if tensor.encoding == "sparse"]
    assert dense.dense_bytes == 64 * 64 * 4 and dense.bytes == tensor.bytes < 1000
    assert dense.zeros == pytest.approx(1 - 32 / 64**2)
    assert (dense.macs, dense.effective_macs) == (64 * 64, 32)


def test_weights_of_the_sparse_encoding_are_zipped_as_dense_ones():
    model = keras.Sequential([keras.Input((64,), batch_size=1), Dense(64, use_bias=False)])
    rng = np.random.default_rng(0)
    model.set_weights([np.where(np.repeat(rng.random((16, 64)) < 0.1, 4, axis=0), rng.normal(size=(64, 64)), 0)])
    sparse = ksr.inspect(_lite(model, sparse=True), engines=())
    dense = ksr.inspect(_lite(model), engines=())
    assert sparse.weight_bytes < 0.2 * dense.weight_bytes == 0.2 * sparse.dense_weight_bytes
    assert sparse.gzip_weight_bytes == dense.gzip_weight_bytes


def test_the_verb(converted, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    converted.save(path)
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "KsrGru" in text and "1x4" in text and "ops to register: AddFullyConnected, KsrGru" in text
    assert main(["inspect", str(path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["file_bytes"] == len(converted.data) and printed["ops"][0]["tensors"][0]["name"] == "gru/kernel"


@pytest.mark.parametrize("content", [None, b"no model", b"\x1c\0\0\0TFL3" + b"\xff" * 40])
def test_failures_are_one_line(content, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    assert main(["inspect", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("keras-sparse-rnn inspect: ") and error.count("\n") == 1


def test_bad_use(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["inspect"])
    assert stopped.value.code == 2 and "usage" in capsys.readouterr().err


def test_inspecting_needs_no_interpreter(converted, monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    inspection = ksr.inspect(converted.data, engines=("tflm",))
    assert "pip install" in inspection.engines["tflm"] and inspection.arena_bytes is None
