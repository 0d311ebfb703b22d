"""Padding: every mode is a map along an axis (axis_map.py), so cropping and the adjoints come with it.

`pads` is one (before, after) pair for each of the last axes, in the order of the axes; negative numbers crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext.engine import Function, apply
from minigrad.ops.axis_map import AxisMap, MapAxesFunction, Maps, map_axes
from minigrad.ops.shape import clone

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Pads = Sequence[tuple[int, int]]


@lru_cache(maxsize=256)
def pad_map(mode: str, size: int, before: int, after: int, dtype: np.dtype) -> AxisMap | None:
    """The map of one axis; in mode constant the outputs outside have no tap. None where nothing is padded."""
    if before == 0 and after == 0:
        return None
    at = np.arange(-before, size + after)
    if mode == "constant":
        inside = (at >= 0) & (at < size)
        return AxisMap(size, np.concatenate(([0], np.cumsum(inside))), at[inside], np.ones(inside.sum(), dtype))
    if mode == "reflect":
        at = np.where(at < 0, -at, at)
        at = np.where(at >= size, 2 * (size - 1) - at, at)
    elif mode == "replicate":
        at = np.clip(at, 0, size - 1)
    else:  # cropped first, then repeated
        start, stop = max(-before, 0), size - max(-after, 0)
        at = start + (at - start) % max(stop - start, 1)
    return AxisMap.gather(size, at, dtype)


def _fill_outside(out: np.ndarray, pads: Pads, value: float) -> np.ndarray:
    """Writes value into what lies outside the padded array."""
    for axis, (before, after) in zip(range(out.ndim - len(pads), out.ndim), pads):
        along = np.moveaxis(out, axis, 0)
        if before > 0:
            along[:before] = value
        if after > 0:
            along[max(len(along) - after, 0) :] = value
    return out


class ConstantPadFunction(MapAxesFunction):
    """The map gives zeros outside, which forward overwrites; the derivative is that of the map."""

    label = "ConstantPadNdBackward0"

    def __init__(self, maps: Maps, pads: Pads, value: float) -> None:
        super().__init__(maps)
        self.pads = pads
        self.value = value

    def forward(self, x: np.ndarray) -> np.ndarray:
        out = super().forward(x)
        return _fill_outside(out, self.pads, self.value) if self.value != 0 else out


class IntegerConstantPadFunction(Function):
    def __init__(self, pads: Pads, value: float) -> None:
        self.pads = pads
        self.value = value

    def forward(self, x: np.ndarray) -> np.ndarray:
        lead = x.ndim - len(self.pads)
        pairs = [(0, 0)] * lead + list(self.pads)
        crop = tuple(slice(max(-before, 0), max(n - max(-after, 0), 0)) for n, (before, after) in zip(x.shape, pairs))
        value = np.array(self.value).astype(x.dtype)
        return np.pad(x[crop], [(max(before, 0), max(after, 0)) for before, after in pairs], constant_values=value)


def pad(x: Tensor, pads: Pads, mode: str, value: float) -> Tensor:
    """Pads the last len(pads) axes of x. No output axis may be negative; reflect needs before, after < size,
    circular <= what negative numbers leave of it."""
    floats = x.is_floating_point()
    if mode == "constant" and not floats:
        return apply(IntegerConstantPadFunction(pads, value), x)
    dtype = x.dtype.np if floats else np.dtype(np.float32)
    sizes = tuple(x.shape)[x.ndim - len(pads) :]
    maps = [pad_map(mode, size, before, after, dtype) for size, (before, after) in zip(sizes, pads)]
    if not any(maps):
        return clone(x)
    if mode == "constant":
        return apply(ConstantPadFunction(maps, pads, value), x)
    return map_axes(x, maps)
