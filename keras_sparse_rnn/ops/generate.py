"""Generates the C headers and tables of the ops' schemas, and the tables of docs/format.md.

    python -m keras_sparse_rnn.ops.generate

The generated files are committed, so that a build does not need this script. A test compares them with the schemas.
"""

import textwrap
from pathlib import Path

import numpy as np

from keras_sparse_rnn.formats import ELEMENT_TYPES
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS, GELU_TABLE, GROUPS, HALF_TABLE, RISE_TABLE
from keras_sparse_rnn.ops.format_tables import with_tables
from keras_sparse_rnn.ops.lstm import BOUNDED_CELL_BITS
from keras_sparse_rnn.ops.recurrent_schema import FIRST_INPUTS, LAST_INPUTS, WORDS
from keras_sparse_rnn.ops.schema import OF_INPUT, OF_WORD, STATUSES, VERSION, Input

ROOT = Path(__file__).parents[2]
MADE = "made by keras_sparse_rnn/ops/generate.py"
DOCS = ROOT / "docs" / "format.md"
_SIZES = {"any": "KSR_ANY", "inputs": "KSR_INPUTS", "units": "KSR_UNITS", "stride": "KSR_STRIDE"}
_SIZES |= {
    name: f"KSR_{name.upper()}_SIZE"
    for name in ("slots", "sums", "values", "index", "rows", "steps", "output", "diagonal", "deep_slots", "middle")
}
# Numbers that C must know beside the schemas, by the op's symbol: name, value, what it is.
_NUMBERS = {"ksr_lstm": ("KSR_LSTM_BOUNDED_CELL_BITS", BOUNDED_CELL_BITS, "most `cell_bits` with usual gates")}
COLUMNS = 120
_SCHEMAS = [op.SCHEMA for op in ALL_OPS.values()]


def files() -> dict[Path, str]:
    """Returns a dict from the path of each generated file to its text."""
    texts = {
        "include/ksr_status.h": _status_header(),
        "include/ksr_recurrent_words.h": _recurrent_header(),
        "include/ksr_ops.h": _ops_header(),
        "adapters/ksr_names.h": _names_header(),
        "kernels/activation_table.c": _activation_table(),
        "kernels/activations/rise_table.c": _table("ksr_rise_table", "1 - exp(-k / 128), Q15", RISE_TABLE),
        "kernels/activations/gelu_table.c": _table("ksr_gelu_table", "u Phi(-u), u = k / 128, Q15", GELU_TABLE),
        "kernels/half_table.c": _table("ksr_half_table", "sigmoid and tanh, see ksr_tables.h", HALF_TABLE, "uint16_t"),
    }
    for schema in _SCHEMAS:
        name = schema.symbol.removeprefix("ksr_")
        texts[f"include/ksr_{name}_words.h"] = _op_header(schema)
        texts[f"include/ksr_{name}_schema.h"] = _schema_header(schema)
        texts[f"kernels/{name}_schema.c"] = _op_tables(schema)
    docs = with_tables(DOCS.read_text(), _SCHEMAS)
    return {ROOT / "tflite" / path: text for path, text in texts.items()} | {DOCS: docs}


def _header(name, doc, body, includes=("ksr_node.h",), source=None):
    guard = f"{name.upper()}_H_"
    lines = [f"/* {doc}; {MADE}. */", f"#ifndef {guard}", f"#define {guard}"]
    lines += [*([f"/* Sources: {source} */"] if source else []), ""]
    lines += [*(f'#include "{include}"' for include in includes), ""] if includes else []
    return "\n".join([*lines, body, "", f"#endif /* {guard} */", ""])


def _status_header():
    rows = " \\\n".join(f'  X(KSR_{name}, "{text}")' for name, text in STATUSES.items())
    of_word = " || ".join(f"status == KSR_{name}" for name in OF_WORD)
    first, last = OF_INPUT[0], OF_INPUT[-1]
    body = f"""\
#define KSR_STATUS_LIST(X) \\
{rows}

#define KSR_IS_OF_WORD(status) ({of_word})
#define KSR_IS_OF_INPUT(status) (status >= KSR_{first} && status <= KSR_{last})"""
    return _header("ksr_status", "What an op can find wrong with its node", body, includes=())


