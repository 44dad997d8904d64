"""Recurrent models as people build them, in float32 and in integers."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sparse_rnn as ksr

_LEARNED = keras.initializers.RandomNormal(stddev=1.0, seed=0)  # of an Embedding, whose rows begin near zero


def _walks(samples, steps, features, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=(samples, steps, features)) * 0.3, 1).astype("float32")


def bidirectional_stack():
    """Activity recognition: two bidirectional layers, merged in two ways, and a dense one."""
    parts = [
        layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
        layers.Bidirectional(layers.GRU(6), merge_mode="ave"),
    ]
    return keras.Sequential([keras.Input((12, 5)), *parts, layers.Dense(4, activation="softmax")]), _walks(32, 12, 5)


def static_features():
    """A forecast from a sequence and what is known of its source."""
    sequence, static = keras.Input((12, 4)), keras.Input((3,))
    joined = layers.Concatenate()([layers.GRU(8)(sequence), layers.Dense(4, activation="gelu")(static)])
    return keras.Model([sequence, static], layers.Dense(2)(joined)), [_walks(32, 12, 4), _walks(32, 1, 3, 1)[:, 0]]


def conv_lstm():
    """Vibration: causal convolutions with batch normalization, pooling, an LSTM."""
    parts = [layers.Conv1D(6, 3, padding="causal", use_bias=False), layers.BatchNormalization(), layers.LeakyReLU(0.3)]
    parts += [layers.DepthwiseConv1D(3, padding="same", activation="relu"), layers.MaxPooling1D(2), layers.LSTM(8)]
    return keras.Sequential([keras.Input((16, 3)), *parts, layers.Dropout(0.2), layers.Dense(2)]), _walks(32, 16, 3)


def anomaly_autoencoder():
    """A sequence squeezed into one state and unrolled again."""
    parts = [
        layers.GRU(8, activation="relu"),
        layers.RepeatVector(10),
        layers.GRU(8, activation="relu", return_sequences=True),
    ]
    return keras.Sequential([keras.Input((10, 3)), *parts, layers.TimeDistributed(layers.Dense(3))]), _walks(
        32, 10, 3
    ) * 0.5


def word_tagger():
    """Padded sentences, a tag for each word."""
    words = np.random.default_rng(0).integers(1, 40, (32, 10)).astype("int32")
    words[np.arange(10) >= np.random.default_rng(1).integers(3, 11, (32, 1))] = 0
    tags = layers.TimeDistributed(layers.Dense(5, activation="softmax"))
    parts = [
        layers.Embedding(40, 8, _LEARNED, mask_zero=True),
        layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
        tags,
    ]
    return keras.Sequential([keras.Input((10,), dtype="int32"), *parts]), words


def text_reader():
    """OCR with a head for CTC: convolutions over a picture, columns as steps."""
    parts = [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Permute((2, 1, 3)),
    ]
    parts += [layers.Reshape((8, 16)), layers.Bidirectional(layers.GRU(6, return_sequences=True), merge_mode="sum")]
    x = np.random.default_rng(0).random((32, 8, 16, 1)).astype("float32")
    return keras.Sequential([keras.Input((8, 16, 1)), *parts, layers.Dense(7, activation="softmax")]), x


def stacked_cells():
    """Three kinds of cells in one RNN."""
    cells = layers.StackedRNNCells([layers.GRUCell(8), layers.LSTMCell(6), layers.SimpleRNNCell(5)])
    return keras.Sequential([keras.Input((10, 4)), layers.RNN(cells, return_sequences=True), layers.Dense(2)]), _walks(
        32, 10, 4
    )


def vocoder():
    """WaveRNN: the sample before as a word, features beside it, a softmax over the next one."""
    sample, features = keras.Input((8,), dtype="int32"), keras.Input((8, 5))
    h = layers.Concatenate()([layers.Embedding(16, 6, _LEARNED)(sample), layers.Dense(6, activation="tanh")(features)])
    h = layers.Add()([layers.GRU(12, return_sequences=True)(h), layers.Dense(12)(h)])
    model = keras.Model(
        [sample, features], layers.Dense(16, activation="softmax")(layers.Dense(12, activation="relu")(h))
    )
    return model, [np.random.default_rng(0).integers(0, 16, (32, 8)).astype("int32"), _walks(32, 8, 5)]


def attention_pooling():
    """Attention over the steps by a score for each, as in speech commands by RNN."""
    x = keras.Input((12, 4))
    h = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
    query = layers.Dense(12)(h[:, -1])
    scores = layers.Softmax(name="scores")(layers.Dot(axes=[1, 2])([query, h]))
    return keras.Model(x, layers.Dense(3)(layers.Dot(axes=[1, 1])([scores, h]))), _walks(32, 12, 4)


def translation():
    """Encoder and decoder with dot-product attention between them."""
    source, target = keras.Input((8, 4)), keras.Input((6, 3))
    encoded, state = layers.GRU(8, return_sequences=True, return_state=True)(source)
    decoded = layers.GRU(8, return_sequences=True)(target, initial_state=state)
    joined = layers.Concatenate()([decoded, layers.Attention()([decoded, encoded])])
    return keras.Model([source, target], layers.Dense(5)(joined)), [_walks(32, 8, 4), _walks(32, 6, 3, 1)]


def additive_translation():
    """The same with additive attention."""
    source, target = keras.Input((8, 4)), keras.Input((6, 3))
    encoded, h, c = layers.LSTM(8, return_sequences=True, return_state=True)(source)
    decoded = layers.LSTM(8, return_sequences=True)(target, initial_state=[h, c])
    joined = layers.Concatenate()([decoded, layers.AdditiveAttention()([decoded, encoded])])
    return keras.Model([source, target], layers.Dense(5)(joined)), [_walks(32, 8, 4), _walks(32, 6, 3, 1)]


def dilated_then_gru():
    """A temporal convolutional network with residuals in front of a GRU."""
    x = h = keras.Input((16, 4))
    for rate in (1, 2, 4):
        y = layers.Conv1D(4, 2, dilation_rate=rate, padding="causal", activation="relu")(h)
        h = layers.LayerNormalization()(layers.Add()([h, y]))
    return keras.Model(x, layers.Dense(2)(layers.GRU(6)(h))), _walks(32, 16, 4)


class _Forecaster(keras.Model):
    """TensorFlow's tutorial on time series: a warm-up, then a cell that reads its own predictions."""

    def __init__(self, steps):
        super().__init__()
        self.steps, self.cell, self.head = steps, layers.LSTMCell(8), layers.Dense(3)
        self.warm_up = layers.RNN(self.cell, return_state=True)

    def call(self, x):
        y, *states = self.warm_up(x)
        predictions = [self.head(y)]
        for _ in range(self.steps - 1):
            y, states = self.cell(predictions[-1], states)
            predictions.append(self.head(y))
        return ops.stack(predictions, axis=1)


