"""The supported cores, and the boards on which QEMU emulates them."""

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

LEVELS = ("-O2", "-Os")  # what frameworks build at: for speed, and (Arduino, Zephyr) for size


@dataclass(frozen=True)
class Toolchain:
    """The compiler and the emulator for a family of cores.

    Attributes:
        prefix: Prefix of the names of the compiler and its tools.
        emulator: Command of the emulator.
        isa: Instruction set; the counter looks for its marks (`tflite/firmware/count_instructions.c`).
        library: The compiler's option that names the C library.
        packages: Names of Debian packages, separated by spaces.
    """

    prefix: str
    emulator: str
    isa: str
    library: tuple[str, ...]
    packages: str

    def tool(self, name: str) -> str:
        """The command `"gcc"`, `"nm"`, ... of this toolchain."""
        return f"{self.prefix}-{name}"

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that are needed to run firmware, including a compiler for this computer."""
        return ("gcc", *map(self.tool, ("gcc", "nm", "size")), self.emulator)

    @property
    def install(self) -> str:
        """How to get them."""
        return f"Debian: apt-get install gcc {self.packages}"


ARM = Toolchain(
    "arm-none-eabi",
    "qemu-system-arm",
    "thumb",
    ("--specs=nosys.specs",),
    "gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm",
)
RISCV = Toolchain(
    "riscv64-unknown-elf",
    "qemu-system-riscv32",
    "riscv",
    ("--specs=picolibc.specs", "--picolibc-buildtype=release"),
    "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc",
)


@dataclass(frozen=True)
class Target:
    """A core.

    Attributes:
        name: Its name in compilers.
        board: QEMU's machine with this core, and options of the emulator.
        options: Options of the compiler that select the core.
        toolchain: Its `Toolchain`.
        code, ram: Start address and size in bytes of the board's memories for code and data.
        is_timed: Whether its instructions have documented timings (`tflite/firmware/cycles.h`).
        flash_factor: Cycles of a chip whose flash has wait states, as a multiple of those timings; None if unknown.
    """

    name: str
    board: tuple[str, ...]
    options: tuple[str, ...]
    toolchain: Toolchain = ARM
    code: tuple[int, int] = (0, 4 << 20)
    ram: tuple[int, int] = (0x20000000, 4 << 20)
    is_timed: bool = False
    flash_factor: float | None = None

    def compiler(self, optimization: str) -> tuple[str, ...]:
        """The compiler's command with the options that select the core."""
        return (self.toolchain.tool("gcc"), *self.options, *self.toolchain.library, optimization)

    def missing_tools(self) -> list[str]:
        """Names of the programs that this computer lacks to run its firmware."""
        return [program for program in self.toolchain.programs if shutil.which(program) is None]


def _arm(name, board, has_fpu=True, **rest):
    options = (f"-mcpu={name}", "-mthumb", f"-mfloat-abi={'hard' if has_fpu else 'soft'}")
    return Target(name, (board,), options, **rest)


# The factor is from times that NNoM publishes of five int8 GRU layers on an STM32L476 at 140 MHz (its example
# rnn-denoise), 1.22 to 1.32 times the timings of the same code.
#
# QEMU has no board with a Cortex-M0+; a Cortex-M3 runs its instructions. A Cortex-M7 issues two instructions per cycle
# by rules that are not public; the timings of a Cortex-M33 and of Espressif's RISC-V cores are not public either.
TARGETS = {
    target.name: target
    for target in (
        _arm("cortex-m0plus", "mps2-an385", has_fpu=False, is_timed=True),
        _arm("cortex-m3", "mps2-an385", has_fpu=False, is_timed=True),
        _arm("cortex-m4", "mps2-an386", is_timed=True, flash_factor=1.27),
        _arm("cortex-m7", "mps2-an500"),
        _arm("cortex-m33", "mps2-an505", code=(0x10000000, 4 << 20), ram=(0x38000000, 4 << 20)),
        _arm("cortex-m55", "mps3-an547", code=(0, 512 << 10), ram=(0x20000000, 512 << 10), is_timed=True),
        Target(
            "rv32imc",
            ("virt", "-bios", "none"),
            ("-march=rv32imc", "-mabi=ilp32"),
            RISCV,
            code=(0x80000000, 4 << 20),
            ram=(0x80400000, 4 << 20),
        ),
    )
}


@dataclass(frozen=True)
class Processor:
    """A processor that a single file of C can be written for.

    Attributes:
        name: Its name in `save_firmware`.
        macros: Predefined macros of its compilers that the core's kernels use, with their values.
    """

    name: str
    macros: Mapping[str, str]

    @property
    def condition(self) -> str:
        """C condition that holds if a compiler targets it; empty for any compiler."""
        asked = {name: value for name, value in self.macros.items() if name.startswith("__") and name != "__GNUC__"}
        numbers = {"__ARM_ARCH_ISA_THUMB", "__riscv_xlen"}
        return " && ".join(f"{n} == {value}" if n in numbers else f"defined({n})" for n, value in asked.items())


def host() -> str:
    """The name of this computer's processor in `PROCESSORS`."""
    names = {"x86_64": "x86-64", "AMD64": "x86-64", "aarch64": "arm64", "arm64": "arm64"}
    return names.get(platform.machine(), "any")


def _cortex_m(instruction_set, *features):
    macros = {"__GNUC__": "1", "__thumb__": "1", "__ARM_ARCH_PROFILE": "77", "__ARM_ARCH_ISA_THUMB": instruction_set}
    return macros | {f"__ARM_FEATURE_{feature}": "1" for feature in features}


PROCESSORS = {
    name: Processor(name, macros)
    for names, macros in (
        (("cortex-m0", "cortex-m0plus", "cortex-m23"), _cortex_m("1")),
        (("cortex-m3",), _cortex_m("2", "SAT")),
        (("cortex-m4", "cortex-m7", "cortex-m33"), _cortex_m("2", "SAT", "DSP")),
        (("cortex-m55", "cortex-m85"), _cortex_m("2", "SAT", "DSP", "MVE")),
        (("rv32imc",), {"__GNUC__": "1", "__riscv": "1", "__riscv_xlen": "32", "__riscv_mul": "1"}),
        (("x86-64",), {"__GNUC__": "1", "__x86_64__": "1"}),
        (("arm64",), {"__GNUC__": "1", "__aarch64__": "1", "__ARM_NEON": "1"}),
        (("any",), {"KSR_PORTABLE": "1"}),
    )
    for name in names
}
