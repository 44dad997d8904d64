"""Writes a model as a project for a microcontroller."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_sparse_rnn.firmware import tflm_project
from keras_sparse_rnn.firmware.c_source import identifier
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.sources import build_header, files_of
from keras_sparse_rnn.runtime.model import Model

FRAMEWORKS = ("plain-c", *tflm_project.FRAMEWORKS)
_PROGRAM = ("main", "frames")

_PLAIN_CMAKE = """\
# A library of the model, and a program that runs it. In a project of your own: add {name}.c and the *.c files of ksr/,
# and put both folders on the include path.
cmake_minimum_required(VERSION 3.13)
project({name} C)
file(GLOB KSR_SOURCES ksr/*.c)
add_library({name} {name}.c ${{KSR_SOURCES}})
set_target_properties({name} PROPERTIES C_STANDARD 99)
target_include_directories({name} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}} PRIVATE ksr)
target_link_libraries({name} PUBLIC m)
file(GLOB MAIN_SOURCES main.c frames.c)
add_executable({name}_main ${{MAIN_SOURCES}})
target_link_libraries({name}_main {name})
"""

_PLAIN_MAIN = """\
#include "{name}.h"

#include <stdio.h>

int main(void) {{
  static {x_type} x[{x_size}];  /* put a sequence here: {x_shape} */
  static {y_type} y[{y_size}];
  if ({name}_init() != 0) return 1;
  {name}_run(x, y);
  for (int i = 0; i < {y_size}; ++i) printf("%g ", (double)y[i]);
  printf("\\n");
  return 0;
}}
"""


# For models that take one step at a time.
_FRAMES_H = """\
#ifndef FRAMES_H_
#define FRAMES_H_

#include <stdint.h>

/* Waits for the next frame and fills x: 1. At the end of a sequence: 0, with x as it was. Nothing will follow: -1. */
int next_frame({x_type} x[{x_frame}]);

#endif /* FRAMES_H_ */
"""

_FRAMES_C = """\
#include "frames.h"

#include <string.h>

#include "{name}.h"

/* Put your microphone or sensor here; these are {name_upper}_STEPS frames of zeros. */
int next_frame({x_type} x[{x_frame}]) {{
  static int32_t count;
  memset(x, 0, {x_frame} * sizeof(*x));
  if (count == {name_upper}_STEPS) return -1;
  ++count;
  return 1;
}}
"""

_STREAMING_MAIN = """\
#include <stdio.h>

#include "frames.h"
#include "{name}.h"

