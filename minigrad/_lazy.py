"""Submodules that are imported when they are first used: `import minigrad` costs little more than `import numpy`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any


def late(
    package: str, modules: tuple[str, ...], functions: dict[str, str] | None = None
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(__getattr__, __dir__) of a package (PEP 562) whose `modules`, and `functions` {name: module}, are imported at their first use."""
    where = functions or {}

    def __getattr__(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name in where:
            value = getattr(importlib.import_module(f"{package}.{where[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules, *where})

    return __getattr__, __dir__
