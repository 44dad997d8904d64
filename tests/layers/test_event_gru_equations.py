"""The event GRU against its equations in NumPy, whose gradient is in turn checked by finite differences."""

import keras
import numpy as np
import pytest

from keras_sparse_rnn.layers import EventGRU

BATCH, TIME, FEATURES, UNITS = 3, 8, 4, 6
DECAY = 0.9
EAGERLY = keras.backend.backend() != "jax"  # a graph would take longer to build than to run


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def hard_event(distance, height, width):
    return (distance > 0).astype(distance.dtype)


def smooth_event(distance, height, width):
    """The function whose derivative is the surrogate."""
    v = np.clip(distance, -width, width)
    return height * np.where(v < 0, (v + width) ** 2, 2 * width**2 - (width - v) ** 2) / (2 * width)


def forward(p, x, mask, reset, height, width, event):
    """Readouts {"event", "cell", "trace"}: (time, batch, units), zero before the first computed step, and what
    the backward pass needs of each step."""
    y, c, tr = p["y0"], p["c0"], np.zeros_like(p["y0"])
    readouts, tape = {"event": [], "cell": [], "trace": []}, []
    for t in range(x.shape[0]):
        a_z, a_r, a_h = np.split(x[t] @ p["W"] + p["b"][0], 3, axis=-1)
        q_z, q_r, q_h = np.split(y @ p["R"] + p["b"][1], 3, axis=-1)
        z, r = sigmoid(a_z + q_z), sigmoid(a_r + q_r)
        g = np.tanh(a_h + r * q_h)
        candidate = z * c + (1 - z) * g
        e = event(candidate - p["theta"], height, width)
        tape.append((y, c, z, r, g, q_h, candidate, e))
        m = mask[t]
        y = np.where(m, e * candidate, y)
        c = np.where(m, candidate - reset * e * p["theta"], c)
        tr = np.where(m, DECAY * tr + (1 - DECAY) * y, tr)
        for name, value in (("event", y), ("cell", c), ("trace", tr)):
            readouts[name].append(value)
    return {name: np.array(values) * has_begun(mask) for name, values in readouts.items()}, tape


def has_begun(mask):
    """Whether a step has been computed."""
    return np.maximum.accumulate(mask)


def backward(p, x, mask, reset, height, width, tape, upstream):
    """Gradients of sum(readout * upstream) summed over the readouts, step by step backwards in time."""
    grads = {name: np.zeros_like(value) for name, value in p.items()} | {"x": np.zeros_like(x)}
    d_y, d_c, d_tr = (np.zeros((x.shape[1], p["theta"].size)) for _ in range(3))
    upstream = {name: values * has_begun(mask) for name, values in upstream.items()}
    for t in reversed(range(x.shape[0])):
        y, c, z, r, g, q_h, candidate, e = tape[t]
        m = mask[t]
        d_y, d_c, d_tr = d_y + upstream["event"][t], d_c + upstream["cell"][t], d_tr + upstream["trace"][t]
        held_y, held_c = np.where(m, 0, d_y), np.where(m, 0, d_c)
        d_y, d_c = np.where(m, d_y + (1 - DECAY) * d_tr, 0), np.where(m, d_c, 0)
        d_tr = np.where(m, DECAY * d_tr, d_tr)
        psi = height * np.maximum(0, 1 - np.abs(candidate - p["theta"]) / width)
        d_e = candidate * d_y - reset * p["theta"] * d_c
        d_candidate = e * d_y + d_c + psi * d_e
        grads["theta"] += (-psi * d_e - reset * e * d_c).sum(0)
        d_g, d_z = (1 - z) * d_candidate, (c - g) * d_candidate
        dp_h = (1 - g**2) * d_g
        dp_r, dp_z = r * (1 - r) * dp_h * q_h, z * (1 - z) * d_z
        dp, dq = np.hstack([dp_z, dp_r, dp_h]), np.hstack([dp_z, dp_r, r * dp_h])
        grads["W"] += x[t].T @ dp
        grads["R"] += y.T @ dq
        grads["b"] += np.stack([dp.sum(0), dq.sum(0)])
        grads["x"][t] = dp @ p["W"].T
        d_y, d_c = dq @ p["R"].T + held_y, z * d_candidate + held_c
    grads["y0"], grads["c0"] = d_y, d_c
    return grads


