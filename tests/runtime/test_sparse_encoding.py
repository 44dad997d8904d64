"""LiteRT's sparse encoding of constants: what is taken, and what is refused at load."""

import numpy as np
import pytest
from adapter_models import edited, sparse_constant, sparse_fully_connected, with_state

from keras_sparse_rnn import runtime
from keras_sparse_rnn.runtime.model import Model

by_dtype = pytest.mark.parametrize("dtype", [np.int8, np.float32])


def _weights(file):
    return next(tensor for tensor in file.subgraphs[0].tensors if tensor.sparsity is not None)


def _change(vector, place, value):
    def edit(file):
        found = getattr(_weights(file).sparsity.dimMetadata[1], vector)
        found.values = np.array(found.values)
        found.values[place] = value

    return edit


def _shorten(vector):
    def edit(file):
        found = getattr(_weights(file).sparsity.dimMetadata[1], vector)
        found.values = np.array(found.values)[:-1]

    return edit


def _swap(file):
    _weights(file).sparsity.traversalOrder = [1, 0, 2]


def _halve_block(file):
    _weights(file).sparsity.dimMetadata[2].denseSize //= 2


def _widen(file):
    _weights(file).shape = np.array(_weights(file).shape) + np.array([1, 0])


def _drop_values(file):
    buffer = file.buffers[_weights(file).buffer]
    buffer.data = buffer.data[:-16]


def _no_values(file):
    _weights(file).buffer = 0


@by_dtype
@pytest.mark.parametrize(
    "edit",
    [
        _change("arrayIndices", -1, 200),
        _change("arraySegments", 0, 1),
        _change("arraySegments", 3, 250),
        _change("arraySegments", -1, 0),
        *(_shorten("arrayIndices"), _shorten("arraySegments"), _swap, _halve_block, _widen, _drop_values, _no_values),
    ],
)
def test_damage_is_refused(dtype, edit):
    with pytest.raises(ValueError, match="sparse"):
        runtime.load(edited(sparse_fully_connected(dtype), edit))


@by_dtype
def test_only_ops_that_read_it_may(dtype):
    model, _ = with_state("KsrGru", dtype)
    with pytest.raises(ValueError, match="op KsrGru reads tensor ., which is in a sparse encoding"):
        Model(edited(model, sparse_constant))


@pytest.mark.parametrize("width", [16, 24])
def test_what_tensorflow_writes_is_taken(width):
    """A pattern that it leaves to FULLY_CONNECTED and one that it leaves to DENSIFY."""
    import keras
    import tensorflow as tf

    model = keras.Sequential([keras.Input((width,)), keras.layers.Dense(16)])
    rng = np.random.default_rng(0)
    blocks = np.repeat(rng.random((width // 4, 16)) < 0.2, 4, axis=0) if width == 16 else rng.random((width, 16)) < 0.2
    model.layers[0].set_weights([rng.normal(size=(width, 16)) * blocks, np.zeros(16)])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    engine = runtime.load(converter.convert())
    assert ("DENSIFY" in [op.name for op in engine.model.operators]) == (width == 24)
    x = rng.normal(size=(3, width)).astype(np.float32)
    np.testing.assert_allclose(engine.predict(x), model.predict(x, verbose=0), atol=1e-5)
