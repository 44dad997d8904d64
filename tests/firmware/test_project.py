"""Models as firmware projects."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import keras
import numpy as np
import pytest
from adapter_models import between_dense_layers, edited, with_state
from ai_edge_litert import schema_py_generated as schema
from keras.layers import GRU, Dense, GlobalAveragePooling1D, ReLU
from random_models import random_op

import keras_sparse_rnn as ksr
from keras_sparse_rnn import runtime
from keras_sparse_rnn.firmware import FRAMEWORKS, qemu, save_firmware
from keras_sparse_rnn.firmware.image import linker_script
from keras_sparse_rnn.firmware.sources import source_folder
from keras_sparse_rnn.firmware.targets import TARGETS
from keras_sparse_rnn.runtime.model import Model

needs_tools = pytest.mark.skipif(
    bool(qemu.missing_tools()),
    reason=f"{', '.join(qemu.missing_tools())} not installed (Debian: apt-get install gcc gcc-arm-none-eabi "
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
    keras.utils.set_random_seed(1)
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


@pytest.mark.slow
@needs_tools
def test_each_build_has_its_own_figures(tmp_path):
    op = next(op for op in map(random_op, range(50)) if not op.op.options.go_backwards and len(op.x) > 1)
    x = np.stack([op.x, op.x])
    firmware = save_firmware(op.to_model(), tmp_path / "new", name="net", inputs=x)
    assert list(firmware.builds) == ["-O2", "-Os"]
    for level, build in firmware.builds.items():
        seen = qemu.measure(Model(op.to_model()), op.x, optimization=level, expected=op.op(op.x))
        assert (build.flash_bytes, build.ram_bytes) == (seen.flash_bytes, seen.ram_bytes)
        assert build.instructions["net_model"] == pytest.approx(seen.mean_instructions, rel=0.02)  # there without marks
        assert build.stack_bytes == pytest.approx(seen.stack_bytes, abs=32)
        linked = _linked_size(firmware.folder, level, tmp_path / "linked.o")
        assert build.flash_bytes + build.ram_bytes < sum(linked) < build.flash_bytes + build.ram_bytes + 4096
    fast, small = firmware.builds.values()
    assert fast.flash_bytes > small.flash_bytes and fast.instructions["net_model"] < small.instructions["net_model"]
    rows = {
        line[:-28].strip(): [int(n.replace(",", "")) for n in line[-28:].split()]
        for line in str(firmware).splitlines()[4:-1]
    }
    assert rows["flash, bytes"] == [fast.flash_bytes, small.flash_bytes]
    assert rows["stack, bytes"] == [fast.stack_bytes, small.stack_bytes]
    instructions = [build.instructions["net_model"] for build in (fast, small)]
    assert rows["instructions of a call of net_model"] == pytest.approx(instructions, abs=0.5)


def _linked_size(folder, level, path):
    """Flash and RAM of all that a project has, as one object, without taking out what is not called."""
    sources = [*folder.glob("*_model.c"), *folder.glob("ksr/*.c")]
    compiler = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", level, "-std=c99")
    subprocess.run([*compiler, "-r", "-nostdlib", *sources, "-o", path], check=True)
    listed = subprocess.run(["arm-none-eabi-size", path], check=True, capture_output=True, text=True).stdout
    text, data, bss = (int(n) for n in listed.splitlines()[1].split()[:3])
    return text + data, data + bss


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_project_has_the_model_and_the_kernels_it_needs_and_no_other(framework, tmp_path):
    data = random_op(3, kind="KsrGru").to_model()
    firmware = save_firmware(data, tmp_path / "new", framework, "Key words!")
    names = {Path(path).name for path in firmware.files}
    assert firmware.names == ("key_words_model",)
    assert {"ksr_kernel_gru_i8.c", "ksr_kernel_recurrent.c", "ksr_gru_layer.h"} <= names
    # Plain C was checked when it was written out; an interpreter's ops check their nodes.
    checks = {
        f"ksr_kernel_{name}.c" for name in ("gru_op", "gru_schema", "schema", "node", "matrix_check", "recurrent_check")
    }
    has_interpreter = FRAMEWORKS[framework].has_interpreter
    assert names & checks == (checks if has_interpreter else set())
    others = ("lstm", "event_gru", "gru_f32", "simple_rnn", "ops")
    assert not names & {f"ksr_kernel_{other}.c" for other in others}
    if not qemu.missing_tools():
        assert all(build.flash_bytes > firmware.model_bytes > 0 for build in firmware.builds.values())
    if not has_interpreter:
        return
    (source,) = firmware.folder.rglob("key_words_model_data.c*")
    array = re.search(r"unsigned char key_words_model_tflite\[(\d+)\] = \{(.*?)\}", source.read_text(), re.S)
    assert int(array[1]) == len(data)
    assert bytes(int(n) for n in re.findall(r"\d+", array[2])) == data


def test_a_library_is_described_to_every_build_system(tmp_path):
    """Each description names the headers and sources that are there: no more, no fewer."""
    models = {"wake": random_op(3, kind="KsrGru").to_model(), "word": random_op(11, kind="KsrLstm").to_model()}
    firmware = save_firmware(models, tmp_path / "new", "library")
    folder = firmware.folder
    sources = {str(path.relative_to(folder)) for path in folder.glob("src/**/*.c")}
    headers = ["wake_model.h", "word_model.h"]
    assert {"src/wake_model.c", "src/ksr/ksr_kernel_lstm_i8.c"} < sources
    properties = dict(line.split("=", 1) for line in (folder / "library.properties").read_text().splitlines())
    described = json.loads((folder / "library.json").read_text())
    assert properties["includes"].split(",") == described["headers"] == headers
    assert {properties["name"], described["name"]} == {"firmware"}
    assert properties["version"] == described["version"] == ksr.__version__
    pack = ElementTree.parse(folder / "keras-sparse-rnn.firmware.pdsc").getroot()
    files = [(file.get("category"), file.get("name")) for file in pack.iter("file")]
    assert {name for category, name in files if category == "source"} == sources
    assert {name for category, name in files if category == "header"} == {f"src/{name}" for name in headers}
    for lists, prefix in (("CMakeLists.txt", "src/"), ("zephyr/CMakeLists.txt", "../src/")):
        named = re.findall(rf"^ +{prefix}(\S+\.c)$", (folder / lists).read_text(), re.M)
        assert {f"src/{name}" for name in named} == sources


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_a_library_is_added_to_a_project(tmp_path):
    save_firmware(random_op(3, kind="KsrGru").to_model(), tmp_path / "net", "library", "net")
    (tmp_path / "main.c").write_text("#include <net_model.h>\nint main(void) { return net_model_init(); }\n")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.15)\nproject(user C)\nadd_subdirectory(net)\n"
        "add_executable(user main.c)\ntarget_link_libraries(user net_model)\n"
    )
    subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "build"], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    subprocess.run([tmp_path / "build" / "user"], check=True)


def test_a_sketch_lies_in_a_folder_of_its_own_name(tmp_path):
    firmware = save_firmware(random_op(3).to_model(), tmp_path / "new", "arduino", "net")
    others = {path for path in firmware.files if not path.startswith("net_model/src/")}
    assert others == {"net_model/net_model.ino"}


@pytest.mark.slow_but(dtype=[np.float32])
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_zephyr_turns_on_floats_where_a_model_has_them(dtype, tmp_path):
    folder = save_firmware(random_op(11, dtype, kind="KsrGru").to_model(), tmp_path / "new", "zephyr").folder
    settings = dict(line.split("=") for line in (folder / "prj.conf").read_text().splitlines())
    has_floats = dtype == np.float32
    # Where the processor has no such unit, CONFIG_FPU=y would end the build, and an `imply` does nothing.
    assert "CONFIG_FPU" not in settings and (settings.get("CONFIG_REQUIRES_FLOAT_PRINTF") == "y") == has_floats
    assert (folder / "Kconfig").exists() == has_floats
    assert not has_floats or {"\timply FPU", 'source "Kconfig.zephyr"'} <= set(
        (folder / "Kconfig").read_text().splitlines()
    )


# Names of kernels, of a project's own files, of headers, keywords, macros, functions and CMake's targets; and odd ones.
HOSTILE = [
    *("gru", "lstm", "recurrent", "matrix", "holds", "target", "events", "status", "ksr", "ksr_gru", "ksr_kernel_gru"),
    *("main", "frames", "firmware", "input", "output", "tensor_0", "op_0", "core", "build"),
    *("string", "stdint", "stdio", "math", "assert", "errno", "limits", "new", "Arduino", "Wire", "zephyr"),
    *("int", "class", "static", "bool", "NULL", "EOF", "linux", "unix", "max", "isnan"),
    *("sem", "timer", "atomic", "pthread_mutex", "printf", "memcpy", "exit"),
    *("test", "all", "clean", "install", "help", "package", "m", "c", "con", "aux"),
    *("9 lives", "größe", "a__b", "-", "x.tflite", "My Model"),
]
ONE_OF_EACH = (
    "gru",
    "ksr_kernel_gru",
    "main",
    "op_0",
    "string",
    "int",
    "linux",
    "test",
    "con",
    "9 lives",
    "größe",
    "-",
)


needs_cmake = pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("gcc")), reason="cmake or gcc not installed (Debian: cmake, gcc)"
)


def _small(dtype=np.int8, seed=11, **options):
    """An op that goes forwards and gives an output at each step."""
    op = random_op(seed, dtype, kind="KsrGru", usual_gates=True, **options)
    assert not op.op.options.go_backwards
    return op


def _on_zeros(op):
    """What the program of its project prints: the outputs at each step."""
    return np.stack(op.op(np.zeros_like(op.x)))


FORMATS = {"wake": {}, "word": {"dtype": np.float32}, "wide": {"seed": 157, "activation_bits": 16}}


@pytest.fixture(scope="module", params=[ONE_OF_EACH, pytest.param(HOSTILE, marks=pytest.mark.slow)], ids=["few", "all"])
def many(request, tmp_path_factory):
    """A project of a model under each hostile name and one in each format, built with all warnings as errors."""
    folder = tmp_path_factory.mktemp("many")
    ops = {name: _small() for name in request.param} | {name: _small(**options) for name, options in FORMATS.items()}
    firmware = save_firmware({name: op.to_model() for name, op in ops.items()}, folder / "project")
    strict = "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror"
    _cmake(folder / "project", folder / "build", strict, "-DCMAKE_BUILD_TYPE=Debug")
    return firmware, list(ops.values()), folder / "build"


def _cmake(project, build, *options, target="all"):
    subprocess.run(["cmake", "-S", project, "-B", build, *options], check=True, capture_output=True)
    done = subprocess.run(["cmake", "--build", build, "--target", target], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


@pytest.mark.slow
@needs_cmake
def test_models_of_any_name_and_format_run_in_one_program(many):
    firmware, ops, build = many
    assert len(firmware.names) == len(ops)
    lines = subprocess.run([build / "firmware"], check=True, capture_output=True, text=True).stdout.splitlines()
    for op in ops:
        expected = _on_zeros(op)
        printed, lines = [line.split() for line in lines[: len(expected)]], lines[len(expected) :]
        # Of floats six digits are printed; they are sums whose order differs.
        np.testing.assert_allclose(np.array(printed, float), expected, rtol=1e-5, atol=1e-7)
    assert not lines


@needs_cmake
def test_no_two_files_or_objects_have_one_name(many):
    firmware, *_ = many
    sources = [Path(path).stem.lower() for path in firmware.files if path.endswith(".c")]
    assert len(set(sources)) == len(sources)
    own = {Path(path).stem for path in firmware.files if "/" not in path and path.endswith((".c", ".h"))}
    assert {stem for stem in own if not stem.endswith("model")} == {"main", "frames"}
    assert all(Path(path).name.startswith("ksr") for path in firmware.files if "/" in path)


@pytest.mark.slow
@needs_cmake
@needs_tools
def test_every_model_has_its_share_of_the_printed_sizes(many, tmp_path):
    firmware, ops, _ = many
    hostile, *others = (
        save_firmware(op.to_model(), tmp_path / str(i)) for i, op in enumerate([ops[0], *ops[1 - len(FORMATS) :]])
    )
    everything = [hostile] * (len(ops) - len(FORMATS) + 1) + others
    for level, build in firmware.builds.items():
        assert hostile.builds[level].ram_bytes > 100
        padding = build.ram_bytes - sum(one.builds[level].ram_bytes for one in everything)
        assert 0 <= padding < 64 * len(everything)  # buffers of 16 bytes lie side by side
        kernels = [one.builds[level].flash_bytes - one.model_bytes for one in everything]
        assert max(kernels) < build.flash_bytes - firmware.model_bytes < sum(kernels)
        assert build.instructions.keys() == set(firmware.names)
    assert firmware.model_bytes == sum(one.model_bytes for one in everything)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two projects, of an int8 model, and of a float32 model beside it, each as libraries of its models and kernels."""
    folder = tmp_path_factory.mktemp("pair")
    whole, real = _small().to_model(), _small(np.float32).to_model()
    for name, models in (("whole", {"whole": whole}), ("real", {"real": real, "other": whole})):
        save_firmware(models, folder / name)
        _cmake(folder / name, folder / name / "build", "-DCMAKE_BUILD_TYPE=Debug", target=f"{name}_model")
    return folder


