"""The declaration of an op: the words of its custom options and its input tensors.

An `OpSchema` determines the codec of the options, the tensors of a file, the reasons to refuse a model, the C headers
and tables (`generate.py`) and the tables of docs/format.md.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, make_dataclass
from typing import Any, ClassVar

import numpy as np

from keras_sparse_rnn.formats import FLOAT32, INT8, INT8X16, NumberFormat
from keras_sparse_rnn.ops.tensor import TensorInfo

VERSION = 3
FORMATS = (FLOAT32, INT8, INT8X16)  # by their numbers
BLOCKS = (4, 8, 16)
LARGEST = 2**31 - 1
SIZES = (
    *("any", "inputs", "units", "stride", "slots", "sums", "values", "index", "rows", "steps", "output", "diagonal"),
    "deep_slots",
    "middle",
)
STATUSES = {  # of the C core, by their numbers
    "OK": "ok",
    "OPTIONS_SIZE": "the custom options have the wrong size",
    "OTHER_VERSION": "the custom options are of another version of the format: convert the Keras model again",
    "WORD": "is out of its range",
    "NOT_BUILT": "needs kernels that were left out of this build",
    "INPUT_COUNT": "has too many inputs",
    "OUTPUT_COUNT": "must have one output, or one more for each state",
    "OUTPUT": "has an output of the wrong type or shape",
    "MISSING": "is missing",
    "UNEXPECTED": "must be absent",
    "TYPE": "has the wrong type",
    "NOT_CONSTANT": "must be constant",
    "CONSTANT": "must not be constant",
    "ALIGNMENT": "is not aligned to 4 bytes",
    "SHAPE": "has the wrong shape",
    "VALUES": "holds values out of their range",
    "OVERFLOW": "is too large for the weights: an accumulator could overflow",
}
OF_WORD = ("WORD",)  # with the number of a word
OF_INPUT = (
    "MISSING",
    "UNEXPECTED",
    "TYPE",
    "NOT_CONSTANT",
    "CONSTANT",
    "ALIGNMENT",
    "SHAPE",
    "VALUES",
    "OVERFLOW",
)  # of an input
SLOTS = 4  # groups of accumulators, to which the gates of a recurrent op add


@dataclass(frozen=True)
class Word:
    """A word of the custom options, int32.

    Attributes:
        name, doc: Its name and description.
        float32, int8, int8x16: The smallest and the largest allowed value in each number format.
        form: "power of two", "0 or 4", "without 2" (this bit is not set), or "15 bits" (at most so many significant
            bits); "" allows any value.
        limit: `(constant, sign, name)`: it is at most constant + sign * the word of that name.
        is_reserved: Whether no kernel supports another value yet.
        usual: Its default, as far as its range allows it.
    """

    name: str
    doc: str
    float32: tuple[int, int] = (0, 0)
    int8: tuple[int, int] = (0, 0)
    int8x16: tuple[int, int] = (0, 0)
    form: str = ""
    limit: tuple[int, int, str] | None = None
    is_reserved: bool = False
    usual: int = 0

    @classmethod
    def every(cls, name: str, doc: str, low: int, high: int, **more: Any) -> "Word":
        """Creates a word with the same range in every number format."""
        return cls(name, doc, (low, high), (low, high), (low, high), **more)

    @classmethod
    def integer(cls, name: str, doc: str, low: int, high: int, **more: Any) -> "Word":
        """Creates a word of integer models, which is 0 in float32."""
        return cls(name, doc, (0, 0), (low, high), (low, high), **more)

    @classmethod
    def reserved(cls, name: str, doc: str) -> "Word":
        """Creates a word that must be 0 until a kernel supports other values."""
        return cls(name, doc, is_reserved=True)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The ranges in the order of the formats' numbers."""
        return self.float32, self.int8, self.int8x16

    def neutral(self, number: int) -> int:
        """Returns the allowed value nearest to the default, in the format of this number."""
        low, high = self.ranges[number]
        return min(max(low, self.usual), high)

    def allows(self, value: int, number: int, words: dict[str, int]) -> bool:
        """Whether the word may have this value, given the other words."""
        low, high = self.range(number, words)
        return low <= value <= high and (
            not self.form
            or (self.form == "power of two" and value & (value - 1) == 0)
            or (self.form == "0 or 4" and value & 3 == 0)
            or (self.form == "without 2" and not value & 2)
            or (self.form == "15 bits" and value.bit_length() - (value & -value).bit_length() < 15)
        )

    def range(self, number: int, words: dict[str, int]) -> tuple[int, int]:
        low, high = self.ranges[number]
        if self.limit is not None:
            constant, sign, other = self.limit
            high = min(high, constant + sign * words[other])
        return low, high

    def described(self, number: int, words: dict[str, int]) -> str:
        """Describes the allowed values."""
        low, high = self.range(number, words)
        if self.form == "0 or 4" and high:
            return self.form
        if low >= high:
            return f"{low}" + (" (reserved for later versions)" if self.is_reserved else "")
        forms = {"power of two": ", a power of two", "without 2": ", without the bit 2"}
        forms["15 bits"] = ", of at most 15 significant bits"
        return f"from {low} to {high}{forms.get(self.form, '')}"


