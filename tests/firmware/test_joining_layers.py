"""Ops of several inputs in plain C, held to LiteRT and to NumPy."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from random_graphs import LiteRTOpByOp

from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.reference import ReferenceEngine

pytestmark = pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
RELU, NONE = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.NONE


def _options(kind, activation=NONE, axis=None):
    options = getattr(schema, f"{kind}OptionsT")()
    options.fusedActivationFunction = activation
    if axis is not None:
        options.axis = axis
    return options


def _joined(dtype, constant_of_steps=False):
    """Sums, products and differences with tensors and constants, and tensors side by side."""
    writer = ModelWriter()
    kinds = {np.int8: [(0.02, 5), (0.03, -9), (0.05, 3), (0.013, 0)], np.int16: [(1e-4, 0), (2e-4, 0), (3e-4, 0)]}
    scales = iter(kinds.get(dtype, []) * 4)

    def tensor(name, shape, data=None, scale=None):
        scale = None if dtype == np.float32 else scale or next(scales)
        return writer.add_tensor(name, shape, dtype, data=data, scale=scale)

    def constant(name, shape):
        values = np.random.default_rng(len(shape)).integers(-100, 100, shape)
        return tensor(name, shape, (values / 50).astype(dtype) if dtype == np.float32 else values.astype(dtype))

    a, b = tensor("a", (1, 10, 6)), tensor("b", (1, 10, 6))
    total, product, moved = (tensor(name, (1, 10, 6)) for name in ("sum", "product", "moved"))
    writer.add_operator("ADD", [a, b], [total], _options("Add", RELU))
    writer.add_operator("MUL", [total, b], [product], _options("Mul"))
    shape = (1, 10, 6) if constant_of_steps else (6,)
    writer.add_operator("SUB", [product, constant("rows", shape)], [moved], _options("Sub"))
    scale = None if dtype == np.float32 else (writer.tensors[moved].scale, writer.tensors[moved].zero_point)
    halved = tensor("halved", (1, 10, 6), scale=scale)
    writer.add_operator("MUL", [constant("half", ()), moved], [halved], _options("Mul"))
    beside = tensor("beside", (1, 10, 12), scale=scale)
    writer.add_operator("CONCATENATION", [moved, halved], [beside], _options("Concatenation", axis=2))
    return Model(writer.finish({"a": a, "b": b}, {"beside": beside}))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32])
def test_what_litert_does(dtype, kernels, tmp_path):
    code = PlainC(_joined(dtype))
    assert code.is_streaming and code.call == "model_step"
    kernels.write_beside(code, tmp_path)
    for engine in (LiteRTOpByOp, ReferenceEngine):
        kernels.check(code, tmp_path, engine=engine)


@pytest.mark.parametrize("axis", [1, 3])
def test_tensors_along_an_axis_of_their_own(axis, kernels, tmp_path):
    writer, options = ModelWriter(), schema.PackOptionsT()
    options.axis, options.valuesCount = axis, 2
    a, b = (writer.add_tensor(name, (1, 4, 6), np.int8, scale=(0.02, 5)) for name in "ab")
    shape = np.insert((1, 4, 6), axis, 2)
    y = writer.add_tensor("y", tuple(shape.tolist()), np.int8, scale=(0.02, 5))
    writer.add_operator("PACK", [a, b], [y], options)
    code = PlainC(Model(writer.finish({"a": a, "b": b}, {"y": y})))
    kernels.write_beside(code, tmp_path)
    for engine in (LiteRTOpByOp, ReferenceEngine):
        kernels.check(code, tmp_path, engine=engine)


def test_a_constant_for_each_step_ends_a_stream(kernels, tmp_path):
    code = PlainC(_joined(np.int8, constant_of_steps=True))
    assert "a constant for each step" in code.obstacle
    kernels.write_beside(code, tmp_path)
    kernels.check(code, tmp_path)
