import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.sparsity import find_kernels, select_kernels

RECURRENT = {
    "encoder/gru/gru_cell": 3,
    "both/forward_lstm/lstm_cell": 4,
    "both/backward_lstm/lstm_cell": 4,
    "stack/stacked_rnn_cells/low": 3,
    "stack/stacked_rnn_cells/high": 1,
    "events/event_gru_cell": 3,
}


@pytest.fixture(scope="module")
def model():
    encoder = [keras.Input((None, 3)), layers.GRU(4, return_sequences=True, name="gru"), layers.Dense(3, name="head")]
    stack = layers.StackedRNNCells(
        [layers.GRUCell(4, name="low"), layers.SimpleRNNCell(5, name="high")], name="stacked_rnn_cells"
    )
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Embedding(6, 3, name="words"),
            keras.Sequential(encoder, name="encoder"),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True, name="lstm"), name="both"),
            layers.LayerNormalization(name="norm"),
            layers.RNN(stack, return_sequences=True, name="stack"),
            EventGRU(4, return_sequences=True, name="events"),
            layers.TimeDistributed(layers.Dense(2, name="inner"), name="each"),
            layers.Flatten(),
            layers.Dense(1, name="out"),
        ]
    )


def owners(kernels):
    return {re.sub("/[a-z_]*$", "", kernel.path) for kernel in kernels}


def test_default_is_every_recurrent_layer_wherever_it_is(model):
    kernels, skipped = find_kernels(model)
    gates = {f"{owner}/{name}": n for owner, n in RECURRENT.items() for name in ("kernel", "recurrent_kernel")}
    assert {kernel.path: kernel.gates for kernel in kernels} == gates
    assert all(any(kernel.variable is w for w in model.trainable_variables) for kernel in kernels)
    select = "not recurrent: select it with `layers` to prune it"
    assert skipped == {
        "words": select,
        "encoder/head": select,
        "each/inner": select,
        "out": select,
        "norm": "LayerNormalization has no kernel of a kind that can be pruned",
    }


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("out", {"out"}),
        ("words", {"words"}),
        (["gru", "each"], {"encoder/gru/gru_cell", "each/inner"}),
        ("encoder", {"encoder/gru/gru_cell", "encoder/head"}),
        ("encoder/head", {"encoder/head"}),
        ("low", {"stack/stacked_rnn_cells/low"}),
        (re.compile("^(forward|back).*lstm$"), {"both/forward_lstm/lstm_cell", "both/backward_lstm/lstm_cell"}),
        (lambda layer: isinstance(layer, layers.Dense), {"encoder/head", "each/inner", "out"}),
        (
            lambda layer: isinstance(layer, layers.RNN) and layer.name != "gru",
            set(RECURRENT) - {"encoder/gru/gru_cell"},
        ),
    ],
)
def test_selection(model, select, expected):
    kernels, skipped = find_kernels(model, select)
    assert owners(kernels) == expected
    assert all(skipped[owner] == "not in `layers`" for owner in set(RECURRENT) - expected)


def test_selection_by_layer_object(model):
    kernels, _ = find_kernels(model, [model.get_layer("both"), model.get_layer("out")])
    assert owners(kernels) == {"both/forward_lstm/lstm_cell", "both/backward_lstm/lstm_cell", "out"}


@pytest.mark.parametrize(
    "select", ["grü", ["out", "no"], re.compile("^x"), layers.GRU(3, name="alien"), lambda _: False]
)
def test_what_selects_nothing_is_an_error_that_names_what_exists(model, select):
    with pytest.raises(ValueError, match="matches no layer with weights. The model has: .*encoder/gru/gru_cell"):
        find_kernels(model, select)


def test_refuses_other_selections_and_unbuilt_models(model):
    with pytest.raises(ValueError, match="layers: 3 is a int; allowed are names"):
        find_kernels(model, [3])
    with pytest.raises(ValueError, match="is not built"):
        find_kernels(keras.Sequential([layers.GRU(3)]))


