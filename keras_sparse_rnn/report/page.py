"""A report as one self-contained page of HTML."""

import base64
import io
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup

from keras_sparse_rnn import plot
from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.profiling.table import HEADINGS
from keras_sparse_rnn.report import charts

MOST_PICTURES = 12
_OP_HEADINGS = ("op", "layer", "bytes", "dense", "zeros", "events", "MACs", "effective", "instructions", "cycles")


class Cell:
    """A figure in a table: its text and its sort key."""

    def __init__(self, value, text="{:,.0f}"):
        self.value = "" if value is None else value
        self.text = "?" if value is None else text.format(value)


def render(facts, step_ms, progress):
    """Renders the page of some `Facts`, a string.

    Args:
        facts: The `Facts` of the model.
        step_ms: Milliseconds of a time step, or None.
        progress: A `Progress`.
    """
    progress.show("drawing")
    library, script, divisions = charts.draw(facts)
    template = Environment(autoescape=True, trim_blocks=True).from_string(
        files("keras_sparse_rnn.report").joinpath("page.html").read_text()
    )
    memory = {"flash": charts.flash(facts), "RAM": charts.ram(facts)}
    inspection = facts.inspection
    return template.render(
        facts=facts,
        subtitle=_subtitle(facts),
        totals=_totals(facts),
        ops=[[_op_cells(op)] for op in facts.ops],
        op_headings=_OP_HEADINGS,
        op_total=_op_total(facts) if facts.ops else None,
        charts={
            "bars": [(name, Markup(divisions[name])) for name in divisions if name not in (*memory, "drift")],
            "memory": [
                (
                    f"{name}: {sum(parts.values()):,} bytes",
                    Markup(divisions[name]),
                    [(part, f"{size:,}", charts.part_color(n)) for n, (part, size) in enumerate(parts.items())],
                )
                for name, parts in memory.items()
                if name in divisions
            ],
            "drift": Markup(divisions["drift"]) if "drift" in divisions else None,
        },
        register=() if inspection is None else inspection.register,
        engines=[] if inspection is None else [(n, "runs" if r is None else r) for n, r in inspection.engines.items()],
        **_profile(facts.profile),
        pictures=_pictures(facts, step_ms),
        left_out=max(len(facts.kernels) - MOST_PICTURES, 0),
        version=__version__,
        library=Markup(library),
        script=Markup(script),
    )


def _subtitle(facts):
    if facts.conversion is not None:
        report = facts.conversion
        engines = f", compared with Keras in {' and '.join(report.engines)}" if report.engines else ""
        return f"A Keras model, and what keras-sparse-rnn makes of it: {report.weights} for {report.target}{engines}."
    if facts.inspection is not None:
        return f"A .tflite model: {facts.inspection.description or 'without a description'}."
    return "A Keras model."


def _totals(facts):
    """Pairs of a figure and its description."""
    profile, inspection = facts.profile, facts.inspection
    totals = []
    if inspection is not None:
        stored, dense = inspection.weight_bytes, inspection.dense_weight_bytes
        totals.append((f"{inspection.file_bytes:,}", "bytes of the .tflite file"))
        totals.append((f"{stored:,}", f"bytes of constants, {dense:,} with every weight"))
    zeros = None if profile is None else profile.sparsity
    if zeros is None and facts.kernels:
        size = sum(kernel.size for _, kernel, _ in facts.kernels)
        zeros = sum(int((kernel == 0).sum()) for _, kernel, _ in facts.kernels) / size
    totals.append((_share(zeros), "of the weights are zero"))
    macs, effective, unit = facts.total("macs"), facts.total("effective_macs"), "time step"
    if not facts.ops and profile is not None:
        macs, effective, unit = profile.total("dense_macs"), profile.total("effective_macs"), "sample"
    factor = f", {macs / effective:.1f} times fewer" if macs and effective else ""
    totals.append((_count(effective), f"effective MACs per {unit} of {_count(macs)}{factor}"))
    bench = facts.bench
    instructions = bench and bench.builds["-O2"].instructions
    totals.append((_count(instructions), f"instructions per {bench.unit if bench else 'time step'}"))
    if inspection is not None:
        totals.append((_count(inspection.arena_bytes), "bytes of RAM, TensorFlow Lite Micro's arena"))
    if facts.conversion is not None and facts.conversion.accuracy is not None:
        totals.append((_share(facts.conversion.accuracy), f"accuracy, Keras {_share(facts.conversion.keras_accuracy)}"))
    return totals


