"""Damaged and hostile models, each with a number: `mutant(number)` is the same on every machine."""

import json
import struct
from contextlib import suppress
from functools import cache

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

NOTED = ("batch_size", "time_steps", "stateful", "labels", "sparsity", "version")  # by convert, in a file's metadata
ODD = (None, -1, 2**70, 1e308, True, "x", "", [], ["a"], [1], {}, {"a": 1})
EXTREMES = (0, 1, 2, 255, -1, -2, 2**15, 2**31 - 1, -(2**31), 2**30)


def mutant(number):
    """`(bytes, label)` of model `number`."""
    rng = np.random.default_rng(number)
    bases = base_models()
    name, data = bases[number % len(bases)]
    change = CHANGES[int(rng.integers(len(CHANGES)))]
    return change(rng, data), f"{number}: {name}, {change.__name__}"


@cache
def base_inputs(number):
    """Inputs that the model takes of which `mutant(number)` was made: a dict of arrays by their names."""
    from keras_sparse_rnn.runtime.model import Model

    bases = base_models()
    inputs = Model(bases[number % len(bases)][1]).inputs
    return {tensor.name: np.ones(tensor.shape, tensor.dtype) for tensor in inputs}


@cache
def base_models():
    """Sound models to damage: each op in int8, int16 and float32, with and without state, held inputs and masks, one in
    both directions and one of a batch, one between dense layers, and dense layers in both sparse encodings."""
    from adapter_models import between_dense_layers, both_directions, sparse_fully_connected, with_state
    from gated_models import gated_model
    from random_models import KINDS, random_op
    from state_models import state_model

    models = [("between dense layers", between_dense_layers(all_outputs=False))]
    for kind in KINDS:
        for dtype in (np.int8, np.float32):
            name = f"{kind}, {np.dtype(dtype).name}"
            models.append((name, random_op(9, dtype, kind, holds=False).to_model()))
            models.append((f"{name}, holds", random_op(9, dtype, kind, holds=True).to_model()))
            models.append((f"{name}, stateful", with_state(kind, dtype)[0]))
            given = random_op(9, dtype, kind, holds=False)
            models.append((f"{name}, states and a mask as inputs", state_model(given, initial=True, mask=True)))
            models.append((f"{name}, stateful, holds, batch", with_state(kind, dtype, holds=True, batch=3)[0]))
        for bits in (8, 16):
            for holds in (False, True):
                op = random_op(145, kind=kind, holds=holds, activation_bits=bits)
                models.append((f"{kind}, int{bits}, output scales, {holds}", op.to_model(stateful=holds)))
    for dtype in (np.int8, np.float32):
        name = np.dtype(dtype).name
        models.append((f"both directions, {name}", both_directions(dtype)))
        models.append((f"KsrSparseDense, {name}", _sparse_dense(dtype)))
        models.append((f"KsrFrameGate, {name}", gated_model(random_op(9, dtype, "KsrGru"), stateful=True)[0]))
        models.append((f"SparsityParameters, {name}", sparse_fully_connected(dtype)))
    return models


def _sparse_dense(dtype):
    from keras_sparse_rnn.convert.pack import ModelWriter
    from keras_sparse_rnn.ops.sparse_dense import SparseDense

    rng = np.random.default_rng(0)
    kernel = (rng.integers(-128, 128, (12, 1, 18)) * (rng.random((12, 1, 18)) < 0.2)).astype(dtype)
    options, bias, scales = SparseDense.SCHEMA.options(units=18, block=4), np.arange(18), []
    if dtype == np.int8:
        scales = [rng.integers(0, 2**31, 18).astype(np.int32), rng.integers(35, 50, 18).astype(np.uint8)]
        options = SparseDense.SCHEMA.options(
            format=1, units=18, block=4, x_zero_point=3, output_min=-128, output_max=127
        )
    op = SparseDense(options, kernel, bias.astype(np.int32 if scales else dtype), *scales)
    writer, scale = ModelWriter(), (1.0, 0) if scales else None
    x, y = (writer.add_tensor(name, (1, 3, size), dtype, scale=scale) for name, size in (("x", 12), ("y", 18)))
    writer.add_recurrent("dense", op, op.constants(sparse=True), x, y)
    return writer.finish({"x": x}, {"y": y})


def truncated(rng, data):
    return data[: rng.integers(len(data))]