def test_subclass_of_a_cell_and_cell_that_names_its_gates():
    class Child(layers.GRUCell):
        pass

    class Own(layers.SimpleRNNCell):
        gates = 2

    class Silent(layers.Layer):
        state_size = output_size = 4

        def build(self, input_shape):
            self.recurrent_kernel = self.add_weight(shape=(4, 8))

        def call(self, x, states):
            return states[0], states

    class Odd(Silent):
        def build(self, input_shape):
            self.recurrent_kernel = self.add_weight(shape=(4, 6))

    cells = [Child(4, name="child"), Own(4, name="own"), Silent(name="silent"), Odd(name="odd")]
    model = keras.Sequential([keras.Input((5, 3)), layers.RNN(cells, name="rnn")])
    kernels, skipped, left_out = select_kernels(model)
    # Of a cell that does not say it the columns tell: (units, gates * units).
    assert [kernel.gates for kernel in kernels] == [3, 3, 2, 2, 2]
    assert kernels[-1].gate_names == ("0", "1")
    assert skipped == left_out
    (reason,) = skipped.values()
    assert reason == "Odd does not say how many gates its kernels hold (attribute `gates`)"


def test_shared_layer_is_found_once_and_by_either_name():
    shared = layers.GRU(4, return_sequences=True, name="shared")
    first = keras.Sequential([keras.Input((5, 4)), shared], name="first")
    second = keras.Sequential([keras.Input((5, 4)), shared], name="second")
    model = keras.Sequential([keras.Input((5, 4)), first, second])
    assert len(find_kernels(model)[0]) == 2
    kernels, skipped = find_kernels(model, "second")
    assert [kernel.path for kernel in kernels] == [
        f"second/shared/gru_cell/{n}" for n in ("kernel", "recurrent_kernel")
    ]
    assert skipped == {}


def test_what_cannot_be_pruned_is_skipped_with_the_reason():
    frozen = layers.GRU(4, name="frozen", return_sequences=True, trainable=False)
    lora = layers.Dense(4, name="lora")
    norm, table = layers.LayerNormalization(name="norm"), Table(name="table")
    model = keras.Sequential([keras.Input((5, 4)), norm, table, frozen, lora, layers.SimpleRNN(2, name="rnn")])
    lora.enable_lora(2)
    kernels, skipped, left_out = select_kernels(model, lambda layer: True)
    assert owners(kernels) == {"rnn/simple_rnn_cell"}
    assert skipped.pop("norm") == "LayerNormalization has no kernel of a kind that can be pruned"
    assert skipped == left_out
    assert skipped == {
        "table": "Table has no kernel of a kind that can be pruned",
        "frozen/gru_cell/kernel": "not trainable",
        "frozen/gru_cell/recurrent_kernel": "not trainable",
        "lora/kernel": "computed from other weights (LoRA or quantization), not a weight of its own",
    }
    for name, reason in [("norm", "norm: LayerNorm"), (lora, "lora/kernel: computed"), ("frozen", "kernel: not train")]:
        with pytest.raises(ValueError, match=f"has nothing that can be pruned. .*{reason}"):
            find_kernels(model, ["rnn", name])
    assert len(find_kernels(model, ["rnn", "frozen"], frozen=True)[0]) == 4


class Table(layers.Layer):
    def build(self, input_shape):
        self.table = self.add_weight(shape=(4, 4), name="table")

    def call(self, x):
        return x


def test_a_weight_by_its_path(model):
    kernels, skipped = find_kernels(model, ["encoder/gru/gru_cell/recurrent_kernel", "out"])
    assert [kernel.path for kernel in kernels] == ["encoder/gru/gru_cell/recurrent_kernel", "out/kernel"]
    assert skipped["encoder/gru/gru_cell/kernel"] == skipped["words"] == "not in `layers`"
    with pytest.raises(ValueError, match="'encoder/gru/gru_cell/bias' matches no layer"):
        find_kernels(model, "encoder/gru/gru_cell/bias")


def test_everything(model):
    assert owners(find_kernels(model, "all")[0]) == set(RECURRENT) | {"words", "encoder/head", "each/inner", "out"}


def test_what_a_layer_tells_tensorflow_model_optimization():
    class Prunable(Table):
        def get_prunable_weights(self):
            return [self.table]

    model = keras.Sequential([keras.Input((5, 4)), Prunable(name="prunable")])
    (kernel,) = find_kernels(model, "all")[0]
    assert (kernel.path, kernel.variable is model.layers[0].table) == ("prunable/table", True)


