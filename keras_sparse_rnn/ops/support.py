"""Writes the tables of README.md that say which number formats an op has, and which kernels a processor has.

    python -m keras_sparse_rnn.ops.support

A test compares README.md with them.
"""

import re
from pathlib import Path

from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.schema import FORMATS

README = Path(__file__).parents[2] / "README.md"
_FOLDERS = {
    "Cortex-M0, M0+, M3, M23": "thumb",
    "Cortex-M4, M7, M33 (DSP)": "dsp",
    "Cortex-M55, M85 (Helium)": "helium",
    "RISC-V, RV32IM": "rv32",
    "x86-64 (AVX2, AVX-512)": "x86",
    "arm64 (NEON)": "neon",
}
_KERNELS = {
    "sparse, int8": "add_events_i8",
    "sparse, int4": "add_events_4",
    "dense, int8": "multiply_i8",
    "dense, int8x16": "multiply_i16",
    "dense, int4": "multiply_4_i8",
}


def formats() -> str:
    """Returns the table of ops and number formats, from the schemas."""
    rows = []
    for name, op in ALL_OPS.items():
        words = {word.name: word for word in op.SCHEMA.words}
        has = [f.number <= words["format"].float32[1] for f in FORMATS]
        rows.append([f"`{name}`", *has, "weight_bits" in words or not op.SCHEMA.matrices])
    return _table(["op", *(f.name for f in FORMATS), "int4"], rows)


def kernels() -> str:
    """Returns the table of processors and kernels, from the headers of the targets."""
    rows = [
        [name, *(f"ksr_{kernel}" in _bodies(folder) for kernel in _KERNELS.values())]
        for name, folder in _FOLDERS.items()
    ]
    return _table(["processor", *_KERNELS], rows)


def with_tables(text: str) -> str:
    """Returns the text of README.md with its tables written anew."""
    for name, table in (("formats", formats()), ("kernels", kernels())):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + table + end + rest.partition(end)[2]
    return text


def _bodies(folder):
    """The kernels that a target implements, with those of headers that it includes."""
    kernels = README.parent / "tflite" / "kernels"
    text = (kernels / folder / f"{folder}.h").read_text()
    included = [_bodies(path) for path in re.findall(r'#include "(\w+)/\1\.h"', text)]
    return set(re.findall(r"#define (ksr_\w+) ksr_\w+", text)).union(*included)


def _table(titles, rows):
    lines = [titles, ["---"] * len(titles), *rows]
    words = {True: "yes", False: "no"}
    return "".join(f"| {' | '.join(words[c] if isinstance(c, bool) else c for c in cells)} |\n" for cells in lines)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
