"""The custom ops as structs and calls of `tflite/include/ksr_NAME_layer.h`. The structs are constants, so that the
program has nothing to read or check when it starts."""

from dataclasses import asdict, dataclass

import numpy as np

from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS, SIGMOID, TANH
from keras_sparse_rnn.ops.gru import AFTER, BEFORE, SHARED, UNCOUPLED, WITHOUT
from keras_sparse_rnn.ops.recurrent_schema import BY_OUTPUTS, DIAGONAL, height_of

# What the structs of recurrent ops have in their member `recurrent`; the rest of an op's schema is beside it.
_WORDS = ("units", "x_zero_point", "x_shift", "h_shift", "operand_bits", "go_backwards", "return_sequences")
_TENSORS = ("x", "output", "bias", "output_scales", "input_threshold", "hidden_threshold", "held_x", "held_h", "sums")
_MATRICES = ("kernel", "recurrent_kernel")
_OWN_SIZES = ("units", "deep_slots")
_OF_ACTIVATIONS = ("zeta", "nu")  # words that lie beside the activations
_DENSE_WORDS = ("units", "x_zero_point", "output_zero_point", "output_min", "output_max", "activation")


@dataclass(frozen=True)
class Operand:
    """A tensor of an op in C.

    Attributes:
        label: The C expression for the address of its values.
        shape, dtype: Shape and dtype of the tensor.
    """

    label: str
    shape: tuple
    dtype: np.dtype


def op_symbol(name):
    """The C symbol of a custom op: `KsrEventGru` is `ksr_event_gru`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def op_header(name):
    """The header of an op's functions, `ksr_event_gru_layer.h`."""
    return f"{op_symbol(name)}_layer.h"


