"""The figures of a model, and their table."""

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
    """Figures of one gate, for the kernel and the recurrent kernel together. Packed kernels are stored as a whole, so
    that a gate has no bytes of its own there.

    Attributes:
        name: Name of the gate, such as `"z"`, or its number.
        weights: Number of weights.
        nonzero: Number of non-zero weights.
        zero_blocks: Fraction of the weights that are in blocks of zeros, in [0, 1]; None if a block is larger than a
            gate.
        effective_macs: Multiply-accumulates per time step, as for the layer.
    """

    name: str
    weights: int
    nonzero: int
    zero_blocks: float | None
    effective_macs: float | None = None

    @property
    def sparsity(self) -> float:
        """Fraction of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero / self.weights

    @property
    def float32_bytes(self) -> int:
        """Bytes of the weights as float32."""
        return 4 * self.weights

    @property
    def int8_bytes(self) -> int:
        """Bytes of the weights as int8, including zeros."""
        return self.weights

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates per time step with all weights."""
        return self.weights


@dataclass(frozen=True)
class LayerProfile:
    """Figures of the kernels of one layer: the weights that it multiplies, without biases and other vectors.

    Attributes:
        name: Name of the layer, preceded by the names of the layers that contain it.
        kind: Class of the layer.
        weights: Number of weights in the kernels; 0 for a layer that only multiplies its inputs, such as attention.
        nonzero: Number of non-zero weights.
        zero_blocks: Fraction of the weights that are in blocks of zeros, in [0, 1]; None if a block is larger than a
            gate.
        packed_bytes: Bytes of the kernels as `ksr.convert` stores them in int8 by default: in blocks of the shape that
            takes the fewest bytes, with their index, or dense. This is an estimate before the conversion: rounding may
            make further weights zero, and a recurrent layer whose inputs are mostly zero gets no blocks along the
            inputs. Dense if no op of this package implements the layer.
        events: Fraction of the units that act on the recurrence in a step, in [0, 1]; None if not measured.
        skips: Which sources a step of a recurrent layer can skip, as in `keras_sparse_rnn.cells`; None for others.
        units: Number of units or channels; None if the layer did not run on data.
        silent_units: Number of units that are zero, or never act on the recurrence, in all of the data.
        calls: How often each weight is used per sample: time steps of a recurrent layer, positions of a convolution, 1
            for a final Dense. None if the shape of the inputs is not known.
        dense_macs: Multiply-accumulates of one such call with all weights; 0 for an Embedding, None if not known.
        effective_macs: Multiply-accumulates of one such call if zero weights and inactive sources are skipped, counted
            on the data; None if not counted. Only recurrent and Dense layers skip.
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
        """Fraction of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero / self.weights if self.weights else 0.0

    @property
    def float32_bytes(self) -> int:
        """Bytes of the kernels as float32."""
        return 4 * self.weights

    @property
    def int8_bytes(self) -> int:
        """Bytes of the kernels as int8, including zeros."""
        return self.weights

    @property
    def is_silent(self) -> bool:
        """Whether all units were silent in the data; False if this was not measured."""
        return self.units is not None and self.silent_units == self.units


@dataclass(frozen=True)
class ModelProfile:
    """The figures of a model. `print` and notebooks show them as a table.

    Attributes:
        name: Name of the model.
        parameters: Number of all weights, including biases.
        block_shape: Pair (rows, cols) of the blocks that `zero_blocks` counts.
        layers: A `LayerProfile` for each layer that multiplies, or whose products are not known.
        not_counted: The reason why MACs are None, or None.
        not_seen: Layers, such as Lambda, that may do multiplications outside their sublayers. These are not counted.
    """

    name: str
    parameters: int
    block_shape: BlockShape
    layers: tuple[LayerProfile, ...]
    not_counted: str | None = None
    not_seen: tuple[str, ...] = ()

    def total(self, figure: str) -> float | Any:
        """Returns the sum of a figure such as `"weights"` over all layers; None if it is unknown for one of them.

        The sums of `"dense_macs"` and `"effective_macs"` are per sample: each layer counts as often as it is called.
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
        """Fraction of the kernels' weights that are zero, in [0, 1]; None without kernels."""
        return 1 - self.total("nonzero") / self.total("weights") if self.total("weights") else None

    def to_dict(self) -> dict[str, Any]:
        """Returns all figures as dicts, lists and numbers."""
        return dataclasses.asdict(self)

    def rows(self) -> list[list[str]]:
        """Returns the rows of the table, lists of strings without the headings; the last row has the totals."""
        rows = []
        for layer in self.layers:
            events = _share(layer.events) if layer.gates else ""
            packed, calls = _count(layer.packed_bytes), _count(layer.calls)
            rows.append([f"{layer.name} ({layer.kind})", *_weights(layer), packed, events, calls, *_macs(layer)])
            if len(layer.gates) > 1:
                rows += [[f"  {gate.name}", *_weights(gate), "", "", "", *_macs(gate)] for gate in layer.gates]
        counts = [_count(self.total(figure)) for figure in ("weights", "nonzero")]
        sizes = [_count(self.total(f"{kind}_bytes")) for kind in ("float32", "int8", "packed")]
        macs = [_count(self.total("dense_macs")), _count(self.total("effective_macs"))]
        return [*rows, ["all, one sample", *counts, _share(self.sparsity), "", *sizes, "", "", *macs]]

    def reductions(self) -> list[str]:
        """Returns sentences that say how much the zeros save, and what the table does not contain."""
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
            lines.append(f"Silent on these data: {', '.join(silent)}. Their readers always see the same values.")
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
    """Returns the table cells of a layer's or a gate's size with all weights."""
    sizes = [_count(n) for n in (part.float32_bytes, part.int8_bytes)]
    return [_count(part.weights), _count(part.nonzero), _share(part.sparsity), _share(part.zero_blocks), *sizes]


def _macs(part):
    """Returns the table cells of a layer's or a gate's MACs per call."""
    return [_count(part.dense_macs), _count(part.effective_macs)]


def _share(value):
    return "?" if value is None else f"{100 * value:.1f} %"


def _count(value):
    return "?" if value is None else f"{value:,.0f}"
