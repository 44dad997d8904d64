import numpy as np
import pytest

from keras_sparse_rnn.sparsity import Blocks

# (kernel shape, gates, block shape): even and ragged, one gate and several, blocks as large as a gate.
CASES = [
    ((4, 24), 3, (1, 4)),
    ((5, 21), 3, (1, 4)),
    ((7, 20), 4, (2, 3)),
    ((6, 6), 1, (4, 4)),
    ((3, 10), 2, (3, 5)),
    ((5, 9), 3, (1, 1)),
]


def cells_of(shape, gates, block_shape):
    """For each block, in row, gate, column order, the list of the (row, column) of its weights: by plain loops."""
    units = shape[1] // gates
    for top in range(0, shape[0], block_shape[0]):
        for gate in range(gates):
            for left in range(0, units, block_shape[1]):
                yield [
                    (row, gate * units + column)
                    for row in range(top, min(top + block_shape[0], shape[0]))
                    for column in range(left, min(left + block_shape[1], units))
                ]


@pytest.mark.parametrize(("shape", "gates", "block_shape"), CASES)
def test_scores_and_masks_against_plain_loops(shape, gates, block_shape):
    rng = np.random.default_rng(1)
    w = rng.normal(size=shape).astype("float32")
    blocks = Blocks(shape, gates, block_shape)
    values = [np.array([w[cell] for cell in cells]) for cells in cells_of(shape, gates, block_shape)]
    assert blocks.sizes.ravel().tolist() == [v.size for v in values]
    np.testing.assert_allclose(blocks.score(w, "l1").ravel(), [np.abs(v).mean() for v in values], rtol=1e-5)
    np.testing.assert_allclose(blocks.score(w, "l2").ravel(), [np.sqrt((v**2).mean()) for v in values], rtol=1e-5)
    np.testing.assert_allclose(blocks.score(w, "max").ravel(), [np.abs(v).max() for v in values], rtol=1e-6)

    kept = rng.random(blocks.grid) < 0.5
    expected = np.zeros(shape, bool)
    for keep, cells in zip(kept.ravel(), cells_of(shape, gates, block_shape), strict=True):
        for cell in cells:
            expected[cell] = keep
    np.testing.assert_array_equal(blocks.expand(kept), expected)
    np.testing.assert_array_equal(blocks.nonzero(w * expected), kept)


def test_no_block_crosses_a_gate():
    blocks = Blocks((2, 21), gates=3, block_shape=(1, 4))
    numbers = blocks.expand(np.arange(blocks.sizes.size).reshape(blocks.grid))
    assert all(set(numbers[:, 7 * g : 7 * g + 7].ravel()).isdisjoint(numbers[:, 7 * g + 7]) for g in range(2))
    assert blocks.sizes.sum() == 42


def test_ragged_block_is_judged_by_its_real_weights():
    blocks = Blocks((1, 5), block_shape=(1, 4))
    assert blocks.score(np.ones((1, 5))).ravel().tolist() == [1, 1]


@pytest.mark.parametrize("block_shape", [(0, 1), (1,), (1, 2, 3), 4, (1.5, 1), "ab", (-1, 1)])
def test_refuses_what_is_no_block(block_shape):
    with pytest.raises(ValueError, match=r"must be a pair \(rows, cols\) of integers >= 1"):
        Blocks((8, 8), 1, block_shape)


@pytest.mark.parametrize("block_shape", [(5, 1), (1, 8)])
def test_refuses_block_larger_than_a_gate(block_shape):
    with pytest.raises(ValueError, match="larger than a gate of gru/kernel, which has 4 rows and 7 columns"):
        Blocks((4, 21), 3, block_shape, "gru/kernel")


def test_refuses_unknown_score_and_uneven_gates():
    with pytest.raises(ValueError, match="score='l3': must be one of"):
        Blocks((2, 2)).score(np.ones((2, 2)), "l3")
    with pytest.raises(ValueError, match="its 10 columns are no multiple of gates=3"):
        Blocks((2, 10), 3)
