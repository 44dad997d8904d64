"""Recurrent layers with random weights of a given sparsity and activity, to measure kernels."""

from dataclasses import replace

import numpy as np

from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.convert.quantize import Scale, quantize
from keras_sparse_rnn.formats import INT8
from keras_sparse_rnn.ops.activations import NUMBERS
from keras_sparse_rnn.ops.event_gru import EventGru
from keras_sparse_rnn.ops.gru import AFTER, SHARED, WITHOUT, Gru
from keras_sparse_rnn.ops.lstm import Lstm
from keras_sparse_rnn.ops.schema import BLOCKS
from keras_sparse_rnn.ops.sparse_dense import SparseDense
from keras_sparse_rnn.runtime.model import Model

X_SCALE = Scale(1 / 32, 0)


def event_gru(
    units,
    inputs,
    block,
    sparsity,
    activity,
    steps=40,
    seed=0,
    dtype=np.int8,
    pruned=None,
    pruned_inputs=None,
    number_format=INT8,
):
    """Returns an EventGRU of whose units a given share fires, and an input whose values are all active.

    Args:
        units, inputs, block: Sizes.
        sparsity: Share of zero blocks, exactly.
        activity: Mean share of units that fire in a step.
        steps: Length of that sequence.
        seed: Seed of the random weights and inputs.
        dtype: `np.int8` or `np.float32`.
        number_format: Number format of an integer op.
        pruned: Pair (rows, cols) of the blocks that are zero or not; by default those that are stored, (1, block).
        pruned_inputs: Likewise of the input kernel; by default as `pruned`.

    Returns:
        `(op, x)`: an `EventGru` and an input `(steps, inputs)`.
    """
    rng = np.random.default_rng(seed)
    pruned = pruned or (1, block)
    kernels = [
        _kernel(rng, sources, 3, units, blocks, sparsity)
        for sources, blocks in ((inputs, pruned_inputs or pruned), (units, pruned))
    ]
    bias = rng.normal(0, 0.3, (4, units)).astype(np.float32)
    options = EventGru.SCHEMA.options(
        units=units, block=block, go_backwards=0, return_sequences=1, readout=0, reset=1, trace_rate=2**30
    )
    x = _input(rng, steps, inputs)
    # Low thresholds, as trained ones are; what drives units up or down is their bias.
    threshold = (rng.random(units) * 3000).astype(np.int16)
    real_x = x.astype(np.float32) * np.float32(X_SCALE.scale)

    def with_shift(shift):
        shifted = bias.copy()
        shifted[2] += np.float32(shift)
        op = EventGru(options, *kernels, shifted, threshold / np.float32(2**15))
        if dtype == np.float32:
            return op
        op = quantize(op, "random", X_SCALE, 1.0, Scale.of_range(0, 1), number_format, sends_events=True)
        return replace(op, threshold=threshold)

    x = x if dtype == np.int8 else real_x
    low, high = -8.0, 8.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if rate(with_shift(middle), x) < activity else (low, middle)
    return with_shift(high), x


def gru(
    units,
    inputs,
    block,
    sparsity,
    steps=40,
    seed=0,
    dtype=np.int8,
    reset_gate=AFTER,
    number_format=INT8,
    pruned=None,
    **words,
):
    """A GRU and an input, likewise; all of its units are active. `words`: more of the op's options."""
    rng = np.random.default_rng(seed)
    options = Gru.SCHEMA.options(
        units=units, block=block, go_backwards=0, return_sequences=1, reset_gate=reset_gate, **words
    )
    gates = {WITHOUT: 2, SHARED: 1}.get(reset_gate, 3)
    kernels = [_kernel(rng, sources, gates, units, pruned or (1, block), sparsity) for sources in (inputs, units)]
    bias = rng.normal(0, 0.3, (4, units)).astype(np.float32)
    op, x = Gru(options, *kernels, bias), _input(rng, steps, inputs)
    if dtype == np.float32:
        return op, x.astype(np.float32) * np.float32(X_SCALE.scale)
    return quantize(op, "random", X_SCALE, 1.0, Scale.of_range(-1, 1), number_format, gates=1.0, states=1.0), x


def light_gru(units, inputs, block, sparsity, **more):
    """A LightGRU and an input, likewise."""
    return gru(units, inputs, block, sparsity, reset_gate=WITHOUT, **more)


def fast_grnn(units, inputs, block, sparsity, **more):
    """A FastGRNN and an input, likewise."""
    return gru(units, inputs, block, sparsity, reset_gate=SHARED, zeta=int(0.73 * 2**30), nu=2**24, **more)


def hard_light_gru(units, inputs, block, sparsity, **more):
    """Likewise, with piecewise-linear functions for tanh and sigmoid."""
    functions = {"activation": NUMBERS["hard_tanh"], "recurrent_activation": NUMBERS["hard_sigmoid"]}
    return light_gru(units, inputs, block, sparsity, **functions, **more)


def light_delta_gru(units, inputs, block, sparsity, input_rate, activity, **more):
    """An int8 DeltaGRU without a reset gate and an input, as `delta_gru`."""
    return delta_gru(units, inputs, block, sparsity, input_rate, activity, reset_gate=WITHOUT, **more)


