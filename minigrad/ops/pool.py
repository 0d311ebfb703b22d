"""Pooling and unpooling over the last one, two or three dimensions.

Max pooling is a gather at indices that it saves; its derivative scatters at the same indices, and the derivative of that gathers
again. Average pooling is linear, and so is its adjoint: each is the other's derivative.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import pool
from minigrad._ext import reduce as reductions
from minigrad._ext.engine import Function, apply, from_array
from minigrad.ops.shape import expand

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Ints = tuple[int, ...]

_UNUSED_AXIS = pool.sliding_axis(1, 1, 1, 1, 0, 1, True)


@lru_cache(maxsize=1024)
def sliding_windows(
    size: Ints,
    out: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    count_include_pad: bool,
    divisor: int | None,
) -> pool.Geometry:
    """Windows over one to three dimensions of this size. `divisor`, where given, takes the place of the number of elements."""
    axes = [
        pool.sliding_axis(*axis, count_include_pad) for axis in zip(size, out, kernel, stride, padding, dilation, strict=True)
    ]
    if divisor is not None:
        axes = [(*axis[:-1], np.full(len(axis[-1]), 1.0 if i else float(divisor))) for i, axis in enumerate(axes)]
    return pool.Geometry((*[_UNUSED_AXIS] * (3 - len(size)), *axes))


@lru_cache(maxsize=1024)
def adaptive_windows(size: Ints, out: Ints) -> pool.Geometry:
    """Windows from floor(o * size / out) to ceil((o + 1) * size / out) over one to three dimensions."""
    axes = [pool.adaptive_axis(*axis) for axis in zip(size, out, strict=True)]
    return pool.Geometry((*[_UNUSED_AXIS] * (3 - len(size)), *axes))


def _out_shape(shape: Ints, geometry: pool.Geometry, ndim: int) -> Ints:
    return shape[: len(shape) - ndim] + geometry.out[3 - ndim :]


def _planes(x: np.ndarray, ndim: int) -> np.ndarray:
    """x as (planes, elements of a plane)."""
    return np.ascontiguousarray(x).reshape(math.prod(x.shape[: x.ndim - ndim]), math.prod(x.shape[x.ndim - ndim :]))


class MaxPoolFunction(Function):
    """The maximum of each window; self.indices are the flat positions of the maxima in their planes, int32."""

    frees = ("indices",)

    def __init__(self, geometry, ndim):
        self.geometry, self.ndim = geometry, ndim

    def own_name(self):
        return f"MaxPool{self.ndim}DWithIndicesBackward0" if self.ndim > 1 else "SqueezeBackward1"

    def forward(self, x):
        self.source = x.shape
        shape = _out_shape(x.shape, self.geometry, self.ndim)
        if x.dtype.kind == "f":
            values, self.indices = pool.max_pool(np.ascontiguousarray(x), self.geometry, shape)
            return values
        planes = _planes(x, self.ndim)
        values = np.empty((len(planes), math.prod(shape[len(shape) - self.ndim :])), x.dtype)
        indices = np.empty(values.shape, np.int32)
        pool.max_pool_integers(planes, self.geometry, values, indices)
        self.indices = indices.reshape(shape)
        return values.reshape(shape)

    def backward(self, g):
        return apply(ScatterAtFunction(self.indices, self.source, self.ndim, self.geometry), g)


class ScatterAtFunction(Function):
    """Zeros of a shape to which g is added at flat positions in each plane: the adjoint of GatherAtFunction.

    `geometry` is the one that gave the positions, or None.
    """

    frees = ("indices",)

    def __init__(self, indices, shape, ndim, geometry):
        self.indices, self.shape, self.ndim, self.geometry = indices, shape, ndim, geometry

    def forward(self, g):
        size = math.prod(self.shape[len(self.shape) - self.ndim :])
        return pool.scatter_at(np.ascontiguousarray(g), self.indices, size, self.shape, True, self.geometry)

    def backward(self, g):
        return apply(GatherAtFunction(self.indices, self.ndim, self.geometry), g)


class GatherAtFunction(Function):
    """The elements at flat positions in each plane."""

    frees = ("indices",)

    def __init__(self, indices, ndim, geometry):
        self.indices, self.ndim, self.geometry = indices, ndim, geometry

    def forward(self, x):
        self.source = x.shape
        return pool.gather_at(np.ascontiguousarray(x), self.indices, math.prod(x.shape[x.ndim - self.ndim :]))

    def backward(self, g):
        return apply(ScatterAtFunction(self.indices, self.source, self.ndim, self.geometry), g)


class MaxUnpoolFunction(Function):
    """Zeros of a shape with x written at flat positions in each plane. Where positions repeat the last value stays, but each has the
    element's gradient, as in PyTorch."""

    frees = ("indices",)

    def __init__(self, indices, shape, ndim):
        self.indices, self.shape, self.ndim = indices, shape, ndim

    def own_name(self):
        return f"MaxUnpool{self.ndim}DBackward0" if self.ndim > 1 else "SqueezeBackward1"

    def forward(self, x):
        size = math.prod(self.shape[len(self.shape) - self.ndim :])
        return pool.scatter_at(np.ascontiguousarray(x), self.indices, size, self.shape, False, None)

    def backward(self, g):
        return apply(GatherAtFunction(self.indices, self.ndim, None), g)


