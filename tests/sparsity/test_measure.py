import keras
import numpy as np
import pytest

from keras_sparse_rnn.sparsity import measure, measure_kernels


@pytest.mark.backend
def test_measure_counts_exact_zeros():
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4, name="gru"), keras.layers.Dense(2, name="out")])
    kernel = model.layers[0].cell.kernel
    w = np.ones(kernel.shape)
    w[0] = 0
    kernel.assign(w)
    assert measure_kernels(model) == {"gru/gru_cell/kernel": 1 / 3, "gru/gru_cell/recurrent_kernel": 0}
    assert measure(model) == 12 / 84
    assert measure(model, "out") == 0
    model.trainable = False
    assert measure(model) == 12 / 84  # frozen or not
    with pytest.raises(ValueError, match=r"has no kernel to measure. Skipped: \{'dense"):
        measure(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")]))
