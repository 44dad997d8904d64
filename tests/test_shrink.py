"""Smaller models against the models they come from: Keras itself says whether the outputs are the same."""

import re
import warnings

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaGRU, DeltaHold, EventGRU, EventGRUCell

GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4, "EventGRU": 3, "DeltaGRU": 3, "LightGRU": 2}
GATES |= {"DeltaLSTM": 4, "DeltaSimpleRNN": 1}


def fill(model, seed=0):
    """Weights so large that every one of them shows in the outputs; biases and thresholds too."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(scale=0.7, size=w.shape) for w in model.get_weights()])
    return model


def columns(units, *numbers, gates):
    return [gate * units + k for gate in gates for k in numbers]


def numpy(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def mute(variable, rows=(), cols=()):
    """Sets rows and columns of a weight to zero."""
    values = numpy(variable)
    values[..., list(cols)] = 0
    if len(rows):
        values[..., list(rows), :] = 0
    variable.assign(values)


def same(model, smaller, integers=None):
    """Asserts that both give the same and the given model is what it was; how much the last output varies."""
    before, rng = model.get_weights(), np.random.default_rng(1)
    shapes = [[4, *(7 if n is None else n for n in tensor.shape[1:])] for tensor in model.inputs]
    x = [rng.integers(0, integers, s) if integers else rng.normal(size=s).astype("float32") for s in shapes]
    x = x if len(x) > 1 else x[0]
    for expected, got in zip(keras.tree.flatten(model(x)), keras.tree.flatten(smaller(x)), strict=True):
        expected, got = keras.ops.convert_to_numpy(expected), keras.ops.convert_to_numpy(got)
        np.testing.assert_allclose(got, expected, atol=1e-6, rtol=1e-5)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    return np.std(expected)


def recurrent(kind, units=6, **options):
    return getattr(ksr.layers if hasattr(ksr.layers, kind) else layers, kind)(units, **options)


CELLS = [
    ("SimpleRNN", {}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"use_bias": False}),
    ("LSTM", {}),
    ("LSTM", {"use_bias": False}),
    ("EventGRU", {}),
    ("EventGRU", {"readout": "cell", "threshold_mode": "clipped"}),
    ("EventGRU", {"readout": "trace", "reset": False}),
    ("LightGRU", {}),
    ("DeltaGRU", {"input_threshold": 0.2, "hidden_threshold": 0.1}),
    ("DeltaGRU", {"trainable_threshold": True}),
    ("DeltaGRU", {"trainable_threshold": True, "reset_after": False}),
    ("DeltaLSTM", {"input_threshold": 0.2, "hidden_threshold": 0.1}),
    ("DeltaSimpleRNN", {"trainable_threshold": True}),
]


@pytest.mark.parametrize(("kind", "options"), CELLS)
def test_units_that_nobody_reads(kind, options):
    """2 is read by nobody, 4 by itself and by 2 only, 5 by 0 and so by the output."""
    layer, head = recurrent(kind, **options), layers.Dense(3)
    model = fill(keras.Sequential([keras.Input((7, 3)), layer, layers.Dropout(0.5), head]))
    every, gates = range(6), range(GATES[kind])
    mute(layer.cell.recurrent_kernel, rows=[2])
    recurrent_kernel = numpy(layer.cell.recurrent_kernel)
    recurrent_kernel[4, columns(6, *set(every) - {2, 4}, gates=gates)] = 0
    layer.cell.recurrent_kernel.assign(recurrent_kernel)
    mute(head.kernel, rows=[2, 4, 5])
    smaller = ksr.shrink(model)
    assert [type(part) for part in smaller.layers] == [type(part) for part in model.layers]
    assert smaller.layers[0].units == 4
    assert same(model, smaller) > 0.01


@pytest.mark.parametrize(("kind", "options"), CELLS)
def test_units_that_are_always_zero(kind, options):
    """1 has no way into its candidate; 3 only from 1; 5 misses all gates but the candidate and so is alive."""
    layer = recurrent(kind, return_sequences=True, **options)
    model = fill(keras.Sequential([keras.Input((7, 3)), layer, layers.Dense(3)]))
    cell, candidate = layer.cell, {"SimpleRNN": [0], "DeltaSimpleRNN": [0], "LightGRU": [1]}.get(kind, [2])
    dead = columns(6, 1, 3, gates=candidate)
    mute(cell.kernel, cols=dead)
    recurrent_kernel = numpy(cell.recurrent_kernel)
    recurrent_kernel[np.ix_([0, 2, 3, 4, 5], dead)] = 0
    recurrent_kernel[3, columns(6, 1, gates=candidate)] = 1
    cell.recurrent_kernel.assign(recurrent_kernel)
    if cell.use_bias:
        mute(cell.bias, cols=dead)
    if kind == "EventGRU" and options.get("threshold_mode") == "clipped":
        cell._threshold.assign(np.abs(numpy(cell.threshold)))
    others = [gate for gate in range(GATES[kind]) if gate not in candidate]
    mute(cell.kernel, cols=columns(6, 5, gates=others))
    smaller = ksr.shrink(model)
    assert smaller.layers[0].units == 4
    assert same(model, smaller) > 0.01
    if cell.use_bias:  # one bias makes 1 live, and with it 3
        cell.bias.assign(np.where(np.arange(cell.bias.shape[-1]) == dead[0], 0.5, numpy(cell.bias)))
        smaller = ksr.shrink(model)
        assert smaller.layers[0].units == 6
        assert same(model, smaller) > 0.01


@pytest.mark.parametrize(
    ("activation", "units"), [("relu", 3), ("softsign", 3), ("sigmoid", 6), ("softplus", 6), ("softmax", 6)]
)
def test_what_is_zero_depends_on_the_activation(activation, units):
    layer = layers.Dense(6, activation=activation)
    model = fill(keras.Sequential([keras.Input((3,)), layer, layers.Dense(2)]))
    mute(layer.kernel, cols=[0, 1, 4])
    mute(layer.bias, cols=[0, 1, 4])
    smaller = ksr.shrink(model)
    assert smaller.layers[0].units == units
    assert same(model, smaller) > 0.01


def test_events_below_a_threshold_of_zero():
    """A threshold set by hand below zero fires at a state of zero."""
    layer = EventGRU(6, threshold_mode="clipped", return_sequences=True)
    model = fill(keras.Sequential([keras.Input((7, 3)), layer, layers.Dense(2)]))
    for weight in (layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias):
        mute(weight, cols=columns(6, 1, 2, gates=[2]))
    layer.cell._threshold.assign([0.1, 0.0, -0.1, 0.1, 0.1, 0.1])
    smaller = ksr.shrink(model)
    assert smaller.layers[0].units == 5
    assert same(model, smaller) > 0.01


def test_a_stack_falls_from_the_end_to_the_beginning():
    """The last layer's dead unit takes one of the middle with it, that one of the first, that a column of the words."""
    words = layers.Embedding(9, 5)
    first, second, third = layers.LSTM(6, return_sequences=True), EventGRU(5, return_sequences=True), layers.GRU(4)
    head = layers.Dense(3, activation="softmax")
    model = fill(
        keras.Sequential([keras.Input((None,)), words, first, second, layers.SpatialDropout1D(0.1), third, head])
    )
    mute(head.kernel, rows=[3])
    mute(third.cell.recurrent_kernel, rows=[3])
    for here, above, k, fed in [(second, third, 2, 3), (first, second, 5, 2), (words, first, 0, 5)]:
        units, gates = above.units, GATES[type(above).__name__]
        mute_all_but(above.cell.kernel, k, columns(units, fed, gates=range(gates)))
        if here is not words:
            mute(here.cell.recurrent_kernel, rows=[k])
    smaller = ksr.shrink(model)
    assert [smaller.layers[0].output_dim, *(smaller.layers[n].units for n in (1, 2, 4, 5))] == [4, 5, 4, 3, 3]
    assert same(model, smaller, integers=9) > 0.01


