"""The figures of a model, and the table that shows them."""

import dataclasses
import html
from dataclasses import dataclass
from typing import Any

from keras_sparse_rnn.cells import Skips
from keras_sparse_rnn.typing import BlockShape

HEADINGS = (
    *("layer", "weights", "nonzero", "zeros", "blocks", "float32", "int8", "packed"),
    *("events", "calls", "MACs", "effective"),
)
_OF_CALLS = ("dense_macs", "effective_macs")


@dataclass(frozen=True)
class GateProfile:
    """The weights of one gate, in the kernel and the recurrent kernel together.

    Attributes:
        name: Its usual name, such as `"z"`, or its number.
        weights: Number of weights.
        nonzero: Number of non-zero weights.
        zero_blocks: Share of the weights that lie in blocks without a non-zero weight, in [0, 1]; None if a block is
            larger than a gate.
        packed_bytes: Bytes of its blocks and their index, or of the dense gate where the kernel is stored dense. The
            row pointers, which all gates share, count in the layer's bytes only.
        effective_macs: Multiply-accumulates of a time step, as for the layer.
    """

    name: str
    weights: int
    nonzero: int
    zero_blocks: float | None
    packed_bytes: int
    effective_macs: float | None = None

    @property
    def sparsity(self) -> float:
        """Share of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero / self.weights

    @property
    def float32_bytes(self) -> int:
        """Bytes of its weights as float32."""
        return 4 * self.weights

    @property
    def int8_bytes(self) -> int:
        """Bytes of its weights as int8, zeros included."""
        return self.weights

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of a time step with all weights."""
        return self.weights


