"""Weighted samples of an image at given elements, and grid_sample made of them.

    sample(x, w)[n, c, o]        = sum over k of w[n, k, o] * x[n, c, index[n, k, o]]

is bilinear in x (N, C, S) and w (N, K, O). With its two adjoints it is closed under differentiation, as convolution is:

    sample_adjoint(g, w)[n, c, s] = sum over (k, o) with index[n, k, o] = s of w[n, k, o] * g[n, c, o]
    sample_weights(g, x)[n, k, o] = sum over c of g[n, c, o] * x[n, c, index[n, k, o]]

The index (N, K, O), int32, is a constant; -1 stands for an element outside the image, which is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import resize
from minigrad._ext.engine import Function, apply, from_array
from minigrad._ext.memory import empty_array
from minigrad.ops.resize import cubic_weights
from minigrad.ops.shape import cat

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class SampleFunction(Function):
    reads = {"x": ("weight",), "weight": ("x",)}

    def __init__(self, index: np.ndarray) -> None:
        self.index = index

    def forward(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        self.size = x.shape[2]
        out = empty_array((x.shape[0], x.shape[1], self.index.shape[2]), x.dtype)
        resize.sample(np.ascontiguousarray(x), np.ascontiguousarray(weight), self.index, out)
        return out

    def backward(self, g: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor | None, Tensor | None]:
        gx = sample_adjoint(g, weight, self.index, self.size) if self.needs_input_grad[0] else None
        gw = sample_weights(g, x, self.index) if self.needs_input_grad[1] else None
        return gx, gw


class SampleAdjointFunction(Function):
    reads = {"g": ("weight",), "weight": ("g",)}

    def __init__(self, index: np.ndarray, size: int) -> None:
        self.index = index
        self.size = size

    def forward(self, g: np.ndarray, weight: np.ndarray) -> np.ndarray:
        gx = empty_array((g.shape[0], g.shape[1], self.size), g.dtype)
        gx.fill(0)
        resize.sample_adjoint(np.ascontiguousarray(g), np.ascontiguousarray(weight), self.index, gx)
        return gx

    def backward(self, gg: Tensor, g: Tensor, weight: Tensor) -> tuple[Tensor | None, Tensor | None]:
        to_g = sample(gg, weight, self.index) if self.needs_input_grad[0] else None
        to_weight = sample_weights(g, gg, self.index) if self.needs_input_grad[1] else None
        return to_g, to_weight


class SampleWeightsFunction(Function):
    reads = {"g": ("x",), "x": ("g",)}

    def __init__(self, index: np.ndarray) -> None:
        self.index = index

    def forward(self, g: np.ndarray, x: np.ndarray) -> np.ndarray:
        self.size = x.shape[2]
        gw = empty_array(self.index.shape, x.dtype)
        resize.sample_weights(np.ascontiguousarray(g), np.ascontiguousarray(x), self.index, gw)
        return gw

    def backward(self, gg: Tensor, g: Tensor, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        to_g = sample(x, gg, self.index) if self.needs_input_grad[0] else None
        to_x = sample_adjoint(g, gg, self.index, self.size) if self.needs_input_grad[1] else None
        return to_g, to_x


def sample(x: Tensor, weight: Tensor, index: np.ndarray) -> Tensor:
    """x (N, C, S), weight (N, K, O), index int32 (N, K, O) -> (N, C, O)."""
    return apply(SampleFunction(index), x, weight)


def sample_adjoint(g: Tensor, weight: Tensor, index: np.ndarray, size: int) -> Tensor:
    """g (N, C, O), weight (N, K, O), index int32 (N, K, O) -> (N, C, size)."""
    return apply(SampleAdjointFunction(index, size), g, weight)


def sample_weights(g: Tensor, x: Tensor, index: np.ndarray) -> Tensor:
    """g (N, C, O), x (N, C, S), index int32 (N, K, O) -> (N, K, O)."""
    return apply(SampleWeightsFunction(index), g, x)


def _reflect(at: np.ndarray, size: int, align_corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates reflected at the centers (align_corners) or edges of the outer pixels until they lie between; their slope."""
    low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
    if span == 0:
        return np.zeros_like(at), np.zeros_like(at)
    away = at - at.dtype.type(low)
    rest = np.fmod(np.abs(away), at.dtype.type(2 * span))
    mirrored = rest >= span
    inside = np.where(mirrored, at.dtype.type(2 * span) - rest, rest) + at.dtype.type(low)
    return inside, np.where(mirrored, -np.sign(away), np.where(away < 0, -1, 1)).astype(at.dtype)


