"""Whole processes: the time of an import, the peak memory of training, the time to train LeNet on MNIST."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.turns import ROOT, Pace

PEAK_MEMORY = """
import importlib, pathlib, re
L = importlib.import_module({library!r})
from benchmarks.steps import classify, vgg
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
step = classify(L, vgg(L), 32, 128)
for _ in range(3):
    step()
print(before, peak())
"""


def _run(bytecode: str, *arguments: str) -> tuple[float, str]:
    """Wall seconds and printed text of a Python process that keeps compiled modules in the folder `bytecode`, as an installed
    library has them, whatever the environment says of writing them."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "PYTHONPYCACHEPREFIX": bytecode,
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)[:60]}: {done.stderr.strip().splitlines()[-1:]}")
    return time.perf_counter() - start, done.stdout


def _row(name: str, unit: str, found: dict[str, list[float]]) -> dict[str, Any]:
    summaries = {
        library: {
            "median": statistics.median(values),
            "best": min(values),
            "worst": max(values),
            "blocks": len(values),
            "noisy": False,
        }
        for library, values in found.items()
    }
    return {"name": name, "family": "program", "mode": "program", "unit": unit} | summaries


def names(data: str | None) -> list[str]:
    """The rows that measure() gives."""
    return ["import", "peak memory of a VGG step", "growth of memory in a VGG step"] + ["MNIST to 97.5 % with LeNet"] * bool(
        data
    )


def measure(wanted: list[str], libraries: list[str], rounds: int, pace: Pace, data: str | None) -> Iterator[dict[str, Any]]:
    """Yields the wanted rows, of names(data), for the libraries that are installed."""
    with tempfile.TemporaryDirectory() as bytecode:
        yield from _measure(bytecode, wanted, libraries, rounds, pace, data)


def _measure(
    bytecode: str, wanted: list[str], libraries: list[str], rounds: int, pace: Pace, data: str | None
) -> Iterator[dict[str, Any]]:
    if "import" in wanted:
        found: dict[str, list[float]] = {library: [] for library in [*libraries, "numpy"]}
        for library in found:
            _run(bytecode, "-c", f"import {library}")
        for _ in range(2 * rounds + 1):
            for library, times in found.items():
                pace.wait()
                times.append(1e3 * _run(bytecode, "-c", f"import {library}")[0])
        yield _row("import", "ms", found)
    if any("memory" in name for name in wanted):
        peak = {
            library: [float(x) for x in _run(bytecode, "-c", PEAK_MEMORY.format(library=library))[1].split()]
            for library in libraries
        }
        for name, start in (("peak memory of a VGG step", 0), ("growth of memory in a VGG step", 1)):
            if name in wanted:
                yield _row(name, "MB", {library: [after - start * before] for library, (before, after) in peak.items()})
    if "MNIST to 97.5 % with LeNet" in wanted:
        found = {library: [] for library in libraries}
        for library in libraries:
            _run(bytecode, "-c", f"import {library}, benchmarks.mnist")
        for seed in range(max(5, rounds)):  # the seed decides about the number of epochs, 4 to 11: one alone would be a lottery
            for library, times in found.items():
                pace.wait()
                times.append(_run(bytecode, "-m", "benchmarks.mnist", library, str(data), str(seed))[0])
        yield _row("MNIST to 97.5 % with LeNet", "s", found)
