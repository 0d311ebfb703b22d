"""torch.accelerator where there is none: programs that ask fall back to the CPU."""

from __future__ import annotations

from minigrad._device import device
from minigrad._no_device import refuse


def is_available() -> bool:
    """Whether there is an accelerator: never."""
    return False


def device_count() -> int:
    """The number of accelerators: 0."""
    return 0


def current_accelerator(check_available: bool = False) -> device | None:
    """The accelerator's device: None."""
    return None


current_device_index = refuse("accelerator.current_device_index", "accelerator")
set_device_index = refuse("accelerator.set_device_index", "accelerator")
synchronize = refuse("accelerator.synchronize", "accelerator")
