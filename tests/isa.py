"""Runs some tests of a file by the kernels of another instruction set."""

import os
import subprocess
import sys


def check_at(isa, file, pattern):
    """The file's tests that match the pattern of pytest's -k pass in a new interpreter with MINIGRAD_ISA=isa, and there are some."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", pattern, file],
        env={**os.environ, "MINIGRAD_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