def delta_gru(units, inputs, block, sparsity, input_rate, activity, steps=40, seed=0, reset_gate=AFTER):
    """An int8 DeltaGRU and an input, likewise.

    Args:
        units, inputs, block, sparsity, steps, seed, reset_gate: As above.
        input_rate: Mean share of the inputs that change in a step.
        activity: Share of the units whose held state changes.
    """
    op, noise = gru(units, inputs, block, sparsity, steps, seed, reset_gate=reset_gate)
    # A random walk to and fro: what is held changes from time to time.
    x = np.rint(96 * np.sin(np.cumsum(noise / 512, axis=0))).astype(np.int8)
    input_threshold, hidden_threshold = np.zeros(inputs, np.uint8), np.zeros(units, np.uint16)
    for name, threshold, wanted in (("x", input_threshold, input_rate), ("h", hidden_threshold, activity)):
        op = replace(op, input_threshold=input_threshold, hidden_threshold=hidden_threshold)
        low, high = 0, int(np.iinfo(threshold.dtype).max)
        while low < high:
            threshold[:] = middle = (low + high) // 2
            low, high = (middle + 1, high) if change_rates(op, x)[name] > wanted else (low, middle)
        threshold[:] = low
    return op, x


def lstm(units, inputs, block, sparsity, steps=40, seed=0, number_format=INT8, pruned=None):
    """An int8 LSTM and an input, likewise."""
    rng = np.random.default_rng(seed)
    kernels = [_kernel(rng, sources, 4, units, pruned or (1, block), sparsity) for sources in (inputs, units)]
    bias = rng.normal(0, 0.3, (4, units)).astype(np.float32)
    options = Lstm.SCHEMA.options(units=units, block=block, go_backwards=0, return_sequences=1)
    op = quantize(Lstm(options, *kernels, bias), "random", X_SCALE, 1.0, Scale.of_range(-1, 1), number_format)
    return replace(op, options=replace(op.options, cell_bits=2)), _input(rng, steps, inputs)


def sparse_dense(units, inputs, block, sparsity, steps=40, seed=0):
    """An int8 dense layer with its weights in blocks, and an input, likewise."""
    rng = np.random.default_rng(seed)
    weights = _kernel(rng, inputs, 1, units, (1, block), sparsity)
    kernel = np.rint(weights * 127 / np.abs(weights).max()).astype(np.int8)
    options = SparseDense.SCHEMA.options(format=INT8.number, units=units, block=block, output_min=-128, output_max=127)
    scales = np.full(units, 2**30, np.int32), np.full(units, 39, np.uint8)
    return SparseDense(options, kernel, rng.integers(-500, 500, units).astype(np.int32), *scales), _input(
        rng, steps, inputs
    )


def to_model(op, x):
    """The op as a model of sequences like `x`."""
    writer = ModelWriter()
    x_scale = (X_SCALE.scale, X_SCALE.zero_point) if op.is_integer else None
    y_scale = (1 / 128, op.options.output_zero_point) if op.is_integer else None
    inputs = writer.add_tensor("x", (1, *x.shape), x.dtype, scale=x_scale)
    output = writer.add_tensor("y", (1, len(x), op.options.units), x.dtype, scale=y_scale)
    op = op.laid_out().in_blocks(op.options.block, BLOCKS)
    writer.add_recurrent("layer", op, op.constants(), inputs, output)
    return Model(writer.finish({"x": inputs}, {"y": output}))


def outputs(op, x):
    """Returns the outputs of the op's definition for each row of x."""
    return op.invoke(x, {}) if isinstance(op, SparseDense) else op(x)


def rates(op, x):
    """Returns the shares of the sources that a step visits, for each matrix of the op: inputs, and units."""
    if isinstance(op, EventGru):
        return 1.0, rate(op, x)
    if getattr(op, "hidden_threshold", None) is not None:
        return tuple(change_rates(op, x).values())
    return (1.0,) * len(op.kernels)


def rate(op, x):
    """Returns the share of the outputs that are not zero."""
    return float(np.mean(op(x) != (op.options.output_zero_point if op.is_integer else 0)))


def change_rates(op, x):
    """Returns the shares of held inputs (`"x"`) and held states (`"h"`) that change in a step."""
    state = {name: np.zeros(tensor.shape[1], np.int64) for name, tensor in op.states().items()}
    names, changes = {"x": "held_x", "h": "held_h"}, {"x": [], "h": []}
    for x_t in x:
        before = dict(state)
        op(x_t[None], state)
        for name, held in names.items():
            changes[name].append(np.mean(state[held] != before[held]))
    return {name: float(np.mean(share)) for name, share in changes.items()}


def _kernel(rng, sources, gates, units, block, sparsity):
    weights = rng.normal(0, 1 / np.sqrt(sources), (sources, gates, units)).astype(np.float32)
    rows, cols = block
    grid = (-(-sources // rows), gates, -(-units // cols))
    kept = np.zeros(np.prod(grid), bool)
    kept[: round(len(kept) * (1 - sparsity))] = True
    mask = rng.permutation(kept).reshape(grid).repeat(rows, axis=0).repeat(cols, axis=2)
    return weights * mask[:sources, :, :units]


def _input(rng, steps, inputs):
    x = rng.integers(-127, 128, (steps, inputs)).astype(np.int8)
    return np.where(x == X_SCALE.zero_point, np.int8(1), x)
