"""Models in which our ops stand among builtin ops, or keep their state."""

from dataclasses import replace

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from random_models import RandomOp, kernel_shapes, random_words

from keras_sparse_rnn.convert.litert_sparse import pack_litert_sparse
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.formats import FLOAT32, INT8
from keras_sparse_rnn.ops import OPS
from keras_sparse_rnn.ops.recurrent_schema import BACKWARDS_IN_ORDER
from keras_sparse_rnn.runtime.builtin_ops import BUILTIN_OPS
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.reference import ReferenceEngine


def between_dense_layers(all_outputs):
    """FULLY_CONNECTED, one op of ours of each kind side by side, FULLY_CONNECTED and SOFTMAX in int8.

    Args:
        all_outputs: Whether each op's result is an output of the model, or the last one alone.

    Returns:
        The bytes of the model; its input is `(1, 9, 6)`.
    """
    rng = np.random.default_rng(1)
    writer = DenseWriter()
    x = writer.add_tensor("x", (1, 9, 6), np.int8, scale=(1 / 64, 4))
    results = {"dense": writer.add_tensor("dense", (1, 9, 12), np.int8, scale=(1 / 16, -5))}
    writer.add_fully_connected(x, results["dense"], rng)
    last = results["dense"]
    for seed, kind in enumerate(OPS):
        op = small_op(kind, 12, np.int8, seed, x_zero_point=-5)
        results[kind] = writer.add_tensor(kind, (1, 9, 12), np.int8, scale=(1 / 128, -5))
        writer.add_recurrent(kind, op.op, op.constants, last, results[kind])
        last = results[kind]
    results["logits"] = writer.add_tensor("logits", (1, 9, 5), np.int8, scale=(1 / 16, 3))
    writer.add_fully_connected(last, results["logits"], rng)
    classes = writer.add_tensor("classes", (1, 9, 5), np.int8, scale=(1 / 256, -128))
    writer.add_softmax(results["logits"], classes)
    return writer.finish({"x": x}, (results if all_outputs else {}) | {"classes": classes})


def errors_op_by_op(model, x, outputs):
    """How far each op's result is from the reference's, given the same inputs: `[(op's name, largest difference)]`.

    Args:
        model: Bytes of a model with one input and every op's result among its outputs.
        x, outputs: Its input, and what an engine made of it.
    """
    model = Model(model)
    reference = ReferenceEngine(model)
    values = {i: tensor.data for i, tensor in enumerate(model.tensors)}
    values |= zip((*model.input_indices, *model.output_indices), (x, *outputs), strict=True)
    errors = []
    for op in model.operators:
        arguments = [None if i < 0 else values[i] for i in op.inputs]
        if op.is_custom:
            (expected,) = reference.run_custom(op, arguments)
        else:
            infos = [model.tensors[i] for i in op.inputs]
            expected = BUILTIN_OPS[op.name](op, arguments, infos, model.tensors[op.outputs[0]])
        errors.append((op.name, int(np.abs(expected.astype(int) - values[op.outputs[0]]).max())))
    return errors


def with_state(kind, dtype, holds=False, batch=1):
    """An op that keeps its state in variable tensors.

    Args:
        kind, dtype: Of the op.
        holds: Whether it holds its inputs, and a GRU its state.
        batch: Samples of an inference.

    Returns:
        `(bytes of the model, RandomOp)`: the model takes three steps at a time, the op holds an input of nine.
    """
    op = small_op(kind, 6, dtype, seed=3, x_zero_point=4)
    is_integer = dtype == np.int8
    if holds:
        thresholds = {"input_threshold": np.full(6, 20, np.uint8) if is_integer else np.full(6, 0.3, np.float32)}
        if kind == "KsrGru":
            thresholds["hidden_threshold"] = (
                np.full(12, 900, np.uint16) if is_integer else np.full(12, 0.03, np.float32)
            )
        held = replace(op.op, **thresholds)
        op = RandomOp(held, held.constants(), op.x, op.label)
    writer = DenseWriter()
    x = writer.add_tensor("x", (batch, 3, 6), dtype, scale=(1 / 64, 4) if is_integer else None)
    output = writer.add_tensor("y", (batch, 3, 12), dtype, scale=(1 / 128, -5) if is_integer else None)
    writer.add_recurrent("op", op.op, op.constants, x, output, stateful=True)
    return writer.finish({"x": x}, {"y": output}), op


def both_directions(dtype):
    """A GRU forwards and one backwards, in the order of the inputs, and their outputs side by side."""
    writer, scales = DenseWriter(), [(1 / 64, 4), (1 / 128, -5)] if dtype == np.int8 else [None, None]
    x, outputs = writer.add_tensor("x", (1, 9, 6), dtype, scale=scales[0]), []
    for seed, direction in enumerate((0, BACKWARDS_IN_ORDER)):
        op = small_op("KsrGru", 6, dtype, seed, x_zero_point=4).op
        op = replace(op, options=replace(op.options, go_backwards=direction))
        outputs.append(writer.add_tensor(f"y_{seed}", (1, 9, 12), dtype, scale=scales[1]))
        writer.add_recurrent(f"op_{seed}", op, op.constants(), x, outputs[-1])
    both = writer.add_tensor("both", (1, 9, 24), dtype, scale=scales[1])
    writer.add_concatenation(outputs, both)
    return writer.finish({"x": x}, {"both": both})


