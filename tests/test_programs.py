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
PAGE = ROOT / "docs" / "from_pytorch.md"

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


def difference(printed, expected):
    """The greatest difference between the numbers of two texts, relative to those that are more than one."""
    numbers, expected_numbers = words_and_numbers(printed)[1], words_and_numbers(expected)[1]
    return max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(numbers, expected_numbers, strict=True))


@pytest.mark.parametrize("name", [path.stem for path in PROGRAMS])
def test_a_program_prints_what_it_prints_on_pytorch(name, on_minigrad, on_torch):
    expected = on_torch[name]
    if "torchvision" in (expected["error"] or ""):
        pytest.skip("torchvision is not installed: parity not checked")
    assert expected["error"] is None, expected["error"]
    printed = on_minigrad[name]["printed"]
    assert words_and_numbers(printed)[0] == words_and_numbers(expected["printed"])[0]
    worst = difference(printed, expected["printed"])
    assert worst < TOLERANCE, f"{worst:.1e}\n{printed}\n{expected['printed']}"


def test_the_programs_are_pytorch_s():
    """They import torch and say nothing of minigrad."""
    assert len(PROGRAMS) >= 25
    for path in PROGRAMS:
        text = path.read_text()
        assert "minigrad" not in text, path.name
        assert re.search(r"^(import|from) torch\b", text, re.MULTILINE), path.name


def test_the_page_lists_the_programs():
    assert re.findall(r"^\| `(\w+)` \| [-\d.e]+ \|", PAGE.read_text(), re.MULTILINE) == [path.stem for path in PROGRAMS]


def test_the_page_lists_the_names_that_are_missing(torch):
    """Where a name came or went: python -m tests.from_pytorch."""
    from tests.from_pytorch import names_section, replaced

    assert torch.__version__.startswith("2.13"), "the list is that of PyTorch 2.13"
    assert PAGE.read_text() == replaced(PAGE.read_text(), "missing names", names_section())
