"""The kernels for arm64, compiled for it here and run by QEMU."""

import shutil
import subprocess
from functools import partial

import pytest
from recorded_models import recorded_models

from keras_sparse_rnn.firmware.image import build_for_host
from keras_sparse_rnn.firmware.project import write_plain_c, write_single_file
from keras_sparse_rnn.firmware.targets import PROCESSORS

TOOLS = {"aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross", "qemu-aarch64": "qemu-user"}
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed (Debian: apt-get install {' '.join(TOOLS.values())})"
)
COMPILER = ("aarch64-linux-gnu-gcc", "-static", "-O2")


@pytest.mark.parametrize(
    ("options", "write"),
    [
        ((), write_plain_c),
        pytest.param(
            *(("-march=armv8.2-a+dotprod",), partial(write_single_file, processor=PROCESSORS["arm64"])),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_bit_equals_the_definition(options, write, tmp_path):
    program = build_for_host(recorded_models(), tmp_path, (*COMPILER, *options), write)
    subprocess.run(["qemu-aarch64", "-cpu", "max", program], check=True, capture_output=True)
    symbols = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    assert "ksr_multiply_i8_neon" in symbols
