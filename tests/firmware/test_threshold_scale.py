"""Thresholds that are scaled at run time: in plain C, in the engines, in a file."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from random_models import random_op

import keras_sparse_rnn as ksr
from keras_sparse_rnn.firmware import host_check, save_firmware
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.ops.gru import AFTER, BEFORE
from keras_sparse_rnn.ops.thresholds import scaled
from keras_sparse_rnn.runtime.model import Model

SCALES = (0, 100, 256, 400, 65535)  # in Q8, one after the other
STEPS = 12  # with each of them
# Sets the next scale before each STEPS steps; the first ones have the scale of init.
MAIN = """
#include "held_model.c"
#include <stdio.h>
int main(void) {
  const uint16_t scales[] = {%(scales)s};
  %(type)s x[%(inputs)s], y[%(units)s];
  if (held_model_init()) return 1;
  for (int t = 0; fread(x, sizeof(x), 1, stdin); ++t) {
    if (t && t %% %(steps)s == 0) held_model_set_threshold(scales[t / %(steps)s - 1]);
    held_model_step(x, y);
    fwrite(y, sizeof(y), 1, stdout);
  }
  return 0;
}
"""


def _held(kind="KsrGru", dtype=np.int8, bits=8, **given):
    """A model that keeps its states and holds inputs and states, and inputs that change little from step to step."""
    seeds = (random_op(seed, dtype, kind, True, bits, weight_bits=0, **given) for seed in range(300))
    op = next(
        op
        for op in seeds
        if op.op.hidden_threshold is not None
        and op.activity == "usual"
        and min(len(op.op.kernel), op.op.options.units) > 5
    )
    options = replace(op.op.options, go_backwards=0, return_sequences=1)
    rng = np.random.default_rng(0)
    largest = 1 if dtype == np.float32 else 2 ** (bits - 1) - 1
    threshold = (rng.uniform(0.01, 0.05, len(op.op.kernel)) * largest).astype(op.op.input_threshold.dtype)
    changed = replace(op.op, options=options, input_threshold=threshold)
    op = replace(op, op=changed, constants=changed.constants(), x=op.x[:1])
    walk = np.cumsum(rng.normal(size=((1 + len(SCALES)) * STEPS, len(op.op.kernel))), axis=0)
    walk = walk / np.abs(walk).max() * largest
    return Model(op.to_model(stateful=True)), walk.astype(op.x.dtype)


CASES = [
    ("KsrGru", np.int8, 8, {"reset_gate": AFTER}),
    ("KsrGru", np.int8, 16, {"reset_gate": BEFORE}),
    ("KsrLstm", np.float32, 8, {}),
]


@pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
@pytest.mark.parametrize(("kind", "dtype", "bits", "given"), CASES)
def test_in_plain_c_and_in_both_engines(kind, dtype, bits, given, kernels, tmp_path):
    model, x = _held(kind, dtype, bits, **given)
    code = PlainC(model, "held", threshold_scale=True)
    assert code.is_streaming and len(code.thresholds) == (3 if given.get("reset_gate") == BEFORE else 2)
    kernels.write_beside(code, tmp_path)
    values = {"type": code.inputs[0].c_type, "inputs": code.inputs[0].size, "units": code.outputs[0].size}
    values |= {"scales": ", ".join(map(str, SCALES)), "steps": STEPS}
    (tmp_path / "main.c").write_text(MAIN % values)
    kernels.link(tmp_path / "main.c", f"-I{tmp_path}", f"-I{tmp_path}/ksr", to=tmp_path / "main")
    printed = subprocess.run([tmp_path / "main"], input=x.tobytes(), capture_output=True, check=True).stdout
    outputs = [np.frombuffer(printed, x.dtype).reshape(len(x), -1)]
    for name in ("reference", "native"):
        engine, steps = ksr.runtime.load(model, name), []
        for t, values in enumerate(x):
            if t and t % STEPS == 0:
                engine.set_threshold_scale(SCALES[t // STEPS - 1] / 256)
            steps.append(engine.invoke([values[None, None]])[0].ravel())
        outputs.append(np.stack(steps))
    assert len(np.unique(outputs[0])) > 10
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], rtol=0, atol=1e-5 if dtype == np.float32 else 0)


def test_a_scaled_file_does_what_the_engine_does():
    """In an interpreter, too; a larger scale holds more, and 1 is the file as it was."""
    model, x = _held()
    outputs, sent = {}, {}
    for scale in (0, 1, 6):
        data = ksr.runtime.scale_thresholds(model, scale)
        scaled_model, engine = ksr.runtime.load(data, "native"), ksr.runtime.load(model, "native")
        engine.set_threshold_scale(scale)
        outputs[scale] = [engine.step(values) for values in x[:, None]]
        for other in (scaled_model, ksr.runtime.load(data, "tflm")):
            np.testing.assert_array_equal([other.step(values) for values in x[:, None]], outputs[scale])
        (op,) = ksr.runtime.load(data, "reference").definitions.values()
        held = [np.zeros(len(op.kernel), np.int64)]
        state = {name: np.zeros(tensor.shape[1], np.int64) for name, tensor in op.states().items()}
        for values in x:
            op(values[None], state)
            held.append(state["held_x"])
        sent[scale] = np.mean(np.diff(held, axis=0) != 0)
    assert sent[0] > sent[1] > sent[6] > 0
    plain = ksr.runtime.load(model, "native")
    np.testing.assert_array_equal([plain.step(values) for values in x[:, None]], outputs[1])


@pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
def test_a_single_file_compiles(tmp_path):
    model, _ = _held()
    written = save_firmware(model, tmp_path / "held", single_file=True, cpu="any", threshold_scale=True)
    assert written.is_verified


def test_rounds_down_and_saturates():
    np.testing.assert_array_equal(scaled(np.array([0, 1, 3, 200, 255], np.uint8), 384), [0, 1, 4, 255, 255])
    np.testing.assert_array_equal(scaled(np.array([1, 1000, 65535], np.uint16), 65535), [255, 65535, 65535])
    np.testing.assert_array_equal(scaled(np.array([0.5, 3], np.float32), 64), np.array([0.125, 0.75], np.float32))


def test_refusals(tmp_path):
    model, _ = _held()
    plain = random_op(3, kind="KsrGru", holds=False).to_model()
    for scale in (-0.1, 256, "1", float("nan")):
        with pytest.raises(ValueError, match=r"scale must be a number from 0 to 255.99609375"):
            ksr.runtime.scale_thresholds(model, scale)
    for refused in (
        lambda: ksr.runtime.scale_thresholds(plain, 2),
        lambda: ksr.runtime.load(plain, "native").set_threshold_scale(2),
        lambda: save_firmware(plain, tmp_path / "plain", threshold_scale=True),
    ):
        with pytest.raises(ValueError, match=r"holds neither inputs nor states"):
            refused()
    with pytest.raises(ValueError, match=r"'native' or 'reference'"):
        ksr.runtime.load(model, "tflm").set_threshold_scale(2)
    with pytest.raises(ValueError, match=r"threshold_scale is of plain C; given: framework='arduino'"):
        save_firmware(model, tmp_path / "tflm", "arduino", threshold_scale=True)
