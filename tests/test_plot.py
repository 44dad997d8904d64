"""What the pictures show, read back from the axes."""

import sys

import keras
import numpy as np
import pytest

from keras_sparse_rnn import plot

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.colors import to_rgba  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

HISTORY = {
    "accuracy": [0.5, 0.7, 0.8],
    "loss": [1.0, 0.6, 0.5],
    "val_accuracy": [0.4, 0.6, 0.7],
    "sparsity": [0.1, 0.5, 0.9],
    "gru_sparsity": [0.1, 0.5, 0.9],
    "gru_activity": [1.0, 1.0, 1.0],
    "events_sparsity": [0.2, 0.5, 0.9],
    "events_activity": [0.5, 0.3, 0.2],
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture
def axes():
    return Figure().subplots()


def draws(axes):
    """Whether the figure can be drawn at all, with all its texts."""
    axes.figure.savefig("/dev/null", format="png")
    return True


def test_weights_show_signs_gates_and_blocks(axes):
    kernel = np.zeros((2, 24))
    kernel[0, :4], kernel[1, 8:12] = (1, -1, 0, 2), -3
    assert plot.weights(kernel, gates=("z", "r", "h"), ax=axes) is axes
    shown = axes.images[0].get_array()
    assert [tuple(color) for color in shown[0, :2]] == [to_rgba(plot.BLUE), to_rgba(plot.ORANGE)]
    assert shown[0, 2, 3] == pytest.approx(0.3) and shown[0, 4, 3] == 0  # a zero in a kept block, and one in no block
    assert [text.get_text() for text in axes.texts] == ["z", "r", "h"]
    assert axes.get_title("left") == "Kernel: 85.4% zeros, 83.3% in empty 1x4 blocks"
    assert axes.get_xlabel() == "to unit, in each gate (8)"
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["< 0", "> 0", "0 in a kept block"]
    assert draws(axes)


def test_weights_of_layers():
    gru, dense = keras.layers.GRU(4, name="gru"), keras.layers.Dense(5, name="dense")
    gru.build((None, 3, 6))
    dense.build((None, 6))
    drawn = plot.weights(gru, "kernel")
    assert drawn.images[0].get_array().shape == (6, 12, 4) and drawn.get_title("left").startswith(
        "gru_cell/kernel: 0.0%"
    )
    assert plot.weights(dense).get_title("left").startswith("dense/kernel: ")
    with pytest.raises(ValueError, match="must have one kernel 'bias'; it has "):
        plot.weights(gru, "bias")
    with pytest.raises(ValueError, match=r"of 5 gates side by side; given: the shape \(2, 24\)"):
        plot.weights(np.zeros((2, 24)), gates=5)
    with pytest.raises(ValueError, match="larger than a gate"):
        plot.weights(np.zeros((2, 9)), gates=3)
    with pytest.raises(ValueError, match="kernel holds NaN or infinite values"):
        plot.weights(np.full((2, 8), np.nan))


def test_events(axes):
    active = np.eye(6, 4)
    assert plot.events(active, step_ms=20, ax=axes) is axes
    np.testing.assert_array_equal(axes.images[0].get_array(), active.T)
    assert axes.images[0].get_extent() == [0, 120, 0.5, 4.5]
    assert axes.get_title("left") == "Events: 16.7% of the units act in a step"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (ms)", "unit")
    assert plot.events(active).get_xlabel() == "time step"
    with pytest.raises(ValueError, match=r"\(time, units\); given: \(4,\)"):
        plot.events(np.zeros(4))


def test_training_shows_the_metric_and_what_is_sparse():
    upper, lower = plot.training(HISTORY)
    assert [line.get_label() for line in upper.lines] == ["training", "validation"]
    np.testing.assert_array_equal(upper.lines[1].get_ydata(), HISTORY["val_accuracy"])
    assert [line.get_label() for line in lower.lines] == ["gru: zeros", "events: zeros", "events: active units"]
    assert (upper.get_ylabel(), lower.get_xlabel()) == ("accuracy", "epoch") and draws(upper)
    pair = Figure().subplots(2)
    history = keras.callbacks.History()
    history.history = HISTORY
    assert plot.training(history, metric="loss", ax=pair)[0].lines[0].get_ydata()[0] == 1
    with pytest.raises(ValueError, match="metric must be one of .*'loss'.*; given: 'f1'"):
        plot.training(HISTORY, metric="f1")
    with pytest.raises(ValueError, match="SparsityLogger"):
        plot.training({"loss": [1.0]})


@pytest.mark.parametrize("lower_is_better", [False, True])
def test_pareto_front(lower_is_better, axes):
    sign = -1 if lower_is_better else 1
    points = {
        "dense": {"16": (2000, sign * 90.0), "32": (4000, sign * 95.0), "48": (5000, sign * 94.0)},
        "sparse": {"128": (2000, sign * 93.0)},
    }
    assert plot.pareto(points, lower_is_better=lower_is_better, ax=axes) is axes
    front = axes.lines[0].get_xydata().tolist()
    assert front == [[2000, sign * 93.0], [4000, sign * 95.0], [5000, sign * 95.0]]
    assert axes.yaxis_inverted() == lower_is_better and axes.get_xscale() == "log"
    assert {text.get_text() for text in axes.texts} == {"16", "32", "48", "128"} and draws(axes)
    with pytest.raises(ValueError, match="at least one model"):
        plot.pareto({"dense": {}})


def test_cost_against_the_ideal(axes):
    assert plot.cost([100, 200], [400, 600], dense=(1000, 2000), ax=axes) is axes
    ideal, dense, measured = axes.lines
    assert ideal.get_xydata().tolist() == [[100, 200], [1000, 2000]] and dense.get_xydata().tolist() == [[1000, 2000]]
    assert measured.get_xydata().tolist() == [[100, 400], [200, 600]]
    assert axes.get_title("left") == "Cost of a step: 1.8 times the ideal, 4.0 times below dense"
    assert axes.get_ylabel() == "instructions per step" and draws(axes)
    with pytest.raises(ValueError, match=r"given: \(1,\), \(2,\)"):
        plot.cost([100], [400, 600], dense=(1000, 2000))


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="ksr.plot needs matplotlib: pip install"):
        plot.events(np.eye(3))