def mute_all_but(variable, row, cols):
    values = numpy(variable)
    values[row, [n for n in range(values.shape[1]) if n not in cols]] = 0
    variable.assign(values)


def both(merge_mode, **options):
    inner = layers.LSTM(8, return_sequences=True, **options)
    return layers.Bidirectional(inner, merge_mode=merge_mode)


def residual(x):
    a, b = layers.GRU(8, return_sequences=True)(x), EventGRU(8, return_sequences=True)(x)
    return layers.TimeDistributed(layers.Dense(3))(layers.Add()([a, layers.Maximum()([a, b])]))


def encoder_and_decoder(x):
    """The encoder's states begin the decoder's."""
    _, h, c = layers.LSTM(8, return_state=True)(x)
    return layers.Dense(3)(layers.LSTM(8, return_sequences=True)(x, initial_state=[h, c]))


def states_between_directions(x):
    y, *states = both("concat", return_state=True)(x)
    y = layers.Bidirectional(layers.LSTM(8, return_state=True), merge_mode=None)(y, initial_state=states)
    return layers.Dense(3)(layers.Concatenate()(y))


def shared_layer(x):
    shared = layers.GRU(8, return_sequences=True)
    return layers.Dense(3)(shared(layers.Dense(8)(shared(layers.LSTM(8, return_sequences=True)(layers.Dense(8)(x))))))


