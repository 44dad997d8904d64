"""Number formats of models, and the element types of tensors by all of their names."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class NumberFormat:
    """What the numbers of a converted model are.

    Attributes:
        name: As `ksr.convert` and the command line take it.
        number: As the ops' custom options hold it.
        weights: Element type of kernels.
        activations: Of inputs, outputs and what layers hand on.
        kernel: How the C functions that compute in it end.
        switch: What builds these functions into the C core; None where they are always there.
        weight_bits: Those that a stored weight has, as the ops' word of that name says; 0: those of `weights`.
    """

    name: str
    number: int
    weights: np.dtype
    activations: np.dtype
    kernel: str
    switch: str | None
    weight_bits: int = 0

    @property
    def most_counts(self) -> int:
        """The largest magnitude of an integer weight: its scale is the largest weight over this."""
        return 2 ** ((self.weight_bits or 8) - 1) - 1

    @property
    def is_integer(self) -> bool:
        return self.weights.kind == "i"

    @property
    def activation_bits(self) -> int:
        return 8 * self.activations.itemsize


FLOAT32 = NumberFormat("float32", 0, np.dtype(np.float32), np.dtype(np.float32), "f32", "KSR_WITH_FLOAT32")
INT8 = NumberFormat("int8", 1, np.dtype(np.int8), np.dtype(np.int8), "i8", None)
INT8X16 = NumberFormat("int8x16", 2, np.dtype(np.int8), np.dtype(np.int16), "i16", "KSR_WITH_INT16")
INT4 = replace(INT8, name="int4", weight_bits=4)
INT4X16 = replace(INT8X16, name="int4x16", weight_bits=4)
NUMBER_FORMATS = {number_format.name: number_format for number_format in (INT8, INT8X16, INT4, INT4X16, FLOAT32)}


@dataclass(frozen=True)
class ElementType:
    """One type of tensor elements.

    Attributes:
        dtype: In NumPy.
        tflite: Its number in the schema of `.tflite` files.
        c: In C.
        ksr: Its `ksr_type` in the C core; None where the core has none.
    """

    dtype: np.dtype
    tflite: int
    c: str
    ksr: str | None = None


_TYPES = (
    ElementType(np.dtype(np.float32), 0, "float", "KSR_FLOAT32"),
    ElementType(np.dtype(np.int8), 9, "int8_t", "KSR_INT8"),
    ElementType(np.dtype(np.uint8), 3, "uint8_t", "KSR_UINT8"),
    ElementType(np.dtype(np.int16), 7, "int16_t", "KSR_INT16"),
    ElementType(np.dtype(np.uint16), 16, "uint16_t", "KSR_UINT16"),
    ElementType(np.dtype(np.int32), 2, "int32_t", "KSR_INT32"),
    ElementType(np.dtype(np.uint32), 15, "uint32_t", "KSR_UINT32"),
    ElementType(np.dtype(np.bool_), 6, "bool", "KSR_BOOL"),
    ElementType(np.dtype(np.float16), 1, "_Float16"),
    ElementType(np.dtype(np.int64), 4, "int64_t"),
)
ELEMENT_TYPES = {kind.dtype: kind for kind in _TYPES}  # those of the core first, in the order of its `ksr_type`
CORE_TYPES = tuple(kind.dtype for kind in _TYPES if kind.ksr)
TFLITE_DTYPES = {kind.tflite: kind.dtype for kind in _TYPES}
