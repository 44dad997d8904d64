"""What is made of the ops' schemas is as the schemas have it; and their codec."""

import re

import numpy as np
import pytest
from random_models import KINDS, random_op

from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.generate import ROOT, files
from keras_sparse_rnn.ops.schema import RefusedOpError


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path):
    assert path.read_text() == files()[path], "run python -m keras_sparse_rnn.ops.generate"


@pytest.mark.parametrize("kind", KINDS)
def test_options_survive_their_bytes(kind):
    for bits in (8, 16):
        options = random_op(3, kind=kind, activation_bits=bits).op.options
        data = options.to_bytes()
        assert ALL_OPS[kind].SCHEMA.decode(data) == options
        assert np.frombuffer(data, "<i4").tolist() == [3, *vars(options).values()]


def test_words_that_are_not_given_are_neutral():
    options = ALL_OPS["KsrGru"].SCHEMA.options(format=1, units=5, block=4)
    assert (options.operand_bits, options.fraction, options.x_zero_point, options.operand_shift) == (8, 7, 0, 1)


def test_options_of_another_size_or_version_are_refused():
    schema = ALL_OPS["KsrGru"].SCHEMA
    data = schema.options(units=5, block=4).to_bytes()
    with pytest.raises(RefusedOpError, match=f"options have {len(data) - 4} bytes; allowed: {len(data)}"):
        schema.decode(data[:-4])
    with pytest.raises(RefusedOpError, match="custom options have the version 7; allowed: 3. Convert the Keras model"):
        schema.decode(b"\7" + data[1:])


@pytest.mark.parametrize("schema", [op.SCHEMA for op in ALL_OPS.values()], ids=lambda schema: schema.name)
def test_names_are_placed_where_the_schema_has_them(schema):
    names = [given.name for given in schema.inputs]
    assert len(set(names)) == len(names)
    assert schema.placed({name: name for name in names}) == names
    assert schema.placed({"x": 1, names[3]: 2}) == [1, None, None, 2]
    assert schema.named([1, None, None, 2]) == {"x": 1, names[3]: 2}


def test_the_core_has_room_for_the_inputs_and_words_of_every_op():
    header = (ROOT / "tflite" / "include" / "ksr.h").read_text()
    schema = (ROOT / "tflite" / "include" / "ksr_schema.h").read_text()
    inputs = int(re.search(r"KSR_MAX_INPUTS (\d+)", header)[1])
    words = int(re.search(r"KSR_MOST_WORDS = (\d+)", schema)[1])
    assert all(len(op.SCHEMA.inputs) <= inputs and len(op.SCHEMA.words) < words for op in ALL_OPS.values())
