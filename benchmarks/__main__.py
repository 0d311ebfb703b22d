"""python -m benchmarks [--only PATTERN] [--quick] [--json PATH] [--chart PATH] [--markdown PATH] [--data FOLDER]"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks import machine, programs, report, steps, workloads  # noqa: F401  (the last two fill the registry)
from benchmarks.registry import WORKLOADS
from benchmarks.turns import RETRIES, Library, Pace, measure


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Times minigrad beside PyTorch, where it is installed, and numpy. Ratios are PyTorch's best block / minigrad's median.",
    )
    parser.add_argument(
        "--only", metavar="PATTERN", help="measure the rows whose 'family/name' this regular expression matches"
    )
    parser.add_argument("--quick", action="store_true", help="one short block a row: under a minute, rough figures")
    parser.add_argument("--json", metavar="PATH", help="write the results")
    parser.add_argument("--update", action="store_true", help="keep the rows of the file of --json that are not measured now")
    parser.add_argument("--load", metavar="PATH", help="measure nothing: report the results in this file")
    parser.add_argument("--markdown", metavar="PATH", help="write the table as Markdown")
    parser.add_argument("--chart", metavar="PATH", help="draw the ratios (PNG)")
    parser.add_argument("--data", metavar="FOLDER", help="MNIST in IDX files, for the time to 97.5 %%")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of every library (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each library (default 3)")
    options = parser.parse_args()
    if options.data and not Path(options.data).is_dir():
        parser.error(f"--data: there is no folder {options.data}")
    return options


def chosen(pattern: str | None, names: list[tuple[str, str]]) -> list[str]:
    """The names, of (family, name) pairs, that the pattern matches."""
    return [name for family, name in names if pattern is None or re.search(pattern, f"{family}/{name}")]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measures, printing each line when it is there, and gives the results."""
    rounds, seconds, retries = (1, 0.003, 0) if options.quick else (options.rounds, 0.03, RETRIES)
    limits = machine.limits(options.threads)
    if limits is None:
        print("no C compiler with OpenMP: the machine's limits are not measured", file=sys.stderr)
    pace = Pace(0 if options.quick else 1)
    libraries = [Library(name, options.threads) for name in ("minigrad", "torch", "numpy")]
    for library in libraries:
        if library.missing:
            print(f"{library.name} does not run here ({library.missing}): its columns stay empty", file=sys.stderr)
    present = [library for library in libraries if not library.missing]
    rows = []
    print(report.heading())
    for name in chosen(options.only, [(workload.family, name) for name, workload in WORKLOADS.items()]):
        for row in measure(WORKLOADS[name], present, rounds, seconds, pace, retries):
            if limits and "moved" in row:
                row["limit"] = machine.least_microseconds(limits, row.pop("moved"), row.pop("flops"))
            rows.append(row)
            print(report.line(row), flush=True)
    for library in present:
        library.close()
    wanted = chosen(options.only, [("program", name) for name in programs.names(options.data)])
    compared = [library.name for library in present if library.name != "numpy"]
    for row in programs.measure(wanted, compared, rounds, pace, options.data):
        rows.append(row)
        print(report.line(row), flush=True)
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine.describe(),
        "threads": options.threads,
        "versions": {library.name: library.version for library in present},
        "limits": limits,
        "rows": rows,
    }


def merged(old: list[report.Row], new: list[report.Row]) -> list[report.Row]:
    """The old rows with those that were measured again replaced, in the order of the workloads."""
    rows = {(row["name"], row["mode"]): row for row in [*old, *new]}
    order = [*WORKLOADS, *programs.names("data")]
    return sorted((row for row in rows.values() if row["name"] in order), key=lambda row: order.index(row["name"]))


def one_row_a_line(results: dict[str, Any]) -> str:
    """The results as JSON."""
    rows = ",\n".join(json.dumps(row) for row in results["rows"])
    head = json.dumps({key: value for key, value in results.items() if key != "rows"})
    return f'{head[:-1]}, "rows": [\n{rows}\n]}}\n'


def main() -> None:
    options = arguments()
    if options.load:
        results = json.loads(Path(options.load).read_text())
        print("\n".join([report.heading(), *map(report.line, results["rows"])]))
    else:
        results = run(options)
        if not results["rows"]:
            sys.exit(f"no row matches {options.only!r}")
        if options.update and Path(options.json).exists():
            results["rows"] = merged(json.loads(Path(options.json).read_text())["rows"], results["rows"])
    print(report.summary(results["rows"]))
    if options.json:
        Path(options.json).write_text(one_row_a_line(results))
    if options.markdown:
        Path(options.markdown).write_text(report.markdown(results))
    if options.chart:
        report.chart(results, options.chart)
    if any("error" in row.get("minigrad", {}) for row in results["rows"]):
        sys.exit("some workloads do not run in minigrad: see above")


if __name__ == "__main__":
    main()
