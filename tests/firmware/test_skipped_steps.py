"""Plain C behind a FrameGate: at a step that is left out nothing runs, and the last outputs are repeated."""

import re

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.layers import FrameGate, LightGRU
from keras_sparse_rnn.runtime.model import Model

pytestmark = pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
STEPS, FEATURES = 16, 5


def _walks():
    steps = np.random.default_rng(0).normal(0, 0.25, (8, STEPS, FEATURES))
    x = np.cumsum(steps, axis=1).astype("float32")
    x[:, :2] *= 0.05
    return x


def _model(returns, behind=(), beside=False):
    keras.utils.set_random_seed(0)
    x = keras.Input((STEPS, FEATURES))
    y = LightGRU(9, return_sequences=True)(layers.Dense(6)(FrameGate(0.3, count=2)(x)))
    y = layers.LSTM(7, return_sequences=returns)(y)
    for layer in behind:
        y = layer(y)
    return keras.Model(x, [y, layers.Dense(2)(x)] if beside else y)


@pytest.mark.slow_but(stateful=[True])
@pytest.mark.parametrize("weights", ["float32", "int8", "int8x16"])
@pytest.mark.parametrize("stateful", [False, True])
def test_generated_code_gives_the_bits_of_the_engine(weights, stateful, kernels, tmp_path):
    model, x = _model(weights == "int8", [layers.Dense(3)]), _walks()
    converted = ksr.convert(model, x, weights=weights, stateful=stateful, target="litert")
    code = PlainC(Model(converted.data))
    assert code.is_streaming and code.gate is not None
    kernels.write_beside(code, tmp_path)
    [tensor] = code.model.inputs
    outputs = kernels.check(code, tmp_path, [[tensor.quantize(values)] for values in x])
    engine = converted.engine("reference")
    for values, [ours] in zip(x, outputs, strict=True):
        engine.reset()
        if stateful:
            expected = np.concatenate(
                [engine.invoke([tensor.quantize(v[None, None])])[0].reshape(1, -1) for v in values]
            )
        else:
            expected = engine.invoke([tensor.quantize(values[None])])[0].reshape(-1, 3)
        ours = ours[-len(expected) :]
        np.testing.assert_allclose(ours, expected, atol=1e-5 if weights == "float32" else 0)


def test_only_what_the_gate_reads_comes_before_it(tmp_path):
    """The dense layer between the gate and the recurrent layers does not run either."""
    converted = ksr.convert(_model(True), _walks(), target="litert")
    code = PlainC(Model(converted.data))
    assert [op.name for op in code.always] == ["KsrFrameGate"] and len(code.gated_calls) == 3
    step = code.source[code.source.index("void model_step") :]
    always, gated = re.split(r"if \(tensor_\d+\[0\] \|\| !states\.has_begun\[0\]\) \{", step.split("void model_run")[0])
    assert re.findall(r"ksr_\w+\(", always) == ["ksr_frame_gate_run_i8("]
    assert re.findall(r"(ksr_\w+)\(", gated) == ["ksr_dense_i8", "ksr_run_masked", "ksr_run_masked"]


@pytest.mark.parametrize("what", ["an output beside it", "a layer without the mask"])
def test_whole_sequences_where_something_goes_on(what, kernels, tmp_path):
    """An output that follows each frame, or a layer that makes every step: there are no single steps."""
    behind = [layers.Conv1D(4, 3, padding="causal"), layers.GRU(3)] if what != "an output beside it" else []
    model = _model(True, behind, beside=not behind)
    code = PlainC(Model(ksr.convert(model, _walks(), weights="float32", target="litert").data))
    assert not code.is_streaming and code.gate is None and "leaves masked steps out" in code.time.obstacle
    kernels.write_beside(code, tmp_path)
    kernels.check(code, tmp_path)
