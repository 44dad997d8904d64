"""The table of element types against the schema of `.tflite` files and the C core."""

import re
from pathlib import Path

from ai_edge_litert.schema_py_generated import TensorType

from keras_sparse_rnn.formats import CORE_TYPES, ELEMENT_TYPES

KSR_H = (Path(__file__).parents[1] / "tflite" / "include" / "ksr.h").read_text()


def test_numbers_are_those_of_the_schema():
    assert all(kind.tflite == getattr(TensorType, dtype.name.upper()) for dtype, kind in ELEMENT_TYPES.items())


def test_types_of_the_core_are_those_of_its_header():
    names = re.findall(r"KSR_\w+", re.search(r"enum ksr_type \{(.*?)\}", KSR_H, re.DOTALL)[1])
    assert names.pop() == "KSR_OTHER_TYPE"
    assert names == [ELEMENT_TYPES[dtype].ksr for dtype in CORE_TYPES]
