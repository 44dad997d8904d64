import dataclasses
import io
import json
import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_sparse_rnn.demo import data
from keras_sparse_rnn.demo.log_mel import log_mel


def check_split(split, sequences, steps, features, classes):
    assert split.x.shape == (sequences, steps, features)
    assert split.x.dtype == np.float32
    assert split.valid.shape == (sequences, steps)
    assert len(split) == sequences
    assert set(split.y) == set(range(classes))
    # Padding is silent and in front: once a sequence has begun it goes on to the end.
    assert not split.x[~split.valid].any()
    assert (np.diff(split.valid.astype(int), axis=1) >= 0).all()
    assert split.valid[:, -1].all()


def check_standardised(split):
    frames = split.x[split.valid]
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-4)


def test_japanese_vowels():
    pytest.importorskip("aeon")
    loaded = data.load("japanese-vowels")
    check_split(loaded.train, 270, 29, 12, classes=9)
    check_split(loaded.test, 370, 29, 12, classes=9)
    check_standardised(loaded.train)
    assert np.bincount(loaded.train.y).tolist() == [30] * 9
    # As published with the data set.
    assert np.bincount(loaded.test.y).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert len(loaded.classes) == 9


@pytest.mark.skipif("KSR_DATA" not in os.environ, reason="KSR_DATA does not name a folder with fsdd.npz")
def test_fsdd():
    loaded = data.load("fsdd")
    check_split(loaded.train, 2700, 36, 32, classes=10)
    check_split(loaded.test, 300, 36, 32, classes=10)
    check_standardised(loaded.train)
    assert np.bincount(loaded.test.y).tolist() == [30] * 10


