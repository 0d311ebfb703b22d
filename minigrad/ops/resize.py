"""Interpolation: the maps along an axis that each mode stands for.

The rules for coordinates are PyTorch's, in its arithmetic: float32 for float32 tensors, so that rounding decides as there.
`size` is the axis of the input, `out_size` that of the output, `scale` the given scale factor or None where a size was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext.engine import newest_node, relabel
from minigrad.ops.axis_map import AxisMap, map_axes

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

CUBIC_A = -0.75


def _step(size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> np.floating:
    """How far apart in the input two neighbouring outputs are."""
    real = dtype.type
    if align_corners:
        return real(size - 1) / real(out_size - 1) if out_size > 1 else real(0)
    if scale is not None and scale > 0:
        return real(1.0 / scale)
    return real(size) / real(out_size)


def _centers(step: np.floating, out_size: int, align_corners: bool) -> np.ndarray:
    """Where in the input the centers of the outputs lie."""
    real = step.dtype.type
    at = np.arange(out_size, dtype=step.dtype)
    return at * step if align_corners else step * (at + real(0.5)) - real(0.5)


def _nearest(size: int, out_size: int, step: np.floating, shift: float, dtype: np.dtype) -> AxisMap:
    at = (np.arange(out_size, dtype=step.dtype) + step.dtype.type(shift)) * step
    return AxisMap.gather(size, np.minimum(np.floor(at.astype(np.float32)).astype(np.int64), size - 1), dtype)


@lru_cache(maxsize=256)
def nearest_map(size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> AxisMap:
    """Mode nearest: floor(i * step)."""
    return _nearest(size, out_size, _step(size, out_size, scale, False, dtype), 0, dtype)


@lru_cache(maxsize=256)
def nearest_exact_map(size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> AxisMap:
    """Mode nearest-exact: floor((i + 1/2) * step)."""
    return _nearest(size, out_size, _step(size, out_size, scale, False, dtype), 0.5, dtype)


# PyTorch has a kernel of its own for nearest images whose output height and width sum to at most this.
SMALL_IMAGE = 128


@lru_cache(maxsize=256)
def nearest_small_map(size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> AxisMap:
    """Mode nearest for small images: the step in float32, and sizes that stay or double make exact copies whatever the scale."""
    if out_size in (size, 2 * size):
        return AxisMap.gather(size, np.arange(out_size) // (out_size // size), dtype)
    return _nearest(size, out_size, _step(size, out_size, scale, False, np.dtype(np.float32)), 0, dtype)


@lru_cache(maxsize=256)
def nearest_exact_small_map(size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> AxisMap:
    """Mode nearest-exact for small images: the step in float32."""
    return _nearest(size, out_size, _step(size, out_size, scale, False, np.dtype(np.float32)), 0.5, dtype)


@lru_cache(maxsize=256)
def linear_map(size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> AxisMap:
    """Modes linear, bilinear, trilinear: the two elements around the center, which is held at 0 or above."""
    if size == out_size:
        return AxisMap.gather(size, np.arange(size), dtype)
    center = np.maximum(_centers(_step(size, out_size, scale, align_corners, dtype), out_size, align_corners), 0)
    low = np.minimum(center.astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    part = np.clip(center - low.astype(dtype), 0, 1).astype(dtype)
    return AxisMap.from_taps(size, np.stack([low, high], 1), np.stack([1 - part, part], 1))


@lru_cache(maxsize=256)
def cubic_map(size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> AxisMap:
    """Mode bicubic: cubic convolution (Keys 1981), a = -3/4, over four elements, those outside held at the border."""
    center = _centers(_step(size, out_size, scale, align_corners, dtype), out_size, align_corners)
    low = np.minimum(np.floor(center).astype(np.int64), size - 1)
    part = np.clip(center - low.astype(dtype), 0, 1).astype(dtype)
    index = np.clip(low[:, None] + np.arange(-1, 3), 0, size - 1)
    return AxisMap.from_taps(size, index, np.stack(cubic_weights(part), 1))


def cubic_weights(t: np.ndarray) -> list[np.ndarray]:
    """The four weights of cubic convolution at -1, 0, 1, 2 for a point at t in [0, 1): polynomials in t.

    The kernel is (a+2)|x|^3 - (a+3)|x|^2 + 1 up to |x| = 1, then a|x|^3 - 5a|x|^2 + 8a|x| - 4a up to 2; a = -3/4.
    """
    a = CUBIC_A
    s = 1 - t

    def near(x):
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x):
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(s), far(s + 1)]


@lru_cache(maxsize=256)
def area_map(size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> AxisMap:
    """Mode area: the mean over [floor(i * size / out_size), ceil((i + 1) * size / out_size))."""
    i = np.arange(out_size, dtype=np.int64)
    start, stop = i * size // max(out_size, 1), -((i + 1) * -size // max(out_size, 1))
    count = stop - start
    offset = np.concatenate(([0], np.cumsum(count)))
    index = np.arange(offset[-1]) - np.repeat(offset[:-1] - start, count)
    return AxisMap(size, offset, index, np.repeat(1 / np.maximum(count, 1), count).astype(dtype))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _keys(x: np.ndarray) -> np.ndarray:
    """Cubic convolution with a = -1/2, as Pillow has it (without antialias PyTorch takes -3/4)."""
    x = np.abs(x)
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


FILTERS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "bilinear": (_triangle, 2),
    "bicubic": (_keys, 4),
    "lanczos": (_lanczos, 6),
}


@lru_cache(maxsize=256)
def antialias_map(mode: str, size: int, out_size: int, scale: float | None, align_corners: bool, dtype: np.dtype) -> AxisMap:
    """The filter of the mode, widened by the step where that is above 1; the weights of an output sum to 1. A size that stays is
    copied whatever the scale."""
    if size == out_size:
        return AxisMap.gather(size, np.arange(size), dtype)
    kernel, width = FILTERS[mode]
    step = _step(size, out_size, scale, align_corners, dtype)
    stretch = max(step, dtype.type(1))
    support = dtype.type(width * 0.5) * stretch
    center = step * (np.arange(out_size, dtype=dtype) + dtype.type(0.5))
    start = np.maximum((center - support + dtype.type(0.5)).astype(np.int64), 0)
    stop = np.minimum((center + support + dtype.type(0.5)).astype(np.int64), size)
    count = np.maximum(stop - start, 0)
    offset = np.concatenate(([0], np.cumsum(count)))
    index = np.arange(offset[-1]) - np.repeat(offset[:-1] - start, count)
    weight = kernel((index - np.repeat(center, count) + 0.5) / np.float64(stretch))
    total = np.add.reduceat(weight, np.minimum(offset[:-1], len(weight) - 1)) if len(weight) else np.zeros(out_size)
    return AxisMap(size, offset, index, (weight / np.repeat(np.where(total == 0, 1, total), count)).astype(dtype))


MAPS = {
    "nearest": nearest_map,
    "nearest-exact": nearest_exact_map,
    "linear": linear_map,
    "bilinear": linear_map,
    "trilinear": linear_map,
    "bicubic": cubic_map,
    "area": area_map,
}
SMALL_MAPS = MAPS | {"nearest": nearest_small_map, "nearest-exact": nearest_exact_small_map}


def interpolate(
    x: Tensor, out_sizes: Sequence[int], scales: Sequence[float | None], mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    """Resizes the last len(out_sizes) axes of x, each by the map of the mode along it."""
    dtype = x.dtype.np if x.is_floating_point() else np.dtype(np.float32)
    table = SMALL_MAPS if len(out_sizes) == 2 and sum(out_sizes) <= SMALL_IMAGE else MAPS
    maps = []
    for size, out_size, scale in zip(tuple(x.shape)[x.ndim - len(out_sizes) :], out_sizes, scales):
        arguments = (size, out_size, scale, align_corners, dtype)
        maps.append(antialias_map(mode, *arguments) if antialias else table[mode](*arguments))
    newest = newest_node()
    out = map_axes(x, maps)
    kind = "".join(part.capitalize() for part in mode.split("-"))
    relabel(out, f"Upsample{kind}{len(out_sizes)}D{'Aa' if antialias else ''}Backward0", newest)
    return out
