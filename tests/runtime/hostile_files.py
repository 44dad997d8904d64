"""Files that were made to do harm: small, and asking for much."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
from adapter_models import DenseWriter, edited
from ai_edge_litert import schema_py_generated as schema
from random_models import random_op

from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.runtime.model import METADATA


def with_metadata(raw, model=None):
    """A sound model, with these bytes as what `convert` noted."""

    def edit(file):
        entry, buffer = schema.MetadataT(), schema.BufferT()
        buffer.data = np.frombuffer(raw, np.uint8)
        entry.name, entry.buffer = METADATA, len(file.buffers)
        file.buffers.append(buffer)
        file.metadata = [entry]

    return edited(model or random_op(5).to_model(), edit)


def zeros(size):
    return b"\0\0\0\0TFL3" + bytes(size)


def data_beyond_the_end():
    """A sound model but for the length of a constant, which leads out of the file."""
    data = bytearray(random_op(0).to_model())
    buffers = schema.Model.GetRootAs(data, 0)
    table = next(b for i in range(buffers.BuffersLength()) if (b := buffers.Buffers(i)).DataLength())._tab
    length = table.Vector(table.Offset(4)) - 4
    data[length : length + 4] = (2**31 - 1).to_bytes(4, "little")
    return bytes(data)


def many_large_tensors(count=2000, size=2**29 - 1):
    """A chain of RELU over tensors of `size` float32 values each."""
    writer = ModelWriter()
    tensors = [writer.add_tensor(f"t{i}", (size,), np.float32) for i in range(count)]
    for x, y in pairwise(tensors):
        writer.add_operator("RELU", [x], [y])
    return writer.finish({"x": tensors[0]}, {"y": tensors[-1]})


class Once:
    """A table that is packed once, however often it is packed."""

    def __init__(self, table):
        self._table, self._offsets = table, {}

    def Pack(self, builder):  # noqa: N802
        if id(builder) not in self._offsets:
            self._offsets[id(builder)] = self._table.Pack(builder)
        return self._offsets[id(builder)]


def one_table_as_many(part, count):
    """A sound model in which one of its tensors, ops, ... stands `count` times more.

    Args:
        part: "tensors", "operators", "buffers" or "subgraphs".
    """

    def edit(file):
        owner = file.subgraphs[0] if part in ("tensors", "operators") else file
        tables = list(getattr(owner, part) or [])
        once = Once(tables[-1])
        setattr(owner, part, [*tables[:-1], *[once] * (1 + count)])

    return edited(random_op(5).to_model(), edit)


class _OneVector(schema.OperatorT):
    """Ops that share one vector of inputs."""

    shared: ClassVar[dict] = {}

    def Pack(self, builder):  # noqa: N802
        if id(builder) not in self.shared:
            self.shared[id(builder)] = builder.CreateNumpyVector(np.asarray(self.inputs, np.int32))
        schema.OperatorStart(builder)
        schema.OperatorAddInputs(builder, self.shared[id(builder)])
        return schema.OperatorEnd(builder)


def one_vector_as_many(ops=2000, length=250_000):
    """Ops whose inputs are one and the same vector of numbers."""

    def edit(file):
        op = _OneVector()
        op.inputs = np.zeros(length, np.int32)
        file.subgraphs[0].operators += [op] * ops

    return edited(random_op(5).to_model(), edit)


def long_name(size):
    def edit(file):
        file.subgraphs[0].tensors[0].name = "x" * size

    return edited(random_op(5).to_model(), edit)


def empty_matrix(sources=60_000, units=60_000):
    """A KsrGru of matrices without a weight, which a kernel could run: with its zeros it has 10,800,000,000."""
    op_schema = ALL_OPS["KsrGru"].SCHEMA
    arrays = {"bias": np.zeros(4 * -(-units // 16) * 16, np.float32)}
    for name, rows in (("kernel", sources), ("recurrent_kernel", units)):
        begins = np.zeros(rows + 1, np.uint16)
        begins[-1] = 1
        arrays |= {name: np.zeros(16, np.float32), f"{name}_index": np.zeros(1, np.uint8), f"{name}_rows": begins}

    class Op:
        SCHEMA, options = op_schema, op_schema.options(units=units, block=16)

    writer = ModelWriter()
    x, y = writer.add_tensor("x", (1, 1, sources), np.float32), writer.add_tensor("y", (1, units), np.float32)
    writer.add_recurrent("gru", Op, arrays, x, y)
    return writer.finish({"x": x}, {"y": y})


def sparse_constant(rows=2**14, columns=2**14, version=8):
    """A FULLY_CONNECTED, of a version, of weights with one value in LiteRT's sparse encoding."""
    writer = ModelWriter()
    x, y = writer.add_tensor("x", (1, columns), np.float32), writer.add_tensor("y", (1, rows), np.float32)
    weights = writer.add_tensor("weights", (rows, columns), np.float32, data=np.zeros(1, np.float32))
    levels = [schema.DimensionMetadataT(), schema.DimensionMetadataT()]
    levels[0].format, levels[0].denseSize = schema.DimensionType.DENSE, rows
    levels[1].format = schema.DimensionType.SPARSE_CSR
    segments, indices = schema.Int32VectorT(), schema.Int32VectorT()
    segments.values = np.minimum(np.arange(rows + 1), 1).astype(np.int32)
    indices.values = np.zeros(1, np.int32)
    levels[1].arraySegmentsType = levels[1].arrayIndicesType = schema.SparseIndexVector.Int32Vector
    levels[1].arraySegments, levels[1].arrayIndices = segments, indices
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap, sparsity.dimMetadata = [0, 1], [], levels
    writer.tensors[weights] = replace(writer.tensors[weights], sparsity=sparsity)
    writer.add_operator("FULLY_CONNECTED", [x, weights], [y], schema.FullyConnectedOptionsT(), version=version)
    return writer.finish({"x": x}, {"y": y})


