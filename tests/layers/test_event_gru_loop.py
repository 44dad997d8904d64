"""The hand-written backward pass against the backend's own gradient of the same equations."""

import keras
import numpy as np
import pytest

from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.regularizers import EventPenalty

BATCH, TIME, FEATURES, UNITS = 4, 9, 3, 6
# JAX compiles by itself; torch.compile needs a C++ compiler and minutes.
tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="an option of TensorFlow")
EAGERLY = keras.backend.backend() != "jax"  # a graph would take longer to build than to run


def other_tanh(x):
    """tanh by another name: the layer knows the gradient of keras.activations.tanh only."""
    return keras.ops.tanh(x)


def gradients(activation, masked, xla=False, batches=1, dtype=None, **arguments):
    """Gradients in all weights and in the input, and the loss, of one step after `batches` - 1 others."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    mask = rng.random((BATCH, TIME)) < 0.7
    layer = EventGRU(UNITS, activation=activation, seed=1, dtype=dtype, bias_initializer="glorot_uniform", **arguments)
    assert layer.cell.recurrence.hand_written == (activation == "tanh")
    sequence, valid = keras.Input((TIME, FEATURES), BATCH), keras.Input((TIME,), BATCH, dtype="bool")
    projected = keras.layers.Dense(FEATURES, dtype=dtype)(sequence)
    if masked:
        inputs, model = [x, mask], keras.Model([sequence, valid], layer(projected, mask=valid))
    else:
        inputs, model = [x], keras.Model([sequence], layer(projected))
    upstream = rng.normal(size=model.output_shape).astype("float32")
    model.compile(
        keras.optimizers.SGD(1.0),
        loss=lambda y_true, y_pred: keras.ops.sum(y_true * keras.ops.cast(y_pred, "float32")),
        jit_compile=xla or "auto",
        run_eagerly=EAGERLY and not xla,
    )
    for _ in range(batches):
        before = model.get_weights()
        loss = model.train_on_batch(inputs, upstream)
        grads = [b - a for b, a in zip(before, model.get_weights(), strict=True)]
        model.set_weights(before)
    return [*grads, np.array(loss)]


CASES = [
    {"masked": True, "recurrent_dropconnect": 0.4, "dropout": 0.3, "return_sequences": True},
    {"masked": False, "return_sequences": True},
    {"masked": True, "return_sequences": True, "reset": False, "use_bias": False},
    {"masked": True, "return_sequences": True, "readout": "cell", "go_backwards": True},
    {"masked": True, "return_sequences": True, "readout": "trace", "activity_regularizer": EventPenalty(on="rate")},
    {"masked": True, "readout": "cell", "activity_regularizer": EventPenalty(), "threshold_mode": "clipped"},
    {"masked": False, "stateful": True, "batches": 3, "activity_regularizer": EventPenalty(on="rate", target=0.1)},
    {"masked": True, "stateful": True, "batches": 3, "zero_output_for_mask": True},
    {"masked": True, "dropout": 0.5, "readout": "cell", "stateful": True, "carry_cell": False, "batches": 3},
    {"masked": False, "dropout": 0.5, "reset": False, "activity_regularizer": EventPenalty()},
]


@pytest.mark.backend(arguments=CASES[:1])
@pytest.mark.backend_slow(arguments=[CASES[4], CASES[6]])
@pytest.mark.parametrize("arguments", CASES, ids="-".join)
def test_gradients_are_the_same(arguments):
    _check_gradients(arguments)


@pytest.mark.slow
@tensorflow_only
@pytest.mark.parametrize(
    "arguments",
    [CASES[0], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[1:])],
    ids="-".join,
)
def test_gradients_are_the_same_compiled_by_xla(arguments):
    _check_gradients({**arguments, "xla": True})


def _check_gradients(arguments):
    by_hand = gradients("tanh", **arguments)
    automatic = gradients(other_tanh, **arguments)
    assert any(np.any(grad != 0) for grad in by_hand)
    for a, b in zip(by_hand, automatic, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_costs_it_no_more_than_the_automatic_gradient(dtype):
    exact = gradients("tanh", True, return_sequences=True)
    by_hand = gradients("tanh", True, return_sequences=True, dtype=dtype)
    automatic = gradients(other_tanh, True, return_sequences=True, dtype=dtype)
    rounding = {"mixed_float16": 2**-11, "mixed_bfloat16": 2**-8}[dtype]
    for e, a, b in zip(exact, by_hand, automatic, strict=True):
        assert np.linalg.norm(a - e) <= 2 * np.linalg.norm(b - e) + rounding * np.linalg.norm(e)
