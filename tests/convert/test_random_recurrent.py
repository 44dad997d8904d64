"""Random models of one recurrent layer: held to Keras, and the same bits in every engine."""

import pytest
from random_recurrent import check

QUICK = 9


@pytest.mark.parametrize("seed", range(QUICK))
def test_random_models(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(QUICK, 60))
def test_many_random_models(seed):
    check(seed)
