"""Operations that reduce dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigrad import _dtype
from minigrad._arguments import normalize_dims
from minigrad._ext.engine import Function, apply
from minigrad.ops.shape import cast, expand, reshape

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class SumFunction(Function):
    def __init__(self, dims, keepdim):
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x):
        self.shape = x.shape
        return np.asarray(np.sum(x, axis=self.dims, keepdims=self.keepdim, dtype=x.dtype))

    def backward(self, g):
        kept = tuple(1 if d in self.dims else s for d, s in enumerate(self.shape))
        return expand(g if self.keepdim else reshape(g, kept), self.shape)


def sum(
    input: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, dtype: _dtype.dtype | None = None
) -> Tensor:
    """The sum over the dimensions; of integers as int64."""
    if dtype is None and not input.dtype.is_floating_point:
        dtype = _dtype.int64
    x = input if dtype is None else cast(input, dtype)
    return apply(SumFunction(normalize_dims(dim, x.ndim), keepdim), x)


def mean(
    input: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, dtype: _dtype.dtype | None = None
) -> Tensor:
    """The mean over the dimensions. Raises RuntimeError for integers without a float dtype."""
    x = input if dtype is None else cast(input, dtype)
    if not x.dtype.is_floating_point:
        raise RuntimeError(
            f"mean(): could not infer output dtype. Input dtype must be either a floating point dtype. Got: {x.dtype}"
        )
    total = sum(x, dim, keepdim)
    return total / (x._array.size / max(total._array.size, 1)) if total._array.size else total
