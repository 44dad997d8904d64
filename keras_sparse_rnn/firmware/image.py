"""Programs that run models in C on recorded inputs and compare every bit of their outputs: images for emulated boards,
and programs for this computer."""

from dataclasses import dataclass

import numpy as np

from keras_sparse_rnn.firmware.objects import call, compile_sources
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.project import write_plain_c
from keras_sparse_rnn.firmware.rendering import render
from keras_sparse_rnn.firmware.sources import source_folder

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
_SECTIONS = ("-ffunction-sections", "-fdata-sections")
_LINK = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments")


@dataclass(frozen=True, eq=False)
class Recording:
    """A model with recorded inputs and its expected outputs.

    Attributes:
        code: Its `PlainC`. Models of one program have different names.
        inputs, outputs: Lists of arrays `(calls, values)` for the model's inputs and outputs, in its own dtypes.
        calls_per_sequence: Number of calls after which the states are cleared.
    """

    code: PlainC
    inputs: list
    outputs: list
    calls_per_sequence: int


def build_image(
    recordings,
    folder,
    target,
    optimization,
    options=(),
    counts_init=False,
    is_moved=False,
    compiler=None,
    write=write_plain_c,
):
    """Builds an image for a board.

    Args:
        recordings: A list of `Recording`.
        folder: An empty folder for the files.
        target: One of `targets.TARGETS`.
        optimization: Option of the compiler, `"-O2"`, `"-Os"`, ...
        options: Further options of the compiler.
        counts_init: Whether `init` is counted as well, between marks (`tflite/firmware/marks.h`).
        is_moved: Whether a half-word precedes the functions that are not aligned to words.
        compiler: The command that compiles, a tuple of strings; None for the target's. The target's always links.
        write: Function that writes the models: `write_plain_c`, or one with the same arguments and result.

    Returns:
        A tuple `(path of the image, bytes of flash, bytes of RAM)`; the bytes are those of the models and their
        kernels, without the C library and the stack.
    """
    linker = target.compiler(optimization)
    compiler = (*(compiler or linker), optimization, *STRICT, *_SECTIONS, *options)
    firmware = source_folder() / "firmware"
    codes = [recording.code for recording in recordings]
    files, models, kernels = _compile(codes, folder, compiler, write)
    source, data = _write_programs(recordings, files, folder, counts_init)
    rest = compile_sources(compiler, [firmware / "startup.c", firmware / "check.c"], [firmware])
    rest += compile_sources(compiler, [source], _includes(folder))
    if is_moved:
        rest = [firmware / "half_word.S", "-Wl,-u,half_word", *rest]
    script, image = folder / "board.ld", folder / "firmware.elf"
    script.write_text(linker_script(target))
    call(*linker, f"-T{script}", *_LINK, *models, *kernels, *rest, data, "-o", image)
    return image, *_sizes(codes, folder, target, compiler, write)


def build_for_host(recordings, folder, compiler, write=write_plain_c):
    """Builds a program for this computer whose status is 0 if all outputs are as recorded.

    Args:
        recordings, folder, write: As in `build_image`.
        compiler: The command with its options, a tuple of strings.

    Returns:
        The path of the program.
    """
    strict = (*compiler, *STRICT)
    firmware = source_folder() / "firmware"
    files, models, kernels = _compile([recording.code for recording in recordings], folder, strict, write)
    source, data = _write_programs(recordings, files, folder, counts_init=False)
    check = compile_sources(strict, [firmware / "check.c", source], _includes(folder))
    path = folder / "check"
    call(*compiler, *models, *kernels, *check, data, "-o", path)
    return path


def linker_script(target):
    """The text of the script that places an image in the memories of a target's board."""
    text = (source_folder() / "firmware" / "board.ld.in").read_text()
    sizes = dict(zip(("CODE_ORIGIN", "CODE_SIZE", "RAM_ORIGIN", "RAM_SIZE"), (*target.code, *target.ram), strict=True))
    for name, value in sizes.items():
        text = text.replace(f"@{name}@", hex(value))
    return text


def sizes(codes, folder, target, optimization, write=write_plain_c):
    """Bytes of flash and of RAM that models, a list of `PlainC`, and their kernels take, as in `build_image`."""
    return _sizes(codes, folder, target, (*target.compiler(optimization), *STRICT, *_SECTIONS), write)


def _compile(codes, folder, compiler, write, of_models=()):
    """Returns the names of the models' files, their objects, compiled with these options, and the kernels' objects."""
    files = write(codes, folder)
    kernels = compile_sources(compiler, sorted(folder.glob("ksr/*.c")), [folder / "ksr"])
    sources = [folder / f"{name}.c" for name in files]
    return files, compile_sources((*compiler, *of_models), sources, _includes(folder)), kernels


def _includes(folder):
    return [folder, folder / "ksr", source_folder() / "firmware", source_folder() / "include"]


def _sizes(codes, folder, target, compiler, write):
    _, models, kernels = _compile(codes, folder, compiler, write, ("-DKSR_NO_MARKS",))
    functions = [
        f"{code.name}_{kind}" for code in codes for kind in ("init", "reset", "run", *["step"] * code.is_streaming)
    ]
    roots = [option for name in functions for option in ("-u", name)]
    linked = folder / "model.o"
    options = ("-r", "-nostdlib", "-Wl,--gc-sections", f"-Wl,-e,{functions[0]}", *roots)
    call(target.toolchain.tool("gcc"), *target.options, *options, *models, *kernels, "-o", linked)
    text, data, bss = (int(size) for size in call(target.toolchain.tool("size"), linked)[0].splitlines()[1].split()[:3])
    return text + data, data + bss


def _write_programs(recordings, files, folder, counts_init):
    """The table of models for check.c: a source in C and one in assembly."""
    for recording in recordings:
        (folder / f"{recording.code.name}.inputs").write_bytes(_packed(recording.inputs).tobytes())
        (folder / f"{recording.code.name}.outputs").write_bytes(_packed(recording.outputs).tobytes())
    values = {"programs": [_program(recording) for recording in recordings], "files": files, "folder": folder}
    paths = folder / "programs.c", folder / "recorded.s"
    for path in paths:
        path.write_text(render(f"check/{path.name}", counts_init=counts_init, **values))
    return paths


def _program(recording):
    """The entry of a model in the table of check.c, for the templates."""
    inputs, outputs = _offsets(recording.inputs), _offsets(recording.outputs)
    return {
        "name": recording.code.name,
        "call": recording.code.call,
        "inputs": inputs[:-1],
        "outputs": outputs[:-1],
        "input_bytes": inputs[-1],
        "output_bytes": outputs[-1],
        "calls": len(recording.inputs[0]),
        "calls_per_sequence": recording.calls_per_sequence,
    }


def _offsets(arrays):
    """Returns the offset of each array within a call, a multiple of 16 bytes, and the size of a call."""
    return np.cumsum([0, *(-(-array[0].nbytes // 16) * 16 for array in arrays)]).tolist()


def _packed(arrays):
    """The bytes of all calls, one after the other."""
    offsets = _offsets(arrays)
    packed = np.zeros((len(arrays[0]), offsets[-1]), np.uint8)
    for at, array in zip(offsets, arrays, strict=False):
        values = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
        packed[:, at : at + values.shape[1]] = values
    return packed
