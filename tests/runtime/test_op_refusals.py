"""What the C core refuses, each by its status."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import random_op

from keras_sparse_rnn.convert.pack import pack_weights
from keras_sparse_rnn.runtime.native import NativeOp

SEED = 8


@pytest.fixture
def op():
    op = random_op(SEED)
    return replace(op, constants=pack_weights(op.weights, op.options.block, sparse=True))


def refuse(op, message, *, options=None, x=None, constants=None, output_shape=None):
    inputs = [op.x[None] if x is None else x, *(op.constants if constants is None else constants)]
    with pytest.raises(ValueError, match=f"KsrEventGru refused: {message}"):
        NativeOp(
            "KsrEventGru",
            op.options.to_bytes() if options is None else options,
            inputs,
            op.output_shape if output_shape is None else output_shape,
            np.int8,
        )


def changed(op, place, change):
    """The constants with one of them changed; `place` counts from the first one."""
    constants = [None if part is None else part.copy() for part in op.constants]
    constants[place] = change(constants[place])
    return constants


def assigned(index, value):
    def change(array):
        array[index] = value
        return array

    return change


def test_the_unchanged_op_is_accepted(op):
    NativeOp("KsrEventGru", op.options.to_bytes(), [op.x[None], *op.constants], op.output_shape, np.int8)


@pytest.mark.parametrize(
    "change",
    [
        {"units": 0},
        {"units": 2**31 - 1},
        {"block": 5},
        {"readout": 3},
        {"reset": 2},
        {"x_zero_point": 128},
        {"x_shift": 8},
        {"fraction": 11},
        {"z_multiplier": -1},
        {"event_multiplier": 2**15},
        {"output_shift": 0},
    ],
    ids=str,
)
def test_options(op, change):
    refuse(op, "custom options", options=replace(op.options, **change).to_bytes())


def test_options_of_another_size_or_version(op):
    refuse(op, "custom options", options=op.options.to_bytes()[:-4])
    refuse(op, "custom options", options=b"\2" + op.options.to_bytes()[1:])


def test_shapes_and_types(op):
    refuse(op, "x:", x=op.x)
    refuse(op, "output:", output_shape=(1, op.options.units + 1))
    refuse(op, "tensor type", x=op.x[None].astype(np.int16))
    refuse(op, "inputs:", constants=op.constants[:-1])
    refuse(op, "bias", constants=changed(op, 6, lambda bias: bias[:-1]))
    refuse(op, "bias", constants=changed(op, 6, assigned(0, 2**31 - 1)))
    refuse(op, "threshold", constants=changed(op, 7, lambda threshold: threshold[:-1]))
    refuse(op, "threshold", constants=changed(op, 7, assigned(0, -1)))


@pytest.mark.parametrize(("first", "name"), [(0, "kernel"), (3, "recurrent kernel")])
def test_matrices(op, first, name):
    rows = op.constants[first + 2]
    for place, change in (
        (first, lambda values: values[:-1]),
        (first, lambda values: values.astype(np.int16)),
        (first + 1, lambda index: index[:-1]),
        (first + 1, assigned(0, 255)),
        (first + 1, assigned(1, 0)),
        (first + 2, lambda rows: rows[:-1]),
        (first + 2, assigned(0, 1)),
        (first + 2, assigned(-1, rows[-1] + 1)),
        (first + 2, assigned(1, 2**16 - 1)),
        (first + 2, lambda rows: rows.astype(np.int32)),
    ):
        refuse(op, f"{name}:", constants=changed(op, place, change))


def test_states(op):
    units = op.options.units
    refuse(op, "state", constants=[*op.constants, np.zeros(units + 1, np.int8)])
    refuse(op, "state", constants=[*op.constants, np.zeros(units, np.int8), np.zeros(units, np.int8)])
