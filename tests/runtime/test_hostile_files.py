"""Files that were made to do harm get a ValueError that says why, wherever a file is taken."""

import importlib.util

import numpy as np
import pytest
from adapter_models import between_dense_layers, edited
from hostile_files import (
    NOT_READ,
    NOT_RUN,
    concatenation_of_one,
    empty_matrix,
    many_large_tensors,
    outer_sum,
    sparse_constant,
    with_metadata,
)
from mutated_models import ENTRIES
from random_models import random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.inspection import inspect
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.runtime.model import METADATA, MOST_ACTIVATIONS, Model
from keras_sparse_rnn.tflite_file import ModelFile
from keras_sparse_rnn.tflite_parts import MOST_PARTS

ENTRIES = {name: run for name, run in ENTRIES.items() if name != "tflm" or importlib.util.find_spec("tflite_micro")}
MESSAGES = {
    "zeros": "it holds no graph",
    "ops with one vector of inputs": "many parts of it are the same bytes",
    "data beyond the end": "model is damaged: an offset in it leads out of its [0-9]+ bytes",
    "a long name": "a name in it has 1000000 bytes; at most 65536",
    "nested metadata": "no JSON, or nested too deeply",
    "metadata of a megabyte": "have 1500016 bytes; at most 1048576",
    "metadata that are no text": "no JSON",
    "metadata that are a list": "must be a JSON object; given: a list",
    "metadata that are a number": "no JSON|must be a JSON object",  # Python 3.11 reads no number of so many digits
    "metadata with a word for a number": "hold another 'batch_size' than convert writes",
    "metadata with a number for a flag": "hold another 'stateful' than convert writes",
    "metadata with a dict for the labels": "hold another 'labels' than convert writes",
    "many large tensors": "it needs 4,294,967,288 bytes at one time; at most 536,870,912",
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_read(name):
    data = NOT_READ[name]()
    for run in ENTRIES.values():
        with pytest.raises(ValueError, match=MESSAGES.get(name, f"more than {MOST_PARTS:,} tensors, ops, buffers")):
            run(data)


@pytest.mark.parametrize("name", NOT_RUN)
def test_what_is_not_run(name):
    """`inspect` looks into it and says what the engines say; a report shows as much as there is."""
    data = NOT_RUN[name]()
    for entry in ENTRIES.keys() - {"inspect", "report"}:
        with pytest.raises(ValueError, match=MESSAGES[name]):
            ENTRIES[entry](data)
    reason = inspect(data, engines=["native"]).engines["native"]
    assert reason.startswith("model cannot be run: ")


def test_what_convert_notes_is_read_back():
    noted = {"version": "1", "time_steps": None, "stateful": True, "batch_size": 3, "sparsity": 0.5, "labels": ["a"]}
    raw = str(noted | {"of_later": 1}).replace("'", '"').replace("None", "null").replace("True", "true")
    assert Model(with_metadata(raw.encode())).metadata == noted
    assert ModelFile(with_metadata(raw.encode())).metadata[METADATA] == raw.encode()


def test_memory_is_that_of_what_is_still_to_be_read():
    """Of a chain, two tensors at a time, however long it is."""
    data = many_large_tensors(count=50, size=MOST_ACTIVATIONS // 8)
    assert Model(data).activation_bytes == MOST_ACTIVATIONS
    with pytest.raises(ValueError, match="at most 536,870,912 are given"):
        Model(many_large_tensors(count=50, size=MOST_ACTIVATIONS // 8 + 1))


def test_values_are_dropped_when_nothing_reads_them_any_more():
    data = many_large_tensors(count=4, size=10)
    x = np.arange(-5, 5, dtype=np.float32)
    assert Model(data).last_readers == ((0,), (1,), (2,))
    np.testing.assert_array_equal(runtime.load(data, "native").invoke([x]), [np.maximum(x, 0)])


def test_a_matrix_of_zeros_is_not_unpacked():
    data = empty_matrix()
    assert runtime.load(data, "native").inputs
    for run in (lambda: runtime.load(data, "reference"), lambda: inspect(data, engines=())):
        with pytest.raises(ValueError, match="from 60000 sources to 60000 units would take over 268,435,456 bytes"):
            run()


def test_sparse_weights_only_where_the_version_of_the_op_says_so():
    """LiteRT reads them as dense ones otherwise, and ends the process."""
    with pytest.raises(ValueError, match="op FULLY_CONNECTED reads tensor 2, which is in a sparse encoding"):
        Model(sparse_constant(version=7))
    assert Model(sparse_constant(version=8)).tensors[2].sparsity is not None
    with pytest.raises(ValueError, match="would take over 268,435,456 bytes"):
        inspect(sparse_constant(version=8), engines=())


def test_what_an_op_makes_of_its_inputs_is_known_before_it_is_made():
    with pytest.raises(ValueError, match="ADD makes 40000000000 values"):
        runtime.load(outer_sum(), "native").predict(np.zeros((1, 200_000), np.float32))
    x = np.zeros((1, 100_000), np.float32)
    with pytest.raises(ValueError, match="CONCATENATION makes 2000000000 values"):
        runtime.load(concatenation_of_one(), "native").predict(x)
    for engine in ("litert", "tflm") if "tflm" in ENTRIES else ("litert",):
        with pytest.raises(ValueError, match="it needs 8,000,400,000 bytes at one time"):
            runtime.load(concatenation_of_one(), engine)


def test_constants_stay_and_states_can_be_written_to():
    model = Model(random_op(5).to_model(stateful=True))
    (gru,) = model.operators
    place = {given.name: i for i, given in enumerate(ALL_OPS[gru.name].SCHEMA.inputs)}

    def exchanged(name, other):
        def edit(file):
            inputs = np.array(file.subgraphs[0].operators[0].inputs)
            inputs[place[name]] = gru.inputs[place[other]]
            file.subgraphs[0].operators[0].inputs = inputs

        return edited(model.data, edit)

    assert Model(exchanged("c", "c")).activation_bytes == model.activation_bytes
    for name, other, kind in (("kernel", "x", "constant"), ("bias", "c", "constant"), ("c", "kernel", "variable")):
        with pytest.raises(ValueError, match=f"as its {name}: it is no {kind}"):
            Model(exchanged(name, other))


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_bias_needs_weights(engine):
    def edit(file):
        op = file.subgraphs[0].operators[0]  # FULLY_CONNECTED
        op.inputs = np.array([op.inputs[0], -1, op.inputs[2]], np.int32)

    with pytest.raises(ValueError, match="FULLY_CONNECTED cannot take tensor '.*': its op has no weights with a scale"):
        runtime.load(edited(between_dense_layers(False), edit), engine)


def test_one_input_as_many():
    def edit(file):
        file.subgraphs[0].inputs = np.repeat(file.subgraphs[0].inputs, 1000)

    with pytest.raises(ValueError, match="has 1000 inputs and 1 outputs, of which several are one"):
        Model(edited(random_op(5).to_model(), edit))


def test_names_that_a_terminal_would_obey():
    def edit(file):
        file.subgraphs[0].tensors[0].name = b"\x1b[2Jx\xff"

    data = edited(random_op(5).to_model(), edit)
    assert ModelFile(data).graphs[0].tensors[0].name == "\ufffd[2Jx\ufffd"


def test_a_file_without_the_mark_is_not_read_to_its_end(tmp_path):
    for name, data in (("empty", b""), ("text", b"no model at all")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"'.*{name}' lacks the mark TFL3"):
            inspect(tmp_path / name)
    with pytest.raises(ValueError, match="lacks the mark TFL3"):
        runtime.load("/dev/zero")
    with pytest.raises(TypeError, match="path or the bytes of a .tflite file.*given: int"):
        inspect(5)
