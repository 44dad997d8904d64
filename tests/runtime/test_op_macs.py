"""What a step multiplies, against a count of every product."""

import numpy as np
import pytest
from random_models import KINDS, random_op

from keras_sparse_rnn.ops.macs import effective_macs, macs_as_stored


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("holds", [False, True])
def test_effective_macs_are_the_products_of_what_acts(kind, holds):
    for seed in range(4):
        random = random_op(seed, kind=kind, holds=holds)
        op, state = random.op, {name: np.zeros(t.shape[1], np.int64) for name, t in random.op.states().items()}
        for x in random.x:
            before = {name: values.copy() for name, values in state.items()}
            op(x[None], state)
            acting = op.acting(x, before, state)
            inputs, units = (*acting, None)[:2]  # without recurrent weights there are inputs alone
            if holds:
                assert (inputs == (state["held_x"] != before["held_x"])).all()
            elif kind == "KsrEventGru":
                assert (inputs == (x != op.options.x_zero_point)).all()
            else:
                assert inputs.all()
            if kind == "KsrEventGru":
                assert (units == (before["y"] != 0)).all()
            for kernel, active in zip(op.kernels, acting, strict=True):
                products = sum(bool(weight) for j in np.flatnonzero(active) for weight in kernel[j].reshape(-1))
                assert effective_macs([kernel], [active]).sum() == products


def test_macs_as_stored_skip_zeros_in_blocks_alone():
    op = random_op(9).op
    kernel, recurrent = op.kernels
    dense = kernel.size + recurrent.size
    assert macs_as_stored(op, []) == (dense, dense)
    assert macs_as_stored(op, ["kernel"]) == (dense, np.count_nonzero(kernel) + recurrent.size)
