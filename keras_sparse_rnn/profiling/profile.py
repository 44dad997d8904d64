"""What a model holds and what it costs, layer by layer and gate by gate: figures first, the table made from them."""

import dataclasses
import html
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.ops.block_sparse import encode, stride_of
from keras_sparse_rnn.profiling.macs import LayerMacs, count_dense_macs, count_macs
from keras_sparse_rnn.sparsity import Blocks, Kernel, find_kernels
from keras_sparse_rnn.typing import Arrays, BlockShape, LayerSelection

_HEADINGS = (
    *("layer", "weights", "nonzero", "zeros", "blocks", "float32", "int8", "packed"),
    *("events", "MACs", "effective"),
)


@dataclass(frozen=True)
class GateProfile:
    """The weights of one gate, in the kernel and the recurrent kernel together.

    Attributes:
        name: Its usual name, such as `"z"`, or its number.
        weights: Number of weights.
        nonzero: How many of them are not zero.
        zero_blocks: Share of the weights that lie in blocks without a non-zero weight, in [0, 1]; None if a block is
            larger than a gate.
        packed_bytes: Bytes of its blocks and their index, or of the gate as it is where the kernel is stored so. What
            the gates share, where each row begins, is in the layer's bytes only.
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
    """The kernels of one layer: the matrices that can be pruned, without biases and the like.

    Attributes:
        name: Its name, behind those of the layers that it lies in.
        kind: Its class.
        weights: Number of weights in its kernels.
        nonzero: How many of them are not zero.
        zero_blocks: Share of the weights that lie in blocks without a non-zero weight, in [0, 1]; None if a block is
            larger than a gate.
        packed_bytes: Bytes of the kernels as int8 in blocks of 4 with their index, or as they are where that is fewer.
        events: Share of units that act on the recurrence in a step, in [0, 1]; None where it was not measured.
        dense_macs: Multiply-accumulates of a time step, of a Dense layer those of a call, with all weights; 0 for an
            Embedding, None where they are not known.
        effective_macs: Those of a kernel that skips zero weights and sources that do not act, counted on the data;
            None where they were not.
        gates: A `GateProfile` for each gate of a recurrent layer.
    """

    name: str
    kind: str
    weights: int
    nonzero: int
    zero_blocks: float | None
    packed_bytes: int
    events: float | None = None
    dense_macs: int | None = None
    effective_macs: float | None = None
    gates: tuple[GateProfile, ...] = ()

    @property
    def sparsity(self) -> float:
        """Share of weights that are zero, in [0, 1]."""
        return 1 - self.nonzero / self.weights

    @property
    def float32_bytes(self) -> int:
        """Bytes of the kernels as float32."""
        return 4 * self.weights

    @property
    def int8_bytes(self) -> int:
        """Bytes of the kernels as int8, zeros included."""
        return self.weights


@dataclass(frozen=True)
class ModelProfile:
    """The figures of a model; `print` and a notebook show them as a table.

    Attributes:
        name: The model's name.
        parameters: Number of all its weights, biases and the like included.
        block_shape: Pair (rows, cols) of the blocks that `zero_blocks` counts.
        layers: A `LayerProfile` for each layer with kernels.
        not_counted: Why there are no effective MACs, or None.
    """

    name: str
    parameters: int
    block_shape: BlockShape
    layers: tuple[LayerProfile, ...]
    not_counted: str | None = None

    def total(self, figure: str) -> float | Any:
        """The sum of a figure such as `"weights"` over all layers; None if that of one is not known."""
        values = [getattr(layer, figure) for layer in self.layers]
        return sum(values) if values and None not in values else None

    @property
    def sparsity(self) -> float | None:
        """Share of the kernels' weights that are zero, in [0, 1]; None without kernels."""
        return 1 - self.total("nonzero") / self.total("weights") if self.layers else None

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain dicts, lists and numbers."""
        return dataclasses.asdict(self)

    def rows(self) -> list[list[str]]:
        """The table: a list of lists of strings, without headings, and last the totals."""
        rows = []
        for layer in self.layers:
            events = _share(layer.events) if layer.gates else ""
            rows.append([f"{layer.name} ({layer.kind})", *_weights(layer), events, *_macs(layer)])
            if len(layer.gates) > 1:
                rows += [[f"  {gate.name}", *_weights(gate), "", *_macs(gate)] for gate in layer.gates]
        counts = [_count(self.total(figure)) for figure in ("weights", "nonzero")]
        sizes = [_count(self.total(f"{kind}_bytes")) for kind in ("float32", "int8", "packed")]
        macs = [_count(self.total("dense_macs")), _count(self.total("effective_macs"))]
        return [*rows, ["all", *counts, _share(self.sparsity), "", *sizes, "", *macs]]

    def reductions(self) -> list[str]:
        """What the zeros save, as sentences."""
        lines = [
            f"{self.parameters - (self.total('weights') or 0):,} other parameters, such as biases, are not counted."
        ]
        if self.layers:
            factor = self.total("float32_bytes") / self.total("packed_bytes")
            lines.append(f"Kernels packed as int8 take {factor:.1f} times fewer bytes than as float32.")
        dense, effective = self.total("dense_macs"), self.total("effective_macs")
        if effective:
            factor = dense / effective
            lines.append(f"A time step, each layer called once, takes {factor:.1f} times fewer MACs than a dense one.")
        if self.not_counted:
            lines.append(f"Effective MACs and events: ? ({self.not_counted})")
        return lines

    def __str__(self):
        table = [list(_HEADINGS), *self.rows()]
        widths = [max(len(row[n]) for row in table) for n in range(len(_HEADINGS))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in table]
        rule = "-" * max(map(len, lines))
        rows, cols = self.block_shape
        about = (
            f"weights of kernels; blocks: share in {rows}x{cols} blocks of zeros; sizes in bytes; MACs of a time step"
        )
        return "\n".join(
            [self.name, about, rule, lines[0], rule, *lines[1:-1], rule, lines[-1], rule, *self.reductions()]
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
        return f"<table><caption>{html.escape(self.name)}</caption>{row(_HEADINGS, 'th')}{body}</table><p>{notes}</p>"


def profile(
    model: keras.Model,
    data: Arrays | None = None,
    valid: ArrayLike | None = None,
    block_shape: BlockShape = (1, 4),
    layers: LayerSelection = lambda layer: True,
) -> ModelProfile:
    """Measures what a model holds and what it costs.

    Args:
        model: Any built Keras model. Layers inside others count as well.
        data: Its inputs, (samples, time, ...), as for `model.predict`, to count events and effective MACs on; see
            `count_macs`. Without them, and in layers whose MACs cannot be counted, these are None.
        valid: Boolean array (samples, time), True for the steps to count; by default all.
        block_shape: Pair (rows, cols) of the blocks to look for.
        layers: Which layers to show, as for `sparsity.find_kernels`; by default all. None stands for the recurrent
            ones.

    Returns:
        A `ModelProfile`.

    Raises:
        ValueError: If the model is not built, `block_shape` or `valid` do not fit, or something in `layers` selects
            nothing.

    Example:

    >>> print(ksr.profile(model, x_test))
    """
    kernels = find_kernels(model, layers, frozen=True)[0] if model.weights or not model.built else []
    macs: dict[str, LayerMacs | float] = {}
    reason = "no data given" if data is None else None
    if data is not None:
        try:
            counted = count_macs(model, data, valid)
        except ValueError as error:
            reason = str(error)
            counted = count_macs(model, data, valid, partial=True)
        macs = {layer.name: layer for layer in counted} | count_dense_macs(model, data, valid)
    holders: dict[int, list[Kernel]] = {}
    for kernel in kernels:
        holders.setdefault(id(kernel.layer), []).append(kernel)
    names = _names([of_layer[0] for of_layer in holders.values()])
    profiles = tuple(
        _profile_layer(name, of_layer, macs.get(name), block_shape)
        for name, of_layer in zip(names, holders.values(), strict=True)
    )
    rows, cols = block_shape
    unknown = any(None in (layer.dense_macs, layer.effective_macs) for layer in profiles)
    return ModelProfile(model.name, model.count_params(), (rows, cols), profiles, reason if unknown else None)


def summary(
    model: keras.Model,
    data: Arrays | None = None,
    valid: ArrayLike | None = None,
    block_shape: BlockShape = (1, 4),
    layers: LayerSelection = lambda layer: True,
) -> None:
    """Prints the table of `profile`, whose arguments and errors it has."""
    print(profile(model, data, valid, block_shape, layers))


def _names(kernels):
    """The layer of each kernel, by its path. A cell stands for the layer around it, unless that has several."""
    holders = [kernel.path.rpartition("/")[0] for kernel in kernels]
    around = [holder.rpartition("/")[0] for holder in holders]
    cells = [hasattr(kernel.layer, "recurrent_kernel") for kernel in kernels]
    return [a if cell and around.count(a) == 1 else h for h, a, cell in zip(holders, around, cells, strict=True)]


def _profile_layer(name, kernels, counted, block_shape):
    holder, recurrent = kernels[0].layer, hasattr(kernels[0].layer, "recurrent_kernel")
    of_recurrent, effective = (counted, counted.effective) if isinstance(counted, LayerMacs) else (None, counted)
    values = [keras.ops.convert_to_numpy(kernel.variable.value) != 0 for kernel in kernels]
    packed = [
        encode(value.reshape(len(value), kernel.gates, -1).astype("int8"), 4, range(kernel.gates))
        for kernel, value in zip(kernels, values, strict=True)
    ]
    weights = sum(value.size for value in values)
    dense: int | None = weights if recurrent or isinstance(holder, keras.layers.Dense) else None
    if isinstance(holder, keras.layers.Embedding):  # looked up
        dense = effective = 0
    return LayerProfile(
        name=name,
        kind=type(holder).__name__.removesuffix("Cell"),
        weights=weights,
        nonzero=int(sum(value.sum() for value in values)),
        zero_blocks=_zero_blocks(values, [kernel.gates for kernel in kernels], block_shape),
        packed_bytes=sum(matrix.nbytes for matrix in packed),
        events=of_recurrent.activity if of_recurrent else None,
        dense_macs=dense,
        effective_macs=effective,
        gates=_profile_gates(kernels, values, packed, of_recurrent, block_shape) if recurrent else (),
    )


def _profile_gates(kernels, values, packed, counted, block_shape):
    count = kernels[0].gates
    if any(kernel.gates != count for kernel in kernels):
        count, names = 1, ("all",)
    else:
        names = kernels[0].gate_names
    gates = []
    for n, name in enumerate(names):
        parts = [np.split(value, count, axis=1)[n] for value in values]
        gates.append(
            GateProfile(
                name=name,
                weights=sum(part.size for part in parts),
                nonzero=int(sum(part.sum() for part in parts)),
                zero_blocks=_zero_blocks(parts, [1] * len(parts), block_shape),
                packed_bytes=sum(
                    len(part) * stride_of(part.shape[1], 4) if matrix.index is None else _packed_bytes(part)
                    for part, matrix in zip(parts, packed, strict=True)
                ),
                effective_macs=counted.gates[n] if counted else None,
            )
        )
    return tuple(gates)


def _packed_bytes(values, block=4):
    """Bytes of the blocks of one gate and of their index."""
    return (block + 1) * int(Blocks(values.shape, 1, (1, min(block, values.shape[1]))).nonzero(values).sum())


def _zero_blocks(values, gates, block_shape):
    zeros = size = 0
    for value, count in zip(values, gates, strict=True):
        if value.shape[0] < block_shape[0] or value.shape[1] // count < block_shape[1]:
            return None
        blocks = Blocks(value.shape, count, block_shape)
        zeros += int(blocks.sizes[~blocks.nonzero(value)].sum())
        size += value.size
    return zeros / size


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
