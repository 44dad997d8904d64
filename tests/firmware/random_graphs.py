"""Random graphs of recurrent and builtin ops, and LiteRT one op at a time."""

from dataclasses import replace

import flatbuffers
import numpy as np
from adapter_models import DenseWriter
from ai_edge_litert import schema_py_generated as schema
from random_models import random_op

from keras_sparse_rnn.ops import OPS
from keras_sparse_rnn.runtime.litert import LiteRTEngine
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.native import NativeOp

KINDS = {
    "EventGRU": ("KsrEventGru", False),
    "held EventGRU": ("KsrEventGru", True),
    "GRU": ("KsrGru", False),
    "DeltaGRU": ("KsrGru", True),
    "LSTM": ("KsrLstm", False),
    "DeltaLSTM": ("KsrLstm", True),
    "ONLSTM": ("KsrOnLstm", False),
    "SimpleRNN": ("KsrSimpleRnn", False),
    "DeltaSimpleRNN": ("KsrSimpleRnn", True),
}


class GraphWriter(DenseWriter):
    """Writes graphs op by op; each method returns the number of the tensor that its op makes.

    Args:
        dtype: Of activations, np.int8 or np.float32.
        rng: Draws weights.
        stateful: Whether recurrent ops keep their states in variable tensors.
    """

    def __init__(self, dtype, rng, stateful=False):
        super().__init__()
        self._dtype, self._rng, self._stateful = dtype, rng, stateful
        self._count = 0

    def input(self, shape):
        return self._tensor(shape, (1 / 32, int(self._rng.integers(-20, 20))))

    def dense(self, x, units, activation=schema.ActivationFunctionType.NONE):
        shape, rng = self.tensors[x].shape, self._rng
        inputs = shape[-1]
        if self._dtype == np.float32:
            weights = (rng.normal(size=(units, inputs)) / np.sqrt(inputs)).astype(np.float32)
            bias, scale = rng.normal(size=units).astype(np.float32), 1.0
        else:
            weights = rng.integers(-127, 128, (units, inputs)).astype(np.int8)
            bias, scale = rng.integers(-300, 300, units).astype(np.int32), 1 / (64 * np.sqrt(inputs))
        y = self._tensor((*shape[:-1], units), (1 / 24, int(rng.integers(-20, 20))))
        self.add_dense(x, y, weights, bias, scale, activation)
        return y

    def recurrent(self, x, kind, **options):
        """A random op of one of `KINDS` on x, `(1, steps, inputs)`; the options are those of its `RecurrentOptions`."""
        name, holds = KINDS[kind]
        _, steps, inputs = self.tensors[x].shape
        while True:
            drawn = random_op(int(self._rng.integers(2**31)), self._dtype, name, holds, inputs=inputs).op
            if self._dtype == np.int8:
                options["x_zero_point"] = self.tensors[x].zero_point
            changed = replace(drawn.options, **({"go_backwards": 0} | options))
            op = replace(drawn, options=changed)
            constants, units = op.constants(), changed.units
            shape = (1, steps, units) if changed.return_sequences else (1, units)
            try:
                tensors = {"x": np.zeros((1, steps, inputs), self._dtype), **constants}
                NativeOp(name, changed.to_bytes(), op.SCHEMA.placed(tensors), [(shape, np.dtype(self._dtype))])
                break
            except ValueError:  # biases that do not fit with this zero point, for instance
                continue
        y = self._tensor(shape, (1 / 128, getattr(changed, "output_zero_point", 0)))
        self.add_recurrent(f"op_{y}", op, constants, x, y, stateful=self._stateful)
        return y

    def reshape(self, x, shape):
        return self._moved("RESHAPE", x, shape, np.array(shape, np.int32), schema.ReshapeOptionsT())

    def expand_dims(self, x, axis):
        shape = list(self.tensors[x].shape)
        shape.insert(axis, 1)
        return self._moved("EXPAND_DIMS", x, shape, np.array(axis, np.int32), schema.ExpandDimsOptionsT())

    def squeeze(self, x, axis):
        options = schema.SqueezeOptionsT()
        options.squeezeDims = [axis]
        shape = [size for i, size in enumerate(self.tensors[x].shape) if i != axis]
        return self._moved("SQUEEZE", x, shape, None, options)

    def mean(self, x, axes, keep_dims, name="MEAN"):
        options = schema.ReducerOptionsT()
        options.keepDims = keep_dims
        shape = [1 if i in axes else size for i, size in enumerate(self.tensors[x].shape)]
        if not keep_dims:
            shape = [size for i, size in enumerate(shape) if i not in axes]
        scale = (1 / 48, int(self._rng.integers(-20, 20)))
        if name == "REDUCE_MAX":
            scale = (self.tensors[x].scale, self.tensors[x].zero_point)
        y = self._tensor(shape, scale)
        self.add_operator(name, [x, self._constant(np.array(axes, np.int32))], [y], options)
        return y

    def softmax(self, x):
        y = self._tensor(self.tensors[x].shape, (1 / 256, -128))
        self.add_softmax(x, y)
        return y

    def unary(self, name, x):
        scales = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
        y = self._tensor(self.tensors[x].shape, scales.get(name, (1 / 24, int(self._rng.integers(-20, 20)))))
        self.add_operator(name, [x], [y])
        return y

    def convolution(self, x, outputs, size, *, dilation=1, stride=1, padding=schema.Padding.VALID, multiplier=None):
        """Over the next to last axis of x, (1, 1, steps, channels); depth-wise with a multiplier."""
        rng, channels = self._rng, self.tensors[x].shape[3]
        name = "CONV_2D" if multiplier is None else "DEPTHWISE_CONV_2D"
        options = schema.Conv2DOptionsT() if multiplier is None else schema.DepthwiseConv2DOptionsT()
        options.padding, options.strideH, options.strideW = padding, 1, stride
        options.dilationHFactor, options.dilationWFactor = 1, dilation
        options.fusedActivationFunction = int(rng.choice([0, 1]))
        shape = (outputs, 1, size, channels)
        if multiplier is not None:
            outputs, options.depthMultiplier = channels * multiplier, multiplier
            shape = (1, 1, size, outputs)
        if self._dtype == np.float32:
            weights = (rng.normal(size=shape) / np.sqrt(size * channels)).astype(np.float32)
            bias, scale, bias_scale = rng.normal(size=outputs).astype(np.float32), None, None
        else:
            weights = rng.integers(-127, 128, shape).astype(np.int8)
            bias, scale = rng.integers(-300, 300, outputs).astype(np.int32), (1 / (64 * np.sqrt(size * channels)), 0)
            bias_scale = (self.tensors[x].scale * scale[0], 0)
        numbers = [
            x,
            self.add_tensor(f"weights_{self._number()}", shape, weights.dtype, data=weights, scale=scale),
            self.add_tensor(f"bias_{self._number()}", (outputs,), bias.dtype, data=bias, scale=bias_scale),
        ]
        return self._windows(name, numbers, options, size, outputs, (1 / 24, int(rng.integers(-20, 20))), dilation)

    def pool(self, name, x, size, stride, padding):
        options = schema.Pool2DOptionsT()
        options.padding, options.strideH, options.strideW = padding, 1, stride
        options.filterHeight, options.filterWidth = 1, size
        tensor = self.tensors[x]
        return self._windows(name, [x], options, size, tensor.shape[3], (tensor.scale, tensor.zero_point))

    def _windows(self, name, inputs, options, size, outputs, scale, dilation=1):
        batch, height, steps, _ = self.tensors[inputs[0]].shape
        if options.padding == schema.Padding.VALID:
            steps -= (size - 1) * dilation
        y = self._tensor((batch, height, -(-steps // options.strideW), outputs), scale)
        self.add_operator(name, inputs, [y], options)
        return y

    def pad(self, x, axis, before, after=0):
        widths = np.zeros((len(self.tensors[x].shape), 2), np.int32)
        widths[axis] = before, after
        shape = np.add(self.tensors[x].shape, widths.sum(axis=1)).tolist()
        return self._moved("PAD", x, shape, widths, schema.PadOptionsT())

    def transpose(self, x, order):
        shape = [self.tensors[x].shape[axis] for axis in order]
        return self._moved("TRANSPOSE", x, shape, np.array(order, np.int32), schema.TransposeOptionsT())

    def last(self, x):
        """x[:, -1]."""
        options, shape = schema.StridedSliceOptionsT(), self.tensors[x].shape
        options.beginMask = options.endMask = 0b11111 & ~2
        options.shrinkAxisMask = 2
        count = len(shape)
        bounds = [np.array([0, -1, *[0] * (count - 2)], np.int32), np.zeros(count, np.int32), np.ones(count, np.int32)]
        y = self._tensor((shape[0], *shape[2:]), (self.tensors[x].scale, self.tensors[x].zero_point))
        self.add_operator("STRIDED_SLICE", [x, *map(self._constant, bounds)], [y], options)
        return y

    def repeat(self, x, times):
        """(1, n) as (1, times, n)."""
        size = self.tensors[x].shape[-1]
        y = self.expand_dims(x, 1)
        shape = np.array([1, times, size], np.int32)
        return self._moved("BROADCAST_TO", y, shape.tolist(), shape, schema.BroadcastToOptionsT(), version=2)

    def matmul(self, a, b, adjoint):
        options = schema.BatchMatMulOptionsT()
        options.adjY = adjoint
        rows, columns = self.tensors[a].shape[-2], self.tensors[b].shape[-2 if adjoint else -1]
        y = self._tensor((*self.tensors[a].shape[:-2], rows, columns), (1 / 16, int(self._rng.integers(-20, 20))))
        self.add_operator("BATCH_MATMUL", [a, b], [y], options)
        return y

    def _moved(self, name, x, shape, operand, options, version=1):
        y = self._tensor(shape, (self.tensors[x].scale, self.tensors[x].zero_point))
        inputs = [x] if operand is None else [x, self._constant(operand)]
        self.add_operator(name, inputs, [y], options, version=version)
        return y

    def _constant(self, values):
        return self.add_tensor(f"constant_{self._number()}", values.shape, values.dtype, data=values)

    def _tensor(self, shape, scale):
        scale = scale if self._dtype == np.int8 else None
        return self.add_tensor(f"tensor_{self._number()}", tuple(shape), self._dtype, scale=scale)

    def _number(self):
        self._count += 1
        return self._count


def random_graph(rng, dtype, stateful, several):
    """A graph of 2 to 7 ops.

    Args:
        rng: Draws it.
        dtype, stateful: As `GraphWriter` takes them.
        several: Whether it may have several inputs and outputs.

    Returns:
        `(bytes of the model, what it is made of)`.
    """
    writer, made = GraphWriter(dtype, rng, stateful), []
    steps = int(rng.integers(1, 8))
    inputs = [writer.input((1, steps, int(rng.integers(1, 13))))]
    while several and rng.random() < 0.4:
        inputs.append(writer.input([(1, steps, 6), (1, 5), (1, steps, 2, 3)][rng.integers(3)]))
    tensors, unread = list(inputs), set(inputs)
    for number in range(int(rng.integers(2, 8))):
        # Rather on with the last one than a branch, and a recurrent op rather early.
        x = tensors[-1] if number and (not several or rng.random() < 0.7) else tensors[rng.integers(len(tensors))]
        y, name = _random_op(writer, rng, x, prefers_recurrent=number < 2)
        made.append(f"{x} -> {name} -> {y} {writer.tensors[y].shape}")
        tensors.append(y)
        unread = unread - {x} | {y}
    unread -= set(inputs)
    outputs = {f"output {i}": y for i, y in enumerate(sorted(unread if several else unread | {tensors[-1]}))}
    return writer.finish({f"input {i}": x for i, x in enumerate(inputs)}, outputs), made


def _random_op(writer, rng, x, prefers_recurrent):
    """Adds an op that x allows; its tensor and what to call it."""
    shape = writer.tensors[x].shape
    can = ["dense", "dense", "reshape", "unary", "expand_dims", "squeeze", "softmax", "mean", "window", "move"]
    if len(shape) == 3 and shape[0] == 1:
        can += ["recurrent"] * (30 if prefers_recurrent else 4)
    while True:
        kind = can[rng.integers(len(can))]
        if kind == "dense":
            activation = int(rng.choice([0, 1, 3]))
            return writer.dense(x, int(rng.integers(1, 10)), activation), f"dense {activation}"
        if kind == "recurrent":
            name, sequences = str(rng.choice(list(KINDS))), int(rng.random() < 0.6)
            backwards = int(rng.integers(2 + sequences)) if rng.random() < 0.2 else 0
            y = writer.recurrent(x, name, return_sequences=sequences, go_backwards=backwards)
            return y, f"{name}, sequences {sequences}, backwards {backwards}"
        if kind == "reshape":
            return writer.reshape(x, _factors(rng, int(np.prod(shape)))), "reshape"
        if kind == "unary":
            name = str(rng.choice(["RELU", "RELU6", "LOGISTIC", "TANH", "ABS"]))
            return writer.unary(name, x), name
        if kind == "expand_dims" and len(shape) < 4:
            return writer.expand_dims(x, int(rng.integers(len(shape) + 1))), "expand_dims"
        if kind == "squeeze" and len(shape) > 2 and 1 in shape:
            return writer.squeeze(x, int(rng.choice([i for i, size in enumerate(shape) if size == 1]))), "squeeze"
        if kind == "softmax":
            return writer.softmax(x), "softmax"
        if kind == "mean" and len(shape) > 2:
            first = int(rng.integers(1, len(shape)))
            axes = list(range(first, int(rng.integers(first + 1, len(shape) + 1))))
            keep_dims = len(axes) == len(shape) - 1 or bool(rng.integers(2))
            name = str(rng.choice(["MEAN", "MEAN", "SUM", "REDUCE_MAX"]))
            return writer.mean(x, axes, keep_dims, name), f"{name} {axes}"
        if kind == "window" and len(shape) == 3 and shape[0] == 1:
            return _random_window(writer, rng, x)
        if kind == "move" and len(shape) == 2 and shape[0] == 1:
            return writer.repeat(x, int(rng.integers(1, 5))), "repeat"
        if kind == "move" and len(shape) == 3:
            if rng.random() < 0.2 and shape[0] == 1:
                return writer.matmul(x, x, True), "x x'"
            if rng.random() < 0.5:
                return writer.last(x), "last step"
            order = rng.permutation(3).tolist()
            return writer.transpose(x, order), f"transpose {order}"


def _random_window(writer, rng, x):
    """A convolution or pooling over axis 1, mostly a causal one."""
    steps, size, dilation = writer.tensors[x].shape[1], int(rng.integers(1, 4)), int(rng.integers(1, 3))
    kind = str(rng.choice(["CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"]))
    stride, padding = int(rng.random() < 0.2) + 1, schema.Padding.SAME
    is_causal = rng.random() < 0.7
    if is_causal:
        stride, padding = 1, schema.Padding.VALID
        x = writer.pad(x, 1, (size - 1) * (dilation if "CONV" in kind else 1))
    dilation = dilation if stride == 1 else 1
    lifted = writer.expand_dims(x, 1)
    if "POOL" in kind:
        y = writer.pool(kind, lifted, size, stride, padding)
    else:
        multiplier = int(rng.integers(1, 3)) if kind.startswith("DEPTH") else None
        options = {"dilation": dilation, "stride": stride, "padding": padding, "multiplier": multiplier}
        y = writer.convolution(lifted, int(rng.integers(1, 7)), size, **options)
    return writer.squeeze(y, 1), f"{kind} of {size} over {steps} steps, causal {is_causal}"


def _factors(rng, size):
    """A shape of so many values."""
    shape = [1] if rng.random() < 0.8 else []
    for _ in range(int(rng.integers(1, 3))):
        divisors = [d for d in range(1, size + 1) if size % d == 0]
        shape.append(int(rng.choice(divisors)))
        size //= shape[-1]
    return (*shape, size)


class LiteRTOpByOp:
    """LiteRT, each op of a model in an interpreter of its own, as `host_check.check` takes an engine."""

    def __init__(self, model):
        self._engines = {op: LiteRTEngine(Model(_alone(model, number))) for number, op in enumerate(model.operators)}

    def run_operator(self, op, values):
        engine = self._engines[op]
        return engine.invoke([values[int(tensor.name)] for tensor in engine.inputs])


def _alone(model, number):
    """The bytes of a model of one op; its inputs have their numbers as names."""
    file = schema.ModelT.InitFromPackedBuf(model.data)
    graph, op = file.subgraphs[0], model.operators[number]
    graph.operators = [graph.operators[number]]
    computed = [i for i in op.inputs if i >= 0 and model.tensors[i].data is None and not model.tensors[i].is_variable]
    graph.inputs, graph.outputs = list(dict.fromkeys(computed)), list(op.outputs)
    for i in computed:
        graph.tensors[i].name = str(i)
    file.signatureDefs = []
    for tensor in graph.tensors:
        if tensor.isVariable and graph.tensors.index(tensor) not in op.inputs:
            tensor.isVariable = False
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


assert set(OPS) == {name for name, _ in KINDS.values()}
