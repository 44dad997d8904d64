"""Writes models as a project for a microcontroller."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.files import check_folder
from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.core_files import FOLDER, core_files, core_symbols
from keras_sparse_rnn.firmware.frameworks import FRAMEWORKS
from keras_sparse_rnn.firmware.names import model_name
from keras_sparse_rnn.firmware.objects import call, compile_sources
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.rendering import columns, render_folder
from keras_sparse_rnn.firmware.single_file import join
from keras_sparse_rnn.firmware.targets import LEVELS, PROCESSORS, TARGETS, host
from keras_sparse_rnn.firmware.tflm_project import TFLMModel
from keras_sparse_rnn.runtime.engine import arrays_of, quantized
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.native import prepare_ops
from keras_sparse_rnn.typing import Arrays, ModelSource, check_flag

_BOARD = "cortex-m4"
LARGEST_MODEL = 2**25  # the flash of the largest boards in bytes; each byte becomes about twenty in C source


_VERIFIED = "every op compared with the NumPy engine on this computer"
_UNVERIFIED = "UNVERIFIED: no C compiler on this computer to compare it with the NumPy engine"


@dataclass(frozen=True)
class Firmware:
    """A written project. Print it for its costs.

    Attributes:
        folder: Its folder.
        framework: One of `FRAMEWORKS`.
        names: Names of the models in C.
        files: Its files, relative to the folder.
        model_bytes: Bytes of the constants ("plain-c") or of the `.tflite` files.
        builds: Cost of the models and their kernels on a Cortex-M4, or on `cpu`, a `qemu.ProjectCost` for each of
            `targets.LEVELS`, `{"-O2": ..., "-Os": ...}`; empty if its compiler is missing. Stack and instructions are
            None if QEMU is missing, or if its board has too little memory. With TensorFlow Lite Micro, RAM counts the
            arenas only, and does not include its own code, stack and instructions.
        is_verified: Whether the C ran on this computer and agreed with the NumPy engine; False if there is no C
            compiler. None with TensorFlow Lite Micro, which runs the `.tflite` file itself.
        cpu: The processor of a single file, for which `builds` was measured; None for a project.
    """

    folder: Path
    framework: str
    names: tuple
    files: tuple
    model_bytes: int
    builds: dict = field(default_factory=dict)
    is_verified: bool | None = None
    cpu: str | None = None

    def __str__(self):
        lines = [f"{self.framework} firmware in {self.folder}: {', '.join(self.names)}; {len(self.files)} files"]
        lines.append(f"  {'models' if len(self.names) > 1 else 'model'}: {self.model_bytes:,} bytes of flash")
        if self.builds:
            note = ", without TensorFlow Lite Micro's own code" if FRAMEWORKS[self.framework].has_interpreter else ""
            lines.append(f"  with kernels, on a {(self.cpu or _BOARD).replace('cortex-m', 'Cortex-M')}{note}:")
            lines += [f"  {line}" for line in columns({level: _figures(cost) for level, cost in self.builds.items()})]
        if self.is_verified is not None:
            lines.append(f"  {_VERIFIED if self.is_verified else _UNVERIFIED}")
        return "\n".join(lines)


def save_firmware(
    model: ModelSource | Mapping[str, ModelSource],
    folder: str | os.PathLike[str],
    framework: str = "plain-c",
    name: str | None = None,
    inputs: Arrays | Mapping[str, Arrays] | None = None,
    single_file: bool = False,
    cpu: str | None = None,
    small: bool = False,
    threshold_scale: bool = False,
) -> Firmware:
    """Writes models as a project for a microcontroller: constants, the kernel sources that they need, a `main`.

    Several models in one program must come from one project, which builds the kernels for all of them:
    `save_firmware({"wake": wake, "command": command}, "board")`. Two projects in one program do not link.

    Args:
        model: A model: the path or the bytes of a `.tflite` file, a `runtime.model.Model`, or the result of
            `ksr.convert`. Or several models: a dict from names to models.
        folder: Folder of the project. It is created if it does not exist, and must be empty otherwise.
        framework: `"plain-c"` (C without an interpreter), `"library"` (the same as a library for Arduino, PlatformIO,
            ESP-IDF, Zephyr, CMSIS-Pack and CMake), or a project with TensorFlow Lite Micro: `"tflm-cmake"`,
            `"arduino"`, `"esp-idf"`, `"zephyr"`.
        name: Name of a single model in the code, at most 40 characters; None for "model". The names of functions,
            macros and files begin with it and `_model`: `"wake"` gives `wake_model.h` with `wake_model_init`.
        inputs: Recorded inputs, as for `Engine.predict`, on which plain C is compared with the NumPy engine; for
            several models, a dict with the same names. None uses samples of the representative data of `ksr.convert`,
            or noise for a file.
        single_file: Whether to write plain C as one header and one source, `NAME.h` and `NAME.c` (for several models
            `firmware.h` and `firmware.c`), with the kernels for `cpu` only and without a `main`.
        cpu: The processor of a single file: `"cortex-m0"`, `"cortex-m0plus"`, `"cortex-m3"`, `"cortex-m4"`,
            `"cortex-m7"`, `"cortex-m23"`, `"cortex-m33"` (with its DSP extension), `"cortex-m55"`, `"cortex-m85"`,
            `"rv32imc"`, `"x86-64"`, `"arm64"`, or `"any"` for portable C, which any C compiler builds.
        small: Whether to use kernels that take less flash and more instructions: for a GRU of 24 units on a Cortex-M4,
            40 % less flash and 15 % more instructions. The outputs are the same bits.
        threshold_scale: Whether plain C of delta networks has `NAME_set_threshold`, which scales the thresholds of held
            values at run time: fewer instructions for a larger error. The thresholds then take RAM, one or two bytes
            per input and unit, and no additional instructions per step.

    Returns:
        A `Firmware`; it prints as text.

    Raises:
        ValueError: The framework is unknown, the folder is not empty, the inputs do not fit, the framework does not
            support an op or the weights of a model, two models have the same name, `single_file` and `cpu` do not
            match, or `threshold_scale` is given for another framework than plain C or for a model without held values.
        OSError: The folder cannot be written to.
        MismatchError: The C does not agree with the NumPy engine; nothing was written.
        RuntimeError: A C compiler or the emulator fails; nothing was written.
    """
    if not isinstance(framework, str) or framework not in FRAMEWORKS:
        raise ValueError(f"framework must be one of {tuple(FRAMEWORKS)}; given: {framework!r}.")
    check_flag("single_file", single_file)
    check_flag("small", small)
    check_flag("threshold_scale", threshold_scale)
    if threshold_scale and FRAMEWORKS[framework].has_interpreter:
        raise ValueError(
            f"threshold_scale is of plain C; given: framework={framework!r}, whose interpreter reads the thresholds "
            "from the file. Take framework='plain-c', or a file that ksr.runtime.scale_thresholds has made."
        )
    _check_single_file(framework, single_file, cpu)
    folder = Path(folder)
    check_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"folder must be empty or new; '{folder}' holds files.")
    read = _read_models(model, name)
    is_verified = None
    if FRAMEWORKS[framework].has_interpreter:
        models = [TFLMModel(model, name) for name, model in read.items()]
        texts = tflm_texts(models, FRAMEWORKS[framework], small)
        model_bytes = sum(model.data_size for model in models)
        builds = _tflm_builds(texts, model_bytes, sum(model.arena for model in models))
        _write(folder, texts)
    else:
        for given in read.values():
            prepare_ops(given)
        codes = [PlainC(model, name, threshold_scale=threshold_scale) for name, model in read.items()]
        sequences = [
            host_check.noise(code) if x is None else _sequences(code, x)
            for code, x in zip(codes, _recorded(inputs, model), strict=True)
        ]
        outputs = _verify(codes, sequences, cpu, small)
        is_verified = outputs is not None
        model_bytes = sum(code.constant_bytes for code in codes)
        write = _writer(cpu, small)
        core = cpu or _BOARD
        builds = _plain_c_builds(codes, sequences, outputs, core, write) if core in TARGETS else {}
        write(codes, folder, **({} if cpu else {"framework": FRAMEWORKS[framework]}))
    return Firmware(folder, framework, tuple(read), _listed(folder), model_bytes, builds, is_verified, cpu)


def _check_single_file(framework, single_file, cpu):
    if single_file and framework != "plain-c":
        raise ValueError(f"single_file is of framework='plain-c'; given: framework={framework!r}.")
    if single_file and cpu not in PROCESSORS:
        raise ValueError(f"cpu must be one of {tuple(PROCESSORS)} for a single file; given: {cpu!r}.")
    if cpu is not None and not single_file:
        raise ValueError(
            f"cpu is of a single file: pass single_file=True; given: cpu={cpu!r}. The kernels of a project are for "
            "whatever processor it is compiled for."
        )


def _writer(cpu, small):
    """The function that writes plain C for the `cpu` of `save_firmware`: `write_single_file`, or `write_plain_c` for
    None."""
    if cpu is None:
        return partial(write_plain_c, small=small)
    return partial(write_single_file, processor=PROCESSORS[cpu], small=small)


def _verify(codes, sequences, cpu, small):
    """Compares plain C with the NumPy engine.

    Args:
        codes: A list of `PlainC`.
        sequences: Inputs of each, as for `host_check.check`.
        cpu, small: As in `save_firmware`. A single file for another processor than this computer's is compared in the
            version for this computer.

    Returns:
        A list with the result of `host_check.check` for each; None if there is no compiler for this computer.
    """
    if host_check.compiler() is None:
        return None
    write = _writer(cpu if cpu in (None, "any") else host(), small)
    outputs = []
    for code, given in zip(codes, sequences, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            write([code], folder)
            outputs.append(host_check.check(code, folder, given))
    return outputs


def _plain_c_builds(codes, sequences, outputs, core, write):
    """`Firmware.builds` of plain C on one of `TARGETS`, on the first sequence of each model."""
    from keras_sparse_rnn.firmware import image, qemu  # which write projects, too

    target = TARGETS[core]
    if not _has_size_tools(target.toolchain):
        return {}
    recorded_bytes = sum(array.nbytes for given in sequences for array in given[0])
    needed = sum(code.constant_bytes for code in codes) + recorded_bytes
    if outputs is None or target.missing_tools() or needed > target.code[1] // 2:
        with tempfile.TemporaryDirectory() as folder:
            sizes = {level: image.sizes(codes, Path(folder), target, level, write) for level in LEVELS}
        return {level: qemu.ProjectCost(*taken) for level, taken in sizes.items()}
    recordings = [
        image.Recording(code, given[0], made[0], len(given[0][0]))
        for code, given, made in zip(codes, sequences, outputs, strict=True)
    ]
    return {level: qemu.project_cost(recordings, core, level, write) for level in LEVELS}


def _tflm_builds(texts, model_bytes, arenas):
    """`Firmware.builds` of a project around TensorFlow Lite Micro, given as `tflm_texts` returns it."""
    from keras_sparse_rnn.firmware.qemu import ProjectCost

    toolchain = TARGETS[_BOARD].toolchain
    if not _has_size_tools(toolchain):
        return {}
    builds = {}
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), texts)
        sources = sorted(Path(folder).rglob("*.c"))
        includes = sorted({path.parent for path in sources})
        for level in LEVELS:
            objects = compile_sources((*TARGETS[_BOARD].compiler(level), "-std=c99"), sources, includes)
            listed, _ = call(toolchain.tool("size"), *objects)
            text, data, _ = np.sum([[int(n) for n in line.split()[:3]] for line in listed.splitlines()[1:]], axis=0)
            builds[level] = ProjectCost(model_bytes + int(text + data), arenas)
    return builds


def _has_size_tools(toolchain):
    return all(shutil.which(toolchain.tool(name)) for name in ("gcc", "size"))


def _figures(cost):
    """The printed lines of a `ProjectCost`, a list of `(label, number)`."""
    figures = [("flash, bytes", cost.flash_bytes), ("RAM, bytes", cost.ram_bytes)]
    if cost.stack_bytes is not None:
        figures += [("stack, bytes", cost.stack_bytes)]
    for name, instructions in (cost.instructions or {}).items():
        figures += [(f"instructions of a call of {name}", instructions)]
    return figures


def _recorded(inputs, given):
    """The inputs of each model; None if there are none."""
    models = list(given.values()) if isinstance(given, Mapping) else [given]
    if inputs is None:
        return [getattr(model, "samples", None) for model in models]
    if not isinstance(given, Mapping):
        return [inputs]
    if not isinstance(inputs, Mapping) or set(inputs) != set(given):
        raise ValueError(f"inputs must be a dict with the names of the models, {list(given)}.")
    return [inputs[name] for name in given]


def _sequences(code, inputs):
    """Converts inputs to the form that `host_check.check` takes."""
    tensors = code.model.inputs
    columns = quantized(arrays_of(inputs, tensors), tensors)
    return [
        [
            values.reshape(-1, x.size)
            if x.steps > 1 or not code.is_streaming
            else np.repeat(values.reshape(1, -1), code.steps, 0)
            for x, values in zip(code.inputs, sample, strict=True)
        ]
        for sample in zip(*columns, strict=True)
    ]


def write_plain_c(codes, folder, small=False, framework=FRAMEWORKS["plain-c"]):
    """Writes models, a list of `PlainC`, and the kernel sources that they need. Returns the names of the models'
    files."""
    texts, core = _plain_c_texts(codes, small)
    streaming = any(code.is_streaming for code in codes)
    project = _filled(framework.name, codes, core, streaming=streaming)
    sources = texts | {f"{FOLDER}/{name}": text for name, text in core.items()}
    _write(Path(folder), project | {f"{framework.sources}/{name}": text for name, text in sources.items()})
    return [code.name for code in codes]


def write_single_file(codes, folder, processor, small=False):
    """Writes models and kernels as one header and one source for a `Processor`. Returns a list with their name."""
    texts, core = _plain_c_texts(codes, small)
    name = _project_name(codes)
    _write(Path(folder), join(texts | core, [code.name for code in codes], name, processor))
    return [name]


def _plain_c_texts(codes, small):
    """Returns a dict from names to texts of the models' files, and one of the core's files."""
    texts = {
        f"{code.name}.{suffix}": text for code in codes for suffix, text in (("h", code.header), ("c", code.source))
    }
    headers = [header for code in codes for header in code.headers]
    return texts, core_files(headers, _features(codes), small=small)


def tflm_texts(models, framework, small=False):
    """Returns the files of a project with TensorFlow Lite Micro.

    Args:
        models: A list of `TFLMModel`.
        framework: A `Framework`.
        small: As in `save_firmware`.

    Returns:
        A dict from paths to texts.
    """
    headers = [header for model in models for header in model.headers]
    core = core_files(headers, _features(models), framework.cpp_suffix, small)
    has_floats = any(tensor.dtype == np.float32 for model in models for tensor in model.model.tensors)
    project = _filled(framework.name, models, core, has_floats=has_floats)
    sources = {f"{FOLDER}/{name}": text for name, text in core.items()}
    for path, text in _filled("model-tflm", models, core).items():
        sources[path.replace(".cc", framework.cpp_suffix)] = text
    place = framework.sources.replace("PROJECT", _project_name(models))
    return project | {os.path.normpath(f"{place}/{path}"): text for path, text in sources.items()}


def _read_models(given, name):
    """Returns a dict from names in C to the models."""
    if isinstance(given, Mapping):
        if name is not None:
            raise ValueError(f"name is of a single model; several have their names in the dict. Given: {name!r}.")
        if not given:
            raise ValueError("model must hold one model at least; given: an empty dict.")
        named = list(given.items())
    else:
        named = [("model" if name is None else name, given)]
    read = {}
    for text, model in named:
        identifier = model_name(text)
        if identifier in read:
            raise ValueError(
                f"two models must not have one name in C, {identifier}; given: {[text for text, _ in named]}."
            )
        read[identifier] = _read(model)
    return read


def _read(model):
    model = Model.of(model)
    if len(model.data) > LARGEST_MODEL:
        raise ValueError(
            f"model must have at most {LARGEST_MODEL:,} bytes for a microcontroller; it has {len(model.data):,}."
        )
    return model


def _features(models):
    return tuple(sorted({feature for model in models for feature in model.features}))


def _project_name(models):
    return models[0].name if len(models) == 1 else "firmware"


def _filled(folder, models, core, **values):
    core_sources = sorted(name for name in core if not name.endswith(".h"))
    return render_folder(
        folder,
        models,
        project=_project_name(models),
        version=__version__,
        core_sources=core_sources,
        features=_features(models),
        core_symbols=core_symbols,
        **values,
    )


def _write(folder, texts):
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _listed(folder):
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
