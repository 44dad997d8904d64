import re

import keras
import pytest
from keras import layers

from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.sparsity import find_kernels

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

    cells = [Child(4, name="child"), Own(4, name="own"), Silent(name="silent")]
    model = keras.Sequential([keras.Input((5, 3)), layers.RNN(cells, name="rnn")])
    kernels, skipped = find_kernels(model)
    assert [kernel.gates for kernel in kernels] == [3, 3, 2, 2]
    (reason,) = skipped.values()
    assert reason == "Silent does not say how many gates its kernels hold (attribute `gates`)"


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
    model = keras.Sequential(
        [keras.Input((5, 4)), layers.Conv1D(4, 2, name="conv"), frozen, lora, layers.SimpleRNN(2, name="rnn")]
    )
    lora.enable_lora(2)
    kernels, skipped = find_kernels(model, lambda layer: True)
    assert owners(kernels) == {"rnn/simple_rnn_cell"}
    assert skipped == {
        "conv": "Conv1D has no kernel of a kind that can be pruned",
        "frozen/gru_cell/kernel": "not trainable",
        "frozen/gru_cell/recurrent_kernel": "not trainable",
        "lora/kernel": "computed from other weights (LoRA or quantization), not a weight of its own",
    }
