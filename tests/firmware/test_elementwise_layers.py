"""Element-wise ops, reductions and embeddings in plain C, held to LiteRT and to NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from random_graphs import GraphWriter, LiteRTOpByOp

from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.reference import ReferenceEngine

pytestmark = pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
SCALES = {np.int8: [(0.04, 5), (0.05, -9), (0.07, 3)], np.int16: [(1e-4, 0), (2e-4, 0), (3e-4, 0)]}
UNARY = {
    np.float32: ["ABS", "ELU", "EXP", "HARD_SWISH", "LEAKY_RELU", "NEG", "SQUARE"],
    np.int8: ["ABS", "ELU", "HARD_SWISH", "LEAKY_RELU"],
    np.int16: ["ABS", "LEAKY_RELU"],
}
BINARY = {
    np.float32: ["DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"],
    np.int8: ["SQUARED_DIFFERENCE"],
    np.int16: ["MAXIMUM"],
}
COMPARED = ["EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"]


def _each_op(dtype):
    """A model in which every op has tensors of its own and an output."""
    writer = GraphWriter(dtype, np.random.default_rng(0))
    scales = iter(SCALES.get(dtype, [None]) * 40)

    def tensor(shape=(1, 4, 6), kind=dtype, scale=()):
        scale = (next(scales) if kind in SCALES else None) if scale == () else scale
        return writer.add_tensor(f"tensor {len(writer.tensors)}", shape, kind, scale=scale)

    def add(name, inputs, kind=dtype, scale=(), options=None, shape=(1, 4, 6)):
        made = tensor(shape, kind, scale)
        options = {"DIV": schema.DivOptionsT(), "ABS": None}.get(name) if options is None else options
        writer.add_operator(name, inputs, [made], options)
        outputs[f"{name} {len(outputs)}"] = made
        return made

    outputs = {}
    a, b, row, column = tensor(), tensor(), tensor((1, 1, 6)), tensor((1, 4, 1))
    leaky = schema.LeakyReluOptionsT()
    leaky.alpha = 0.3
    for name in UNARY[dtype]:
        add(name, [a], options=leaky if name == "LEAKY_RELU" else None)
    for name in BINARY[dtype]:
        options = schema.MaximumMinimumOptionsT() if name in ("MAXIMUM", "MINIMUM") else None
        for other in (b, row, column):
            if name == "DIV":
                other = add("EXP", [other], shape=writer.tensors[other].shape)
            same = [a, a] if name == "MAXIMUM" and dtype == np.int16 else [a, other]  # LiteRT has it of one scale
            scale = (writer.tensors[a].scale, writer.tensors[a].zero_point) if same[1] == a else ()
            add(name, same, options=options, scale=scale)
    if dtype == np.float32:
        positive = add("EXP", [a])
        for name in ("LOG", "SQRT", "RSQRT"):
            add(name, [positive])
        truths = [add(name, [a, b], np.bool_) for name in COMPARED]
        options = schema.ReducerOptionsT()
        options.keepDims = False
        either = add("LOGICAL_OR", [add("LOGICAL_NOT", [truths[1]], np.bool_), truths[0]], np.bool_)
        both = add("LOGICAL_AND", [either, truths[3]], np.bool_)
        axis = writer.add_tensor("axis", (1,), np.int32, data=np.array([2], np.int32))
        add("REDUCE_ALL", [truths[4], axis], np.bool_, options=options, shape=(1, 4))
        add("SELECT_V2", [both, a, b])
        add("SELECT_V2", [both, row, b])
        add("CAST", [both], options=schema.CastOptionsT())
    else:
        real = add("DEQUANTIZE", [a], np.float32)
        add("QUANTIZE", [real])
        add("CAST", [a], np.int32, None, schema.CastOptionsT())
    for x, y in (("ADD", (column, a)), ("SUB", (column, a)), ("MUL", (column, row))):
        add(x, list(y), options=getattr(schema, f"{x.capitalize()}OptionsT")())
    return Model(writer.finish({"a": a, "b": b, "row": row, "column": column}, outputs))


@pytest.mark.slow_but(dtype=[np.int8])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32])
def test_each_op_does_what_litert_does(dtype, kernels, tmp_path):
    code = PlainC(_each_op(dtype), allow_streaming=False)
    kernels.write_beside(code, tmp_path)
    for engine in (LiteRTOpByOp, ReferenceEngine):
        kernels.check(code, tmp_path, engine=engine)


def _words(masked=False):
    """A GRU over rows of a table of 9, of which a word tells the number; word 0 is left out where it is masked."""
    writer = GraphWriter(np.int8, np.random.default_rng(3))
    words = writer.add_tensor("words", (1, 10), np.int32)
    rows = writer.add_tensor("rows", (1, 10, 4), np.int8, scale=(1 / 32, 3))
    writer.add_lookup("table", np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32), words, rows)
    outputs = {"y": writer.recurrent(rows, "GRU", return_sequences=0)}
    if masked:
        outputs["made"] = writer.add_mask(words, 0)
    return Model(writer.finish({"words": words}, outputs))


@pytest.mark.parametrize("masked", [False, True])
def test_words(masked, kernels, tmp_path):
    code = PlainC(_words(masked))
    assert code.is_streaming and code.shapes[code.inputs[0].number] == (1, 1)
    kernels.write_beside(code, tmp_path)
    for engine in (LiteRTOpByOp, ReferenceEngine):
        kernels.check(code, tmp_path, engine=engine)


class _Nearest(ReferenceEngine):
    """Takes the nearest row for a word that the table lacks."""

    def run_operator(self, op, values):
        words = self.model.input_indices[0]
        return super().run_operator(op, {**values, words: np.clip(values[words], 0, 8)})


def test_a_word_that_the_table_lacks_takes_the_nearest_row(kernels, tmp_path):
    code = PlainC(_words())
    kernels.write_beside(code, tmp_path)
    odd = np.array([-(2**31), -1, 9, 2**31 - 1, 4], np.int32).reshape(-1, 1)
    kernels.check(code, tmp_path, [[odd]], engine=_Nearest)


def test_an_op_that_lacks_an_input_is_refused():
    writer = GraphWriter(np.int8, np.random.default_rng(0))
    x = writer.input((1, 4, 3))
    y = writer.transpose(x, [0, 2, 1])
    (op,) = writer.operators
    writer.operators[:] = [replace(op, inputs=op.inputs[:1])]
    model = Model(writer.finish({"x": x}, {"y": y}))
    with pytest.raises(ValueError, match="TRANSPOSE"):
        PlainC(model)
    with pytest.raises(ValueError, match="TRANSPOSE has inputs that it cannot use"):
        ReferenceEngine(model).invoke([np.zeros((1, 4, 3), np.int8)])
