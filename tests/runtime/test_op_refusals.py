"""What the C core refuses, each by its status."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import KINDS, random_op

from keras_sparse_rnn.runtime.native import NativeOp

by_kind = pytest.mark.parametrize("kind", KINDS)
by_bits = pytest.mark.parametrize("bits", [8, 16])
SEED = 9


def sparse_op(kind, holds=False, bits=8, **options):
    """An op with every matrix in blocks and more than one block a row."""
    op = random_op(SEED, kind=kind, holds=holds, activation_bits=bits)
    recurrent = replace(op.op, options=replace(op.op.options, **options))
    return replace(op, op=recurrent, constants=recurrent.constants(sparse=True))


def refuse(op, message, *, options=None, x=None, constants=None, output_shape=None):
    inputs = [op.x[None] if x is None else x, *(op.constants if constants is None else constants)]
    with pytest.raises(ValueError, match=f"{op.op.SCHEMA.name} refused: {message}"):
        NativeOp(
            op.op.SCHEMA.name,
            op.op.options.to_bytes() if options is None else options,
            inputs,
            op.output_shape if output_shape is None else output_shape,
            op.x.dtype,
        )


def changed(op, name, change):
    """The constants with one of them changed."""
    constants = [None if part is None else part.copy() for part in op.constants]
    place = op.op.CONSTANTS.index(name)
    constants[place] = change(constants[place])
    return constants


def assigned(index, value):
    def change(array):
        array[index] = value
        return array

    return change


@by_kind
def test_the_unchanged_op_is_accepted(kind):
    op = sparse_op(kind)
    NativeOp(kind, op.op.options.to_bytes(), [op.x[None], *op.constants], op.output_shape, np.int8)


EVERY_KIND = [
    {"units": 0},
    {"units": 2**16},  # an event's source has 16 bits
    {"units": 2**31 - 1},
    {"block": 5},
    {"go_backwards": 3},
    {"go_backwards": 2, "return_sequences": 0},
    {"x_zero_point": 128},
    {"x_shift": 8},
    {"fraction": 11},
    {"multipliers": (0, 0, -1, 0)},
    {"operand_multiplier": 2**15},
    {"output_shift": 0},
    {"activation_bits": 16},
    {"operand_bits": 1},
    {"operand_bits": 9},
]
OPTIONS = [(kind, change) for kind in KINDS for change in EVERY_KIND]
OPTIONS += [("KsrEventGru", {"readout": 3}), ("KsrEventGru", {"reset": 2}), ("KsrEventGru", {"trace_rate": -1})]
OPTIONS += [("KsrGru", {"reset_after": 2}), ("KsrLstm", {"cell_bits": 8}), ("KsrLstm", {"operand_bits": 4})]


@pytest.mark.parametrize(("kind", "change"), OPTIONS, ids=str)
def test_options(kind, change):
    op = sparse_op(kind)
    refuse(op, "custom options", options=replace(op.op.options, **change).to_bytes())


INT16 = [
    {"activation_bits": 8},
    {"x_zero_point": 1},
    {"output_zero_point": 1},
    {"x_shift": 8},
    {"fraction": 16},
    {"operand_bits": 16},
    {"operand_bits": 15, "h_shift": 1},
    {"operand_bits": 1},
]


@by_kind
@pytest.mark.parametrize("change", INT16, ids=str)
def test_options_of_int16_activations(kind, change):
    op = sparse_op(kind, bits=16)
    refuse(op, "custom options", options=replace(op.op.options, **change).to_bytes())


@by_kind
def test_held_inputs_of_int16_are_shifted(kind):
    """So that a change fits into 16 bits too."""
    op = sparse_op(kind, holds=True, bits=16)
    refuse(op, "custom options", options=replace(op.op.options, x_shift=1).to_bytes())
    refuse(op, "hold", constants=changed(op, "input_threshold", lambda threshold: threshold.astype(np.uint8)))


@by_kind
@by_bits
def test_accumulators_that_could_overflow(kind, bits):
    """Judged by the weights of each output: beside what these can add, there is room for a bias up to that."""
    op = sparse_op(kind, bits=bits)
    o, ours = op.op.options, op.op
    unit, slot = o.units - 1, max(set(ours.KERNEL_SLOTS) & set(ours.RECURRENT_SLOTS))
    column = slot * -(-o.units // o.block) * o.block + unit
    x = 255 << o.x_shift if bits == 8 else 2**15 >> o.x_shift
    h = 256 << o.h_shift if bits == 8 else 1 << o.operand_bits + o.h_shift
    from_x = np.abs(ours.kernel[:, slot, unit].astype(int)).sum() * x
    from_h = np.abs(ours.recurrent_kernel[:, slot, unit].astype(int)).sum() * h
    room = 2**31 - 1 - int(from_x + from_h)
    for op in (op, replace(op, constants=ours.constants(sparse=False))):
        for bias in (room, -room):
            inputs = [op.x[None], *changed(op, "bias", assigned(column, bias))]
            NativeOp(kind, o.to_bytes(), inputs, op.output_shape, op.x.dtype)
        for bias in (room + 1, -room - 1):
            refuse(op, "bias", constants=changed(op, "bias", assigned(column, bias)))


@by_kind
def test_options_of_another_size_or_version(kind):
    op = sparse_op(kind)
    options = op.op.options.to_bytes()
    refuse(op, "custom options", options=options[:-4])
    for version in (1, 3):
        refuse(op, "custom options: of another version", options=bytes([version]) + options[1:])
    with pytest.raises(ValueError, match="version 2; given: 1. Convert"):
        op.op.options.from_bytes(b"\1" + options[1:])


@by_kind
def test_output_scales(kind):
    op = sparse_op(kind)
    scales = np.ones((4, op.op.options.units), np.int16)
    op = replace(op, constants=replace(op.op, output_scales=scales).constants(sparse=True))
    refuse(op, "multiplier", constants=changed(op, "output_scales", lambda scales: scales[:-1]))
    refuse(op, "multiplier", constants=changed(op, "output_scales", lambda scales: scales.astype(np.uint16)))


@by_kind
def test_shapes_and_types(kind):
    op = sparse_op(kind)
    refuse(op, "x:", x=op.x)
    refuse(op, "x:", x=np.zeros((1, len(op.x), 2**16), op.x.dtype))
    refuse(op, "output:", output_shape=(1, op.op.options.units + 1))
    refuse(op, "tensor type", x=op.x[None].astype(np.int32))
    refuse(op, "tensor type", x=op.x[None].astype(np.int16))  # to an output of int8
    refuse(op, "inputs:", constants=op.constants[:6])
    refuse(op, "inputs:", constants=[*op.constants, *[None] * 6])
    refuse(op, "bias", constants=changed(op, "bias", lambda bias: bias[:-1]))
    refuse(op, "bias", constants=changed(op, "bias", assigned(0, 2**31 - 1)))


@by_kind
def test_constants_that_a_processor_could_not_load(kind):
    op = sparse_op(kind)

    def moved(array):
        return np.frombuffer(b"?" + array.tobytes(), array.dtype, offset=1)

    refuse(op, "bias", constants=changed(op, "bias", moved))
    for matrix in ("kernel", "recurrent_kernel"):
        for name in (matrix, f"{matrix}_rows"):
            refuse(op, f"{matrix.replace('_', ' ')}:", constants=changed(op, name, moved))
    scales = np.ones((4, op.op.options.units), np.int16)
    op = replace(op, constants=replace(op.op, output_scales=scales).constants(sparse=True))

    def moved_by_two(array):  # aligned for int16, but not for a pair of them
        return np.frombuffer(b"??" + array.tobytes(), array.dtype, offset=2)

    refuse(op, "multiplier", constants=changed(op, "output_scales", moved_by_two))


def test_thresholds():
    op = sparse_op("KsrEventGru")
    refuse(op, "threshold", constants=changed(op, "threshold", lambda threshold: threshold[:-1]))
    refuse(op, "threshold", constants=changed(op, "threshold", assigned(0, -1)))


MATRICES = [(kind, {}, matrix) for kind in KINDS for matrix in ("kernel", "recurrent_kernel")]
MATRICES += [("KsrGru", {"reset_after": 0}, matrix) for matrix in ("recurrent_kernel", "candidate_kernel")]


@pytest.mark.parametrize(("kind", "options", "matrix"), MATRICES)
def test_matrices(kind, options, matrix):
    op = sparse_op(kind, **options)
    index, rows = f"{matrix}_index", f"{matrix}_rows"
    blocks = int(op.constants[op.op.CONSTANTS.index(rows)][-1])
    for name, change in (
        (matrix, lambda values: values[:-1]),
        (matrix, lambda values: values.astype(np.int16)),
        (index, lambda index: index[:-1]),
        (index, assigned(0, 255)),
        (index, assigned(1, 0)),
        (rows, lambda rows: rows[:-1]),
        (rows, assigned(0, 1)),
        (rows, assigned(-1, blocks + 1)),
        (rows, assigned(1, 2**16 - 1)),
        (rows, lambda rows: rows.astype(np.int32)),
        (rows, lambda _: None),
    ):
        refuse(op, f"{matrix.replace('_', ' ')}:", constants=changed(op, name, change))


def test_a_candidate_kernel_only_with_the_reset_before_the_product():
    before, after = sparse_op("KsrGru", reset_after=0), sparse_op("KsrGru", reset_after=1)
    refuse(before, "candidate kernel: needed", constants=before.constants[:8])
    refuse(after, "candidate kernel: needed", constants=[*after.constants[:8], *before.constants[8:]])


@by_kind
def test_holds(kind):
    op = sparse_op(kind, holds=True)
    place = op.op.CONSTANTS.index("input_threshold")
    assert op.constants[place] is not None
    refuse(op, "hold", constants=changed(op, "input_threshold", lambda threshold: threshold[:-1]))
    refuse(op, "hold", constants=changed(op, "input_threshold", lambda threshold: threshold.astype(np.int8)))
    *others, held, sums = [state.zeros() for state in op.op.states()]
    refuse(op, "state", constants=[*op.constants, *others, held, None])  # cleared together or kept together
    refuse(op, "state", constants=[*op.constants, *others, None, sums])
    not_held = [*op.constants[:place], None, *op.constants[place + 1 :]]
    if "hidden_threshold" in op.op.CONSTANTS and op.op.hidden_threshold is not None:
        refuse(op, "hold", constants=not_held)
    else:
        refuse(op, "state", constants=[*not_held, *others, held, sums])


def test_a_hidden_threshold_only_with_the_reset_after_the_product():
    op = sparse_op("KsrGru", holds=True, reset_after=1)
    refuse(op, "hold", constants=changed(op, "hidden_threshold", lambda _: np.zeros(1, np.uint16)))
    before = sparse_op("KsrGru", holds=True, reset_after=0)
    thresholds = np.zeros(before.op.options.units, np.uint16)
    refuse(before, "hold", constants=changed(before, "hidden_threshold", lambda _: thresholds))


@by_kind
@pytest.mark.parametrize("holds", [False, True])
def test_states(kind, holds):
    op = sparse_op(kind, holds)
    for place, state in enumerate(op.op.states()):
        others = [None] * place
        for wrong in (np.zeros(op.op.options.units + 1, state.dtype), np.zeros(op.op.options.units, np.int32)):
            refuse(op, "state", constants=[*op.constants, *others, wrong])
