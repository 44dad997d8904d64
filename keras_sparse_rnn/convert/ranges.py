"""The ranges of a model's activations that quantization-aware training has learned."""

import json
import os
from dataclasses import asdict, dataclass

import numpy as np

from keras_sparse_rnn.convert.options import SCALES
from keras_sparse_rnn.files import write_file
from keras_sparse_rnn.typing import is_real

WEIGHTS = ("int8", "int4")  # what quantization-aware training supports


def check_ranges(ranges):
    """Raises ValueError unless it is a `Ranges`."""
    if not isinstance(ranges, Ranges):
        raise ValueError(
            "ranges must be ksr.quantization.Ranges, which QuantizationAware holds as `ranges` after a fit that "
            f"trained in integers; given: {type(ranges).__name__}."
        )


@dataclass(frozen=True)
class Ranges:
    """The ranges of activations that quantization-aware training has learned.

    `ksr.convert(model, ranges=ranges)` makes the integer model that was trained, without representative data. Save the
    ranges beside the model, which is a plain Keras model: `ranges.save("model.ranges.json")`.

    Attributes:
        of: Dict from a name to `(low, high)`: `"inputs/0"` and so on for the inputs of the model, the name of a layer
            for its output, `"LAYER/STATE"` for a state of a recurrent layer, `"LAYER/between"` for the states between
            the micro-layers of a RecurrentHighway, `"LAYER/gates"` and `"LAYER/candidates"` for all its gates, and for
            its states and candidates, if tanh and sigmoid do not bound them, and `"LAYER/logits"` for the input of a
            softmax, sigmoid or tanh activation of another layer.
        weights, scales: As in `QuantizationAware`.

    Raises:
        ValueError: There is no range, a range is empty or not finite, or `weights` or `scales` has another value.
    """

    of: dict[str, tuple[float, float]]
    weights: str = "int8"
    scales: str = "gate"

    def __post_init__(self) -> None:
        for argument, value, allowed in (("weights", self.weights, WEIGHTS), ("scales", self.scales, SCALES)):
            if value not in allowed:
                raise ValueError(f"{argument} must be one of {allowed}; given: {value!r}.")
        if not (isinstance(self.of, dict) and self.of):
            raise ValueError(f"of must be a dict from names to (low, high), with at least one; given: {self.of!r}.")
        for name, pair in self.of.items():
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(is_real, pair))):
                raise ValueError(f"the range of '{name}' must be (low, high), two numbers; given: {pair!r}.")
            low, high = pair
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ValueError(
                    f"the range of '{name}' is {low:.3g} to {high:.3g}; it must be finite, and not empty. Train for at "
                    "least one step, on finite data."
                )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the ranges to a file, as JSON.

        Args:
            path: Path of the file.

        Raises:
            ValueError: The suffix belongs to another kind of file, such as `.keras`.
        """
        write_file(path, json.dumps(asdict(self), indent=1).encode(), (".json",))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Ranges":
        """Reads the ranges that `save` has written.

        Args:
            path: Path of the file.

        Raises:
            ValueError: The file does not hold ranges.
        """
        with open(path, "rb") as file:
            content = file.read()
        try:
            stored = json.loads(content)
            return cls(**{**stored, "of": {name: tuple(pair) for name, pair in stored["of"].items()}})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{os.fspath(path)} does not hold ranges as Ranges.save writes them: {type(error).__name__}, {error}"
            ) from error

    def __getitem__(self, name: str) -> tuple[float, float]:
        if name not in self.of:
            raise ValueError(
                f"the ranges have none of '{name}'; they are of {', '.join(self.of)}. Take those that were learned "
                "with this model."
            )
        return self.of[name]
