"""What is known of a cell: of Keras's, of ours, of subclasses and of anybody's."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
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
        (ours.LightGRUCell(4), ("z", "h"), 1, "nothing"),
        (ours.FastGRNNCell(4), ("h",), None, "nothing"),
        (ours.EventGRUCell(4, reset_gate=False), ("z", "h"), 1, "zeros"),
        (ours.DeltaGRUCell(4, reset_gate=False), ("z", "h"), 1, "unchanged"),
        (ours.DeltaLSTMCell(4), IFCO, 2, "unchanged"),
        (ours.DeltaSimpleRNNCell(4), ("h",), 0, "unchanged"),
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


@keras.saving.register_keras_serializable(package="test_cells")
class TwoGates(keras.layers.Layer):
    """f = sigma(x W_f + y' R_f);  g = tanh(x W_g + y' R_g);  c = f * c' + (1 - f) * g;  y = c where c > 0.1, else 0

    Nothing but this class says what it is: whatever asks for a cell's facts must make do with that.
    """

    gates, candidate_gate, skips = ("f", "g"), 1, "zeros"
    activation, recurrent_activation = staticmethod(keras.activations.tanh), staticmethod(keras.activations.sigmoid)

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.output_size = units
        self.state_size = [units, units]

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2 * self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, 2 * self.units), name="recurrent_kernel")

    def call(self, x, states):
        y, c = states
        f, g = keras.ops.split(x @ self.kernel + y @ self.recurrent_kernel, 2, axis=-1)
        f, g = self.recurrent_activation(f), self.activation(g)
        c = f * c + (1 - f) * g
        y = keras.ops.where(c > 0.1, c, 0.0)
        return y, [y, c]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_cell_that_says_what_it_is_needs_nothing_else():
    rnn = layers.RNN(TwoGates(8, name="cell"), return_sequences=True, name="own")
    model = keras.Sequential([keras.Input((6, 5)), rnn, layers.Dense(2, name="out")])
    x = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")
    x[:, 2] = 0
    ksr.prune(model, 0.5, (1, 4), layers="own")
    kernel, recurrent = rnn.get_weights()
    assert ksr.sparsity.measure(model) == pytest.approx(0.5, abs=0.02)

    # It fires where its output is not zero; a step reads what fired in the one before.
    fires = keras.ops.convert_to_numpy(rnn(x)) != 0
    np.testing.assert_array_equal(ksr.profiling.record_events(model, x)["own"], fires)
    [macs] = ksr.profiling.count_macs(model, x)
    before = np.concatenate([np.zeros_like(fires[:, :1]), fires[:, :-1]], axis=1)
    of_inputs, of_units = (np.count_nonzero(weights, axis=1) for weights in (kernel, recurrent))
    assert macs.effective == pytest.approx(np.mean((x != 0) @ of_inputs + before @ of_units))
    [profile, _] = ksr.profile(model, x).layers
    assert [gate.name for gate in profile.gates] == ["f", "g"] and profile.skips == "zeros"

    # A unit without a way into its candidate is always zero: shrink takes it out.
    for weights in (rnn.cell.kernel, rnn.cell.recurrent_kernel):
        values = keras.ops.convert_to_numpy(weights).copy()
        values[:, 8 + 3] = 0
        weights.assign(values)
    small = ksr.shrink(model)
    assert small.layers[0].cell.units == 7
    np.testing.assert_allclose(small.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
