"""KsrGru with kernels of low rank: the engines against its definition, and its definition against one product."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.ops.gru import Gru
from keras_sparse_rnn.runtime.native import NativeOp


def _native(op):
    inputs = op.inputs()
    return NativeOp("KsrGru", op.op.options.to_bytes(), inputs, [(op.output_shape, op.x.dtype)])(inputs)[0]


def drawn(seed, dtype=np.int8, bits=8):
    return random_op(seed, dtype, "KsrGru", activation_bits=bits, rank=True)


@pytest.mark.parametrize("bits", [8, 16])
def test_integers_equal_the_reference_bit_for_bit(bits):
    seen, values = set(), set()
    for seed in range(60):
        op = drawn(seed, bits=bits)
        expected = op.expected()
        np.testing.assert_array_equal(_native(op), expected, err_msg=op.label)
        o = op.op.options
        seen.add((o.reset_gate, o.recurrent_rank > 0, o.layout & 3))
        values |= set(np.unique(expected).tolist())
    assert len(seen) > 12 and len(values) > 100


@pytest.mark.parametrize("bits", [8, 16])
def test_interpreters_agree(bits):
    for seed in range(6):
        op = drawn(seed, bits=bits)
        model = op.to_model()
        expected = runtime.load(model, "reference").invoke([op.x[None]])[0]
        for engine in ("native", "litert", "tflm"):
            ours = runtime.load(model, engine).invoke([op.x[None]])[0]
            np.testing.assert_array_equal(ours, expected, err_msg=f"{engine}: {op.label}")


def test_floats_equal_those_of_the_product_of_the_factors():
    for seed in range(40):
        random = drawn(seed, np.float32)
        op, o = random.op, random.op.options
        of_x, of_h = op.kernel, op.recurrent_kernel if o.recurrent_rank else op.kernel
        slots = op.kernel_slots, op.recurrent_slots
        whole = [
            np.einsum("sr,rgu->sgu", factor[:, 0], kernel)
            for factor, kernel in ((op.input_factor_kernel, of_x), (op.recurrent_factor_kernel, of_h))
        ]
        if not o.recurrent_rank and slots[0] != slots[1]:
            continue  # with a reset gate, a middle for both leads to the part of the candidate that is not reset
        none = {"input_factor_kernel": None, "recurrent_factor_kernel": None}
        full = replace(
            op, options=replace(o, rank=0, recurrent_rank=0), kernel=whole[0], recurrent_kernel=whole[1], **none
        )
        expected = full(random.x)
        error = np.abs(op(random.x) - expected) / np.maximum(1, np.abs(expected))
        ours = np.abs(_native(random) - random.expected()) / np.maximum(1, np.abs(random.expected()))
        middle = np.median if random.activity == "saturating" else np.max
        assert middle(error) < 1e-4 and middle(ours) < 1e-4, random.label


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_constants_are_read_as_they_were(dtype):
    for seed in range(20):
        op = drawn(seed, dtype).op
        again = Gru.from_constants(op.options, op.constants(), op.inputs)
        for name in ("kernel", "recurrent_kernel", "input_factor_kernel", "recurrent_factor_kernel", "bias"):
            np.testing.assert_array_equal(getattr(again, name), getattr(op, name), err_msg=name)
        if op.is_integer:
            np.testing.assert_array_equal(again.middle_start, op.middle_start)
