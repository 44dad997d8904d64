"""DeltaHold against its definition step by step, and its gradients against finite differences."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse_rnn.layers import DeltaHold
from keras_sparse_rnn.layers.delta_hold import DeltaHoldCell
from keras_sparse_rnn.regularizers import EventPenalty

BATCH, TIME, FEATURES = 4, 9, 3
EAGERLY = keras.backend.backend() != "jax"  # a graph would take longer to build than to run
JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
THRESHOLDS = [0.2, 0.7, 1.5]


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def masks():
    mask = np.ones((BATCH, TIME), bool)
    mask[0, :2] = mask[1, 3:5] = mask[2, 6:] = False
    return mask


def hold(x, thresholds, mask=None):
    """The definition, a value at a time."""
    out = np.zeros_like(x)
    for sample, channel in np.ndindex(len(x), x.shape[2]):
        held = 0.0
        for t, value in enumerate(x[sample, :, channel]):
            valid = mask is None or mask[sample, t]
            if valid and abs(value - held) > thresholds[channel]:
                held = value
            out[sample, t, channel] = held
    return out


def gradient(layer, x, upstream, mask=None):
    """Gradients of sum(upstream * layer(x)) in x and in the weights of the layer, on the path of every user.

    x enters as the weight of an embedding, so that one step of gradient descent shows its gradient.
    """
    batch, time, features = x.shape
    numbers = np.arange(batch * time).reshape(batch, time)
    index, valid = keras.Input((time,), batch, dtype="int32"), keras.Input((time,), batch, dtype="bool")
    table = keras.layers.Embedding(batch * time, features)
    output = layer(table(index), mask=valid) if mask is not None else layer(table(index))
    model = keras.Model([index, valid] if mask is not None else [index], output)
    table.set_weights([x.reshape(-1, features)])
    loss = lambda y_true, y_pred: ops.sum(y_true * y_pred)  # noqa: E731
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=EAGERLY)
    before = model.get_weights()
    model.train_on_batch([numbers, mask] if mask is not None else [numbers], upstream)
    in_x, *in_weights = (b - a for b, a in zip(before, model.get_weights(), strict=True))
    return [in_x.reshape(x.shape), *in_weights]


@pytest.mark.parametrize("mask", [None, masks()], ids=["whole", "masked"])
def test_output_is_that_of_the_definition(mask):
    x = sequences()
    expected = hold(x, THRESHOLDS, mask)
    output, last = DeltaHold(THRESHOLDS, return_state=True)(x, mask=mask)
    np.testing.assert_array_equal(ops.convert_to_numpy(output), expected)
    np.testing.assert_array_equal(ops.convert_to_numpy(last), expected[:, -1])
    assert 0 < np.mean(expected[:, 1:] == expected[:, :-1]) < 1


def test_threshold_zero_is_the_identity():
    np.testing.assert_array_equal(ops.convert_to_numpy(DeltaHold(0)(sequences())), sequences())


@pytest.mark.parametrize("mask", [None, masks()], ids=["whole", "masked"])
def test_exact_gradient_is_that_of_finite_differences(mask):
    x, upstream = sequences(), sequences(1)
    [grad] = gradient(DeltaHold(THRESHOLDS), x, upstream, mask)
    shift = 1e-6
    for index in np.ndindex(x.shape):
        moved = [x.astype("float64") for _ in range(2)]
        moved[0][index] += shift
        moved[1][index] -= shift
        losses = [np.sum(hold(values, THRESHOLDS, mask) * upstream) for values in moved]
        assert grad[index] == pytest.approx((losses[0] - losses[1]) / (2 * shift), abs=1e-5), index


def test_straight_through_gradient_goes_to_the_input():
    upstream = sequences(1)
    [grad] = gradient(DeltaHold(THRESHOLDS, gradient="straight_through"), sequences(), upstream)
    np.testing.assert_allclose(grad, upstream, atol=1e-6)


def test_gradient_in_a_threshold_is_that_of_the_mean_loss():
    # The loss of one sample jumps at the threshold; its mean over many is smooth.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50_000, 1, 1)).astype("float32")
    upstream = x / len(x)
    in_threshold = gradient(DeltaHold(0.8, trainable_threshold=True, surrogate_width=0.2), x, upstream)[1]
    losses = [np.sum(x * upstream, where=abs(x) > threshold, dtype="float64") for threshold in (0.75, 0.85)]
    expected = (losses[1] - losses[0]) / 0.1
    assert in_threshold[0] == pytest.approx(expected, rel=0.05)
    assert abs(expected) > 0.1


@pytest.mark.parametrize("how", ["exact", "straight_through"])
@pytest.mark.parametrize("mask", [None, masks()], ids=["whole", "masked"])
def test_gradient_by_hand_is_the_automatic_one(how, mask):
    x, upstream = sequences(), sequences(1)
    arguments = {"threshold": THRESHOLDS, "trainable_threshold": True, "gradient": how}
    by_hand = gradient(DeltaHold(**arguments), x, upstream, mask)
    automatic = gradient(keras.layers.RNN(DeltaHoldCell(**arguments), return_sequences=True), x, upstream, mask)
    assert np.any(by_hand[1] != 0)
    for a, b in zip(by_hand, automatic, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_stateful_layer_in_chunks_is_the_whole():
    x = sequences()
    layer = DeltaHold(0.5, stateful=True)
    for reset in (layer.reset_state, layer.reset_states):
        parts = [ops.convert_to_numpy(layer(x[:, i:j])) for i, j in ((0, 3), (3, 4), (4, TIME))]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), hold(x, [0.5] * 3))
        reset()


def test_mask_passes_through_to_the_next_layer():
    x = sequences()
    x[:, :3] = 0
    layers = [keras.layers.Masking(), DeltaHold(0.5), keras.layers.GRU(2)]
    model = keras.Sequential([keras.Input((None, FEATURES)), *layers])
    outputs = [ops.convert_to_numpy(model(part)) for part in (x, x[:, 3:])]
    np.testing.assert_allclose(*outputs, atol=1e-6)


def test_penalty_on_the_rate_raises_trained_thresholds():
    for trainable in (True, False):
        layer = DeltaHold(0.3, trainable_threshold=trainable, activity_regularizer=EventPenalty(1.0, on="rate"))
        model = keras.Sequential([keras.Input((TIME, FEATURES)), layer, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), lambda y_true, y_pred: 0 * ops.sum(y_pred), jit_compile=JIT)
        x = sequences()
        sent = np.mean(np.diff(hold(x, [0.3] * 3), axis=1, prepend=0) != 0)
        assert model.evaluate(x, x, verbose=0) == pytest.approx(sent, abs=1e-6)
        model.fit(x, x, epochs=3, verbose=0)
        assert np.all(ops.convert_to_numpy(layer.threshold) > 0.301) == trainable


def test_half_precision_and_saving(tmp_path):
    layer = DeltaHold(THRESHOLDS, trainable_threshold=True, dtype="mixed_bfloat16", return_sequences=False)
    model = keras.Sequential([keras.Input((None, FEATURES)), DeltaHold(0.1), layer])
    model.compile("adam", "mse", run_eagerly=EAGERLY)
    model.fit(sequences(), sequences()[:, 0], verbose=0)
    assert keras.backend.standardize_dtype(model(sequences()).dtype) == "bfloat16"
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(*(ops.convert_to_numpy(ops.cast(m(sequences()), "float32")) for m in (model, loaded)))
    config = layer.get_config()
    assert DeltaHold.from_config(json.loads(json.dumps(config))).get_config() == config
    assert config["threshold"] == THRESHOLDS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": -0.1}, "threshold.*-0.1"),
        ({"threshold": [0.1, float("nan")]}, "threshold.*nan"),
        ({"threshold": [[0.1]]}, "threshold"),
        ({"threshold": 0.1, "gradient": "none"}, "'exact', 'straight_through'"),
        ({"threshold": 0.1, "surrogate_width": 0}, "surrogate_width"),
        ({"threshold": 0.1, "unroll": True}, "unroll"),
        ({"threshold": [0.1, 0.2]}, "2 values for 3 channels"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeltaHold(**arguments)(sequences())
