"""States as tensors of the graph, and masks over time steps: in every engine, to the bit in integers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import KINDS, random_op
from state_models import state_model
from zoo import ENGINES

from keras_sparse_rnn import runtime
from keras_sparse_rnn.ops.check import check
from keras_sparse_rnn.ops.recurrent_schema import BACKWARDS_IN_ORDER
from keras_sparse_rnn.ops.schema import RefusedOpError
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.native import NativeOp

by_kind = pytest.mark.parametrize("kind", KINDS)
few = settings(max_examples=20, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
EXACT = ("native", "reference", "litert")


def _random_states(op, rng, batch):
    """Any values that the tensors may have."""
    stored = {}
    for name, tensor in op.op.states().items():
        limits = np.iinfo(tensor.dtype)
        stored[name] = rng.integers(limits.min, limits.max + 1, (batch, tensor.shape[1])).astype(tensor.dtype)
    return stored


def _expected(op, x, initial, masks, zero_output=0):
    """By the definition: the outputs, and the states after the last step as they are stored."""
    run = replace(op.op, options=replace(op.op.options, zero_output_for_mask=zero_output))
    outputs, lasts, tensors = [], [], run.states()
    for i, sample in enumerate(x):
        zeros = {name: tensor.zero_point or 0 for name, tensor in tensors.items()}
        first = {n: t.zeros()[0] if initial is None else initial[n][i] for n, t in tensors.items()}
        state = {name: values.astype(np.int64) - zeros[name] for name, values in first.items()}
        rows = run(sample, state, None if masks is None else masks[i])
        outputs.append(rows if run.options.return_sequences else rows[-1])
        lasts.append({name: (state[name] + zeros[name]).astype(tensors[name].dtype) for name in state})
    return [np.stack(outputs), *(np.stack([last[name] for last in lasts]) for name in tensors)]


@few
@given(
    seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS), bits=st.sampled_from([8, 16]), batch=st.integers(1, 3)
)
def test_states_from_the_graph_and_to_it(seed, kind, bits, batch):
    op = random_op(seed, kind=kind, activation_bits=bits, holds=False)
    rng = np.random.default_rng(seed)
    x = np.stack([op.x] * batch)
    initial = _random_states(op, rng, batch)
    expected = _expected(op, x, initial, None)
    data = state_model(op, initial=True, batch=batch)
    for name in EXACT:
        given = {name: array.copy() for name, array in initial.items()}
        outputs = runtime.load(data, name).invoke([x, *given.values()])
        for ours, wanted in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(ours, wanted, f"{name}, {op.label}")
        assert all(np.array_equal(given[state], initial[state]) for state in initial)


@few
@given(
    seed=seeds,
    kind=st.sampled_from(KINDS),
    bits=st.sampled_from([8, 16]),
    batch=st.integers(1, 3),
    zero_output=st.integers(0, 1),
)
def test_masks(seed, kind, bits, batch, zero_output):
    op = random_op(seed, kind=kind, activation_bits=bits)
    op = replace(op, op=replace(op.op, options=replace(op.op.options, zero_output_for_mask=zero_output)))
    rng = np.random.default_rng(seed)
    x = np.stack([op.x] * batch)
    mask = rng.random((batch, len(op.x))) < rng.choice([0.0, 0.5, 0.9])
    expected = _expected(op, x, None, mask, zero_output)
    data = state_model(op, mask=True, batch=batch)
    for name in EXACT:
        outputs = runtime.load(data, name).invoke([x, mask])
        for ours, wanted in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(ours, wanted, f"{name}, {op.label}, {mask}")


@by_kind
def test_in_micro_as_in_the_definition(kind):
    if "tflm" not in ENGINES:
        pytest.skip("needs tflite_micro")
    for seed, bits in ((0, 8), (1, 16)):
        op = random_op(seed, kind=kind, activation_bits=bits, holds=False)
        mask = np.random.default_rng(seed).random((1, len(op.x))) < 0.6
        initial = _random_states(op, np.random.default_rng(seed), 1)
        expected = _expected(op, op.x[None], initial, mask)
        outputs = runtime.load(state_model(op, initial=True, mask=True), "tflm").invoke(
            [op.x[None], *initial.values(), mask]
        )
        for ours, wanted in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(ours, wanted, op.label)


@by_kind
def test_floats(kind):
    op = random_op(4, np.float32, kind, holds=False)
    mask = np.random.default_rng(0).random((1, len(op.x))) < 0.6
    rng = np.random.default_rng(1)
    initial = {n: rng.normal(size=t.shape).astype(np.float32) for n, t in op.op.states().items()}
    data = state_model(op, initial=True, mask=True)
    expected = runtime.load(data, "reference").invoke([op.x[None], *initial.values(), mask])
    for name in ENGINES:
        for ours, wanted in zip(
            runtime.load(data, name).invoke([op.x[None], *initial.values(), mask]), expected, strict=True
        ):
            np.testing.assert_allclose(ours, wanted, atol=1e-5)


@by_kind
def test_kept_states_are_also_put_out(kind):
    """With states in variables, and across chunks with masks."""
    op = random_op(7, kind=kind)
    op = replace(op, op=replace(op.op, options=replace(op.op.options, go_backwards=0, return_sequences=1)))
    op = replace(op, constants=op.op.constants())
    x = np.concatenate([op.x, op.x[::-1]])
    mask = np.random.default_rng(0).random((1, len(x))) < 0.6
    zeros = {name: tensor.zero_point or 0 for name, tensor in op.op.states().items()}
    state = {name: np.zeros(tensor.shape[1], np.int64) for name, tensor in op.op.states().items()}
    data = state_model(op, mask=True, stateful=True)
    engines = [runtime.load(data, name) for name in ENGINES]
    for part in (slice(0, len(op.x)), slice(len(op.x), None)):
        wanted = op.op(x[part], state, mask[0, part])
        for engine in engines:
            y, *last = engine.invoke([x[None, part], mask[:, part]])
            np.testing.assert_array_equal(y[0], wanted, op.label)
            for values, name in zip(last, state, strict=True):
                np.testing.assert_array_equal(values[0].astype(np.int64) - zeros[name], state[name], op.label)


def test_an_order_of_outputs_that_is_not_the_inputs():
    """Backwards, with the outputs where the inputs are: what is left out repeats the later step."""
    op = random_op(3, kind="KsrGru")
    options = replace(op.op.options, go_backwards=BACKWARDS_IN_ORDER, return_sequences=1)
    op = replace(op, op=replace(op.op, options=options))
    mask = np.ones(len(op.x), bool)
    mask[1:-1] = False
    outputs = op.op(op.x, mask=mask)
    np.testing.assert_array_equal(outputs[1:-1], np.repeat(outputs[-1:], len(op.x) - 2, axis=0))
    (ours, *_) = runtime.load(state_model(op, mask=True), "native").invoke([op.x[None], mask[None]])
    np.testing.assert_array_equal(ours[0], outputs)


def _refusals(op, outputs, **tensors):
    """What the C core and the definition say of it; None if they take it."""
    schema, options = op.op.SCHEMA, op.op.options.to_bytes()
    arrays = op.inputs(tensors)
    infos = [
        None if array is None else TensorInfo("", array.shape, array.dtype, data=array if given.is_constant else None)
        for given, array in zip(schema.inputs, arrays, strict=False)
    ]
    infos[0] = replace(infos[0], data=None)
    found = []
    for run in (
        lambda: NativeOp(schema.name, options, arrays, outputs),
        lambda: check(schema, options, infos, [TensorInfo("", *kind) for kind in outputs]),
    ):
        try:
            run()
            found.append(None)
        except RefusedOpError as error:
            found.append((error.status, error.index))
    assert found[0] == found[1]
    return found[0]


@by_kind
def test_wrong_outputs_and_masks_are_refused(kind):
    op = random_op(0, kind=kind, holds=False)
    states = [(tensor.shape, tensor.dtype) for tensor in op.op.states().values()]
    outputs = [(op.output_shape, op.x.dtype), *states]
    assert _refusals(op, outputs) is None and _refusals(op, outputs[:1]) is None
    for count in (0, 1 + len(outputs), 9):
        assert _refusals(op, (2 * outputs)[:count] if count < 9 else outputs * 4) == ("OUTPUT_COUNT", 0)
    (shape, dtype) = outputs[-1]
    for wrong in (((1, shape[1] + 1), dtype), (shape[1:], dtype), (shape, np.dtype(np.float32))):
        assert _refusals(op, [*outputs[:-1], wrong]) == ("OUTPUT", 0)
    place, mask = op.op.SCHEMA.index("mask"), np.ones((1, len(op.x)), bool)
    assert _refusals(op, outputs, mask=mask) is None
    assert _refusals(op, outputs, mask=mask[:, 1:] if len(op.x) > 1 else np.ones((1, 2), bool)) == ("SHAPE", place)
    assert _refusals(op, outputs, mask=mask[0]) == ("SHAPE", place)
    assert _refusals(op, outputs, mask=mask.astype(np.int8)) == ("TYPE", place)
