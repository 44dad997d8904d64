import numpy as np
import pytest

from keras_sparse_rnn.sparsity import INITS, kernel_densities


def test_uniform_is_the_same_for_all():
    assert kernel_densities([(4, 4), (100, 30)], 0.3, "uniform") == [0.3, 0.3]


@pytest.mark.parametrize("init", ["er", "erk"])
def test_erdos_renyi_by_hand(init):
    # 8 + 12 + 30 = 50 = sum of sums; 15 + 32 + 200 = 247 weights, of which a fifth is 49.4: epsilon = 0.988.
    densities = kernel_densities([(3, 5), (4, 8), (10, 20)], 0.2, init)
    assert densities == pytest.approx([0.988 * 8 / 15, 0.988 * 12 / 32, 0.988 * 30 / 200])


def test_layers_that_would_be_more_than_dense_are_dense_and_epsilon_is_solved_again():
    shapes = [(1, 3), (10, 100)]
    assert 0.5 * 1003 / (4 + 110) * 4 / 3 > 1
    assert kernel_densities(shapes, 0.5, "er") == pytest.approx([1.0, (0.5 * 1003 - 3) / 1000])
    # Two rounds: the second kernel passes 1 only once the first is capped.
    shapes = [(1, 1), (2, 2), (30, 40)]
    total = 1 + 4 + 1200
    epsilon = 0.08 * total / (2 + 4 + 70)
    assert epsilon * 4 / 4 > 1 and epsilon * 2 / 1 > 1
    assert kernel_densities(shapes, 0.08, "erk") == pytest.approx([1, 1, (0.08 * total - 5) / 1200])


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("density", [0.01, 0.33, 0.9, 1.0])
def test_total_is_what_was_asked_and_no_kernel_more_than_dense(init, density):
    shapes = [(40, 384), (128, 384), (128, 12), (3, 7)]
    sizes = np.prod(shapes, axis=1)
    densities = np.array(kernel_densities(shapes, density, init))
    assert np.sum(densities * sizes) == pytest.approx(density * sizes.sum())
    assert np.all((densities > 0) & (densities <= 1))
