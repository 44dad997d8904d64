import re

import pytest

from keras_sparse_rnn.firmware.c_structs import chosen, initializer
from keras_sparse_rnn.firmware.sources import source_folder
from keras_sparse_rnn.ops import ALL_OPS


def test_members_are_chosen_in_the_order_of_the_header():
    values = {"low": -1, "shift": 3, "a_factor": 7, "unknown": 0}
    assert list(chosen("ksr_pair", values).items()) == [("a_factor", 7), ("shift", 3), ("low", -1)]
    assert list(chosen("ksr_gates", dict.fromkeys(("output", "operand", "multiplier"), 0))) == [
        "multiplier",  # an array
        "operand",
        "output",
    ]
    with pytest.raises(KeyError):
        chosen("ksr_absent", {})


def test_initializers():
    assert initializer([1, [2, "x"]]) == "{1, {2, x}}"
    assert initializer({"a": 1, "b": {"c": [2]}}) == "{\n  .a = 1,\n  .b = {\n    .c = {2},\n  },\n}"


@pytest.mark.parametrize("op", ALL_OPS.values(), ids=list(ALL_OPS))
def test_the_layer_of_each_op_has_what_its_schema_declares(op):
    header = (source_folder() / "include" / f"{op.SCHEMA.symbol}_layer.h").read_text()
    names = [given.name for given in op.SCHEMA.inputs] + [word.name for word in op.SCHEMA.words]
    found = chosen(f"{op.SCHEMA.symbol}_layer", dict.fromkeys(names))
    assert found and all(re.search(rf"\b{name}\b", header) for name in found)
