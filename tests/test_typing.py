"""The public API has types: mypy finds no error in it, and knows what tests/typed.py says. The stubs match the compiled modules."""

import ast
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import typed

ROOT = Path(__file__).resolve().parent.parent
STUBS = sorted(path for path in (ROOT / "minigrad" / "_ext").glob("*.pyi") if path.stem != "__init__")


def run_mypy(*arguments):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed: types not checked")
    command = [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def test_mypy_finds_nothing():
    result = run_mypy("-p", "minigrad", "-m", "tests.typed")
    assert result.returncode == 0, result.stdout + result.stderr


def test_mypy_finds_wrong_calls(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import minigrad as mg\nfrom minigrad import nn\n"
        "nn.Linear(2, 3)('x')\n"
        "x: int = nn.Linear(2, 3)(mg.ones(1, 2))\n"
        "mg.ones(2).no_such_method()\n"
    )
    result = run_mypy("--config-file", "", str(wrong))
    found = [line for line in result.stdout.splitlines() if "wrong.py" in line]
    assert [line.split(":")[1] for line in found] == ["3", "4", "5"], result.stdout


def test_the_typed_examples_run():
    typed.tensors()
    typed.modules()
    typed.training()


@pytest.mark.parametrize("path", STUBS, ids=[path.stem for path in STUBS])
def test_stubs_name_what_is_there(path):
    module = importlib.import_module(f"minigrad._ext.{path.stem}")
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name != "__getattr__":
            there = getattr(module, node.name)
            for member in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(member, ast.FunctionDef) and member.name not in ("__init__", "__getattr__"):
                    assert hasattr(there, member.name), f"{node.name}.{member.name}"
