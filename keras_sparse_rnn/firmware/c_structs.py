"""Values of the structs that the core's headers declare."""

import re
from collections.abc import Mapping
from functools import cache

from keras_sparse_rnn.firmware.sources import source_folder

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRUCT = re.compile(r"^typedef struct (\w+) \{(.*?)^\} \1;", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r"(\w+)(?:\[\w+\])?\s*[,;]")


def chosen(struct: str, values: Mapping) -> dict:
    """Chooses the values of a struct's members.

    Args:
        struct: Name of a struct of `tflite/include/`.
        values: Dict from names to values, of members and of anything else.

    Returns:
        The values of the members among them, in the order of the header. C makes the other members zero.

    Raises:
        KeyError: No header declares the struct.
    """
    return {name: values[name] for name in _structs()[struct] if name in values}


def initializer(value, indent: str = "  ") -> str:
    """A value in C: for a dict a designated initializer, for a list a plain one."""
    if isinstance(value, list):
        return f"{{{', '.join(map(initializer, value))}}}"
    if not isinstance(value, Mapping):
        return str(value)
    lines = (f"{indent}.{name} = {initializer(member, indent + '  ')},\n" for name, member in value.items())
    return "{\n" + "".join(lines) + indent[2:] + "}"


@cache
def _structs():
    """Dict from the name of each struct to the names of its members."""
    headers = (_COMMENT.sub("", path.read_text()) for path in (source_folder() / "include").glob("*.h"))
    return {name: _MEMBER.findall(body) for text in headers for name, body in _STRUCT.findall(text)}
