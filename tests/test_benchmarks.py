"""The benchmarks run, with PyTorch and without, and their report says what was measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments, path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_quick_run_without_torch(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch today')")
    done = run("--quick", "--only", "add", "--json", tmp_path / "out.json", "--markdown", tmp_path / "out.md", path=[tmp_path])
    assert done.returncode == 0, done.stderr
    assert "no torch today" in done.stderr
    results = json.loads((tmp_path / "out.json").read_text())
    rows = {(row["name"], row["mode"]): row for row in results["rows"]}
    row = rows["add 256x1024", "both"]
    assert 0 < row["minigrad"]["best"] <= row["minigrad"]["median"] <= row["minigrad"]["worst"]
    assert "torch" not in row
    assert rows["add 256x1024", "forward"]["numpy"]["median"] > 0
    assert ("scatter_add", "both") in rows
    assert ("relu 4x4", "both") not in rows
    assert "| add 256x1024 | forward + backward |" in (tmp_path / "out.md").read_text()


def test_a_pattern_without_rows_is_an_error(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch today')")
    done = run("--quick", "--only", "no such row", path=[tmp_path])
    assert done.returncode == 1
    assert "no row matches 'no such row'" in done.stderr


def timed(name, family, mode, ours, theirs):
    summary = lambda value: {"median": value, "best": value, "worst": value, "blocks": 1, "noisy": False}  # noqa: E731
    return {"name": name, "family": family, "mode": mode, "unit": "us", "minigrad": summary(ours), "torch": summary(theirs)}


def test_means_are_geometric_and_slow_rows_are_listed():
    rows = [
        timed("a", "norm", "both", 1.0, 4.0),
        timed("b", "norm", "both", 4.0, 1.0),
        timed("c", "pooling", "both", 1.0, 8.0),
        timed("d", "step", "step", 1.0, 3.0),
    ]
    found = {what: mean for what, mean, _ in report.means(rows)}
    assert found["all operations, forward and backward"] == pytest.approx(2)
    assert found["normalization"] == pytest.approx(1)
    assert found["all whole training steps"] == pytest.approx(3)
    assert "below 0.9: 1 rows\n  0.25  b, both" in report.summary(rows)


def test_chart_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [timed("a step", "step", "step", 1.0, 3.0), timed("b", "norm", "both", 4.0, 1.0)]
    report.chart({"rows": rows, "threads": 2}, str(tmp_path / "chart.png"))
    assert (tmp_path / "chart.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
