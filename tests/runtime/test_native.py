"""The C core against its definition in NumPy."""

import numpy as np
import pytest
from random_models import random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.runtime.native import NativeOp
from keras_sparse_rnn.runtime.reference import event_gru


def _reference(op):
    outputs = event_gru(op.options, op.weights, op.x)
    return outputs[None] if op.options.return_sequences else outputs[-1:]


def _native(op):
    run = NativeOp("KsrEventGru", op.options.to_bytes(), [op.x[None], *op.constants], op.output_shape, op.x.dtype)
    return run([op.x[None], *op.constants])


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_int8_equals_the_reference_bit_for_bit(first):
    for seed in range(first, first + 100):
        op = random_op(seed)
        np.testing.assert_array_equal(_native(op), _reference(op), err_msg=op.label)


def test_random_models_cover_silence_and_full_activity():
    rates = [np.mean(event_gru(op.options, op.weights, op.x) != op.options.output_zero_point)
             for op in map(random_op, range(100)) if op.options.readout == 0]  # fmt: skip
    assert min(rates) == 0 and max(rates) > 0.95


def test_float32_agrees_with_the_reference_at_each_step():
    for seed in range(100):
        op = random_op(seed, np.float32)
        ours, theirs = _native(op), _reference(op)
        # Later steps may part after a state within rounding of its threshold; most must not.
        assert np.median(np.abs(ours - theirs)) <= 1e-6, op.label


def test_engines_agree_on_whole_models():
    for seed in range(20):
        op = random_op(seed)
        model = op.to_model()
        outputs = [runtime.load(model, engine).invoke([op.x[None]])[0] for engine in ("native", "reference")]
        np.testing.assert_array_equal(*outputs, err_msg=op.label)