def _ops_header():
    names = [schema.symbol for schema in _SCHEMAS]
    listed = " \\\n  ".join(f"X({name})" for name in names)
    body = f"#define KSR_OPS(X) \\\n  {listed}\n#define KSR_OP_COUNT {len(names)}"
    return _header("ksr_ops", "All ops of the library", body, [f"{name}.h" for name in names])


def _struct(name, fields):
    width = max(len(declaration) for declaration, _ in fields)
    lines = []
    for declaration, doc in fields:
        line = f"  {declaration:{width}} {f'/* {doc} */' if doc else ''}".rstrip()
        if len(line) > COLUMNS:
            above = textwrap.wrap(f"/* {doc}", COLUMNS - len("   * ") - len(" */"))
            lines += ["\n   * ".join(f"  {part}" if part is above[0] else part for part in above) + " */"]
            line = f"  {declaration}"
        lines.append(line)
    return "\n".join([f"typedef struct {name} {{", *lines, f"}} {name};"])


def _word_fields(words):
    return [(f"int32_t {word.name};", word.doc.replace("·", "*").replace("`", "")) for word in words]


def _enum(prefix, inputs, first=None):
    names = [f"  {prefix}_{given.name.upper()}" for given in inputs]
    if first is not None:
        names[0] += f" = {first}"
    return "enum {\n" + ",\n".join(names) + "\n};"


def _recurrent_header():
    body = "\n\n".join(
        [
            "/* The words that the custom options of each recurrent op begin with, little-endian int32. */\n"
            + _struct("ksr_recurrent_options", [("int32_t version;", f"{VERSION}"), *_word_fields(WORDS)]),
            "/* The inputs that each recurrent op begins with; its own follow. */\n" + _enum("KSR", FIRST_INPUTS),
            "/* Activations by their numbers. */\n" + _enum("KSR_ACTIVATION", ALL_ACTIVATIONS),
            "/* Then the inputs that any may have, counted from the first of them. */\n" + _enum("KSR", LAST_INPUTS),
        ]
    )
    return _header("ksr_recurrent_words", "Words and inputs that the recurrent ops share", body)


def _op_header(schema):
    name = schema.symbol
    own = schema.words[schema.shared_words :]
    fields = [] if schema.shared_words else [("int32_t version;", f"{VERSION}")]
    first = len(FIRST_INPUTS) if schema.shared_words else 0
    inputs = schema.inputs[first : -len(LAST_INPUTS)] if schema.shared_words else schema.inputs
    enum = _enum(name.upper(), inputs, first)
    if schema.shared_words:
        last = len(schema.inputs) - len(LAST_INPUTS)
        enum += f"\n\nenum {{ {name.upper()}_SHARED_INPUTS = {last} }}; /* the first that any recurrent op may have */"
    if name in _NUMBERS:
        number, value, what = _NUMBERS[name]
        enum += f"\n\nenum {{ {number} = {value} }}; /* {what} */"
    fields += _word_fields(own)
    which = "behind those that it shares" if schema.shared_words else "little-endian int32"
    body = "\n\n".join(
        [
            *(
                [f"/* The words of its custom options, {which}. */\n" + _struct(f"{name}_options", fields)]
                if fields
                else []
            ),
            f"/* Its {'own ' if schema.shared_words else ''}inputs. */\n{enum}",
            *(
                [
                    "/* For each gate of a matrix the slot of accumulators that it adds to; see ksr_matrix.h. */\n"
                    + _slots(schema)
                ]
                if schema.matrices
                else []
            ),
        ]
    )
    return _header(
        f"{name}_words",
        f"{schema.name}: words and inputs",
        body,
        ["ksr_recurrent_words.h" if schema.shared_words else "ksr_node.h"],
    )


