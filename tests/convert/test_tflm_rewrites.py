"""Layers around recurrent ones that TensorFlow Lite's converter makes ops of that TensorFlow Lite Micro lacks."""

import numpy as np
import pytest
from event_models import event_model, sequences
from keras import layers, ops
from keras.layers import GRU, LSTM
from zoo import ENGINES

import keras_sparse_rnn as ksr

BETWEEN = {
    "softplus": lambda: [GRU(8, return_sequences=True), layers.Dense(6, activation="softplus")],
    "GlobalMaxPooling1D": lambda: [GRU(8, return_sequences=True), layers.GlobalMaxPooling1D(), layers.RepeatVector(12)],
    "RepeatVector": lambda: [GRU(8), layers.RepeatVector(12)],
    "UpSampling1D": lambda: [GRU(8, return_sequences=True), layers.UpSampling1D(2)],
}


@pytest.mark.slow_but(weights=["int8"])
@pytest.mark.parametrize(
    ("between", "weights", "tolerance"),
    [(name, weights, tolerance) for name in BETWEEN for weights, tolerance in (("float32", 1e-5), ("int8", 0.03))]
    + [("RepeatVector", "int8x16", 0.01), ("GlobalMaxPooling1D", "int8x16", 0.01)],
)
def test_what_stands_between(between, weights, tolerance):
    model = event_model([*BETWEEN[between](), LSTM(5, return_sequences=True), layers.Dense(3)])
    x = sequences()
    converted = ksr.convert(model, x, weights=weights)
    assert "tflm" in converted.report.engines or "tflm" not in ENGINES
    expected = model.predict(x, verbose=0)
    error = np.abs(converted.predict(x) - expected)
    assert error.max() <= 1e-5 if weights == "float32" else error.mean() <= tolerance * expected.std()


def test_repeated_in_every_engine():
    model = event_model([LSTM(8), layers.RepeatVector(12), GRU(5, return_sequences=True)])
    converted = ksr.convert(model, sequences())
    ours = [converted.engine(name).invoke([np.full((1, 12, 7), 50, np.int8)])[0] for name in ENGINES]
    for other in ours[1:]:
        np.testing.assert_array_equal(other, ours[0])


def test_what_is_left_is_refused_with_its_layer():
    model = event_model([GRU(4, return_sequences=True), layers.Dense(3, activation=ops.sign, name="wide")])
    with pytest.raises(ValueError, match=r"'wide' \(Dense\) becomes the op SIGN, which TensorFlow Lite Micro lacks"):
        ksr.convert(model, sequences(), weights="float32")
    converted = ksr.convert(model, sequences(), weights="float32", target="litert")
    np.testing.assert_allclose(converted.predict(sequences()), model.predict(sequences(), verbose=0), atol=1e-5)
