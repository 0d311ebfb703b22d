"""Kernels, ext/index.pyx: arrays in, arrays out. Their callers, minigrad.ops, check what they are given."""

from typing import Any

def __getattr__(name: str) -> Any: ...
