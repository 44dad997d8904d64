"""Bytes of packed kernels, against those of converted models."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.ops.sparse_dense import SparseDense
from keras_sparse_rnn.tflite_file import ModelFile

pytest.importorskip("tensorflow")

X = np.random.default_rng(0).normal(size=(8, 5, 20)).astype("float32")


def stacked(*recurrent):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((5, 20)), *recurrent, layers.Dense(48, name="out")])


def bytes_of_dense(converted):
    """Bytes of the kernel of the last layer in the file."""
    file = ModelFile(converted.data)
    [op] = [op for op in file.operators if op.name in ("KsrSparseDense", "FULLY_CONNECTED")]
    inputs = [file.tensors[i] if i >= 0 else None for i in op.inputs]
    if op.name == "FULLY_CONNECTED":
        return inputs[1].nbytes
    return sum(t.data.nbytes for name, t in SparseDense.SCHEMA.named(inputs).items() if "kernel" in name)


def compare(model):
    """Compares the profile with the converted model, whose report is returned."""
    for weights in model.trainable_variables:  # so far from zero that rounding makes none of them zero
        w = keras.ops.convert_to_numpy(weights)
        weights.assign(np.where(w == 0, 0.1 * ("bias" in weights.path), np.copysign(0.2, w) + 0.1 * w))
    converted = ksr.convert(model, X, verify=False)
    *recurrent, dense = ksr.profile(model).layers
    assert [layer.packed_bytes for layer in recurrent] == [layer.bytes for layer in converted.report.layers]
    assert dense.packed_bytes == bytes_of_dense(converted)
    return converted.report


def test_they_are_those_of_the_file():
    blocks = {"gru": (16, 1), "lstm": (1, 16), "dense": None, "events": (1, 4), "out": (4, 1)}
    model = stacked(
        layers.GRU(32, return_sequences=True, name="gru"),
        layers.LSTM(32, return_sequences=True, name="lstm"),
        layers.GRU(16, return_sequences=True, name="dense"),
        ksr.layers.EventGRU(32, name="events"),
    )
    for name, block in blocks.items():
        if block:
            ksr.prune(model, 0.9, block, layers=[name], keep_diagonal=name == "events")
    report = compare(model)
    assert [layer.storage for layer in report.layers] == [
        ("blocks of 4x1", "blocks of 16x1"),
        ("blocks of 1x16", "blocks of 1x16"),
        ("dense", "dense"),
        ("blocks of 1x4", "blocks of 1x4"),
    ]
    assert report.dense[0].stored == "blocks of 4x1"


@pytest.mark.slow
@pytest.mark.parametrize("block_shape", [None, (1, 4), (1, 8), (1, 16), (4, 1), (16, 1)])
def test_of_every_kind_of_layer(block_shape):
    last = layers.RNN([layers.GRUCell(16), ksr.layers.EventGRUCell(17)], name="cells")
    model = stacked(
        layers.GRU(32, return_sequences=True),
        layers.GRU(20, reset_after=False, return_sequences=True),
        layers.LSTM(21, return_sequences=True),
        layers.SimpleRNN(32, return_sequences=True),
        ksr.layers.LightGRU(24, return_sequences=True),
        ksr.layers.ONLSTM(32, 2, return_sequences=True),
        ksr.layers.RecurrentHighway(32, depth=2, return_sequences=True),
        ksr.layers.DeltaGRU(32, 0.01, 0.01, return_sequences=True),
        ksr.layers.DeltaLSTM(32, 0.01, 0.01, return_sequences=True),
        last,
    )
    if block_shape is not None:
        ksr.prune(model, 0.9, block_shape)
        ksr.prune(model, 0.9, block_shape, layers=["out"])
    compare(model)


def test_a_layer_without_an_op_is_dense():
    of_its_own = layers.GRU(8, activation=lambda x: x, return_sequences=True)
    model = keras.Sequential(
        [keras.Input((5, 20)), of_its_own, layers.Conv1D(4, 3), layers.EinsumDense("btc,cd->btd", (3, 4))]
    )
    ksr.prune(model, 0.9, (1, 4))
    assert [layer.packed_bytes for layer in ksr.profile(model).layers] == [
        layer.weights for layer in ksr.profile(model).layers
    ]
