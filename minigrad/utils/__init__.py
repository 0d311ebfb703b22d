"""Helpers around training: data loading, checkpointing and hook handles."""

from typing import TYPE_CHECKING

from minigrad._lazy import late

from . import hooks as hooks

if TYPE_CHECKING:
    from . import checkpoint as checkpoint
    from . import data as data
    from . import dlpack as dlpack

__getattr__, __dir__ = late(__name__, ("checkpoint", "data", "dlpack"))
