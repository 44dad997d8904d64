"""Docstrings as Keras writes them, in the dialect that the documentation's parser reads."""

import re

import griffe

_SEVERAL_NAMES = re.compile(r"^    (?:\*{0,2}\w+,\s+)+\*{0,2}\w+:", re.MULTILINE)
_CALL_ARGUMENTS = re.compile(r"^Call arguments:\n((?:    .*\n?)+)", re.MULTILINE)
_OUTPUT_SHAPE = re.compile(r"^Output shape:\n((?:    .*\n?)+)", re.MULTILINE)
_RETURNS = re.compile(r"^(Returns:\n    [^:\n]*):(?= )", re.MULTILINE)
_SESSION = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class KerasDocstrings(griffe.Extension):
    def on_instance(self, *, obj, **_):
        if obj.docstring:
            # With spaces that do not break: the parser would take what is behind a space for a type.
            text = _SEVERAL_NAMES.sub(lambda names: "    " + "\u00a0".join(names[0].split()), obj.docstring.value)
            text = _RETURNS.sub("\\1 \u2013", text)  # nor is what stands before a colon the type
            text = _CALL_ARGUMENTS.sub(lambda block: f"**Call arguments**\n\n{_listed(block[1])}", text)
            text = _OUTPUT_SHAPE.sub(lambda block: "**Output shape**\n\n" + block[1].replace("    ", ""), text)
            text = _SESSION.sub(lambda lines: f"```pycon\n{lines[0].rstrip()}\n```", text)
            obj.docstring.value = re.sub(r"^Example:$", "**Example**", text, flags=re.MULTILINE)


def _listed(block):
    """The items of a section, with their indentation, as a list in Markdown."""
    return re.sub(r"^    (\w+): ", r"- `\1`: ", block, flags=re.MULTILINE).replace("\n        ", "\n    ")
