"""Models in C that together reach every loop of each processor, with inputs and outputs by the NumPy definition."""

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
from random_models import KINDS, random_op

from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware.image import Recording
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.targets import TARGETS
from keras_sparse_rnn.ops.activations import NUMBERS
from keras_sparse_rnn.ops.gru import AFTER, BEFORE, WITHOUT
from keras_sparse_rnn.ops.recurrent_schema import DIAGONAL, with_height
from keras_sparse_rnn.ops.sparse_dense import SparseDense
from keras_sparse_rnn.runtime import native
from keras_sparse_rnn.runtime.model import Model

HARD = {"activation": NUMBERS["hard_tanh"], "recurrent_activation": NUMBERS["hard_sigmoid"]}
HARD |= {"state_bits": 0, "gate_bits": 0}
# Kind, seed, whether what changes is sent, whether blocks are stored, and options: with and without what is left over
# from unrolled loops.
STACK = [
    ("KsrEventGru", 2, False, True, {"block": 4, "readout": 0, "reset": 1}),
    ("KsrEventGru", 22, False, True, {"block": 8, "readout": 1, "reset": 1}),
    ("KsrEventGru", 54, True, True, {"block": 16, "readout": 0, "reset": 0}),
    ("KsrEventGru", 6, False, True, {"block": 16, "readout": 0, "reset": 1, "operand_shift": 25}),
    ("KsrGru", 44, True, True, {"block": 4}),
    ("KsrGru", 96, True, True, {"block": 8, "fraction": 7, "operand_shift": 26, "operand_multiplier": 32767}),
    ("KsrGru", 3, False, False, {"block": 8}),
    ("KsrGru", 16, False, False, {"block": 8, "fraction": 7, "reset_gate": WITHOUT}),
    ("KsrLstm", 44, False, True, {"block": 8}),
    ("KsrLstm", 3, False, False, {"block": 4}),
    ("KsrEventGru", 2, False, False, {"block": 4, "readout": 1, "reset": 1, "reset_gate": WITHOUT}),
    ("KsrSimpleRnn", 3, False, False, {"block": 4}),
    ("KsrGru", 3, False, False, {"block": 4, "reset_gate": BEFORE}),
    ("KsrGru", 3, False, False, {"block": 4, "reset_gate": WITHOUT, **HARD}),
    ("KsrEventGru", 2, False, True, {"block": 4, "readout": 1, "reset": 1, **HARD}),
]


@cache
def recorded_models():
    """A list of `Recording`."""
    ops = {f"int8_{kind}": random_op(8, kind=kind, weight_bits=0) for kind in KINDS}
    ops |= {f"int16_{kind}": random_op(145, kind=kind, activation_bits=16, weight_bits=0) for kind in KINDS}
    ops |= {f"float32_{kind}": random_op(37, kind=kind, dtype=np.float32) for kind in KINDS}
    ops["int8_delta"] = random_op(10, kind="KsrGru", holds=True, weight_bits=0, reset_gate=AFTER)
    ops["int16_delta"] = random_op(10, kind="KsrGru", holds=True, weight_bits=0, activation_bits=16, reset_gate=AFTER)
    for bits in (8, 16):  # with the reset gate before the product; the others
        ops[f"int{bits}_delta_reset"] = random_op(
            101, kind="KsrGru", holds=True, weight_bits=0, activation_bits=bits, reset_gate=BEFORE
        )
        ops[f"int{bits}_delta_lstm"] = random_op(44, kind="KsrLstm", holds=True, weight_bits=0, activation_bits=bits)
    ops["int8_delta_rnn"] = random_op(44, kind="KsrSimpleRnn", holds=True, weight_bits=0)
    assert all(ops[name].op.hidden_threshold is not None for name in ops if "delta" in name)
    for bits in (8, 16):  # without recurrent weights
        ops[f"int{bits}_held_dense"] = _without_recurrence(
            random_op(44, kind="KsrSimpleRnn", holds=True, weight_bits=0, activation_bits=bits)
        )
    assert all(ops[name].op.reset_threshold is not None for name in ops if "reset" in name)
    assert all(ops[f"int16_{kind}"].op.output_scales is not None for kind in KINDS)
    # More sources than are multiplied at once.
    for bits, name in ((0, "int8"), (4, "int4")):
        wide = {"holds": False, "inputs": 150, "weight_bits": bits}
        ops[f"{name}_wide"] = _by_outputs(random_op(24, kind="KsrSimpleRnn", **wide))
        ops[f"{name}x16_wide"] = _by_outputs(random_op(24, kind="KsrSimpleRnn", activation_bits=16, **wide))
    for height in (4, 8, 16):
        ops[f"int8_high_{height}"] = _in_high_blocks(24, height, kind="KsrLstm", weight_bits=0)
    ops["int16_high"] = _in_high_blocks(24, 16, kind="KsrGru", weight_bits=0, activation_bits=16)
    for kind in KINDS:
        for bits in (8, 16):
            drawn = (random_op(seed, kind=kind, activation_bits=bits) for seed in itertools.count(300))
            ops[f"diagonal_{kind}_{bits}"] = next(op for op in drawn if DIAGONAL in op.constants)
    ops["int4_high"] = _in_high_blocks(24, 8, kind="KsrSimpleRnn", weight_bits=4)
    models = {name: (op.to_model(), op.x, _outputs(op)) for name, op in ops.items()}
    models |= {
        "stack": _stack(0),
        "stack_of_4_bits": _stack(4),
        "dense": _sparse_dense(12, True),
        "by_outputs": _sparse_dense(150, False),
    }
    return [_recording(name, *model) for name, model in models.items()]