def _op_cells(op):
    share = "{:.1%}"
    return [
        *(Cell(op.name, "{}"), Cell(op.layer, "{}"), Cell(op.bytes), Cell(op.dense_bytes)),
        Cell(op.zeros, share) if op.zeros is not None else Cell("", "{}"),
        Cell(op.events, share) if op.events is not None else Cell("", "{}"),
        *(Cell(getattr(op, name)) for name in ("macs", "effective_macs", "instructions", "cycles")),
    ]


def _op_total(facts):
    sums = [Cell(facts.total(name)) for name in ("macs", "effective_macs")]
    build = facts.bench and facts.bench.builds["-O2"]
    costs = [Cell(build and build.instructions), Cell(build and build.cycles_estimate)]
    blank = Cell("", "{}")
    held = [Cell(facts.total(name)) for name in ("bytes", "dense_bytes")]
    return [Cell("all", "{}"), blank, *held, blank, blank, *sums, *costs]


def _profile(profile):
    """The values of a `ModelProfile` for the template."""
    if profile is None:
        return {"layers": [], "reductions": []}
    groups = []
    for layer in profile.layers:
        blank = Cell("", "{}")
        events = Cell(layer.events, "{:.1%}") if layer.gates else blank
        packed = Cell(layer.packed_bytes)
        rows = [_layer_cells(layer, f"{layer.name} ({layer.kind})", packed, events, Cell(layer.calls))]
        if len(layer.gates) > 1:
            rows += [_layer_cells(gate, gate.name, blank, blank, blank) for gate in layer.gates]
        groups.append(rows)
    total = [Cell(cell, "{}") for cell in profile.rows()[-1]]
    return {
        "layers": groups,
        "layer_headings": HEADINGS,
        "layer_total": total,
        "reductions": profile.reductions(),
        "block": "x".join(map(str, profile.block_shape)),
    }


def _layer_cells(part, name, packed, events, calls):
    share = "{:.1%}"
    return [
        *(Cell(name, "{}"), Cell(part.weights), Cell(part.nonzero)),
        *(Cell(part.sparsity, share), Cell(part.zero_blocks, share)),
        *(Cell(part.float32_bytes), Cell(part.int8_bytes), packed),
        *(events, calls, Cell(part.dense_macs), Cell(part.effective_macs)),
    ]


def _pictures(facts, step_ms):
    """A title and a picture in both styles, base64, for each kernel and for the events of each layer."""
    drawn = []
    for name, values, gates in facts.kernels[:MOST_PICTURES]:
        block = (1, min(4, values.shape[1] // len(gates)))
        drawn.append((name, lambda axes, v=values, g=gates, b=block: plot.weights(v, gates=g, block_shape=b, ax=axes)))
    for name, active in facts.events:
        drawn.append((f"{name}: first sample", lambda axes, a=active: plot.events(a, step_ms=step_ms, ax=axes)))
    return [(name, _png(draw, "default"), _png(draw, "dark_background")) for name, draw in drawn]


def _png(draw, style):
    from matplotlib import style as styles
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with styles.context(style):
        figure = Figure(figsize=(5.6, 3.2), layout="constrained")
        draw(figure.subplots())
        figure.savefig(file, format="png", dpi=160, transparent=True)
    return base64.b64encode(file.getvalue()).decode()


def _share(value):
    return "?" if value is None else f"{100 * value:.1f} %"


def _count(value):
    return "?" if value is None else f"{value:,.0f}"
