"""What PyTorch's modules of other devices have in common: nothing is there, and asking for it raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def refuse(name: str, what: str) -> Callable[..., Any]:
    """A function `name` that raises RuntimeError: minigrad computes on the CPU only."""

    def refused(*args: Any, **keywords: Any) -> Any:
        raise RuntimeError(f"{name}: minigrad runs on the CPU only, there is no {what}")

    refused.__name__ = refused.__qualname__ = name.rpartition(".")[2]
    refused.__doc__ = f"Raises RuntimeError: there is no {what}."
    return refused
