"""Models in C on this computer, by each compiler, under sanitizers."""

import shutil
import subprocess

import pytest
from recorded_models import recorded_models

from keras_sparse_rnn.firmware.image import build_for_host

SANITIZERS = ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.mark.parametrize("compiler", [pytest.param("gcc", marks=pytest.mark.slow), "clang"])
def test_every_bit_equals_the_definition_and_no_rule_of_c_is_broken(compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} not installed")
    program = build_for_host(recorded_models(), tmp_path, (compiler, "-O1", *SANITIZERS))
    run = subprocess.run([program], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
