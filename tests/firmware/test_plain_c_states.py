"""States that are inputs and outputs, and masks, in plain C."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import KINDS, random_op
from state_models import state_model

from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.formats import INT8, INT8X16
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.model import Model

pytestmark = pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")


def _check(kernels, tmp_path, data):
    code = PlainC(Model(data))
    kernels.write_beside(code, tmp_path)
    kernels.check(code, tmp_path)
    return code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "bits"), [(np.int8, 8), (np.int8, 16), (np.float32, 8)])
def test_states_and_masks(kind, dtype, bits, kernels, tmp_path):
    op = random_op(11, dtype, kind, activation_bits=bits, holds=False)
    code = _check(kernels, tmp_path, state_model(op, initial=True, mask=True))
    assert not code.is_streaming


def test_a_stream_gives_its_states_at_each_step(kernels, tmp_path):
    op = random_op(2, kind="KsrLstm", holds=False)
    op = replace(op, op=replace(op.op, options=replace(op.op.options, go_backwards=0, return_sequences=1)))
    assert _check(kernels, tmp_path, state_model(op)).is_streaming


def test_states_of_another_scale(kernels, tmp_path):
    """Between int8 and int16, as QUANTIZE makes them."""
    writer = ModelWriter()
    wide, narrow = 2.0**-15, 1 / 100
    x = writer.add_tensor("x", (1, 200), np.int16, scale=(wide, 0))
    y = writer.add_quantize(x, TensorInfo("y", (1, 200), INT8.activations, narrow, -7))
    z = writer.add_quantize(y, TensorInfo("z", (1, 200), INT8X16.activations, wide, 0))
    _check(kernels, tmp_path, writer.finish({"x": x}, {"z": z}))
