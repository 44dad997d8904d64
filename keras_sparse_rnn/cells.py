"""What is known of a recurrent cell without its arithmetic: its gates, what feeds its state, what a step skips.

Keras's own cells stand in a table here. A cell of any other class says it itself, by attributes of the class that has
its `call`, or of one that inherits it:
    gates: The gates side by side in the columns of `kernel` and `recurrent_kernel`: their names in order, or only their
        number; or a dict {name of a weight: its gates} of all matrices that can be pruned. Each matrix is multiplied
        once in a step.
    matrices: A dict like that of `gates`, for a cell whose `kernel` and `recurrent_kernel` are factors: it then names
        all matrices, and `gates` are those of their products.
    candidate_gate: Place of the gate that feeds the state: while the weighted sum of that gate stays at zero, so does a
        state that begins at zero. Without it `shrink` leaves the cell as it is.
    skips: Which inputs and units a step need not multiply: "nothing", the default; "zeros", inputs and first states
        that are zero; "unchanged", those whose held value stays, where the last two states hold the hidden state and
        the input; a cell without a recurrent kernel has the latter alone.
    read_apart: With "unchanged" the places of the gates whose part of the recurrent kernel reads what the state before
        these two holds, instead of the hidden state. By default none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import keras

Skips = Literal["nothing", "zeros", "unchanged"]


@dataclass(frozen=True)
class CellFacts:
    """What `describe` knows of a cell.

    Attributes:
        gates: For each matrix that can be pruned, by its name, the names of the gates side by side in its columns.
        candidate_gate: Place of the gate that feeds the state, or None where that is not known.
        skips: What a step need not multiply; None where the arithmetic of the cell is not known.
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
    """The facts of a cell, or None for one that does not say how many gates it has.

    A subclass has the gates of its base; candidate gate and skipping it has only if it says so or leaves `call` alone.
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
    """Places of the gates whose part of the recurrent kernel reads a held value of its own."""
    return tuple(getattr(cell, "read_apart", ()))
