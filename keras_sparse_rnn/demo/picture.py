"""The picture of the demo: weights, events, training, and the cost of accuracy."""

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_sparse_rnn import plot
from keras_sparse_rnn.experiments.training import watched_epochs
from keras_sparse_rnn.plot import BLUE, GREY, ORANGE
from keras_sparse_rnn.profiling import record_events

_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(contest, data, recipe, path, quick=False):
    """Saves the picture.

    Args:
        contest: A `Contest`.
        data, recipe: The `Data` and the `Recipe` of the training.
        path: Path of the PNG file.
        quick: Whether to note that the figures are meaningless.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(12, 9), layout="constrained")
        title = f"{data.title}: {contest.event.name}, and the GRUs beside it"
        if quick:
            title += " (--quick: means nothing)"
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
        upper, lower = figure.subfigures(2, 1, height_ratios=[1.15, 1], hspace=0.04)
        left, right = upper.subfigures(1, 2, width_ratios=[1.25, 1], wspace=0.04)
        _weights(left.subplots(), contest.event)
        _events(right.subplots(2, 1, sharex=True, height_ratios=[1, 2.5]), contest.event, data)
        left, right = lower.subfigures(1, 2, width_ratios=[1, 1], wspace=0.04)
        _training(left.subplots(2, 1, sharex=True, height_ratios=[2.5, 1]), contest, recipe)
        _cost(right.subplots(), contest)
        figure.savefig(path, dpi=150)


def _weights(axes, net):
    """Draws the recurrent kernel, gate by gate."""
    kernel = keras.ops.convert_to_numpy(net.model.get_layer("recurrent").cell.recurrent_kernel)
    plot.weights(kernel, gates=("update gate z", "reset gate r", "candidate g"), ax=axes)
    axes.set_title(f"Recurrent kernel: {np.mean(kernel == 0):.0%} zeros, in blocks of 1x4", pad=18)


def _events(axes, net, data):
    """Draws a test sequence: its features above, and the units that fire below."""
    lengths = data.test.valid.sum(axis=1)
    sample = int(np.argsort(lengths, kind="stable")[int(0.9 * len(lengths))])
    valid = data.test.valid[sample]
    events = record_events(net.model, data.test.x[sample : sample + 1])["recurrent"][0][valid]
    end = len(events) * data.step_ms
    features, raster = axes
    features.imshow(
        data.test.x[sample][valid].T,
        cmap="cividis",
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(0, end, 0.5, data.test.x.shape[2] + 0.5),
    )
    features.set_ylabel(data.inputs.split(" ", 1)[1])
    features.set_title(f"A test sequence ({data.classes[data.test.y[sample]]}) and its events")
    plot.events(events, step_ms=data.step_ms, ax=raster)
    raster.set_title("")
    raster.set(xlabel=f"time (ms); {events.mean():.0%} of the units fire in a step")


def _training(axes, contest, recipe):
    """Draws the accuracy on the test set and the share of zero weights, by epoch."""
    accuracy, sparsity = axes
    epochs = watched_epochs(recipe.epochs)
    for net, color, style in ((contest.event, BLUE, "-"), (contest.pruned, ORANGE, "--"), (contest.dense, GREY, ":")):
        runs = 100 * np.array([run.history["val_accuracy"] for run in net.runs])
        accuracy.plot(epochs, runs.mean(axis=0), style, color=color, label=net.name, linewidth=1.8)
        if len(runs) > 1:
            accuracy.fill_between(epochs, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.15, linewidth=0)
    accuracy.legend(loc="lower right", frameon=False)
    settled = [run.history["val_accuracy"][len(epochs) // 5 :] for net in contest.shown[:3] for run in net.runs]
    accuracy.set_ylim(100 * np.min(settled) - 5, None)
    accuracy.set_ylabel("test accuracy (%)")
    band = f" (mean and range of {len(recipe.seeds)} runs)" if len(recipe.seeds) > 1 else ""
    accuracy.set_title(f"Training{band}, and pruning")
    share = 100 * np.array(contest.event.runs[0].history["sparsity"])
    sparsity.fill_between(np.arange(1, recipe.epochs + 1), share, color=BLUE, alpha=0.35, linewidth=0)
    sparsity.set(xlabel="epoch", ylabel="zeros (%)", ylim=(0, 100), yticks=(0, 50, 90), xlim=(1, recipe.epochs))
    sparsity.xaxis.set_major_locator(MaxNLocator(integer=True))


def _cost(axes, contest):
    """Draws accuracy against effective MACs."""
    dense = sorted([*contest.tried, contest.dense], key=lambda net: net.units)
    axes.plot(
        [net.effective_macs for net in dense],
        [100 * net.accuracy for net in dense],
        ":",
        color=GREY,
        linewidth=1,
        zorder=1,
    )
    # Names are at the ends of the bars: the lower ends for dense nets, the upper ends for others.
    groups = [(dense, GREY, "^", -1, "center"), ([contest.pruned], ORANGE, "s", 1, "left")]
    for nets, color, marker, side, horizontal in [*groups, ([contest.event], BLUE, "o", 1, "right")]:
        for net in nets:
            cost, accuracy, error = net.effective_macs, 100 * net.accuracy, 100 * contest.margin
            axes.errorbar(cost, accuracy, yerr=error, fmt=marker, color=color, markersize=8, capsize=3, elinewidth=1)
            axes.annotate(
                net.name,
                (cost, accuracy + side * error),
                (0, 4 * side),
                textcoords="offset points",
                color=color,
                ha=horizontal,
                va="bottom" if side > 0 else "top",
            )
    axes.set_xscale("log")
    axes.margins(x=0.16, y=0.12)
    axes.set_title("What accuracy costs (bars: one standard error)")
    axes.set(xlabel="effective MACs per step", ylabel="test accuracy (%)")
    axes.grid(alpha=0.25)
