"""The penalty by loops over units, and what a fit with it leaves."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.regularizers import BlockGroupLasso, UnitGroupLasso

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(32, 5, 3)).astype("float32")
Y = X.mean(axis=1)[:, :2]


def nothing(y_true, y_pred):
    """A loss that leaves a model nothing but its regularizers."""
    return 0.0 * ops.sum(y_pred)


def stack():
    """LSTM -> Bidirectional GRU -> Dense, each with its weights."""
    keras.utils.set_random_seed(3)
    lstm, gru = layers.LSTM(4, return_sequences=True), layers.Bidirectional(layers.GRU(5))
    return keras.Sequential([keras.Input((5, 3)), lstm, layers.Dropout(0.1), gru, layers.Dense(2)])


def norms(units, gates, kernel, recurrent, *readers):
    """The norm of each unit: columns of each gate, recurrent row, rows of the readers."""
    total = np.zeros(units)
    for k in range(units):
        for gate in range(gates):
            total[k] += np.sum(kernel[:, gate * units + k] ** 2) + np.sum(recurrent[:, gate * units + k] ** 2)
        total[k] += np.sum(recurrent[k] ** 2) + sum(np.sum(reader[k] ** 2) for reader in readers)
    return np.sqrt(total)


def expected(weights):
    """0.01 times all norms of the model of `stack`."""
    lstm, forward, backward, head = weights[:3], weights[3:6], weights[6:9], weights[9]
    return 0.01 * (
        norms(4, 4, lstm[0], lstm[1], forward[0], backward[0]).sum()
        + norms(5, 3, forward[0], forward[1], head[:5]).sum()
        + norms(5, 3, backward[0], backward[1], head[5:]).sum()
    )


def test_it_is_the_sum_of_unit_norms_and_its_gradient_their_slope():
    model = stack()
    UnitGroupLasso(0.01).add_to(model)
    before = model.get_weights()
    assert sum(map(float, model.losses)) == pytest.approx(expected(before), rel=1e-5)
    model.compile(keras.optimizers.SGD(1.0), nothing, jit_compile=JIT)
    loss = model.fit(X, Y, batch_size=32, verbose=0).history["loss"][0]
    assert loss == pytest.approx(expected(before), rel=1e-5)
    for n, at in [(0, (2, 7)), (1, (1, 1)), (1, (3, 9)), (3, (3, 14)), (7, (2, 2)), (9, (8, 1))]:
        h, ends = 1e-4, []
        for sign in (1, -1):
            weights = [w.astype("float64") for w in before]
            weights[n][at] += sign * h
            ends.append(expected(weights))
        assert before[n][at] - model.get_weights()[n][at] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=2e-2)
    for n in (2, 5, 8, 10):
        np.testing.assert_array_equal(before[n], model.get_weights()[n])  # biases


def test_no_gradient_at_a_unit_of_zeros():
    model = stack()
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    UnitGroupLasso(1.0).add_to(model)
    model.compile(keras.optimizers.SGD(1.0), nothing, jit_compile=JIT)
    model.fit(X, Y, batch_size=32, verbose=0)
    assert all(np.all(w == 0) for w in model.get_weights())


def test_selected_layers_only_and_beside_other_regularizers():
    lasso = BlockGroupLasso(0.1, (1, 1), gates=3)
    gru = layers.GRU(4, recurrent_regularizer=lasso)
    model = keras.Sequential([keras.Input((5, 3)), gru, layers.Dense(6, "relu", name="hidden"), layers.Dense(2)])
    kernel, recurrent, _, hidden, _, head, _ = model.get_weights()
    of_hidden = np.sqrt((hidden**2).sum(axis=0) + (head**2).sum(axis=1)).sum()
    of_gru = norms(4, 3, kernel, recurrent, hidden).sum()
    UnitGroupLasso(0.5).add_to(model, layers="hidden")
    assert sum(map(float, model.losses)) == pytest.approx(0.1 * np.abs(recurrent).sum() + 0.5 * of_hidden, rel=1e-5)
    UnitGroupLasso(1.0).add_to(model, layers=["gru", "hidden"] if gru.name == "gru" else [gru, "hidden"])
    UnitGroupLasso(2.0).add_to(model, layers=gru)  # in place of the 1.0 of this layer
    total = 0.1 * np.abs(recurrent).sum() + 1.0 * of_hidden + 2.0 * of_gru
    assert sum(map(float, model.losses)) == pytest.approx(total, rel=1e-5)


def test_is_taken_up_by_a_model_that_is_compiled_and_lost_with_its_object(tmp_path):
    model = stack()
    model.compile(keras.optimizers.SGD(0.0), nothing, jit_compile=JIT)
    assert model.fit(X, Y, verbose=0).history["loss"] == [0]
    UnitGroupLasso(0.01).add_to(model)
    assert model.fit(X, Y, verbose=0).history["loss"] == [pytest.approx(expected(model.get_weights()), rel=1e-5)]
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected(model.get_weights()), rel=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.losses == []
    UnitGroupLasso(0.01).add_to(loaded)
    assert sum(map(float, loaded.losses)) == pytest.approx(expected(model.get_weights()), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "optimizer", "threshold", "epochs"),
    [
        pytest.param(EventGRU, lambda: keras.optimizers.Adam(0.01), 0.02, 60, marks=pytest.mark.slow),
        (layers.GRU, lambda: keras.optimizers.SGD(0.3, momentum=0.9), 4e-3, 50),
    ],
)
def test_units_die_and_shrink_takes_them_out(kind, optimizer, threshold, epochs):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5, 3)), kind(16), layers.Dense(2)])
    UnitGroupLasso(0.02).add_to(model)
    model.compile(optimizer(), "mse", metrics=["mse"], jit_compile=JIT)
    zeroing = ksr.callbacks.ThresholdPruning(lambda step: (True, threshold), layers=lambda layer: True)
    history = model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=[zeroing]).history
    smaller = ksr.shrink(model)
    assert smaller.layers[0].units <= 10
    assert history["mse"][-1] < 0.5 * np.var(Y)
    np.testing.assert_allclose(ops.convert_to_numpy(smaller(X)), ops.convert_to_numpy(model(X)), atol=1e-6)


def test_bad_use_is_named():
    for strength in (-1, float("nan")):
        with pytest.raises(ValueError, match="`strength` must be a number >= 0"):
            UnitGroupLasso(strength)
    with pytest.raises(ValueError, match=r"then call UnitGroupLasso\(...\).add_to\(model\)"):
        keras.Sequential([keras.Input((5, 3)), layers.GRU(3, kernel_regularizer=UnitGroupLasso(1.0))]).losses  # noqa: B018
    model = stack()
    with pytest.raises(ValueError, match="'nobody' matches no layer"):
        UnitGroupLasso(1.0).add_to(model, layers="nobody")
    with pytest.raises(ValueError, match="is not built"):
        UnitGroupLasso(1.0).add_to(keras.Sequential([layers.GRU(3)]))
    with pytest.raises(ValueError, match="no hidden unit to take out"):
        UnitGroupLasso(1.0).add_to(keras.Sequential([keras.Input((5, 3)), layers.GRU(3)]))


def test_filters_of_convolutions():
    """A filter's weights: its own, those of the depthwise kernel behind it, its row in all that read it."""
    keras.utils.set_random_seed(3)
    x = keras.Input((5, 5, 2))
    conv, depth = layers.Conv2D(4, 3, name="conv"), layers.DepthwiseConv2D(2, name="depth")
    separable = layers.SeparableConv2D(3, 2, name="separable")
    y = separable(layers.BatchNormalization()(depth(conv(x))))
    model = keras.Model(x, layers.Dense(2)(layers.GlobalMaxPooling2D()(y)))
    UnitGroupLasso(0.01).add_to(model, "all")
    kernel, behind, first, second, head = (
        keras.ops.convert_to_numpy(w)
        for w in (conv.kernel, depth.kernel, *separable.trainable_weights[:2], model.layers[-1].kernel)
    )
    norms_of_conv = [
        np.sqrt(sum(np.sum(w**2) for w in (kernel[..., k], behind[:, :, k], first[:, :, k], second[0, 0, k])))
        for k in range(4)
    ]
    norms_of_separable = [np.sqrt(np.sum(second[..., k] ** 2) + np.sum(head[k] ** 2)) for k in range(3)]
    assert float(sum(model.losses)) == pytest.approx(0.01 * (sum(norms_of_conv) + sum(norms_of_separable)), rel=1e-5)
