"""Real values of an input with a scale for each channel, rounded by generated C."""

import json
import subprocess

import numpy as np
import pytest
from random_models import random_op

from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.tflm_project import TFLMModel
from keras_sparse_rnn.runtime.model import METADATA, Model
from keras_sparse_rnn.tflite_file import ModelFile

MAIN = """
#include "model.c"
#include <stdio.h>
int main(void) {
  float values[MODEL_INPUT_SIZE];
  %(type)s stored[MODEL_INPUT_SIZE];
  while (fread(values, sizeof(values), 1, stdin)) {
    model_quantize_input(values, stored);
    fwrite(stored, sizeof(stored), 1, stdout);
  }
  return 0;
}
"""


def by_channel(bits):
    """A model with divisors in its metadata."""
    file = ModelFile(random_op(11, kind="KsrGru", activation_bits=bits).to_model())
    channels = file.tensors[file.graphs[0].inputs[0]].shape[-1]
    divisors = np.geomspace(0.01, 900, channels).tolist()
    file.metadata[METADATA] = json.dumps({"input_divisors": [divisors]}).encode()
    return Model(file.build())


@pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("bits", [8, 16])
def test_c_rounds_as_the_engines_do(bits, kernels, tmp_path):
    model = by_channel(bits)
    (tensor,) = model.inputs
    code = PlainC(model)
    kernels.write_beside(code, tmp_path)
    (tmp_path / "main.c").write_text(MAIN % {"type": code.inputs[0].c_type})
    kernels.link(tmp_path / "main.c", f"-I{tmp_path}", f"-I{tmp_path}/ksr", to=tmp_path / "main")
    counts = np.concatenate([np.arange(-170, 170) + 0.5, 2.0 ** np.arange(30), -(2.0 ** np.arange(30))])
    values = (counts[:, None] * tensor.scale).astype(np.float32)
    given = subprocess.run([tmp_path / "main"], input=values.tobytes(), capture_output=True, check=True).stdout
    np.testing.assert_array_equal(np.frombuffer(given, tensor.dtype).reshape(values.shape), tensor.quantize(values))


def test_both_headers_declare_it():
    model = by_channel(8)
    (tensor,) = TFLMModel(model, "model").tensors[:1]
    header = PlainC(model).header
    assert tensor.scale is None and len(tensor.scales) == len(model.inputs[0].scale)
    assert "INPUT_SCALE" not in header and header.count("model_quantize_input(const float *values") == 1
