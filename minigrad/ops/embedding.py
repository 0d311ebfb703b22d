"""Rows of a table by index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext.engine import apply, constant_of, from_array
from minigrad._naming import named_node
from minigrad.ops.index import RowsAddFunction, RowsFunction, kept_positions

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