def sparse_fully_connected(dtype):
    """A FULLY_CONNECTED of weights in LiteRT's sparse encoding, behind a PAD."""
    rng = np.random.default_rng(0)
    writer, scales = DenseWriter(), [(1 / 64, 4), (1 / 4, -5)] if dtype == np.int8 else [None, None]
    x = writer.add_tensor("x", (1, 3, 121), dtype, scale=scales[0])
    y = writer.add_tensor("y", (1, 3, 40), dtype, scale=scales[1])
    weights = (rng.normal(0, 40, (40, 121)) * np.repeat(rng.random((40, 8)) < 0.2, 16, axis=1)[:, :121]).astype(dtype)
    bias = np.arange(40, dtype=np.int32 if dtype == np.int8 else np.float32)
    writer.add_dense(x, y, weights, bias, scale=1 / 256)
    (report,) = pack_litert_sparse(writer)
    assert "PAD" in report.stored
    return writer.finish({"x": x}, {"y": y})


def edited(model, edit):
    """The model after `edit(its schema object)`."""
    file = schema.ModelT.InitFromPackedBuf(model)
    edit(file)
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def wrong_options(file):
    """An edit: custom options that are too short."""
    file.subgraphs[0].operators[0].customOptions = file.subgraphs[0].operators[0].customOptions[:8]


def wrong_word(file):
    """An edit: blocks of a width that there is none of."""
    op = file.subgraphs[0].operators[0]
    words = np.array(op.customOptions, np.uint8).view("<i4").copy()
    words[3] = 5
    op.customOptions = words.view(np.uint8)


def short_bias(file):
    """An edit: a bias of four values."""
    graph = file.subgraphs[0]
    bias = graph.tensors[graph.operators[0].inputs[7]]
    bias.shape = [4]
    file.buffers[bias.buffer].data = file.buffers[bias.buffer].data[:16]


def sparse_constant(file):
    """An edit: the kernel's values in LiteRT's sparse encoding."""
    tensor = file.subgraphs[0].tensors[int(file.subgraphs[0].operators[0].inputs[1])]
    dimension = schema.DimensionMetadataT()
    dimension.format, dimension.denseSize = schema.DimensionType.DENSE, int(tensor.shape[0])
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder, tensor.sparsity.dimMetadata = [0], [dimension]


def unknown_op(file):
    """An edit: the op's name is one that nobody has."""
    file.operatorCodes[0].customCode = "NobodysOp"


class DenseWriter(ModelWriter):
    """A `ModelWriter` that knows builtin ops."""

    def add_fully_connected(self, x, output, rng):
        """A FULLY_CONNECTED of random int8 weights."""
        inputs, units = self.tensors[x].shape[-1], self.tensors[output].shape[-1]
        weights = rng.integers(-127, 128, (units, inputs)).astype(np.int8)
        self.add_dense(x, output, weights, rng.integers(-500, 500, units).astype(np.int32), scale=1 / 512)

    def add_dense(self, x, output, weights, bias, scale, activation=0):
        """A FULLY_CONNECTED of weights `(units, inputs)`; their scale counts in int8 alone."""
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims, options.fusedActivationFunction = True, activation
        scales = [None, None]
        if weights.dtype == np.int8:
            scales = [(scale, 0), (scale * self.tensors[x].scale, 0)]
        inputs = [
            x,
            self.add_tensor("weights", weights.shape, weights.dtype, data=weights, scale=scales[0]),
            self.add_tensor("bias", bias.shape, bias.dtype, data=bias, scale=scales[1]),
        ]
        self.add_operator("FULLY_CONNECTED", inputs, [output], options, version=4)

    def add_concatenation(self, inputs, output):
        options = schema.ConcatenationOptionsT()
        options.axis = -1
        self.add_operator("CONCATENATION", inputs, [output], options)

    def add_softmax(self, x, output):
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        self.add_operator("SOFTMAX", [x], [output], options)


def small_op(kind, inputs, dtype, seed, x_zero_point):
    """An op of 12 units and 9 steps, in which an EventGru's units fire here and there."""
    rng = np.random.default_rng(seed)
    kind, units = OPS[kind], 12
    options = {"units": units, "block": 4, "go_backwards": 0, "return_sequences": 1}
    options["format"] = INT8.number if dtype == np.int8 else FLOAT32.number
    options |= random_words(kind.SCHEMA, rng, options)
    if "readout" in options:
        options |= {"readout": 0, "reset": 1}
    if "deep" in options:
        options["deep"] = 0  # as it has a reset gate
    kernels = kernel_shapes(kind, inputs, units, options)
    shapes = [*kernels, (4, kernels[0][2]), (units,)]
    if dtype == np.float32:
        *arrays, threshold = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
        threshold = np.abs(threshold) / 4
        x = rng.normal(size=(9, inputs)).astype(np.float32)
    else:
        step = 2**-17  # of an accumulator
        options |= {f"multiplier_{slot}": round(step * 2**40) for slot in range(4)}
        options |= {"x_zero_point": x_zero_point, "x_shift": 2, "h_shift": 1, "fraction": 8}
        options |= {"operand_multiplier": 255, "operand_shift": 15, "output_multiplier": 127, "output_shift": 15}
        options |= {"output_zero_point": -5}
        arrays = [
            rng.integers(-127, 128, shapes[0]).astype(np.int8),
            rng.integers(-127, 128, shapes[1]).astype(np.int8),
            rng.integers(-(2**16), 2**16, shapes[2]).astype(np.int32),
        ]
        threshold = rng.integers(0, 4000, shapes[3]).astype(np.int16)
        x = rng.integers(-128, 128, (9, inputs)).astype(np.int8)
    if kind.SCHEMA.name == "KsrEventGru":
        arrays.append(threshold)
    op = kind(kind.SCHEMA.options(**options), *arrays)
    return RandomOp(op, op.constants(), x, kind.SCHEMA.name)
