"""The figures against NumPy on the weights, and the table as its readers see it."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.cli import main
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.profiling import count_macs

X = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")


def speech():
    """Every weight a small integer, zeros in a pattern of 1x4 blocks: the same on every machine and backend."""
    events = EventGRU(8, return_sequences=True, name="events")
    model = keras.Sequential(
        [keras.Input((6, 5)), events, layers.LSTM(7, name="lstm"), layers.Dense(3, name="out")], name="speech"
    )
    for n, variable in enumerate(model.weights):
        if "kernel" in variable.path:
            rows, cols = np.indices(variable.shape)
            kept = (rows + cols // 4 + n) % 3 == 0
            variable.assign(kept * np.where((rows + cols) % 2, 1.0, -1.0))
    return model


SNAPSHOT = """
speech
weights of kernels; blocks: share in 1x4 blocks of zeros; sizes in bytes;
MACs of a call, which is a time step or a position; in the last line of a sample
-----------------------------------------------------------------------------------------------------------
layer              weights  nonzero   zeros  blocks  float32  int8  packed  events  calls   MACs  effective
-----------------------------------------------------------------------------------------------------------
events (EventGRU)      312      104  66.7 %  66.7 %    1,248   312     160       ?      6    312          ?
  z                    104       32  69.2 %  69.2 %      416   104                           104          ?
  r                    104       36  65.4 %  65.4 %      416   104                           104          ?
  h                    104       36  65.4 %  65.4 %      416   104                           104          ?
lstm (LSTM)            420      136  67.6 %  46.2 %    1,680   420     354       ?      6    420          ?
  i                    105       34  67.6 %  67.6 %      420   105                           105          ?
  f                    105       34  67.6 %  32.4 %      420   105                           105          ?
  c                    105       37  64.8 %  30.5 %      420   105                           105          ?
  o                    105       31  70.5 %  54.3 %      420   105                           105          ?