def flipped_bytes(rng, data):
    changed = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def extreme_word(rng, data):
    changed = bytearray(data)
    place = 4 * int(rng.integers(len(data) // 4))
    changed[place : place + 4] = (int(rng.choice(EXTREMES)) % 2**32).to_bytes(4, "little")
    return bytes(changed)


def _structural(change):
    """A change of the schema's objects, drawn again where its values do not fit into a file."""

    def mutate(rng, data):
        while True:
            file = schema.ModelT.InitFromPackedBuf(data)
            graph = file.subgraphs[0]
            graph.inputs, graph.outputs = np.array(graph.inputs), np.array(graph.outputs)
            for op in graph.operators:
                op.inputs, op.outputs = np.array(op.inputs), np.array(op.outputs)
            change(rng, file, graph, graph.operators[int(rng.integers(len(graph.operators)))])
            builder = flatbuffers.Builder(1024)
            with suppress(TypeError, AttributeError, struct.error):
                builder.Finish(file.Pack(builder), b"TFL3")
                return bytes(builder.Output())

    mutate.__name__ = change.__name__
    return mutate


@_structural
def wrong_tensor(rng, file, graph, op):
    numbers = op.inputs if rng.random() < 0.7 else op.outputs
    numbers[rng.integers(len(numbers))] = rng.choice(
        [-1, -2, len(graph.tensors), 2**31 - 1, rng.integers(len(graph.tensors))]
    )


@_structural
def cycle(rng, file, graph, op):
    op.inputs[rng.integers(len(op.inputs))] = op.outputs[0]


@_structural
def wrong_number_of_tensors(rng, file, graph, op):
    keep = rng.integers(0, len(op.inputs) + 8)
    op.inputs = np.resize(op.inputs, keep)
    if rng.random() < 0.2:
        op.outputs = np.resize(op.outputs, rng.integers(0, 3))


@_structural
def wrong_graph_inputs(rng, file, graph, op):
    numbers = graph.inputs if rng.random() < 0.5 else graph.outputs
    numbers[0] = rng.choice([-1, len(graph.tensors), rng.integers(len(graph.tensors))])


@_structural
def wrong_shape(rng, file, graph, op):
    tensor = _any_tensor(rng, graph, op)
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    if shape and rng.random() < 0.7:
        shape[rng.integers(len(shape))] = int(rng.choice(EXTREMES))
    else:
        shape = [int(size) for size in rng.integers(0, 9, rng.integers(0, 7))]
    tensor.shape = shape


@_structural
def wrong_type(rng, file, graph, op):
    _any_tensor(rng, graph, op).type = int(rng.integers(0, 20))


@_structural
def wrong_buffer(rng, file, graph, op):
    _any_tensor(rng, graph, op).buffer = int(rng.choice([0, len(file.buffers), rng.integers(len(file.buffers)), 2**31]))


@_structural
def wrong_variable(rng, file, graph, op):
    tensor = _any_tensor(rng, graph, op)
    tensor.isVariable = not tensor.isVariable


@_structural
def wrong_data(rng, file, graph, op):
    buffer = file.buffers[_any_tensor(rng, graph, op).buffer]
    if buffer.data is not None and len(buffer.data):
        data = np.array(buffer.data, np.uint8)
        data[rng.integers(len(data), size=rng.integers(1, 9))] = rng.choice([0, 1, 127, 128, 255])
        buffer.data = data[: rng.integers(len(data) + 1)] if rng.random() < 0.2 else data


@_structural
def sparse_encoding(rng, file, graph, op):
    tensor = _any_tensor(rng, graph, op)
    if tensor.sparsity is not None and rng.random() < 0.9:
        _damage_encoding(rng, tensor.sparsity)
        return
    dimension = schema.DimensionMetadataT()
    dimension.format, dimension.denseSize = schema.DimensionType.DENSE, int(rng.choice(EXTREMES))
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder, tensor.sparsity.dimMetadata = [int(rng.choice(EXTREMES))], [dimension]


def _damage_encoding(rng, sparsity):
    level = sparsity.dimMetadata[rng.integers(len(sparsity.dimMetadata))]
    vectors = [vector for vector in (level.arraySegments, level.arrayIndices) if vector is not None]
    if vectors and rng.random() < 0.8:
        vector = vectors[rng.integers(len(vectors))]
        values = np.array(vector.values)
        values[rng.integers(len(values))] = rng.integers(np.iinfo(values.dtype).max, endpoint=True)
        vector.values = values[: rng.integers(len(values) + 1)] if rng.random() < 0.2 else values
    elif rng.random() < 0.5:
        level.denseSize = int(rng.choice(EXTREMES))
    elif rng.random() < 0.5:
        level.format = 1 - level.format
    else:
        sparsity.traversalOrder = rng.permutation(sparsity.traversalOrder)


@_structural
def wrong_options(rng, file, graph, op):
    if op.customOptions is not None:
        words = np.frombuffer(bytes(op.customOptions), "<i4").copy()
        words[rng.integers(len(words))] = rng.choice(EXTREMES)
        op.customOptions = np.frombuffer(words.tobytes(), np.uint8)


@_structural
def foreign_options(rng, file, graph, op):
    op.customOptions = rng.integers(0, 256, rng.integers(0, 200)).astype(np.uint8)


@_structural
def foreign_op(rng, file, graph, op):
    from keras_sparse_rnn.ops import ALL_OPS

    names = [*(name.encode() for name in ALL_OPS), b"NobodysOp", b"", b"\xff\xfe"]
    file.operatorCodes[op.opcodeIndex].customCode = names[rng.integers(len(names))]


@_structural
def wrong_code(rng, file, graph, op):
    op.opcodeIndex = int(rng.choice([len(file.operatorCodes), 2**31 - 1, 0]))


def metadata(rng, data):
    from hostile_files import with_metadata

    size = int(rng.choice([1, 10, 1000, 10**5]))
    kinds = [b"[" * size, b'{"a":' * size, b"9" * size, b'"' + b"x" * size + b'"', b"null", b"", rng.bytes(size)]
    kinds += [json.dumps({name: value}).encode() for name in NOTED for value in ODD]
    return with_metadata(kinds[rng.integers(len(kinds))], data)


@_structural
def any_field(rng, file, graph, op):
    """One field of any table in the file, of those too that nothing here reads."""
    table, name, value = _drawn_field(rng, file)
    setattr(table, name, _changed(rng, value))


@_structural
def many_of_one(rng, file, graph, op):
    """One table, such as a tensor, in the place of very many."""
    from hostile_files import Once

    vectors = [field for field in _fields(file) if isinstance(field[2], list) and field[2]]
    table, name, value = vectors[rng.integers(len(vectors))]
    if hasattr(value[0], "Pack"):
        setattr(
            table, name, [*value, *[Once(value[rng.integers(len(value))])] * int(rng.choice([1, 100, 10**4, 10**5]))]
        )


@_structural
def long_vector(rng, file, graph, op):
    """A list of numbers, such as a shape, that is very long."""
    vectors = [field for field in _fields(file) if isinstance(field[2], np.ndarray) and field[2].size]
    table, name, value = vectors[rng.integers(len(vectors))]
    setattr(table, name, np.resize(value, int(rng.choice([1, 9, 100, 10**4, 10**6]))))


def _drawn_field(rng, file):
    """A table of any kind first, so that options are drawn as often as tensors, of which there are more."""
    fields = _fields(file)
    kinds = sorted({type(table).__name__ for table, _, _ in fields})
    kind = kinds[rng.integers(len(kinds))]
    fields = [field for field in fields if type(field[0]).__name__ == kind]
    return fields[rng.integers(len(fields))]


def _fields(table):
    """`(table, name, value)` of each field of a table, and of the tables in it."""
    found = []
    for name, value in vars(table).items():
        found.append((table, name, value))
        for inner in value if isinstance(value, list) else [value]:
            found += _fields(inner) if hasattr(inner, "Pack") else []
    return found


def _changed(rng, value):
    if isinstance(value, (bool, np.bool_)):
        return not value
    if isinstance(value, (int, np.integer)):
        return int(rng.choice(EXTREMES)) if rng.random() < 0.7 else int(value) + int(rng.choice([-1, 1]))
    if isinstance(value, (float, np.floating)):
        return float(rng.choice([0, -1, 1e-45, 1e38, np.inf, -np.inf, np.nan]))
    if isinstance(value, (bytes, str)):
        texts = [b"", b"\xff\xfe", b"\x1b[2J", b"../../x", b'"; system("x"); "', b"x" * 10**5, b"<script>"]
        return texts[rng.integers(len(texts))]
    if isinstance(value, np.ndarray) and value.size:
        changed = np.resize(value, int(rng.choice([0, value.size, value.size + 1, 2 * value.size])))
        if changed.size:
            extreme = np.array(int(rng.choice(EXTREMES)), np.int64).astype(value.dtype)
            largest = np.inf if value.dtype.kind == "f" else value.dtype.kind == "b" or np.iinfo(value.dtype).max
            changed[rng.integers(changed.size)] = extreme if rng.random() < 0.8 else largest
        return changed
    if isinstance(value, list) and value:
        return (
            [] if rng.random() < 0.3 else value[: rng.integers(len(value))] if rng.random() < 0.5 else [*value, *value]
        )
    return None


CHANGES = (
    *(truncated, flipped_bytes, extreme_word, wrong_tensor, cycle, wrong_number_of_tensors, wrong_graph_inputs),
    *(wrong_shape, wrong_type, wrong_buffer, wrong_variable, wrong_data, sparse_encoding),
    *(wrong_options, foreign_options, foreign_op, wrong_code),
    *(metadata, any_field, many_of_one, long_vector),
)


def _any_tensor(rng, graph, op):
    used = [int(i) for i in (*op.inputs, *op.outputs) if 0 <= i < len(graph.tensors)]
    return graph.tensors[used[rng.integers(len(used))]]
