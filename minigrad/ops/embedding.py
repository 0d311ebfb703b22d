"""Rows of a table by index, and their sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import index as kernels
from minigrad._ext.engine import Function, apply, constant_of, from_array, try_kernel
from minigrad._naming import named_node
from minigrad.ops.index import RowsAddFunction, RowsFunction, kept_positions, raise_outside

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class EmbeddingFunction(RowsFunction):
    """w[indices]: (V, D) -> (*indices.shape, D). scale, a constant (*indices.shape, 1) or None, multiplies the gradient only."""

    def __init__(self, indices, scale):
        super().__init__(indices, 0)
        self.scale = scale

    def backward(self, g):
        return apply(RowsAddFunction(self.positions, 0, self.source), g if self.scale is None else g * self.scale)


@named_node
def embedding(weight: Tensor, indices: Tensor, padding: int, by_frequency: bool) -> Tensor:
    """The rows of weight (V, D) at int64 or int32 indices -> (*indices.shape, D). IndexError for one that is out of range.

    The gradient leaves out what row `padding` gets (-1: no such row), and with by_frequency divides what a row gets by how often
    it was taken.
    """
    positions = kept_positions(IndexError, indices, weight._array.shape[0], 0, weight)
    if constant_of(weight) is not None or (padding < 0 and not by_frequency):
        return apply(EmbeddingFunction(positions, None), weight)
    scale = np.ones(positions.shape, weight._array.dtype)
    if padding >= 0:
        scale[positions == padding] = 0
    if by_frequency and positions.size:
        scale /= np.bincount(positions.reshape(-1))[positions]
    return apply(EmbeddingFunction(positions, from_array(scale[..., None])), weight)


def _row_sums(x: np.ndarray, source: np.ndarray, target: np.ndarray, count: int) -> np.ndarray:
    out = kernels.add_rows(None, (count, x.shape[1]), np.ascontiguousarray(x), target, 0, 1, source)
    return out if out is not None else raise_outside(IndexError, source, x.shape[0], 0)


class RowSumsFunction(Function):
    """out[target[i]] = the sum of x[source[i]], in the order of i: (R, D) -> (count, D). Its adjoint is itself the other way round."""

    label = "EmbeddingBagBackward0"

    def __init__(self, source, target, count):
        self.source, self.target, self.count = source, target, count

    def forward(self, x):
        self.rows = x.shape[0]
        return _row_sums(x, self.source, self.target, self.count)

    def backward(self, g):
        return apply(RowSumsFunction(self.target, self.source, self.rows), g)


def sums_of_rows(weight: Tensor, indices: Tensor, bags: np.ndarray, count: int) -> Tensor:
    """The sums of the rows of weight (V, D) at the indices of each bag -> (count, D); index i belongs to bag bags[i].

    IndexError for an index that is out of range.
    """
    positions = kept_positions(IndexError, indices, weight._array.shape[0], 0, weight)
    out = try_kernel(_row_sums, weight, positions, bags, count)
    return apply(RowSumsFunction(positions, bags, count), weight) if out is None else out
