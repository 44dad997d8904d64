"""The custom ops as structs and calls of `tflite/include/ksr_NAME_layer.h`. The structs are constants, so that the
program has nothing to read or check when it starts."""

import math
from dataclasses import asdict, dataclass

import numpy as np

from keras_sparse_rnn.firmware.c_structs import chosen, initializer
from keras_sparse_rnn.formats import INT8X16
from keras_sparse_rnn.ops import ALL_OPS
from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS, SIGMOID, TANH
from keras_sparse_rnn.ops.block_sparse import stride_of
from keras_sparse_rnn.ops.gru import AFTER, BEFORE, SHARED, UNCOUPLED, WITHOUT
from keras_sparse_rnn.ops.recurrent_schema import BY_OUTPUTS, DIAGONAL, height_of
from keras_sparse_rnn.ops.schema import SLOTS


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
    kind, x = ALL_OPS[op.name], operands["x"]
    schema = kind.SCHEMA
    options = schema.decode(op.options)
    run, struct = f"{schema.symbol}_run_{options.number_format.kernel}", f"{schema.symbol}_layer"
    words, labels = asdict(options), {key: operand.label for key, operand in operands.items()}
    sizes = {"rows": math.prod(x.shape[:-1]), "inputs": x.shape[-1]}
    sizes |= {"steps": x.shape[1]} if schema.takes_sequences else {}
    matrices = {g.name: _matrix(schema, words, g, operands) for g in schema.matrices if g.name in operands}
    values = words | sizes | labels | matrices
    if schema.gives_mask:
        arguments = (f"&{name}", labels["x"], labels.get("mask", "0"), labels["last"], labels["output"])
        return _constant(struct, name, values), f"{run}({', '.join(arguments)});"
    values["stride"] = stride_of(options.columns, options.block)
    if words.get("rank"):
        values["middle_multiplier"] = [_multiplier(words[f"middle_multiplier_{n}"]) for n in range(2)]
    if not schema.takes_sequences:
        declaration = _constant(struct, name, values)
        return declaration, f"{run}(&{name}, {labels['x']}, {labels['output']}, {name}_scratch);"
    recurrent = chosen("ksr_recurrent", values | _format(options))
    own = {key: value for key, value in values.items() if key not in recurrent}
    members = own | {"recurrent": recurrent} | _elementwise(kind, options)
    members["lstm"] = chosen("ksr_lstm_layer", members)  # which an ordered-neurons LSTM has inside
    declaration = _constant(struct, name, members)
    if "mask" not in operands:
        return declaration, f"{run}(&{name}, {name}_scratch);"
    declaration += (
        f"static void {name}_run(const void *layer, void *scratch) {{ {run}(layer, scratch); }}\n"
        f"static {struct} {name}_masked;\n"
    )
    masks = (labels["mask"], labels.get("last_output", "0"), words["zero_output_for_mask"], words["output_zero_point"])
    arguments = ", ".join(map(str, masks))
    call = f"{name}_masked = {name};\n  ksr_run_masked(&{name}_masked, {name}_run, {arguments}, {name}_scratch);"
    return declaration, call


def _constant(struct, name, values):
    return f"static const {struct} {name} = {initializer(chosen(struct, values))};\n"


def _format(options):
    number_format = options.number_format
    return {"is_integer": int(number_format.is_integer), "is_int16": int(number_format is INT8X16)}


def _elementwise(kind, options):
    """How a recurrent op computes its states from accumulators."""
    is_integer = options.number_format.is_integer
    are_inline = kind.are_usual(options) or (is_integer and _has_hard_units(kind, options))
    activations = {} if are_inline else {"activations": _activations(kind, options)}
    if is_integer:
        return {"gates": _gates(options) | activations} | _units(kind, options)
    return {"gates": activations} if activations else {}


def _activations(kind, options):
    functions = {"activation": options.activation}
    functions |= {"recurrent_activation": options.recurrent_activation} if "gate" in kind.SLOTS else {}
    ending = "" if options.number_format.is_integer else "_f32"
    symbols = {name: f"ksr_activate_{ALL_ACTIVATIONS[number].name}{ending}" for name, number in functions.items()}
    if options.number_format.is_integer and _has_usual_fast_units(options):
        symbols = {}
    numbers = {name: word for name, word in asdict(options).items() if name not in functions}
    return chosen("ksr_activations", numbers | symbols)


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
    symbol = kind.SCHEMA.symbol
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
    return {"units": f"ksr_{units}_{variant}"} | reset


def _gates(options):
    words = asdict(options)
    numbers = {
        "multiplier": [_multiplier(words[f"multiplier_{slot}"]) for slot in range(SLOTS)],
        "to_tanh": options.fraction - 7,
        "operand": [options.operand_multiplier, options.operand_shift],
        "output": [options.output_multiplier, options.output_shift],
    }
    return chosen("ksr_gates", words | numbers)


def _multiplier(value):
    factor, shift = value, 16
    while factor >= 2**15:
        factor, shift = factor >> 1, shift - 1
    return f"KSR_MULTIPLIER({value}, {factor}, {shift})"


def _matrix(schema, words, given, operands):
    slots = given.slots_of(words)
    stride = stride_of(schema.count_columns(given, words), words["block"])
    rows = operands.get(f"{given.name}_rows")
    stored = {"height": 1, "by_outputs": int(bool(words["layout"] & BY_OUTPUTS[given.sources]))}
    if rows:
        stored = {"height": height_of(words["layout"], given.sources), "by_outputs": 0}
        stored |= {"index": operands[f"{given.name}_index"].label}
        stored |= {"rows16" if rows.dtype == np.uint16 else "rows32": rows.label}
    if given.sources == "units" and DIAGONAL in operands:
        # Gate by gate, of all matrices that read the state.
        first = schema.inputs[schema.index("recurrent_kernel")]
        before = 0 if given is first else len(first.slots_of(words)) * stride
        stored |= {"diagonal": f"{operands[DIAGONAL].label} + {before}" if before else operands[DIAGONAL].label}
    own = {
        "values": operands[given.name].label,
        "sources": schema.count_sources(given, words, operands["x"].shape[-1]),
        "stride": stride,
        "slots": [len(slots), slots[-1]],
    }
    return chosen("ksr_matrix", words | stored | own)
