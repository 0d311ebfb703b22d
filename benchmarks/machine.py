"""What this machine can do at most, measured: FLOP/s of float32 multiply-adds, and bandwidth by the size of the data."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SIZES = [1 << 15, 1 << 17, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 24, 1 << 25, 1 << 26, 1 << 27]


def describe() -> dict[str, Any]:
    """The processor's name, how many of its threads this process may use, and the system."""
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "threads": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def limits(threads: int) -> dict[str, Any] | None:
    """{"flops": FLOP/s, "bandwidth": [[bytes read and written, bytes a second], ...]}, the best of several tries each; None
    without a C compiler with OpenMP."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "limits.so")
        source = Path(__file__).with_name("limits.h")
        command = [
            compiler,
            "-O3",
            "-march=native",
            "-mprefer-vector-width=512",
            "-fopenmp",
            "-shared",
            "-fPIC",
            "-x",
            "c",
            str(source),
            "-o",
            library,
        ]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        code = ctypes.CDLL(library)
    code.fma_seconds.restype = code.copy_seconds.restype = ctypes.c_double
    rounds, flops_a_round = 200_000, ctypes.c_int.in_dll(code, "fma_round").value
    fastest = min(code.fma_seconds(ctypes.c_int64(rounds), threads) for _ in range(8))
    bandwidth = []
    for size in SIZES:  # half of it is read, half written
        source, target = np.ones(size // 2, np.uint8), np.ones(size // 2, np.uint8)
        copies = max(1, (1 << 26) // size)
        arguments = target.ctypes.data_as(ctypes.c_void_p), source.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(size // 2)
        seconds = min(code.copy_seconds(*arguments, ctypes.c_int64(copies), threads) for _ in range(8)) / copies
        bandwidth.append([size, size / seconds])
    return {"flops": flops_a_round * rounds * threads / fastest, "bandwidth": bandwidth}


def least_microseconds(limit: dict[str, Any], moved: float, flops: float) -> float:
    """The time below which no program can be that moves so many bytes and does so many multiplications and additions."""
    speeds = [speed for size, speed in limit["bandwidth"] if size >= moved] or [limit["bandwidth"][-1][1]]
    return 1e6 * max(moved / speeds[0], flops / limit["flops"])