int main(void) {{
  static {x_type} x[{x_frame}];
  static {y_type} y[{y_frame}];
  if ({name}_init() != 0) return 1;
  for (int more; (more = next_frame(x)) >= 0;) {{
    if (more == 0) {{
      {name}_reset();
      continue;
    }}
    {name}_step(x, y);
    for (int i = 0; i < {y_frame}; ++i) printf("%g ", (double)y[i]);
    printf("\\n");
  }}
  return 0;
}}
"""


@dataclass(frozen=True)
class Firmware:
    """A project that was written.

    Attributes:
        folder: Where it lies.
        framework: One of `FRAMEWORKS`.
        files: Its files, relative to the folder.
        model_bytes: Of the constants ("plain-c") or of the `.tflite` file.
        flash_bytes, ram_bytes: Of the model and the kernels, without the C library and the stack, as
            `arm-none-eabi-size` tells them of the objects for a Cortex-M4 at -Os; None where that compiler is missing.
            With TensorFlow Lite Micro the RAM is the arena, and its own code comes on top.
    """

    folder: Path
    framework: str
    files: tuple
    model_bytes: int
    flash_bytes: int | None = None
    ram_bytes: int | None = None

    def __str__(self):
        lines = [f"{self.framework} firmware in {self.folder}: {len(self.files)} files"]
        lines.append(f"  model: {self.model_bytes:,} bytes of flash")
        if self.flash_bytes is not None:
            sizes = f"{self.flash_bytes:,} bytes of flash, {self.ram_bytes:,} of RAM"
            lines.append(f"  with kernels for a Cortex-M4 (-Os): {sizes}")
        if self.framework != "plain-c":
            lines[-1] += " (the arena), without TensorFlow Lite Micro's own code"
        return "\n".join(lines)


def save_firmware(
    model: str | os.PathLike[str] | bytes | Model,
    folder: str | os.PathLike[str],
    framework: str = "plain-c",
    name: str = "model",
) -> Firmware:
    """Writes a model as a project for a microcontroller: constants, the kernel sources that it needs, a `main`.

    Args:
        model: A `.tflite` model: its path, its bytes, or a `runtime.model.Model`.
        folder: Where to; it is made, and must be empty if it exists.
        framework: `"plain-c"` (C without an interpreter), or one around TensorFlow Lite Micro: `"tflm-cmake"`,
            `"arduino"`, `"esp-idf"`, `"zephyr"`.
        name: Of the model in the code.

    Returns:
        A `Firmware`; it prints as text.

    Raises:
        ValueError: The framework is unknown, the folder is not empty, or the model has an op that the framework lacks.
    """
    if framework not in FRAMEWORKS:
        raise ValueError(f"framework must be one of {FRAMEWORKS}; given: {framework!r}.")
    if not isinstance(model, Model):
        model = Model(bytes(model) if isinstance(model, (bytes, bytearray, memoryview)) else Path(model).read_bytes())
    if identifier(name) in _PROGRAM:
        raise ValueError(f"name must not be one of {_PROGRAM}, files that a project has; given: {name!r}.")
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"folder must be empty or new; '{folder}' holds files.")
    if framework != "plain-c":
        texts = tflm_project.files(model, framework, identifier(name))
        sources = tflm_project.kernel_sources(model, framework)
        _write(folder, texts, sources)
        kernels, _ = _sizes(folder, sorted(folder.rglob("*.c")))
        sizes = (None, None) if kernels is None else (len(model.data) + kernels, tflm_project.arena_size(model)[0])
        return Firmware(folder, framework, _listed(folder), len(model.data), *sizes)
    code = PlainC(model, name)
    write_plain_c(code, folder)
    return Firmware(folder, framework, _listed(folder), code.constant_bytes, *plain_c_sizes(code))


def write_plain_c(code, folder):
    """Writes a `PlainC` and the kernel sources that it needs."""
    sources = {f"ksr/{file}": path for file, path in files_of(code.headers, code.formats).items()}
    _write(folder, _plain_c_files(code), sources)


def plain_c_sizes(code, cpu="cortex-m4"):
    """Bytes of flash and of RAM that a `PlainC` and its kernels take, without the C library and the stack.

    They are what `arm-none-eabi-size` tells of all objects of the project, compiled for `cpu` at -Os; `(None, None)`
    where the compiler is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / "project"
        write_plain_c(code, folder)
        return _sizes(folder, [folder / f"{code.name}.c", *sorted(folder.glob("ksr/*.c"))], cpu)


def _sizes(folder, sources, cpu="cortex-m4"):
    if not (shutil.which("arm-none-eabi-gcc") and shutil.which("arm-none-eabi-size")):
        return None, None
    includes = [f"-I{path.resolve()}" for path in {file.parent for file in folder.rglob("*.h")}]
    compiler = ("arm-none-eabi-gcc", f"-mcpu={cpu}", "-mthumb", "-Os", "-std=c99", *includes)
    with tempfile.TemporaryDirectory() as build:
        subprocess.run([*compiler, "-c", *(str(path.resolve()) for path in sources)], check=True, cwd=build)
        objects = sorted(str(path) for path in Path(build).glob("*.o"))
        listed = subprocess.run(["arm-none-eabi-size", *objects], check=True, capture_output=True, text=True).stdout
    text, data, bss = np.sum([[int(n) for n in line.split()[:3]] for line in listed.splitlines()[1:]], axis=0)
    return int(text + data), int(data + bss)


def _plain_c_files(code):
    x, y = code.tensors
    names = {
        "name": code.name,
        "x_type": code.c_types[0],
        "y_type": code.c_types[1],
        "x_size": int(np.prod(x.shape)),
        "y_size": int(np.prod(y.shape)),
        "x_shape": "x".join(map(str, x.shape)),
        "name_upper": code.name.upper(),
        "x_frame": code.input_size,
        "y_frame": code.output_size,
    }
    mains = {"main.c": _PLAIN_MAIN}
    if code.is_streaming:
        mains = {"main.c": _STREAMING_MAIN, "frames.h": _FRAMES_H, "frames.c": _FRAMES_C}
    return {
        f"{code.name}.h": code.header,
        f"{code.name}.c": code.source,
        **{file: text.format(**names) for file, text in mains.items()},
        "CMakeLists.txt": _PLAIN_CMAKE.format(**names),
        "ksr/ksr_build.h": build_header(code.formats),
    }


def _write(folder, texts, sources):
    for name, path in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, folder / name)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _listed(folder):
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
