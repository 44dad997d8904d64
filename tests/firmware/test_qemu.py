"""Models on emulated Cortex-M boards."""

from dataclasses import replace

import numpy as np
import pytest
from adapter_models import between_dense_layers
from random_models import KINDS, random_op

from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.runtime.model import Model

needs_tools = pytest.mark.skipif(
    bool(qemu.missing_tools()),
    reason=f"{', '.join(qemu.missing_tools())} not installed (Debian: apt-get install cmake gcc gcc-arm-none-eabi "
    "libnewlib-arm-none-eabi qemu-system-arm)",
)


def _calls(op):
    """What a streaming model takes call by call, and what it has to give."""
    backwards = op.op.options.go_backwards
    return (op.x[None].reshape(1, -1), op.expected().reshape(1, -1)) if backwards else (op.x, op.op(op.x))


@needs_tools
@pytest.mark.parametrize("cpu", qemu.BOARDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_equals_the_definition(kind, cpu, seed=8):
    op = random_op(seed, kind=kind)
    inputs, expected = _calls(op)
    measured = qemu.measure(Model(op.to_model()), inputs, cpu)
    np.testing.assert_array_equal(measured.outputs, expected, op.label)


@needs_tools
@pytest.mark.parametrize(
    ("kind", "cpu"), [*((kind, "cortex-m4") for kind in KINDS), ("KsrGru", "cortex-m55"), ("KsrLstm", "cortex-m0plus")]
)
def test_every_bit_of_int16_activations_equals_the_definition(kind, cpu):
    op = random_op(145, kind=kind, activation_bits=16)
    assert op.op.output_scales is not None
    inputs, expected = _calls(op)
    measured = qemu.measure(Model(op.to_model()), inputs, cpu)
    np.testing.assert_array_equal(measured.outputs, expected, op.label)


@needs_tools
@pytest.mark.parametrize("cpu", qemu.BOARDS)
def test_every_bit_of_a_delta_gru_equals_the_definition(cpu):
    op = random_op(10, kind="KsrGru", holds=True)
    assert op.op.hidden_threshold is not None
    inputs, expected = _calls(op)
    measured = qemu.measure(Model(op.to_model()), inputs, cpu)
    np.testing.assert_array_equal(measured.outputs, expected, op.label)


# Kind, seed, whether what changes is sent, whether blocks are stored, and options: together they reach each loop of
# each processor, with and without what is left over from its unrolling.
LAYERS = [
    ("KsrEventGru", 2, False, True, {"block": 4, "readout": 0, "reset": 1}),
    ("KsrEventGru", 22, False, True, {"block": 8, "readout": 1, "reset": 1}),
    ("KsrEventGru", 20, True, True, {"block": 16, "readout": 0, "reset": 0}),
    ("KsrEventGru", 20, False, True, {"block": 16, "readout": 0, "reset": 1, "operand_shift": 25}),
    ("KsrGru", 44, True, True, {"block": 4}),
    ("KsrGru", 22, True, True, {"block": 8, "fraction": 7, "operand_shift": 26, "operand_multiplier": 32767}),
    ("KsrGru", 16, False, False, {"block": 8, "reset_after": 1}),
    ("KsrLstm", 44, False, True, {"block": 8}),
]


@needs_tools
@pytest.mark.parametrize("cpu", [cpu for cpu in qemu.BOARDS if cpu != "cortex-m7"])  # which runs the loops of the M4
def test_every_bit_of_a_stack_of_layers_equals_the_definition(cpu):
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (12, 19)).astype(np.int8)
    writer = ModelWriter()
    at = inputs = writer.add_tensor("x", (1, *x.shape), np.int8, scale=(1 / 64, 0))
    expected = x
    for i, (kind, seed, holds, sparse, options) in enumerate(LAYERS):
        op = random_op(seed, kind=kind, holds=holds, inputs=expected.shape[1]).op
        masks = [rng.random(kernel.shape) < rng.choice([0.05, 0.3], (len(kernel), 1, 1)) for kernel in op.kernels]
        op = replace(
            op,
            kernel=op.kernel * masks[0],
            recurrent_kernel=op.recurrent_kernel * masks[1],
            options=replace(op.options, return_sequences=1, go_backwards=0, **options),
        )
        expected = op(expected)
        assert len(np.unique(expected)) > 30, (i, kind)
        scale = (1 / 64, op.options.output_zero_point)
        y = writer.add_tensor(f"y{i}", (1, *expected.shape), np.int8, scale=scale)
        writer.add_recurrent(f"layer{i}", op, op.constants(sparse), at, y)
        at = y
    measured = qemu.measure(Model(writer.finish({"x": inputs}, {"y": at})), x, cpu)
    np.testing.assert_array_equal(measured.outputs, expected)


@needs_tools
def test_counts_are_exact():
    """A second run executes the same instructions; a call with the same input from the same state, too."""
    op = random_op(8)
    model = Model(op.to_model())
    silent = np.full((3, op.x.shape[-1] * (1 if not op.op.options.go_backwards else len(op.x))), 0, np.int8)
    first, second = (qemu.measure(model, silent, by_function=by_function) for by_function in (False, True))
    assert first.instructions == second.instructions and len(first.instructions) == 3
    assert min(first.instructions) > 100
    assert sum(second.functions.values()) == pytest.approx(second.mean_instructions)
    assert "ksr_event_gru_run_i8" in second.functions and not first.functions
    with pytest.raises(RuntimeError, match="failed with status 2"):
        qemu.measure(model, silent, expected=first.outputs ^ 1)


@needs_tools
def test_costs_by_op_and_an_estimate_of_cycles():
    model = Model(between_dense_layers(all_outputs=False))
    x = np.random.default_rng(0).integers(-128, 128, model.inputs[0].shape[1:]).astype(np.int8).reshape(1, -1)
    for cpu, timed in (("cortex-m4", True), ("cortex-m7", False)):
        seen = qemu.measure(model, x, cpu, whole_sequences=True)
        assert [op.name for op in seen.ops] == [*(op.name for op in model.operators), ""]
        assert min(op.instructions for op in seen.ops) > 0
        assert sum(op.instructions for op in seen.ops) == seen.mean_instructions
        if timed:
            assert sum(op.cycles_estimate for op in seen.ops) == seen.cycles_estimate
            assert 1.2 * seen.mean_instructions < seen.cycles_estimate < 2.5 * seen.mean_instructions
        else:
            assert seen.cycles_estimate is None


def test_an_unknown_cpu_is_named():
    with pytest.raises(ValueError, match=r"cpu must be one of .*cortex-m4.*; given: 'cortex-a9'"):
        qemu.measure(Model(random_op(0).to_model()), np.zeros((1, 1)), "cortex-a9")


def test_missing_tools_are_named(monkeypatch):
    monkeypatch.setattr(qemu, "TOOLS", ("cmake", "no-such-tool"))
    with pytest.raises(RuntimeError, match=r"no-such-tool must be installed"):
        qemu.measure(Model(random_op(0).to_model()), np.zeros((1, 1)))
