"""The Cortex-M cores that firmware is built for here, and the boards on which QEMU emulates them."""

from collections.abc import Mapping
from dataclasses import dataclass

LEVELS = ("-O2", "-Os")  # what frameworks build at: for speed, and (Arduino, Zephyr) for size


@dataclass(frozen=True)
class Target:
    """A core.

    Attributes:
        name: As compilers know it.
        board: QEMU's machine with it.
        has_fpu: Whether it computes float32 itself.
        code, ram: Start address and size in bytes of the board's memories for code and data.
        is_timed: Whether its instructions have documented timings (`tflite/firmware/cycles.h`).
    """

    name: str
    board: str
    has_fpu: bool = True
    code: tuple[int, int] = (0, 4 << 20)
    ram: tuple[int, int] = (0x20000000, 4 << 20)
    is_timed: bool = False

    def compiler(self, optimization: str) -> tuple[str, ...]:
        """The compiler's command, with the options that say what the code is for."""
        float_abi = "hard" if self.has_fpu else "soft"
        return ("arm-none-eabi-gcc", f"-mcpu={self.name}", "-mthumb", f"-mfloat-abi={float_abi}", optimization)


# No board has a Cortex-M0+; a Cortex-M3 runs its instructions. A Cortex-M7 issues two instructions in a cycle, by rules
# that are not public; no timings of a Cortex-M33 are.
TARGETS = {
    target.name: target
    for target in (
        Target("cortex-m0plus", "mps2-an385", has_fpu=False, is_timed=True),
        Target("cortex-m3", "mps2-an385", has_fpu=False, is_timed=True),
        Target("cortex-m4", "mps2-an386", is_timed=True),
        Target("cortex-m7", "mps2-an500"),
        Target("cortex-m33", "mps2-an505", code=(0x10000000, 4 << 20), ram=(0x38000000, 4 << 20)),
        Target("cortex-m55", "mps3-an547", code=(0, 512 << 10), ram=(0x20000000, 512 << 10), is_timed=True),
    )
}


@dataclass(frozen=True)
class Processor:
    """What a single file of C may be for.

    Attributes:
        name: As `save_firmware` takes it.
        macros: Those of its compilers that the core's kernels ask for, with their values.
    """

    name: str
    macros: Mapping[str, str]

    @property
    def condition(self) -> str:
        """C that says whether a compiler is for it; empty where any is."""
        asked = {name: value for name, value in self.macros.items() if name.startswith("__") and name != "__GNUC__"}
        numbers = {"__ARM_ARCH_ISA_THUMB"}
        return " && ".join(f"{n} == {value}" if n in numbers else f"defined({n})" for n, value in asked.items())


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
        (("x86-64",), {"__GNUC__": "1", "__x86_64__": "1"}),
        (("any",), {"KSR_PORTABLE": "1"}),
    )
    for name in names
}
