"""The tensors of a model as C arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keras_sparse_rnn.firmware.c_source import C_TYPES, array
from keras_sparse_rnn.firmware.c_structs import initializer
from keras_sparse_rnn.tflite_file import FileTensor


@dataclass
class Buffers:
    """The tensors that one op reads and writes.

    Attributes:
        name: Prefix of the names of the op's constants.
        tensors: The tensors of the model.
        shapes: Dict from the number of each tensor that is not constant to its shape in one call.
        declarations: C for the constants and buffers that the op's call needs.
        checks: C for the model's init: statements that return a status where the op cannot run.
    """

    name: str
    tensors: Sequence[FileTensor]
    shapes: Mapping[int, tuple]
    declarations: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)

    def shape(self, number: int) -> tuple:
        """The shape in one call."""
        return self.shapes.get(number, self.tensors[number].shape)

    def label(self, number: int) -> str:
        """Returns the C expression for the address of a tensor's values; declares constants."""
        data = self.tensors[number].data
        return f"tensor_{number}" if data is None else self.constant(f"input_{number}", data)

    def constant(self, part: str, values) -> str:
        """Declares an array of constants and returns its name."""
        return self._declare(part, array(f"{self.name}_{part}", values))

    def buffer(self, part: str, size: int, dtype) -> str:
        """Declares a buffer and returns its name."""
        return self._declare(part, f"KSR_ALIGNED(16) static {C_TYPES[dtype]} {self.name}_{part}[{size}];\n")

    def struct(self, c_type: str, part: str, members: Mapping | Sequence) -> str:
        """Declares a constant struct with these members, or an array of structs, and returns its name."""
        size = "" if isinstance(members, Mapping) else f"[{len(members)}]"
        values = initializer(members)
        return self._declare(part, f"static const {c_type} {self.name}_{part}{size} = {values};\n")

    def _declare(self, part, text):
        if text not in self.declarations:
            self.declarations.append(text)
        return f"{self.name}_{part}"