def _schema_header(schema):
    name = schema.symbol
    body = f"extern const ksr_schema {name}_schema;"
    doc, source = f"{schema.name}: what its words and inputs may be", f"{name.removeprefix('ksr_')}_schema.c"
    return _header(f"{name}_schema", doc, body, ["ksr_schema.h"], source)


def _slots(schema):
    """Macros for the initial values of `ksr_slots`."""
    lines = []
    for given in schema.matrices:
        choices = [f"{{{len(slots)}, {slots[-1]}}}" for slots in (given.slots_by or ("", (given.slots,)))[1]]
        value = choices[0] if given.slots_by is None else f"{{{', '.join(choices)}}}"
        lines.append(f"#define {f'{schema.symbol}_{given.name}_slots'.upper()} {value}")
    return "\n".join(lines)


def _op_tables(schema):
    name = schema.symbol
    ranges = [(0, 0)]  # none, of the values of an input

    def number_of(bounds):
        if bounds not in ranges[1:]:
            ranges.append(bounds)
        return ranges.index(bounds, 1)

    words = [_word_row(schema, word, number_of) for word in schema.words]
    numbers = [*_places(schema), int(schema.takes_sequences), int(schema.gives_mask)]
    numbers += [_word_if_any(schema, name) for name in ("deep", "chunk_size", "rank")]
    inputs = [_input_row(schema, given, number_of) for given in schema.inputs]
    bounds = [f"{{{low}, {high}}}" for low, high in ranges]
    return "\n".join(
        [
            f"/* {schema.name}: what its words and inputs may be; {MADE}. */",
            f'#include "{name}_schema.h"',
            "",
            "static const ksr_range ranges[] = {",
            f"    {_wrapped('; '.join(bounds), '; ', 4)}",
            "};",
            "",
            "static const ksr_word words[] = {",
            *(f"    {_with_name(row, word)}" for row, word in zip(words, schema.words, strict=True)),
            "};",
            "",
            "static const ksr_input inputs[] = {",
            *(f"    {_with_name(row, given)}" for row, given in zip(inputs, schema.inputs, strict=True)),
            "};",
            "",
            f"const ksr_schema {name}_schema = {{ranges, words, inputs, {len(words)}, {len(inputs)}, "
            f"{', '.join(map(str, numbers))}}};",
            "",
        ]
    )


def _places(schema):
    """Numbers of what the checks of matrices read: bias, and the words for bits and layout; 0 where there are none."""
    if not schema.matrices:
        return 0, 0, 0
    return schema.index("bias"), schema.word_index("weight_bits"), schema.word_index("layout")


def _word_if_any(schema, name):
    """Number of a word; 0 for an op without it."""
    return schema.word_index(name) if name in [word.name for word in schema.words] else 0


def _word_row(schema, word, number_of):
    forms = {"": "KSR_ANY_VALUE", "power of two": "KSR_POWER_OF_TWO", "0 or 4": "KSR_0_OR_4", "15 bits": "KSR_15_BITS"}
    forms["without 2"] = "KSR_WITHOUT_2"
    constant, limit = 0, 0
    if word.limit is not None:
        constant, sign, other = word.limit
        limit = sign * schema.word_index(other)
    ranges = ", ".join(str(number_of(bounds)) for bounds in word.ranges)
    return f"{{{{{ranges}}}, {forms[word.form]}, {limit}, {constant}}},"


