"""What the C core refuses, each by its status."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import KINDS, random_op

from keras_sparse_rnn.runtime.native import NativeOp

by_kind = pytest.mark.parametrize("kind", KINDS)
SEED = 9


def sparse_op(kind, holds=False, **options):
    """An op with every matrix in blocks and more than one block a row."""
    op = random_op(SEED, kind=kind, holds=holds)
    recurrent = replace(op.op, options=replace(op.op.options, **options))
    return replace(op, op=recurrent, constants=recurrent.constants(sparse=True))


def refuse(op, message, *, options=None, x=None, constants=None, output_shape=None):
    inputs = [op.x[None] if x is None else x, *(op.constants if constants is None else constants)]
    with pytest.raises(ValueError, match=f"{op.op.NAME} refused: {message}"):
        NativeOp(
            op.op.NAME,
            op.op.options.to_bytes() if options is None else options,
            inputs,
            op.output_shape if output_shape is None else output_shape,
            np.int8,
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
]
OPTIONS = [(kind, change) for kind in KINDS for change in EVERY_KIND]
OPTIONS += [("KsrEventGru", {"readout": 3}), ("KsrEventGru", {"reset": 2}), ("KsrEventGru", {"trace_rate": -1})]
OPTIONS += [("KsrGru", {"reset_after": 2}), ("KsrLstm", {"cell_bits": 8})]


@pytest.mark.parametrize(("kind", "change"), OPTIONS, ids=str)
def test_options(kind, change):
    op = sparse_op(kind)
    refuse(op, "custom options", options=replace(op.op.options, **change).to_bytes())


@by_kind
def test_options_of_another_size_or_version(kind):
    op = sparse_op(kind)
    options = op.op.options.to_bytes()
    refuse(op, "custom options", options=options[:-4])
    refuse(op, "custom options", options=b"\2" + options[1:])


@by_kind
def test_shapes_and_types(kind):
    op = sparse_op(kind)
    refuse(op, "x:", x=op.x)
    refuse(op, "output:", output_shape=(1, op.op.options.units + 1))
    refuse(op, "tensor type", x=op.x[None].astype(np.int16))
    refuse(op, "inputs:", constants=op.constants[:6])
    refuse(op, "inputs:", constants=[*op.constants, *[None] * 6])
    refuse(op, "bias", constants=changed(op, "bias", lambda bias: bias[:-1]))
    refuse(op, "bias", constants=changed(op, "bias", assigned(0, 2**31 - 1)))


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
