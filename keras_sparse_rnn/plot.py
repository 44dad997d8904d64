"""Plots with matplotlib: zero weights, events, the course of training, and costs.

Each function draws into `ax` or a new figure and returns the axes. The colours are those of Okabe and Ito, which
readers with colour blindness can distinguish, and colour is never the only distinction. Text and black elements follow
matplotlib's style.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.extras import packages_of
from keras_sparse_rnn.inputs import check_finite
from keras_sparse_rnn.typing import BlockShape

if TYPE_CHECKING:
    import keras
    from matplotlib.axes import Axes

    from keras_sparse_rnn.to_delta import DeltaPoint

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
GREY = "#888888"
_SERIES = tuple(zip((BLUE, ORANGE, GREEN, PINK, SKY, YELLOW), "os^Dvp", strict=True))


def weights(
    kernel: "keras.layers.Layer | np.ndarray",
    name: str = "recurrent_kernel",
    *,
    gates: int | Sequence[str] | None = None,
    block_shape: BlockShape = (1, 4),
    ax: "Axes | None" = None,
) -> "Axes":
    """Shows which weights are zero, negative or positive, gate by gate, and which zeros lie in kept blocks.

    Args:
        kernel: A built layer, such as a GRU, an EventGRU or a Dense, or a matrix (inputs, gates * units).
        name: Name of the weight; not needed if the layer has only one.
        gates: For a matrix, the names of the gates side by side in its columns, or their number; 1 by default.
        block_shape: Pair (rows, cols): shape of the pruned blocks.
        ax: Matplotlib axes to draw into.

    Returns:
        The axes.

    Raises:
        ValueError: The layer has no such kernel, it holds values that are not finite, the columns are not a multiple of
            the gates, or a block is larger than a gate.
        ImportError: Matplotlib is not installed.

    Example:

    >>> ksr.plot.weights(model.get_layer("gru"))
    """
    if isinstance(kernel, np.ndarray):
        names = tuple(map(str, range(gates or 1))) if gates is None or isinstance(gates, int) else tuple(gates)
        values, title = kernel, "Kernel"
    else:
        values, names, title = _find(kernel, name)
    count = len(names)
    if values.ndim != 2 or values.shape[1] % count:
        raise ValueError(f"kernel must be a matrix of {count} gates side by side; given: the shape {values.shape}.")
    check_finite("kernel", values)
    kept = _kept(values, count, block_shape)
    ax = _axes(ax, (9, float(np.clip(9 * values.shape[0] / values.shape[1], 3, 9))))
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    colors = np.array([to_rgba(color) for color in (ORANGE, (*to_rgba(GREY)[:3], 0.3), BLUE, (0, 0, 0, 0))])
    shown = colors[np.where(kept, np.sign(values).astype(int) + 1, 3)]
    # If there are more weights than dots, colours are averaged, so that no false pattern appears.
    ax.imshow(shown, aspect="auto", interpolation="auto", interpolation_stage="rgba")
    units = values.shape[1] // count
    for gate, gate_name in enumerate(names):
        if gate:
            ax.axvline(gate * units - 0.5, color=_ink(), linewidth=0.8)
        if count > 1:
            ax.text((gate + 0.5) / count, 1.01, gate_name, ha="center", va="bottom", transform=ax.transAxes)
    rows, cols = block_shape
    ax.set_title(
        f"{title}: {np.mean(values == 0):.1%} zeros, {1 - kept.mean():.1%} in empty {rows}x{cols} blocks",
        pad=18 if count > 1 else 6,
        loc="left",
    )
    in_each = "to unit, in each gate" if count > 1 else "to unit"
    ax.set(xticks=[], ylabel="from input or unit")
    ax.set_xlabel(f"{in_each} ({units})", loc="left")
    ax.spines[:].set_visible(True)
    legend = [("< 0", colors[0]), ("> 0", colors[2])]
    if np.any(kept & (values == 0)):
        legend.append(("0 in a kept block", colors[1]))
    handles = [Patch(color=color, label=label) for label, color in legend]
    ax.legend(
        handles=handles,
        ncols=3,
        loc="upper right",
        bbox_to_anchor=(1, -0.01),
        frameon=False,
        borderaxespad=0,
        handlelength=1,
        columnspacing=1,
    )
    return ax


def events(active: ArrayLike, *, step_ms: float | None = None, ax: "Axes | None" = None) -> "Axes":
    """Shows which units are active in each time step.

    Args:
        active: Array (time, units), nonzero where a unit is active, such as one sample of `profiling.record_events`.
        step_ms: Milliseconds of a time step, for the axis.
        ax: Matplotlib axes to draw into.

    Returns:
        The axes.

    Raises:
        ValueError: `active` does not have two dimensions.
        ImportError: Matplotlib is not installed.

    Example:

    >>> ksr.plot.events(ksr.profiling.record_events(model, x)["event_gru"][0], step_ms=10)
    """
    acts = np.asarray(active) != 0
    if acts.ndim != 2 or not acts.size:
        raise ValueError(f"active must have the shape (time, units); given: {acts.shape}.")
    ax = _axes(ax, (9, 4))
    from matplotlib.colors import ListedColormap
    from matplotlib.ticker import MaxNLocator

    steps, units = acts.shape
    ax.imshow(
        acts.T,
        cmap=ListedColormap([(0, 0, 0, 0), _ink()]),
        vmin=0,
        vmax=1,
        aspect="auto",
        origin="lower",
        interpolation="nearest" if acts.size < 500_000 else "auto",
        extent=(0, steps * (step_ms or 1), 0.5, units + 0.5),
    )
    ax.spines[:].set_visible(True)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(f"Events: {acts.mean():.1%} of the units act in a step", loc="left")
    ax.set(xlabel="time step" if step_ms is None else "time (ms)", ylabel="unit")
    return ax


def training(
    history: "keras.callbacks.History | Mapping[str, Sequence[float]]",
    *,
    metric: str | None = None,
    ax: "Sequence[Axes] | None" = None,
) -> "Sequence[Axes]":
    """Shows a metric and the sparsity during training, one above the other.

    Args:
        history: The result of `model.fit`, or its `history`, a dict of lists. `callbacks.SparsityLogger` and the
            pruning callbacks add the sparsities to it.
        metric: Name of the metric; by default the first accuracy, or the loss if there is none.
        ax: Pair of matplotlib axes to draw into, for the metric and for the sparsity.

    Returns:
        The pair of axes.

    Raises:
        ValueError: The history has no such metric, or neither sparsity nor activity.
        ImportError: Matplotlib is not installed.

    Example:

    >>> ksr.plot.training(model.fit(x, y, callbacks=[pruning, ksr.callbacks.SparsityLogger(x[:256])]))
    """
    logs = getattr(history, "history", history)
    metric = metric or next((key for key in logs if "acc" in key and not key.startswith("val_")), "loss")
    if metric not in logs:
        raise ValueError(f"metric must be one of {sorted(logs)}; given: {metric!r}.")
    shares = [key for key in logs if key.endswith(("_sparsity", "_activity"))] or [
        key for key in logs if key == "sparsity"
    ]
    # Units that are always active tell nothing.
    shares = [key for key in shares if key.endswith("sparsity") or min(logs[key]) < 1]
    if not shares:
        raise ValueError("history holds no sparsity: list ksr.callbacks.SparsityLogger() among the callbacks of fit.")
    if ax is None:
        figure = _figure((9, 6))
        ax = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    upper, lower = ax
    epochs = np.arange(1, len(logs[metric]) + 1)
    for key, label, style in ((metric, "training", "--"), (f"val_{metric}", "validation", "-")):
        if key in logs:
            upper.plot(epochs, logs[key], style, color=BLUE, label=label, marker="." if len(epochs) < 3 else "")
    upper.set_ylabel(metric.replace("_", " "))
    upper.set_title("Training", loc="left")
    if "acc" in metric:
        upper.yaxis.set_major_formatter(PercentFormatter(1))
    layers = list(dict.fromkeys(key.rpartition("_")[0] for key in shares))
    colors = {layer: _SERIES[n % len(_SERIES)] for n, layer in enumerate(layers)}
    apart = max(1, len(epochs) // 8)  # markers of coinciding curves are side by side
    for n, key in enumerate(shares):
        layer, _, kind = key.rpartition("_")
        color, marker = colors[layer]
        what = "zeros" if kind == "sparsity" else "active units"
        lower.plot(
            epochs,
            logs[key],
            "-" if kind == "sparsity" else ":",
            color=color,
            marker=marker,
            markersize=4,
            markevery=(n % apart, apart),
            linewidth=max(1.2, 3 - 0.6 * n),  # each of several coinciding curves is visible
            label=f"{layer}: {what}" if layer else what,
        )
    lower.set(xlabel="epoch", ylabel="share of weights or units", ylim=(-0.02, 1.02))
    lower.yaxis.set_major_formatter(PercentFormatter(1))
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in ax:
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return ax


def pareto(
    points: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    cost: str = "effective MACs per step",
    quality: str = "accuracy (%)",
    lower_is_better: bool = False,
    ax: "Axes | None" = None,
) -> "Axes":
    """Shows cost and quality of models of several kinds, and the Pareto front: models that no other beats in both.

    Args:
        points: Dict {kind: {name of a model: (cost, quality)}}.
        cost, quality: Labels of the axes, with units. Costs must be positive, as their axis is logarithmic.
        lower_is_better: Whether smaller quality values are better, as for a loss.
        ax: Matplotlib axes to draw into.

    Returns:
        The axes.

    Raises:
        ValueError: `points` holds no model, or a cost is not positive.
        ImportError: Matplotlib is not installed.

    Example:

    >>> ksr.plot.pareto({"GRU": {"16": (2304, 96.1), "24": (2592, 97.1)}, "EventGRU": {"128, 90 %": (1982, 97.4)}})
    """
    models = [(float(x), float(y), name, kind) for kind, named in points.items() for name, (x, y) in named.items()]
    if not models or min(model[0] for model in models) <= 0:
        raise ValueError("points must hold at least one model, and only positive costs.")
    ax = _axes(ax, (8, 5))
    front: list[tuple[float, float]] = []
    best = -np.inf
    for x, y, *_ in sorted(models, key=lambda model: (model[0], model[1] if lower_is_better else -model[1])):
        if (value := -y if lower_is_better else y) > best:
            front.append((x, y))
            best = value
    reach = max(model[0] for model in models)
    ax.step(*zip(*front, (reach, front[-1][1]), strict=True), where="post", color=GREY, linewidth=1, label="front")
    for kind, (color, marker) in zip(points, _SERIES * len(points), strict=False):
        named = points[kind]
        ax.plot(*zip(*named.values(), strict=True), marker, color=color, label=kind, markersize=7)
    for x, y, name, kind in models:
        color = _SERIES[list(points).index(kind) % len(_SERIES)][0]
        ax.annotate(name, (x, y), (5, 5), textcoords="offset points", color=color, fontsize="small")
    ax.set_xscale("log")
    ax.margins(x=0.15, y=0.12)
    if lower_is_better:
        ax.invert_yaxis()
    better = "to the left and above is better"
    ax.set_title(f"What quality costs: {better}", loc="left")
    ax.set(xlabel=cost, ylabel=quality)
    _logarithmic(ax.xaxis)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, loc="lower right")
    return ax


def delta_curve(points: "Sequence[DeltaPoint]", *, error: str = "error", ax: "Axes | None" = None) -> "Axes":
    """Shows the error of a delta network against its MACs, for several scales of its thresholds.

    Args:
        points: The result of `ksr.delta_curve`.
        error: Label of the vertical axis, with its unit.
        ax: Matplotlib axes to draw into.

    Returns:
        The axes.

    Raises:
        ValueError: `points` is empty.
        ImportError: Matplotlib is not installed.

    Example:

    >>> ksr.plot.delta_curve(ksr.delta_curve(model, x), error="standard deviations")
    """
    if not points:
        raise ValueError("points must hold at least one `DeltaPoint`.")
    points = sorted(points, key=lambda point: point.macs)
    ax = _axes(ax, (8, 5))
    macs, errors = [point.macs for point in points], [point.error for point in points]
    ax.plot(macs, errors, "-o", color=BLUE, markersize=6, label="delta network, by scale")
    for point in points:
        ax.annotate(f"{point.scale:g}", (point.macs, point.error), (5, 5), textcoords="offset points", fontsize="small")
    dense = points[0].dense
    ax.axvline(dense, color=GREY, linestyle="--", label="every weight in every step")
    ax.set_title(f"Delta network: up to {dense / max(macs[0], 1):.1f} times fewer MACs", loc="left")
    ax.set(xlabel="MACs per step of the recurrent layers", ylabel=error)
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return ax


def cost(
    macs: ArrayLike,
    measured: ArrayLike,
    *,
    dense: tuple[float, float],
    unit: str = "instructions",
    ax: "Axes | None" = None,
) -> "Axes":
    """Compares the measured cost of a step with the ideal one, which is proportional to the effective MACs.

    Args:
        macs: Effective MACs of n steps or models, `(n,)`.
        measured: Measured cost of each, `(n,)`, for example instructions counted in QEMU.
        dense: Pair (MACs, cost) of the dense model, which defines the full cost of a MAC.
        unit: Unit of the cost.
        ax: Matplotlib axes to draw into.

    Returns:
        The axes.

    Raises:
        ValueError: The lengths differ or are 0, or a value is not positive; the axes are logarithmic.
        ImportError: Matplotlib is not installed.

    Example:

    >>> ksr.plot.cost([2099, 2423], [13_500, 15_496], dense=(64_512, 235_000))
    """
    needed, paid = np.asarray(macs, float), np.asarray(measured, float)
    if needed.shape != paid.shape or needed.ndim != 1 or not needed.size or min(*needed, *paid, *dense) <= 0:
        raise ValueError(
            "macs and measured must have the same length, and all values and dense must be positive; given: "
            f"{needed.shape}, {paid.shape} and {dense}."
        )
    ax = _axes(ax, (8, 5))
    price = dense[1] / dense[0]
    ends = np.array([min(dense[0], needed.min()), max(dense[0], needed.max())])
    ax.loglog(ends, ends * price, "--", color=GREY, label="ideal: in proportion to MACs")
    ax.plot(*dense, "s", color=ORANGE, label="dense", markersize=8)
    ax.vlines(needed, needed * price, paid, color=BLUE, linewidth=0.8, alpha=0.5)
    ax.plot(needed, paid, "o", color=BLUE, label="measured", markersize=5, alpha=0.8)
    factor, saved = np.median(paid / (needed * price)), dense[1] / np.median(paid)
    ax.set_title(f"Cost of a step: {factor:.1f} times the ideal, {saved:.1f} times below dense", loc="left")
    ax.set(xlabel="effective MACs per step", ylabel=f"{unit} per step")
    for axis in (ax.xaxis, ax.yaxis):
        _logarithmic(axis)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, loc="upper left")
    return ax


def _axes(ax, size):
    return _figure(size).subplots() if ax is None else ax


def _figure(size):
    with packages_of("report", "ksr.plot"):
        from matplotlib import pyplot
    return pyplot.figure(figsize=size, layout="constrained")


def _logarithmic(axis):
    """Makes an axis logarithmic, with labels such as 1k, 2k, 5k."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_minor_formatter(NullFormatter())


def _ink():
    """Returns the colour of text in the current style: black, or white on a dark background."""
    import matplotlib

    return matplotlib.rcParams["text.color"]


def _find(layer, name):
    """Returns the values, names of the gates and title of a kernel of a layer."""
    from keras_sparse_rnn.sparsity import find_kernels

    kernels = find_kernels(layer, lambda layer: True, frozen=True)[0]
    named = [kernel for kernel in kernels if kernel.path.rpartition("/")[2] == name]
    found = named if named or len(kernels) > 1 else kernels
    if len(found) != 1:
        raise ValueError(f"{layer.name!r} must have one kernel {name!r}; it has {[kernel.path for kernel in kernels]}.")
    return found[0].values(), found[0].gate_names, found[0].path


def _kept(values, gates, block_shape):
    """Returns booleans of the matrix's shape: whether each weight lies in a block with a nonzero weight."""
    from keras_sparse_rnn.sparsity import Blocks

    blocks = Blocks(values.shape, gates, block_shape, "kernel")
    return blocks.expand(blocks.nonzero(values != 0))
