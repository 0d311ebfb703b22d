"""Weighted samples of an image at given elements, and grid_sample made of them.

    sample(x, w)[n, c, o]        = sum over k of w[n, k, o] * x[n, c, index[n, k, o]]

is bilinear in x (N, C, S) and w (N, K, O). With its two adjoints it is closed under differentiation, as convolution is:

    sample_adjoint(g, w)[n, c, s] = sum over (k, o) with index[n, k, o] = s of w[n, k, o] * g[n, c, o]
    sample_weights(g, x)[n, k, o] = sum over c of g[n, c, o] * x[n, c, index[n, k, o]]

The index (N, K, O), int32, is a constant; -1 stands for an element outside the image, which is zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigrad._ext import resize
from minigrad._ext.engine import Function, apply
from minigrad._ext.memory import empty_array
from minigrad.ops.shape import stack

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class SampleFunction(Function):
    reads = {"x": ("weight",), "weight": ("x",)}

    def __init__(self, index: np.ndarray, constant: bool) -> None:
        self.index = index
        self.constant = constant

    def forward(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        self.size = x.shape[2]
        out = empty_array((x.shape[0], x.shape[1], self.index.shape[2]), x.dtype)
        resize.sample(np.ascontiguousarray(x), np.ascontiguousarray(weight), self.index, out)
        return out

    def backward(self, g: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor | None, Tensor | None]:
        gx = sample_adjoint(g, weight, self.index, self.size) if self.needs_input_grad[0] else None
        if not self.needs_input_grad[1]:
            return gx, None
        return gx, g.new_zeros(self.index.shape) if self.constant else sample_weights(g, x, self.index)


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


def sample(x: Tensor, weight: Tensor, index: np.ndarray, constant: bool = False) -> Tensor:
    """x (N, C, S), weight (N, K, O), index int32 (N, K, O) -> (N, C, O). The gradient of constant weights is taken to be zero."""
    return apply(SampleFunction(index, constant), x, weight)


def sample_adjoint(g: Tensor, weight: Tensor, index: np.ndarray, size: int) -> Tensor:
    """g (N, C, O), weight (N, K, O), index int32 (N, K, O) -> (N, C, size)."""
    return apply(SampleAdjointFunction(index, size), g, weight)


def sample_weights(g: Tensor, x: Tensor, index: np.ndarray) -> Tensor:
    """g (N, C, O), x (N, C, S), index int32 (N, K, O) -> (N, K, O)."""
    return apply(SampleWeightsFunction(index), g, x)


class GridGeometry(NamedTuple):
    """How a grid samples an image: its axes' sizes, and the modes of grid_sample."""

    sizes: tuple[int, ...]
    mode: str
    padding_mode: str
    align_corners: bool


TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}
HIGHEST_ORDER = {"nearest": 0, "bilinear": 1, "bicubic": 3}


class GridWeightsFunction(Function):
    """The weights of the taps, differentiated orders[axis] times by the coordinate of each axis of the image.

    They are piecewise polynomials, whose derivatives are weights of a higher order: closed under differentiation.
    """

    def __init__(self, geometry: GridGeometry, orders: tuple[int, ...]) -> None:
        self.geometry = geometry
        self.orders = orders

    def forward(self, grid: np.ndarray) -> np.ndarray:
        sizes, mode, padding_mode, align_corners = self.geometry
        batch, axes = grid.shape[0], grid.shape[-1]
        flat = np.ascontiguousarray(grid).reshape(batch, math.prod(grid.shape[1:-1]), axes)
        shape = (batch, TAPS[mode] ** axes, flat.shape[1])
        weight = empty_array(shape, grid.dtype)
        self.index = empty_array((0, 0, 0) if any(self.orders) else shape, np.dtype(np.int32))
        resize.grid_taps(flat, sizes, TAPS[mode], PADDINGS[padding_mode], align_corners, self.orders, weight, self.index)
        return weight

    def backward(self, g: Tensor, grid: Tensor) -> Tensor:
        if HIGHEST_ORDER[self.geometry.mode] == 0:
            return grid.new_zeros(grid.shape)
        columns = []
        for axis in reversed(range(len(self.orders))):  # the grid's first column is the image's last axis
            orders = tuple(order + (a == axis) for a, order in enumerate(self.orders))
            if orders[axis] > HIGHEST_ORDER[self.geometry.mode]:
                columns.append(grid.new_zeros((g.shape[0], g.shape[2])))
            else:
                columns.append((g * apply(GridWeightsFunction(self.geometry, orders), grid)).sum(1))
        return stack(columns, -1).reshape(grid.shape)


def grid_sample(x: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool) -> Tensor:
    """x (N, C, [D,] H, W) at the points of grid (N, [OD,] OH, OW, A), in [-1, 1], last axis first -> (N, C, [OD,] OH, OW)."""
    batch, channels, *sizes = x.shape
    node = GridWeightsFunction(GridGeometry(tuple(sizes), mode, padding_mode, align_corners), (0,) * len(sizes))
    weight = apply(node, grid)
    flat = sample(x.reshape(batch, channels, math.prod(sizes)), weight, node.index, mode == "nearest")
    return flat.reshape(batch, channels, *tuple(grid.shape)[1:-1])
