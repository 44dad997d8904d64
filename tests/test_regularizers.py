import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.regularizers import BlockGroupLasso, EventPenalty

RNG = np.random.default_rng(0)
STATE = RNG.normal(size=(6, 4, 5)).astype("float32")
EVENTS = (STATE > 0.1).astype("float32")
MASK = RNG.random((6, 4, 1)) < 0.6
JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without


@pytest.mark.backend
@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (EventPenalty(2.0), lambda state, events: 2 * np.maximum(state, 0).mean()),
        (EventPenalty(3.0, on="rate"), lambda state, events: 3 * events.mean()),
        (EventPenalty(3.0, on="rate", target=0.05), lambda state, events: 3 * (events.mean() - 0.05) ** 2),
    ],
)
def test_penalty_is_a_mean_over_valid_positions(penalty, expected):
    value = ops.convert_to_numpy(penalty.penalty(STATE, EVENTS))
    np.testing.assert_allclose(value, expected(STATE, EVENTS), rtol=1e-6)
    valid = MASK[..., 0]
    value = ops.convert_to_numpy(penalty.penalty(STATE, EVENTS, MASK))
    np.testing.assert_allclose(value, expected(STATE[valid], EVENTS[valid]), rtol=1e-6)


def test_batch_without_valid_positions_costs_nothing():
    value = EventPenalty(2.0).penalty(STATE, EVENTS, np.zeros_like(MASK))
    assert float(ops.convert_to_numpy(value)) == 0


@pytest.mark.backend(on=["rate"])
@pytest.mark.backend_slow
@pytest.mark.parametrize("on", ["state", "rate"])
def test_layer_adds_it_whatever_the_batch_size_and_padding(on):
    layer = EventGRU(8, activity_regularizer=EventPenalty(2.0, on=on))
    x = RNG.normal(size=(3, 5, 4)).astype("float32")

    def loss(x, mask=None):
        layer(x, mask=mask)
        (value,) = layer.losses
        return float(ops.convert_to_numpy(value))

    expected = loss(x)
    assert expected > 0
    np.testing.assert_allclose(loss(np.tile(x, (4, 1, 1))), expected, rtol=1e-5)
    padded = np.pad(x, ((0, 0), (0, 3), (0, 0)), constant_values=1.0)
    mask = np.broadcast_to(np.arange(8) < 5, (3, 8))
    np.testing.assert_allclose(loss(padded, mask), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "penalty", [EventPenalty(3.0), EventPenalty(3.0, on="rate"), EventPenalty(100.0, on="rate", target=0.1)]
)
def test_training_with_it_makes_events_rarer(penalty):
    keras.utils.set_random_seed(0)
    layer = EventGRU(16, return_sequences=True, activity_regularizer=penalty)
    model = keras.Sequential([keras.Input((10, 4)), layer])
    model.compile(keras.optimizers.Adam(0.02), nothing, jit_compile=JIT)
    model.optimizer.build(model.trainable_variables)  # or TensorFlow traces twice
    x = RNG.normal(size=(16, 10, 4)).astype("float32")

    def rate():
        return np.mean(model.predict(x, verbose=0) != 0)

    before = rate()
    model.fit(x, np.zeros((16, 10, 16)), epochs=30, verbose=0)
    after = rate()
    assert before > 0.3
    assert after < 0.15
    assert penalty.target is None or after > 0.05


def test_other_regularizers_act_on_the_output():
    x = RNG.normal(size=(3, 5, 4)).astype("float32")
    layer = EventGRU(8, activity_regularizer=keras.regularizers.L2(0.1))
    of_keras = keras.layers.ActivityRegularization(l2=0.1)
    of_keras(layer(x))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.losses), ops.convert_to_numpy(of_keras.losses), rtol=1e-5)


def test_bad_use_is_named():
    for arguments, message in [
        ({"strength": -1}, "strength"),
        ({"on": "output"}, "'state' or 'rate'"),
        ({"target": 0.1}, "on='rate'"),
        ({"on": "rate", "target": 2}, "target"),
    ]:
        with pytest.raises(ValueError, match=message):
            EventPenalty(**arguments)
    with pytest.raises(ValueError, match="EventGRU"):
        keras.layers.GRU(4, activity_regularizer=EventPenalty())(np.zeros((2, 3, 4), "float32"))


def block_norms(w, rows, cols, gates=1):
    """The L2 norm of every block, by loops."""
    return [
        np.sqrt(np.sum(gate[i : i + rows, j : j + cols] ** 2))
        for gate in np.split(w, gates, axis=1)
        for i in range(0, gate.shape[0], rows)
        for j in range(0, gate.shape[1], cols)
    ]


