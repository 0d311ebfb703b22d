"""What PyTorch's modules of what is not here have in common: asking for it raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def refuse_because(name: str, why: str) -> Callable[..., Any]:
    """A function `name` that raises RuntimeError and says why."""

    def refused(*args: Any, **keywords: Any) -> Any:
        raise RuntimeError(f"{name}: {why}")

    refused.__name__ = refused.__qualname__ = name.rpartition(".")[2]
    refused.__doc__ = f"Raises RuntimeError: {why}."
    return refused


def refuse(name: str, what: str) -> Callable[..., Any]:
    """A function `name` that raises RuntimeError: minigrad computes on the CPU only."""
    return refuse_because(name, f"minigrad runs on the CPU only, there is no {what}")
