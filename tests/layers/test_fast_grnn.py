"""FastGRNN: against Keras's GRU where they are the same, and against the paper's equations step by step."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse_rnn.layers import FastGRNN, FastGRNNCell

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
OPEN = 50.0  # sigmoid of it is 1


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def weights(zeta=0.5, nu=-1.0):
    rng = np.random.default_rng(1)
    shapes = (FEATURES, UNITS), (UNITS, UNITS), (2, UNITS)
    return [*(rng.normal(0, 0.6, shape).astype("float32") for shape in shapes), np.float32(zeta), np.float32(nu)]


def masked():
    mask = np.arange(TIME) < np.array([[6], [4], [2], [5]])
    mask[1, 1] = False
    return mask


def trained(layer, values):
    """Outputs in training and the weights after a step of gradient descent."""
    layer.build((BATCH, TIME, FEATURES))
    layer.set_weights(values)
    inputs = keras.Input((TIME, FEATURES)), keras.Input((TIME,), dtype="bool")
    model = keras.Model(inputs, layer(inputs[0], mask=inputs[1]))
    eagerly = keras.backend.backend() != "jax"
    model.compile(keras.optimizers.SGD(0.1), loss=lambda y_true, y_pred: ops.sum(y_true * y_pred), run_eagerly=eagerly)
    output = ops.convert_to_numpy(layer(sequences(), mask=masked(), training=True))
    model.train_on_batch([sequences(), masked()], sequences(2)[..., :1] * np.ones(UNITS, "float32"))
    return output, layer.get_weights()


class PaperCell(keras.layers.Layer):
    """The equations as the paper has them."""

    state_size = output_size = UNITS

    def build(self, shape):
        shapes = (FEATURES, UNITS), (UNITS, UNITS), (2, UNITS), (), ()
        self.w, self.u, self.b, self.zeta, self.nu = (self.add_weight(shape=shape) for shape in shapes)

    def call(self, x, states):
        [h] = states
        pre = ops.matmul(x, self.w) + ops.matmul(h, self.u)
        z, update = ops.sigmoid(pre + self.b[0]), ops.tanh(pre + self.b[1])
        h = (ops.sigmoid(self.zeta) * (1 - z) + ops.sigmoid(self.nu)) * update + z * h
        return h, [h]


@pytest.mark.backend
def test_outputs_and_gradients_are_those_of_the_paper():
    layer = FastGRNN(UNITS, return_sequences=True)
    assert layer.cell.recurrence.hand_written
    output, after = trained(layer, weights())
    expected, expected_after = trained(layers.RNN(PaperCell(), return_sequences=True), weights())
    np.testing.assert_allclose(output, expected, atol=1e-6)
    for value, target, before in zip(after, expected_after, weights(), strict=True):
        np.testing.assert_allclose(value, target, atol=1e-5)
        assert np.abs(value - before).max() > 1e-3


def test_with_equal_shares_it_is_a_gru_without_a_reset_gate():
    """zeta 1 and nu 0: Keras's GRU with one matrix for two gates, and its reset gate open."""
    kernel, recurrent_kernel, bias, *_ = weights()
    layer, gru = FastGRNN(UNITS, return_sequences=True), layers.GRU(UNITS, return_sequences=True)
    for one in (layer, gru):
        one.build((BATCH, TIME, FEATURES))
    layer.set_weights(weights(OPEN, -OPEN))
    kernels = [np.concatenate([w, 0 * w, w], axis=1) for w in (kernel, recurrent_kernel)]
    biases = np.stack([np.concatenate([bias[0], np.full(UNITS, OPEN), bias[1]]), np.zeros(3 * UNITS)])
    gru.set_weights([*kernels, biases])
    ours, expected = (ops.convert_to_numpy(one(sequences(), mask=masked())) for one in (layer, gru))
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_arguments_are_those_of_a_gru_and_survive():
    layer = FastGRNN(UNITS, zeta_initializer=2.0, nu_initializer="zeros", recurrent_activation="hard_sigmoid", seed=3)
    config = layer.get_config()
    known = set(layers.GRU(UNITS).get_config()) - {"reset_after", "unroll"}
    assert set(config) == known | {"zeta_initializer", "nu_initializer", "rank"}
    again = FastGRNN.from_config(config)
    again.build((None, None, FEATURES))
    assert again.get_config() == config and float(again.cell.zeta) == 2.0 and float(again.cell.nu) == 0.0
    assert [w.shape for w in again.weights] == [(FEATURES, UNITS), (UNITS, UNITS), (2, UNITS), (), ()]


@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}], ids=str)
def test_dropout(rates):
    layer = FastGRNN(UNITS, seed=3, **rates)
    trained, used = (ops.convert_to_numpy(layer(sequences(), training=training)) for training in (True, False))
    assert not np.allclose(trained, used)


def test_cells_stack():
    rnn = layers.RNN([FastGRNNCell(UNITS), FastGRNNCell(3, use_bias=False)])
    assert rnn(sequences()).shape == (BATCH, 3) and len(rnn.weights) == 9
