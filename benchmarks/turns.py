"""Lets the libraries run in turn, in short blocks, and discards the blocks in which other processes or other guests ran."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.registry import Workload

ROOT = Path(__file__).resolve().parent.parent
RETRIES = 2  # a disturbed block is repeated this often; a row without any undisturbed block uses the others and is marked


def busy_seconds() -> float:
    """Seconds of CPU time that all processes (and the hypervisor's other guests) have used, summed over the processors; NaN where
    the system does not tell."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return float("nan")
    user, nice, system, _, _, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Pace:
    """The speed of this machine's processors at plain instructions, beside the best seen so far.

    A virtual machine's processor is often one of the two hardware threads of a core. While another guest computes on the
    other one, everything that is bound by the number of instructions takes 1.4 to 1.6 times as long, and neither the CPU
    times nor the steal time of /proc/stat show it.
    """

    SLOW = 1.2  # a quiet processor is within 1.1 of the best, one beside a busy guest at 1.4 and more

    def __init__(self, patience: float) -> None:
        """patience: seconds that wait() waits at most."""
        self.patience = patience
        self.best = float("inf")

    @staticmethod
    def _loop() -> float:
        start, total = time.perf_counter(), 0
        for i in range(4000):  # some 0.1 ms
            total += i
        return time.perf_counter() - start

    def slow(self) -> bool:
        """Times the same loop on every processor that this process may use."""
        if not hasattr(os, "sched_setaffinity"):
            return False
        processors, times = os.sched_getaffinity(0), []
        try:
            for processor in processors:
                os.sched_setaffinity(0, {processor})
                times.append(min(self._loop() for _ in range(3)))
        finally:
            os.sched_setaffinity(0, processors)
        self.best = min(self.best, *times)
        return max(times) > self.SLOW * self.best

    def wait(self) -> bool:
        """Waits, if patience allows, until the processors are as fast as they can be; whether they are."""
        end = time.perf_counter() + self.patience
        while self.slow():
            if time.perf_counter() > end:
                return False
            time.sleep(0.02)
        return True


class Library:
    """A worker process for one library; `missing` says why it cannot run."""

    def __init__(self, name: str, threads: int):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        if name == "numpy":
            # OpenBLAS's worker threads go on spinning for 2**26 cycles and more, far into the next library's block: 2**20 are 0.4 ms
            environment |= {"OPENBLAS_THREAD_TIMEOUT": "20"}
            environment |= {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        hello = self._read()
        self.missing, self.version = hello.get("error"), hello.get("version")

    def _read(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker of {self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def block(self, seconds: float, pace: Pace) -> tuple[dict[str, float], bool]:
        """(seconds a call by mode, whether other processes or guests ran meanwhile)."""
        quiet = pace.wait()
        start, busy = time.perf_counter(), busy_seconds()
        answer = self.ask(seconds=seconds)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        share = 0.1 * (time.perf_counter() - start)
        others = busy_seconds() - busy - answer["cpu"]
        # /proc/stat counts ticks of 10 ms a processor: a short visit shows only if our threads had to wait for it
        beside = others > 0.02 + share or (others > share and answer["waited"] > share)
        return answer["times"], beside or not quiet or pace.slow()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@dataclass
class Times:
    """The blocks of one library, workload and mode, in seconds a call."""

    clean: list[float]
    disturbed: list[float]

    def summary(self) -> dict[str, Any]:
        """What goes into the JSON: microseconds."""
        used = self.clean or self.disturbed
        return {
            "median": round(1e6 * statistics.median(used), 4),
            "best": round(1e6 * min(used), 4),
            "worst": round(1e6 * max(used), 4),
            "blocks": len(used),
            "noisy": not self.clean,
        }


def measure(
    workload: Workload, libraries: list[Library], rounds: int, seconds: float, pace: Pace, retries: int
) -> Iterator[dict[str, Any]]:
    """Yields a row for each mode of the workload: {"name", "family", "mode", library: summary or {"error": text}}."""
    found: dict[str, dict[str, Times]] = {}
    errors: dict[str, str] = {}
    written = 0.0
    for library in libraries:
        if library.name != "numpy" or workload.control:
            answer = library.ask(load=workload.name)
            if "error" in answer:
                errors[library.name] = answer["error"]
            else:
                found[library.name] = {mode: Times([], []) for mode in answer["modes"]}
                written = answer.get("written", written)
    for _ in range(rounds):
        for library in libraries:
            if library.name not in found:
                continue
            for _ in range(retries + 1):
                time.sleep(0.01)  # the other library's worker threads stop spinning
                times, disturbed = library.block(seconds, pace)
                for mode, value in times.items():
                    kept = found[library.name][mode]
                    (kept.disturbed if disturbed else kept.clean).append(value)
                if not disturbed:
                    break
    for mode in workload.modes:
        row: dict[str, Any] = {"name": workload.name, "family": workload.family, "mode": mode, "unit": "us"}
        for name, modes in found.items():
            if name == "numpy":
                if mode != "both":
                    row["numpy"] = modes["control"].summary()
            else:
                row[name] = modes[mode].summary()
        if mode != "step" and written:
            times = {"forward": 1, "both": 2}[mode]  # the gradients are as large as what they are the gradients of
            row |= {"moved": times * (workload.bytes + written), "flops": (2 * times - 1) * workload.flops}
        yield row | {name: {"error": text} for name, text in errors.items()}
