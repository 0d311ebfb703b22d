"""Writes docs/ops.md: `python -m tests.op_table` from the repository's root.

The figures of parity are measured with `--parity`, which needs PyTorch, and are otherwise those of the page as it is.
"""

import re
import sys
from pathlib import Path

import numpy as np

from tests import test_ops
from tests.op_table import (
    ROWS,
    activation,
    arrange,
    attention,
    conv,
    ctc,
    elementwise,
    factor,
    gemm,
    loss,
    mathematics,
    nn,
    norm,
    pool,
    recurrent,
    reduce,
    resize,
    tensor,
)
from tests.op_table.row import SAME, Op

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ops.md"

FAMILIES: dict[str, list[Op]] = {
    "Convolution": conv.ROWS,
    "Pooling": pool.ROWS,
    "Recurrent networks": recurrent.ROWS,
    "Normalization": norm.ROWS,
    "Resizing, padding, sampling": resize.ROWS,
    "Activations": activation.ROWS,
    "Losses": [*loss.ROWS, *ctc.ROWS],
    "Attention": attention.ROWS,
    "Dropout and hooks": nn.ROWS,
    "Linear algebra, embedding, distances": gemm.ROWS,
    "Elementwise functions": [*tensor.ARITHMETIC, *tensor.MATHEMATICS, *mathematics.FUNCTIONS, *elementwise.ROWS],
    "Comparisons and logic": tensor.COMPARISONS,
    "Reductions and sorting": reduce.ROWS,
    "Special functions, statistics, inverses": factor.ROWS,
    "Shapes and joining": [*tensor.SHAPES, *arrange.ARRANGE],
    "Indexing": tensor.INDEXING,
    "In place": [*tensor.IN_PLACE, *mathematics.IN_PLACE],
    "Top-level names with a signature of their own": arrange.TOP_LEVEL,
}

HEAD = """# Operations

Every public operation, from the table that the tests run (`tests/op_table/`). Written by `python -m tests.op_table`; do not edit.

* *dtypes*: the float dtypes that a row is tested in. Integers and bools are tested where samples hold them.
* *order*: up to which derivative the row is checked against finite differences; - where no result has a gradient.
* *differs*: how the operation differs from PyTorch 2.13, in results or in errors; empty where no difference is known.

Parity is the largest difference from PyTorch in any sample of a family, as a part of the largest expected value (or of 1, if that is
larger): of results, and of gradients for a random incoming gradient. Rows that draw random numbers are not compared.
"""


def count_checks() -> int:
    """The number of tests that test_ops.py makes of the rows."""
    total = 0
    for name, function in vars(test_ops).items():
        if name.startswith("test_"):
            total += sum(len(mark.args[1]) for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize")
    return total


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    if expected is None or expected.dtype.kind != "f" or expected.size == 0:
        return 0.0
    there = np.isfinite(expected) & np.isfinite(found)
    apart = np.abs(found[there].astype(np.float64) - expected[there])
    return float(np.max(apart, initial=0) / max(1.0, np.max(np.abs(expected[there]), initial=0)))


def parity(rows: list[Op]) -> str:
    """A line with the largest differences from PyTorch among these rows. Needs PyTorch."""
    import minigrad

    parts = []
    for dtype in ("float32", "float64"):
        forward = gradient = 0.0
        for row in rows:
            if not test_ops.comparable(row) or dtype not in row.dtypes:
                continue
            for number, sample in enumerate(test_ops.samples(row.name)):
                found = test_ops.run(minigrad, row, sample, dtype)
                expected = test_ops.torch_result(row.name, number, dtype)
                forward = max([forward, *map(difference, found.outputs, expected.outputs)])
                pairs = zip(found.gradients, expected.gradients)
                gradient = max([gradient, *(difference(a, b) for a, b in pairs if a is not None and b is not None)])
        parts.append(f"{dtype} results {forward:.1e}, gradients {gradient:.1e}")
    return "Parity: " + "; ".join(parts) + "."


def stored_parity() -> dict[str, str]:
    """The lines of parity that are in the page."""
    text = PAGE.read_text() if PAGE.exists() else ""
    return dict(re.findall(r"^## (.+?) \(\d+\)\n\n(Parity: .+)$", text, re.MULTILINE))


def differs(row: Op) -> str:
    notes = [row.note[0].upper() + row.note[1:].rstrip(".") + "."] if row.note else []
    for error in row.error_list():
        if error.torch != SAME:
            types = error.exception if isinstance(error.exception, tuple) else (error.exception,)
            notes.append(f"{' or '.join(t.__name__ for t in types)} where PyTorch {error.torch}.")
    if row.torch_name is None:
        notes.append("Not compared: PyTorch has no such operation or no derivative of it.")
    return " ".join(dict.fromkeys(notes)).replace("|", "\\|")


def render(figures: dict[str, str]) -> str:
    """The page."""
    samples = sum(len(row.sample_list()) for row in ROWS)
    lines = [HEAD, f"{len(ROWS)} rows with {samples} samples, {count_checks()} checks.", ""]
    for family, rows in FAMILIES.items():
        lines += [f"## {family} ({len(rows)})", ""]
        if family in figures:
            lines += [figures[family], ""]
        lines += ["| op | dtypes | order | differs |", "|---|---|---|---|"]
        for row in sorted(rows, key=lambda row: row.name):
            lines.append(
                f"| `{row.name}` | {', '.join(row.dtypes)} | {row.order or '-'} | {differs(row)} |".replace("  |", " |")
            )
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    measured = {family: parity(rows) for family, rows in FAMILIES.items()} if "--parity" in sys.argv else stored_parity()
    PAGE.write_text(render(measured))
