import subprocess

import pytest

from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.core_files import core_files
from keras_sparse_rnn.firmware.plain_c import BUILTIN_HEADERS
from keras_sparse_rnn.firmware.sources import FEATURES

_FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_OPS = ("event_gru", "frame_gate", "gru", "lstm", "on_lstm", "simple_rnn", "sparse_dense")


class Kernels:
    """All kernels, compiled once with AddressSanitizer and UndefinedBehaviorSanitizer.

    Attributes:
        flags: Options of the compiler.
        objects: Object files.
    """

    flags = _FLAGS

    def __init__(self, folder):
        self._headers = folder
        headers = [*BUILTIN_HEADERS, "ksr_masked.h", "ksr_align.h", "ksr_thresholds.h"]
        headers += [f"ksr_{op}_layer.h" for op in _OPS]
        for name, text in core_files(headers, tuple(FEATURES)).items():
            (folder / name).write_text(text)
        sources = sorted(folder.glob("*.c"))
        command = [*host_check.compiler(), *_FLAGS, "-c", "-std=c99", "-ffp-contract=off", *sources]
        subprocess.run(command, cwd=folder, check=True)
        self.objects = sorted(folder.glob("*.o"))

    def write_beside(self, code, folder):
        """Writes a `PlainC` into a folder, with the headers of all kernels."""
        for suffix, text in (("h", code.header), ("c", code.source)):
            (folder / f"{code.name}.{suffix}").write_text(text)
        (folder / "ksr").symlink_to(self._headers)

    def link(self, *sources, to):
        """Links a program of C sources and all kernels."""
        command = [*host_check.compiler(), *_FLAGS, "-std=c99", *sources, *self.objects, "-o", to]
        subprocess.run(command, check=True)

    def check(self, code, folder, sequences=None, **options):
        """`host_check.check` of what was written, under the sanitizers."""
        return host_check.check(code, folder, sequences, _FLAGS, self.objects, **options)


@pytest.fixture(scope="session")
def kernels(tmp_path_factory):
    return Kernels(tmp_path_factory.mktemp("kernels"))
