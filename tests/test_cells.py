"""What is known of a cell: of Keras's, of ours, of subclasses and of anybody's."""

import keras
import pytest
from keras import layers

from keras_sparse_rnn import layers as ours
from keras_sparse_rnn.cells import describe

ZRH, IFCO = ("z", "r", "h"), ("i", "f", "c", "o")


class Renamed(layers.GRUCell):
    """Computes what its base does."""


class Other(layers.GRUCell):
    def call(self, inputs, states, training=False):
        return super().call(-inputs, states, training)


class Own(keras.layers.Layer):
    gates, candidate_gate, skips = 2, 1, "zeros"

    def call(self, inputs, states):
        return states[0], states


class Child(Own):
    """Inherits the gates; of its arithmetic nothing is known."""

    def call(self, inputs, states):
        return inputs, states


@pytest.mark.parametrize(
    ("cell", "gates", "candidate_gate", "skips"),
    [
        (layers.SimpleRNNCell(4), ("h",), 0, "nothing"),
        (layers.GRUCell(4), ZRH, 2, "nothing"),
        (layers.LSTMCell(4), IFCO, 2, "nothing"),
        (ours.EventGRUCell(4), ZRH, 2, "zeros"),
        (ours.DeltaGRUCell(4), ZRH, 2, "unchanged"),
        (ours.RecurrentHighwayCell(4), ("h", "t"), None, "nothing"),
        (ours.RecurrentHighwayCell(4, coupled=False), ("h", "t", "c"), None, "nothing"),
        (Renamed(4), ZRH, None, "nothing"),
        (Other(4), ZRH, None, None),
        (Own(), ("0", "1"), 1, "zeros"),
        (Child(), ("0", "1"), None, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.layers.Layer) else None,
)
def test_facts(cell, gates, candidate_gate, skips):
    facts = describe(cell)
    assert dict(facts.gates) == {"kernel": gates, "recurrent_kernel": gates}
    assert (facts.candidate_gate, facts.skips) == (candidate_gate, skips)


def test_matrices_by_name_and_cells_that_say_nothing():
    facts = describe(ours.ONLSTMCell(4, chunk_size=2))
    assert {name: len(gates) for name, gates in facts.gates.items()} == {
        "kernel": 4,
        "recurrent_kernel": 4,
        "master_kernel": 2,
        "master_recurrent_kernel": 2,
    }
    assert facts.skips == "nothing"
    assert describe(layers.Dense(3)) is None