def _link(folder, *libraries):
    """Links a program that loads both models, with libraries in this order; returns the linker's complaints."""
    main = folder / "main.c"
    main.write_text(
        "".join(f'#include "{name}/{name}_model.h"\n' for name in ("whole", "real"))
        + "int main(void) { return whole_model_init() | real_model_init(); }\n"
    )
    files = [folder / library.replace("/", "/build/lib") for library in libraries]
    done = subprocess.run(["gcc", main, *files, "-o", folder / "main"], capture_output=True, text=True)
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


@pytest.mark.slow
@needs_cmake
def test_two_projects_link_where_the_kernels_of_the_first_serve_both(pair):
    assert not _link(pair, "real/real_model.a", "real/ksr.a", "whole/whole_model.a", "whole/ksr.a")
    assert subprocess.run([pair / "main"]).returncode == 0


@needs_cmake
def test_two_projects_do_not_link_where_they_do_not(pair):
    complaints = _link(pair, "whole/whole_model.a", "whole/ksr.a", "real/real_model.a", "real/ksr.a")
    core = "ksr_core_" + ksr.__version__.replace(".", "_")
    assert re.search(f"multiple definition of .{core}'", complaints)
    complaints = _link(pair, "whole/whole_model.a", "real/real_model.a", "whole/ksr.a")
    assert re.search("undefined reference to .ksr_core_with_float32'", complaints)


