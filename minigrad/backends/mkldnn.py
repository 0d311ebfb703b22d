"""torch.backends.mkldnn: minigrad convolves with its own kernels."""

from __future__ import annotations

enabled = False


def is_available() -> bool:
    """Whether oneDNN computes: never."""
    return False
