"""Builds the C core into a plain shared library inside the package; everything else is in setup.cfg."""

import os
import runpy
import shutil
import sys
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# What is looked up in the core by name, which Visual C++ exports only if it is told.
EXPORTED = [
    "KsrRegisterOps",
    "ksr_find_op",
    "ksr_sources",
    "ksr_status_text",
    "ksr_tflm_set_functions",
    "tflite_plugin_create_delegate",
    "tflite_plugin_destroy_delegate",
]


class BuildCore(build_ext):
    """The core has no Python in it: ctypes loads it, so no module initialiser is exported, and its name has no version
    of Python."""

    def get_export_symbols(self, ext):
        return ext.export_symbols

    def get_ext_filename(self, fullname):
        stem, suffix = os.path.splitext(super().get_ext_filename(fullname))
        return stem.partition(".")[0] + suffix

    def build_extension(self, ext):
        if self.compiler.compiler_type == "msvc":
            ext.extra_compile_args = ["/O2", "/W4", "/std:c11"]
        else:
            ext.extra_compile_args = ["-std=c99", "-O2", "-Wall", "-Wextra", "-ffp-contract=off"]
            if sys.platform == "linux":
                ext.extra_link_args = ["-Wl,-Bsymbolic"]  # its symbols are global in a process: two copies stay apart
        sources = ext.sources
        ext.sources = [*sources, self._digest_source()]
        try:
            super().build_extension(ext)
        finally:
            ext.sources = sources  # a source archive holds those alone

    def _digest_source(self):
        """A C file with the digest of the sources; written where that has changed, which builds the core anew."""
        digest_of = runpy.run_path("keras_sparse_rnn/runtime/core_sources.py")["digest_of"]
        text = f'const char ksr_sources[] = "{digest_of(Path("tflite"))}";\n'
        path = Path(self.build_temp, "ksr_sources.c")
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(path)


class BuildPython(build_py):
    """A wheel carries the C sources too: firmware is made of them."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "keras_sparse_rnn", "tflite_sources")
            shutil.copytree("tflite", target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.o", "*.so"))


class BuildWheel(bdist_wheel):
    """One wheel for every Python on a platform."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(
    cmdclass={"bdist_wheel": BuildWheel, "build_ext": BuildCore, "build_py": BuildPython},
    ext_modules=[
        Extension(
            "keras_sparse_rnn.runtime._core",
            sources=sorted(glob("tflite/kernels/**/*.c", recursive=True) + glob("tflite/adapters/*.c")),
            depends=glob("tflite/**/*.h", recursive=True),
            include_dirs=["tflite/include", "tflite/kernels"],
            export_symbols=EXPORTED,
            optional=True,  # without a compiler the package still installs and trains
        )
    ],
)