@pytest.mark.slow
@needs_cmake
@needs_tools
def test_the_libraries_build_for_a_board(tmp_path):
    firmware = save_firmware(_small(seed=29).to_model(), tmp_path / "new", name="net")
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={source_folder() / 'firmware' / 'arm-none-eabi.cmake'}"
    flags = ("-DCMAKE_C_FLAGS=-mcpu=cortex-m4 -mthumb", "-DCMAKE_BUILD_TYPE=MinSizeRel")
    _cmake(firmware.folder, tmp_path / "build", toolchain, *flags, target="net_model")
    listed = subprocess.run(
        ["arm-none-eabi-size", "-t", *(tmp_path / "build").glob("lib*.a")], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    text, data, bss = (int(n) for n in listed[-1].split()[:3])
    build = firmware.builds["-Os"]
    assert (
        0 <= text + data - build.flash_bytes < 8000
    )  # what nothing calls: texts of statuses, units and products of other shapes
    assert abs(build.ram_bytes - (data + bss)) < 64  # padding


def test_refusals(tmp_path):
    data = _small().to_model()
    with pytest.raises(ValueError, match=r"framework must be one of .*'plain-c'.*; given: 'mbed'"):
        save_firmware(data, tmp_path / "new", "mbed")
    with pytest.raises(ValueError, match="name must have at most 40 characters; given: .*, of 41"):
        save_firmware(data, tmp_path / "new", name=41 * "a")
    with pytest.raises(ValueError, match=r"two models must not have one name in C, a_b_model; given: \['a b', 'a_b'\]"):
        save_firmware({"a b": data, "a_b": data}, tmp_path / "new")
    with pytest.raises(ValueError, match="name is of a single model"):
        save_firmware({"a": data}, tmp_path / "new", name="b")
    with pytest.raises(ValueError, match="at least; given: an empty dict"):
        save_firmware({}, tmp_path / "new")
    with pytest.raises(ValueError, match="TensorFlow Lite Micro has no op TILE, which 'y' is computed by"):
        save_firmware(edited(data, _becomes_a_tile), tmp_path / "new", "zephyr")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="folder must be empty or new"):
        save_firmware(data, tmp_path)