class Only(keras.layers.Layer):
    """A model's one kernel, which gets no gradient but that of its regularizer."""

    def __init__(self, w, lasso):
        super().__init__()
        initial = keras.initializers.Constant(w)
        self.kernel = self.add_weight(shape=w.shape, initializer=initial, regularizer=lasso, name="kernel")

    def call(self, x):
        return x * 0.0 * ops.sum(self.kernel)


def nothing(y_true, y_pred):
    """A loss that leaves a model nothing but its regularizers."""
    return 0.0 * ops.sum(y_pred)


def lasso_gradient(w, lasso):
    """The gradient, as one compiled step of gradient descent shows it."""
    model = keras.Sequential([keras.Input((1,)), Only(w, lasso)])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))
    return w - model.get_weights()[0]


# Blocks that fit, ragged blocks, and ragged blocks that would cross gates.
@pytest.mark.backend(gates=[3])
@pytest.mark.parametrize(("rows", "cols", "gates"), [(4, 4, 1), (4, 5, 1), (3, 4, 3), (1, 1, 3), (8, 4, 3)])
def test_lasso_is_the_sum_of_block_norms_and_its_gradient_their_slope(rows, cols, gates):
    w = RNG.normal(size=(8, 18)).astype("float32")
    lasso = BlockGroupLasso(0.01, (rows, cols), gates)

    def penalty(w):
        return 0.01 * np.sum(block_norms(np.asarray(w, "float64"), rows, cols, gates))

    np.testing.assert_allclose(ops.convert_to_numpy(lasso(ops.convert_to_tensor(w))), penalty(w), rtol=1e-6)
    gradient, h = lasso_gradient(w, lasso), 1e-5
    for i, j in [(0, 0), (3, 5), (7, 6), (5, 17)]:
        step = np.zeros(w.shape)
        step[i, j] = h
        assert gradient[i, j] == pytest.approx((penalty(w + step) - penalty(w - step)) / (2 * h), abs=1e-6)


@pytest.mark.backend
def test_lasso_has_no_gradient_at_a_block_of_zeros():
    w = RNG.normal(size=(4, 8)).astype("float32")
    w[:, :4] = 0
    w[:, 4] = [1e-30, 0, 0, 0]
    gradient = lasso_gradient(w, BlockGroupLasso(0.1, (4, 4)))
    assert np.all(gradient[:, :4] == 0)
    np.testing.assert_allclose(gradient[:, 4:], 0.1 * w[:, 4:] / np.linalg.norm(w[:, 4:]), atol=1e-6)
    tiny = np.full((4, 4), 1e-25, "float32")  # its squares are zero
    assert np.all(np.isfinite(lasso_gradient(tiny, BlockGroupLasso(0.1, (4, 4)))))


@pytest.mark.backend_slow(policy=["mixed_float16"])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_lasso_shrinks_blocks_of_a_layer_and_is_saved_with_it(policy, tmp_path):
    lasso = BlockGroupLasso(0.05, block_shape=(2, 4), gates=3)
    layer = keras.layers.GRU(8, kernel_regularizer=lasso, recurrent_regularizer=lasso, dtype=policy)
    model = keras.Sequential([keras.Input((4, 6)), layer])
    model.compile(keras.optimizers.SGD(0.1), nothing)
    kernel, recurrent, _ = layer.get_weights()
    expected = 0.05 * np.sum(block_norms(kernel, 2, 4, 3) + block_norms(recurrent, 2, 4, 3))
    x, y = RNG.normal(size=(8, 4, 6)), np.zeros((8, 8))
    losses = model.fit(x, y, epochs=4, batch_size=8, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    assert losses == sorted(losses, reverse=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert sum(map(float, loaded.losses)) == pytest.approx(sum(map(float, model.losses)), rel=1e-6)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(lasso))
    assert copy.get_config() == lasso.get_config() == BlockGroupLasso(0.05, (2, 4), 3, active=True).get_config()


def test_lasso_bad_use_is_named():
    for arguments, message in [
        ({"strength": -1}, "strength"),
        ({"strength": float("nan")}, "strength"),
        ({"strength": 1, "block_shape": (4, 0)}, "block_shape"),
        ({"strength": 1, "gates": 0}, "gates"),
        ({"strength": 1, "gates": 1.5}, "gates"),
    ]:
        with pytest.raises(ValueError, match=message):
            BlockGroupLasso(**arguments)
    for lasso, shape, message in [
        (BlockGroupLasso(1.0), (4,), "at least 2 dimensions"),
        (BlockGroupLasso(1.0, gates=3), (4, 16), "no multiple of gates=3"),
        (BlockGroupLasso(1.0, (8, 4)), (4, 16), "larger than a gate"),
    ]:
        with pytest.raises(ValueError, match=message):
            lasso(ops.ones(shape))
