"""A converted model as C99 with static buffers, without an interpreter."""

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.firmware.buffers import Buffers
from keras_sparse_rnn.firmware.c_source import C_TYPES, array, comment
from keras_sparse_rnn.firmware.c_tensors import CTensor, c_tensors
from keras_sparse_rnn.firmware.core_files import core_include, core_symbols
from keras_sparse_rnn.firmware.elementwise_layers import ELEMENTWISE, elementwise_call
from keras_sparse_rnn.firmware.joining_layers import JOINING, joining_call
from keras_sparse_rnn.firmware.layers import LAYERS, changes_the_type, is_table, layer_call
from keras_sparse_rnn.firmware.moving_layers import MOVING, history_call, moving_call, padding
from keras_sparse_rnn.firmware.names import c_identifier, distinct, model_name
from keras_sparse_rnn.firmware.op_layers import Operand, op_layer
from keras_sparse_rnn.firmware.rendering import render
from keras_sparse_rnn.firmware.skipped_steps import before_gate
from keras_sparse_rnn.firmware.sources import features_of
from keras_sparse_rnn.firmware.time_axis import follow_time
from keras_sparse_rnn.firmware.window_layers import WINDOWS, window_call
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.engine import refuse_sparse_encodings
from keras_sparse_rnn.runtime.native import NativeOp
from keras_sparse_rnn.runtime.operands import check_operands
from keras_sparse_rnn.runtime.threshold_scale import hold_thresholds


