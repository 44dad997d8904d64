"""Where the tensors of a model lie in C."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keras_sparse_rnn.firmware.c_source import C_TYPES, array
from keras_sparse_rnn.tflite_file import FileTensor


@dataclass
class Buffers:
    """The tensors that one op reads and writes.

    Attributes:
        name: Prefix of the names of the op's constants.
        tensors: Those of the model.
        shapes: The shapes in one call of those that are no constants, by their numbers.
        declarations: C for the constants and buffers that the op's call needs.
    """

    name: str
    tensors: Sequence[FileTensor]
    shapes: Mapping[int, tuple]
    declarations: list[str] = field(default_factory=list)

    def shape(self, number: int) -> tuple:
        """The shape in one call."""
        return self.shapes.get(number, self.tensors[number].shape)

    def label(self, number: int) -> str:
        """The C expression for where a tensor's values lie; declares a constant's."""
        data = self.tensors[number].data
        return f"tensor_{number}" if data is None else self.constant(f"input_{number}", data)

    def constant(self, part: str, values) -> str:
        """Declares an array of constants; its name."""
        return self._declare(part, array(f"{self.name}_{part}", values))

    def buffer(self, part: str, size: int, dtype) -> str:
        """Declares a buffer; its name."""
        return self._declare(part, f"KSR_ALIGNED(16) static {C_TYPES[dtype]} {self.name}_{part}[{size}];\n")

    def struct(self, c_type: str, part: str, members: Sequence) -> str:
        """Declares a constant struct; its name."""
        values = f"{{{', '.join(map(str, members))}}}"
        return self._declare(part, f"static const {c_type} {self.name}_{part} = {values};\n")

    def _declare(self, part, text):
        if text not in self.declarations:
            self.declarations.append(text)
        return f"{self.name}_{part}"