def autoregressive():
    model, x = _Forecaster(4), _walks(32, 10, 3)
    model(x)
    return model, x


def ops_between():
    """Slices, arithmetic and reductions by `keras.ops` and Lambda."""
    x = keras.Input((12, 6))
    h = layers.GRU(8, return_sequences=True)(x[:, ::2])
    h = ops.concatenate([h, ops.tanh(h) * 0.5], axis=-1)
    h = layers.Lambda(lambda h: ops.mean(h, axis=1) + ops.max(h, axis=1), output_shape=(16,))(h)
    return keras.Model(x, layers.Dense(3)(h)), _walks(32, 12, 6)


def gated_residual():
    """A gated residual network, as temporal fusion transformers have."""
    x = keras.Input((10, 6))
    h = layers.LSTM(6, return_sequences=True)(layers.Dense(6, activation="elu")(x))
    h = layers.LayerNormalization()(
        layers.Add()([x, layers.Multiply()([layers.Dense(6)(h), layers.Dense(6, activation="sigmoid")(h)])])
    )
    return keras.Model(
        x, [layers.Dense(2, name="mean")(h), layers.Dense(2, activation="softplus", name="spread")(h)]
    ), (_walks(32, 10, 6))


def deep_speech():
    """Clipped rectifiers, a bidirectional simple RNN whose halves are multiplied or added."""
    clipped = [layers.TimeDistributed(layers.Dense(8, activation=None)), layers.ReLU(max_value=20.0)]
    rnn = layers.Bidirectional(layers.SimpleRNN(8, activation="relu", return_sequences=True), merge_mode="mul")
    return keras.Sequential([keras.Input((10, 5)), *clipped, rnn, layers.Dense(6, activation="softmax")]), _walks(
        32, 10, 5
    )


def other_heads():
    """PReLU, GroupNormalization, average pooling over time, unit-length embeddings of a speaker."""
    parts = [layers.LSTM(8, return_sequences=True), layers.PReLU(shared_axes=[1]), layers.AveragePooling1D(2)]
    parts += [layers.GlobalMaxPooling1D(), layers.Dense(4), layers.UnitNormalization()]
    return keras.Sequential([keras.Input((12, 5)), *parts]), _walks(32, 12, 5)


def two_speeds():
    """A slow and a fast path, joined by upsampling."""
    x = keras.Input((12, 4))
    slow = layers.UpSampling1D(3)(layers.GRU(6, return_sequences=True)(layers.AveragePooling1D(3)(x)))
    fast = layers.SimpleRNN(6, return_sequences=True)(x)
    return keras.Model(x, layers.Dense(2)(layers.Maximum()([slow, fast]))), _walks(32, 12, 4)


MODELS = [
    bidirectional_stack,
    static_features,
    conv_lstm,
    anomaly_autoencoder,
    word_tagger,
    text_reader,
    stacked_cells,
    vocoder,
    attention_pooling,
    translation,
    additive_translation,
    dilated_then_gru,
    autoregressive,
    ops_between,
    gated_residual,
    deep_speech,
    other_heads,
    two_speeds,
]


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_a_usual_model_converts(make):
    keras.utils.set_random_seed(1)
    model, x = make()
    expected = [np.asarray(output) for output in keras.tree.flatten(model(x))]
    for weights, most in (("float32", 1e-5), ("int8", 0.1)):
        outputs = ksr.convert(model, x, weights=weights).predict(x)
        outputs = list(outputs.values()) if isinstance(outputs, dict) else keras.tree.flatten(outputs)
        for ours, theirs in zip(outputs, expected, strict=True):
            # In units of the spread, or of a few steps of its integers where an output hardly varies.
            error = np.abs(ours - theirs).mean() / (theirs.std() + 0.04 * np.abs(theirs).max())
            assert error <= most, weights
