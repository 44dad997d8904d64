"""int8 convolutions by CMSIS-NN, whose source tree CMSIS_NN_DIR names."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from random_graphs import GraphWriter

from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.runtime.model import Model

ROOT = Path(os.environ.get("CMSIS_NN_DIR", "none"))
SOURCES = ("ConvolutionFunctions/arm_*_s8*.c", "NNSupportFunctions/arm_*s8*.c", "NNSupportFunctions/arm_q7*.c")


def _model(seed, is_causal=False):
    """Convolutions of each form: with dilation, depthwise and not; with strides and several outputs per channel."""
    writer = GraphWriter(np.int8, np.random.default_rng(seed))
    x = writer.input((1, 12, 5))
    y = writer.expand_dims(writer.pad(x, 1, 4), 1)
    y = writer.convolution(y, 7, 3, dilation=2)
    y = writer.convolution(y, 6, 1)
    y = writer.convolution(y, 6, 1, multiplier=1)
    if is_causal:
        return Model(writer.finish({"x": x}, {"y": writer.squeeze(y, 1)}))
    y = writer.convolution(y, 6, 3, multiplier=1, padding=schema.Padding.SAME)
    y = writer.convolution(y, 6, 2, multiplier=2, stride=2, padding=schema.Padding.SAME)
    y = writer.convolution(y, 4, 4, padding=schema.Padding.SAME)
    return Model(writer.finish({"x": x}, {"y": writer.squeeze(y, 1)}))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if not (ROOT / "Include" / "arm_nnfunctions.h").exists():
        pytest.skip("CMSIS_NN_DIR names no source tree of CMSIS-NN")
    folder = tmp_path_factory.mktemp("cmsis_nn")
    sources = sorted({path for pattern in SOURCES for path in (ROOT / "Source").glob(pattern)})
    options = ["-O2", "-c", "-DCMSIS_NN_USE_SINGLE_ROUNDING", f"-I{ROOT / 'Include'}"]
    subprocess.run([*host_check.compiler(), *options, *sources], cwd=folder, check=True)
    subprocess.run(["ar", "rcs", "libcmsis_nn.a", *folder.glob("*.o")], cwd=folder, check=True)
    return folder / "libcmsis_nn.a"


@pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("streams", [False, True])
def test_cmsis_nn_gives_the_same_bits(library, kernels, tmp_path, streams):
    for seed in range(4):
        code = PlainC(_model(seed, streams))
        assert code.is_streaming == streams
        folder = tmp_path / str(seed)
        folder.mkdir()
        kernels.write_beside(code, folder)
        own = kernels.check(code, folder)
        objects = [*kernels.objects, library]
        flags = ("-DKSR_CMSIS_NN=1", f"-I{ROOT / 'Include'}")
        theirs = host_check.check(code, folder, None, (*kernels.flags, *flags), objects)
        for ours, other in zip(own, theirs, strict=True):
            for y, by_cmsis_nn in zip(ours, other, strict=True):
                np.testing.assert_array_equal(by_cmsis_nn, y)


def test_generated_c_chooses_when_it_is_compiled():
    """What CMSIS-NN needs and what the own kernels need stand apart."""
    source = PlainC(_model(0)).source
    for function, own, count in (
        ("arm_convolve_wrapper_s8(", "ksr_dense_i8(", 3),
        ("arm_depthwise_conv_wrapper_s8(", "ksr_depthwise_i8(", 3),
    ):
        assert source.count(function) == source.count(own) == count
    parts = [part.partition("#else")[::2] for part in source.split("#if KSR_CMSIS_NN\n")[1:]]
    assert len(parts) == 3 * 6  # constants, checks and calls
    assert all("ksr_" not in theirs and "arm_" not in own.partition("#endif")[0] for theirs, own in parts)
