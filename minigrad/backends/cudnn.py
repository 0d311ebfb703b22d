"""torch.backends.cudnn: not there. Its switches may be set and have no effect: minigrad's results never depend on a choice of algorithm."""

from __future__ import annotations

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether cuDNN can be used: never."""
    return False


def version() -> int | None:
    """The version of cuDNN: None."""
    return None
