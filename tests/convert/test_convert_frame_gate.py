"""A FrameGate in front of recurrent layers, converted: it decides as in Keras, and what is behind it repeats."""

import keras
import numpy as np
import pytest
from keras import layers
from zoo import ENGINES

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert import VerificationError, frame_gates
from keras_sparse_rnn.layers import DeltaGRU, FrameGate, LightGRU
from keras_sparse_rnn.ops.frame_gate import FrameGate as Op

STEPS, FEATURES = 16, 5
WEIGHTS = ("float32", "int8", "int8x16")


def _walks():
    steps = np.random.default_rng(0).normal(0, 0.25, (24, STEPS, FEATURES))
    x = np.cumsum(steps, axis=1).astype("float32")
    x[:, :2] *= 0.05  # nothing moves at first
    return x


@pytest.fixture(scope="module")
def gated():
    """`(model, x, outputs, steps made)`: a dense layer between the gate and what recurs, and one behind that."""
    keras.utils.set_random_seed(0)
    gate = FrameGate([0.3, 0.5, 0.2, 0.4, 0.4], count=2, name="gate")
    behind = [layers.Dense(6), LightGRU(9, return_sequences=True), layers.LSTM(7, return_sequences=True)]
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), gate, *behind, layers.Dense(3)])
    x = _walks()
    made = keras.ops.convert_to_numpy(gate.compute_mask(keras.ops.convert_to_tensor(x)))
    assert 0.3 < made.mean() < 0.8 and not made[:, 0].any()
    return model, x, model.predict(x, verbose=0), made


@pytest.mark.slow_but(weights=["int8"])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_all_at_once_and_step_by_step(gated, weights):
    """Every engine gives the same, whole or as a stream, but for roundings of int16 dense layers; floats are Keras's,
    integers near it."""
    model, x, expected, made = gated
    whole, stream = (ksr.convert(model, x, weights=weights, stateful=stateful) for stateful in (False, True))
    reference = whole.engine("reference").predict(x)
    error = np.abs(reference - expected)
    limit = {"float32": 1e-5, "int8x16": 0.02, "int8": 0.4}[weights]
    assert error.max() < limit and error.mean() < limit / 4
    for name in ENGINES:
        chunks = x[:4].reshape(4, STEPS, 1, FEATURES)
        outputs = [whole.engine(name).predict(x[:4]), stream.engine(name).run_chunks([chunks])[0][:, :, 0]]
        for ours in outputs:
            if weights == "float32":
                np.testing.assert_allclose(ours, reference[:4], atol=1e-5)
            else:
                atol = 1e-7 if weights == "int8" else 2e-4
                np.testing.assert_allclose(ours, reference[:4], rtol=1e-6, atol=atol, err_msg=name)
            left_out = ~made[:4, 1:]
            if weights != "int8":  # whose gate may decide otherwise within rounding
                np.testing.assert_array_equal(ours[:, 1:][left_out], ours[:, :-1][left_out])


def test_steps_of_a_mask_are_left_out_as_well():
    x = _walks()
    x[:, 5:8] = 0
    keras.utils.set_random_seed(0)
    inner = [layers.Masking(), FrameGate(0.3, count=2), DeltaGRU(8), layers.Dense(2)]
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *inner])
    converted = ksr.convert(model, x, weights="float32", target="litert")
    np.testing.assert_allclose(converted.predict(x), model.predict(x, verbose=0), atol=1e-5)


def _around_the_gate():
    """What is in front of the gate is read without its mask, by a recurrent layer and by a sum."""
    x = keras.Input((STEPS, FEATURES))
    y = LightGRU(FEATURES, return_sequences=True)(FrameGate(0.3, count=2)(x))
    z = layers.Concatenate()([layers.GRU(3, return_sequences=True)(x), layers.Add()([x, y])])
    return keras.Model(x, layers.LSTM(4, return_sequences=True)(z))


def _two_gates():
    """A sum of what two gates mask is a step where either of them makes it."""
    x = keras.Input((STEPS, FEATURES))
    y = LightGRU(FEATURES, return_sequences=True)(FrameGate(0.3, count=2)(x))
    z = layers.GRU(FEATURES, return_sequences=True)(FrameGate(0.1)(x))
    return keras.Model(x, layers.LSTM(4, return_sequences=True)(layers.Add()([y, z])))


