"""torch.mps where there is no Apple GPU."""

from __future__ import annotations

from minigrad._no_device import refuse


def device_count() -> int:
    """The number of devices: 0."""
    return 0


def is_available() -> bool:
    """Whether there is an Apple GPU that could be used: never."""
    return False


def manual_seed(seed: int) -> None:
    """Nothing: there is no device whose generator could be seeded."""


def seed() -> None:
    """Nothing: there is no device whose generator could be seeded."""


def empty_cache() -> None:
    """Nothing: there is no memory of a device."""


synchronize = refuse("mps.synchronize", "Apple GPU")
current_allocated_memory = refuse("mps.current_allocated_memory", "Apple GPU")
driver_allocated_memory = refuse("mps.driver_allocated_memory", "Apple GPU")
