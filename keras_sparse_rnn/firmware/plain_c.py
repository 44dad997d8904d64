"""A converted model as C99 with static buffers, without an interpreter."""

import numpy as np

from keras_sparse_rnn.firmware.c_source import C_TYPES, array
from keras_sparse_rnn.firmware.core_files import core_include, core_symbols
from keras_sparse_rnn.firmware.layers import LAYERS, is_stepwise, layer_call
from keras_sparse_rnn.firmware.names import model_name
from keras_sparse_rnn.firmware.sources import formats_of
from keras_sparse_rnn.formats import ELEMENT_TYPES
from keras_sparse_rnn.ops import ALL_OPS, OPS
from keras_sparse_rnn.runtime.native import NativeOp


class PlainC:
    """A model as `NAME.h` and `NAME.c`.

    Args:
        model: A `runtime.model.Model` with one input and one output.
        name: What functions and files are called; made a C identifier by `names.model_name`.
        allow_streaming: False for whole sequences at a time even where single steps are possible.
        has_marks: Whether the code has marks between the ops, for counting instructions (`tflite/firmware/marks.h`).

    Raises:
        ValueError: The model has an op without a plain C kernel, or several inputs or outputs.

    Attributes:
        name: The identifier.
        is_streaming: Whether the model can take one time step a call. Then `NAME_step` exists, the states are kept
            between its calls, and `NAME_run` goes through a sequence step by step.
        steps: Time steps in a sequence.
        header, source: The text of the two files.
        headers: Names of the core's headers that the source includes.
    """

    def __init__(self, model, name="model", allow_streaming=True, has_marks=False):
        self.name = model_name(name)
        self._has_marks = has_marks
        self._model = model
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ValueError(
                f"plain C takes models with one input and one output; given: {len(model.inputs)} and "
                f"{len(model.outputs)}. Take framework='tflm-cmake'."
            )
        if model.inputs[0].shape[:1] not in ((), (1,)):
            raise ValueError(
                f"plain C takes models of batch 1; given: batch {model.inputs[0].shape[0]}. Convert with batch_size=1, "
                "or take framework='tflm-cmake'."
            )
        for op in model.operators:
            if op.name not in (ALL_OPS if op.is_custom else LAYERS):
                raise ValueError(
                    f"plain C has no op {op.name}; it has {', '.join([*ALL_OPS, *LAYERS])}. "
                    "Take framework='tflm-cmake'."
                )
        x = model.inputs[0]
        self.is_streaming = (
            allow_streaming
            and len(x.shape) == 3
            and all(
                is_stepwise(op, model.tensors) if op.name not in OPS else not self._options(op).go_backwards
                for op in model.operators
            )
        )
        self.steps = x.shape[1] if self.is_streaming else 1
        self._declarations, self._resets, self._calls, self._inits = [], [], [], []
        self.headers = ["ksr_align.h"]
        self._shapes = {i: self._shape(i) for i, tensor in enumerate(model.tensors) if tensor.data is None}
        for i in dict.fromkeys([*model.input_indices, *(o for op in model.operators for o in op.outputs)]):
            self._buffer(f"tensor_{i}", self._shapes[i], model.tensors[i].dtype)
        for i, tensor in enumerate(model.tensors):
            if tensor.is_variable:
                self._add_state(f"tensor_{i}", tensor)
        for number, op in enumerate(model.operators):
            if op.is_custom:
                self._add_custom(f"op_{number}", op)
            else:
                self._add_layer(f"op_{number}", op)
        self.header = self._header()
        self.source = self._source()

    @property
    def input_size(self):
        """Values that one call of `NAME_step`, or without it `NAME_run`, takes."""
        return int(np.prod(self._shapes[self._model.input_indices[0]]))

    @property
    def output_size(self):
        """Values that it gives."""
        return int(np.prod(self._shapes[self._model.output_indices[0]]))

    @property
    def tensors(self):
        """Input and output, as the model has them."""
        return self._model.inputs[0], self._model.outputs[0]

    @property
    def c_types(self):
        """Their types in C."""
        return tuple(C_TYPES[tensor.dtype] for tensor in self.tensors)

    @property
    def formats(self):
        """The kernels that it needs besides those for int8."""
        return formats_of(self._model.tensors[op.inputs[0]].dtype for op in self._model.operators)

    @property
    def constant_bytes(self):
        """Of the weights, indices and biases."""
        used = {i for op in self._model.operators for i in op.inputs if i >= 0}
        return sum(self._model.tensors[i].data.nbytes for i in used if self._model.tensors[i].data is not None)

    @property
    def call(self):
        """The name of that function."""
        return f"{self.name}_step" if self.is_streaming else f"{self.name}_run"

    def _options(self, op):
        return ALL_OPS[op.name].SCHEMA.decode(op.options)

    def _shape(self, i):
        """A tensor's shape in one call: streaming, one time step of those that have a time axis."""
        shape = self._model.tensors[i].shape
        return (1, 1, *shape[2:]) if self.is_streaming and len(shape) == 3 else shape

    def _buffer(self, name, shape, dtype):
        size = int(np.prod(shape))
        self._declarations.append(f"KSR_ALIGNED(16) static {C_TYPES[np.dtype(dtype)]} {name}[{size}];\n")

    def _add_state(self, name, tensor):
        self._buffer(name, tensor.shape, tensor.dtype)
        self._resets.append(f"memset({name}, {tensor.zero_point or 0}, sizeof({name}));")

    def _add_custom(self, name, op):
        kind = ALL_OPS[op.name]
        given = kind.SCHEMA.named([None if i < 0 else i for i in op.inputs])
        labels, arrays = {}, {}
        for input_name, i in given.items():
            tensor = self._model.tensors[i]
            if tensor.data is None:
                labels[input_name] = _tensor(f"tensor_{i}", self._shapes[i], tensor.dtype)
                arrays[input_name] = np.zeros(self._shapes[i], tensor.dtype)
            else:
                label = f"{name}_{input_name}"
                self._declarations.append(array(label, tensor.data))
                labels[input_name] = _tensor(label, tensor.shape, tensor.dtype)
                arrays[input_name] = tensor.data
        for state_name, state in kind.from_constants(self._options(op), arrays).states().items():
            if state_name not in given:  # the model does not keep it itself
                label = f"{name}_state_{state_name}"
                self._add_state(label, state)
                labels[state_name] = _tensor(label, state.shape, state.dtype)
                arrays[state_name] = np.zeros(state.shape, state.dtype)
        tensors = [label or "{0, -1, 0, {0}}" for label in kind.SCHEMA.placed(labels)]
        arrays = kind.SCHEMA.placed(arrays)
        output = self._model.tensors[op.outputs[0]]
        shape = self._shapes[op.outputs[0]]
        scratch = NativeOp(op.name, op.options, arrays, shape, output.dtype).scratch_size
        self._declarations.append(f"KSR_ALIGNED(16) static uint8_t {name}_scratch[{scratch}];\n")
        self._declarations.append(array(f"{name}_options", np.frombuffer(op.options, np.uint8)))
        self._declarations.append(
            f"static const ksr_tensor {name}_inputs[{len(tensors)}] = {{\n    " + ",\n    ".join(tensors) + ",\n};\n"
        )
        self._declarations.append(
            f"static const ksr_tensor {name}_output = {_tensor(f'tensor_{op.outputs[0]}', shape, output.dtype)};\n"
        )
        self._declarations.append(
            f"static const ksr_node {name} = {{{name}_options, sizeof({name}_options), {len(tensors)}, 1, "
            f"{name}_inputs, &{name}_output}};\n"
        )
        symbol = op_symbol(op.name)
        for header in (f"{symbol}.h", f"{symbol.removeprefix('ksr_')}_steps.h"):
            if header not in self.headers:
                self.headers.append(header)
        self._declarations.append(f"static {symbol}_node {name}_data;\n")
        # `NativeOp` has checked the node and its constants, which do not change.
        self._inits.append(f"{symbol}_set_up(&{name}, &{name}_data);")
        self._calls.append(f"{symbol}_invoke(&{name}, &{name}_data, {name}_scratch);")

    def _add_layer(self, name, op):
        x, y = op.inputs[0], op.outputs[0]
        buffers = (f"tensor_{x}", f"tensor_{y}")
        declarations, call = layer_call(op, name, self._model.tensors, *buffers, self._shapes[x])
        self._declarations += declarations
        self._calls.append(call)
        if "ksr_layers.h" not in self.headers:
            self.headers.append("ksr_layers.h")

    def _signature(self, kind):
        dtypes = self.c_types
        sizes = [self.input_size, self.output_size]
        if kind == "run" and self.is_streaming:
            sizes[0] *= self.steps
            sizes[1] *= self._model.outputs[0].shape[1] if len(self._model.outputs[0].shape) == 3 else 1
        return f"void {self.name}_{kind}(const {dtypes[0]} x[{sizes[0]}], {dtypes[1]} y[{sizes[1]}])"

    def _header(self):
        x, y = self._model.inputs[0], self._model.outputs[0]
        guard = f"{self.name.upper()}_H_"
        start = "" if any(t.is_variable for t in self._model.tensors) else ", from a clear state"
        if self.is_streaming:
            step = (
                "/* One time step; the states are kept from call to call. */\n" + self._signature("step") + ";\n\n"
                f"/* A whole sequence{start}, step by step. */\n"
            )
        else:
            step = f"/* One inference{start}. */\n"
        return f"""\
/* Made by keras-sparse-rnn. Input {_described(x)}; output {_described(y)}. */
#ifndef {guard}
#define {guard}

#include <stdint.h>

#include "ksr/ksr.h"

#ifdef __cplusplus
extern "C" {{
#endif

enum {{ {self.name.upper()}_STEPS = {self.steps} }};

/* Sets the model up and clears its states. Call it once before anything else. KSR_OK, which is 0; any other status: the
 * core is of another release than this file, and no other function may be called. The model itself was checked when it
 * was written out. */
ksr_status {self.name}_init(void);

/* Clears the states: the next step is the first one of a sequence. */
void {self.name}_reset(void);

{step}{self._signature("run")};

#ifdef __cplusplus
}}
#endif

#endif /* {guard} */
"""

    def _source(self):
        model, x, y = self._model, self._model.input_indices[0], self._model.output_indices[0]
        headers = [*map(core_include, self.headers), *["marks.h"] * self._has_marks]
        includes = "".join(f'#include "{header}"\n' for header in headers)
        mark = ["KSR_COUNT_PART();"] * self._has_marks
        one = [
            f"memcpy(tensor_{x}, x, sizeof(tensor_{x}));",
            *mark,
            *(line for call in self._calls for line in (call, *mark)),
            f"memcpy(y, tensor_{y}, sizeof(tensor_{y}));",
        ]
        keeps_states = any(tensor.is_variable for tensor in model.tensors)
        reset = [] if keeps_states else [f"{self.name}_reset();"]
        if self.is_streaming:
            forward = f" + t * {self.output_size}" if len(model.outputs[0].shape) == 3 else ""
            run = [
                *reset,
                f"for (int32_t t = 0; t < {self.steps}; ++t) {self.name}_step(x + t * {self.input_size}, y{forward});",
            ]
            bodies = _function(self._signature("step"), one) + _function(self._signature("run"), run)
        else:
            bodies = _function(self._signature("run"), [*reset, *one])
        # The linker looks for kernels that fit.
        inits = [f"if (!({' && '.join(core_symbols(self.formats))})) return KSR_OTHER_VERSION;", *self._inits]
        return "".join(
            [
                f'#include "{self.name}.h"\n\n#include <string.h>\n\n{includes}\n',
                "\n".join(self._declarations),
                _function(f"void {self.name}_reset(void)", self._resets),
                _function(f"ksr_status {self.name}_init(void)", [*inits, f"{self.name}_reset();", "return KSR_OK;"]),
                bodies,
            ]
        )


def op_symbol(name):
    """The C symbol of one of our ops: `KsrEventGru` is `ksr_event_gru`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _tensor(label, shape, dtype):
    dims = ", ".join(map(str, shape))
    return f"{{(void *){label}, {ELEMENT_TYPES[np.dtype(dtype)].ksr}, {len(shape)}, {{{dims}}}}}"


def _described(tensor):
    scale = "" if tensor.scale is None else f", real = (value - {tensor.zero_point}) * {tensor.scale:.9g}"
    return f"{C_TYPES[tensor.dtype]} {'x'.join(map(str, tensor.shape))}{scale}"


def _function(signature, lines):
    return f"\n{signature} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
