import csv
import importlib.util

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse_rnn.callbacks import MagnitudePruning, SparsityLogger
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.profiling import count_macs
from keras_sparse_rnn.schedules import PolynomialDecay
from keras_sparse_rnn.sparsity import measure

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(16, 5, 3)).astype("float32")
Y = X.mean(axis=1)[:, :2]


def fit(*callbacks):
    stack = [EventGRU(8, return_sequences=True, name="events"), layers.GRU(4, name="gru"), layers.Dense(2, name="out")]
    model = keras.Sequential([keras.Input((5, 3)), *stack])
    model.compile("adam", "mse", jit_compile=JIT)
    return model, model.fit(X, Y, batch_size=4, epochs=3, verbose=2, callbacks=list(callbacks)).history


@pytest.mark.slow
@pytest.mark.backend_slow
def test_logs_what_the_model_is_at_each_end_of_an_epoch(tmp_path, capsys):
    pruning = MagnitudePruning(PolynomialDecay(0.0, 0.75, 0, 12, frequency=1))
    file, boards = tmp_path / "log.csv", importlib.util.find_spec("tensorboard") is not None
    logger = SparsityLogger(X, picture_dir=tmp_path / "pictures" if boards else None, picture_freq=2)
    others = [keras.callbacks.TensorBoard(tmp_path, write_graph=False)] if boards else []
    model, history = fit(pruning, logger, keras.callbacks.CSVLogger(file), *others)
    events, gru = count_macs(model, X)
    last = {name: values[-1] for name, values in history.items()}
    assert last["events_sparsity"] == pytest.approx(measure(model, "events")) == pytest.approx(0.75, abs=0.01)
    assert last["gru_sparsity"] == pytest.approx(measure(model, "gru")) and "out_sparsity" not in last
    assert (last["events_activity"], last["events_macs"]) == (events.activity, events.effective)
    assert last["macs"] == pytest.approx(5 * (events.effective + gru.effective))
    assert history["macs"][0] > history["macs"][1] > history["macs"][2]
    assert "out_macs" not in history
    assert f" - events_activity: {events.activity:.4f}" in capsys.readouterr().out
    with open(file) as rows:
        assert [float(row["gru_macs"]) for row in csv.DictReader(rows)] == history["gru_macs"]
    if boards:
        check_boards(tmp_path, history)


def check_boards(folder, history):
    """What TensorBoard reads: the logs as scalars, and a picture each second epoch."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    pictures, scalars = (EventAccumulator(str(folder / name)).Reload() for name in ("pictures", "train"))
    for tag in "weights/events/event_gru_cell/recurrent_kernel", "weights/gru/gru_cell/kernel", "events/events":
        drawn = pictures.Tensors(tag)
        assert [event.step for event in drawn] == [0, 2]
        assert drawn[0].tensor_proto.string_val[2].startswith(b"\x89PNG")
    shown = [float(make_ndarray(event.tensor_proto)) for event in scalars.Tensors("epoch_events_macs")]
    assert shown == pytest.approx(history["events_macs"])


def test_sparsity_alone_without_data_of_any_layers():
    _, history = fit(SparsityLogger(layers=lambda layer: True))
    assert {name for name in history if name != "loss"} == {"events_sparsity", "gru_sparsity", "out_sparsity"}


def test_what_cannot_be_counted_is_left_out():
    class Other(layers.GRUCell):
        def call(self, inputs, states, training=False):
            return super().call(-inputs, states, training)

    cells = layers.StackedRNNCells([layers.GRUCell(3), Other(3, name="high")], name="cells")
    stack = layers.RNN(cells, return_sequences=True, name="stack")
    model = keras.Sequential([keras.Input((5, 3)), stack, layers.Bidirectional(layers.GRU(3, name="gru"), name="both")])
    model.compile("adam", "mse", jit_compile=JIT)
    with pytest.warns(UserWarning, match=r"cannot count all MACs: 'stack/cells/high' \(Other\) is a cell of a"):
        logs = model.fit(X, np.zeros((16, 6)), epochs=2, verbose=0, callbacks=[SparsityLogger(X)]).history
    assert "stack/cells/high_sparsity" in logs and {"stack/cells/high_macs", "macs"}.isdisjoint(logs)
    assert logs["both/forward_gru_macs"] == [54, 54] and "both/forward_gru_activity" not in logs


@pytest.mark.backend
def test_subclassed_models_are_logged():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.gru, self.out = layers.GRU(4, name="gru"), layers.Dense(2)

        def call(self, x):
            return self.out(self.gru(x))

    model = Own()
    model.compile("adam", "mse", jit_compile=JIT)
    logs = model.fit(X, Y, epochs=1, verbose=0, callbacks=[SparsityLogger(X)]).history
    assert (logs["gru_macs"], logs["macs"]) == ([3 * 4 * (3 + 4)], [5 * 3 * 4 * (3 + 4)])


def test_pictures_need_a_frequency():
    with pytest.raises(ValueError, match="picture_freq=0: must be an integer >= 1"):
        SparsityLogger(picture_dir="pictures", picture_freq=0)
