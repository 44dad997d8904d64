"""Words and inputs that the schemas of all recurrent ops share."""

from dataclasses import replace

from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS, MOST_BITS, SIGMOID, TANH
from keras_sparse_rnn.ops.schema import (
    LARGEST,
    SLOTS,
    WEIGHT_BITS,
    Input,
    OpSchema,
    Word,
    constant,
    matrix,
    reserved,
    state,
)

BACKWARDS_IN_ORDER = 2  # value of `go_backwards`
DIAGONAL = "recurrent_kernel_diagonal"
# Bits of `layout`, by the sources of a matrix: the bit of a dense one, and the first of two bits of one in blocks.
BY_OUTPUTS = {"inputs": 1, "units": 2, "deep": 0}
_HEIGHT_AT = {"inputs": 2, "units": 4, "deep": 6}
LAYOUT_OF_INPUTS = (
    "1: a dense kernel is stored by outputs; 4 · k: a kernel in blocks has blocks of 2^(k + 1) sources and one output"
)


def height_of(layout, sources):
    """Returns the number of sources of a block, for a matrix whose sources are "inputs" or "units"."""
    exponent = layout >> _HEIGHT_AT[sources] & 3
    return 2 << exponent if exponent else 1


def block_shape(options, sources):
    """ "1x4", or "16x1" for blocks of several sources."""
    height = height_of(options.layout, sources)
    return f"{height}x1" if height > 1 else f"1x{options.block}"


def is_for_all(layout, sources, in_blocks):
    """Whether a matrix whose sources are "inputs" or "units" is stored for sources that are all active in every step:
    it is multiplied with the stored values of x, and the biases compensate for the zero point."""
    return height_of(layout, sources) > 1 if in_blocks else bool(layout & BY_OUTPUTS[sources])


def with_height(layout, sources, height):
    """Returns a layout with blocks of 1, 4, 8 or 16 sources for the matrices with these sources."""
    at, exponent = _HEIGHT_AT[sources], height.bit_length() - 2 if height > 1 else 0
    return layout & ~(3 << at) | exponent << at


_LAST = len(ALL_ACTIVATIONS) - 1
_X_SHIFT = "shift of x as an operand, to the left; int8x16: to the right, at least 2 if x is held"
WORDS = (
    Word.every("format", "number format: 0 float32, 1 int8, 2 int8x16", 0, 2),
    Word.every("units", "number of units, U", 1, 65535),
    Word.every("block", "width of a block: 4, 8 or 16", 4, 16, form="power of two"),
    Word.every(
        "go_backwards",
        "1: from the last step to the first, with the outputs in this order; 2: with the outputs in the order of x",
        *(0, 2),
        limit=(1, 1, "return_sequences"),
    ),
    Word.every("return_sequences", "1: the outputs of all steps; 0: the last one only", 0, 1),
    Word.every("activation", "activation of the candidate and of an LSTM's cell state", 0, _LAST, usual=TANH),
    Word.every("recurrent_activation", "activation of the gates", 0, _LAST, usual=SIGMOID),
    WEIGHT_BITS,
    Word.integer("layout", f"{LAYOUT_OF_INPUTS}; 2 and 16 · k: likewise for the matrices that read the state", 0, 63),
    Word.every(
        *(
            "zero_output_for_mask",
            "1: the output of a masked step is 0; 0: it is that of the previous step, at the start 0",
        ),
        *(0, 1),
    ),
    Word.every("initial_states", "1: given states are the initial ones, and only read; 0: they are kept", 0, 1),
    Word.integer("state_bits", "states and candidates lie in [-2^state_bits, 2^state_bits)", 0, MOST_BITS),
    Word.integer("gate_bits", "gates lie in [-2^gate_bits, 2^gate_bits)", 0, MOST_BITS),
    Word("x_zero_point", "zero point of x", int8=(-128, 127)),
    Word.integer("x_shift", _X_SHIFT, 0, 7),
    Word(
        "h_shift",
        "shift to the left of the recurrence's operand; at most 15 together with `operand_bits`",
        int8=(0, 7),
        int8x16=(0, 13),
        limit=(15, -1, "operand_bits"),
    ),
    Word(
        "fraction",
        "fractional bits of a GRU's candidate; int8x16: of every tanh; with other activations: of all gates",
        int8=(7, 10),
        int8x16=(7, 15),
    ),
    *(
        Word.integer(
            f"multiplier_{slot}",
            f"scale of the accumulators in slot {slot} · 2^(bits + 32), with at most 15 significant bits",
            *(0, LARGEST),
            form="15 bits",
        )
        for slot in range(SLOTS)
    ),
    Word.integer("operand_multiplier", "multiplier from a state to the recurrence's operand", 0, 2**15 - 1),
    Word.integer("operand_shift", "shift to the right after `operand_multiplier`", 1, 30),
    Word.integer("output_multiplier", "multiplier from a state to the output", 0, 2**15 - 1),
    Word.integer("output_shift", "shift to the right after `output_multiplier`", 1, 30),
    Word("output_zero_point", "zero point of the output", int8=(-128, 127)),
    Word("operand_bits", "bits to which the recurrence's operand saturates", int8=(8, 8), int8x16=(2, 15)),
)
Q15_STATE = lambda options, x_scale: (2.0 ** (options.state_bits - 15), 0)  # noqa: E731
OPERAND_STATE = lambda options, x_scale: (operand_scale(options), 0)  # noqa: E731