def nested(x):
    inner = keras.Sequential([keras.Input((None, 8)), EventGRU(8, return_sequences=True), layers.Dense(8, "relu")])
    a, b = keras.Input((None, 8)), keras.Input((None, 8))
    outer = keras.Model([a, b], layers.Concatenate()([inner(a), b]))
    return layers.Dense(3)(layers.GRU(8)(outer([layers.GRU(8, return_sequences=True)(x), layers.Dense(8)(x)])))


def nested_in_a_wrapper(x):
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(8, "relu"), layers.Dense(4)])
    return layers.TimeDistributed(inner)(layers.GRU(8, return_sequences=True)(x))


def normalized(x):
    x = layers.BatchNormalization()(layers.GRU(16, return_sequences=True)(x))
    return layers.Dense(3)(layers.GlobalMaxPooling1D()(layers.LeakyReLU()(x)))


def convolved_and_flat(x):
    x = layers.Conv1D(8, 3, activation="relu")(layers.GRU(8, return_sequences=True)(x))
    return layers.Dense(3)(layers.Flatten()(layers.Activation("tanh")(layers.ZeroPadding1D(1)(x))))


def masked(x):
    x = layers.GRU(8, return_sequences=True)(layers.Masking()(x))
    return layers.Dense(3)(
        layers.GlobalAveragePooling1D()(EventGRU(8, return_sequences=True, zero_output_for_mask=True)(x))
    )


def deltas(x):
    x = layers.GRU(8, return_sequences=True)(DeltaHold(0.1)(x))
    y, *states = DeltaGRU(8, 0.1, 0.1, trainable_threshold=True, return_state=True)(DeltaHold(0.2)(x))
    return layers.Dense(3)(layers.Concatenate()([y, *states]))


def cells(x):
    stack = [layers.GRUCell(8), EventGRUCell(7), layers.SimpleRNNCell(6)]
    _, *states = layers.RNN(stack, return_state=True)(x)
    return layers.Dense(3)(layers.Concatenate()(keras.tree.flatten(states)))


