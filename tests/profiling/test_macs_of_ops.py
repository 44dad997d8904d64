"""What the profile of a Keras layer counts is what the op that it converts to multiplies."""

import keras
import numpy as np
import pytest
from zoo import KINDS, ONE_OF_EACH, by_kind, converted, member

from keras_sparse_rnn.profiling import count_macs
from keras_sparse_rnn.profiling.watch_ops import WatchingEngine
from keras_sparse_rnn.runtime.model import Model

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs TensorFlow")


@by_kind(*ONE_OF_EACH, "held GRU", of=KINDS)
def test_a_layer_and_its_op_multiply_the_same(kind):
    """From the same states; where rounding decides about an event, layer and op may differ by what a unit feeds."""
    model = converted(kind, weights="float32", verify=False)
    x = member(kind).x[:4]
    counted, engine = count_macs(member(kind).model, x), WatchingEngine(Model.of(model))
    engine.run_chunks([x[:, None]])
    assert [layer.name for layer in counted] == ["first", "second"]
    for layer, op in zip(counted, engine.seen, strict=True):
        if "ONLSTM" not in kind:  # whose op has columns of padding
            assert layer.dense == sum(kernel.size for kernel in op.op.kernels)
        assert layer.nonzero_weights == sum(np.count_nonzero(kernel) for kernel in op.op.kernels)
        assert len(op.macs) == layer.steps == x.shape[0] * x.shape[1]
        assert layer.effective == pytest.approx(np.mean(op.macs), rel=2e-3 if member(kind).may_flip else 1e-12)
        assert 0 < layer.effective <= layer.dense
