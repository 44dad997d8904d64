import itertools

import numpy as np
import pytest

from keras_sparse_rnn.sparsity import REDISTRIBUTIONS, Blocks, drop_score, renew


def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("redistribute", REDISTRIBUTIONS)
@pytest.mark.parametrize("fraction", [0, 0.01, 0.3, 0.5, 0.99])
@pytest.mark.parametrize(
    ("shape", "gates", "block_shape"), [((6, 21), 3, (1, 1)), ((5, 42), 3, (1, 4)), ((7, 20), 4, (2, 3))]
)
def test_number_of_weights_stays_exactly(shape, gates, block_shape, fraction, redistribute):
    blocks = Blocks(shape, gates, block_shape)
    for density, seed in itertools.product((0.05, 0.5, 0.9, 1.0), range(5)):
        draw = np.random.default_rng(seed)
        kept = draw.random(blocks.grid) < density
        worth, promise = draw.random(blocks.grid), draw.random(blocks.grid)
        renewed = renew(kept, worth, promise, blocks.sizes, fraction, redistribute, draw)
        assert blocks.sizes[renewed].sum() == blocks.sizes[kept].sum()
        if redistribute == "none":
            assert np.array_equal(renewed.sum(axis=(0, 2)), kept.sum(axis=(0, 2)))


def test_the_lowest_go_and_the_most_promising_come():
    # One row, two gates of four.
    kept = np.array([[[1, 1, 1, 0], [1, 1, 0, 0]]], bool)
    worth = np.array([[[5, 1, 4, 0], [3, 2, 0, 0]]], float)
    promise = np.array([[[0, 0, 0, 1], [9, 0, 8, 7]]], float)
    sizes = np.ones_like(kept, int)
    # ceil(0.3 * 5) = 2 go, of worth 1 and 2; 8 and 7 are free, 9 is a survivor.
    renewed = renew(kept, worth, promise, sizes, 0.3, "gates", rng())
    assert renewed.astype(int).tolist() == [[[1, 0, 1, 0], [1, 0, 1, 1]]]
    # One in each gate: the first gate has 1 to offer, the second 8.
    renewed = renew(kept, worth, promise, sizes, 0.3, "equal", rng())
    assert renewed.astype(int).tolist() == [[[1, 0, 1, 1], [1, 0, 1, 0]]]
    # ceil(0.3 * 3) = 1 goes in the first gate, ceil(0.3 * 2) = 1 in the second.
    renewed = renew(kept, worth, promise, sizes, 0.3, "none", rng())
    assert renewed.astype(int).tolist() == [[[1, 0, 1, 1], [1, 0, 1, 0]]]


def test_what_was_dropped_may_grow_again():
    kept = np.array([[[1, 1, 0]]], bool)
    worth, promise = np.array([[[1.0, 2.0, 0.0]]]), np.array([[[3.0, 0.0, 1.0]]])
    assert np.array_equal(renew(kept, worth, promise, np.ones_like(kept, int), 0.5, "gates", rng()), kept)


def test_groups_keep_their_number_and_grow_where_it_is_most_promising():
    # Two groups of three rows, one column.
    kept = np.array([1, 1, 0, 0, 1, 0], bool).reshape(6, 1, 1)
    worth = np.array([1, 5, 0, 0, 2, 0.0]).reshape(6, 1, 1)
    promise = np.array([1, 0, 9, 4, 0, 7.0]).reshape(6, 1, 1)
    sizes = np.ones_like(kept, int)
    # ceil(0.5 * 3) = 2 go, of worth 1 and 2: one in each group, where 9 and 7 are the most promising.
    renewed = renew(kept, worth, promise, sizes, 0.5, "none", rng(), group=3)
    assert renewed.ravel().astype(int).tolist() == [0, 1, 1, 0, 0, 1]
    # ceil(0.3 * 3) = 1 goes, of worth 1, although the other group has a more promising place than 1.
    renewed = renew(kept, worth, np.where(promise == 9, 0, promise), sizes, 0.3, "none", rng(), group=3)
    assert renewed.ravel().astype(int).tolist() == [1, 1, 0, 0, 1, 0]


def test_blocks_without_weights_to_mask_are_kept():
    kept = np.array([[[1, 1, 1, 0]]], bool)
    sizes = np.array([[[0, 1, 1, 1]]])
    renewed = renew(kept, np.array([[[0.0, 3, 1, 0]]]), np.array([[[0.0, 0, 0, 9]]]), sizes, 0.5, "none", rng())
    assert renewed.astype(int).tolist() == [[[1, 1, 0, 1]]]


def test_equal_shares_go_elsewhere_where_a_gate_is_full():
    # Eight go, all of the first gate; the second has one free place.
    kept = np.array([[[1] * 8 + [0] * 8, [1] * 15 + [0]]], bool)
    worth = np.where(np.arange(2)[:, None] == 0, 1.0, 2.0) * np.ones((1, 2, 16))
    renewed = renew(kept, worth, np.zeros_like(worth), np.ones_like(kept, int), 8 / 23, "equal", rng())
    assert renewed.sum(axis=(0, 2)).tolist() == [7, 16]


def test_random_growth_is_uniform_over_the_free_places():
    kept = np.zeros((10, 3, 10), bool)
    kept[:5] = True
    worth = np.where(np.arange(10)[:, None, None] < 3, 1.0, 2.0) * np.ones(kept.shape)
    zeros, sizes, draw, count = np.zeros(kept.shape), np.ones(kept.shape, int), rng(), np.zeros(kept.shape)
    for _ in range(2000):
        count += renew(kept, worth, zeros, sizes, 0.6, "gates", draw)
    # 90 of 150 are dropped and grow in 240 places: each with probability 3/8, standard deviation 0.011.
    assert np.all(count[3:5] == 2000)
    free = np.delete(count, [3, 4], axis=0) / 2000
    assert free.mean() == pytest.approx(3 / 8)
    assert np.all(np.abs(free - 3 / 8) < 5 * 0.011)


def test_signed_drop_takes_the_smallest_positive_and_the_largest_negative():
    values = np.array([[0.5, -0.1, 0.2, -0.4, 0.1, -0.3, 0.7, 0.01]])
    kept = np.array([[[1, 1, 1, 1, 1, 1, 1, 0]]], bool)
    ranks = drop_score(Blocks((1, 8)), values, kept, "signed")
    assert values.ravel()[(kept & (ranks < 2)).ravel()].tolist() == [-0.1, 0.2, 0.1, -0.3]


def test_signed_drop_differs_from_magnitude_where_one_sign_is_smaller():
    blocks = Blocks((1, 4))
    values, kept = np.array([[0.1, 0.2, -3.0, -4.0]]), np.ones((1, 1, 4), bool)
    assert drop_score(blocks, values, kept, "signed").ravel().tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(drop_score(blocks, values, kept, "magnitude").ravel(), [0.1, 0.2, 3, 4], rtol=1e-6)


def test_blocks_are_signed_by_their_sum():
    blocks = Blocks((1, 6), 1, (1, 2))
    values, kept = np.array([[1.0, -0.5, 0.2, -0.3, -2.0, 0.0]]), np.ones((1, 1, 3), bool)
    assert drop_score(blocks, values, kept, "signed").ravel().tolist() == [0, 0, 1]