def images(x):
    """Residual blocks of convolutions: what an Add puts on top of one another goes together."""
    x = layers.Reshape((7, 3, 1))(x)
    x = layers.Conv2D(12, 2, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv2D(2, padding="same", use_bias=False)(layers.PReLU(shared_axes=[1, 2])(x))
    y = layers.BatchNormalization()(layers.Conv2D(12, 1)(y))
    x = layers.MaxPooling2D((2, 1))(layers.Add()([x, y]))
    x = layers.SeparableConv2D(10, 2, padding="same", depth_multiplier=2, activation="tanh")(x)
    x = layers.Conv2DTranspose(9, 2, activation="relu")(layers.ZeroPadding2D(1)(x))
    return layers.Dense(3)(layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.Flatten()(x)]))


def volumes(x):
    x = layers.Conv3D(10, (2, 1, 1), activation="relu")(layers.Reshape((7, 3, 1, 1))(x))
    x = layers.Conv3DTranspose(9, (1, 2, 1), use_bias=False)(layers.UpSampling3D(1)(x))
    return layers.Dense(3)(layers.GlobalMaxPooling3D()(x))


def sound(x):
    x = layers.Conv1D(12, 3, activation="relu")(x)
    x = layers.DepthwiseConv1D(2, depth_multiplier=2, activation="relu")(x)
    x = layers.Conv1DTranspose(8, 2)(layers.SeparableConv1D(9, 2)(x))
    return layers.EinsumDense("abc,cd->ad", 3)(layers.GRU(8, return_sequences=True)(x))


def attention(x):
    x = layers.Dense(16, "relu")(x)
    y = layers.MultiHeadAttention(2, 3)(x, layers.Dense(12)(x))
    x = layers.Add()([x, y])
    y, _ = layers.GroupQueryAttention(3, 4, 2)(x, x, return_attention_scores=True)
    return layers.Dense(3)(layers.Concatenate()([x, layers.MultiHeadAttention(2, 3, output_shape=5)(x, x), y]))


MODELS = {
    "concat": lambda x: layers.Dense(3)(both("concat")(x)),
    "sum": lambda x: layers.Dense(3)(both("sum")(x)),
    "mul": lambda x: layers.Dense(3)(both("mul")(x)),
    "two_in_one": lambda x: layers.Dense(3)(both("ave")(both("concat")(x))),
    "backwards": lambda x: layers.Dense(3)(EventGRU(8, go_backwards=True)(layers.RepeatVector(4)(layers.GRU(8)(x)))),
    "two_outputs": lambda x: [layers.Dense(2)(y := layers.LSTM(8)(x)), layers.Dense(3)(layers.Dense(8, "elu")(y))],
    **{f.__name__: f for f in (residual, encoder_and_decoder, states_between_directions, shared_layer, nested)},
    **{f.__name__: f for f in (nested_in_a_wrapper, normalized, convolved_and_flat)},
    **{f.__name__: f for f in (masked, deltas, cells, images, volumes, sound, attention)},
}


@pytest.mark.parametrize("name", MODELS)
def test_models_with_few_weights(name):
    """At random: of each matrix three rows and columns of four are zero, so that units of all kinds die."""
    x = keras.Input((7, 3))
    model, rng = fill(keras.Model(x, MODELS[name](x))), np.random.default_rng(2)
    removed = varied = 0
    for seed in range(2):
        fill(model, seed)
        for variable in model.weights:
            values = numpy(variable)
            if "moving_variance" in variable.path:
                values = np.abs(values) + 0.1
            elif values.ndim == 1:
                values = values * (rng.random(values.shape) < 0.4)
            else:
                values = values * (rng.random(values.shape) < 0.7) * (rng.random((values.shape[-2], 1)) < 0.5)
                if values.shape[-1] > 3:
                    values = values * (rng.random(values.shape[-1]) < 0.4)
            variable.assign(values)
        smaller = ksr.shrink(model)
        varied += same(model, smaller)
        removed += model.count_params() - smaller.count_params()
    assert removed > 50
    assert varied > 0.01


