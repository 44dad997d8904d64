"""Plain C for one processor as one header and one source, with the code that the models need and no other."""

import re
from collections import Counter
from pathlib import PurePosixPath

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.firmware.conditionals import Conditionals
from keras_sparse_rnn.firmware.rendering import render
from keras_sparse_rnn.firmware.sources import SOURCES
from keras_sparse_rnn.firmware.targets import PROCESSORS, Processor

_INCLUDE = re.compile(r'\s*#\s*include\s+(?:"([^"]+)"|(<[^>]+>))')
_WORD = r"[A-Za-z_]\w*"
# `#define ksr_fill_i8 ksr_fill_i8_dsp /* dsp/vectors.c */`: who calls the one needs the other.
_BODY = re.compile(r"^#define (ksr_\w+) (ksr_\w+) +/\*.*\n", re.MULTILINE)
_FILES = re.compile(r"^#define ksr_\w+ ksr_\w+ +/\* (.*) \*/$", re.MULTILINE)
# What a source has for itself: functions and tables, a struct, types, numbers; and macros.
_BEFORE_STATIC = r"(?:[A-Z]\w*(?:\(\d+\))? |__attribute__\(\(\w+\)\) |KSR_CLONED\()?"
_OWN = (
    re.compile(
        rf"^{_BEFORE_STATIC}(?:static|KSR_INLINE)\b[^;={{(\[,]*?\b({_WORD})\s*[;=(\[,]",
        re.MULTILINE,
    ),
    re.compile(rf"^static struct {{\n(?: .*\n)*}} ({_WORD});", re.MULTILINE),
    re.compile(rf"^typedef struct ({_WORD}) {{", re.MULTILINE),
    re.compile(rf"^enum {{ ({_WORD})", re.MULTILINE),
)
_MACRO = re.compile(rf"^ *# *define ({_WORD})", re.MULTILINE)
_DEFINED = re.compile(r"^(?!static|typedef|KSR_INLINE|#|/|\*)\w[^;{]*?\b(ksr_\w+|KSR_CORE)\s*[(\[,=]", re.MULTILINE)
_SWITCH = re.compile(r"^#define (KSR_WITH_\w+) (\d)", re.MULTILINE)
_PROTOTYPE = re.compile(r"^(?!static|KSR_INLINE|typedef|#|/|\*)\w[^;{]*;", re.MULTILINE)
_GUARD = re.compile(r"#define \w+_H_$")
_TOKEN = re.compile(rf'/\*.*?\*/|"(?:\\.|[^"\\])*"|(?<![\w.>]){_WORD}', re.DOTALL)


def join(texts: dict[str, str], names: list[str], project: str, processor: Processor) -> dict[str, str]:
    """Joins a project of plain C into `PROJECT.h` and `PROJECT.c`.

    Args:
        texts: Dict from paths to texts of the project's files: `NAME.h` and `NAME.c` of each model, and the core's.
        names: Names of the models.
        project: Name of the two files.
        processor: The `Processor`.

    Returns:
        A dict from the names of the two files to their texts.
    """
    kept = _needed(_Reader(texts, processor), texts, names)
    reader = _Reader(texts, processor)
    models = "".join(reader.read(f"{name}.h") for name in names)
    public, reader.headers = reader.headers, []
    reader.system_headers.clear()  # those are in the header
    sources = {name: reader.read(name) for name in kept}
    sources = _apart(sources, [*public, *reader.headers])
    named = _named(sources, reader.headers)
    private = [_PROTOTYPE.sub(lambda found: found[0] * _declares(found[0], named), text) for text in reader.headers]
    values = {"project": project, "names": names, "processor": processor, "version": __version__, "public": public}
    values |= {"models": models, "system_headers": reader.system_headers, "private": private, "sources": sources}
    joined = {f"{project}.{suffix}": render(f"single-file/PROJECT.{suffix}", **values) for suffix in "hc"}
    return {name: re.sub(r"\n{3,}", "\n\n", text) for name, text in joined.items()}


def _in_code(line, switches):
    """Replaces the switches in a line of code by their values."""
    if line.startswith("#") or "KSR_WITH_" not in line:
        return line
    return re.sub(r"\bKSR_WITH_\w+", lambda found: switches.get(found[0], found[0]), line)