def op_layer(op, name, operands):
    """Returns an op in C.

    Args:
        op: One of `Model.operators`.
        name: Name of its struct.
        operands: Dict from the schema's names of the given tensors, and "output", to an `Operand` each. The scratch
            memory is the array `NAME_scratch`.

    Returns:
        A tuple `(declaration, statement)`.
    """
    schema = ALL_OPS[op.name].SCHEMA
    options = schema.decode(op.options)
    if schema.gives_mask:
        return _frame_gate(options, name, operands)
    words = asdict(options)
    stride = -(-options.units // options.block) * options.block
    symbol, kernel = op_symbol(op.name), options.number_format.kernel

    def pointers(names):
        return {key: operands[key].label for key in names if key in operands}

    def matrices(names):
        return {key: _matrix(schema, words, key, operands, stride) for key in names if key in operands}

    x = operands["x"]
    if op.name == "KsrSparseDense":
        sizes = {"rows": int(np.prod(x.shape[:-1])), "inputs": x.shape[-1], "stride": stride}
        members = sizes | {word: words[word] for word in _DENSE_WORDS} | matrices(("kernel",))
        members |= pointers(("bias", "multiplier", "shift"))
        call = f"{symbol}_run_{kernel}(&{name}, {x.label}, {operands['output'].label}, {name}_scratch);"
    else:
        own_words = [word.name for word in schema.words[schema.shared_words :] if word.name not in _OF_ACTIVATIONS]
        own_matrices = [given.name for given in schema.matrices if given.name not in _MATRICES]
        own_tensors = [g.name for g in schema.inputs if g.size in _OWN_SIZES and g.name not in _TENSORS]
        is_integer = options.number_format.is_integer
        kinds = {"is_integer": int(is_integer), "is_int16": int(kernel == "i16")}
        sizes = {"stride": stride, "inputs": x.shape[2], "steps": x.shape[1]}
        recurrent = {word: words[word] for word in _WORDS} | sizes | kinds
        recurrent |= pointers(_TENSORS) | matrices(_MATRICES)
        kind, members = ALL_OPS[op.name], {"recurrent": recurrent}
        are_inline = kind.are_usual(options) or (is_integer and _has_hard_units(kind, options))
        activations = {} if are_inline else {"activations": _activations(kind, options)}
        gates = (_gates(words) if is_integer else {}) | activations
        members |= ({"gates": gates} if gates else {}) | (_units(kind, options) if is_integer else {})
        members |= {word: words[word] for word in own_words} | pointers(own_tensors) | matrices(own_matrices)
        call = f"{symbol}_run_{kernel}(&{name}, {name}_scratch);"
    declaration = f"static const {symbol}_layer {name} = {_struct(members)};\n"
    if "mask" in operands:
        declaration += (
            f"static void {name}_run(const void *layer, void *scratch) {{ {symbol}_run_{kernel}(layer, scratch); }}\n"
            f"static {symbol}_layer {name}_masked;\n"
        )
        last_output = operands["last_output"].label if "last_output" in operands else "0"
        arguments = ", ".join(
            map(str, (operands["mask"].label, last_output, words["zero_output_for_mask"], words["output_zero_point"]))
        )
        call = f"{name}_masked = {name};\n  ksr_run_masked(&{name}_masked, {name}_run, {arguments}, {name}_scratch);"
    return declaration, call


def _frame_gate(options, name, operands):
    x, labels = operands["x"], {key: operand.label for key, operand in operands.items()}
    members = {"inputs": x.shape[2], "steps": x.shape[1], "count": options.count, "threshold": labels["threshold"]}
    arguments = ", ".join((labels["x"], labels.get("mask", "0"), labels["last"], labels["output"]))
    call = f"ksr_frame_gate_run_{options.number_format.kernel}(&{name}, {arguments});"
    return f"static const ksr_frame_gate_layer {name} = {_struct(members)};\n", call


def _activations(kind, options):
    """`ksr_activations` of `tflite/include/ksr_activations.h`."""
    names = {"activation": options.activation}
    names |= {"recurrent_activation": options.recurrent_activation} if "gate" in kind.SLOTS else {}
    ending = "" if options.number_format.is_integer else "_f32"
    functions = {name: f"ksr_activate_{ALL_ACTIVATIONS[number].name}{ending}" for name, number in names.items()}
    if options.number_format.is_integer and _has_usual_fast_units(options):
        functions = {}
    numbers = {"state_bits": options.state_bits, "gate_bits": options.gate_bits}
    return functions | numbers | {word: getattr(options, word) for word in _OF_ACTIVATIONS if getattr(options, word, 0)}


def _has_hard_units(kind, options):
    """Whether its units use the kernels for hard gates, so that no activation function is called."""
    return "reset" in kind.SLOTS and options.reset_gate != BEFORE and kind.are_hard(options)


def _has_usual_fast_units(options):
    """Whether a layer is a FastGRNN whose units use the kernel for sigmoid and tanh."""
    words = (options.activation, options.recurrent_activation, options.gate_bits)
    return getattr(options, "reset_gate", None) == SHARED and words == (TANH, SIGMOID, 0)


def _units(kind, options):
    """The functions of its element-wise part."""
    kernel, is_usual = options.number_format.kernel, kind.are_usual(options)
    symbol = op_symbol(kind.SCHEMA.name)
    variant = f"usual_{kernel}" if is_usual else "other"
    if "reset" not in kind.SLOTS:
        return {"units": f"{symbol}_units_{variant}"}
    units = {
        WITHOUT: "light_gru_units",
        AFTER: "gru_units",
        BEFORE: "gru_units_after_reset",
        UNCOUPLED: "uncoupled_units",
        SHARED: "fast_grnn_units",
    }[options.reset_gate]
    if _has_usual_fast_units(options):
        return {"units": f"ksr_{units}_usual"}
    reset = {"reset": f"ksr_gru_reset_{variant}"} if options.reset_gate == BEFORE else {}
    if _has_hard_units(kind, options):
        return {"units": f"ksr_{units}_hard"} | reset
    return {"units": f"ksr_{units}_{'i16' if is_usual and kernel == 'i16' else variant}"} | reset


def _gates(words):
    """`ksr_gates` of `tflite/include/ksr_gates.h`."""
    return {
        "multiplier": [_multiplier(words[f"multiplier_{slot}"]) for slot in range(4)],
        "to_tanh": words["fraction"] - 7,
        "operand": [words["operand_multiplier"], words["operand_shift"]],
        "output": [words["output_multiplier"], words["output_shift"]],
        "output_zero_point": words["output_zero_point"],
    }


def _multiplier(value):
    factor, shift = value, 16
    while factor >= 2**15:
        factor, shift = factor >> 1, shift - 1
    return f"KSR_MULTIPLIER({value}, {factor}, {shift})"


def _matrix(schema, words, name, operands, stride):
    """`ksr_matrix` of `tflite/include/ksr_matrix.h`."""
    given = schema.inputs[schema.index(name)]
    slots = given.slots_of(words)
    members = {"values": operands[name].label}
    if f"{name}_rows" in operands:
        rows = operands[f"{name}_rows"]
        members["index"] = operands[f"{name}_index"].label
        members["rows16" if rows.dtype == np.uint16 else "rows32"] = rows.label
    sources = schema.count_sources(given, words, operands["x"].shape[-1])
    if given.sources == "units" and DIAGONAL in operands:
        # Gate by gate, of all matrices that read the state.
        before = (
            0 if name == "recurrent_kernel" else len(schema.inputs[schema.index("recurrent_kernel")].slots_of(words))
        )
        members["diagonal"] = f"{operands[DIAGONAL].label} + {before * stride}" if before else operands[DIAGONAL].label
    return members | {
        "sources": sources,
        "block": words["block"],
        "stride": stride,
        "slots": [len(slots), slots[-1]],
        "weight_bits": words["weight_bits"],
        "height": height_of(words["layout"], given.sources) if f"{name}_rows" in operands else 1,
        "by_outputs": int(bool(words["layout"] & BY_OUTPUTS[given.sources]) and f"{name}_rows" not in operands),
    }


def _struct(members, indent="  "):
    """A designated initializer."""
    lines = []
    for name, value in members.items():
        if isinstance(value, dict):
            value = _struct(value, indent + "  ")
        elif isinstance(value, list):
            value = f"{{{', '.join(map(str, value))}}}"
        lines.append(f"{indent}.{name} = {value},\n")
    return "{\n" + "".join(lines) + indent[2:] + "}"
