"""Losses, compiled as nodes of the graph: ext/hot_loss.pyx."""

from typing import Any

def __getattr__(name: str) -> Any: ...
