"""The number formats of models, and the element types of tensors with all of their names."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class NumberFormat:
    """The number format of a converted model.

    Attributes:
        name: The name that `ksr.convert` and the command line accept.
        number: The number in the ops' custom options.
        weights: Element type of kernels.
        activations: Element type of inputs, outputs and the tensors between layers.
        kernel: Suffix of the C functions for this format.
        switch: The preprocessor switch that builds these functions into the C core; None if they are always built.
        weight_bits: Bits of a stored weight, as in the ops' word of this name; 0 for the bits of `weights`.
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
        """The largest magnitude of an integer weight. A scale is the largest weight divided by this number."""
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
        dtype: The NumPy dtype.
        tflite: The number in the schema of `.tflite` files.
        c: The C type.
        ksr: The `ksr_type` in the C core; None if the core does not have it.
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
ELEMENT_TYPES = {kind.dtype: kind for kind in _TYPES}  # the types of the core first, in the order of `ksr_type`
CORE_TYPES = tuple(kind.dtype for kind in _TYPES if kind.ksr)
TFLITE_DTYPES = {kind.tflite: kind.dtype for kind in _TYPES}
