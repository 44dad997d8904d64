"""What holds for matrices, ops and streams of every shape, density, block and length."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import KINDS, random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.ops.block_sparse import decode, encode
from keras_sparse_rnn.ops.schema import BLOCKS

few = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    sources=st.integers(1, 30),
    units=st.integers(1, 300),
    slots=st.sampled_from([(0,), (0, 1), (0, 2), (0, 1, 2), (0, 1, 3), (0, 1, 2, 3)]),
    block=st.sampled_from(BLOCKS),
    density=st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]),
    sparse=st.sampled_from([None, True, False]),
    stored=st.sampled_from(
        [(np.int8, 0, False), (np.int8, 0, True), (np.int8, 4, False), (np.int8, 4, True), (np.float32, 0, False)]
    ),
    height=st.sampled_from([1, 1, *BLOCKS]),
    seed=seeds,
)
def test_matrices_survive_encoding(sources, units, slots, block, density, sparse, stored, height, seed):
    dtype, weight_bits, by_outputs = stored
    rng = np.random.default_rng(seed)
    shape = (sources, len(slots), units)
    most = 8 if weight_bits else 128
    kernel = (rng.integers(-most, most, shape) * (rng.random(shape) < density)).astype(dtype)
    matrix = encode(kernel, block, slots, sparse, by_outputs, weight_bits, height)
    np.testing.assert_array_equal(decode(matrix, sources, units, block, slots, by_outputs, weight_bits, height), kernel)
    assert matrix.nbytes <= encode(kernel, block, slots, False, by_outputs, weight_bits).nbytes or sparse
    if weight_bits:
        of_8_bits = encode(kernel, block, slots, matrix.index is not None, by_outputs, height=height)
        assert 2 * len(matrix.values) == len(of_8_bits.values)


@few
@given(seed=seeds, kind=st.sampled_from(KINDS), bits=st.sampled_from([8, 16]))
def test_all_engines_agree(seed, kind, bits):
    op = random_op(seed, kind=kind, activation_bits=bits)
    model = op.to_model()
    for name in ("native", "reference", "litert"):
        (output,) = runtime.load(model, name).invoke([op.x[None]])
        np.testing.assert_array_equal(output, op.expected(), f"{name}, {op.label}")


@few
@given(
    seed=seeds,
    kind=st.sampled_from(KINDS),
    bits=st.sampled_from([8, 16]),
    cut=st.integers(1, 8),
    engine=st.sampled_from(["native", "litert"]),
)
def test_a_stream_in_chunks_is_the_whole(seed, kind, bits, cut, engine):
    """Sequences cut into chunks of any length, the last one padded."""
    op = random_op(seed, kind=kind, activation_bits=bits)
    ours = replace(op.op, options=replace(op.op.options, go_backwards=0, return_sequences=1))
    writer, units, steps = ModelWriter(), ours.options.units, len(op.x)
    x = writer.add_tensor("x", (1, cut, op.x.shape[1]), op.x.dtype, scale=(1 / 64, ours.options.x_zero_point))
    y = writer.add_tensor("y", (1, cut, units), op.x.dtype, scale=(1 / 128, ours.options.output_zero_point))
    writer.add_recurrent("op", ours, ours.constants(), x, y, stateful=True)
    loaded = runtime.load(writer.finish({"x": x}, {"y": y}), engine)
    padded = np.concatenate([op.x, np.zeros((-steps % cut, op.x.shape[1]), op.x.dtype)])
    for _ in range(2):
        chunks = [loaded.invoke([padded[None, t : t + cut]])[0][0] for t in range(0, len(padded), cut)]
        np.testing.assert_array_equal(np.concatenate(chunks)[:steps], ours(op.x), op.label)
        loaded.reset()


@few
@given(seed=seeds, kind=st.sampled_from(KINDS), batch=st.integers(2, 5), stateful=st.booleans())
def test_a_batch_is_its_samples(seed, kind, batch, stateful):
    """Sample by sample what the definition gives for each alone; with states each of its own."""
    op = random_op(seed, kind=kind)
    rng, (steps, inputs) = np.random.default_rng(seed), op.x.shape
    x = np.stack([op.x, *rng.integers(-128, 128, (batch - 1, steps, inputs)).astype(np.int8)])
    writer = ModelWriter()
    x_number = writer.add_tensor("x", x.shape, np.int8, scale=(1 / 64, op.op.options.x_zero_point))
    shape = (batch, *op.output_shape[1:])
    y = writer.add_tensor("y", shape, np.int8, scale=(1 / 128, op.op.options.output_zero_point))
    writer.add_recurrent("op", op.op, op.constants, x_number, y, stateful=stateful)
    model = writer.finish({"x": x_number}, {"y": y})
    engines = {name: runtime.load(model, name) for name in ("native", "reference", "litert")}
    states = [{n: np.zeros(t.shape[1], np.int64) for n, t in op.op.states().items()} for _ in range(batch)]
    for _ in range(2):
        rows = [op.op(sample, state if stateful else None) for sample, state in zip(x, states, strict=True)]
        expected = np.stack(rows if op.op.options.return_sequences else [row[-1] for row in rows])
        for name, engine in engines.items():
            np.testing.assert_array_equal(engine.invoke([x])[0], expected, f"{name}, {op.label}")
