"""Resolves conditionals (`#if` and the like) in C for one processor; conditions with an unknown value stay."""

import re
from collections.abc import Iterator, Mapping

_DIRECTIVE = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif|define|undef)\b\s*(.*)")
_COMMENT = re.compile(r"/\*.*?\*/")
_ATOM = re.compile(r"(!?)\s*(?:defined\s*\(\s*(\w+)\s*\)|(\w+)(?:\s*==\s*(\w+|'.'))?)")


class Conditionals:
    """Resolves conditionals file by file, and records the macros that the files define.

    Args:
        macros: Dict from names of macros to their values; None for an undefined macro.
        prefixes: Macros whose names begin with one of these are undefined unless a file has defined them. Whether other
            macros are defined is unknown.
    """

    def __init__(self, macros: Mapping[str, str | None], prefixes: tuple[str, ...]) -> None:
        self._macros = dict(macros)
        self._prefixes = prefixes
        self._unknown: set[str] = set()  # defined where it is not known whether a condition holds

    def lines(self, text: str) -> Iterator[str]:
        """Yields the remaining lines of a file. The caller reads an included file before it takes the next line."""
        groups: list[_Group] = []
        for line in text.split("\n"):
            found = _DIRECTIVE.match(_COMMENT.sub(" ", line).split("/*")[0])
            kind, rest = (found[1], found[2].strip()) if found else ("", "")
            if kind in ("if", "ifdef", "ifndef"):
                groups.append(_Group(all(group.is_live for group in groups)))
            if kind in ("if", "ifdef", "ifndef", "elif", "else"):
                group = groups[-1]
                wants = group.parent_is_live and not group.is_done
                yield from group.branch(self._holds(kind, rest) if wants else False, line, kind)
            elif kind == "endif":
                yield from groups.pop().end(line)
            elif all(group.is_live for group in groups):
                if kind in ("define", "undef"):
                    self._note(kind, rest, is_certain=not any(group.is_open for group in groups))
                yield line

    def _note(self, kind, rest, is_certain):
        name, *value = re.split(r"(?<=\w)(?!\w)", rest, maxsplit=1)
        if not is_certain:
            self._unknown.add(name)
        else:
            self._unknown.discard(name)
            self._macros[name] = "".join(value).strip() if kind == "define" else None

    def _holds(self, kind, rest):
        """Whether a condition holds; None if unknown."""
        if kind == "else":
            return True
        if kind in ("ifdef", "ifndef"):
            rest = f"{'!' if kind == 'ifndef' else ''}defined({rest})"
        return _any(_all(self._atom(part) for part in either.split("&&")) for either in rest.split("||"))

    def _atom(self, text):
        found = _ATOM.fullmatch(text.strip())
        if found is None:
            return None
        negated, name, value, expected = found.groups()
        known = self._value(name or value)
        if known is NotImplemented:
            return None
        if name:
            return (known is not None) != bool(negated)
        return (_number(known) == _number(expected) if expected else bool(_number(known))) != bool(negated)

    def _value(self, name):
        if name in self._unknown:
            return NotImplemented
        if name in self._macros:
            return self._macros[name]
        return None if name.isdigit() or name.startswith(self._prefixes) else NotImplemented


class _Group:
    """An `#if` up to its `#endif`."""

    def __init__(self, parent_is_live):
        self.parent_is_live = parent_is_live
        self.is_live = False
        self.is_done = False  # a branch of it is certain
        self.is_open = False  # some of it is left

    def branch(self, holds, line, kind):
        self.is_live = holds is not False
        self.is_done |= holds is True
        if holds is None:
            if self.is_open or kind != "elif":
                yield line
            else:
                yield line.replace("elif", "if", 1)
            self.is_open = True
        elif holds and self.is_open:
            yield "#else"

    def end(self, line):
        if self.is_open:
            yield line


def _number(text):
    if text is None:
        return 0
    if len(text) == 3 and text[0] == text[2] == "'":
        return ord(text[1])
    return int(text) if text.isdigit() else text


def _all(parts):
    parts = list(parts)
    return False if False in parts else None if None in parts else True


def _any(parts):
    parts = list(parts)
    return True if True in parts else None if None in parts else False
