"""MACs of Keras's layers: what TensorFlow's profiler counts, and where that has no count figures made by hand."""

import inspect
import re

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.profiling import costs

PRODUCTS = ["MatMul", "BatchMatMulV2", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput"]


def model_of(layer, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    by_argument = isinstance(layer, (layers.MultiHeadAttention, layers.GroupQueryAttention))
    return keras.Model(inputs, layer(*inputs) if by_argument or len(inputs) == 1 else layer(inputs))


def counted(layer, *shapes):
    return ksr.profile(model_of(layer, *shapes)).total("dense_macs")


def of_tensorflow(layer, *shapes):
    """What its profiler counts: two operations a MAC, without what is done by element."""
    import tensorflow as tf

    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_accounted_types(PRODUCTS).with_empty_output().build()
    model = model_of(layer, *shapes)
    function = tf.function(lambda *x: model(list(x) if len(x) > 1 else x[0]))
    graph = function.get_concrete_function(*(tf.TensorSpec((1, *shape)) for shape in shapes)).graph
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops / 2


CELL = {"unroll": True, "use_bias": False}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares with TensorFlow's graph")
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(6, use_bias=False), (7, 5)),
        (layers.EinsumDense("abc,cd->abd", (None, 6)), (7, 5)),
        (layers.EinsumDense("abc,cde->abde", (None, 6, 3)), (7, 5)),
        (layers.Conv1D(6, 3, strides=2, padding="same", use_bias=False), (9, 5)),
        (layers.Conv1D(6, 3, padding="causal", use_bias=False), (9, 5)),
        (layers.Conv3D(3, 2, use_bias=False), (4, 5, 6, 2)),
        (layers.Conv1DTranspose(4, 3, strides=2, padding="same", use_bias=False), (5, 3)),
        (layers.Conv2DTranspose(4, 3, strides=2, padding="same", use_bias=False), (5, 6, 3)),
        (layers.DepthwiseConv1D(3, depth_multiplier=2, use_bias=False), (8, 5)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), (8, 7, 5)),
        (layers.SeparableConv1D(6, 3, depth_multiplier=2, use_bias=False), (8, 5)),
        (layers.SeparableConv2D(6, 3, depth_multiplier=2, use_bias=False), (8, 7, 5)),
        (layers.GRU(4, use_cudnn=False, **CELL), (6, 5)),
        (layers.LSTM(4, use_cudnn=False, **CELL), (6, 5)),
        (layers.SimpleRNN(4, **CELL), (6, 5)),
        (layers.Bidirectional(layers.GRU(4, use_cudnn=False, **CELL)), (6, 5)),
        (layers.ConvLSTM1D(4, 3, strides=2, return_sequences=True, **CELL), (3, 7, 2)),
        (layers.ConvLSTM2D(4, 3, **CELL), (3, 7, 6, 2)),
        (layers.STFTSpectrogram(mode="stft", frame_length=8, frame_step=4), (32, 2)),
        (layers.TimeDistributed(layers.Conv1D(4, 3, use_bias=False)), (3, 7, 2)),
        (layers.Embedding(9, 4), (5,)),
        (layers.BatchNormalization(), (5, 4)),
    ],
    ids=lambda value: value.name if isinstance(value, keras.layers.Layer) else "",
)
def test_as_tensorflow_counts(layer, shape):
    assert counted(layer, shape) == of_tensorflow(layer, shape)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares with TensorFlow's graph")
@pytest.mark.parametrize("layer", [layers.Attention(), layers.Dot(axes=(2, 2)), layers.Dot(axes=-1)])
def test_products_of_inputs_as_tensorflow_counts(layer):
    assert counted(layer, (5, 4), (6, 4)) == of_tensorflow(layer, (5, 4), (6, 4))


