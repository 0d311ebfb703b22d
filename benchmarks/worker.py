"""A process that times one library: `python -m benchmarks.worker {minigrad,torch,numpy} THREADS`, driven through its pipes.

A request is a line of JSON, and so is the answer: {"load": name} prepares a workload and answers {"modes": [...]};
{"seconds": s} times each of its modes for about s seconds and answers {"times": {mode: seconds a call}, "cpu": seconds of CPU used,
"waited": seconds in which threads were ready but did not run}.
An error is answered as {"error": text}.
"""

import gc
import importlib
import json
import os
import statistics
import sys
import time
from pathlib import Path

from benchmarks import steps, workloads  # noqa: F401  (importing them fills the registry)
from benchmarks.registry import WORKLOADS

SAMPLE = 0.0005  # a sample is as many calls as fill this many seconds: far above the clock's own cost


def calibrate(call):
    """How many calls make a sample."""
    call()
    start = time.perf_counter()
    call()
    return max(1, int(SAMPLE / max(time.perf_counter() - start, 1e-7)))


def time_block(call, calls, seconds):
    """The median over samples of `calls` calls of the seconds a call takes; at least three samples."""
    samples = []
    end = time.perf_counter() + seconds
    while len(samples) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        samples.append((time.perf_counter() - start) / calls)
        if samples[0] * calls > seconds:
            break
    return statistics.median(samples)


def written_bytes(out):
    """The bytes of a result, or of a tuple of them."""
    parts = out if isinstance(out, tuple) else (out,)
    return sum(part.numel() * part.element_size() for part in parts)


def waited_seconds():
    """Seconds in which threads of this process were ready, but something else ran (0 where the system does not tell)."""
    files = Path("/proc/self/task").glob("*/schedstat")
    return 1e-9 * sum(int(file.read_text().split()[1]) for file in files)


class Timer:
    def __init__(self, library, threads):
        self.library = library
        self.lib = importlib.import_module(library)
        if library != "numpy":
            self.lib.set_num_threads(threads)
        self.calls = {}

    def load(self, name):
        self.calls = {}
        gc.collect()
        workload = WORKLOADS[name]
        if self.library == "numpy":
            calls = {"control": workload.control()}
        else:
            self.lib.manual_seed(0)
            calls = workload.build(self.lib)
        self.calls = {mode: (call, calibrate(call)) for mode, call in calls.items()}
        return {"modes": list(calls)} | ({"written": written_bytes(calls["forward"]())} if "forward" in calls else {})

    def block(self, seconds):
        before, waited = os.times(), waited_seconds()
        times = {mode: time_block(call, calls, seconds) for mode, (call, calls) in self.calls.items()}
        after = os.times()
        cpu = after.user + after.system - before.user - before.system
        return {"times": times, "cpu": cpu, "waited": waited_seconds() - waited}


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    try:
        timer = Timer(library, threads)
    except ImportError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(json.dumps({"version": timer.lib.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = timer.load(request["load"]) if "load" in request else timer.block(request["seconds"])
        except Exception as error:  # whatever a workload raises belongs in the table
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
