"""Models trained in mixed precision, or with another Keras backend in the same process; subclassed models."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import EventGRU


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    """What converts is the model that computes in float32 with the same weights."""
    made = []
    for dtype in (policy, "float32"):
        inner = layers.Bidirectional(layers.GRU(6, return_sequences=True, dtype=dtype), dtype=dtype)
        parts = [inner, EventGRU(5, dtype=dtype, return_sequences=True), layers.Dense(3, dtype=dtype)]
        made.append(event_model([*parts, layers.LSTM(4, dtype=dtype)]))
    mixed, plain = made
    plain.set_weights(mixed.get_weights())
    x = sequences()
    converted = ksr.convert(mixed, x, weights="float32")
    expected = plain.predict(x, verbose=0)
    assert np.median(np.abs(converted.predict(x) - expected).max(axis=1)) <= 1e-5
    assert mixed.layers[0].compute_dtype == policy.removeprefix("mixed_")  # left as it was


def test_a_process_of_another_backend(monkeypatch):
    """The conversion then runs in a process of its own: the same file, and its errors."""
    parts = [keras.Input((12, 7), name="frames"), EventGRU(6, name="events"), layers.Dense(2)]
    model, x = keras.Sequential(parts), sequences()
    here = ksr.convert(model, x)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    there = ksr.convert(model, x)
    assert [tensor.name for tensor in there.engine().inputs] == ["frames"]
    assert there.report.layers == here.report.layers and there.report.engines == here.report.engines
    np.testing.assert_array_equal(there.predict(x), here.predict(x))


@pytest.mark.slow
def test_errors_come_from_that_process(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="no layer that computes anything"):
        ksr.convert(event_model([layers.Dropout(0.1)]), sequences())


_TRAINED_HERE = """
import numpy as np
import keras
import keras_sparse_rnn as ksr

x = np.random.default_rng(0).normal(size=(32, 12, 7)).astype("float32")
frames = keras.Input((12, 7))
events = ksr.layers.EventGRU(8, return_sequences=True)(frames)
model = keras.Model(frames, keras.layers.Dense(3)(keras.layers.Bidirectional(keras.layers.GRU(6))(events)))
model.compile("adam", "mse")
pruning = ksr.callbacks.MagnitudePruning(ksr.schedules.ConstantSparsity(0.5, begin_step=0, frequency=1))
model.fit(x, x[:, -1, :3], callbacks=[pruning], verbose=0)
expected = np.asarray(model.predict(x, verbose=0))
for weights, allowed in (("float32", 1e-6), ("int8", 0.1)):
    converted = ksr.convert(model, x, weights=weights)
    error = np.median(np.abs(converted.predict(x) - expected).max(axis=1))
    assert error <= allowed * expected.std(), (weights, error)
print(keras.backend.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_trained_with_another_backend(backend):
    pytest.importorskip(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", _TRAINED_HERE], env=environment, capture_output=True, text=True)
    assert done.stdout.split()[-1:] == [backend], done.stderr[-3000:]


class Block(layers.Layer):
    """A recurrent layer and what is behind it, as users put them together."""

    def __init__(self, **options):
        super().__init__(**options)
        self.memory, self.norm = layers.LSTM(5, return_sequences=True), layers.LayerNormalization()

    def call(self, x):
        return self.norm(self.memory(x))


class WordsAndFrames(keras.Model):
    def __init__(self):
        super().__init__()
        self.table, self.reader = layers.Embedding(20, 5), layers.GRU(6)
        self.block, self.listener = Block(), layers.GRU(4)
        self.dropout, self.scores = layers.Dropout(0.5), layers.Dense(2)

    def call(self, inputs, training=False):
        words, frames = inputs
        both = [self.reader(self.table(words)), self.listener(self.block(frames))]
        return self.scores(self.dropout(keras.ops.concatenate(both, axis=-1), training=training))


class ByValue(keras.Model):
    def __init__(self):
        super().__init__()
        self.memory = layers.GRU(6)

    def call(self, x):
        y = self.memory(x)
        return y if keras.ops.convert_to_numpy(y).sum() > 0 else -y


def test_a_subclassed_model():
    model = WordsAndFrames()
    x = [np.random.default_rng(0).integers(0, 20, (24, 9)).astype("int32"), sequences()]
    model(x)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(ksr.convert(model, x, weights="float32").predict(x), expected, atol=1e-5)
    inputs = keras.Input((9,), dtype="int32"), keras.Input((12, 7))
    around = keras.Model(inputs, model(inputs))
    np.testing.assert_allclose(ksr.convert(around, x, weights="float32").predict(x), expected, atol=1e-5)


def test_a_subclassed_model_that_chooses_by_values():
    model = ByValue()
    model.build((None, 12, 7))
    with pytest.raises(
        ValueError, match="'by_value' is subclassed, and .* Write its call with layers and keras.ops only"
    ):
        ksr.convert(model, sequences())
