"""Rows of a table by index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import embedding as kernels
from minigrad._ext.engine import Function, apply, from_array

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class EmbeddingFunction(Function):
    """w[indices]: (V, D) -> (*indices.shape, D). scale, a constant (*indices.shape, 1) or None, multiplies the gradient only."""

    def __init__(self, indices, scale):
        self.indices, self.scale = indices, scale

    def forward(self, w):
        self.rows = w.shape[0]
        return np.take(w, self.indices, axis=0)

    def backward(self, g):
        return apply(EmbeddingAddFunction(self.indices, self.rows), g if self.scale is None else g * self.scale)


class EmbeddingAddFunction(Function):
    """Zeros (V, D) with row i of g added to row indices[i], in order: the adjoint of EmbeddingFunction."""

    def __init__(self, indices, rows):
        self.indices, self.rows = indices, rows

    def forward(self, g):
        table = np.zeros((self.rows, g.shape[-1]), g.dtype)
        flat = np.ascontiguousarray(g).reshape(self.indices.size, g.shape[-1])
        kernels.add_rows(flat, self.indices.reshape(-1), table)
        return table

    def backward(self, g):
        return apply(EmbeddingFunction(self.indices, None), g)


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
