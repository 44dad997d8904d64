"""The names of models in C."""

import re
from collections.abc import Iterable

_LONGEST = 40  # Arduino takes names of files up to 63 characters


def model_name(name: str) -> str:
    """Returns the identifier of a model in C: `"Key words!"` becomes `key_words_model`, `"model"` stays.

    All names of a model in a project begin with it: files, functions, macros, include guards, targets of CMake. It
    always ends in `model`, so it is never a keyword or the name of a standard header, a macro or a reserved target:
    `string`, `test` and `timer` are fine. The files of the kernels begin with `ksr` and are in a folder of their own.

    Args:
        name: Any text. Other characters than ASCII letters and digits become `_`.

    Raises:
        ValueError: The name is no text, or has more than 40 characters.
    """
    if not isinstance(name, str):
        raise ValueError(f"name must be text; given: {name!r}.")
    if len(name) > _LONGEST:
        raise ValueError(f"name must have at most {_LONGEST} characters; given: {name!r}, of {len(name)}.")
    identifier = c_identifier(name)
    return identifier if identifier.endswith("model") else f"{identifier}_model".lstrip("_")


def c_identifier(text: str) -> str:
    """A text as a lower-case C identifier without `__`, which C++ reserves; `""` if nothing is left."""
    identifier = re.sub(r"[\W_]+", "_", text, flags=re.ASCII).strip("_").lower()
    return f"n{identifier}" if identifier[:1].isdigit() else identifier


def distinct(names: Iterable[str]) -> list[str]:
    """Makes names unique: repeated ones get a number."""
    taken: list[str] = []
    for name in names:
        number, unique = 2, name
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.append(unique)
    return taken
