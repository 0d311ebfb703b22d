"""Runs PyTorch programs, one after another, in one process: `python [-m minigrad.as_torch] tests/run_programs.py out.json a.py b.py`.

For each, the file holds what it printed, what it raised (a traceback, or None) and how long it took. The test compares the files that
minigrad and torch give.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import time
import traceback
import warnings


def run(path):
    """Runs one program with no arguments in a namespace of its own."""
    printed, error = io.StringIO(), None
    sys.argv = [path]
    sys.path[0] = os.path.dirname(path)
    start = time.perf_counter()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as stop:
            error = f"exit {stop.code}" if stop.code else None
        except Exception:
            error = traceback.format_exc()
    return {"printed": printed.getvalue(), "error": error, "seconds": time.perf_counter() - start}


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    out, paths = sys.argv[1], sys.argv[2:]
    results = {}
    for path in paths:
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(0)
        results[os.path.basename(path).removesuffix(".py")] = run(os.path.abspath(path))
    with open(out, "w") as file:
        json.dump(results, file)