def _clip(at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates held within [0, size - 1], NaN at 0, and the slope, which is 0 on the border already."""
    inside = (at > 0) & (at < size - 1)
    return np.fmin(np.fmax(at, 0), size - 1).astype(at.dtype), inside.astype(at.dtype)


def _pixel_coordinates(
    grid: np.ndarray, sizes: Sequence[int], padding_mode: str, align_corners: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates of the grid's points, padded, and their derivative by the grid. grid (..., d), the last axis first."""
    at, slope = np.empty(grid.shape, grid.dtype), np.empty(grid.shape, grid.dtype)
    real = grid.dtype.type
    with np.errstate(invalid="ignore", over="ignore"):
        for axis, size in enumerate(reversed(sizes)):
            half = real((size - 1) / 2 if align_corners else size / 2)
            place = (grid[..., axis] + real(1)) * half
            if not align_corners:
                place -= real(0.5)
            by = half
            if padding_mode == "reflection":
                place, sign = _reflect(place, size, align_corners)
                by = by * sign
            if padding_mode != "zeros":
                place, sign = _clip(place, size)
                by = by * sign
            at[..., axis], slope[..., axis] = place, by
    return at, slope


def _element(at: np.ndarray, size: int, padding_mode: str, align_corners: bool) -> np.ndarray:
    """The elements (int64) at whole coordinates of one axis, -1 where they are outside."""
    if padding_mode == "zeros":
        with np.errstate(invalid="ignore"):
            return np.where((at >= 0) & (at < size), at, -1).astype(np.int64)
    if padding_mode == "reflection":
        with np.errstate(invalid="ignore"):
            at, _ = _reflect(at, size, align_corners)
    return _clip(at, size)[0].astype(np.int64)


def _combine(elements: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """The flat index (N, K, O) of every combination of one element of each axis, (N, taps, O) each."""
    flat = elements[0]
    for element, size in zip(elements[1:], sizes[1:]):
        pairs = np.where((flat[:, :, None] < 0) | (element[:, None] < 0), -1, flat[:, :, None] * size + element[:, None])
        flat = pairs.reshape(flat.shape[0], flat.shape[1] * element.shape[1], flat.shape[2])
    return np.ascontiguousarray(flat, np.int32)


class FractionFunction(Function):
    """How far behind the pixel before it each point of the grid lies: the pixel coordinate less a constant integer."""

    def __init__(self, pixel: np.ndarray, slope: np.ndarray) -> None:
        self.pixel = pixel
        self.slope = slope

    def forward(self, grid: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return self.pixel - np.floor(self.pixel)

    def backward(self, g: Tensor) -> Tensor:
        return g * from_array(self.slope)


class OnesFunction(Function):
    """Weights of one that depend on the grid with a derivative of zero: rounding is flat."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, grid: np.ndarray) -> np.ndarray:
        self.grid_shape, self.dtype = grid.shape, grid.dtype
        return np.ones(self.shape, grid.dtype)

    def backward(self, g: Tensor) -> Tensor:
        return from_array(np.zeros(self.grid_shape, self.dtype))


def grid_sample(x: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool) -> Tensor:
    """x (N, C, [D,] H, W) at the points of grid (N, [OD,] OH, OW, d), in [-1, 1], last axis first -> (N, C, [OD,] OH, OW).

    The weights of the taps are polynomials of the grid in differentiable operators, the samples are bilinear: any order of
    derivative is right, for x and for grid.
    """
    batch, channels, *sizes = x.shape
    points = grid.shape[1:-1]
    count = int(np.prod(points))
    coordinate_padding = "zeros" if mode == "bicubic" else padding_mode
    pixel, slope = _pixel_coordinates(grid._array, sizes, coordinate_padding, align_corners)
    taps = {"nearest": (0,), "bilinear": (0, 1), "bicubic": (-1, 0, 1, 2)}[mode]
    whole = np.rint(pixel) if mode == "nearest" else np.floor(pixel)
    elements, weight = [], None
    part = None if mode == "nearest" else apply(FractionFunction(pixel, slope), grid)
    for axis, size in enumerate(sizes):
        column = len(sizes) - 1 - axis
        at = whole[..., column].reshape(batch, 1, count) + np.array(taps, pixel.dtype)[:, None]
        tap_padding = "zeros" if mode == "bilinear" else padding_mode
        elements.append(_element(at, size, tap_padding, align_corners))
        if part is not None:
            t = part[..., column].reshape(batch, 1, count)
            along = cat(cubic_weights(t) if mode == "bicubic" else [1 - t, t], 1)  # (N, taps, O)
            if weight is None:
                weight = along
            else:
                weight = (weight.unsqueeze(2) * along.unsqueeze(1)).reshape(batch, weight.shape[1] * len(taps), count)
    index = _combine(elements, sizes)
    if weight is None:
        weight = apply(OnesFunction(index.shape), grid)
    flat = sample(x.reshape(batch, channels, int(np.prod(sizes))), weight, index)
    return flat.reshape(batch, channels, *points)
