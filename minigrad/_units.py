"""Numbers as people read them."""

from __future__ import annotations


def _scaled(value: float, units: tuple[str, ...]) -> str:
    """The value in the unit that leaves it below 1000, with three digits."""
    power = 0
    while abs(value) >= 999.5 and power < len(units) - 1:
        value /= 1000
        power += 1
    text = str(value) if isinstance(value, int) else f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"
    return f"{text} {units[power]}".rstrip()


def size_text(n: int) -> str:
    """Bytes: 480 B, 3.14 KB (of 1000), 244 MB."""
    return _scaled(n, ("B", "KB", "MB", "GB"))


def count_text(n: int) -> str:
    """A count: 840, 10.1 K, 714 M."""
    return _scaled(n, ("", "K", "M", "G", "T"))


def time_text(seconds: float) -> str:
    """A duration: 12.3 us, 4.56 ms, 1.2 s."""
    return _scaled(seconds * 1e6, ("us", "ms")) if seconds < 0.9995 else f"{seconds:.3g} s"
