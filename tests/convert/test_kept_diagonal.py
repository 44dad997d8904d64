"""Recurrent kernels pruned in blocks with keep_diagonal, in a file."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.block_sparse import encode
from keras_sparse_rnn.ops.recurrent_schema import DIAGONAL
from keras_sparse_rnn.runtime.model import Model


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_the_diagonal_is_a_vector_of_the_file_and_saves_bytes(weights):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6, 8)), layers.GRU(32, name="gru"), layers.Dense(2)])
    ksr.prune(model, 0.85, (1, 8), keep_diagonal=True)
    x = np.random.default_rng(0).normal(size=(8, 6, 8)).astype("float32")
    converted = ksr.convert(model, x, weights=weights)
    read = Model(converted.data)
    op = next(op for op in read.operators if op.name == "KsrGru")
    names = [given.name for given in ALL_OPS[op.name].SCHEMA.inputs]
    stored = {name: read.tensors[i].data for name, i in zip(names, op.inputs, strict=False) if i >= 0}
    recurrent = model.get_layer("gru").cell.recurrent_kernel.numpy().reshape(32, 3, 32)
    diagonal = np.array([np.diag(recurrent[:, gate]) for gate in range(3)])
    given = stored[DIAGONAL].reshape(3, -1)[:, :32]
    if weights == "float32":
        np.testing.assert_array_equal(given, diagonal)
    assert np.corrcoef(given.ravel().astype(float), diagonal.ravel())[0, 1] > 0.9
    kind = stored["recurrent_kernel"].dtype
    in_blocks = min(encode((recurrent * 1000).astype(kind), block, (0, 1, 3)).nbytes for block in (4, 8, 16))
    taken = sum(part.nbytes for name, part in stored.items() if name.startswith("recurrent_kernel"))
    assert taken < 0.85 * in_blocks
    # Nothing of it is lost to what reads the file.
    zeros = np.mean(np.concatenate([w.numpy().ravel() for w in model.get_layer("gru").weights[:2]]) == 0)
    assert converted.report.layers[0].sparsity == pytest.approx(zeros, abs=0.01)
