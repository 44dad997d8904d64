"""The diagonal of a recurrent kernel, stored apart from its blocks."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from random_models import KINDS, RandomOp, random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.formats import FLOAT32, INT8, INT8X16
from keras_sparse_rnn.ops.block_sparse import encode
from keras_sparse_rnn.ops.gru import AFTER, BEFORE
from keras_sparse_rnn.ops.recurrent_schema import DIAGONAL, is_for_all, with_height
from keras_sparse_rnn.runtime.native import NativeOp

BLOCKS = (4, 8, 16)


def pruned(
    kind="KsrGru", block=4, density=0.1, bits=0, dtype=np.int8, activation_bits=8, holds=False, gate=AFTER, rows=1
):
    """A random op of whose recurrent kernel some blocks are left, and the whole diagonal."""
    drawn = (random_op(s, dtype, kind, holds, activation_bits, None, True, gate, bits) for s in itertools.count())
    random = next(r for r in drawn if r.activity == "usual" and r.op.options.units >= 40 and r.op.kernel.any())
    op, rng = random.op, np.random.default_rng(0)
    units, gates = op.options.units, op.recurrent_kernel.shape[1]
    most = 8 if bits else 128
    shape = (units, gates, op.recurrent_kernel.shape[2])  # with columns behind those of the units, or none
    kernel = rng.integers(1, most, shape) * rng.choice([-1, 1], shape)
    kernel = (kernel if op.is_integer else kernel / 500).astype(dtype)
    kept = rng.random((-(-units // rows), gates, -(-shape[2] // block))) < density
    kept = np.repeat(np.repeat(kept, rows, axis=0), block, axis=2)[:units, :, : shape[2]]
    kernel *= kept | np.eye(units, shape[2], dtype=bool)[:, None]
    op = replace(op, options=replace(op.options, block=block, return_sequences=1, layout=0), recurrent_kernel=kernel)
    return RandomOp(op, op.constants(), random.x, random.label)


def in_blocks(op):
    """What the matrices that read the state take with the diagonal in their blocks."""
    o, read = op.options, [given.name for given in op.SCHEMA.matrices if given.sources == "units"]
    every = {name: m for name, m in op.matrices().items() if name in read}
    return sum(encode(kernel, o.block, slots, None, False, o.weight_bits).nbytes for kernel, slots in every.values())


def stored(constants):
    return sum(part.nbytes for name, part in constants.items() if name.startswith(("recurrent_kernel", "candidate")))


@pytest.mark.parametrize("block", [4, 8, 16])
def test_it_is_stored_apart_where_that_is_smaller(block):
    random = pruned(block=block)
    diagonal, units = random.constants[DIAGONAL].reshape(3, -1), random.op.options.units
    of_gates = [np.diag(gate) for gate in random.op.recurrent_kernel.swapaxes(0, 1)]
    np.testing.assert_array_equal(diagonal[:, :units], of_gates)
    assert not diagonal[:, units:].any()
    assert stored(random.constants) < in_blocks(random.op)
    back = random.op.from_constants(random.op.options, random.constants, len(random.op.kernel))
    np.testing.assert_array_equal(back.recurrent_kernel, random.op.recurrent_kernel)
    assert back.recurrent_kernel.dtype == np.int8


def test_it_stays_in_the_blocks_where_these_are_there_anyway():
    for random in (pruned(density=0.85), pruned(density=1)):
        assert DIAGONAL not in random.constants
    assert DIAGONAL not in pruned().op.constants(sparse=False)


@pytest.mark.parametrize(
    ("rows", "cols", "apart"), [(1, 4, True), (4, 4, True), (4, 8, True), (16, 1, False), (4, 1, False)]
)
def test_blocks_several_units_high_are_taken_where_they_are_smaller_though_the_diagonal_is_in_them(rows, cols, apart):
    op = pruned(rows=rows, block=cols, density=0.08).op
    op = replace(op, options=replace(op.options, block=4))
    laid_out = op.laid_out()
    assert is_for_all(laid_out.options.layout, "units", in_blocks=False)
    chosen = laid_out.in_blocks(4, BLOCKS)
    assert (DIAGONAL in chosen.constants()) == apart
    layouts = [with_height(laid_out.options.layout, "units", height) for height in (1, *BLOCKS)]
    ways = [replace(chosen, options=replace(chosen.options, layout=layout)).constants() for layout in layouts]
    assert stored(chosen.constants()) == min(map(stored, ways))
    back = chosen.from_constants(chosen.options, chosen.constants(), len(op.kernel))
    np.testing.assert_array_equal(back.recurrent_kernel, op.recurrent_kernel)


CASES = [(kind, number_format, bits) for kind in KINDS for number_format in (INT8, INT8X16) for bits in (0, 4)]


@pytest.mark.parametrize("engine", ["native", "litert", "tflm"])
@pytest.mark.parametrize("holds", [False, True])
def test_every_engine_gives_the_same_bits(engine, holds):
    outputs = []
    for kind, number_format, bits in CASES:
        activation_bits = 16 if number_format is INT8X16 else 8
        random = pruned(kind, 8, 0.1, bits, activation_bits=activation_bits, holds=holds)
        assert DIAGONAL in random.constants
        given = runtime.load(random.to_model(), engine).invoke([random.x[None]])
        np.testing.assert_array_equal(given[0], random.expected(), err_msg=f"{kind} {number_format.name} {bits}")
        outputs.append(len(np.unique(given[0])))
    assert np.mean(outputs) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_floats(kind):
    random = pruned(kind, 8, dtype=np.float32)
    assert random.constants[DIAGONAL].dtype == FLOAT32.weights
    given = runtime.load(random.to_model(), "native").invoke([random.x[None]])
    np.testing.assert_allclose(given[0], random.expected(), atol=1e-4)


def test_reset_before_the_product_has_it_gate_by_gate_in_two_matrices():
    random = pruned(gate=BEFORE)
    assert random.constants[DIAGONAL].size == 3 * random.constants["bias"].size // 4
    given = runtime.load(random.to_model(), "native").invoke([random.x[None]])
    np.testing.assert_array_equal(given[0], random.expected())


def test_weights_of_a_file_in_both_places_are_added():
    random = pruned()
    whole = random.op.constants(sparse=True)
    both = {name: part for name, part in whole.items() if not name.startswith("recurrent_kernel")}
    matrix = encode(random.op.recurrent_kernel, 4, random.op.recurrent_slots, True)
    both |= {"recurrent_kernel": matrix.values, "recurrent_kernel_index": matrix.index}
    both |= {"recurrent_kernel_rows": matrix.rows, DIAGONAL: np.full_like(random.constants[DIAGONAL], 127)}
    model = RandomOp(random.op, both, random.x, "").to_model()
    native, reference = (runtime.load(model, engine).invoke([random.x[None]]) for engine in ("native", "reference"))
    np.testing.assert_array_equal(native[0], reference[0])
    assert (native[0] != random.expected()).any()


def test_accumulators_count_it():
    """A bias for which there is room without the diagonal, and none with it."""
    random, o = pruned(), pruned().op.options
    x, h = 255 << o.x_shift, 256 << o.h_shift
    beside = np.abs(random.op.recurrent_kernel[:, 0, 7].astype(int)).sum()
    room = 2**31 - 1 - int(np.abs(random.op.kernel[:, 0, 7].astype(int)).sum() * x + beside * h)
    for bias, fits in ((room, True), (room + 1, False)):
        biases = random.constants["bias"].copy()
        biases[7] = bias
        given = RandomOp(random.op, random.constants | {"bias": biases}, random.x, "")
        for load in (_load_native, _load_reference):
            if fits:
                load(given)
            else:
                with pytest.raises(ValueError, match="is too large for the weights"):
                    load(given)


def test_a_dense_candidate_by_outputs_has_none():
    random = pruned(gate=BEFORE)
    dense = encode(random.op.recurrent_kernel[:, 2:], 4, (0,), False, True).values
    constants = random.constants | {"candidate_kernel": dense}
    for name in ("candidate_kernel_index", "candidate_kernel_rows"):
        del constants[name]
    op = replace(random.op, options=replace(random.op.options, layout=2))
    given = RandomOp(op, constants, random.x, "")
    word = op.SCHEMA.word_index("layout")
    with pytest.raises(ValueError) as refused:
        _load_native(given)
    assert (refused.value.status, refused.value.index) == ("WORD", word)
    with pytest.raises(ValueError, match=f"layout .word {word}. is 2; allowed with {DIAGONAL}: 0"):
        _load_reference(given)


def _load_native(given):
    shape = given.output_shape, given.x.dtype
    return NativeOp(given.op.SCHEMA.name, given.op.options.to_bytes(), given.inputs(), [shape])


def _load_reference(given):
    return runtime.load(given.to_model(), "reference")