WEIGHT_BITS = Word.integer("weight_bits", "4: two weights per byte; 0: one weight per element", 0, 4, form="0 or 4")


@dataclass(frozen=True)
class Input:
    """An input tensor of an op.

    Attributes:
        name, doc: Its name and description.
        types: Name of the element type in each number format (float32, int8, int8x16); None if it is absent there.
        size: Determines the number of elements (of one sample for a state), one of `SIZES`: the op's inputs or units,
            the columns padded to whole blocks (stride), four of these (slots), in integers with a word behind them
            (sums), or per further micro-layer (deep_slots); the columns of the factors, padded to whole blocks
            (middle); the stride for each gate that reads the state (diagonal); the part of a matrix that it holds; or,
            not constant, a value per step, (B, T), or an output, (B, U).
        is_optional: Whether it may be absent where it is allowed.
        is_state: Whether it is a state, kept from one inference to the next or given at the start; absent states begin
            at zero.
        where: `(word, values)`: it is given only if the word has one of these values.
        needs: Name of an input that must be given as well.
        together: Name of a state that must be given if and only if this one is.
        values: The smallest and the largest allowed element in an integer model.
        slots: For a matrix, the slot of accumulators that each gate adds to, in increasing order.
        slots_by: `(word, slots of each value)` if the slots depend on a word, which begins at 0; `slots` are then those
            of all gates.
        base: Slot from which the slots of a matrix are counted.
        sources: For a matrix, "inputs", "units", or "deep": the units before each further micro-layer. With kernels of
            low rank, those of its factor: what it reads itself are the columns of that.
        columns: For a matrix, "units", or "rank" for a factor of a kernel of low rank.
        scale: For a state in an integer model, its `(scale, zero point)` from the options and the scale of x.
    """

    name: str
    doc: str
    types: tuple[str | None, str | None, str | None] = (None, None, None)
    size: str = "any"
    is_optional: bool = False
    is_state: bool = False
    where: tuple[str, tuple[int, ...]] | None = None
    needs: str | None = None
    together: str | None = None
    values: tuple[int, int] | None = None
    slots: tuple[int, ...] = ()
    slots_by: tuple[str, tuple[tuple[int, ...], ...]] | None = None
    base: int = 0
    sources: str = ""
    columns: str = "units"
    scale: Callable[[Any, float], tuple[float | None, int | None]] | None = None

    @property
    def is_reserved(self) -> bool:
        """Whether no kernel supports it yet: it must be absent."""
        return not any(self.types)

    @property
    def is_deep(self) -> bool:
        """Whether it belongs to further micro-layers: it is given if the word `deep` is not 0."""
        return self.sources == "deep" or self.size == "deep_slots"

    @property
    def is_of_factors(self) -> bool:
        """Whether it is of kernels of low rank, and given where the word `rank` says that they are."""
        return self.columns == "rank" or self.size == "middle"

    @property
    def is_constant(self) -> bool:
        """Whether its values are constants of the file; undefined for x."""
        return not self.is_state and not self.is_reserved and self.size not in ("steps", "output")

    def slots_of(self, words: dict[str, int]) -> tuple[int, ...]:
        return self.slots if self.slots_by is None else self.slots_by[1][words[self.slots_by[0]]]


def constant(name: str, doc: str, size: str, *types: str | None, **more: Any) -> Input:
    """Creates a one-dimensional constant tensor; `types` for float32, int8 and int8x16."""
    return Input(name, doc, types, size, **more)  # type: ignore[arg-type]