class _Reader:
    """Reads files of a project as a processor's compiler would.

    Attributes:
        headers: Texts of the core's headers that were read, each after those that it includes.
        system_headers: Other included headers, such as `<string.h>`.
    """

    def __init__(self, texts, processor):
        self.headers, self.system_headers = [], []
        self._texts = {PurePosixPath(path).name: text for path, text in texts.items()}
        undefined = {name: None for other in PROCESSORS.values() for name in other.macros}
        if "__GNUC__" not in processor.macros:
            del undefined["__GNUC__"]  # plain C asks what the compiler is
        self._switches = dict(_SWITCH.findall(self._texts["ksr_build.h"]))
        self._conditionals = Conditionals(undefined | processor.macros, ("KSR_", "ksr_"))
        self._read = set()

    def read(self, path):
        """Returns the text of a file without its includes."""
        name = PurePosixPath(path).name
        self._read.add(name)
        kept = []
        for line in self._conditionals.lines(SOURCES.sub("", self._texts[name])):
            found = _INCLUDE.match(line)
            if found and found[2] and found[2] not in self.system_headers:
                self.system_headers.append(found[2])
            elif found and found[1] and PurePosixPath(found[1]).name not in self._read:
                self.headers.append(self.read(found[1]))
            if not found and not _GUARD.match(line):
                kept.append(_in_code(line, self._switches))
        return "\n".join(kept).strip("\n") + "\n"


def _needed(reader, texts, names):
    """Returns the sources that models need: all except implementations of kernels that no other source calls."""
    models = [f"{name}.c" for name in names]
    mentioned = [_without_prototypes(reader.read(f"{name}.h")) for name in names]
    sources = {path: reader.read(path) for path in texts if path.endswith(".c")}
    headers = "\n".join(reader.headers)
    bodies = dict(_BODY.findall(headers))
    with_bodies = {
        _name_of(file) for text in texts.values() for files in _FILES.findall(text) for file in files.split()
    }
    kept = {path for path, text in sources.items() if text.strip() and path not in with_bodies}
    defined = {name: path for path, text in sources.items() for name in _DEFINED.findall(text)}
    mentioned += [_without_prototypes(_BODY.sub("", headers)), *(sources[path] for path in kept)]
    while mentioned:
        words = set(_TOKEN.findall(mentioned.pop()))
        paths = {defined[word] for word in words | {bodies[word] for word in words & set(bodies)} if word in defined}
        mentioned += [sources[path] for path in paths - kept]
        kept |= paths
    return [*sorted(kept - set(models)), *models]


def _name_of(file):
    """The name of a file of the kernels' folder in a project; see `core_files.core_name`."""
    return f"ksr_kernel_{file.removeprefix('portable/').replace('/', '_')}"


def _without_prototypes(text):
    return _PROTOTYPE.sub("", text)


def _named(sources, headers):
    """The identifiers in sources, and in headers outside of prototypes; for a kernel, also its implementation. A call
    that a build switch disables still names a kernel that is missing, and C needs its prototype."""
    bodies = dict(_BODY.findall("\n".join(headers)))
    texts = [*sources.values(), *(_without_prototypes(_BODY.sub("", text)) for text in headers)]
    words = {word for text in texts for word in _TOKEN.findall(text)}
    return words | {bodies[word] for word in words & set(bodies)}


def _declares(prototype, named):
    """Whether a prototype is used and does not belong to another processor's implementation."""
    return not (words := re.findall(r"\b(ksr_\w+)\(", prototype)) or words[0] in named


def _own(text):
    """The private identifiers of a file."""
    return {name for pattern in _OWN for name in pattern.findall(text)}


def _apart(sources, headers):
    """Prepares sources to share one file with headers: private names that several sources use get the name of their
    source as a suffix, and macros are undefined at the end of their source, or get that suffix if a header has one of
    the same name."""
    own = {path: _own(text) for path, text in sources.items()}
    counts = Counter(name for names in [*own.values(), *map(_own, headers)] for name in names)
    macros_of_headers = {name for text in headers for name in _MACRO.findall(text)}
    apart = {}
    for path, text in sources.items():
        ending = PurePosixPath(path).stem.removeprefix("ksr_kernel_")
        shared = {name for name in own[path] if counts[name] > 1} | (macros_of_headers & set(_MACRO.findall(text)))
        text = _TOKEN.sub(lambda found: f"{found[0]}_{ending}" if found[0] in shared else found[0], text)  # noqa: B023
        macros = dict.fromkeys(_MACRO.findall(text))
        apart[path] = text + "".join(f"#undef {name}\n" for name in macros)
    return apart
