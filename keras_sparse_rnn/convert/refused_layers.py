"""Layers that cannot be converted, with the reason and an alternative; docs/limits.md has them in a table.

python -m keras_sparse_rnn.convert.refused_layers
"""

from dataclasses import dataclass
from pathlib import Path

import keras

from keras_sparse_rnn.ops.activations import NUMBERS

_L = keras.layers


@dataclass(frozen=True)
class Refusal:
    """Why layers of some classes cannot be converted, and what to do."""

    layers: tuple
    why: str
    instead: str


REFUSALS = (
    Refusal(
        (_L.ConvLSTM1D, _L.ConvLSTM2D, _L.ConvLSTM3D),
        "no op convolves a state",
        "use TimeDistributed convolutions followed by a GRU or an LSTM",
    ),
    Refusal(
        (_L.Conv3D, _L.Conv3DTranspose, _L.MaxPooling3D, _L.AveragePooling3D),
        "TensorFlow Lite Micro has no ops with three spatial dimensions",
        "use layers with two dimensions in TimeDistributed",
    ),
    Refusal(
        (_L.CategoryEncoding, _L.Discretization, _L.Hashing, _L.IntegerLookup, _L.StringLookup, _L.TextVectorization),
        "TensorFlow Lite Micro has no ops for it",
        "preprocess the data before the model",
    ),
)


def check_layer_class(layer):
    """Raises ValueError if layers of its class cannot be converted."""
    for refusal in REFUSALS:
        if isinstance(layer, refusal.layers):
            raise ValueError(
                f"layer '{layer.name}' ({type(layer).__name__}) cannot be converted: {refusal.why}; {refusal.instead}."
            )


def table() -> str:
    """Returns the table of docs/limits.md."""
    rows = [
        f"| {', '.join(f'`{kind.__name__}`' for kind in refusal.layers)} | {refusal.why} | {refusal.instead} |"
        for refusal in REFUSALS
    ]
    allowed = ", ".join(f"`{name}`" for name in NUMBERS)
    rows.append(
        f"| recurrent layers with an `activation` or a `recurrent_activation` other than {allowed} | no op "
        "computes it | use one of these and train again |"
    )
    return "\n".join(["| layer | why | instead |", "|---|---|---|", *rows])


BEGIN, END = "<!-- refused layers -->\n", "\n<!-- end of refused layers -->"


def with_table(text: str) -> str:
    """Returns the text of docs/limits.md with the table between its marks."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    path = Path(__file__).parents[2] / "docs" / "limits.md"
    path.write_text(with_table(path.read_text()))
