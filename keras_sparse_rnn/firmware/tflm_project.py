"""Projects around TensorFlow Lite Micro."""

from keras_sparse_rnn.firmware.c_source import C_TYPES
from keras_sparse_rnn.firmware.plain_c import op_symbol
from keras_sparse_rnn.firmware.sources import build_header, files_of, formats_of, source_folder

FRAMEWORKS = ("tflm-cmake", "arduino", "esp-idf", "zephyr")

# What MicroMutableOpResolver calls builtin ops, where that is not AddCamelCase of the schema's name.
_RESOLVER_NAMES = {
    "ADD_N": "AddN",
    "BATCH_MATMUL": "BatchMatMul",
    "CONV_2D": "Conv2D",
    "L2_NORMALIZATION": "L2Normalization",
}
_RESOLVER_NAMES |= {
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "MAX_POOL_2D": "MaxPool2D",
    "AVERAGE_POOL_2D": "AveragePool2D",
}

# Where each framework has its sources.
_SOURCE_FOLDERS = {"tflm-cmake": "", "arduino": "", "esp-idf": "main/", "zephyr": "src/"}


def files(model, framework, name):
    """The text files of a project, by their paths."""
    source = _SOURCE_FOLDERS[framework]
    arena, measured = arena_size(model)
    custom = list(dict.fromkeys(op.name for op in model.operators if op.is_custom))
    builtin = list(dict.fromkeys(op.name for op in model.operators if not op.is_custom))
    x, y = model.inputs[0], model.outputs[0]
    values = {
        "name": name,
        "data": _bytes(model.data),
        "size": len(model.data),
        "arena": arena,
        "arena_note": "measured on a 64-bit host; a 32-bit processor needs less" if measured else "an estimate",
        "ops": len(custom) + len(builtin),
        "includes": "".join(f'#include "{op_symbol(op)}.h"\n' for op in custom),
        "adds": "".join(f"  if (resolver.Add{_resolver_name(op)}() != kTfLiteOk) return false;\n" for op in builtin)
        + "".join(f"  if (ksr::AddOp<&{op_symbol(op)}>(resolver) != kTfLiteOk) return false;\n" for op in custom),
        "x_type": C_TYPES[x.dtype],
        "y_type": C_TYPES[y.dtype],
        "x_shape": "x".join(map(str, x.shape)),
        "y_shape": "x".join(map(str, y.shape)),
        "y_size": _count(y.shape),
    }
    extension = "cpp" if framework == "arduino" else "cc"
    texts = {
        f"{source}{name}_data.h": _DATA_H,
        f"{source}{name}_data.{extension}": _DATA_CC,
        f"{source}{name}.h": _RUNNER_H,
        f"{source}{name}.{extension}": _RUNNER_CC,
        **{path.replace("NAME", name): text for path, text in _PROJECTS[framework].items()},
    }
    return {path: _fill(text, values) for path, text in texts.items()} | {
        f"{source}{'' if framework == 'arduino' else 'ksr/'}ksr_build.h": build_header(_formats(model))
    }


def kernel_sources(model, framework):
    """The C sources and the adapter that a model needs, by their paths in the project."""
    headers = [f"{op_symbol(op.name)}.h" for op in model.operators if op.is_custom]
    # An Arduino sketch compiles what lies beside it.
    folder = _SOURCE_FOLDERS[framework] + ("" if framework == "arduino" else "ksr/")
    found = {f"{folder}{name}": path for name, path in files_of([*headers, "status.c"], _formats(model)).items()}
    adapter = source_folder() / "adapters" / "tflm"
    extension = "cpp" if framework == "arduino" else "cc"
    return found | {
        f"{folder}ksr_tflm.h": adapter / "ksr_tflm.h",
        f"{folder}ksr_tflm.{extension}": adapter / "ksr_tflm.cc",
    }