class AvgPoolFunction(Function):
    """The sum of each window divided by its divisor."""

    def __init__(self, geometry, ndim):
        self.geometry, self.ndim = geometry, ndim

    def own_name(self):
        return f"AvgPool{self.ndim}DBackward0" if self.ndim > 1 else "SqueezeBackward1"

    def forward(self, x):
        self.source = x.shape
        shape = _out_shape(x.shape, self.geometry, self.ndim)
        if x.dtype.kind == "f":
            return pool.avg_pool(np.ascontiguousarray(x), self.geometry, shape)
        planes = _planes(x, self.ndim)
        values = np.empty((len(planes), math.prod(shape[len(shape) - self.ndim :])), np.int64)
        pool.avg_pool_integers(planes, self.geometry, values)
        return values.reshape(shape)

    def backward(self, g):
        return apply(AvgPoolTransposeFunction(self.geometry, self.ndim, self.source), g)


class GlobalAvgPoolFunction(AvgPoolFunction):
    """AvgPoolFunction with one window, the whole plane: a mean, and named so as in PyTorch."""

    def own_name(self):
        return "MeanBackward1"

    def forward(self, x):
        self.source = x.shape
        return reductions.mean(x, tuple(range(x.ndim - self.ndim, x.ndim)), True)

    def backward(self, g):
        return expand(g * (1 / math.prod(self.source[len(self.source) - self.ndim :])), self.source)


class AvgPoolTransposeFunction(Function):
    """The adjoint of AvgPoolFunction."""

    def __init__(self, geometry, ndim, shape):
        self.geometry, self.ndim, self.shape = geometry, ndim, shape

    def forward(self, g):
        return pool.avg_pool_transpose(np.ascontiguousarray(g), self.geometry, self.shape)

    def backward(self, g):
        return apply(AvgPoolFunction(self.geometry, self.ndim), g)


def max_pool(x: Tensor, geometry: pool.Geometry, ndim: int) -> Tensor:
    """The maximum of each window over the last `ndim` dimensions of x, of which every window holds an element."""
    return apply(MaxPoolFunction(geometry, ndim), x)


def max_pool_with_indices(x: Tensor, geometry: pool.Geometry, ndim: int) -> tuple[Tensor, Tensor]:
    """max_pool, and int64 flat positions of the maxima in the last `ndim` dimensions."""
    node = MaxPoolFunction(geometry, ndim)
    values = apply(node, x)
    return values, from_array(node.indices.astype(np.int64))


def max_unpool(x: Tensor, indices: Tensor, size: Ints) -> Tensor:
    """Zeros with these last dimensions, and x at the flat positions `indices` (of its shape, checked to be in range)."""
    positions = np.ascontiguousarray(indices._array, dtype=np.int32)
    shape = x._array.shape[: x.ndim - len(size)] + size
    return apply(MaxUnpoolFunction(positions, shape, len(size)), x)


def global_avg_pool(x: Tensor, geometry: pool.Geometry, ndim: int) -> Tensor:
    """avg_pool for a geometry of one window, which is the whole of the last `ndim` dimensions, of a float tensor."""
    return apply(GlobalAvgPoolFunction(geometry, ndim), x)


def avg_pool(x: Tensor, geometry: pool.Geometry, ndim: int) -> Tensor:
    """The sum of each window over the last `ndim` dimensions of x, divided by the window's divisor."""
    return apply(AvgPoolFunction(geometry, ndim), x)