def matrix(name: str, doc: str, sources: str, slots: tuple[int, ...], **more: Any) -> tuple[Input, ...]:
    """Creates the inputs of a matrix (`block_sparse.py`): values, and index and rows if it is stored in blocks."""
    index: dict[str, Any] = {"is_optional": True, "sources": sources}
    index |= {key: more[key] for key in ("where", "columns") if key in more}
    return (
        Input(name, doc, ("float32", "int8", "int8"), "values", sources=sources, slots=slots, **more),
        Input(f"{name}_index", "distances between its blocks", ("uint8",) * 3, "index", **index),
        Input(f"{name}_rows", "first block of each row; uint16 or uint32", ("uint16",) * 3, "rows", **index),
    )


def state(name: str, doc: str, size: str, int8: str, scale: Callable[[Any, float], tuple], **more: Any) -> Input:
    """Creates a state: float32, or the type `int8`, which becomes int16 in int8x16 if it is "int8"."""
    types = ("float32", int8, "int16" if int8 == "int8" else int8)
    return Input(name, doc, types, size, is_optional=True, is_state=True, scale=scale, **more)


def reserved(name: str, doc: str) -> Input:
    """Creates an input that is reserved for a later version and must be absent until then."""
    return Input(name, doc)


class Options:
    """The custom options of an op: one attribute for each word after the version.

    Words that are not given have their default, or the nearest value that the number format allows.
    """

    SCHEMA: ClassVar["OpSchema"]

    def __post_init__(self):
        for word in self.SCHEMA.words:
            if getattr(self, word.name) is None:
                number = getattr(self, "format") if word.name != "format" else 0  # noqa: B009
                object.__setattr__(self, word.name, word.neutral(number))

    @property
    def number_format(self) -> NumberFormat:
        return FORMATS[getattr(self, "format")]  # noqa: B009

    @property
    def columns(self) -> int:
        """Accumulators of a slot."""
        return self.SCHEMA.columns(vars(self))

    def to_bytes(self) -> bytes:
        return np.array([VERSION, *astuple(self)], "<i4").tobytes()  # type: ignore[call-overload]

    @classmethod
    def from_bytes(cls, data: bytes) -> Any:
        """Raises ValueError if the size or the version is wrong, or a word is out of its range."""
        return cls.SCHEMA.decode(data)