def _becomes_a_tile(file):
    file.operatorCodes[0].builtinCode = schema.BuiltinOperator.TILE
    file.subgraphs[0].operators[0].customOptions = None


# Two recorded sequences instead of a microphone, and a write to the debugger instead of a serial port.
RECORDED_FRAMES = """
#include <stdint.h>
#include <string.h>
#include "frames.h"
#include "semihosting.h"
static const signed char frames[SEQUENCES][STEPS][SIZE] = {VALUES};
int net_model_next_frame(int8_t x[SIZE]) {
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
    (tmp_path / "board.ld").write_text(linker_script(TARGETS["cortex-m4"]))
    sources = [boards / "startup.c", *folder.glob("*.c"), *folder.glob("ksr/*.c")]
    target = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-O1", "-w", "-nostartfiles", "--specs=nosys.specs")
    includes = (f"-I{boards}", f"-T{tmp_path}/board.ld")
    image = tmp_path / "stream.elf"
    subprocess.run(["arm-none-eabi-gcc", *target, *includes, *sources, "-o", image], check=True)
    emulator = ("qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none")
    console = ("-semihosting-config", "enable=on,target=native", "-kernel", image)
    run = subprocess.run([*emulator, *console], check=True, capture_output=True, text=True, timeout=60)
    printed = np.array([[int(n) for n in line.split()] for line in (run.stdout + run.stderr).splitlines() if line])
    np.testing.assert_array_equal(printed, np.concatenate([op.op(sequence) for sequence in x]))
