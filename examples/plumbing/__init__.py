"""What the example scripts share: their command line (here), their data, their training loop, their pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["parser", "result"]


def positive(text: str) -> int:
    """A command-line number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def parser(doc: str, epochs: int | None = None, data: str | None = None) -> argparse.ArgumentParser:
    """The command line that every example has: --seed, --out, --quick, and where they mean something --epochs and --data."""
    name = Path(sys.argv[0]).stem
    result = argparse.ArgumentParser(description=doc.splitlines()[0])
    if data is not None:
        result.add_argument("--data", type=Path, help=data)
    if epochs is not None:
        result.add_argument("--epochs", type=positive, default=epochs, help="default: %(default)s")
    result.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    result.add_argument(
        "--out", type=Path, default=Path("runs") / name, help="folder for pictures and files (default: %(default)s)"
    )
    result.add_argument("--quick", action="store_true", help="a smaller run of a few seconds, as the tests do it")
    return result


def result(metric: str, value: float, form: str = ".4f") -> None:
    """The last line of an example: what it measured. The tests hold it against a bound."""
    print(f"{metric} {value:{form}}")
