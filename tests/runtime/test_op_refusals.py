"""What ops refuse: every word and every input of each schema, in the C core and in its definition, with one status."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import KINDS, random_op

from keras_sparse_rnn.formats import FLOAT32, INT8, INT8X16
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.check import check
from keras_sparse_rnn.ops.frame_gate import FrameGate
from keras_sparse_rnn.ops.gru import AFTER, BEFORE, MOST_DEEP, UNCOUPLED, WITHOUT
from keras_sparse_rnn.ops.recurrent_schema import BY_OUTPUTS, with_height
from keras_sparse_rnn.ops.schema import FORMATS, LARGEST, RefusedOpError
from keras_sparse_rnn.ops.sparse_dense import SparseDense
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.native import NativeOp

SEED = 9
CASES = [(kind, number_format) for kind in KINDS for number_format in FORMATS]
CASES += [("KsrSparseDense", FLOAT32), ("KsrSparseDense", INT8)]
CASES += [("KsrFrameGate", number_format) for number_format in FORMATS]
by_case = pytest.mark.parametrize(("kind", "number_format"), CASES, ids=lambda part: getattr(part, "name", part))


HIDDEN = ("hidden_threshold", "reset_threshold")


class Node:
    """An op with all of its tensors, every matrix in blocks and more than one block a row."""

    def __init__(self, kind, number_format, **words):
        self.schema = ALL_OPS[kind].SCHEMA
        if kind == "KsrSparseDense":
            op, x, y = _sparse_dense(number_format)
        elif kind == "KsrFrameGate":
            op, x, y = _frame_gate(number_format)
        else:
            dtype, bits = number_format.weights, 16 if number_format is INT8X16 else 8
            more = {"reset_gate": words.get("reset_gate", AFTER), "deep": words.get("deep", 0)}
            more["rank"] = words.pop("rank", False)
            random = random_op(*(SEED, dtype.type, kind, True, bits), **more)
            op = replace(random.op, options=replace(random.op.options, return_sequences=1, **words))
            op = replace(op, **{name: None for name in HIDDEN if hasattr(op, name)})
            if number_format.is_integer:
                op = replace(op, output_scales=np.full((4, op.options.columns), 2**14, np.int16))
            x, y = random.x[None], (1, len(random.x), op.options.units)
        self.op, self.output = op, TensorInfo("y", y, np.dtype(bool if self.schema.gives_mask else x.dtype))
        states = {name: tensor.zeros() for name, tensor in op.states().items()}
        constants = op.constants() if self.schema.gives_mask else op.constants(sparse=True)
        self.tensors = {"x": x, **constants, **states}

    def status(self, *, words=None, data=None, output=None, extra=(), **changes):
        """What both say of the node with tensors changed (None: absent): `(status, index)`; None if it is sound."""
        options = self.op.options.to_bytes() if data is None else data
        for name, value in (words or {}).items():
            place = 4 * self.schema.word_index(name)
            options = options[:place] + np.int32(value).tobytes() + options[place + 4 :]
        tensors = self.tensors | changes
        arrays = [*self.schema.placed(tensors), *extra]
        output = self.output if output is None else output
        infos = [None if array is None else self._info(i, array) for i, array in enumerate(arrays)]
        results = []
        for run in (
            lambda: NativeOp(self.schema.name, options, arrays, [(output.shape, output.dtype)]),
            lambda: check(self.schema, options, infos, [output]),
        ):
            try:
                run()
                results.append(None)
            except RefusedOpError as error:
                results.append((error.status, error.index))
                assert len(error.reason) > 10 and str(error) == f"{self.schema.name} refused: {error.reason}."
        assert results[0] == results[1]
        return results[0]

    def _info(self, i, array):
        given = self.schema.inputs[min(i, len(self.schema.inputs) - 1)]
        varies = (i == 0 or not given.is_constant) and array.flags.writeable
        return TensorInfo(given.name, array.shape, array.dtype, data=None if varies else array)


def _sparse_dense(number_format):
    rng = np.random.default_rng(SEED)
    kernel = (rng.integers(-128, 128, (12, 1, 18)) * (rng.random((12, 1, 18)) < 0.4)).astype(number_format.weights)
    words = {"units": 18, "block": 4, "format": number_format.number}
    bias, x = np.arange(18, dtype=np.float32), np.zeros((3, 12), number_format.activations)
    if number_format is FLOAT32:
        return SparseDense(SparseDense.SCHEMA.options(**words), kernel, bias), x, (3, 18)
    options = SparseDense.SCHEMA.options(**words, output_min=-128, output_max=127)
    scales = rng.integers(0, 2**31, 18).astype(np.int32), rng.integers(35, 50, 18).astype(np.uint8)
    return SparseDense(options, kernel, bias.astype(np.int32), *scales), x, (3, 18)


def _frame_gate(number_format):
    dtype = {"float32": np.float32, "int8": np.uint8, "int8x16": np.uint16}[number_format.name]
    options = FrameGate.SCHEMA.options(format=number_format.number, count=2)
    return FrameGate(options, np.arange(12).astype(dtype)), np.zeros((1, 3, 12), number_format.activations), (1, 3)


def _constants(node):
    return [given for given in node.schema.constants if given.name in node.tensors]


@by_case
def test_words(kind, number_format):
    """Each one just below and just above its range."""
    node = Node(kind, number_format)
    assert node.status() is None
    words = vars(node.op.options)
    for word in node.schema.words[1:]:
        low, high = word.range(number_format.number, words)
        index = node.schema.word_index(word.name)
        limited = [other.name for other in node.schema.words if other.limit and other.limit[2] == word.name]
        found = {("WORD", node.schema.word_index(name)) for name in (word.name, *limited)}
        for value in (low - 1, high + 1):
            if -(2**31) <= value < 2**31:
                assert node.status(words={word.name: value}) in found, (word.name, value)
        if word.form:
            value = {"power of two": 6, "0 or 4": 2, "without 2": 2, "15 bits": 2**16 + 1}[word.form]
            if value <= high:
                assert node.status(words={word.name: value}) == ("WORD", index), word.name
    for value in (-1, 3):
        assert node.status(words={"format": value}) == ("WORD", 1)


@by_case
def test_size_version_and_number_of_tensors(kind, number_format):
    node = Node(kind, number_format)
    data = node.op.options.to_bytes()
    for wrong in (b"", data[:3], data[:-4], data + data[:4]):
        assert node.status(data=wrong) == ("OPTIONS_SIZE", 0)
    for version in (1, 2, 4):
        assert node.status(data=bytes([version]) + data[1:]) == ("OTHER_VERSION", 0)
    given = len(node.schema.placed(node.tensors))
    assert node.status(extra=[None] * (len(node.schema.inputs) - given)) is None
    assert node.status(extra=[None] * (len(node.schema.inputs) - given + 1)) == ("INPUT_COUNT", 0)


@by_case
def test_x_and_output(kind, number_format):
    node, x = Node(kind, number_format), Node(kind, number_format).tensors["x"]
    assert node.status(x=None) == ("MISSING", 0)
    assert node.status(x=x.astype(np.int32)) == ("TYPE", 0)
    assert node.status(x=np.zeros((*x.shape[:-1], 2**16), x.dtype)) == ("SHAPE", 0)
    assert node.status(x=x[:0]) == ("SHAPE", 0)
    if node.schema.takes_sequences:
        assert node.status(x=x[0]) == ("SHAPE", 0)
    if node.schema.shared_words:
        assert node.status(words={"return_sequences": 0, "go_backwards": 0}) == ("OUTPUT", 0)
    shape = node.output.shape
    for wrong in ((*shape[:-1], shape[-1] + 1), (*shape[:-2], shape[-2] + 1, shape[-1]), ()):
        assert node.status(output=replace(node.output, shape=wrong)) == ("OUTPUT", 0)
    assert node.status(output=replace(node.output, dtype=np.dtype(np.int32))) == ("OUTPUT", 0)


@by_case
def test_inputs(kind, number_format):
    """Each missing where it is needed, given where it must be absent, of a wrong type or size, or of wrong values."""
    node = Node(kind, number_format)
    for i, given in enumerate(node.schema.inputs[1:], start=1):
        array = node.tensors.get(given.name)
        if array is None:
            if not node.schema.allows(given, vars(node.op.options), {*node.tensors}):
                assert node.status(**{given.name: np.zeros(4, np.int8)}) == ("UNEXPECTED", i), given.name
            continue
        if not given.is_optional:
            assert node.status(**{given.name: None}) == ("MISSING", i), given.name
        assert node.status(**{given.name: array.astype(np.float64).astype(_other(array.dtype))}) == ("TYPE", i)
        if given.is_state:
            assert node.status(**{given.name: array[:, 1:]}) == ("SHAPE", i), given.name
            assert node.status(**{given.name: array[0]}) == ("SHAPE", i), given.name
            in_the_file = array.copy()
            in_the_file.setflags(write=False)
            assert node.status(**{given.name: in_the_file}) == ("CONSTANT", i), given.name
            continue
        assert node.status(**{given.name: array.reshape(1, -1)}) == ("SHAPE", i), given.name
        if given.size not in ("values", "index", "rows"):
            assert node.status(**{given.name: array[:-1]}) == ("SHAPE", i), given.name
        if given.values is not None and number_format.is_integer:
            for wrong in (value for value in (given.values[0] - 1, given.values[1] + 1) if _holds(array.dtype, value)):
                changed = array.copy()
                changed[-1] = wrong
                assert node.status(**{given.name: changed}) == ("VALUES", i), given.name


def _other(dtype):
    return np.int32 if dtype != np.int32 else np.int16


def _holds(dtype, value):
    return np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


@by_case
def test_constants_that_a_processor_could_not_load(kind, number_format):
    """Weights and scales are loaded by words; the definition in NumPy has no such limit."""
    node = Node(kind, number_format)
    for given in _constants(node):
        array = node.tensors[given.name]
        moved = np.frombuffer(b"?" + array.tobytes(), array.dtype, offset=1)
        inputs = node.schema.placed(node.tensors | {given.name: moved})
        with pytest.raises(RefusedOpError) as refused:
            NativeOp(kind, node.op.options.to_bytes(), inputs, [(node.output.shape, node.output.dtype)])
        assert (refused.value.status, refused.value.index) == ("ALIGNMENT", node.schema.index(given.name))


@by_case
def test_states_are_cleared_together(kind, number_format):
    node = Node(kind, number_format)
    together = [given for given in node.schema.states if given.together and given.name in node.tensors]
    for given in together:
        found = node.status(**{given.name: None})
        assert found is not None and found[0] in ("MISSING", "UNEXPECTED"), given.name
    assert node.status(**{given.name: None for given in together}) is None


MATRICES = [(kind, {}, name) for kind, _ in CASES[::3] for name in ("kernel", "recurrent_kernel")][:8]
MATRICES += [("KsrGru", {"reset_gate": WITHOUT}, name) for name in ("kernel", "recurrent_kernel")]
MATRICES += [("KsrGru", {"reset_gate": BEFORE}, name) for name in ("recurrent_kernel", "candidate_kernel")]
MATRICES += [("KsrSparseDense", {}, "kernel")]


@pytest.mark.parametrize(("kind", "words", "matrix"), MATRICES, ids=str)
def test_matrices(kind, words, matrix):
    node = Node(kind, INT8, **words)
    index, rows = f"{matrix}_index", f"{matrix}_rows"
    at = node.schema.index(matrix)
    blocks = int(node.tensors[rows][-1])

    def changed(name, place, value):
        array = node.tensors[name].copy()
        array[place] = value
        return {name: array}

    assert node.status(**{matrix: node.tensors[matrix][:-1]}) == ("SHAPE", at)
    assert node.status(**{index: node.tensors[index][:-1]}) == ("SHAPE", at)
    assert node.status(**{rows: node.tensors[rows][:-1]}) == ("SHAPE", at + 2)
    assert node.status(**changed(index, 0, 255)) == ("VALUES", at + 1)
    follows = int(np.flatnonzero(np.diff(node.tensors[rows].astype(int)) > 1)[0])
    assert node.status(**changed(index, int(node.tensors[rows][follows]) + 1, 0)) == ("VALUES", at + 1)
    for place, value in ((0, 1), (-1, blocks + 1), (1, 2**16 - 1)):
        assert node.status(**changed(rows, place, value)) == ("VALUES", at + 2)
    assert node.status(**{rows: node.tensors[rows].astype(np.uint32)}) is None
    assert node.status(**{rows: None}) == ("UNEXPECTED", at + 1)
    assert node.status(**{index: None}) == ("UNEXPECTED", at + 2)
    assert node.status(**{matrix: node.tensors[matrix][:-4], index: None, rows: None}) == ("SHAPE", at)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number_format", [INT8, INT8X16], ids=["int8", "int8x16"])
@pytest.mark.parametrize("sparse", [True, False])
def test_accumulators_that_could_overflow(kind, number_format, sparse):
    """Judged by the weights of each output: beside what these can add, there is room for a bias up to that."""
    node = Node(kind, number_format)
    o, ours = node.op.options, node.op
    node.tensors |= ours.constants(sparse)
    if not sparse:
        for name in ("kernel", "recurrent_kernel"):
            node.tensors |= {f"{name}_index": None, f"{name}_rows": None, f"{name}_diagonal": None}
    unit, slot = o.units - 1, max(set(ours.kernel_slots) & set(ours.recurrent_slots))
    column = slot * -(-o.columns // o.block) * o.block + unit
    x = 255 << o.x_shift if number_format is INT8 else 2**15 >> o.x_shift
    h = 256 << o.h_shift if number_format is INT8 else 1 << o.operand_bits + o.h_shift
    from_x = np.abs(ours.kernel[:, slot, unit].astype(int)).sum() * x
    from_h = np.abs(ours.recurrent_kernel[:, slot, unit].astype(int)).sum() * h
    room = LARGEST - int(from_x + from_h)
    for bias, found in ((room, None), (-room, None), (room + 1, "OVERFLOW"), (-room - 1, "OVERFLOW")):
        changed = node.tensors["bias"].copy()
        changed[column] = bias
        assert node.status(bias=changed) == (found and (found, node.schema.index("bias")))


@pytest.mark.parametrize("layout", [0, 1])
def test_a_dense_layer_that_could_overflow(layout):
    node = Node("KsrSparseDense", INT8)
    room = LARGEST - 128 * 255 * 12
    if layout:
        op = replace(node.op, options=replace(node.op.options, layout=1))
        node.op, node.tensors = op, {"x": node.tensors["x"], **op.constants(sparse=False)}
        room = LARGEST - 128 * 128 * 12
    for bias, found in ((room, None), (-room, None), (room + 1, "OVERFLOW"), (-room - 1, "OVERFLOW")):
        changed = node.tensors["bias"].copy()
        changed[3] = bias
        assert node.status(bias=changed) == (found and (found, node.schema.index("bias")))


class NodeForAll(Node):
    """One that holds nothing, with its matrices stored for sources that all act: by outputs, or in blocks of `height`
    of them."""

    def __init__(self, kind, number_format, height=1, **words):
        super().__init__(kind, number_format, **words)
        op = self.op if kind == "KsrSparseDense" else replace(self.op, input_threshold=None)
        self.op = op = op.laid_out()
        for sources, bit in BY_OUTPUTS.items():
            if op.options.layout & bit:
                layout = with_height(self.op.options.layout, sources, height)
                self.op = replace(self.op, options=replace(self.op.options, layout=layout))
        states = {name: tensor.zeros() for name, tensor in self.op.states().items()}
        self.tensors = {"x": self.tensors["x"], **self.op.constants(sparse=height > 1), **states}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number_format", [INT8, INT8X16], ids=["int8", "int8x16"])
def test_matrices_by_outputs(kind, number_format):
    node = NodeForAll(kind, number_format)
    assert node.status() is None
    for given in node.schema.matrices:
        if given.name in node.tensors:
            values = node.tensors[given.name]
            for wrong in (values[:-1], values[: -values.size // 8], np.append(values, values[:4])):
                assert node.status(**{given.name: wrong}) == ("SHAPE", node.schema.index(given.name))
    _check_room(node, number_format)


@pytest.mark.parametrize("number_format", FORMATS, ids=lambda part: part.name)
@pytest.mark.parametrize("reset_gate", [WITHOUT, UNCOUPLED])
def test_micro_layers(number_format, reset_gate):
    node = Node("KsrGru", number_format, reset_gate=reset_gate, deep=2)
    at = {name: node.schema.index(name) for name in ("deep_kernel", "deep_kernel_rows", "deep_bias")}
    rows, bias = node.tensors["deep_kernel_rows"], node.tensors["deep_bias"]
    assert node.status() is None
    assert node.status(deep_bias=None) == ("MISSING", at["deep_bias"])
    assert node.status(deep_bias=bias[:-4]) == ("SHAPE", at["deep_bias"])
    assert node.status(deep_kernel_rows=np.append(rows, rows[-1])) == ("SHAPE", at["deep_kernel_rows"])
    assert node.status(words={"deep": 1})[0] == "SHAPE"
    assert node.status(words={"deep": 0}) == ("UNEXPECTED", at["deep_kernel"])
    assert node.status(words={"deep": MOST_DEEP + 1}) == ("WORD", node.schema.word_index("deep"))
    if number_format.is_integer:
        wrong = np.full_like(bias, np.iinfo(np.int32).max)
        assert node.status(deep_bias=wrong) == ("OVERFLOW", at["deep_bias"])


@pytest.mark.parametrize("number_format", FORMATS, ids=lambda part: part.name)
@pytest.mark.parametrize("reset_gate", [WITHOUT, AFTER])
def test_kernels_of_low_rank(number_format, reset_gate):
    node = Node("KsrGru", number_format, reset_gate=reset_gate, rank=True)
    o, at = node.op.options, node.schema.index
    assert o.recurrent_rank and node.status() is None
    for name in ("input_factor_kernel", "recurrent_factor_kernel", "recurrent_kernel"):
        assert node.status(**{name: None})[0] in ("MISSING", "SHAPE")
        rows = node.tensors[f"{name}_rows"]
        assert node.status(**{f"{name}_rows": np.append(rows, rows[-1])}) == ("SHAPE", at(f"{name}_rows"))
    assert node.status(words={"rank": 0})[0] in ("SHAPE", "UNEXPECTED")
    assert node.status(words={"recurrent_rank": 0}) == ("UNEXPECTED", at("recurrent_kernel"))
    assert node.status(words={"recurrent_rank": o.units + 1}) == ("WORD", node.schema.word_index("recurrent_rank"))

    if number_format.is_integer:
        start = node.tensors["middle_start"]
        assert node.status(middle_start=None) == ("MISSING", at("middle_start"))
        assert node.status(middle_start=start[:-4]) == ("SHAPE", at("middle_start"))
        wrong = np.full_like(start, np.iinfo(np.int32).max)
        assert node.status(middle_start=wrong) == ("OVERFLOW", at("middle_start"))


@pytest.mark.parametrize("height", [4, 8, 16])
@pytest.mark.parametrize(
    ("kind", "number_format"),
    [case for case in CASES if case[1].is_integer and case[0] != "KsrFrameGate"],
    ids=lambda part: getattr(part, "name", part),
)
def test_matrices_in_high_blocks(kind, number_format, height):
    if number_format is FLOAT32:
        node = Node(kind, FLOAT32)
        assert node.status(words={"layout": 4}) == ("WORD", node.schema.word_index("layout"))
        return
    node = NodeForAll(kind, number_format, height)
    assert node.status() is None
    names = ["kernel"] if kind in ("KsrSparseDense", "KsrEventGru") else ["kernel", "recurrent_kernel"]
    for name in names:
        at, rows, index = node.schema.index(name), node.tensors[f"{name}_rows"], node.tensors[f"{name}_index"]
        assert len(rows) == 1 + -(-len(getattr(node.op, name)) // height)
        assert node.status(**{f"{name}_rows": np.append(rows, rows[-1])}) == ("SHAPE", at + 2)
        assert node.status(**{name: node.tensors[name][:-4]}) == ("SHAPE", at)
        for wrong, found in ((0, "VALUES"), (255, "VALUES")):  # of a second block: the same one again, or past the last
            changed = index.copy()
            changed[1:] = wrong
            assert len(index) < 2 or rows[1] < 2 or node.status(**{f"{name}_index": changed}) == (found, at + 1)
        for layout in (1, node.op.options.layout & 3):  # as a matrix with a row for each source
            assert node.status(words={"layout": layout})[0] == "SHAPE"
    if kind != "KsrSparseDense":
        _check_room(node, number_format)


def _check_room(node, number_format):
    """Beside what the weights of the last output can add, there is room for a bias up to that."""
    o, ours = node.op.options, node.op
    unit, slot = o.units - 1, max(ours.kernel_slots)
    column = slot * -(-o.columns // o.block) * o.block + unit
    most = np.abs(ours.kernel[:, slot, unit].astype(int)).sum()
    most = int(most) * (128 << o.x_shift if number_format is INT8 else 2**15 >> o.x_shift)
    if slot in ours.recurrent_slots:
        h = 256 << o.h_shift if number_format is INT8 else 1 << o.operand_bits + o.h_shift
        most += int(np.abs(ours.recurrent_kernel[:, slot, unit].astype(int)).sum()) * h
    for bias, found in ((LARGEST - most, None), (most - LARGEST - 1, "OVERFLOW"), (LARGEST - most + 1, "OVERFLOW")):
        changed = node.tensors["bias"].copy()
        changed[column] = bias
        assert node.status(bias=changed) == (found and (found, node.schema.index("bias")))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_is_stored_by_sources(kind):
    node = Node(kind, INT8)
    assert node.status(words={"layout": 1}) is None  # of matrices in blocks it says nothing
    holds_h = kind != "KsrEventGru"
    if holds_h:
        dtype = np.uint16 if kind == "KsrGru" else np.uint8
        node.op = replace(node.op, hidden_threshold=np.zeros(node.op.options.units, dtype))
        node.tensors |= {name: tensor.zeros() for name, tensor in node.op.states().items()}
    node.tensors |= node.op.constants(sparse=False)
    for name in ("kernel", "recurrent_kernel"):
        node.tensors |= {f"{name}_index": None, f"{name}_rows": None, f"{name}_diagonal": None}
    for layout in (1, 2) if holds_h else (1,):
        node.op = replace(node.op, options=replace(node.op.options, layout=0))
        by_outputs = replace(node.op, options=replace(node.op.options, layout=layout)).constants(sparse=False)
        matrices = {name: by_outputs[name] for name in ("kernel", "recurrent_kernel")}
        assert node.status(words={"layout": layout}, **matrices) == ("WORD", node.schema.word_index("layout"))
    for sources in ("inputs", "units") if holds_h else ("inputs",):
        high = replace(node.op, options=replace(node.op.options, layout=with_height(0, sources, 4)))
        matrices = {name: array for name, array in high.constants(sparse=True).items() if "kernel" in name}
        status = node.status(words={"layout": high.options.layout}, **matrices)
        assert status == ("WORD", node.schema.word_index("layout"))


@pytest.mark.parametrize("kind", KINDS)
def test_held_inputs_of_int16_are_shifted(kind):
    """So that a change fits into 16 bits too."""
    node = Node(kind, INT8X16)
    assert node.status(words={"x_shift": 1}) == ("WORD", node.schema.word_index("x_shift"))


def test_what_depends_on_the_reset():
    before, after = Node("KsrGru", INT8, reset_gate=BEFORE), Node("KsrGru", INT8, reset_gate=AFTER)
    assert before.status() is None
    at = before.schema.index
    assert before.status(candidate_kernel=None) == ("MISSING", at("candidate_kernel"))
    assert after.status(candidate_kernel=before.tensors["candidate_kernel"]) == ("UNEXPECTED", at("candidate_kernel"))
    thresholds = np.zeros(before.op.options.units, np.uint16)
    assert before.status(reset_threshold=thresholds) == ("UNEXPECTED", at("reset_threshold"))  # h is not held
    held = {"hidden_threshold": thresholds, "held_h": thresholds.astype(np.int16)[None]}
    assert before.status(**held) is None
    held |= {"reset_threshold": thresholds, "held_reset": held["held_h"]}
    assert before.status(**held) is None
    assert after.status(**held) == ("UNEXPECTED", at("reset_threshold"))
    without = Node("KsrGru", INT8, reset_gate=WITHOUT)
    assert without.status() is None
    assert without.status(candidate_kernel=before.tensors["candidate_kernel"]) == ("UNEXPECTED", at("candidate_kernel"))


def test_without_recurrent_weights_no_state_is_held():
    node = Node("KsrSimpleRnn", INT8)
    at = node.schema.index
    parts = [given.name for given in node.schema.inputs if given.name.startswith("recurrent_kernel")]
    assert node.status() is None and node.status(**dict.fromkeys(parts)) is None
    assert node.status(recurrent_kernel=None) == ("UNEXPECTED", at("recurrent_kernel_index"))
    units = node.op.options.units
    held = {"hidden_threshold": np.zeros(units, np.uint8), "held_h": np.zeros((1, units), np.int8)}
    assert node.status(**held) is None
    assert node.status(**held, **dict.fromkeys(parts)) == ("UNEXPECTED", at("hidden_threshold"))


def test_messages_say_what_is_wrong():
    node = Node("KsrGru", INT8)
    data = replace(node.op.options, fraction=11).to_bytes()
    with pytest.raises(RefusedOpError) as refused:
        node.schema.decode(data)
    word = node.schema.word_index("fraction")
    assert str(refused.value) == f"KsrGru refused: fraction (word {word}) is 11; allowed: from 7 to 10."
    node.tensors["bias"] = node.tensors["bias"][1:]
    infos = [None if a is None else node._info(i, a) for i, a in enumerate(node.schema.placed(node.tensors))]
    with pytest.raises(RefusedOpError) as refused:
        check(node.schema, node.op.options.to_bytes(), infos, [node.output])
    size = len(node.tensors["bias"])
    assert str(refused.value) == f"KsrGru refused: bias (input 7) has {size} values; allowed: {size + 1}."
