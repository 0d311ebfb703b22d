"""The programs in tests/programs, written for PyTorch, run on minigrad and print what they print on PyTorch."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import HAVE_TORCH, MISSING

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = sorted(path for path in (ROOT / "tests" / "programs").glob("*.py") if path.stem != "common")
NUMBER = re.compile(r"[-+]?(?:\d+\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+|nan|inf)\b")
TOLERANCE = 1e-4

pytest.importorskip("sklearn", reason="scikit-learn is not installed: its digits are the data of the programs")


def run_all(before, out):
    """What each program printed and raised, run one after another by one process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, *before, str(ROOT / "tests" / "run_programs.py"), str(out), *map(str, PROGRAMS)]
    result = subprocess.run(command, cwd=out.parent, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def on_minigrad(tmp_path_factory):
    """The programs' results under `python -m minigrad.as_torch`."""
    return run_all(["-m", "minigrad.as_torch"], tmp_path_factory.mktemp("minigrad") / "out.json")


@pytest.fixture(scope="module")
def on_torch(tmp_path_factory):
    """The programs' results under PyTorch."""
    if not HAVE_TORCH:
        pytest.skip(MISSING)
    return run_all([], tmp_path_factory.mktemp("torch") / "out.json")


def words_and_numbers(printed):
    """The text with every decimal number replaced by #, and these numbers."""
    text = printed.replace("minigrad.", "torch.")
    return NUMBER.sub("#", text), [float(number) for number in NUMBER.findall(text)]


@pytest.mark.parametrize("name", [path.stem for path in PROGRAMS])
def test_a_program_runs(name, on_minigrad):
    result = on_minigrad[name]
    assert result["error"] is None, result["error"]
    assert words_and_numbers(result["printed"])[1], "it prints the numbers that are compared"


@pytest.mark.parametrize("name", [path.stem for path in PROGRAMS])
def test_a_program_prints_what_it_prints_on_pytorch(name, on_minigrad, on_torch):
    expected = on_torch[name]
    if "No module named 'torchvision'" in (expected["error"] or ""):
        pytest.skip("torchvision is not installed: parity not checked")
    assert expected["error"] is None, expected["error"]
    words, numbers = words_and_numbers(on_minigrad[name]["printed"])
    expected_words, expected_numbers = words_and_numbers(expected["printed"])
    assert words == expected_words
    # repr: what a difference is compared with is the size of the number, if it is more than one
    worst = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(numbers, expected_numbers))
    assert worst < TOLERANCE, f"{worst:.1e}\n{on_minigrad[name]['printed']}\n{expected['printed']}"


def test_the_programs_are_pytorch_s():
    """They import torch and say nothing of minigrad."""
    assert len(PROGRAMS) >= 25
    for path in PROGRAMS:
        text = path.read_text()
        assert "minigrad" not in text, path.name
        assert re.search(r"^(import|from) torch\b", text, re.MULTILINE), path.name
