"""Rows of a table by index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext.engine import apply, from_array
from minigrad._naming import named_node
from minigrad.ops.index import RowsAddFunction, RowsFunction

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
def embedding(weight: Tensor, indices: np.ndarray, padding: int, by_frequency: bool) -> Tensor:
    """The rows of weight (V, D) at int64 indices in range -> (*indices.shape, D).

    The gradient leaves out what row `padding` gets (-1: no such row), and with by_frequency divides what a row gets by how often
    it was taken.
    """
    indices = np.array(indices, order="C")
    if padding < 0 and not by_frequency:
        return apply(EmbeddingFunction(indices, None), weight)
    scale = np.ones(indices.shape, weight._array.dtype)
    if padding >= 0:
        scale[indices == padding] = 0
    if by_frequency and indices.size:
        scale /= np.bincount(indices.reshape(-1))[indices]
    return apply(EmbeddingFunction(indices, from_array(scale[..., None])), weight)
