"""What may stand around recurrent layers, and in which shapes the models may come."""

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras import layers
from keras.layers import GRU, LSTM, RNN, Dense, GRUCell, LSTMCell, SimpleRNN, SimpleRNNCell
from zoo import ENGINES

import keras_sparse_rnn as ksr
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.layers import DeltaGRUCell, EventGRU, EventGRUCell
from keras_sparse_rnn.runtime.model import Model

INTERPRETERS = [name for name in ENGINES if name in ("litert", "tflm")]


def _normalization():
    layer = layers.Normalization()
    layer.adapt(3 * sequences(seed=5) + 1)
    return layer


STACKS = {
    "Bidirectional, concat": lambda: [layers.Bidirectional(GRU(6, return_sequences=True), merge_mode="concat")],
    "Bidirectional, sum, last": lambda: [layers.Bidirectional(LSTM(6), merge_mode="sum"), Dense(3)],
    "Bidirectional, ave and mul": lambda: [
        layers.Bidirectional(SimpleRNN(6, return_sequences=True), merge_mode="ave"),
        layers.Bidirectional(GRU(6, reset_after=False), merge_mode="mul"),
    ],
    "Bidirectional, two kinds": lambda: [
        layers.Bidirectional(GRU(6), backward_layer=LSTM(6, go_backwards=True), merge_mode="concat"),
        Dense(2),
    ],
    "TimeDistributed Dense": lambda: [
        layers.TimeDistributed(Dense(6, activation="relu")),
        GRU(6, return_sequences=True),
        layers.TimeDistributed(Dense(3)),
    ],
    "TimeDistributed convolution": lambda: [
        layers.Reshape((12, 7, 1)),
        layers.TimeDistributed(layers.Conv1D(3, 3, activation="relu")),
        layers.TimeDistributed(layers.Flatten()),
        GRU(6),
    ],
    "Conv1D, pooling": lambda: [
        layers.Conv1D(8, 3, padding="same", activation="relu"),
        layers.MaxPooling1D(2),
        GRU(6, return_sequences=True),
        layers.GlobalMaxPooling1D(),
        Dense(3),
    ],
    "Conv1D, dilated": lambda: [
        layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="tanh"),
        layers.Conv1D(8, 2, padding="same", dilation_rate=3, use_bias=False),
        layers.Reshape((12, 8, 1)),
        layers.Conv2D(3, 3, dilation_rate=(1, 2), activation="relu"),
        layers.Reshape((10, 12)),
        GRU(6),
        Dense(3),
    ],
    "Conv2D, DepthwiseConv2D, BatchNormalization": lambda: [
        layers.Reshape((12, 7, 1)),
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.AveragePooling2D((1, 2)),
        layers.Reshape((12, 12)),
        LSTM(6),
    ],
    "DepthwiseConv1D, Normalization": lambda: [
        _normalization(),
        layers.DepthwiseConv1D(3, padding="same"),
        GRU(6),
        Dense(2),
    ],
    "BatchNormalization, Flatten": lambda: [
        GRU(6, return_sequences=True),
        layers.BatchNormalization(),
        GRU(6, return_sequences=True),
        layers.Flatten(),
        Dense(2),
    ],
    "LeakyReLU, Dropout, Softmax": lambda: [
        Dense(8),
        layers.LeakyReLU(),
        layers.SpatialDropout1D(0.5),
        LSTM(6),
        layers.Dropout(0.5),
        Dense(4, activation="tanh"),
        Dense(4, activation="sigmoid"),
        layers.Softmax(),
    ],
    "RNN over cells": lambda: [
        RNN([GRUCell(6), LSTMCell(5, use_bias=False)], return_sequences=True),
        RNN(SimpleRNNCell(6), go_backwards=True),
    ],
    "RNN over cells, backwards": lambda: [
        RNN(
            [layers.StackedRNNCells([GRUCell(6), GRUCell(5, reset_after=False)]), LSTMCell(4)],
            go_backwards=True,
            return_sequences=True,
        ),
    ],
    "Bidirectional over cells": lambda: [
        layers.Bidirectional(RNN([GRUCell(5), SimpleRNNCell(4)], return_sequences=True)),
        layers.Bidirectional(RNN(LSTMCell(4)), merge_mode="sum"),
        Dense(2),
    ],
    "SimpleRNN": lambda: [SimpleRNN(9, return_sequences=True), SimpleRNN(6, go_backwards=True, use_bias=False)],
}


def _residual():
    x = keras.Input((12, 7), name="x")
    y = Dense(8)(x)
    z = layers.Add()([y, GRU(8, return_sequences=True)(y)])
    wide, narrow = layers.Conv1D(4, 5, padding="same")(z), LSTM(4, return_sequences=True)(z)
    z = layers.Concatenate()([wide, narrow, layers.Multiply()([wide, narrow])])
    return keras.Model(x, {"classes": Dense(3, name="classes")(SimpleRNN(6)(z)), "frames": Dense(2, name="frames")(z)})


def _nested():
    """A recurrent encoder inside a model inside a model, called twice."""
    frames = keras.Input((12, 7))
    encoder = keras.Sequential([keras.Input((12, 7)), Dense(5), layers.Bidirectional(GRU(4))], name="encoder")
    inner = keras.Model(frames, encoder(frames), name="inner")
    a, b = keras.Input((12, 7), name="a"), keras.Input((12, 7), name="b")
    return keras.Model([a, b], Dense(2, name="distance")(layers.Subtract()([inner(a), inner(b)])))


