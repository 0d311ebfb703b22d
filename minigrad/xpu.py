"""torch.xpu where there is no Intel GPU."""

from __future__ import annotations

from minigrad._no_device import refuse


def is_available() -> bool:
    """Whether there is an Intel GPU that could be used: never."""
    return False


def device_count() -> int:
    """The number of devices: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: there is no device whose generator could be seeded."""


def manual_seed_all(seed: int) -> None:
    """Nothing: there is no device whose generator could be seeded."""


def empty_cache() -> None:
    """Nothing: there is no memory of a device."""


synchronize = refuse("xpu.synchronize", "Intel GPU")