def test_fsdd_with_something_else_in_its_file(monkeypatch, tmp_path):
    np.savez(tmp_path / "fsdd.npz", samples=np.zeros(5), digit=np.zeros(1))
    monkeypatch.setenv("KSR_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"missing: \['index', 'length', 'speaker'\]"):
        data.load("fsdd")


def test_log_mel_is_that_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    samples = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    spectrum = tf.signal.stft(samples, 200, 160, 256, window_fn=lambda n, dtype: np.hanning(n).astype(np.float32))
    filters = tf.signal.linear_to_mel_weight_matrix(32, 129, 8000, 60.0, 4000.0)
    expected = np.log(np.abs(spectrum) ** 2 @ filters.numpy() + 1e-6)
    np.testing.assert_allclose(log_mel(samples, 8000), expected, atol=1e-3)


def test_log_mel_of_a_sound_shorter_than_a_window():
    assert log_mel(np.ones(50), 8000).shape == (1, 32)


@pytest.fixture(scope="module")
def small():
    """Two classes, told apart by the sign of a feature: data and a recipe that take a moment."""
    training = pytest.importorskip("keras_sparse_rnn.demo.training")
    generator = np.random.default_rng(0)

    def split(sequences):
        y = np.arange(sequences) % 2
        valid = np.arange(6) >= generator.integers(0, 4, size=(sequences, 1))
        x = generator.normal(size=(sequences, 6, 4)) + 2 * (2 * y[:, None, None] - 1)
        return data.Split((x * valid[..., None]).astype(np.float32), valid, y)

    loaded = data.Data("Two classes", "4 features", 10.0, ("low", "high"), split(40), split(20))
    recipe = dataclasses.replace(
        training.RECIPES["japanese-vowels"],
        units=8,
        smaller=(2,),
        epochs=3,
        batch=10,
        seeds=(0, 1),
        learning_rate=0.05,
    )
    return loaded, recipe


def test_batches_leave_padding_silent_and_are_the_same_for_a_seed(small):
    from keras_sparse_rnn.demo.training import Batches

    loaded, recipe = small
    batches, again, other = (Batches(loaded.train, recipe, seed) for seed in (0, 0, 1))
    assert len(batches) == 4
    seen = 0
    for index in range(len(batches)):
        x, y = batches[index]
        np.testing.assert_array_equal(x, again[index][0])
        assert not np.array_equal(x, other[index][0])
        assert np.array_equal(x.any(axis=2).sum(axis=1), (x != 0).all(axis=2).sum(axis=1))
        assert x.dtype == np.float32
        seen += len(y)
    assert seen == len(loaded.train)


def test_start_again_is_a_fresh_start(small):
    from keras_sparse_rnn.demo.training import build, start_again, train

    loaded, recipe = small
    model = build("GRU", 4, loaded, recipe)
    start_again(model, 0)
    first = model.get_weights()
    train(model, loaded, recipe, sparsity=0.9, seed=0)
    assert int(model.optimizer.iterations) == 12
    start_again(model, 1)
    assert not np.array_equal(model.get_weights()[0], first[0])
    start_again(model, 0)
    assert all(np.array_equal(new, old) for new, old in zip(model.get_weights(), first, strict=True))
    assert not any(np.any(keras.ops.convert_to_numpy(variable)) for variable in model.optimizer.variables)


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_plain_lines_where_there_is_no_terminal(terminal):
    pytest.importorskip("rich")
    from rich.console import Console

    from keras_sparse_rnn.demo.progress import Display

    shown = io.StringIO()
    with Display(Console(file=shown, force_terminal=terminal, width=80)) as display, display.task("GRU 8", 8) as update:
        for done in range(1, 9):
            update(f"loss {1 / done:.3f}", done)
    assert ("\x1b" in shown.getvalue()) == terminal
    assert "loss 0.125" in shown.getvalue()
    if not terminal:
        assert shown.getvalue().splitlines()[0] == "GRU 8: 2 of 8 epochs, loss 0.500"
        assert len(shown.getvalue().splitlines()) == 4


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the demo converts: TensorFlow only")
def test_contest_table_and_picture(small, tmp_path):
    pytest.importorskip("tflite_micro")
    from rich.console import Console

    from keras_sparse_rnn.demo import contest, picture, table
    from keras_sparse_rnn.demo.progress import Display

    loaded, recipe = small
    with (tmp_path / "log").open("w") as log:
        held = contest.hold(loaded, recipe, Display(Console(file=log)))
    progress = (tmp_path / "log").read_text()
    assert "EventGRU 8, pruned: 6 of 6 epochs, loss" in progress
    assert "running the test set in TFLM" in progress

    assert [net.name for net in held.shown[:3]] == ["EventGRU 8, pruned", "GRU 8", "GRU 8, pruned"]
    assert [net.file_name for net in held.shown[:3]] == ["event_gru_8_pruned", "gru_8", "gru_8_pruned"]
    for run in (*held.event.runs, *held.pruned.runs):
        assert run.macs.sparsity == pytest.approx(0.9, abs=0.05)
        assert run.macs.steps == loaded.test.valid.sum()
    assert held.event.effective_macs < held.event.mean(lambda run: run.macs.nonzero_weights)
    assert held.dense.effective_macs == 3 * 8 * (4 + 8)
    for run in (*held.event.runs, *held.dense.runs, *held.pruned.runs):
        assert run.int8_accuracy["litert"] == run.int8_accuracy["tflm"]
        assert abs(run.int8_accuracy["litert"] - run.accuracy) <= 0.1

    held.event.model.save(tmp_path / "event_gru.keras")
    saved = keras.models.load_model(tmp_path / "event_gru.keras")
    probabilities = saved.predict(loaded.test.x, verbose=0)
    assert np.mean(probabilities.argmax(axis=1) == loaded.test.y) == held.event.runs[0].accuracy

    shown = table.Table(held, loaded, recipe, quick=True)
    assert all(len(texts) == len(shown.columns) for _, texts in shown.rows)
    assert "these figures mean nothing" in shown.markdown()
    figures = json.loads(shown.json())
    assert [len(runs) for runs in figures["nets"].values()] == [2] * len(figures["nets"])

    picture.draw(held, loaded, recipe, tmp_path / "picture.png", quick=True)
    assert (tmp_path / "picture.png").read_bytes()[1:4] == b"PNG"


def made_up(accuracies, macs):
    """A contest of nets with these accuracies and effective MACs: event, dense, pruned, tried..."""
    contest = pytest.importorskip("keras_sparse_rnn.demo.contest")
    from keras_sparse_rnn.profiling import LayerMacs

    nets = []
    for index, (accuracy, effective) in enumerate(zip(accuracies, macs, strict=True)):
        counted = LayerMacs("recurrent", 10, 4000, 400, effective, 1.0, 0.2, gates=())
        converted = SimpleNamespace(data=bytes(600 if index == 0 else 200))
        run = contest.Run([np.zeros(8, np.float32)], {}, accuracy, 0.1, counted, converted)
        nets.append(contest.Net(f"net {index}", "GRU", index, False, None, [run]))
    return contest.Contest(*nets[:3], tried=nets[3:], margin=0.01)


def test_the_smallest_competitor_is_the_first_within_a_standard_error():
    held = made_up([0.95, 0.97, 0.96, 0.90, 0.942, 0.96], [200, 4000, 400, 50, 100, 150])
    assert held.smallest is held.tried[1]
    assert [net.name for net in held.shown] == ["net 0", "net 1", "net 2", "net 4"]
    held = made_up([0.95, 0.97, 0.96, 0.90], [200, 4000, 400, 50])
    assert held.smallest is None
    assert len(held.shown) == 3


def test_the_verdict_hides_nothing(small):
    from keras_sparse_rnn.demo.table import Table

    loaded, recipe = small
    held = made_up([0.95, 0.97, 0.96, 0.90, 0.945], [200, 4000, 400, 50, 100])
    [_, dense, pruned, smallest] = Table(held, loaded, recipe, quick=False).verdict
    assert dense.startswith("- 20.0 times fewer effective MACs than GRU 1 (dense), -2.0 points")
    assert pruned.startswith("- 2.0 times fewer effective MACs than GRU 2 (90 % pruned), -1.0 points")
    assert smallest.startswith("- 2.0 times MORE effective MACs than GRU 4 (smallest dense, as accurate), +0.5 points")
    assert smallest.endswith("a file 3.0 times as large.")
    none = made_up([0.95, 0.97, 0.96, 0.90], [200, 4000, 400, 50])
    assert "No smaller dense GRU" in Table(none, loaded, recipe, quick=False).verdict[-1]
