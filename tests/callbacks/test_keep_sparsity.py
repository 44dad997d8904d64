"""A pruned model that is trained on keeps its zeros."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.callbacks import KeepSparsity
from keras_sparse_rnn.sparsity import find_kernels, measure, measure_kernels

X = np.random.default_rng(0).normal(size=(16, 4, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 2)).astype("float32")


def pruned_model(**arguments):
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4, 3)), layers.GRU(8, name="gru"), layers.Dense(2, name="out")])
    if arguments:
        ksr.prune(model, **arguments)
    model.compile(optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True), "mse")
    return model


def kernels(model):
    return [keras.ops.convert_to_numpy(kernel.variable.value).copy() for kernel in find_kernels(model, "all")[0]]


@pytest.mark.backend
def test_zeros_stay_and_all_else_is_trained(recwarn):
    model = pruned_model(sparsity=0.75, layers="all")
    before = kernels(model)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[KeepSparsity()])
    assert set(measure_kernels(model, "all").values()) == {0.75}
    for old, new in zip(before, kernels(model), strict=True):
        assert np.array_equal(old == 0, new == 0)
        assert np.all(old[old != 0] != new[old != 0])
    assert not [w for w in recwarn if "KeepSparsity" in str(w.message)]
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert measure(model, "all") == 0


def test_blocks_only():
    model = pruned_model(sparsity=0.5, block_shape=(1, 1))
    keep = KeepSparsity("gru", (1, 2))
    model.fit(X, Y, verbose=0, callbacks=[keep])
    assert measure(model) == pytest.approx(keep.masks.sparsity)
    assert 0.1 < keep.masks.sparsity < 0.4


def test_a_dense_model_is_told():
    model = pruned_model()
    with pytest.warns(
        UserWarning, match="KeepSparsity finds no zeros to keep in gru/gru_cell/kernel, gru/gru_cell/rec"
    ):
        model.fit(X, Y, verbose=0, callbacks=[KeepSparsity()])


def test_frozen_layers_need_no_word(recwarn):
    model = pruned_model(sparsity=0.5)
    model.get_layer("out").trainable = False
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0, callbacks=[KeepSparsity()])
    assert measure(model) == 0.5
    assert not [w for w in recwarn if "KeepSparsity" in str(w.message)]
