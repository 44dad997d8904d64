"""The fuzzer of the ops finds what is planted."""

import shutil

import fuzz_ops
import pytest

FAULT = "if ((block) == 8 && values[3] == 5) at[3] += 1 << 16;"  # less is often lost in the rounding that follows


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["", FAULT], ids=["sound", "planted"])
def test_a_body_that_differs_in_some_blocks_is_found(fault, tmp_path):
    if shutil.which(fuzz_ops.COMPILER) is None:
        pytest.skip("clang is not installed")
    kernels, folder = tmp_path / "kernels", tmp_path / "found"
    folder.mkdir()
    shutil.copytree(fuzz_ops.CORE / "kernels", kernels)
    body = kernels / "x86" / "add_events.c"
    loop = "add(values + i, value, at + i);"
    text = body.read_text()
    assert text.count(loop) == 1
    body.write_text(text.replace(loop, f"{loop} {fault}"))
    found = fuzz_ops.run(folder, 60, runs=2000, kernels=kernels)
    assert bool(found) == bool(fault)