def test_a_residual_stream_through_attention():
    """Channels 1 and 4 are read by nobody, and go with what attention adds to them; 5 only by the values, and stays."""
    x = keras.Input((7, 3))
    stream = layers.Dense(8, name="stream")(x)
    heads = layers.MultiHeadAttention(2, 3, name="heads")
    head = layers.Dense(2)
    model = fill(keras.Model(x, head(layers.Add()([stream, heads(stream, stream)]))))
    mute(head.kernel, rows=[1, 4, 5])
    for part in (heads.query_dense, heads.key_dense, heads.value_dense):
        kernel = numpy(part.kernel)
        kernel[[1, 4] if part is heads.value_dense else [1, 4, 5]] = 0
        part.kernel.assign(kernel)
    smaller = ksr.shrink(model)
    assert smaller.get_layer("stream").units == 6
    assert smaller.get_layer("heads").output_dense.kernel.shape == (2, 3, 6)
    assert same(model, smaller) > 0.01


def test_a_gate_or_a_computed_mask_of_attention_stays():
    x = keras.Input((7, 3))
    stream = layers.Dense(8, name="stream")(x)
    gated = layers.MultiHeadAttention(2, 3, use_gate=True, name="gated")(stream, stream)
    y = layers.Dense(8, name="next")(gated)
    mask = layers.Dense(7)(y) > 0
    model = fill(keras.Model(x, layers.MultiHeadAttention(2, 3, name="masked")(y, y, attention_mask=mask)))
    for name in ("stream", "next"):
        mute(model.get_layer(name).kernel, cols=[0, 3])
        mute(model.get_layer(name).bias, cols=[0, 3])
    with pytest.warns(UserWarning, match="(?s)stream: .*'gated' has a gate.*next: .*'masked' has a gate, or is given"):
        smaller = ksr.shrink(model)
    assert [smaller.get_layer(name).units for name in ("stream", "next")] == [8, 8]
    same(model, smaller)


def test_what_cannot_be_followed_stays_and_is_named():
    x = keras.Input((7, 3))
    y = layers.LayerNormalization(name="norm")(layers.GRU(6, return_sequences=True, name="gru")(x))
    y = layers.Bidirectional(ksr.layers.ONLSTM(6, chunk_size=2, return_sequences=True, name="onlstm"), name="both")(y)
    y = layers.LSTM(6, name="lstm", return_sequences=True)(y) * 2.0
    y = layers.RNN(layers.LSTMCell(6, activation="softmax", name="cell"), name="softmax")(y)
    model = fill(keras.Model(x, layers.Dense(6, name="out")(layers.Dense(5, name="last")(y))))
    for variable in model.weights:
        mute(variable, cols=[0, 3])
        if len(variable.shape) > 1 and variable.shape[0] > 3:
            mute(variable, rows=[0, 3])
    with pytest.warns(UserWarning, match="shrink leaves these layers as they are") as caught:
        smaller = ksr.shrink(model)
    text = next(str(warning.message) for warning in caught if warning.category is UserWarning)
    assert "gru: what its units enter cannot be followed: 'norm' (LayerNormalization) may mix features" in text
    assert "both: 'forward_onlstm' (ONLSTM of ONLSTMCell) is not known" in text
    assert re.search(r"lstm: what its units enter cannot be followed: 'multiply\w*' \(Multiply\) may mix", text)
    assert "softmax: 'cell' has an activation that may mix units" in text
    assert "last" not in text
    assert [layer.units for layer in smaller.layers[-2:]] == [3, 6]
    assert smaller.count_params() == model.count_params() - 2 * (6 + 1 + 6)
    assert same(model, smaller) > 0.01


