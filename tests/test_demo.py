import io
import json
import shlex
from types import SimpleNamespace

import keras
import numpy as np
import pytest


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


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the demo converts: TensorFlow only")
def test_contest_table_and_picture(two_classes, without_xla, tmp_path):
    pytest.importorskip("tflite_micro")
    from rich.console import Console

    from keras_sparse_rnn.demo import contest, picture, table
    from keras_sparse_rnn.demo.progress import Display

    loaded, recipe = two_classes
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


def test_no_size_is_tried_after_one_that_is_as_accurate(two_classes):
    from concurrent.futures import Future

    contest = pytest.importorskip("keras_sparse_rnn.demo.contest")
    loaded, _ = two_classes

    def done(net):
        future = Future()
        future.set_result(net)
        return future

    event, worse, as_accurate = (SimpleNamespace(accuracy=accuracy) for accuracy in (0.95, 0.8, 0.92))
    training = SimpleNamespace(data=loaded, run=lambda: "trained")  # 20 test sequences: a margin of 0.05
    assert contest._run_unless_passed(training, done(event), [done(worse), done(worse)]) == "trained"
    assert contest._run_unless_passed(training, done(event), [done(worse), done(as_accurate)]) is None
    assert contest._run_unless_passed(training, done(event), [done(as_accurate), done(None)]) is None


def test_commands_that_the_demo_ends_with_are_understood(tmp_path):
    from keras_sparse_rnn import cli, demo

    for command, verb in zip(demo.next_commands(tmp_path), ("report", "bench", "firmware"), strict=True):
        arguments = shlex.split(command)
        assert arguments[1:4] == ["-m", "keras_sparse_rnn", verb]
        cli._parser().parse_args(arguments[3:])


def test_the_verdict_hides_nothing(two_classes):
    from keras_sparse_rnn.demo.table import Table

    loaded, recipe = two_classes
    held = made_up([0.95, 0.97, 0.96, 0.90, 0.945], [200, 4000, 400, 50, 100])
    [_, dense, pruned, smallest] = Table(held, loaded, recipe, quick=False).verdict
    assert dense.startswith("- 20.0 times fewer effective MACs than GRU 1 (dense), -2.0 points")
    assert pruned.startswith("- 2.0 times fewer effective MACs than GRU 2 (90 % pruned), -1.0 points")
    assert smallest.startswith("- 2.0 times MORE effective MACs than GRU 4 (smallest dense, as accurate), +0.5 points")
    assert smallest.endswith("a file 3.0 times as large.")
    none = made_up([0.95, 0.97, 0.96, 0.90], [200, 4000, 400, 50])
    assert "No smaller dense GRU" in Table(none, loaded, recipe, quick=False).verdict[-1]
