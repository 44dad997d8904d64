"""Values as C source."""

import re

import numpy as np

from keras_sparse_rnn.formats import CORE_TYPES, ELEMENT_TYPES

C_TYPES = {dtype: ELEMENT_TYPES[dtype].c for dtype in CORE_TYPES} | {np.dtype(np.bool_): "uint8_t"}


def comment(text):
    """A text that is safe in a comment: it neither ends nor begins one, and holds no control characters."""
    return re.sub(r"[^ -~]|(?<=\*)/|(?<=/)\*", "?", text)


def array(name, values, qualifiers="KSR_ALIGNED(16) static const"):
    """The definition of a constant array."""
    values = np.asarray(values).reshape(-1)
    if values.dtype == np.float32:
        items = [float_literal(value) for value in values]
    else:
        items = [str(value) for value in values.tolist()]
    return f"{qualifiers} {C_TYPES[values.dtype]} {name}[{len(items)}] = {{\n{_lines(items)}\n}};\n"


def float_literal(value):
    """A float32 in C."""
    value = np.float32(value)
    if np.isnan(value):
        return "(0.0f / 0.0f)"
    # Hexadecimal digits give the exact float.
    return f"{float(value).hex()}f" if np.isfinite(value) else ("-" if value < 0 else "") + "(1.0f / 0.0f)"


def _lines(items, width=110):
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > width:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line])
