"""torch.backends.mps: not there."""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is an Apple GPU that could be used: never."""
    return False


def is_built() -> bool:
    """Whether minigrad was built for Apple GPUs: never."""
    return False
