"""The tables of docs/format.md, from the schemas of the ops."""

from collections.abc import Sequence

from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS
from keras_sparse_rnn.ops.recurrent_schema import FIRST_INPUTS, LAST_INPUTS, WORDS
from keras_sparse_rnn.ops.schema import FORMATS, VERSION, OpSchema


def with_tables(text: str, schemas: Sequence[OpSchema]) -> str:
    """Returns the text of docs/format.md with its tables, each between two marks, generated from the schemas."""
    tables = {"words of the recurrent ops": _word_table(WORDS, 1), "inputs of the recurrent ops": _shared_inputs()}
    rows = [f"| {i} | `{a.name}` | {a.formula} |" for i, a in enumerate(ALL_ACTIVATIONS)]
    tables["activations"] = "\n".join(["| number | activation | |", "|---|---|---|", *rows])
    tables["own words"] = "\n".join(
        ["| op | word | name | |", "|---|---|---|---|"]
        + [
            f"| {schema.name} | {i} | `{word.name}` | {word.doc}; {_described(word)} |"
            for schema in schemas
            if schema.shared_words
            for i, word in enumerate(schema.words[schema.shared_words :], start=schema.shared_words + 1)
        ]
    )
    tables["own inputs"] = "\n".join(
        ["| op | input | name | float32 | int8 | int8x16 | |", "|---|---|---|---|---|---|---|"]
        + [
            f"| {schema.name} {_input_cells(i, schema.inputs[i], schema)}"
            for schema in schemas
            if schema.shared_words
            for i in range(len(FIRST_INPUTS), len(schema.inputs))
            if schema.inputs[i] not in LAST_INPUTS
        ]
    )
    for schema in (schema for schema in schemas if not schema.shared_words):
        tables[f"words of {schema.name}"] = _word_table(schema.words, 1)
        tables[f"inputs of {schema.name}"] = _input_table(schema.inputs, schema)
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, after = text.split(begin)
        text = before + begin + table + "\n" + after[after.index(end) :]
    return text


def _word_table(words, first):
    rows = [f"| {i} | `{word.name}` | {word.doc} | {_described(word)} |" for i, word in enumerate(words, start=first)]
    return "\n".join(["| word | name | | allowed |", "|---|---|---|---|", f"| 0 | `version` | | {VERSION} |", *rows])


def _described(word):
    """The range of a word, or its ranges by format if they differ."""
    if word.is_reserved:
        return f"{word.float32[0]} until a later version"
    texts = {number_format.name: _bounds(*word.ranges[number_format.number]) for number_format in FORMATS}
    if word.form == "0 or 4":
        texts = {name: text.replace("0 to 4", word.form) for name, text in texts.items()}
    if word.form == "without 2":
        texts = {name: text.replace("0 to 13", "0, 1, 4, 5, 8, 9, 12, 13") for name, text in texts.items()}
    if len(set(texts.values())) == 1:
        return texts["int8"]
    return "; ".join(f"{name}: {text}" for name, text in texts.items())


def _bounds(low, high):
    return f"{low}" if low == high else f"{low} to {'2³¹ - 1' if high == 2**31 - 1 else high}"


def _input_table(inputs, schema=None, first=0):
    rows = [_input_cells(i, given, schema) for i, given in enumerate(inputs, start=first)]
    return "\n".join(["| input | name | float32 | int8 | int8x16 | |", "|---|---|---|---|---|---|", *rows])


def _shared_inputs():
    rows = [_input_cells(i, given, None) for i, given in enumerate(FIRST_INPUTS)]
    rows += [_input_cells(f"own + {i}" if i else "own", given, None) for i, given in enumerate(LAST_INPUTS)]
    return "\n".join(["| input | name | float32 | int8 | int8x16 | |", "|---|---|---|---|---|---|", *rows])


def _input_cells(i, given, schema):
    sizes = {"inputs": "I", "units": "U", "stride": "stride", "slots": "4 · stride", "sums": "4 · stride + 1"}
    sizes |= {
        "output": "U",
        "diagonal": "gates · stride",
        "deep_slots": "deep · 4 · stride",
        "middle": "padded columns",
    }
    size = sizes.get(given.size, "")
    size = (
        f" (B, {size})"
        if given.is_state or given.size == "output"
        else " (B, T)"
        if given.size == "steps"
        else f" ({size})"
        if size
        else ""
    )
    types = [f"{name}{size}" if name else "absent" for name in given.types]
    if given.size == "sums":
        types[0] = types[0].replace(" + 1", "")
    doc = f"state: {given.doc}" if given.is_state else given.doc
    doc += "; reserved, absent until a later version" if given.is_reserved else ""
    doc += f"; where `{given.where[0]}` is {' or '.join(map(str, given.where[1]))}" if given.where else ""
    doc += f"; where `{given.needs}` is given" if given.needs else ""
    doc += "; where `deep` is not 0" if given.is_deep else "; where `rank` is not 0" if given.is_of_factors else ""
    return f"| {i} | `{given.name}` | {' | '.join(types)} | {doc} |"