out (Dense)             21        6  71.4 %       ?       84    21      21              1     21          ?
-----------------------------------------------------------------------------------------------------------
all, one sample        753      246  67.3 %            3,012   753     535                 4,413          ?
-----------------------------------------------------------------------------------------------------------
87 other parameters, such as biases, and element-wise work are not counted.
Kernels packed as int8 take 5.6 times fewer bytes than as float32.
Effective MACs and events: ? (no data given)
"""


def test_figures_are_those_of_the_weights():
    model = speech()
    profile = ksr.profile(model, X)
    assert [(layer.name, layer.kind) for layer in profile.layers] == [
        ("events", "EventGRU"),
        ("lstm", "LSTM"),
        ("out", "Dense"),
    ]
    for layer, of_keras, gates in zip(profile.layers, model.layers, (3, 4, 1), strict=True):
        kernels = [w for w in of_keras.get_weights() if w.ndim == 2 and len(w) > 2]
        assert layer.weights == sum(w.size for w in kernels) == layer.int8_bytes == layer.float32_bytes / 4
        assert layer.nonzero == sum(np.count_nonzero(w) for w in kernels)
        for n, gate in enumerate(layer.gates):
            columns = [np.split(w, gates, axis=1)[n] for w in kernels]
            assert gate.nonzero == sum(np.count_nonzero(part) for part in columns)
            assert gate.weights == sum(part.size for part in columns)
        if not layer.gates:
            continue
        assert sum(gate.effective_macs for gate in layer.gates) == pytest.approx(layer.effective_macs)
        of_gates = sum(gate.zero_blocks * gate.weights for gate in layer.gates) / layer.weights
        assert of_gates == pytest.approx(layer.zero_blocks)
    assert "".join(gate.name for gate in profile.layers[0].gates) == "zrh"
    assert "".join(gate.name for gate in profile.layers[1].gates) == "ifco"
    for layer, macs in zip(profile.layers, count_macs(model, X), strict=False):
        assert (layer.events, layer.dense_macs, layer.effective_macs) == (macs.activity, macs.dense, macs.effective)
    assert profile.layers[2].effective_macs == 6  # all its inputs, the states of an LSTM, are other than zero
    assert profile.total("dense_macs") == 21 + 6 * sum(macs.dense for macs in count_macs(model, X))
    assert profile.total("effective_macs") == pytest.approx(6 + 6 * sum(m.effective for m in count_macs(model, X)))
    assert profile.parameters == model.count_params()
    assert profile.layers[0].zero_blocks == pytest.approx(profile.layers[0].sparsity)  # 8 units: whole blocks of 4
    assert 0 < profile.layers[1].zero_blocks < profile.layers[1].sparsity
    assert profile.layers[2].zero_blocks is None


def test_the_table():
    assert str(ksr.profile(speech())) == SNAPSHOT.strip()


def test_summary_prints_it_and_a_notebook_shows_it(capsys):
    model = speech()
    ksr.summary(model, X)
    printed = capsys.readouterr().out
    profile = ksr.profile(model, X)
    assert printed == f"{profile}\n"
    factor = profile.total("dense_macs") / profile.total("effective_macs")
    assert f"A sample takes {factor:.3g} times fewer MACs than with nothing skipped." in printed
    page = profile._repr_html_()
    assert page.count("<tr>") == len(profile.rows()) + 1
    assert "<td>events (EventGRU)</td><td>312</td>" in page


class Own(keras.Model):
    """Its graph cannot be read: it has to be run."""

    def __init__(self):
        super().__init__(name="own")
        self.encoder = keras.Sequential([layers.Conv1D(4, 3, name="conv"), layers.BatchNormalization()], name="encoder")
        cells = [layers.GRUCell(4, name="low"), ksr.layers.EventGRUCell(3, name="high", seed=1)]
        self.stack = layers.RNN(layers.StackedRNNCells(cells, name="cells"), return_sequences=True, name="stack")
        self.both = layers.Bidirectional(
            ksr.layers.DeltaGRU(3, 0.01, 0.01, return_sequences=True, name="delta"), name="both"
        )
        self.head = layers.TimeDistributed(layers.Dense(2, name="out"), name="each")

    def call(self, x):
        return self.head(self.both(self.stack(self.encoder(x))))


# For each layer how often it is called in a sample of 6 steps, of which the convolution leaves 4, and its weights.
OF_OWN = {
    "encoder/conv": (4, 3 * 5 * 4),
    "stack/cells/low": (4, 3 * 4 * (4 + 4)),
    "stack/cells/high": (4, 3 * 3 * (4 + 3)),
    "both/forward_delta": (4, 3 * 3 * (3 + 3)),
    "both/backward_delta": (4, 3 * 3 * (3 + 3)),
    "each/out": (4, 6 * 2),
}


def test_any_model_is_measured():
    model = Own()
    model(X)
    profile = ksr.profile(model, X)
    assert {layer.name: (layer.calls, layer.dense_macs) for layer in profile.layers} == OF_OWN
    assert profile.total("dense_macs") == sum(calls * weights for calls, weights in OF_OWN.values())
    assert (profile.not_counted, profile.not_seen) == (None, ("'own' (Own)",))
    conv, low, high, *directions, head = profile.layers
    assert (conv.effective_macs, low.effective_macs) == (60, 96)
    # The cell on top reads the states of the one below, which are never zero, and its own events of the step before.
    states = layers.RNN(model.stack.cell.cells[0], return_sequences=True)(model.encoder(X))
    events = keras.ops.convert_to_numpy(layers.RNN(model.stack.cell.cells[1], return_sequences=True)(states))
    assert high.effective_macs == pytest.approx(9 * (4 + 3 * np.mean(events[:, :-1] != 0) * 3 / 4))
    inputs = keras.ops.convert_to_numpy(model.both(model.stack(model.encoder(X))))
    assert head.effective_macs == pytest.approx(2 * 6 * np.mean(inputs != 0))
    assert [count_macs(model, X)[n].effective for n in (2, 3)] == [part.effective_macs for part in directions]
    model.trainable = False
    assert ksr.profile(model, X) == profile


def test_what_can_be_known_of_shapes_is_known_without_data():
    model = keras.Sequential([keras.Input((None, 5)), layers.GRU(3, name="gru"), layers.Dense(2)])
    profile = ksr.profile(model)
    assert [(layer.calls, layer.dense_macs) for layer in profile.layers] == [(None, 72), (None, 6)]
    assert profile.total("dense_macs") is None
    assert profile.not_counted == "the shape of the inputs is not fixed and no data are given"
    model, own = speech(), Own()
    own(X)
    assert ksr.profile(model).total("dense_macs") == ksr.profile(model, X).total("dense_macs")
    assert ksr.profile(own).total("dense_macs") == ksr.profile(own, X).total("dense_macs")
    empty = keras.Sequential([keras.Input((6, 5)), layers.Flatten()])
    zeros = ["0"] * 2
    assert ksr.profile(empty).rows() == [["all, one sample", *zeros, "?", "", *zeros, "0", "", "", *zeros]]
    with pytest.raises(ValueError, match="is not built"):
        ksr.profile(keras.Sequential([layers.GRU(3)]))


def test_measuring_leaves_the_model_as_it_was():
    events = EventGRU(3, return_sequences=True, stateful=True, activity_regularizer=ksr.regularizers.EventPenalty())
    model = keras.Sequential(
        [keras.Input((6, 5), batch_size=4), events, layers.Dropout(0.5), layers.GRU(2, stateful=True)]
    )
    before, losses = [v.numpy() if hasattr(v, "numpy") else np.asarray(v) for v in model.variables], len(model.losses)
    profile = ksr.profile(model, np.concatenate([X, X[:1]]))  # a batch and a part of one
    after = [v.numpy() if hasattr(v, "numpy") else np.asarray(v) for v in model.variables]
    assert all(map(np.array_equal, before, after)) and len(model.losses) == losses
    [macs, _] = count_macs(model, X)
    assert (macs.steps, profile.layers[0].calls) == (4 * 6, 6)
    assert not {"call", "inner_loop"} & {*vars(model.layers[0]), *vars(model.layers[2])}


def test_silent_layers_are_named():
    thresholds = {"threshold_mode": "clipped", "threshold_initializer": keras.initializers.Constant(1.0)}
    events = EventGRU(3, return_sequences=True, name="quiet", **thresholds)
    dead = layers.Dense(4, activation="relu", bias_initializer=keras.initializers.Constant(-100.0), name="dead")
    model = keras.Sequential([keras.Input((6, 5)), layers.GRU(3, return_sequences=True), events, dead])
    profile = ksr.profile(model, X)
    assert [(layer.units, layer.silent_units) for layer in profile.layers] == [(3, 0), (3, 3), (4, 4)]
    assert [layer.is_silent for layer in profile.layers] == [False, True, True]
    silent = "Silent on these data: all 3 units of 'quiet', all 4 units of 'dead'."
    assert [line for line in profile.reductions() if line.startswith(silent)]


def test_the_verb_prints_the_same(tmp_path, capsys):
    model, path, data = speech(), str(tmp_path / "speech.keras"), str(tmp_path / "x.npy")
    model.save(path)
    np.save(data, X)
    assert main(["summary", path, "--data", data]) == 0
    assert capsys.readouterr().out == f"{ksr.profile(model, X)}\n"
    assert main(["summary", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][0]["nonzero"] == ksr.profile(model).layers[0].nonzero
    assert main(["summary", str(tmp_path / "nothing.keras")]) == 1
    assert capsys.readouterr().err.startswith("keras-sparse-rnn summary: ")