H = state("h", "the recurrence's operand", "units", "int8", OPERAND_STATE)


def hold_of(value, threshold, held, **more):
    """Returns the inputs of a state that may be held: the constant `threshold` and the state `held`.

    Args:
        value: The `Input` of the state; its held copy has the same type and scale.
        threshold, held: Names of the two inputs.
        more: Further attributes of the threshold: when it may be given, and which inputs it needs.
    """
    types = [{"int8": "uint8", "int16": "uint16"}.get(name, name) for name in value.types]
    counts = "Q15" if value.scale is Q15_STATE else f"counts of {value.name}"
    return (
        constant(threshold, f"{counts}; absent: {value.name} is not held", "units", *types, is_optional=True, **more),
        replace(
            value, name=held, doc=f"the held value of {value.name}", needs=threshold, together="held_x", where=None
        ),
    )


HOLD_OF_H = hold_of(H, "hidden_threshold", "held_h", needs="input_threshold")
FIRST_INPUTS = (
    Input("x", "(B, T, I)", ("float32", "int8", "int16")),
    *matrix("kernel", "from x to the gates", "inputs", ()),
    *matrix("recurrent_kernel", "from the state to the gates", "units", ()),
    constant("bias", "initial values of the accumulators", "slots", "float32", "int32", "int32"),
)
# An op that has none of these ends its inputs before them.
LAST_INPUTS = (
    constant(
        *("output_scales", "Q16: factors that bring the accumulators to one scale per slot; absent: they have one"),
        *("slots", None, "int16", "int16"),
        is_optional=True,
    ),
    constant(
        *("input_threshold", "counts of x; absent: x is not held", "inputs", "float32", "uint8", "uint16"),
        is_optional=True,
        where=("initial_states", (0,)),  # unchecked sums could overflow
    ),
    HOLD_OF_H[0],
    state(
        *("held_x", "the held value of x", "inputs", "int8"),
        lambda options, x_scale: (x_scale, options.x_zero_point),
        needs="input_threshold",
        together="sums",
    ),
    state(
        *("sums", "sums of the products of held values; in integers with the biases once the 1 at the end says so"),
        *("sums", "int32"),
        lambda options, x_scale: (None, None),
        needs="input_threshold",
        together="held_x",
    ),
    HOLD_OF_H[1],
    Input(
        *("mask", "false: the step is skipped, and the states are kept", ("bool", "bool", "bool"), "steps"),
        is_optional=True,
    ),
    reserved("threshold_scale", "scales the thresholds at run time"),
    constant(
        *(DIAGONAL, "weights from each unit to itself, gate by gate, added to those in the blocks"),
        *("diagonal", "float32", "int8", "int8"),
        is_optional=True,
        needs="recurrent_kernel_index",
    ),
    Input(
        *("last_output", "variable: the last computed output, which masked steps at the start repeat"),
        *(("float32", "int8", "int16"), "output"),
        is_optional=True,
        needs="mask",
    ),
)


def recurrent_schema(name, doc, kernel_slots, recurrent_slots, *, words=(), inputs=(), changes=()):
    """Creates the schema of a recurrent op.

    Args:
        name, doc: Name of the op and its description.
        kernel_slots, recurrent_slots: The slot of accumulators that each gate adds to; or `slots_by` of `Input`.
        words, inputs: Its own words and inputs, in addition to those that all recurrent ops share.
        changes: `Word`s and `Input`s that replace shared ones of the same names.
    """
    by_name = {change.name: change for change in changes}
    slots = {"kernel": kernel_slots, "recurrent_kernel": recurrent_slots}
    first = [_with_slots(given, slots.get(given.name, ())) for given in FIRST_INPUTS]
    shared = [by_name.get(word.name, word) for word in WORDS]
    every = [by_name.get(given.name, given) for given in (*first, *inputs, *LAST_INPUTS)]
    return OpSchema(name, doc, (*shared, *words), tuple(every), len(WORDS))


def _with_slots(given, slots):
    if slots and isinstance(slots[0], str):
        return replace(given, slots=max(slots[1], key=len), slots_by=slots)
    return replace(given, slots=slots)


def operand_scale(options):
    """Returns the scale of a state as the recurrence reads it (integer models)."""
    return 2.0 ** (options.operand_shift + options.state_bits - 15) / max(options.operand_multiplier, 1)
