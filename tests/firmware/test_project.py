"""Models as firmware projects."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from adapter_models import between_dense_layers, with_state
from random_models import random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware import FRAMEWORKS, qemu, save_firmware
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.ops.sparse_dense import SparseDense, SparseDenseOptions

needs_tools = pytest.mark.skipif(
    bool(qemu.missing_tools()),
    reason=f"{', '.join(qemu.missing_tools())} not installed (Debian: apt-get install cmake gcc gcc-arm-none-eabi "
    "libnewlib-arm-none-eabi qemu-system-arm)",
)


@needs_tools
def test_plain_c_runs_all_ops_and_the_layers_around_them():
    model = Model(between_dense_layers(all_outputs=False))
    x = np.random.default_rng(0).integers(-128, 128, model.inputs[0].shape).astype(np.int8)
    measured = qemu.measure(model, x[0], "cortex-m0plus")
    (expected,) = runtime.load(model, "reference").invoke([x])
    # The reference computes builtin ops in real numbers.
    assert np.abs(measured.outputs.astype(int) - expected[0]).max() <= 1
    assert len(np.unique(expected)) > 5


@needs_tools
@pytest.mark.parametrize("kind", ["KsrEventGru", "KsrLstm"])
def test_plain_c_keeps_the_state_of_a_stateful_model(kind):
    data, op = with_state(kind, np.int8)
    x = op.x.reshape(9, -1)
    measured = qemu.measure(Model(data), x, "cortex-m4")
    np.testing.assert_array_equal(measured.outputs, op.op(op.x))


@needs_tools
def test_sizes_are_those_of_the_compiler(tmp_path):
    small, large = (save_firmware(random_op(seed).to_model(), tmp_path / str(seed)) for seed in (5, 8))
    assert small.flash_bytes - small.model_bytes == pytest.approx(large.flash_bytes - large.model_bytes, rel=0.2)
    text = Path(large.folder / "model.c").read_text()
    sizes = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "int32_t": 4}
    buffers = re.findall(r"alignas\(16\) static (\w+) \w+\[(\d+)\];", text)
    used = sum(sizes[dtype] * int(length) for dtype, length in buffers)
    # Besides them, what prepare keeps of a node.
    assert used + 200 <= large.ram_bytes <= used + 400 + 16 * len(buffers)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_project_has_the_model_and_the_kernels_it_needs_and_no_other(framework, tmp_path):
    data = random_op(3, kind="KsrGru").to_model()
    firmware = save_firmware(data, tmp_path / "new", framework, "Key words!")
    names = {Path(path).name for path in firmware.files}
    assert {"gru.c", "gru_i8.c", "matrix.c", "ksr_gru.h"} <= names
    assert not names & {"lstm.c", "event_gru.c", "gru_f32.c", "simple_rnn.c", "ops.c"}
    if framework == "plain-c":
        assert "int key_words_init(void);" in (firmware.folder / "key_words.h").read_text()
        return
    (source,) = firmware.folder.rglob("key_words_data.c*")
    array = re.search(
        r"alignas\(16\) extern const unsigned char key_words_tflite\[(\d+)\] = \{(.*?)\}", source.read_text(), re.S
    )
    assert int(array[1]) == len(data)
    assert bytes(int(n) for n in re.findall(r"\d+", array[2])) == data
    (runner,) = (path for path in firmware.folder.rglob("key_words.c*"))
    text = runner.read_text()
    assert "MicroMutableOpResolver<1>" in text and "ksr::AddOp<&ksr_gru>(resolver)" in text
    assert "@" not in text


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc not installed")
def test_the_plain_c_project_builds_and_runs(tmp_path):
    save_firmware(random_op(3).to_model(), tmp_path / "new", name="net")
    folder = tmp_path / "new"
    sources = [*folder.glob("*.c"), *folder.glob("ksr/*.c")]
    strict = ("-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{folder}", f"-I{folder}/ksr")
    subprocess.run(["gcc", *strict, *sources, "-o", tmp_path / "net", "-lm"], check=True)
    printed = subprocess.run([tmp_path / "net"], check=True, capture_output=True, text=True).stdout
    assert len(printed.split()) == np.prod(random_op(3).output_shape)


def test_refusals(tmp_path):
    data = random_op(3).to_model()
    with pytest.raises(ValueError, match=r"framework must be one of .*'plain-c'.*; given: 'mbed'"):
        save_firmware(data, tmp_path / "new", "mbed")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="folder must be empty or new"):
        save_firmware(data, tmp_path)


@needs_tools
def test_plain_c_runs_sparse_dense_layers():
    rng = np.random.default_rng(0)
    kernel = (rng.integers(-128, 128, (12, 1, 18)) * (rng.random((12, 1, 18)) < 0.2)).astype(np.int8)
    options = SparseDenseOptions(units=18, block=4, x_zero_point=3, output_min=-128, output_max=127)
    scales = np.full(18, 2**30, np.int32), np.full(18, 38, np.uint8)
    op = SparseDense(options, kernel, np.arange(18, dtype=np.int32), *scales)
    writer = ModelWriter()
    x, y = (writer.add_tensor(name, (1, 3, size), np.int8, scale=(1.0, 0)) for name, size in (("x", 12), ("y", 18)))
    writer.add_recurrent("dense", op, op.constants(sparse=True), x, y)
    inputs = rng.integers(-128, 128, (3, 12)).astype(np.int8)
    measured = qemu.measure(Model(writer.finish({"x": x}, {"y": y})), inputs, "cortex-m4")
    np.testing.assert_array_equal(measured.outputs, op.invoke(inputs, {}))
    assert len(np.unique(measured.outputs)) > 10