def problem(masked, seed=0):
    rng = np.random.default_rng(seed)
    p = {
        "W": rng.normal(0, 0.8, (FEATURES, 3 * UNITS)),
        "R": rng.normal(0, 0.8, (UNITS, 3 * UNITS)),
        "b": rng.normal(0, 0.3, (2, 3 * UNITS)),
        "theta": rng.uniform(0.05, 0.4, UNITS),
        "y0": rng.normal(0, 0.3, (BATCH, UNITS)),
        "c0": rng.normal(0, 0.3, (BATCH, UNITS)),
    }
    x = rng.normal(size=(TIME, BATCH, FEATURES))
    mask = np.ones((TIME, BATCH, 1), bool)
    if masked:
        mask[:2, 0], mask[3:5, 1], mask[6:, 2] = False, False, False
    upstream = {name: rng.normal(size=(TIME, BATCH, UNITS)) for name in ("event", "cell", "trace")}
    return p, x, mask, upstream


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_numpy_gradient_is_that_of_the_smoothed_function(reset, masked):
    p, x, mask, upstream = problem(masked)
    settings = (reset, 0.7, 0.9)
    _, tape = forward(p, x, mask, *settings, smooth_event)
    grads = backward(p, x, mask, *settings, tape, upstream)

    def loss():
        readouts, _ = forward(p, x, mask, *settings, smooth_event)
        return sum((readouts[name] * upstream[name]).sum() for name in readouts)

    rng = np.random.default_rng(1)
    for name, values in {**p, "x": x}.items():
        for index in rng.choice(values.size, min(8, values.size), replace=False):
            index = np.unravel_index(index, values.shape)
            saved, losses = values[index], []
            for shift in (1e-6, -1e-6):
                values[index] = saved + shift
                losses.append(loss())
            values[index] = saved
            np.testing.assert_allclose(
                (losses[0] - losses[1]) / 2e-6, grads[name][index], rtol=1e-6, atol=1e-7, err_msg=name
            )


def event_gru_with(p, **arguments):
    layer = EventGRU(UNITS, trace_decay=DECAY, return_sequences=True, **arguments)
    layer.build((None, None, FEATURES))
    layer.set_weights([p["W"], p["R"], p["b"], np.log(p["theta"] / (1 - p["theta"]))])
    return layer


def initial_states(p, readout):
    return [p["y0"], p["c0"], np.zeros_like(p["y0"])][: 3 if readout == "trace" else 2]


