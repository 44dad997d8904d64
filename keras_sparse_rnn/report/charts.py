"""The charts of a report, with Bokeh, whose JavaScript goes into the page."""

import numpy as np
from bokeh.embed import components
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter, Range1d
from bokeh.models.annotations import Legend
from bokeh.plotting import figure
from bokeh.resources import Resources

from keras_sparse_rnn.plot import BLUE, GREEN, GREY, ORANGE, PINK, SKY, YELLOW

_ROW = 26  # height of a bar, pixels
_PARTS = (BLUE, ORANGE, GREEN, YELLOW, PINK, SKY)


def draw(facts):
    """Draws the charts of some `Facts`.

    Returns:
        A tuple `(library, script, divisions)`: Bokeh's JavaScript, the script that draws, and the name and the HTML
        element of each chart.
    """
    charts = {
        "bytes": _bars(facts, "bytes", {"as stored": "bytes", "with every weight": "dense_bytes"}, "bytes"),
        "MACs per time step": _bars(facts, "MACs", {"effective": "effective_macs", "dense": "macs"}, "MACs per step"),
        "instructions per time step": _bars(
            facts, "instructions", {"counted": "instructions"}, "instructions per step"
        ),
        "flash": _stack(flash(facts)),
        "RAM": _stack(ram(facts)),
        "drift": _drift(facts),
    }
    charts = {name: chart for name, chart in charts.items() if chart is not None}
    script, divisions = components(charts) if charts else ("", {})
    library = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw) if charts else ""
    return library, script, divisions


def flash(facts):
    """Parts of the `.tflite` file, bytes by their names."""
    if facts.inspection is None:
        return {}
    parts = {_label(op, n): op.bytes for n, op in enumerate(facts.ops) if op.bytes}
    return {**parts, "graph and metadata": max(facts.inspection.file_bytes - sum(parts.values()), 0)}


def ram(facts):
    """Parts of TensorFlow Lite Micro's arena, bytes by their names."""
    inspection = facts.inspection
    if inspection is None or inspection.arena_bytes is None:
        return {}
    state = inspection.state_bytes
    parts = {
        "state": state,
        "other persistent": max(inspection.persistent_bytes - state, 0),
        "activations and scratch": inspection.scratch_bytes,
    }
    parts["alignment"] = max(inspection.arena_bytes - sum(parts.values()), 0)
    return {name: size for name, size in parts.items() if size}


def part_color(number):
    """The colour of a part of a memory."""
    return _PARTS[number % len(_PARTS)]


def _label(op, number):
    return f"{number + 1} {op.layer or op.name}"


def _bars(facts, title, series, unit):
    """A chart with one bar per op and series; None if nothing is known."""
    ops = [op for op in facts.ops if any(getattr(op, name) for name in series.values())]
    if not ops:
        return None
    labels = [_label(op, facts.ops.index(op)) for op in ops]
    chart = _figure(y_range=labels[::-1], height=70 + _ROW * len(series) * len(ops) + 30)
    width = 0.8 / len(series)
    for n, (name, attribute) in enumerate(series.items()):
        values = [getattr(op, attribute) or 0 for op in ops]
        known = [f"{getattr(op, attribute):,.0f}" if getattr(op, attribute) is not None else "?" for op in ops]
        places = [len(ops) - 1 - i + 0.5 + 0.4 - width * (n + 0.5) for i in range(len(ops))]
        source = ColumnDataSource({"y": places, "x": values, "op": labels, "value": known})
        bar = chart.hbar(y="y", right="x", height=0.92 * width, source=source, color=(BLUE, GREY)[n], legend_label=name)
        chart.add_tools(HoverTool(renderers=[bar], tooltips=f"@op, {name}: @value {title}"))
        texts = chart.text(x="x", y="y", text="value", source=source, x_offset=4, text_baseline="middle")
        texts.glyph.text_font_size = "11px"
    top = max(max(getattr(op, name) or 0 for name in series.values()) for op in ops)
    chart.x_range = Range1d(0, 1.25 * top)
    chart.xaxis.axis_label = unit
    if len(series) == 1:
        chart.legend.visible = False
    return chart


def _stack(parts):
    """A chart of the parts of a memory in a row."""
    if not parts:
        return None
    sizes = np.array(list(parts.values()))
    ends = np.cumsum(sizes)
    chart = _figure(y_range=[""], height=110)
    for n, (name, size, end) in enumerate(zip(parts, sizes.tolist(), ends.tolist(), strict=True)):
        source = ColumnDataSource(
            {"y": [0.5], "left": [end - size], "right": [end], "what": [f"{name}: {size:,} bytes"]}
        )
        bar = chart.hbar(
            y="y", left="left", right="right", height=0.8, source=source, color=part_color(n), line_color=None
        )
        chart.add_tools(HoverTool(renderers=[bar], tooltips="@what"))
    chart.x_range = Range1d(0, ends[-1].item() or 1)
    chart.xaxis.axis_label = f"bytes, {ends[-1]:,} in all"
    chart.yaxis.visible = False
    return chart


def _drift(facts):
    if facts.drift is None:
        return None
    chart = _figure(height=260)
    place = (np.arange(len(facts.drift)) + 0.5) / len(facts.drift) * 100
    source = ColumnDataSource({"x": place.tolist(), "y": facts.drift.tolist()})
    line = chart.line(x="x", y="y", source=source, color=BLUE, line_width=2)
    chart.add_tools(HoverTool(renderers=[line], mode="vline", tooltips="@x{0} % of the time: @y{0.00000}"))
    chart.xaxis.axis_label = "share of the sequence (%)"
    chart.yaxis.axis_label = f"mean error of {facts.drift_of}"
    chart.y_range.start = 0
    chart.yaxis.formatter = NumeralTickFormatter(format="0.0000")
    return chart


def _figure(**arguments):
    chart = figure(sizing_mode="stretch_width", toolbar_location=None, tools="", **arguments)
    chart.background_fill_color = chart.border_fill_color = chart.outline_line_color = None
    chart.xaxis.formatter = NumeralTickFormatter(format="0,0.[0]a")
    chart.xaxis.ticker.desired_num_ticks = 5
    chart.grid.grid_line_alpha = 0.25
    chart.ygrid.grid_line_color = None
    chart.yaxis.major_tick_line_color = None
    chart.axis.minor_tick_line_color = None
    chart.axis.axis_line_color = chart.xaxis.major_tick_line_color = GREY
    chart.min_border_right = 16
    legend = Legend(orientation="horizontal", background_fill_alpha=0, border_line_alpha=0, padding=0, margin=2)
    chart.add_layout(legend, "above")
    return chart