def _embedding():
    words = keras.Input((12,), dtype="int32", name="words")
    vectors = layers.Embedding(20, 6, keras.initializers.RandomNormal(stddev=1.0))(words)
    return keras.Model(words, Dense(3, name="classes")(GRU(6)(vectors)))


def _gated():
    """A step of WaveNet in front of a GRU: two dilated convolutions of one tensor."""
    frames = keras.Input((12, 7), name="x")
    hidden = layers.Conv1D(6, 1)(frames)
    options = {"padding": "causal", "dilation_rate": 2}
    gated = [layers.Conv1D(6, 2, activation=name, **options)(hidden) for name in ("tanh", "sigmoid")]
    hidden = layers.Add()([hidden, layers.Multiply()(gated)])
    return keras.Model(frames, Dense(3, name="classes")(GRU(6, return_sequences=True)(hidden)))


GRAPHS = {
    "residual and branches": (_residual, "x"),
    "nested": (_nested, "a b"),
    "embedding": (_embedding, "words"),
    "gated": (_gated, "x"),
}


def _check(model, x, weights):
    # Biases and batch statistics as after training.
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name in ("bias", "moving_mean", "beta"):
            variable.assign_add(rng.normal(0, 0.3, variable.shape))
    converted = ksr.convert(model, x, weights=weights)
    expected = keras.tree.map_structure(np.asarray, keras.tree.flatten(model(x)))
    for name in INTERPRETERS:
        engine = converted.engine(name)
        outputs = converted.predict(x, name)
        outputs = [outputs] if len(engine.outputs) == 1 else outputs
        for ours, keras_output, tensor in zip(outputs, expected, engine.outputs, strict=True):
            error = np.abs(ours - keras_output)
            assert error.max() <= 1e-5 if weights == "float32" else error.mean() <= 2 * tensor.scale, name
    return converted


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_stacks(stack):
    _check(event_model(stack()), sequences(), "int8")


EXACT = ("Bidirectional, ave and mul", "Bidirectional over cells", "TimeDistributed convolution")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in EXACT else [pytest.mark.slow]) for name in STACKS]
)
def test_stacks_in_float32(name):
    _check(event_model(STACKS[name]()), sequences(), "float32")


@pytest.mark.slow_but(weights=["int8"])
@pytest.mark.parametrize("weights", ["float32", "int8"])
@pytest.mark.parametrize(("build", "inputs"), GRAPHS.values(), ids=GRAPHS)
def test_graphs(build, inputs, weights):
    keras.utils.set_random_seed(0)
    model = build()
    data = {name: sequences(seed=i) for i, name in enumerate(inputs.split())}
    if inputs == "words":
        data = {"words": np.random.default_rng(0).integers(0, 20, (24, 12), np.int32)}
    converted = _check(model, data, weights)
    if build is _gated:
        assert PlainC(Model(converted.data)).time.obstacle is None
    assert [tensor.name for tensor in Model(converted.data).outputs] == model.output_names


def test_events_in_both_directions():
    model, x = event_model([layers.Bidirectional(EventGRU(8, return_sequences=True, readout="cell"))]), sequences()
    converted = ksr.convert(model, x)
    assert np.abs(converted.predict(x) - np.asarray(model(x))).mean() <= 0.01
    np.testing.assert_array_equal(converted.predict(x, "native"), converted.predict(x, "reference"))
    assert [op.name for op in Model(converted.data).operators].count("KsrEventGru") == 2


def test_cells_are_their_layers():
    """Op by op, with events and with changes; in streams too."""
    cells = [EventGRUCell(8, readout="cell"), DeltaGRUCell(6, 0.1, 0.05)]
    model, x = event_model([RNN(cells, return_sequences=True, name="rnn"), Dense(2)]), sequences()
    converted = ksr.convert(model, x)
    assert [layer.name for layer in converted.report.layers] == [f"rnn_{cell.name}" for cell in cells]
    assert [op.name for op in Model(converted.data).operators][:2] == ["KsrEventGru", "KsrGru"]
    expected = np.asarray(model(x))
    assert np.abs(converted.predict(x) - expected).mean() <= 0.02
    stream = ksr.convert(model, x, stateful=True, time_steps=3)
    chunks = stream.engine().run_chunks([x.reshape(24, 4, 3, 7)])[0].reshape(24, 12, 2)
    np.testing.assert_allclose(
        chunks, converted.predict(x), atol=1e-6
    )  # calibration in chunks moves the scale's last bits


@keras.saving.register_keras_serializable("tests")
class OtherCell(GRUCell):
    def call(self, inputs, states, training=False):
        return super().call(2 * inputs, states, training=training)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (lambda: [layers.Bidirectional(RNN(OtherCell(4)), name="both")], r"'both' .*holds a RNN"),
        (lambda: [RNN([GRUCell(4), OtherCell(4)], name="cells")], r"'cells' \(RNN\) cannot be converted; supported: "),
        (lambda: [layers.Reshape((12, 7, 1)), layers.TimeDistributed(GRU(4, name="inner"))], "'inner' .*TimeDistrib"),
    ],
)
def test_refusals(stack, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(event_model(stack()), sequences())
