"""A model's inputs and outputs in C."""

from dataclasses import dataclass

import numpy as np

from keras_sparse_rnn.firmware.c_source import comment
from keras_sparse_rnn.firmware.names import c_identifier, distinct
from keras_sparse_rnn.formats import ELEMENT_TYPES


@dataclass(frozen=True)
class CTensor:
    """An input or an output.

    Attributes:
        kind: "input" or "output".
        number: Its position among the inputs or outputs.
        name: Its name in C: `input`, or `input_0`, `input_1` if there are several.
        alias: The same with the tensor's name in the file: `input_audio`; None if that is empty.
        title: Its name in the file, safe in a comment.
        c_type: Type of its values.
        shape: Its shape as text, `"1x20x8"`.
        size: Number of its values.
        scale, zero_point: C literals, `real = scale * (stored - zero_point)`; None if it is not quantized.
        scales: Those of its channels, the indices of its last axis, in place of `scale`; empty if it has none.
        limits: The smallest and the largest value of an integer type; None for another one.
    """

    kind: str
    number: int
    name: str
    alias: str | None
    title: str
    c_type: str
    shape: str
    size: int
    scale: str | None
    zero_point: int | None
    scales: tuple = ()
    limits: tuple | None = None

    @property
    def qualified_type(self):
        """Type of the values that its pointer points to."""
        return f"const {self.c_type}" if self.kind == "output" else self.c_type

    @property
    def printed_as(self):
        """The type in which `printf` takes its values, by `conversion`."""
        return "double" if self.c_type == "float" else "int"

    @property
    def conversion(self):
        return "%g" if self.c_type == "float" else "%d"


def c_tensors(tensors, kind):
    """Returns the `CTensor` of each of a model's inputs or outputs.

    Args:
        tensors: The `TensorInfo` of each.
        kind: "input" or "output".
    """
    names = [kind] if len(tensors) == 1 else [f"{kind}_{i}" for i in range(len(tensors))]
    named = [f"{kind}_{c_identifier(tensor.name)}".rstrip("_") for tensor in tensors]
    aliases = distinct([*names, *named])[len(names) :]
    return [
        CTensor(
            kind,
            number,
            name,
            alias if c_identifier(tensor.name) else None,
            comment(tensor.name),
            _C_TYPES[tensor.dtype],
            "x".join(map(str, tensor.shape)) or "one value",
            int(np.prod(tensor.shape, dtype=np.int64)),
            None if tensor.scale is None or np.ndim(tensor.scale) else _float_literal(tensor.scale),
            tensor.zero_point,
            tuple(map(_float_literal, tensor.scale)) if np.ndim(tensor.scale) else (),
            (np.iinfo(tensor.dtype).min, np.iinfo(tensor.dtype).max) if tensor.dtype.kind == "i" else None,
        )
        for number, (tensor, name, alias) in enumerate(zip(tensors, names, aliases, strict=True))
    ]


# Half precision as its bits: not every compiler has the type.
_C_TYPES = {dtype: kind.c for dtype, kind in ELEMENT_TYPES.items()} | {np.dtype(np.float16): "uint16_t"}


def _float_literal(value):
    digits = f"{float(value):.9g}"
    return f"{digits}f" if set(digits) & set(".e") else f"{digits}.0f"