@dataclass(frozen=True)
class LayerProfile:
    """The kernels of one layer: the weights that it multiplies, without biases and other vectors.

    Attributes:
        name: Its name, after the names of the layers that contain it.
        kind: Its class.
        weights: Number of weights in its kernels; 0 for a layer that multiplies its inputs only, such as attention.
        nonzero: Number of non-zero weights.
        zero_blocks: Share of the weights that lie in blocks without a non-zero weight, in [0, 1]; None if a block is
            larger than a gate.
        packed_bytes: Bytes of the kernels as int8 in blocks of 4 with their index, or dense where that takes fewer
            bytes or no op of this package takes the layer.
        events: Share of units that act on the recurrence in a step, in [0, 1]; None where it was not measured.
        skips: What a step of a recurrent layer need not multiply, as in `keras_sparse_rnn.cells`; None for others.
        units: Number of its units or channels; None where it was not seen on data.
        silent_units: Number of units that are zero, or never act on the recurrence, in all of the data.
        calls: How often each weight is used per sample: time steps of a recurrent layer, positions of a convolution, 1
            for a final Dense. None where the shape of the inputs is not known.
        dense_macs: Multiply-accumulates of one such call with all weights; 0 for an Embedding, None where they are not
            known.
        effective_macs: Multiply-accumulates of a kernel that skips zero weights and sources that do not act, counted on
            the data; None where they were not. Only recurrent and Dense layers skip.
        gates: A `GateProfile` for each gate of a recurrent layer.
    """

    name: str
    kind: str
    weights: int
    nonzero: int
    zero_blocks: float | None
    packed_bytes: int
    events: float | None = None
    skips: Skips | None = None
    units: int | None = None
    silent_units: int | None = None
    calls: float | None = None
    dense_macs: float | None = None
    effective_macs: float | None = None
    gates: tuple[GateProfile, ...] = ()

    @property
    def sparsity(self) -> float:
        """Share of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero / self.weights if self.weights else 0.0

    @property
    def float32_bytes(self) -> int:
        """Bytes of the kernels as float32."""
        return 4 * self.weights

    @property
    def int8_bytes(self) -> int:
        """Bytes of the kernels as int8, zeros included."""
        return self.weights

    @property
    def is_silent(self) -> bool:
        """Whether all of its units were silent in the data; False where that was not looked at."""
        return self.units is not None and self.silent_units == self.units


@dataclass(frozen=True)
class ModelProfile:
    """The figures of a model; `print` and a notebook show them as a table.

    Attributes:
        name: The model's name.
        parameters: Number of all its weights, biases included.
        block_shape: Pair (rows, cols) of the blocks that `zero_blocks` counts.
        layers: A `LayerProfile` for each layer that multiplies, and for each whose products are not known.
        not_counted: Why MACs are None, or None.
        not_seen: Layers, such as Lambda, that may multiply something outside their sublayers, which is not counted.
    """

    name: str
    parameters: int
    block_shape: BlockShape
    layers: tuple[LayerProfile, ...]
    not_counted: str | None = None
    not_seen: tuple[str, ...] = ()

    def total(self, figure: str) -> float | Any:
        """The sum of a figure such as `"weights"` over all layers; None if it is unknown for one of them.

        `"dense_macs"` and `"effective_macs"` are summed over a sample: each layer counts as often as it is called.
        """
        values = [getattr(layer, figure) for layer in self.layers]
        if figure in _OF_CALLS:
            values = [
                0 if v == 0 else None if None in (v, layer.calls) else v * layer.calls
                for v, layer in zip(values, self.layers, strict=True)
            ]
        return sum(values) if None not in values else None

    @property
    def sparsity(self) -> float | None:
        """Share of the kernels' weights that are zero, in [0, 1]; None without kernels."""
        return 1 - self.total("nonzero") / self.total("weights") if self.total("weights") else None

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain dicts, lists and numbers."""
        return dataclasses.asdict(self)

    def rows(self) -> list[list[str]]:
        """The rows of the table, lists of strings without the headings; the last row has the totals."""
        rows = []
        for layer in self.layers:
            events = _share(layer.events) if layer.gates else ""
            rows.append([f"{layer.name} ({layer.kind})", *_weights(layer), events, _count(layer.calls), *_macs(layer)])
            if len(layer.gates) > 1:
                rows += [[f"  {gate.name}", *_weights(gate), "", "", *_macs(gate)] for gate in layer.gates]
        counts = [_count(self.total(figure)) for figure in ("weights", "nonzero")]
        sizes = [_count(self.total(f"{kind}_bytes")) for kind in ("float32", "int8", "packed")]
        macs = [_count(self.total("dense_macs")), _count(self.total("effective_macs"))]
        return [*rows, ["all, one sample", *counts, _share(self.sparsity), "", *sizes, "", "", *macs]]

    def reductions(self) -> list[str]:
        """What the zeros save, and what is not in the table, as sentences."""
        others = self.parameters - (self.total("weights") or 0)
        lines = [f"{others:,} other parameters, such as biases, and element-wise work are not counted."]
        if self.total("weights"):
            factor = self.total("float32_bytes") / self.total("packed_bytes")
            lines.append(f"Kernels packed as int8 take {factor:.1f} times fewer bytes than as float32.")
        dense, effective = self.total("dense_macs"), self.total("effective_macs")
        if effective and effective < dense:
            lines.append(f"A sample takes {dense / effective:.3g} times fewer MACs than with nothing skipped.")
        silent = [f"all {layer.units} units of '{layer.name}'" for layer in self.layers if layer.is_silent]
        if silent:
            lines.append(f"Silent on these data: {', '.join(silent)}. What reads them sees the same at all times.")
        if self.not_counted:
            lines.append(f"{'MACs' if dense is None else 'Effective MACs and events'}: ? ({self.not_counted})")
        if self.not_seen:
            lines.append(f"What these compute outside their layers is not seen: {', '.join(self.not_seen)}.")
        return lines

    def __str__(self):
        table = [list(HEADINGS), *self.rows()]
        widths = [max(len(row[n]) for row in table) for n in range(len(HEADINGS))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in table]
        rule = "-" * max(map(len, lines))
        rows, cols = self.block_shape
        about = [
            f"weights of kernels; blocks: share in {rows}x{cols} blocks of zeros; sizes in bytes;",
            "MACs of a call, which is a time step or a position; in the last line of a sample",
        ]
        return "\n".join(
            [self.name, *about, rule, lines[0], rule, *lines[1:-1], rule, lines[-1], rule, *self.reductions()]
        )

    def _repr_html_(self):
        def row(cells, tag):
            return (
                "<tr>"
                + "".join(f"<{tag}>{html.escape(cell).replace('  ', '&emsp;')}</{tag}>" for cell in cells)
                + "</tr>"
            )

        body = "".join(row(cells, "td") for cells in self.rows())
        notes = "<br>".join(html.escape(line) for line in self.reductions())
        return f"<table><caption>{html.escape(self.name)}</caption>{row(HEADINGS, 'th')}{body}</table><p>{notes}</p>"


def _weights(part):
    """Cells of a layer or a gate: what it holds."""
    sizes = [_count(n) for n in (part.float32_bytes, part.int8_bytes, part.packed_bytes)]
    return [_count(part.weights), _count(part.nonzero), _share(part.sparsity), _share(part.zero_blocks), *sizes]


def _macs(part):
    """Cells of a layer or a gate: what a call costs."""
    return [_count(part.dense_macs), _count(part.effective_macs)]


def _share(value):
    return "?" if value is None else f"{100 * value:.1f} %"


def _count(value):
    return "?" if value is None else f"{value:,.0f}"