@dataclass(frozen=True)
class Parameter:
    """An input or an output in the functions of a model.

    Attributes:
        name: `x` or `y`; if there are several, `x_NAME` or `y_NAME` with the names of the tensors.
        tensor: The `TensorInfo`, with its shape in the file.
        c: Its `CTensor`.
        number: Number of the tensor in the model; its values are in the static array `tensor_NUMBER`.
        size: Number of values in one call of `PlainC.call`.
        steps: Calls per sequence: its time steps if the model takes one step per call, otherwise 1.
    """

    name: str
    tensor: TensorInfo
    c: CTensor
    number: int
    size: int
    steps: int

    @property
    def c_type(self):
        return C_TYPES[self.tensor.dtype]

    @property
    def bytes(self):
        """Of one call."""
        return self.size * self.tensor.dtype.itemsize

    @property
    def buffer(self):
        return f"tensor_{self.number}"


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of held values that are scaled at run time.

    Attributes:
        name: Of the constant array; the scaled ones are in `NAME_now`.
        kind: Ending of the function that scales them.
        size: Their number.
    """

    name: str
    kind: str
    size: int


@dataclass(frozen=True)
class State:
    """A state in the static struct `states`.

    Attributes:
        name: Name of the member.
        c_type: Type of its values.
        size: Number of its values.
        bytes: Size in bytes.
        zero: Value of each byte of a clear state.
        is_kept: Whether the model keeps it between inferences.
    """

    name: str
    c_type: str
    size: int
    bytes: int
    zero: int
    is_kept: bool


class PlainC:
    """A model as `NAME.h` and `NAME.c`.

    Args:
        model: A `runtime.model.Model`.
        name: Prefix of functions and name of the files; made a C identifier by `names.model_name`.
        allow_streaming: False for whole sequences at a time even where single steps are possible.
        has_marks: Whether the code has marks between the ops, for counting instructions (`tflite/firmware/marks.h`).
        threshold_scale: Whether `NAME_set_threshold` scales the thresholds of held values, which are then in RAM, too.

    Raises:
        ValueError: The model has an op without a plain C kernel, weights that plain C cannot read, or a batch; or with
            `threshold_scale` it holds nothing.

    Attributes:
        name: The identifier.
        model: The model.
        time: Its `TimeAxis`.
        is_streaming: Whether the model takes one time step per call. Then `NAME_step` exists and keeps the states
            between its calls, and `NAME_run` runs a sequence step by step.
        gate: The `Operator` of a FrameGate after which `NAME_step` returns at a skipped step; None if there is none.
        steps: Time steps in a sequence; 1 if the model takes whole sequences.
        inputs, outputs: Tuples of `Parameter`.
        shapes: The shape in one call of each tensor that is no constant, by its number. Those that an op writes or the
            model takes lie in the static array `tensor_NUMBER`.
        headers: Names of the core's headers that the source includes.
        states: A list of `State`.
        thresholds: A list of `Thresholds`; empty without `threshold_scale`.
        operators: Those of the model in the order in which they run.
        always: Those of them that run at each step, also where a gate leaves it out.
        declarations, checks, calls, gated_calls: C for the source: its constants and buffers; what init checks; these
            ops; the others.
        header, source: The text of the two files, `templates/model-plain-c`.
    """

    def __init__(self, model, name="model", allow_streaming=True, has_marks=False, threshold_scale=False):
        self.name = model_name(name)
        self.model = model
        self.has_marks = has_marks
        _check(model)
        with _of_sound_files("time axis"):
            self.time = follow_time(model)
        self.is_streaming = allow_streaming and self.time.obstacle is None
        self.steps = self.time.steps if self.is_streaming else 1
        self.gate = self.time.gate if self.is_streaming else None
        self.shapes = {
            i: self.time.shape_in(1, i, tensor.shape) if self.is_streaming else tensor.shape
            for i, tensor in enumerate(model.tensors)
            if tensor.data is None
        }
        self.inputs = self._parameters("x", "input", model.input_indices, model.inputs)
        self.outputs = self._parameters("y", "output", model.output_indices, model.outputs)
        self.states, self.thresholds, self.declarations, self.checks, self.calls = [], [], [], [], []
        self.headers = ["ksr_align.h", *(["ksr_thresholds.h"] if threshold_scale else [])]
        self._scaled = hold_thresholds(model.operators) if threshold_scale else set()
        for i in self.computed:
            self._buffer(f"tensor_{i}", self.shapes[i], model.tensors[i].dtype)
        for i, tensor in enumerate(model.tensors):
            if tensor.is_variable:
                self._add_state(f"tensor_{i}", tensor)
        self.always, gated = before_gate(model, self.gate) if self.gate else (model.operators, [])
        self.operators = [*self.always, *gated]
        for number, op in enumerate(self.operators):
            with _of_sound_files(op.name):
                (self._add_custom if op.is_custom else self._add_layer)(f"op_{number}", op)
        self.calls, self.gated_calls = self.calls[: len(self.always)], self.calls[len(self.always) :]
        if self.gate:
            self._add_outputs_to_repeat()
        values = {"model": self, "version": __version__, "core_include": core_include, "core_symbols": core_symbols}
        self.header, self.source = (render(f"model-plain-c/MODEL.{suffix}", **values) for suffix in "hc")

    @property
    def computed(self):
        """Numbers of the tensors that the model takes or an op writes."""
        return list(dict.fromkeys([*self.model.input_indices, *(i for op in self.model.operators for i in op.outputs)]))

    @property
    def features(self):
        """The optional features of the core that it needs."""
        operators = [op for op in self.model.operators if not changes_the_type(op, self.model.tensors)]
        return features_of(operators, self.model.tensors)

    @property
    def constant_bytes(self):
        """Bytes of the weights, indices and biases."""
        used = {i for op in self.model.operators for i in op.inputs if i >= 0}
        return sum(self.model.tensors[i].data.nbytes for i in used if self.model.tensors[i].data is not None)

    @property
    def call(self):
        """Name of the function that takes one step, or a sequence if the model does not take single steps."""
        return f"{self.name}_step" if self.is_streaming else f"{self.name}_run"

    def _parameters(self, prefix, kind, numbers, tensors):
        names = [prefix]
        if len(numbers) > 1:
            names = distinct(f"{prefix}_{c_identifier(tensor.name)}" for tensor in tensors)
        return tuple(
            Parameter(
                name,
                tensor,
                c,
                i,
                math.prod(self.shapes[i]),
                self.steps if self.is_streaming and i in self.time.axes else 1,
            )
            for name, tensor, c, i in zip(names, tensors, c_tensors(tensors, kind), numbers, strict=True)
        )

    def _buffer(self, name, shape, dtype):
        self.declarations.append(f"KSR_ALIGNED(16) static {C_TYPES[np.dtype(dtype)]} {name}[{math.prod(shape)}];\n")

    def _add_state(self, name, tensor, is_kept=True):
        zero = int(tensor.zeros().flat[0]) if tensor.dtype == np.int8 else 0
        size = math.prod(tensor.shape)
        self.states.append(State(name, C_TYPES[tensor.dtype], size, size * tensor.dtype.itemsize, zero, is_kept))

    def _add_outputs_to_repeat(self):
        is_kept = self.keeps_states
        self.states.append(State("has_begun", "uint8_t", 1, 1, 0, is_kept))
        self.states += [State(f"last_{y.name}", y.c_type, y.size, y.bytes, 0, is_kept) for y in self.outputs]

    def _add_custom(self, name, op):
        kind = ALL_OPS[op.name]
        options = kind.SCHEMA.decode(op.options)
        given = kind.SCHEMA.named([None if i < 0 else i for i in op.inputs])
        operands, arrays = {}, {}
        for input_name, i in given.items():
            tensor = self.model.tensors[i]
            if tensor.data is None:
                label = f"states.tensor_{i}" if tensor.is_variable else f"tensor_{i}"
                operands[input_name] = Operand(label, self.shapes[i], tensor.dtype)
                arrays[input_name] = np.zeros(self.shapes[i], tensor.dtype)
            else:
                label = f"{name}_{input_name}"
                self.declarations.append(array(label, tensor.data))
                if i in self._scaled:
                    self.thresholds.append(Thresholds(label, _KINDS[tensor.dtype.name], tensor.data.size))
                    label += "_now"
                    self._buffer(label, tensor.shape, tensor.dtype)
                operands[input_name] = Operand(label, tensor.shape, tensor.dtype)
                arrays[input_name] = tensor.data
        before, after = [], []
        states = kind.from_constants(options, arrays, arrays["x"].shape[-1]).states()
        for place, (state_name, state) in enumerate(states.items(), start=1):
            begins = operands.get(state_name) if getattr(options, "initial_states", 0) else None
            if state_name not in given or begins:  # the model does not keep it itself
                label, shape = f"{name}_state_{state_name}", (arrays["x"].shape[0], *state.shape[1:])
                self._add_state(label, replace(state, shape=shape), is_kept=False)
                operands[state_name] = Operand(f"states.{label}", shape, state.dtype)
                arrays[state_name] = np.zeros(shape, state.dtype)
            label = operands[state_name].label
            before += [f"memcpy({label}, {begins.label}, sizeof({label}));"] if begins else []
            after += [f"memcpy(tensor_{i}, {label}, sizeof({label}));" for i in op.outputs[place : place + 1]]
        kinds = [(self.shapes[i], self.model.tensors[i].dtype) for i in op.outputs]
        operands["output"] = Operand(f"tensor_{op.outputs[0]}", *kinds[0])
        # Checks the op and its constants, which do not change.
        scratch = NativeOp(op.name, op.options, kind.SCHEMA.placed(arrays), kinds).scratch_size
        declaration, call = op_layer(op, name, operands)
        if f"{name}_scratch" in call:
            self.declarations.append(f"KSR_ALIGNED(16) static uint8_t {name}_scratch[{scratch}];\n")
        self.declarations.append(declaration)
        self.calls.append("\n  ".join([*before, call, *after]))
        for header in (f"{kind.SCHEMA.symbol}_layer.h", *(["ksr_masked.h"] if "mask" in given else [])):
            self._include(header)

    def _add_layer(self, name, op):
        buffers = Buffers(name, self.model.tensors, self.shapes)
        history = self.time.history.get(op.outputs[0], 0) if self.is_streaming and op.name in ("PAD", "PADV2") else 0
        if history:
            byte, _ = padding(op, self.model.tensors)
            dtype, size = self.model.tensors[op.inputs[0]].dtype, history * math.prod(self.shapes[op.inputs[0]])
            self.states.append(
                State(f"{name}_history", C_TYPES[dtype], size, size * dtype.itemsize, byte, is_kept=False)
            )
            call = history_call(op, buffers, f"states.{name}_history")
        else:
            make, headers = _maker(op, self.model.tensors)
            call = make(op, buffers)
            for header in headers:
                self._include(header)
        self.declarations += buffers.declarations
        self.checks += buffers.checks
        self.calls.append(call)

    def _include(self, header):
        if header not in self.headers:
            self.headers.append(header)

    @property
    def keeps_states(self):
        """Whether the model keeps states between inferences."""
        return any(state.is_kept for state in self.states)

    @property
    def has_streams(self):
        """Whether states matter from one call to the next."""
        return bool(self.states) and (self.is_streaming or self.keeps_states)

    @property
    def state_bytes(self):
        """Of the struct of states, each of which begins at a multiple of 16."""
        return sum(-(-state.bytes // 16) * 16 for state in self.states)

    @property
    def obstacle(self):
        """Why the model does not take single steps, as text for a comment."""
        return comment(self.time.obstacle or "not asked for")


@contextmanager
def _of_sound_files(part):
    """Raises ValueError if a part of a damaged file cannot be read."""
    try:
        yield
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"plain C cannot read the model's {part}: {error}") from error


_KINDS = {"uint8": "u8", "uint16": "u16", "float32": "f32"}  # of thresholds

# Names of builtin ops, with what makes C of them and the headers that it needs.
_MAKERS = (
    (("REDUCE_ALL",), layer_call, ("ksr_elementwise.h",)),
    (LAYERS, layer_call, ("ksr_layers.h",)),
    (JOINING, joining_call, ("ksr_elementwise.h",)),
    (MOVING, moving_call, ("ksr_elementwise.h",)),
    (WINDOWS, window_call, ("ksr_layers.h", "ksr_patch.h", "ksr_cmsis_nn.h")),
    (ELEMENTWISE, elementwise_call, ("ksr_functions.h",)),
)
BUILTIN_HEADERS = ("ksr_quantize.h", *dict.fromkeys(header for *_, headers in _MAKERS for header in headers))
_KNOWN = tuple(dict.fromkeys(name for names, *_ in _MAKERS for name in names))


def _maker(op, tensors):
    if changes_the_type(op, tensors):
        return layer_call, ("ksr_quantize.h",)
    if is_table(op, tensors) or (op.name == "QUANTIZE" and tensors[op.inputs[0]].dtype == np.int16):
        return layer_call, ("ksr_layers.h",)
    return next((make, headers) for names, make, headers in _MAKERS if op.name in names)


def _check(model):
    """Raises ValueError if plain C has no kernels for an op of a model, or none that read its tensors."""
    if any(tensor.shape[:1] not in ((), (1,)) for tensor in model.inputs):
        raise ValueError(
            f"plain C takes models of batch 1; given: batch {model.inputs[0].shape[0]}. Convert with batch_size=1, "
            "or take framework='tflm-cmake'."
        )
    refuse_sparse_encodings(model)
    for op in model.operators:
        if op.name not in (ALL_OPS if op.is_custom else _KNOWN):
            known = ", ".join([*ALL_OPS, *sorted(_KNOWN)])
            raise ValueError(f"plain C has no op {op.name}; it has {known}. Take framework='tflm-cmake'.")
        if not op.is_custom:
            check_operands(op, model.tensors)
        elif model.tensors[op.inputs[0]].data is not None:
            raise ValueError(
                f"plain C takes no constant as input 0 of {op.name}; given: '{model.tensors[op.inputs[0]].name}'."
            )