def outer_sum(size=200_000):
    """An ADD of a column and a row whose result its file says to be small."""
    writer = ModelWriter()
    x = writer.add_tensor("x", (1, size), np.float32)
    column = writer.add_tensor("column", (size, 1), np.float32, data=np.zeros((size, 1), np.float32))
    y = writer.add_tensor("y", (1, size), np.float32)
    writer.add_operator("ADD", [x, column], [y], schema.AddOptionsT())
    return writer.finish({"x": x}, {"y": y})


def concatenation_of_one(size=100_000, count=20_000):
    """A CONCATENATION of one tensor with itself, many times, whose result its file says to be small."""
    writer = DenseWriter()
    x, y = writer.add_tensor("x", (1, size), np.float32), writer.add_tensor("y", (1, size), np.float32)
    writer.add_concatenation([x] * count, y)
    return writer.finish({"x": x}, {"y": y})


NOT_READ = {
    "zeros": lambda: zeros(10**6),
    "very many tensors that are one": lambda: one_table_as_many("tensors", 300_000),
    "very many ops that are one": lambda: one_table_as_many("operators", 300_000),
    "very many buffers that are one": lambda: one_table_as_many("buffers", 300_000),
    "very many graphs that are one": lambda: one_table_as_many("subgraphs", 300_000),
    "ops with one vector of inputs": one_vector_as_many,
    "a long name": lambda: long_name(10**6),
    "data beyond the end": data_beyond_the_end,
}
NOT_RUN = {
    "nested metadata": lambda: with_metadata(b"[" * 100_000 + b"]" * 100_000),
    "metadata of a megabyte": lambda: with_metadata(b'{"labels": [' + b'"",' * 500_000 + b'""]}'),
    "metadata that are no text": lambda: with_metadata(b"\xff\xfe\0"),
    "metadata that are a list": lambda: with_metadata(b"[1, 2]"),
    "metadata that are a number": lambda: with_metadata(b"1" * 5000),
    "metadata with a word for a number": lambda: with_metadata(json.dumps({"batch_size": "many"}).encode()),
    "metadata with a number for a flag": lambda: with_metadata(json.dumps({"stateful": 1}).encode()),
    "metadata with a dict for the labels": lambda: with_metadata(json.dumps({"labels": [{}]}).encode()),
    "many large tensors": lambda: many_large_tensors(count=200),
}
