"""The generated parts of docs/from_pytorch.md: the programs' numbers beside PyTorch's, and the names that are missing.

    python -m tests.from_pytorch                # the names, where PyTorch is installed
    python -m tests.from_pytorch --programs     # the numbers too, where torchvision is installed as well

tests/test_programs.py checks that the names are true.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import tempfile
from pathlib import Path

from tests.test_programs import NUMBER, PROGRAMS, ROOT, difference, run_all

PAGE = ROOT / "docs" / "from_pytorch.md"

MODULES = [
    "torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.optim",
    "torch.optim.lr_scheduler", "torch.utils.data", "torch.autograd", "torch.autograd.functional", "torch.linalg", "torch.special",
    "torch.distributions",
]  # fmt: skip

# Whole areas, told in words on the page, and what PyTorch's documentation does not list.
LEFT_OUT = re.compile(
    "quant|qint|quint|q_|cudnn|mkldnn|miopen|fbgemm|sparse|autocast|sym_|Sym[BIF]|Storage|storage|Script|_copy$|Type$|fake_|xpu|mtia"
    "|bits|complex|cfloat|cdouble|chalf|half|Half|float8|float4|float16|bfloat16|BFloat16|uint[1-7]$|int[1-7]$|uint16|uint32|uint64"
    "|crow|ccol|row_indices|col_indices|is_(conj|neg|vulkan|maia|ipu|xla|meta|mps|nested|distributed)|batch_norm_|unsafe_|vulkan"
    "|^Tensor$|has_torch_function|handle_torch_function|DataPipe|datapipe|functorch|bessel|polynomial|dsmm|hsmm|hspmm|smm|spmm|sspaddmm|saddmm|_gpu|_cpu_|rnn_|native_|_backward"
)


def public(module: object) -> set[str]:
    """The classes and functions that a module of PyTorch offers as its own."""
    names = set()
    for name in dir(module):
        value = getattr(module, name, None)
        home = getattr(value, "__module__", None) or "torch"
        internal = inspect.isclass(value) and module is resolve("torch")  # types of the compiler's graphs and the like
        if callable(value) and home.startswith("torch") and not (name.startswith("_") or internal or LEFT_OUT.search(name)):
            names.add(name)
    return names


def resolve(path: str) -> object:
    """The module or class of this dotted name."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        package, _, name = path.rpartition(".")
        return getattr(importlib.import_module(package), name)


def missing_names() -> dict[str, list[str]]:
    """By module: PyTorch's public names that minigrad does not have."""
    return {
        path: sorted(public(resolve(path)) - set(dir(resolve("minigrad" + path.removeprefix("torch"))))) for path in MODULES
    }


def names_section() -> str:
    """The list of missing names."""
    lines = [f"* `{path}`: {', '.join(f'`{name}`' for name in names)}" for path, names in missing_names().items() if names]
    return "\n".join(lines)


def programs_section() -> str:
    """A row for each program: the last number that it prints on both libraries, and the greatest difference between any two."""
    with tempfile.TemporaryDirectory() as folder:
        ours = run_all(["-m", "minigrad.as_torch"], Path(folder) / "minigrad.json")
        theirs = run_all([], Path(folder) / "torch.json")
    lines = ["| program | last number, minigrad | PyTorch | numbers | greatest difference |", "|---|---|---|---|---|"]
    for path in PROGRAMS:
        mine, expected = ours[path.stem]["printed"], theirs[path.stem]["printed"]
        last = [NUMBER.findall(text)[-1] for text in (mine, expected)]
        lines.append(
            f"| `{path.stem}` | {last[0]} | {last[1]} | {len(NUMBER.findall(mine))} | {difference(mine, expected):.0e} |"
        )
    return "\n".join(lines)


def replaced(text: str, mark: str, section: str) -> str:
    """The page with the lines between <!-- mark --> and <!-- end of mark --> replaced."""
    begin, end = f"<!-- {mark} -->\n", f"\n<!-- end of {mark} -->"
    return text[: text.index(begin) + len(begin)] + section + text[text.index(end) :]


if __name__ == "__main__":
    page = replaced(PAGE.read_text(), "missing names", names_section())
    PAGE.write_text(replaced(page, "programs", programs_section()) if "--programs" in sys.argv else page)