def _input_row(schema, given: Input, number_of):
    types = ", ".join("-1" if name is None else str(ELEMENT_TYPES[np.dtype(name)].ksr) for name in given.types)
    flags = [name for name, has in (("OPTIONAL", given.is_optional), ("STATE", given.is_state)) if has]
    flags += ["OF_UNITS"] if given.sources == "units" else ["OF_DEEP"] if given.is_deep else []
    flags += ["OF_FACTORS"] if given.is_of_factors else []
    where, values = 0, 0
    choices: tuple[tuple[int, ...], ...] = (given.slots,)
    if given.where is not None:
        where, values = schema.word_index(given.where[0]), _bits(given.where[1])
    if given.slots_by is not None:
        flags.append("SLOTS_BY_WORD")
        where, choices = schema.word_index(given.slots_by[0]), given.slots_by[1]
    others = ["0" if name is None else str(schema.index(name)) for name in (given.needs, given.together)]
    cells = [
        f"{{{types}}}",
        _SIZES[given.size],
        " | ".join(f"KSR_{flag}" for flag in flags) or "0",
        str(0 if given.values is None else number_of(given.values)),
        f"{{{', '.join(str(_bits(slots)) for slots in choices)}}}",
        *map(str, (where, values)),
        *others,
    ]
    return f"{{{', '.join(cells)}}},"


def _bits(numbers):
    return sum(1 << number for number in numbers)


def _with_name(row, declared):
    comment = f"/* {declared.name} */"
    if len(row) + len(comment) < 115:
        return f"{row} {comment}"
    return f"{comment}\n    {_wrapped(row, indent=5, width=COLUMNS - 5)}"


def _activation_table():
    lines = [f"/* Activations by their numbers; {MADE}. */", '#include "recurrent_node.h"', ""]
    for name, ending, condition in (("integers", "", None), ("floats", "_f32", "FLOAT32")):
        lines += [f"#if KSR_WITH_{condition}"] if condition else []
        lines += [f"static ksr_activation *const {name}[{len(ALL_ACTIVATIONS)}] = {{"]
        for group in GROUPS if not condition else (None,):
            members = [a.name for a in ALL_ACTIVATIONS if group in (None, a.group)]
            rows = [f"    [KSR_ACTIVATION_{member.upper()}] = ksr_activate_{member}{ending}," for member in members]
            lines += [f"#if KSR_WITH_{group.upper()}", *rows, "#endif"] if group else rows
        lines += ["};", *(["#endif"] if condition else []), ""]
    lines += [
        "ksr_activation *ksr_activation_of(int32_t number, int32_t is_float) {",
        "#if KSR_WITH_FLOAT32",
        "  if (is_float) return floats[number];",
        "#endif",
        "  return is_float ? 0 : integers[number];",
        "}",
        "",
    ]
    return "\n".join(lines)


def _table(name, doc, values, kind="int16_t"):
    rows = [", ".join(map(str, values[i : i + 16])) for i in range(0, len(values), 16)]
    head = [f"/* {doc}; {MADE}. */", "#include <stdint.h>", "", f"extern const {kind} {name}[{len(values)}];"]
    return "\n".join([*head, f"const {kind} {name}[{len(values)}] = {{", *(f"    {row}," for row in rows), "};", ""])


def _names_header():
    lines = []
    for schema in _SCHEMAS:
        words = ", ".join(f'"{word.name}"' for word in schema.words)
        inputs = ", ".join(f'"{given.name}"' for given in schema.inputs)
        lines += [f"    {{&{schema.symbol}_schema,", f"     {{{_wrapped(words)}}},", f"     {{{_wrapped(inputs)}}}}},"]
    most = max(len(schema.words) for schema in _SCHEMAS), max(len(schema.inputs) for schema in _SCHEMAS)
    body = "\n".join(
        [
            "typedef struct ksr_names {",
            "  const ksr_schema *schema;",
            f"  const char *words[{most[0]}];",
            f"  const char *inputs[{most[1]}];",
            "} ksr_names;",
            "",
            "static const ksr_names all_names[] = {",
            *lines,
            "};",
        ]
    )
    includes = [f"{schema.symbol}_schema.h" for schema in _SCHEMAS]
    return _header("ksr_names", "What the words and inputs of the ops are called", body, includes)


def _wrapped(text, separator=", ", indent=6, width=100):
    lines, line = [], ""
    for item in text.split(separator):
        if line and len(line) + len(item) + 2 > width:
            lines.append(line + ",")
            line = ""
        line += f", {item}" if line else item
    return ("\n" + indent * " ").join([*lines, line])


def main() -> None:
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
