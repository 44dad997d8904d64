"""The C core against its definition in NumPy."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from random_models import KINDS, RESET_GATES, random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.ops.activations import NUMBERS, SIGMOID_TABLE, TANH_TABLE
from keras_sparse_rnn.runtime.native import NativeOp, load_library

by_kind = pytest.mark.parametrize("kind", KINDS)
by_bits = pytest.mark.parametrize("bits", [8, 16])


def _native(op, states=None):
    inputs = op.inputs(states)
    return NativeOp(op.op.SCHEMA.name, op.op.options.to_bytes(), inputs, [(op.output_shape, op.x.dtype)])(inputs)[0]


@by_kind
@by_bits
@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(100, 400, 100))])
def test_integers_equal_the_reference_bit_for_bit(kind, bits, first):
    for seed in range(first, first + 100):
        op = random_op(seed, kind=kind, activation_bits=bits)
        np.testing.assert_array_equal(_native(op), op.expected(), err_msg=op.label)


@pytest.mark.parametrize("kind", RESET_GATES)
@by_bits
def test_hard_gates_equal_the_reference_bit_for_bit(kind, bits):
    hard = {"activation": NUMBERS["hard_tanh"], "recurrent_activation": NUMBERS["hard_sigmoid"]}
    for reset_gate in RESET_GATES[kind]:
        seen = set()
        for seed in range(40):
            random = random_op(seed, kind=kind, activation_bits=bits, usual_gates=True, reset_gate=reset_gate)
            random = replace(random, op=replace(random.op, options=replace(random.op.options, **hard)))
            expected = random.expected()
            np.testing.assert_array_equal(_native(random), expected, err_msg=random.label)
            seen |= set(np.unique(expected).tolist())
        assert len(seen) > 100


@by_kind
@by_bits
def test_states_equal_the_reference_bit_for_bit(kind, bits):
    """From states at the ends of their ranges, where an overflow would show."""
    for seed in range(100):
        op = random_op(seed, kind=kind, activation_bits=bits)
        rng = np.random.default_rng(seed)
        tensors, stored, state = op.op.states(), {}, {}
        for name, tensor in tensors.items():
            ends = [np.iinfo(tensor.dtype).min, np.iinfo(tensor.dtype).max]
            stored[name] = rng.choice(ends, tensor.shape).astype(tensor.dtype)
            state[name] = stored[name][0].astype(np.int64) - (tensor.zero_point or 0)
        if "sums" in state:
            state["sums"] = op.op.sums(state)
            stored["sums"][0] = state["sums"]
        outputs = op.op(op.x, state)
        ours = _native(op, stored)
        np.testing.assert_array_equal(ours[0], outputs if op.op.options.return_sequences else outputs[-1], op.label)
        for name, tensor in tensors.items():
            after = stored[name][0].astype(int) - (tensor.zero_point or 0)
            np.testing.assert_array_equal(after, state[name], op.label)


def test_random_event_models_cover_silence_and_full_activity():
    ops = [op for op in map(random_op, range(100)) if op.op.options.readout == 0]
    rates = [np.mean(op.op(op.x) != op.op.options.output_zero_point) for op in ops]
    assert min(rates) == 0 and max(rates) > 0.95


@by_kind
def test_random_models_of_int16_cover_the_range_of_the_output(kind):
    outputs = np.concatenate(
        [random_op(seed, kind=kind, activation_bits=16).expected().reshape(-1) for seed in range(100)]
    )
    assert outputs.dtype == np.int16 and outputs.max() > 2**14 and (outputs.min() < -(2**14) or kind == "KsrEventGru")
    assert len(np.unique(outputs)) > (1000 if kind == "KsrOnLstm" else 2000)  # whose gates are often shut


@by_kind
def test_random_models_cover_the_range_of_the_output(kind):
    outputs = np.concatenate([random_op(seed, kind=kind).expected().reshape(-1) for seed in range(100)])
    assert len(np.unique(outputs)) > 230 and np.mean(np.abs(outputs.astype(int)) < 127) > 0.5


@by_kind
def test_float32_agrees_with_the_reference_at_each_step(kind):
    for seed in range(100):
        op = random_op(seed, np.float32, kind)
        expected = op.expected()
        error = np.abs(_native(op) - expected) / np.maximum(1, np.abs(expected))
        # Later steps may part after a state within rounding of its threshold, or where weights are so large that they
        # amplify rounding from step to step; most must not.
        may_part = kind == "KsrEventGru" or op.activity == "saturating"
        most = 1e-6 if op.op.has_usual_gates else 2e-6
        if op.op.hidden_threshold is not None:
            most *= 2  # sums gather the rounding of every change
        if getattr(op.op.options, "deep", 0):
            most *= 4  # as many products in a step
        if np.isinf(op.op.state_limit):
            most *= 2  # sums gather the rounding of every change, and so does a state that grows
        assert (np.median(error) if may_part else error.max()) <= most, op.label


@by_kind
@by_bits
def test_engines_agree_on_whole_models(kind, bits):
    for seed in range(20):
        op = random_op(seed, kind=kind, activation_bits=bits)
        model = op.to_model()
        outputs = [runtime.load(model, engine).invoke([op.x[None]])[0] for engine in ("native", "reference")]
        np.testing.assert_array_equal(*outputs, err_msg=op.label)


@pytest.mark.parametrize(("name", "table"), [("ksr_sigmoid_table", SIGMOID_TABLE), ("ksr_tanh_table", TANH_TABLE)])
def test_tables(name, table):
    np.testing.assert_array_equal((ctypes.c_int16 * 1024).in_dll(load_library(), name), table)