@dataclass(frozen=True, eq=False)
class OpSchema:
    """An op's declaration.

    Attributes:
        name: Its custom code.
        doc: What it computes.
        words: The words after the version, in their order.
        inputs: The inputs, in their order.
        shared_words: Number of words at the start that all recurrent ops share; 0 for other ops.
        takes_sequences: Whether x is (B, T, I) and the output (B, T, U) or (B, U); otherwise (.., I) and (.., U).
        gives_mask: Whether x is (B, T, I) and the output a mask, bool (B, T).
        options: Class of its options.
    """

    name: str
    doc: str
    words: tuple[Word, ...]
    inputs: tuple[Input, ...]
    shared_words: int = 0
    takes_sequences: bool = True
    gives_mask: bool = False
    options: Any = field(init=False)

    def __post_init__(self):
        fields = [(word.name, "int", None) for word in self.words]
        options = make_dataclass(
            f"{self.name}Options", fields, bases=(Options,), frozen=True, kw_only=True, namespace={"SCHEMA": self}
        )
        object.__setattr__(self, "options", options)

    @property
    def symbol(self) -> str:
        """The name in C: `KsrEventGru` is `ksr_event_gru`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()

    def index(self, name: str) -> int:
        """Returns the position of an input."""
        return [given.name for given in self.inputs].index(name)

    def word_index(self, name: str) -> int:
        """Returns the position of a word, counted from the version, which is 0."""
        return 1 + [word.name for word in self.words].index(name)

    @property
    def constants(self) -> tuple[Input, ...]:
        return tuple(given for given in self.inputs[1:] if given.is_constant)

    @property
    def states(self) -> tuple[Input, ...]:
        return tuple(given for given in self.inputs if given.is_state)

    @property
    def hold_thresholds(self) -> tuple[str, ...]:
        """Names of the inputs that are thresholds of held values: those that a state requires."""
        return tuple(dict.fromkeys(given.needs for given in self.states if given.needs is not None))

    @property
    def matrices(self) -> tuple[Input, ...]:
        """The inputs with the values of each matrix."""
        return tuple(given for given in self.inputs if given.size == "values")

    def count_sources(self, given: Input, words: dict[str, int], inputs: int) -> int:
        """How many sources a matrix has."""
        if given.sources == "deep":
            return words["units"] * words["deep"]
        if words.get("rank") and not given.is_of_factors:
            return words["rank" if given.sources == "inputs" else "recurrent_rank"]
        return inputs if given.sources == "inputs" else words["units"]

    def count_columns(self, given: Input, words: dict[str, int]) -> int:
        """How many columns a gate of a matrix has."""
        if given.columns == "units":
            return self.columns(words)
        return words["recurrent_rank" if given.sources == "units" and words["recurrent_rank"] else "rank"]

    def columns(self, words: dict[str, int]) -> int:
        """Accumulators of a slot: one for each unit, and behind them those of master gates, half a gate per slot."""
        chunks = -(-words["units"] // words["chunk_size"]) if "chunk_size" in words else 0
        return words["units"] + (chunks + 1) // 2

    def placed(self, tensors: dict[str, Any]) -> list[Any]:
        """Converts a dict from names of inputs to tensors to a list in the order of the inputs, with None for absent
        ones except at the end."""
        placed = [tensors.get(given.name) for given in self.inputs]
        while placed and placed[-1] is None:
            placed.pop()
        return placed

    def named(self, tensors: Sequence[Any]) -> dict[str, Any]:
        """The inverse: a dict from names to the given tensors."""
        return {g.name: t for g, t in zip(self.inputs, tensors, strict=False) if t is not None}

    def decode(self, data: bytes) -> Any:
        """Decodes the options; raises ValueError if they are invalid."""
        size = 4 * (1 + len(self.words))
        version, *words = np.frombuffer(data[: len(data) // 4 * 4], "<i4").tolist() or [0]
        if version != VERSION:
            reason = f"custom options have the version {version}; allowed: {VERSION}. Convert the Keras model again"
            raise RefusedOpError(self, "OTHER_VERSION", 0, reason)
        if len(data) != size:
            raise RefusedOpError(self, "OPTIONS_SIZE", 0, f"custom options have {len(data)} bytes; allowed: {size}")
        values = dict(zip((word.name for word in self.words), words, strict=True))
        number = values["format"] if 0 <= values["format"] < len(FORMATS) else 0
        for i, word in enumerate(self.words, start=1):
            if not word.allows(values[word.name], number, values):
                allowed = word.described(number, values)
                raise RefusedOpError(
                    self, "WORD", i, f"{word.name} (word {i}) is {values[word.name]}; allowed: {allowed}"
                )
        return self.options(**values)

    def allows(self, given: Input, words: dict[str, int], present: set[str]) -> bool:
        """Whether an input may be given, considering the words and the given inputs."""
        return (
            given.types[words["format"]] is not None
            and (given.where is None or words[given.where[0]] in given.where[1])
            and (given.needs is None or given.needs in present)
            and (not given.is_deep or words["deep"] > 0)
            and (not given.is_of_factors or words["rank"] > 0)
            and not (self._is_in_one_middle(given) and words["rank"] and not words["recurrent_rank"])
        )

    def _is_in_one_middle(self, given):
        """Whether it is of a kernel that reads the state, which is absent where inputs and state share a middle."""
        has_rank = any(word.name == "rank" for word in self.words)
        return has_rank and given.sources == "units" and not given.is_of_factors

    def states_of(self, words: dict[str, int], present: set[str]) -> tuple[Input, ...]:
        """The states that the op has, considering the words and the given inputs."""
        return tuple(given for given in self.states if self.allows(given, words, present | {"x"}))

    def state_tensors(self, options: Any, sizes: dict[str, int], present: set[str], x_scale: float) -> Iterator[tuple]:
        """`(name, TensorInfo of one sample)` of each state that the op has."""
        for given in self.states_of(vars(options), present):
            dtype = np.dtype(given.types[options.format])
            assert given.scale is not None
            scale, zero = given.scale(options, x_scale) if options.format else (None, None)
            yield given.name, TensorInfo(given.name, (1, sizes[given.size]), dtype, scale, zero, is_variable=True)


class RefusedOpError(ValueError):
    """An op that is refused.

    Attributes:
        status: Name of the `ksr_status`, without its prefix.
        index: Number of the wrong word or input; 0 if it is neither.
        reason: What is wrong, with the given and the allowed values.
    """

    def __init__(self, schema: OpSchema, status: str, index: int, reason: str) -> None:
        super().__init__(f"{schema.name} refused: {reason}.")
        self.status, self.index, self.reason = status, index, reason