@pytest.mark.parametrize(
    ("layer", "shapes", "macs"),
    [
        # 6 x 7 positions, each of 3 x 3 x (4 / 2) weights to each of 6 filters
        (layers.Conv2D(6, 3, groups=2), [(8, 9, 4)], 6 * 7 * 3 * 3 * 2 * 6),
        (layers.EinsumDense("...x,xy->...y", 6), [(7, 4, 5)], 7 * 4 * 5 * 6),
        (layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)]), [(6, 5)], 6 * (3 * 4 * (5 + 4) + 4 * 3 * (4 + 3))),
        # each of 3 x 5 x 6 inputs of 3 channels is spread over 3^3 places of 4 channels
        (layers.Conv3DTranspose(4, 3, strides=2), [(3, 5, 6, 3)], 3 * 5 * 6 * 27 * 3 * 4),
        # queries 5, keys and values 6 of width 4 to 2 heads of 3 and back to 4; 5 x 6 pairs of 3 and of 3
        (
            layers.MultiHeadAttention(2, 3),
            [(5, 4), (6, 4)],
            5 * 4 * 6 + 6 * 4 * 6 + 6 * 4 * 6 + 5 * 6 * 4 + 2 * 5 * 6 * (3 + 3),
        ),
        # along the second axis alone: 2 rows of 5 x 5 pairs
        (layers.MultiHeadAttention(1, 3, attention_axes=2), [(2, 5, 4)] * 2, 4 * 2 * 5 * 4 * 3 + 2 * 5 * 5 * (3 + 3)),
        # 4 heads of queries, 2 of keys and of values, of 3
        (
            layers.GroupQueryAttention(3, 4, 2),
            [(5, 4), (6, 4)],
            5 * 4 * 12 + 2 * 6 * 4 * 6 + 5 * 12 * 4 + 2 * 4 * 5 * 6 * 3,
        ),
        # for each of 5 x 6 pairs a weighted sum of 4 and 4 products with the value
        (layers.AdditiveAttention(), [(5, 4), (6, 4)], 5 * 6 * (4 + 4)),
        (layers.Attention(score_mode="concat"), [(5, 4), (6, 4)], 5 * 6 * 4),
        (ksr.layers.RecurrentHighway(4, depth=3), [(6, 5)], 6 * (5 * 8 + 3 * 4 * 8)),
        (ksr.layers.DeltaHold(0.1), [(6, 5)], 0),
    ],
    ids=lambda value: value.name if isinstance(value, keras.layers.Layer) else "",
)
def test_as_counted_by_hand(layer, shapes, macs):
    assert counted(layer, *shapes) == macs


def test_values_of_another_width_than_keys():
    layer = layers.MultiHeadAttention(2, 3, value_dim=5)
    assert costs.products(layer, {"query": (1, 5, 4), "value": (1, 6, 4)}) == 2 * 5 * 6 * (3 + 5)


def test_channels_first_has_as_many():
    last = layers.Conv1D(6, 3, strides=2)
    first = layers.Conv1D(6, 3, strides=2, data_format="channels_first")
    for layer in (last, first):
        layer.build((None, 9, 5) if layer is last else (None, 5, 9))
    shapes = {"inputs": (1, 9, 5)}, {"inputs": (1, 5, 9)}
    assert costs.positions(last, shapes[0], (1, 4, 6)) == costs.positions(first, shapes[1], (1, 6, 4)) == 4


def test_every_layer_of_keras_that_multiplies_weights_is_known():
    """Whoever adds weights is counted, or stands among those whose work is by element."""
    known = {*costs._MATRICES, *costs._PRODUCTS, *costs._ELEMENTWISE, *costs._CONV_RNNS, *costs._UNKNOWN}
    known |= {layers.Layer, layers.SimpleRNNCell, layers.GRUCell, layers.LSTMCell}
    for name, kind in inspect.getmembers(layers, inspect.isclass):
        if not issubclass(kind, layers.Layer) or issubclass(kind, layers.RNN) or kind in known:
            continue
        bases = kind.__mro__[: kind.__mro__.index(layers.Layer)]
        assert not any(re.search(r"\bself\.add_weight\(", inspect.getsource(base)) for base in bases), name


class Scale(layers.Dense):
    """Computes something else than Dense."""

    def call(self, inputs, training=None):
        return keras.ops.matmul(inputs, self.kernel) * keras.ops.matmul(inputs, self.kernel)


class Own(layers.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 3), name="matrix")

    def call(self, x):
        return x @ self.matrix


class OwnAttention(layers.MultiHeadAttention):
    def call(self, query, value, key=None):
        return super().call(query, super().call(query, value))


@pytest.mark.parametrize(
    ("layer", "shapes", "reason"),
    [
        (Scale(4, name="mine"), [(5, 3)], "'mine' (Scale) is no layer of Keras's or of this package"),
        (Own(name="mine"), [(5, 3)], "'mine' (Own) is no layer of Keras's or of this package"),
        (OwnAttention(2, 3, name="mine"), [(5, 4), (5, 4)], "'mine' (OwnAttention) is no layer"),
        (layers.MelSpectrogram(name="mel", fft_length=8), [(64,)], "'mel' (MelSpectrogram) is no layer"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.layers.Layer) else "",
)
def test_what_is_not_known_is_said_and_not_left_out(layer, shapes, reason):
    model = model_of(layer, *shapes)
    profile = ksr.profile(model, [np.zeros((1, *shape), "float32") for shape in shapes])
    assert profile.total("dense_macs") is None and profile.rows()[-1][-2:] == ["?", "?"]
    assert profile.not_counted.startswith(reason)


def test_products_in_the_graph_and_in_a_call_of_ones_own():
    x = keras.Input((5, 3))
    y = keras.ops.matmul(layers.Dense(3)(x), keras.ops.transpose(x, (0, 2, 1)))
    profile = ksr.profile(keras.Model(x, y))
    assert profile.total("dense_macs") is None and "multiplies tensors outside any layer" in profile.not_counted
    doubled = keras.Model(x, layers.Lambda(lambda z: z + z, name="double")(layers.Dense(3)(x)))
    profile = ksr.profile(doubled)
    assert (profile.total("dense_macs"), profile.not_seen) == (5 * 3 * 3, ("'double' (Lambda)",))