@pytest.mark.backend(masked=[True], reset=[True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("readout", ["event", "cell", "trace"])
def test_output_and_states_are_those_of_the_equations(readout, reset, masked):
    p, x, mask, _ = problem(masked)
    expected, tape = forward(p, x, mask, reset, 0.7, 1.0, hard_event)
    # No state within rounding of its threshold: else float32 and float64 may rightly differ.
    assert min(np.abs(step[6] - p["theta"]).min() for step in tape) > 1e-4
    layer = event_gru_with(p, readout=readout, reset=reset, return_state=True)
    outputs = layer(
        x.transpose(1, 0, 2).astype("float32"),
        initial_state=[state.astype("float32") for state in initial_states(p, readout)],
        mask=mask[..., 0].T if masked else None,
    )
    output, *states = (keras.ops.convert_to_numpy(value) for value in outputs)
    np.testing.assert_allclose(output, expected[readout].transpose(1, 0, 2), atol=1e-5)
    for name, last in zip(("event", "cell", "trace"), states, strict=False):
        np.testing.assert_allclose(last, expected[name][-1], atol=1e-5, err_msg=name)


@pytest.mark.backend(masked=[True], reset=[True], height=[0.7])
@pytest.mark.parametrize(
    ("readout", "reset", "masked", "height", "width"),
    [
        ("event", True, False, 0.7, 1.0),
        ("event", True, True, 3.6, 1 / 3.6),
        ("event", False, True, 0.7, 1.0),
        ("cell", True, True, 0.7, 1.0),
        ("cell", False, False, 0.7, 0.5),
        ("trace", True, True, 0.7, 1.0),
    ],
)
def test_gradients_are_those_of_the_equations(readout, reset, masked, height, width):
    p, x, mask, upstream = problem(masked)
    expected_upstream = {name: u if name == readout else np.zeros_like(u) for name, u in upstream.items()}
    _, tape = forward(p, x, mask, reset, height, width, hard_event)
    expected = backward(p, x, mask, reset, height, width, tape, expected_upstream)

    # Identities in front make the gradients in the input and in the initial states visible in their weights.
    def identity(size):
        return keras.layers.Dense(size, use_bias=False, kernel_initializer="identity")

    layer = event_gru_with(p, readout=readout, reset=reset, surrogate_height=height, surrogate_width=width)
    before_input, before_y, before_c = identity(FEATURES), identity(UNITS), identity(UNITS)
    sequence, valid = keras.Input((TIME, FEATURES)), [keras.Input((TIME,), dtype="bool")] * masked
    states = [keras.Input((UNITS,)) for _ in initial_states(p, readout)]
    output = layer(
        before_input(sequence),
        initial_state=[before_y(states[0]), before_c(states[1]), *states[2:]],
        mask=valid[0] if masked else None,
    )
    model = keras.Model([sequence, *states, *valid], output)

    # One step of gradient descent shows the gradients on every backend, by the path that every user takes.
    weights = [*layer.weights, before_input.kernel, before_y.kernel, before_c.kernel]
    before = [keras.ops.convert_to_numpy(w) + 0 for w in weights]
    loss = lambda y_true, y_pred: keras.ops.sum(y_true * y_pred)  # noqa: E731
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=EAGERLY)
    inputs = [value.astype("float32") for value in (x.transpose(1, 0, 2), *initial_states(p, readout))]
    model.train_on_batch(
        [*inputs, *([mask[..., 0].T] * masked)], upstream[readout].transpose(1, 0, 2).astype("float32")
    )
    grads = [b - keras.ops.convert_to_numpy(w) for b, w in zip(before, weights, strict=True)]

    expected["theta"] *= p["theta"] * (1 - p["theta"])
    expected["x"] = sum(a.T @ b for a, b in zip(x, expected["x"], strict=True))
    for name in ("y0", "c0"):
        expected[name] = p[name].T @ expected[name]
    for name, grad in zip(("W", "R", "b", "theta", "x", "y0", "c0"), grads, strict=True):
        np.testing.assert_allclose(grad, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.backend(masked=[True], go_backwards=[True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_without_threshold_and_reset_it_is_keras_gru(masked, go_backwards):
    _, x, mask, _ = problem(masked)
    x, mask = x.transpose(1, 0, 2).astype("float32"), mask[..., 0].T if masked else None
    arguments = {"return_sequences": True, "return_state": True, "go_backwards": go_backwards}
    gru = keras.layers.GRU(UNITS, reset_after=True, bias_initializer="glorot_uniform", **arguments)
    expected, last = gru(x, mask=mask)
    never_below = keras.initializers.Constant(-2.0)
    layer = EventGRU(UNITS, threshold_mode="clipped", threshold_initializer=never_below, reset=False, **arguments)
    layer.build(x.shape)
    layer.set_weights([*gru.get_weights(), layer.get_weights()[-1]])
    output, y, c = layer(x, mask=mask)
    for value, target in ((output, expected), (y, last), (c, last)):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(value), keras.ops.convert_to_numpy(target), atol=1e-5)
