"""Models as firmware projects."""

import re
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from adapter_models import between_dense_layers, with_state
from keras.layers import GRU, Dense, GlobalAveragePooling1D, ReLU
from random_models import random_op

import keras_sparse_rnn as ksr
from keras_sparse_rnn import runtime
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware import FRAMEWORKS, qemu, save_firmware
from keras_sparse_rnn.firmware.sources import source_folder
from keras_sparse_rnn.ops.sparse_dense import SparseDense, SparseDenseOptions
from keras_sparse_rnn.runtime.model import Model

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
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="convert needs the TensorFlow backend")
def test_plain_c_runs_the_layers_around_recurrent_ones_with_int16_activations():
    layers = [GRU(8, return_sequences=True), Dense(6, "relu"), GlobalAveragePooling1D(), Dense(9), ReLU(6.0)]
    model = keras.Sequential([keras.Input((12, 7)), *layers, Dense(5, "softmax")])
    x = np.random.default_rng(0).normal(size=(24, 12, 7)).astype(np.float32)
    converted = ksr.convert(model, x, weights="int8x16", verify=False)
    stored = converted.engine().inputs[0].quantize(x[:4])
    measured = qemu.measure(Model(converted.data), stored.reshape(4, -1), "cortex-m4")
    expected = np.concatenate([converted.engine().invoke([sample[None]])[0] for sample in stored])
    # LiteRT's multipliers have 16 bits, and its softmax is interpolated in a table.
    assert np.abs(measured.outputs.astype(int) - expected).max() <= 40
    assert np.ptp(expected.astype(int), axis=0).max() > 400


@needs_tools
@pytest.mark.parametrize("kind", ["KsrEventGru", "KsrLstm"])
def test_plain_c_keeps_the_state_of_a_stateful_model(kind):
    data, op = with_state(kind, np.int8)
    x = op.x.reshape(9, -1)
    measured = qemu.measure(Model(data), x, "cortex-m4")
    np.testing.assert_array_equal(measured.outputs, op.op(op.x))


@needs_tools
def test_printed_sizes_are_those_of_the_linked_project(tmp_path):
    small, large = (save_firmware(random_op(seed).to_model(), tmp_path / str(seed), name="net") for seed in (5, 8))
    assert f"{large.flash_bytes:,} bytes of flash, {large.ram_bytes:,} of RAM" in str(large)
    assert small.flash_bytes - small.model_bytes == pytest.approx(large.flash_bytes - large.model_bytes, rel=0.2)
    folder, linked = large.folder, tmp_path / "linked.o"
    sources = [folder / "net.c", *folder.glob("ksr/*.c")]
    compiler = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-Os", "-std=c99", f"-I{folder}", f"-I{folder}/ksr")
    subprocess.run([*compiler, "-r", "-nostdlib", *sources, "-o", linked], check=True)
    listed = subprocess.run(["arm-none-eabi-size", linked], check=True, capture_output=True, text=True).stdout
    text, data, bss = (int(n) for n in listed.splitlines()[1].split()[:3])
    padding = 4 * len(sources)  # between what the linker puts side by side
    assert abs(text + data - large.flash_bytes) <= padding and abs(data + bss - large.ram_bytes) <= padding


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_project_has_the_model_and_the_kernels_it_needs_and_no_other(framework, tmp_path):
    data = random_op(3, kind="KsrGru").to_model()
    firmware = save_firmware(data, tmp_path / "new", framework, "Key words!")
    names = {Path(path).name for path in firmware.files}
    assert {"gru.c", "gru_i8.c", "matrix.c", "ksr_gru.h"} <= names
    if not qemu.missing_tools():
        assert firmware.flash_bytes > firmware.model_bytes > 0 and f"{firmware.ram_bytes:,} of RAM" in str(firmware)
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
    strict = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{folder}", f"-I{folder}/ksr")
    subprocess.run(["gcc", *strict, *sources, "-o", tmp_path / "net", "-lm"], check=True)
    printed = subprocess.run([tmp_path / "net"], check=True, capture_output=True, text=True).stdout
    assert len(printed.split()) == np.prod(random_op(3).output_shape)


def test_refusals(tmp_path):
    data = random_op(3).to_model()
    with pytest.raises(ValueError, match=r"framework must be one of .*'plain-c'.*; given: 'mbed'"):
        save_firmware(data, tmp_path / "new", "mbed")
    with pytest.raises(ValueError, match=r"name must not be one of \('main', 'frames'\).*; given: 'main'"):
        save_firmware(data, tmp_path / "new", name="main")
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


# Two recorded sequences instead of a microphone, and a write to the debugger instead of a serial port.
RECORDED_FRAMES = """
#include <stdint.h>
#include <string.h>
#include "frames.h"
#include "semihosting.h"
static const signed char frames[SEQUENCES][STEPS][SIZE] = {VALUES};
int next_frame(int8_t x[SIZE]) {
  static int i;
  const int sequence = i / (STEPS + 1), step = i % (STEPS + 1);
  ++i;
  if (sequence == SEQUENCES) return -1;
  if (step == STEPS) return 0;
  memcpy(x, frames[sequence][step], SIZE);
  return 1;
}
int _write(int file, const char *text, int size) {
  for (int i = 0; i < size; ++i) semihosting(0x03, text + i);
  return size;
}
void *_sbrk(int size) { /* memory for printf */
  static char heap[8192];
  static int used;
  used += size;
  return heap + used - size;
}
"""


@needs_tools
def test_the_program_of_a_streaming_model_takes_frames_and_resets_on_a_board(tmp_path):
    candidates = (random_op(seed, kind="KsrGru") for seed in range(50))
    op = next(op for op in candidates if not op.op.options.go_backwards and len(op.x) > 2 and op.x.dtype == np.int8)
    folder, boards = tmp_path / "new", source_folder() / "firmware"
    save_firmware(op.to_model(), folder, name="net")
    x = np.stack([op.x, op.x[::-1]])
    sizes = dict(zip(("SEQUENCES", "STEPS", "SIZE"), x.shape, strict=True), VALUES=", ".join(map(str, x.ravel())))
    text = RECORDED_FRAMES
    for name, value in sizes.items():
        text = re.sub(rf"\b{name}\b", str(value), text)
    (folder / "frames.c").write_text(text)
    script = (boards / "board.ld.in").read_text().replace("@CODE_SIZE@", "4M").replace("@RAM_SIZE@", "4M")
    (tmp_path / "board.ld").write_text(script)
    sources = [boards / "startup.c", *folder.glob("*.c"), *folder.glob("ksr/*.c")]
    target = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-O1", "-w", "-nostartfiles", "--specs=nosys.specs")
    includes = (f"-I{folder}", f"-I{folder}/ksr", f"-I{boards}", f"-T{tmp_path}/board.ld")
    image = tmp_path / "stream.elf"
    subprocess.run(["arm-none-eabi-gcc", *target, *includes, *sources, "-o", image, "-lm"], check=True)
    emulator = ("qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none")
    console = ("-semihosting-config", "enable=on,target=native", "-kernel", image)
    run = subprocess.run([*emulator, *console], check=True, capture_output=True, text=True, timeout=60)
    printed = np.array([[int(n) for n in line.split()] for line in (run.stdout + run.stderr).splitlines() if line])
    np.testing.assert_array_equal(printed, np.concatenate([op.op(sequence) for sequence in x]))
