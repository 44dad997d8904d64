"""What the header of a model in plain C promises: streams that take turns, sizes and scales, stack."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from adapter_models import with_state
from random_models import random_op

from keras_sparse_rnn.firmware import host_check, save_firmware
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.runtime.model import Model

needs_compiler = pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
needs_cross_compiler = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc not installed (Debian: gcc-arm-none-eabi)"
)

TWO_STREAMS = """
#include <stdio.h>
#include "model.h"
static model_states states[2];
int main(void) {
  if (model_init() != KSR_OK) return 1;
  model_save(&states[0]);
  states[1] = states[0];
  for (int t = 0; t < CALLS; ++t) {
    for (int i = 0; i < 2; ++i) {
      VALUE x[MODEL_INPUT_SIZE];
      VALUE y[MODEL_OUTPUT_SIZE];
      for (int n = 0; n < MODEL_INPUT_SIZE; ++n) if (scanf(" %g", &x[n]) != 1) return 2;
      model_load(&states[i]);
      CALL(x, y);
      model_save(&states[i]);
      for (int n = 0; n < MODEL_OUTPUT_SIZE; ++n) printf("%.9g ", (double)y[n]);
    }
  }
  return 0;
}
"""


def _float_op(seed):
    op = random_op(seed, np.float32, kind="KsrGru")
    assert not op.op.options.go_backwards and op.op.options.return_sequences
    return op


def _stateful():
    """A model that takes chunks of three steps and keeps its states, and nine steps for it."""
    data, op = with_state("KsrEventGru", np.float32)
    return Model(data), op.op, op.x, 3


def _streaming():
    op = _float_op(11)
    return Model(op.to_model()), op.op, op.x, 1


@needs_compiler
@pytest.mark.parametrize("build", [_streaming, _stateful])
def test_two_streams_take_turns_in_one_instance(build, kernels, tmp_path):
    model, op, x, steps = build()
    code = PlainC(model, allow_streaming=steps == 1)
    kernels.write_beside(code, tmp_path)
    program = TWO_STREAMS.replace("CALLS", str(len(x) // steps)).replace("CALL(", f"{code.call}(")
    (tmp_path / "main.c").write_text(program.replace("VALUE", "float"))
    kernels.link(tmp_path / "main.c", tmp_path / "model.c", to=tmp_path / "main")
    streams = [x, x[::-1] / 2]
    chunks = np.stack([stream.reshape(len(x) // steps, -1) for stream in streams], axis=1)
    typed = " ".join(f"{value:.9g}" for value in chunks.ravel())
    seen = subprocess.run([tmp_path / "main"], input=typed, check=True, capture_output=True, text=True).stdout.split()
    expected = np.stack([np.stack(op(stream)).reshape(len(x) // steps, -1) for stream in streams], axis=1)
    np.testing.assert_allclose(np.array(seen, float), expected.ravel(), atol=1e-5)


def test_the_header_tells_sizes_and_scales():
    op = random_op(11, kind="KsrGru")
    model = Model(op.to_model())
    macros = dict(re.findall(r"#define MODEL_(\w+) (.+)", PlainC(model).header))
    expected = {}
    for tensor, kind in ((model.inputs[0], "INPUT"), (model.outputs[0], "OUTPUT")):
        expected |= {f"{kind}_SIZE": tensor.shape[-1], f"{kind}_SCALE": tensor.scale}
        expected |= {f"{kind}_ZERO_POINT": tensor.zero_point}
    assert {key: float(text.strip("()f")) for key, text in macros.items() if key != "H_"} == expected


@pytest.mark.slow_but(level=["-O2"])
@needs_cross_compiler
@pytest.mark.parametrize("level", [pytest.param("-O0", marks=pytest.mark.slow), "-Os", "-O2"])
def test_a_call_takes_less_stack_than_the_header_says(level, tmp_path):
    """By the compiler's figures, along the deepest chain of calls, with a reserve for what loops in assembly push."""
    op = random_op(145, kind="KsrGru", activation_bits=16, holds=True)  # the deepest of all
    folder = save_firmware(op.to_model(), tmp_path / "new").folder
    promised = float(re.search(r"less than (\S+) kB of stack", (folder / "model.h").read_text())[1]) * 1000
    sources = [folder / "model.c", *folder.glob("ksr/*.c")]
    compiler = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-std=c99", level, "-fcallgraph-info=su")
    subprocess.run([*compiler, "-c", *sources], cwd=tmp_path, check=True)
    sizes, calls = {}, {}
    for graph in tmp_path.glob("*.ci"):
        text = graph.read_text()
        sizes |= {name: int(size) for name, size in re.findall(r'node: { title: "(.+?)" label: ".*?(\d+) bytes', text)}
        for caller, called in re.findall(r'edge: { sourcename: "(.+?)" targetname: "(.+?)"', text):
            calls.setdefault(caller, set()).add(called)
    directly = set().union(*calls.values())
    # Functions of a layer are called through its struct, where the model's source names them.
    named = set(re.findall(r"^ *\.\w+ = (ksr_\w+),$", (folder / "model.c").read_text(), re.MULTILINE))
    assert named and not named & directly
    calls["__indirect_call"] = named

    def depth(name, above=()):
        below = calls.get(name, set()) - {*above, name}
        return sizes.get(name, 0) + max((depth(called, (*above, name)) for called in below), default=0)

    assert 500 < depth("model_run") < promised - 100
