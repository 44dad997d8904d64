"""Whole models of any architecture: encoded and read back, and the same bits in every engine."""

import keras
import numpy as np
import pytest
from event_models import event_model, kernels_of, prune, sequences
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import LAYERS

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaHold
from keras_sparse_rnn.ops import OPS
from keras_sparse_rnn.runtime.model import Model

# The gates of the op as those of the layer, and their signs, where they are not the same.
GATES = {"RecurrentHighway": ([1, 0], [-1, 1]), "RecurrentHighway, not coupled": ([2, 1, 0], [1, 1, 1])}
ANY = {
    "stack": st.lists(st.tuples(st.sampled_from([*LAYERS]), st.integers(1, 40)), min_size=1, max_size=3),
    "inputs": st.integers(1, 20),
    "holds": st.booleans(),
    "zeros": st.sampled_from([0, 0.5, 0.9, 1]),
    "block_size": st.sampled_from([None, 4, 8, 16]),
    "batch_size": st.integers(1, 4),
    "stateful": st.booleans(),
}


@settings(max_examples=4, deadline=None, derandomize=True)
@given(**ANY)
def test_engines_agree(**case):
    _check(**case)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, derandomize=True)
@given(**ANY)
def test_engines_agree_on_many(**case):
    _check(**case)


def _check(stack, inputs, holds, zeros, block_size, batch_size, stateful):
    layers = [LAYERS[kind](units, return_sequences=True) for kind, units in stack]
    hold = [DeltaHold(0.2)] if holds and not stack[0][0].startswith("Delta") else []
    model, x = event_model([*hold, *layers], steps=6, inputs=inputs), sequences(5, steps=6, inputs=inputs)
    for layer in layers:
        prune(layer, zeros)
    options = {"batch_size": batch_size, "block_size": block_size, "stateful": stateful}
    converted = ksr.convert(model, x, time_steps=3 if stateful else None, verify=False, **options)
    chunks = [x.reshape(5, -1, 3 if stateful else 6, inputs)]
    first, *others = (converted.engine(name).run_chunks(chunks)[0] for name in ("reference", "native", "litert"))
    for outputs in others:
        np.testing.assert_array_equal(outputs, first)

    for (kind_of_layer, _), layer, op in zip(stack, layers, Model(converted.data).operators, strict=True):
        tensors = [None if i < 0 else Model(converted.data).tensors[i].data for i in op.inputs]
        kind = OPS[op.name]
        read = kind.from_constants(
            kind.SCHEMA.decode(op.options), kind.SCHEMA.named(tensors), layer.cell.kernel.shape[0]
        )
        if kind_of_layer == "ONLSTM":  # whose master gates lie apart
            continue
        for name, kernel in kernels_of(layer).items():
            stored = getattr(read, name)
            gates = keras.ops.convert_to_numpy(kernel).reshape(stored.shape)
            if kind_of_layer in GATES:
                order, signs = GATES[kind_of_layer]
                gates = gates[:, order] * np.reshape(signs, (-1, 1))
            assert not stored[gates == 0].any()
            step = np.abs(gates).max(axis=(0, 2), keepdims=True) / 64  # at most two of a scale that two matrices share
            np.testing.assert_array_equal(np.sign(stored)[np.abs(gates) > step], np.sign(gates)[np.abs(gates) > step])
