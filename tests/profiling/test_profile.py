"""The figures against NumPy on the weights, and the table as its readers see it."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.cli import main
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.ops.block_sparse import encode
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
weights of kernels; blocks: share in 1x4 blocks of zeros; sizes in bytes; MACs of a time step
---------------------------------------------------------------------------------------------------
layer              weights  nonzero   zeros  blocks  float32  int8  packed  events  MACs  effective
---------------------------------------------------------------------------------------------------
events (EventGRU)      312      104  66.7 %  66.7 %    1,248   312     160       ?   312          ?
  z                    104       32  69.2 %  69.2 %      416   104      40           104          ?
  r                    104       36  65.4 %  65.4 %      416   104      45           104          ?
  h                    104       36  65.4 %  65.4 %      416   104      45           104          ?
lstm (LSTM)            420      136  67.6 %  46.2 %    1,680   420     354       ?   420          ?
  i                    105       34  67.6 %  67.6 %      420   105      50           105          ?
  f                    105       34  67.6 %  32.4 %      420   105     100           105          ?
  c                    105       37  64.8 %  30.5 %      420   105     105           105          ?
  o                    105       31  70.5 %  54.3 %      420   105      65           105          ?
out (Dense)             21        6  71.4 %       ?       84    21      26            21          ?
---------------------------------------------------------------------------------------------------
all                    753      246  67.3 %            3,012   753     540           753          ?
---------------------------------------------------------------------------------------------------
87 other parameters, such as biases, are not counted.
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
        packed = [encode(w.reshape(len(w), gates, -1).astype("int8"), 4, range(gates)).nbytes for w in kernels]
        assert layer.packed_bytes == sum(packed)
        for n, gate in enumerate(layer.gates):
            columns = [np.split(w, gates, axis=1)[n] for w in kernels]
            assert gate.nonzero == sum(np.count_nonzero(part) for part in columns)
            assert gate.weights == sum(part.size for part in columns)
        rows = 2 * sum(len(kernel) + 1 for kernel in kernels)  # where each begins, uint16, is the layer's alone
        if not layer.gates:
            continue
        assert sum(gate.packed_bytes for gate in layer.gates) == layer.packed_bytes - rows
        assert sum(gate.effective_macs for gate in layer.gates) == pytest.approx(layer.effective_macs)
        of_gates = sum(gate.zero_blocks * gate.weights for gate in layer.gates) / layer.weights
        assert of_gates == pytest.approx(layer.zero_blocks)
    assert "".join(gate.name for gate in profile.layers[0].gates) == "zrh"
    assert "".join(gate.name for gate in profile.layers[1].gates) == "ifco"
    for layer, macs in zip(profile.layers, count_macs(model, X), strict=False):
        assert (layer.events, layer.dense_macs, layer.effective_macs) == (macs.activity, macs.dense, macs.effective)
    assert profile.layers[2].effective_macs == 6  # all its inputs, the states of an LSTM, are other than zero
    assert profile.total("dense_macs") == 21 + sum(macs.dense for macs in count_macs(model, X))
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
    assert "times fewer MACs than a dense one" in printed
    page = profile._repr_html_()
    assert page.count("<tr>") == len(profile.rows()) + 1
    assert "<td>events (EventGRU)</td><td>312</td>" in page


def test_any_model_is_shown_and_what_is_not_known_is_a_question_mark():
    cells = layers.StackedRNNCells([layers.GRUCell(4, name="low"), layers.SimpleRNNCell(4, name="high")], name="cells")
    model = keras.Sequential(
        [
            keras.Input((6, 5)),
            layers.Bidirectional(layers.GRU(3, return_sequences=True, name="gru"), name="both"),
            layers.LayerNormalization(),
            layers.RNN(cells, return_sequences=True, name="stack"),
            ksr.layers.RecurrentHighway(4, name="highway"),
            layers.Dense(2),
        ]
    )
    profile = ksr.profile(model, X)
    names = [layer.name for layer in profile.layers]
    assert names[:4] == [
        "both/forward_gru",
        "both/backward_gru",
        "stack/cells/low",
        "stack/cells/high",
    ]
    assert names[4] == "highway"
    assert "lies inside another layer" in profile.not_counted or "StackedRNNCells" in profile.not_counted
    assert [layer.effective_macs is None for layer in profile.layers[:5]] == [False, False, True, True, False]
    assert profile.total("effective_macs") is None
    assert profile.rows()[-1][-1] == "?"
    model.trainable = False
    assert ksr.profile(model).total("weights") == profile.total("weights")
    empty = keras.Sequential([keras.Input((6, 5)), layers.Flatten()])
    assert ksr.profile(empty).rows() == [["all", "?", "?", "?", "", "?", "?", "?", "", "?", "?"]]
    with pytest.raises(ValueError, match="is not built"):
        ksr.profile(keras.Sequential([layers.GRU(3)]))


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
