"""Which algorithm computes 3x3 and 5x5 convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minigrad._ext import conv as _kernels


class _Winograd:
    """Which of Winograd's algorithms may compute 3x3 and 5x5 convolutions of stride 1 in float32, and their gradients.

    Dilation, groups and a third axis of any kernel included. They take fewer multiplications and round more. max|y - exact| / max|exact|
    of random data, 16 to 512 channels:

        tile = 4    F(4x4, 3x3), a quarter of the multiplications, and F(2x2, 5x5), 36/100    1e-6 to 3e-6     the default
        tile = 2    F(2x2, 3x3), 4/9 of the multiplications                                   3e-7 to 6e-7
        tile = 0    by definition                                                             2e-7 to 3e-6, by the number of channels

    An element near 0 has the same absolute error, so compare at atol = 1e-5 * max|y|. Where an element of the result is not finite, all
    of it is computed by definition: NaN and Inf come out where they belong. Few channels, other kernels and float64 are always computed by
    definition. The setting holds for all threads.
    """

    @property
    def tile(self) -> int:
        """4, 2 or 0. Setting anything else raises ValueError."""
        return _kernels.get_winograd_tile()

    @tile.setter
    def tile(self, tile: int) -> None:
        if isinstance(tile, bool) or tile not in (4, 2, 0):
            raise ValueError(f"backends.winograd.tile must be 4, 2 or 0 (off), got {tile!r}")
        _kernels.set_winograd_tile(tile)

    @contextmanager
    def flags(self, tile: int) -> Iterator[None]:
        """A context in which `tile` holds."""
        before, self.tile = self.tile, tile
        try:
            yield
        finally:
            self.tile = before


winograd = _Winograd()