def test_thresholds_given_for_each_channel_keep_their_channels():
    for stack in [DeltaHold([0.1] * 6), layers.GRU(2)], [DeltaGRU(2, input_threshold=[0.1] * 6)]:
        model = fill(keras.Sequential([keras.Input((7, 3)), layers.GRU(6, return_sequences=True), *stack]))
        mute(model.layers[-1].cell.kernel, rows=[0, 1])
        mute(model.layers[0].cell.recurrent_kernel, rows=[0, 1])
        with pytest.warns(UserWarning, match="was given a threshold for each channel"):
            assert ksr.shrink(model).layers[0].units == 6


def test_a_mask_made_from_units_keeps_them():
    gru = layers.GRU(6, return_sequences=True, name="gru")
    model = fill(keras.Sequential([keras.Input((7, 3)), gru, layers.Masking(), layers.GRU(2, name="reader")]))
    mute(model.layers[-1].cell.kernel, rows=[1])
    mute(gru.cell.recurrent_kernel, rows=[1])
    with pytest.warns(UserWarning, match="gru: what its units enter cannot be followed"):
        assert ksr.shrink(model).layers[0].units == 6


def test_outputs_and_the_last_unit_stay():
    gru = layers.GRU(6)
    model = keras.Sequential([keras.Input((7, 3)), gru])
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert ksr.shrink(model).layers[0].units == 6
    model = fill(keras.Sequential([keras.Input((7, 3)), gru, layers.Dense(2)]))
    mute(model.layers[1].kernel, rows=range(6))
    smaller = ksr.shrink(model)
    assert smaller.layers[0].units == 1
    same(model, smaller)


def test_the_result_trains_and_is_a_plain_model(tmp_path):
    model = fill(keras.Sequential([keras.Input((7, 3)), layers.GRU(6, name="gru"), layers.Dense(2)], name="mine"))
    mute(model.layers[1].kernel, rows=[1, 2])
    mute(model.layers[0].cell.recurrent_kernel, rows=[1, 2])
    model.compile("adam", lambda y, prediction: keras.ops.mean(y - prediction))
    smaller = ksr.shrink(model)
    assert (smaller.name, smaller.layers[0].name, smaller.layers[0].units) == ("mine", "gru", 4)
    same(model, smaller)
    graph = keras.Model(model.inputs, model.outputs)
    graph.compile("adam", lambda y, prediction: keras.ops.mean(y - prediction))
    same(graph, ksr.shrink(graph))
    smaller.compile("adam", "mse")
    smaller.fit(np.ones((4, 7, 3)), np.ones((4, 2)), verbose=0)
    smaller.save(tmp_path / "small.keras")
    assert keras.models.load_model(tmp_path / "small.keras").count_params() == smaller.count_params()


class Leaky(layers.Layer):
    """A user's own cell, which says where its units are."""

    gates, candidate_gate = 1, 0

    def __init__(self, units, activation="tanh", **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, self.units), name="recurrent_kernel")
        self.leak = self.add_weight(shape=(self.units,), name="leak")

    def call(self, x, states):
        new = self.activation(keras.ops.matmul(x, self.kernel) + keras.ops.matmul(states[0], self.recurrent_kernel))
        y = states[0] + self.leak * (new - states[0])
        return y, [y]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Other(Leaky):
    pass


def test_own_cells_take_part_if_their_class_says_how():
    for kind, units in (Leaky, 4), (Other, 6):
        rnn, head = layers.RNN(kind(6)), layers.Dense(2)
        model = fill(keras.Sequential([keras.Input((7, 3)), rnn, head]))
        mute(rnn.cell.recurrent_kernel, rows=[1, 2])
        mute(head.kernel, rows=[1, 2])
        with keras.saving.custom_object_scope({kind.__name__: kind}), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            smaller = ksr.shrink(model)
        assert smaller.layers[0].cell.units == units
        assert same(model, smaller) > 0.01


def test_refuses_models_whose_graph_cannot_be_read():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="is a Own: must be Sequential or Functional"):
        ksr.shrink(Own())
    with pytest.raises(ValueError, match="is not built"):
        ksr.shrink(keras.Sequential([layers.GRU(3)]))
