"""Sparse linear maps along the last axes of a tensor: what resizing and padding are made of.

An AxisMap says which elements of an axis each output element is a weighted sum of. Its adjoint is its transpose, another
AxisMap, so one op is closed under differentiation: the backward of map_axes is map_axes with every map transposed, to any
order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import resize
from minigrad._ext.engine import Function, apply
from minigrad._ext.memory import empty_array

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class AxisMap:
    """A sparse (out_size, size) matrix, by rows: out[i] = sum of weight[t] * x[index[t]] over t in [offset[i], offset[i + 1]).

    offset is int64, index is int32, weight has the dtype of the tensors that the map is for.
    """

    def __init__(self, size: int, offset: np.ndarray, index: np.ndarray, weight: np.ndarray) -> None:
        self.size = size
        self.out_size = len(offset) - 1
        self.offset = np.ascontiguousarray(offset, np.int64)
        self.index = np.ascontiguousarray(index, np.int32)
        self.weight = np.ascontiguousarray(weight)
        self.arrays = (self.offset, self.index, self.weight)

    @classmethod
    def from_taps(cls, size: int, index: np.ndarray, weight: np.ndarray) -> AxisMap:
        """From as many taps for each output: index and weight (out_size, taps)."""
        out_size, taps = index.shape
        return cls(size, np.arange(out_size + 1) * taps, index.ravel(), weight.ravel())

    @classmethod
    def gather(cls, size: int, index: np.ndarray, dtype: np.dtype) -> AxisMap:
        """out[i] = x[index[i]]."""
        return cls(size, np.arange(len(index) + 1), index, np.ones(len(index), dtype))

    @cached_property
    def transpose(self) -> AxisMap:
        """The adjoint map; the taps of each of its outputs are in rising order."""
        order = np.argsort(self.index, kind="stable")
        row = np.repeat(np.arange(self.out_size), np.diff(self.offset))
        offset = np.concatenate(([0], np.cumsum(np.bincount(self.index, minlength=self.size))))
        transposed = AxisMap(self.out_size, offset, row[order], self.weight[order])
        transposed.__dict__["transpose"] = self
        return transposed


Maps = Sequence[AxisMap | None]

# The identity, as the kernel takes it.
NO_MAP = {
    np.dtype(real): (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, real)) for real in (np.float32, np.float64)
}


def _map_planes(x: np.ndarray, rows: AxisMap | None, columns: AxisMap | None) -> np.ndarray:
    """x (P, H, W) -> (P, OH, OW)."""
    planes, height, width = x.shape
    out = empty_array((planes, rows.out_size if rows else height, columns.out_size if columns else width), x.dtype)
    resize.map_planes(x, *(rows.arrays if rows else NO_MAP[x.dtype]), *(columns.arrays if columns else NO_MAP[x.dtype]), out)
    return out


def _map_array(x: np.ndarray, maps: Maps) -> np.ndarray:
    """The maps applied to the last len(maps) axes of a float array: one pass for each leading axis, one for the last two."""
    x = np.ascontiguousarray(x)
    shape = [*x.shape[: x.ndim - len(maps)], *(m.out_size if m else n for m, n in zip(maps, x.shape[x.ndim - len(maps) :]))]
    for axis, axis_map in zip(range(x.ndim - len(maps), x.ndim - 2), maps):
        if axis_map is not None:
            lead, rest = x.shape[:axis], x.shape[axis + 1 :]
            planes = x.reshape(math.prod(lead), axis_map.size, math.prod(rest))
            x = _map_planes(planes, axis_map, None).reshape(*lead, axis_map.out_size, *rest)
    if len(maps) == 1 or maps[-2] is None:  # one tall plane: no row is combined
        planes = x.reshape(1, math.prod(x.shape[:-1]), x.shape[-1])
        return _map_planes(planes, None, maps[-1]).reshape(shape)
    planes = x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])
    return _map_planes(planes, maps[-2], maps[-1]).reshape(shape)


class MapAxesFunction(Function):
    def __init__(self, maps: Maps) -> None:
        self.maps = maps

    def forward(self, x: np.ndarray) -> np.ndarray:
        return _map_array(x, self.maps)

    def backward(self, g: Tensor) -> Tensor:
        return map_axes(g, [m and m.transpose for m in self.maps])


class GatherAxesFunction(Function):
    """map_axes for integer and boolean tensors, which have no gradient and whose maps are gathers."""

    def __init__(self, maps: Maps) -> None:
        self.maps = maps

    def forward(self, x: np.ndarray) -> np.ndarray:
        for axis, axis_map in zip(range(x.ndim - len(self.maps), x.ndim), self.maps):
            if axis_map is not None:
                x = np.take(x, axis_map.index, axis)
        return np.ascontiguousarray(x)


def map_axes(x: Tensor, maps: Maps) -> Tensor:
    """Applies maps[i] along axis i - len(maps) of x; None leaves an axis as it is. Integers allow only AxisMap.gather."""
    if not x.is_floating_point():
        return apply(GatherAxesFunction(maps), x)
    return apply(MapAxesFunction(maps), x)