def arena_size(model):
    """Bytes of the arena, a multiple of 16, and whether TFLM itself told them."""
    try:
        from keras_sparse_rnn.runtime.tflm import TFLMEngine

        return TFLMEngine(model).memory["arena_size"], True
    except ImportError:
        activations = sum(t.dtype.itemsize * _count(t.shape) for t in model.tensors if t.data is None)
        return -(-(8192 + 128 * len(model.tensors) + 3 * activations) // 16) * 16, False


def _count(shape):
    size = 1
    for length in shape:
        size *= length
    return size


def _formats(model):
    return formats_of(model.tensors[op.inputs[0]].dtype for op in model.operators if op.is_custom)


def _resolver_name(op):
    return _RESOLVER_NAMES.get(op) or "".join(part.capitalize() for part in op.split("_"))


def _fill(text, values):
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    return text


def _bytes(data, width=24):
    rows = (data[i : i + width] for i in range(0, len(data), width))
    return "\n".join("    " + ", ".join(str(byte) for byte in row) + "," for row in rows)


_DATA_H = """\
#pragma once
#include <cstddef>

extern const unsigned char @NAME@_tflite[];
extern const std::size_t @NAME@_tflite_size;  // @SIZE@ bytes
"""

_DATA_CC = """\
#include "@NAME@_data.h"

alignas(16) extern const unsigned char @NAME@_tflite[@SIZE@] = {
@DATA@
};
extern const std::size_t @NAME@_tflite_size = sizeof(@NAME@_tflite);
"""

_RUNNER_H = """\
// Made by keras-sparse-rnn. Input: @X_TYPE@ @X_SHAPE@; output: @Y_TYPE@ @Y_SHAPE@.
#pragma once
#include <cstdint>

bool @NAME@_init();    // once, before anything else; false: the log says why
bool @NAME@_invoke();  // from @NAME@_input() to @NAME@_output()
void @NAME@_reset();   // clears the states of a model that keeps them between inferences
@X_TYPE@* @NAME@_input();
const @Y_TYPE@* @NAME@_output();
"""

_RUNNER_CC = """\
#include "@NAME@.h"

#include "@NAME@_data.h"
@INCLUDES@#include "ksr_tflm.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace {
alignas(16) uint8_t arena[@ARENA@];  // @ARENA_NOTE@
tflite::MicroInterpreter* interpreter = nullptr;
}  // namespace

bool @NAME@_init() {
  static tflite::MicroMutableOpResolver<@OPS@> resolver;
@ADDS@  static tflite::MicroInterpreter made(tflite::GetModel(@NAME@_tflite), resolver, arena, sizeof(arena));
  interpreter = &made;
  if (interpreter->AllocateTensors() == kTfLiteOk) return true;
  MicroPrintf("@NAME@ cannot be loaded into an arena of %d bytes; if the lines above do not say otherwise, it needs "
              "@ARENA@ bytes", static_cast<int>(sizeof(arena)));
  return false;
}

bool @NAME@_invoke() { return interpreter->Invoke() == kTfLiteOk; }

void @NAME@_reset() { interpreter->Reset(); }

@X_TYPE@* @NAME@_input() { return static_cast<@X_TYPE@*>(interpreter->input(0)->data.data); }

const @Y_TYPE@* @NAME@_output() { return static_cast<const @Y_TYPE@*>(interpreter->output(0)->data.data); }
"""

_MAIN = """\
#include <cstdio>

#include "@NAME@.h"

@MAIN_SIGNATURE@ {
  if (!@NAME@_init()) return@FAILED@;
  // Fill @NAME@_input() with a sequence (@X_SHAPE@), then:
  if (!@NAME@_invoke()) return@FAILED@;
  for (int i = 0; i < @Y_SIZE@; ++i) std::printf("%g ", static_cast<double>(@NAME@_output()[i]));
  std::printf("\\n");@RETURN@
}
"""


def _main(signature, value):
    failed, ended = (" 1", "\n  return 0;") if value else ("", "")
    text = _MAIN.replace("@MAIN_SIGNATURE@", signature)
    return text.replace("@FAILED@", failed).replace("@RETURN@", ended)


_PROJECTS = {
    "tflm-cmake": {
        "main.cc": _main("int main()", True),
        "CMakeLists.txt": """\
# Needs a TensorFlow Lite Micro library that was built for the same processor, and its source tree:
#   cmake -S . -B build -DTFLM_DIR=path/to/tflite-micro -DTFLM_LIBRARY=path/to/libtensorflow-microlite.a
cmake_minimum_required(VERSION 3.13)
project(@NAME@ C CXX)
set(TFLM_DIR "" CACHE PATH "Source tree of tflite-micro")
set(TFLM_LIBRARY "" CACHE FILEPATH "libtensorflow-microlite.a")
file(GLOB SOURCES *.cc ksr/*.c ksr/*.cc)
add_executable(@NAME@ ${SOURCES})
set(DOWNLOADS ${TFLM_DIR}/tensorflow/lite/micro/tools/make/downloads)
target_include_directories(@NAME@ PRIVATE . ksr ${TFLM_DIR} ${DOWNLOADS}/flatbuffers/include ${DOWNLOADS}/gemmlowp)
target_compile_definitions(@NAME@ PRIVATE TF_LITE_STATIC_MEMORY)
target_link_libraries(@NAME@ PRIVATE ${TFLM_LIBRARY} m)
""",
    },
    "arduino": {
        "NAME.ino": """\
// Needs the library Arduino_TensorFlowLite. Put these files into a sketch folder called @NAME@.
#include "@NAME@.h"

void setup() {
  Serial.begin(115200);
  if (!@NAME@_init()) Serial.println("the model could not be loaded");
}

void loop() {
  // Fill @NAME@_input() with a sequence (@X_SHAPE@), then:
  if (@NAME@_invoke()) Serial.println(@NAME@_output()[0]);
  delay(1000);
}
""",
    },
    "esp-idf": {
        "main/main.cc": _main('extern "C" void app_main()', False),
        "main/CMakeLists.txt": """\
file(GLOB SOURCES *.cc ksr/*.c ksr/*.cc)
idf_component_register(SRCS ${SOURCES} INCLUDE_DIRS . ksr)
""",
        "main/idf_component.yml": """\
dependencies:
  espressif/esp-tflite-micro: ">=1.3.0"
""",
        "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.16)
include($ENV{IDF_PATH}/tools/cmake/project.cmake)
project(@NAME@)
""",
    },
    "zephyr": {
        "src/main.cc": _main("int main()", True),
        "prj.conf": """\
CONFIG_CPP=y
CONFIG_STD_CPP17=y
CONFIG_REQUIRES_FULL_LIBCPP=y
CONFIG_TENSORFLOW_LITE_MICRO=y
CONFIG_MAIN_STACK_SIZE=4096
CONFIG_FPU=y
""",
        "CMakeLists.txt": """\
# Needs the module tflite-micro: west config manifest.project-filter -- +tflite-micro; west update
cmake_minimum_required(VERSION 3.20)
find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})
project(@NAME@)
file(GLOB SOURCES src/*.cc src/ksr/*.c src/ksr/*.cc)
target_sources(app PRIVATE ${SOURCES})
target_include_directories(app PRIVATE src src/ksr)
""",
    },
}
