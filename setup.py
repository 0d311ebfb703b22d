"""Builds every ext/*.pyx into minigrad/_ext/<stem>. Metadata lives in pyproject.toml.

Environment variables read here:
    MINIGRAD_DEBUG=1                     bounds checks, None checks and debug symbols in every compiled module
    MINIGRAD_SANITIZE=address,undefined  build with these sanitizers (see CONTRIBUTING.md for how to run them)
    MINIGRAD_OPENMP=0                    build without OpenMP even where it is available
"""

import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
DEBUG = os.environ.get("MINIGRAD_DEBUG", "0") != "0"
SANITIZE = os.environ.get("MINIGRAD_SANITIZE", "")

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": False,
}

MACROS = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
]

OPENMP_PROBE = """
#include <omp.h>
int main(void) {
    int n = 0;
    #pragma omp parallel reduction(+ : n)
    n += 1;
    return n < 1 || omp_get_max_threads() < 1;
}
"""


def openmp_flags(compiler: list[str]) -> tuple[list[str], list[str]]:
    """Compile and link flags for OpenMP, ([], []) with a loud warning where a test program does not build and run."""
    if os.environ.get("MINIGRAD_OPENMP", "1") == "0":
        warnings.warn("MINIGRAD_OPENMP=0: building minigrad without OpenMP, every kernel runs on one thread", stacklevel=2)
        return [], []
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "probe.c"), Path(folder, "probe")
        source.write_text(OPENMP_PROBE)
        command = [*compiler, str(source), "-o", str(program), "-fopenmp"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
            subprocess.run([str(program)], check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip()
            warnings.warn(
                "\n" + "*" * 78 + "\nminigrad: OpenMP is NOT available; building a serial library, every kernel runs on one"
                f" thread.\n{' '.join(command)}\n{reason}\n" + "*" * 78,
                stacklevel=2,
            )
            return [], []
    return ["-fopenmp"], ["-fopenmp"]


def headers_of(source: Path) -> list[str]:
    """The headers of ext/include that this file names in quotes, and those that they name."""
    found: dict[str, str] = {}
    todo = [source]
    while todo:
        for name in re.findall(r'"(\w+\.h)"', todo.pop().read_text()):
            header = ROOT / "ext" / "include" / name
            if name not in found and header.exists():
                found[name] = header.relative_to(ROOT).as_posix()
                todo.append(header)
    return sorted(found.values())


def extensions() -> list[Extension]:
    # -O2 with -O3's vectorizer: a third less code, at the same speed where it counts.
    compile_args = ["-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic"]
    compile_args += ["-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-unused-function"]
    link_args = []
    if not (DEBUG or SANITIZE or sys.platform == "darwin"):
        compile_args += ["-fno-asynchronous-unwind-tables"]
        link_args += ["-Wl,-s", "-Wl,-z,noseparate-code", "-Wl,--build-id=none"]
    if DEBUG or SANITIZE:
        compile_args += ["-DMINIGRAD_CHECKED", "-g", "-fno-omit-frame-pointer", "-O1"]
    if SANITIZE:
        # Python's own flags have -fwrapv, which would hide signed overflow.
        compile_args += [f"-fsanitize={SANITIZE}", "-fno-wrapv"]
        link_args += [f"-fsanitize={SANITIZE}"]
    include = [str(ROOT / "ext" / "include"), np.get_include()]
    return [
        Extension(
            f"minigrad._ext.{source.stem}",
            [source.relative_to(ROOT).as_posix()],
            include_dirs=include,
            define_macros=MACROS,
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            depends=headers_of(source),
        )
        for source in sorted((ROOT / "ext").glob("*.pyx"))
    ]


class BuildExt(build_ext):
    """build_ext that adds the OpenMP flags of the compiler in use, and compiles on every core."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count() or 1

    def build_extensions(self) -> None:
        compile_flags, link_flags = openmp_flags(list(self.compiler.compiler_so[:1]))
        objects = []
        if compile_flags and sys.platform == "linux":  # a linker with --wrap
            objects = self.compiler.compile(
                ["ext/serial_region.c"], self.build_temp, extra_postargs=["-O2", "-fPIC", "-std=gnu11", *compile_flags]
            )
            link_flags = [*link_flags, "-Wl,--wrap=GOMP_parallel"]
        for extension in self.extensions:
            extension.extra_objects = [*extension.extra_objects, *objects]
            extension.extra_compile_args = [*extension.extra_compile_args, *compile_flags]
            extension.extra_link_args = [*extension.extra_link_args, *link_flags]
        super().build_extensions()


os.chdir(ROOT)
setup(
    ext_modules=cythonize(
        extensions(),
        include_path=["ext", "."],
        # A folder of its own for debugging: --force compiles C again but not Cython, which would keep code without bounds checks.
        build_dir="build/cython-debug" if DEBUG else "build/cython",
        compiler_directives=DIRECTIVES,
        nthreads=0,
    ),
    cmdclass={"build_ext": BuildExt},
)
