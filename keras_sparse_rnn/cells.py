"""Facts about recurrent cells other than their arithmetic: the gates, the gate that feeds the state, what a step skips.

The table in this module describes Keras's own cells. Any other cell describes itself by attributes of the class that
defines its `call`, or of a subclass:
    gates: The gates side by side in the columns of `kernel` and `recurrent_kernel`: their names in order, or their
        number. Or a dict {name of a weight: its gates} with all matrices that can be pruned. A step multiplies each
        matrix once.
    matrices: A dict like that of `gates`, for a cell whose `kernel` and `recurrent_kernel` are low-rank factors: it
        names all matrices, and `gates` are those of the products.
    candidate_gate: Index of the gate that feeds the state: as long as the weighted sum of this gate is zero, a state
        that begins at zero stays zero. Without it, `shrink` does not change the cell.
    skips: Which inputs and units a step need not multiply: "nothing", the default; "zeros", inputs and values of the
        first state that are zero; "unchanged", those whose held value does not change. In the last case the last two
        states are the held hidden state and the held input; a cell without a recurrent kernel has the held input only.
    read_apart: With "unchanged", the indices of the gates whose part of the recurrent kernel reads the held value in
        the state before these two, instead of the hidden state. None by default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import keras

Skips = Literal["nothing", "zeros", "unchanged"]


@dataclass(frozen=True)
class CellFacts:
    """What `describe` knows about a cell.

    Attributes:
        gates: For each matrix that can be pruned, by its name, the names of the gates side by side in its columns.
        candidate_gate: Index of the gate that feeds the state; None if unknown.
        skips: What a step need not multiply; None if the arithmetic of the cell is unknown.
    """

    gates: Mapping[str, tuple[str, ...]]
    candidate_gate: int | None
    skips: Skips | None


def _facts(*gates, candidate_gate):
    return CellFacts({"kernel": gates, "recurrent_kernel": gates}, candidate_gate, "nothing")


_OF_KERAS = {
    keras.layers.SimpleRNNCell: _facts("h", candidate_gate=0),
    keras.layers.GRUCell: _facts("z", "r", "h", candidate_gate=2),
    keras.layers.LSTMCell: _facts("i", "f", "c", "o", candidate_gate=2),
}


def describe(cell: keras.layers.Layer) -> CellFacts | None:
    """Returns the facts of a cell, or None if it does not say how many gates it has.

    A subclass inherits the gates of its base, but the candidate gate and the skipping only if it does not override
    `call`.
    """
    kind = type(cell)
    place = next((n for n, base in enumerate(kind.__mro__) if "call" in vars(base)), 0)
    arithmetic = kind.__mro__[place]
    known = any("gates" in vars(base) for base in kind.__mro__[: place + 1])
    gates, candidate_gate = getattr(cell, "gates", None), None
    skips: Skips = getattr(cell, "skips", "nothing")
    if not isinstance(gates, (int, Sequence, Mapping)):
        of_keras = next((facts for base, facts in _OF_KERAS.items() if isinstance(cell, base)), None)
        if of_keras is None:
            return None
        gates, known = of_keras.gates, arithmetic in _OF_KERAS
        candidate_gate = of_keras.candidate_gate if kind in _OF_KERAS else None
    if "candidate_gate" in vars(kind):  # not inherited: a subclass may compute something else
        candidate_gate = cell.candidate_gate
    if getattr(cell, "matrices", None) is not None:
        gates, candidate_gate = cell.matrices, None
    if not isinstance(gates, Mapping):
        gates = {"kernel": gates, "recurrent_kernel": gates}
    named = {name: tuple(map(str, range(of))) if isinstance(of, int) else tuple(of) for name, of in gates.items()}
    return CellFacts(named, candidate_gate, skips if known else None)


def read_apart(cell: keras.layers.Layer) -> tuple[int, ...]:
    """Returns the indices of the gates whose part of the recurrent kernel reads a held value of its own."""
    return tuple(getattr(cell, "read_apart", ()))