def images(cpu):
    """All models, in groups that leave half of a target's memory to the code."""
    groups, size = [[]], 0
    for model in recorded_models():
        size += model.code.constant_bytes
        if size > TARGETS[cpu].code[1] // 2:
            groups.append([])
            size = model.code.constant_bytes
        groups[-1].append(model)
    return groups


def _by_outputs(random):
    op = random.op.laid_out()
    return replace(random, op=op, constants=op.constants(sparse=False))


def _without_recurrence(random):
    op = replace(random.op, recurrent_kernel=0 * random.op.recurrent_kernel, hidden_threshold=None).laid_out()
    assert not op.is_recurrent and op.input_threshold is not None
    return replace(random, op=op, constants=op.constants())


def _in_high_blocks(seed, height, **options):
    """Of more sources than are multiplied at once, of which the last are no whole block."""
    random = random_op(seed, holds=False, inputs=150, **options)
    op, rng = random.op.laid_out(), np.random.default_rng(seed)
    layout = with_height(with_height(op.options.layout, "inputs", height), "units", height)
    kernels = {}
    for name in ("kernel", "recurrent_kernel"):
        sources, *outputs = getattr(op, name).shape
        blocks = rng.random((-(-sources // height), *outputs)) < 0.1
        kernels[name] = getattr(op, name) * blocks.repeat(height, axis=0)[:sources]
    op = replace(op, options=replace(op.options, layout=layout), **kernels)
    return replace(random, op=op, constants=op.constants(sparse=True))


def _outputs(op):
    """By the definition; of float32, whose last bits are no definition's, by the C on this computer."""
    if op.op.is_integer:
        return op.op(op.x)
    options = replace(op.op.options, return_sequences=1)
    shape = (1, len(op.x), options.units)
    made = native.NativeOp(op.op.SCHEMA.name, options.to_bytes(), op.inputs(), [(shape, op.x.dtype)])
    outputs = made(op.inputs())[0][0]
    assert np.abs(outputs - replace(op.op, options=options)(op.x)).max() < 1e-4
    return outputs


def _recording(name, model, x, outputs):
    code = PlainC(Model(model), name)
    if not code.is_streaming:
        x, outputs = x.reshape(1, -1), outputs.reshape(1, -1)[:, -code.outputs[0].size :]
    return Recording(code, [x], [outputs.astype(x.dtype)], len(x))


def _stack(weight_bits):
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (12, 19)).astype(np.int8)
    writer = ModelWriter()
    at = inputs = writer.add_tensor("x", (1, *x.shape), np.int8, scale=(1 / 64, 0))
    expected = x
    for i, (kind, seed, holds, sparse, options) in enumerate(STACK):
        reset_gate = options.get("reset_gate", AFTER)
        op = random_op(
            seed, kind=kind, holds=holds, inputs=expected.shape[1], reset_gate=reset_gate, weight_bits=weight_bits
        ).op
        masks = [
            rng.random(kernel.shape) < rng.choice([0.05, 0.3], (len(kernel), 1, 1))
            for kernel in (op.kernel, op.recurrent_kernel)
        ]
        op = replace(
            op,
            kernel=op.kernel * masks[0],
            recurrent_kernel=op.recurrent_kernel * masks[1],
            options=replace(op.options, return_sequences=1, go_backwards=0, **options),
        )
        op = replace(op, options=replace(op.options, layout=0)) if sparse else op.laid_out()
        expected = op(expected)
        assert len(np.unique(expected)) > 30, (i, kind)
        scale = (1 / 64, op.options.output_zero_point)
        y = writer.add_tensor(f"y{i}", (1, *expected.shape), np.int8, scale=scale)
        writer.add_recurrent(f"layer{i}", op, op.constants(sparse), at, y)
        at = y
    return writer.finish({"x": inputs}, {"y": at}), x, expected


def _sparse_dense(inputs, sparse):
    rng = np.random.default_rng(0)
    kernel = (rng.integers(-128, 128, (inputs, 1, 18)) * (rng.random((inputs, 1, 18)) < 0.2)).astype(np.int8)
    options = SparseDense.SCHEMA.options(format=1, units=18, block=4, x_zero_point=3, output_min=-128, output_max=127)
    scales = np.full(18, 2**30, np.int32), np.full(18, 38, np.uint8)
    op = SparseDense(options, kernel, np.arange(18, dtype=np.int32), *scales).laid_out()
    writer = ModelWriter()
    x, y = (writer.add_tensor(name, (1, 3, size), np.int8, scale=(1.0, 0)) for name, size in (("x", inputs), ("y", 18)))
    writer.add_recurrent("dense", op, op.constants(sparse), x, y)
    x = rng.integers(-127, 128, (3, inputs)).astype(np.int8)
    x[1, inputs - 6 :] = (-128, 127, -128, -128, -128, 1)
    outputs = op.invoke(x, {})
    assert len(np.unique(outputs)) > 10
    return writer.finish({"x": 0}, {"y": 1}), x, outputs
