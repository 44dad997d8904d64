"""The frameworks that a model can be written for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Framework:
    """A kind of project; `templates/NAME` holds its files.

    Attributes:
        name: Its name in `save_firmware`.
        sources: Folder of the models and kernels in a project; `PROJECT` stands for the project's name.
        cpp_suffix: Suffix of its C++ files.
        has_interpreter: Whether models run in TensorFlow Lite Micro.
    """

    name: str
    sources: str = "."
    cpp_suffix: str = ".cc"
    has_interpreter: bool = True


_ALL = (
    Framework("plain-c", has_interpreter=False),
    # Plain C as a folder that Arduino, PlatformIO, ESP-IDF, Zephyr, CMSIS-Pack and CMake take as a library.
    Framework("library", "src", has_interpreter=False),
    Framework("tflm-cmake"),
    # A sketch is a folder of its own name, of which src/ is built with all that is in it.
    Framework("arduino", "PROJECT/src", ".cpp"),
    Framework("esp-idf", "main"),
    Framework("zephyr", "src"),
)
FRAMEWORKS = {framework.name: framework for framework in _ALL}