@pytest.mark.slow_but(stateful=[True])
@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("build", [_around_the_gate, _two_gates])
def test_masks_are_merged_as_in_keras(build, stateful):
    keras.utils.set_random_seed(0)
    model, x = build(), _walks()
    engine = ksr.convert(model, x, weights="float32", stateful=stateful, target="litert").engine("reference")
    ours = engine.run_chunks([x[:, :, None]])[0][:, :, 0] if stateful else engine.predict(x)
    np.testing.assert_allclose(ours, model.predict(x, verbose=0), atol=1e-5)


@pytest.mark.parametrize("where", ["Bidirectional", "go_backwards"])
def test_what_goes_backwards_is_refused(where):
    layer = layers.Bidirectional(LightGRU(3)) if where == "Bidirectional" else layers.GRU(3, go_backwards=True)
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), FrameGate(0.5), layers.Dense(4), layer])
    with pytest.raises(ValueError, match="goes backwards behind a FrameGate: the gate decides about a frame by those"):
        ksr.convert(model, weights="float32")


@pytest.mark.parametrize("behind", ["Dense", "Conv1D", "initial_state"])
def test_a_gate_that_nothing_reads_is_refused(behind):
    x, state = keras.Input((STEPS, FEATURES)), keras.Input((3,))
    y = FrameGate(0.5, name="gate")(x)
    if behind == "initial_state":  # where Keras itself ignores the mask
        y = layers.GRU(3)(y, initial_state=state)
    else:
        y = layers.GRU(3)(layers.Conv1D(4, 3)(y)) if behind == "Conv1D" else layers.Dense(3)(y)
    model = keras.Model([x, state] if behind == "initial_state" else x, y)
    with pytest.raises(ValueError, match=r"layer 'gate' \(FrameGate\) has no effect: no layer reads its mask"):
        ksr.convert(model, weights="float32")


def test_a_stateful_gate_is_refused_without_states():
    model = keras.Sequential(
        [keras.Input(batch_shape=(4, STEPS, FEATURES)), FrameGate(0.5, stateful=True, name="gate")]
    )
    model.add(layers.GRU(3))
    with pytest.raises(ValueError, match="layer 'gate' has stateful=True; only False can be converted without"):
        ksr.convert(model, weights="float32")


def test_a_mean_of_no_step_is_refused():
    """Keras divides zero by zero where a gate makes no step of a chunk."""
    inner = [FrameGate(0.3, count=2), LightGRU(3, return_sequences=True), layers.GlobalAveragePooling1D(name="mean")]
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *inner, layers.Dense(2, name="y")])
    for weights in ("float32", "int8"):
        with pytest.raises(ValueError, match=r"'y' of the Keras model is NaN .* for [\d.]+% .*: 'mean' divides by"):
            ksr.convert(model, _walks(), weights=weights, stateful=True, time_steps=2)


def test_a_gate_that_decides_otherwise_is_found(gated, monkeypatch):
    """Thresholds that the op has wrong; or so small that integers cannot tell them."""
    model, x, _, _ = gated
    monkeypatch.setattr(frame_gates, "counts", lambda threshold, scale, dtype: np.full(len(threshold), 9, dtype))
    with pytest.raises(
        VerificationError, match=r"layer 'gate' skips other steps than Keras: [\d.]+% of the steps differ"
    ):
        ksr.convert(model, x)
    monkeypatch.undo()
    keras.utils.set_random_seed(0)
    fine = keras.Sequential([keras.Input((STEPS, FEATURES)), FrameGate(0.03, count=3, name="fine"), LightGRU(4)])
    noise = np.random.default_rng(0).normal(0, 0.03, x.shape).astype("float32")
    noise[0] *= 100  # so that one count is about the threshold
    with pytest.warns(UserWarning, match=r"layer 'fine' decides differently from Keras at [\d.]+% of the steps"):
        ksr.convert(fine, noise, target="litert", max_relative_error=10)


def test_the_op_holds_the_thresholds_of_the_layer(gated):
    model, x, _, _ = gated
    file = ksr.convert(model, x, target="litert")
    engine = file.engine("reference")
    [gate] = [op for op in engine.definitions.values() if isinstance(op, Op)]
    scale = engine.inputs[0].scale
    np.testing.assert_array_equal(gate.threshold, np.floor(np.array([0.3, 0.5, 0.2, 0.4, 0.4]) / scale))
    assert gate.options.count == 2 and gate.options.x_zero_point == engine.inputs[0].zero_point
