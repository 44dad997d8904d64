"""What convert refuses, and what it says."""

from pathlib import Path

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras.layers import GRU

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert import refused_layers
from keras_sparse_rnn.convert.ranges import Ranges
from keras_sparse_rnn.layers import EventGRU, RecurrentHighway

LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"


class OwnCell(keras.layers.GRUCell):
    def call(self, inputs, states, training=False):
        return super().call(2 * inputs, states, training)


@pytest.fixture(scope="module")
def model():
    return event_model([EventGRU(6, name="events"), keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.Sequential([EventGRU(4)]), "not built"),
        (lambda: event_model([keras.layers.Dropout(0.1, name="only")]), "has no layer that computes anything"),
        (
            lambda: event_model([keras.layers.RNN(OwnCell(4), name="loop")]),
            r"'loop' \(RNN\).*supported: DeltaDense, .*, EventGRU, FastGRNN, GRU, .*, in Bidirectional too",
        ),
        (
            lambda: event_model([EventGRU(4, activation=lambda x: x * x, name="e")]),
            r"'e' has activation=<lambda>, not one of Keras's own; can be converted: linear, .*, exponential",
        ),
        (
            lambda: event_model([GRU(4, recurrent_activation="softplus", name="g")]),
            "'g' has recurrent_activation=softplus; can be converted: linear, relu, relu6, tanh, sigmoid",
        ),
        (
            lambda: event_model([GRU(4, activation=keras.layers.LeakyReLU(0.1), name="l")]),
            "'l' has activation=LeakyReLU, not one of Keras's own; can be converted: linear",
        ),
        (lambda: event_model([GRU(4, dtype="float16", name="half")]), "'half' has the dtype policy 'float16'; only"),
        (lambda: keras.Sequential([keras.Input((None, 7)), EventGRU(4)]), "open time axis.*time_steps"),
    ],
)
def test_models(make, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(make(), sequences())


def test_computed_indices():
    x = keras.Input((12,))
    model = keras.Model(x, GRU(4)(keras.layers.Embedding(9, 3, name="words")(x / 2)))
    with pytest.raises(ValueError, match=r"'words' \(Embedding\) reads indices of the type float32.*dtype=\"int32\""):
        ksr.convert(model, np.zeros((4, 12), "float32"))


def test_stateful_layer():
    model = keras.Sequential([keras.Input(batch_shape=(1, 12, 7)), EventGRU(4, stateful=True, name="events")])
    with pytest.raises(ValueError, match="'events' has stateful=True"):
        ksr.convert(model, sequences())


def test_fresh_cells():
    model = keras.Sequential([keras.Input((12, 7)), EventGRU(4, carry_cell=False, name="events")])
    with pytest.raises(ValueError, match="'events' has carry_cell=False"):
        ksr.convert(model, sequences(), stateful=True)


def test_no_keras_model():
    with pytest.raises(TypeError, match="keras.Model"):
        ksr.convert("model.keras", sequences())


def test_nan_weights():
    model = event_model([EventGRU(4, name="events")])
    model.layers[0].cell.kernel.assign(np.full((7, 12), np.nan))
    with pytest.raises(ValueError, match=r"events/.*kernel.*NaN"):
        ksr.convert(model, sequences())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "an integer model needs representative_data"),
        (sequences(inputs=6), r"shape \(samples, 12, 7\).*\(24, 12, 6\)"),
        (sequences()[0], r"shape \(samples, 12, 7\)"),
        (sequences()[:0], "at least one sample"),
        (sequences().astype(np.int64), "floating dtype.*int64"),
        (np.full((2, 12, 7), "a"), "floating dtype"),
        (np.full((2, 12, 7), np.nan), "NaN"),
        ([sequences(), sequences()], "1 arrays.*given: 2"),
        ({"other": sequences()}, "must have the keys"),
    ],
)
def test_representative_data(model, data, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(model, data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "int2"}, r"weights must be one of \('int8', .*'float32'.*\); given: 'int2'"),
        ({"target": "esp32"}, "target must be one of"),
        ({"block_size": 5}, "block_size must be one of"),
        ({"percentile": 50}, "percentile must be a number above 50 and at most 100; given: 50"),
        ({"percentile": "min-max"}, "percentile must be a number"),
        ({"percentile": 99, "weights": "float32"}, "percentile is for integers"),
        ({"time_steps": 9}, "time_steps is 9"),
        ({"labels": list("abc")}, "a name for each class: 2, as output 'dense.*' has; given: 3, .*'c'"),
        ({"labels": []}, "a name for each class: 2, .*; given: 0"),
        ({"labels": "ab"}, "labels must be a list of strings, .*; given: 'ab'"),
        ({"labels": [0, 1]}, r"labels must be a list of strings, .*; given: \[0, 1\]"),
        ({"percentile": 60, "ranges": Ranges({"events": (-1, 1)})}, "percentile is .* given: 60 with ranges"),
    ],
)
def test_arguments(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(model, sequences(), **arguments)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(23, int), r"integers of the shape \(24,\) or \(24, 1\); given: \(23,\)"),
        (np.zeros(24), "integers .* of float64"),
        (np.full(24, 2), "must be from 0 to 1; given: 2 to 2"),
        (np.full(24, -1), "must be from 0 to 1; given: -1 to -1"),
    ],
)
def test_representative_labels(model, labels, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(model, sequences(), representative_labels=labels)
    with pytest.raises(ValueError, match="need the representative_data"):
        ksr.convert(model, weights="float32", representative_labels=labels)


def test_input_out_of_all_proportion(model):
    with pytest.raises(ValueError, match=r"'events'.*Normalization"):
        ksr.convert(model, sequences() * 1e9, verify=False)


def test_layers_that_are_refused_are_those_of_the_table():
    text = LIMITS.read_text()
    assert refused_layers.with_table(text) == text, "run python -m keras_sparse_rnn.convert.refused_layers"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: RecurrentHighway(4, recurrent_activation="relu", name="deep"),
            "'deep' has coupled=True and recurrent_activation=relu; can be converted: sigmoid, hard_sigmoid, or any",
        ),
        (lambda: RecurrentHighway(4, depth=65, name="deep"), "'deep' has depth=65; up to 64 micro-layers"),
        (lambda: keras.layers.Discretization([0.0], name="bins"), r"'bins' \(Discretization\) .* before the model"),
    ],
)
def test_a_refused_layer_is_named_with_a_way_out(layer, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(event_model([layer(), *([] if "bins" in message else [keras.layers.Dense(2)])]), sequences())