COLUMNS = {  # layer, shape of its inputs, shape of the matrix of each of its kernels
    "dense": (lambda: layers.Dense(5, use_bias=False), (4,), [(4, 5)]),
    "conv1": (lambda: layers.Conv1D(5, 3, use_bias=False), (7, 4), [(12, 5)]),
    "conv2_groups": (lambda: layers.Conv2D(6, (3, 2), groups=2, use_bias=False), (5, 5, 4), [(12, 6)]),
    "conv3": (lambda: layers.Conv3D(5, 2, use_bias=False), (3, 3, 3, 2), [(16, 5)]),
    "transposed1": (lambda: layers.Conv1DTranspose(5, 3, use_bias=False), (4, 2), [(6, 5)]),
    "transposed2": (lambda: layers.Conv2DTranspose(5, (3, 2), use_bias=False), (4, 4, 2), [(12, 5)]),
    "transposed3": (lambda: layers.Conv3DTranspose(3, 2, use_bias=False), (2, 2, 2, 2), [(16, 3)]),
    "depthwise1": (lambda: layers.DepthwiseConv1D(3, depth_multiplier=2, use_bias=False), (5, 3), [(3, 6)]),
    "depthwise2": (lambda: layers.DepthwiseConv2D(2, depth_multiplier=2, use_bias=False), (4, 4, 3), [(4, 6)]),
    "einsum": (lambda: layers.EinsumDense("abc,cde->abde", (None, 3, 2)), (5, 4), [(4, 6)]),
    "einsum_sums_two": (lambda: layers.EinsumDense("...cd,cde->...e", 5), (3, 2), [(6, 5)]),
    "einsum_batched": (lambda: layers.EinsumDense("abc,bcd->abd", (3, 5)), (3, 4), [(4, 15)]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_is_what_feeds_an_output(kind):
    """All but one column set to zero, only that output of the layer is not zero; `tensor` is the way back."""
    make, inputs, shapes = COLUMNS[kind]
    layer = make()
    model = keras.Sequential([keras.Input(inputs), layer])
    kernels, _ = find_kernels(model, "all")
    assert [kernel.shape for kernel in kernels] == shapes
    (kernel,), x = kernels, np.random.default_rng(0).normal(size=(2, *inputs)).astype("float32")
    values = kernel.values()
    np.testing.assert_array_equal(kernel.tensor(values), keras.ops.convert_to_numpy(kernel.variable.value))
    for column in (1, kernel.shape[1] - 1):
        alone = np.zeros_like(values)
        alone[:, column] = values[:, column]
        kernel.variable.assign(kernel.tensor(alone))
        outputs = keras.ops.convert_to_numpy(layer(x))
        outputs = outputs.reshape(-1, kernel.shape[1]) if kind != "einsum_batched" else outputs.reshape(2, -1)
        assert np.flatnonzero(np.any(outputs != 0, axis=0)).tolist() == [column]


def test_kernels_inside_attention_separable_and_recurrent_convolutions():
    inputs = keras.Input((6, 6, 4))
    x = layers.SeparableConv2D(6, 3, depth_multiplier=2, name="separable")(inputs)
    x = layers.Reshape((2, 4, 2, 6))(x)
    x = layers.ConvLSTM2D(3, (2, 2), name="recurrent")(x)
    x = layers.Reshape((3, 3))(x)
    x = layers.MultiHeadAttention(2, 4, name="heads")(x, x)
    x = layers.GroupQueryAttention(5, 4, 2, name="groups")(x, x)
    kernels, _ = find_kernels(keras.Model(inputs, x), "all")
    found = {kernel.path: (kernel.shape, kernel.gates) for kernel in kernels}
    assert found == {
        "separable/depthwise_kernel": ((9, 8), 1),
        "separable/pointwise_kernel": ((8, 6), 1),
        "recurrent/conv_lstm_cell/kernel": ((24, 12), 4),
        "recurrent/conv_lstm_cell/recurrent_kernel": ((12, 12), 4),
        "heads/query/kernel": ((3, 8), 1),
        "heads/key/kernel": ((3, 8), 1),
        "heads/value/kernel": ((3, 8), 1),
        "heads/attention_output/kernel": ((8, 3), 1),
        "groups/query/kernel": ((3, 20), 1),
        "groups/key/kernel": ((3, 10), 1),
        "groups/value/kernel": ((3, 10), 1),
        "groups/attention_output/kernel": ((20, 3), 1),
    }
    assert owners(find_kernels(keras.Model(inputs, x))[0]) == {"recurrent/conv_lstm_cell"}
