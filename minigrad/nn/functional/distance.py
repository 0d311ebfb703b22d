"""Distances and similarities of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad._arguments import normalize_dim
from minigrad._ext.engine import TensorBase, from_array
from minigrad.ops.elementwise import broadcast_operands, clamp_min
from minigrad.ops.index import index_select
from minigrad.ops.reduce import norm
from minigrad.ops.reduce import sum as sum_

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _float_pair(function: str, x1: Tensor, x2: Tensor) -> list[Tensor]:
    for value in (x1, x2):
        if not isinstance(value, TensorBase):
            raise TypeError(f"{function}(): expected a Tensor, but got {type(value).__name__}")
    return broadcast_operands(function, x1, x2)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) over one dimension; x1 and x2 are broadcast.

    As in PyTorch the gradient takes no notice of the bound eps.

    Raises:
        RuntimeError: shapes that do not broadcast, or integers.
        IndexError: dim out of range.
    """
    x, y = _float_pair("cosine_similarity", x1, x2)
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"cosine_similarity(): expected common dtype to be floating point, yet common dtype is {x.dtype}")
    dim = normalize_dim(dim, x.ndim)

    def unit(v: Tensor) -> Tensor:
        length = norm(v, 2.0, dim, True)
        value = length.detach()
        return v / (length + clamp_min(eps - value, 0))

    return sum_(unit(x) * unit(y), dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension; x1 and x2 are broadcast. (N, D), (N, D) -> (N,), or (N, 1).

    Raises:
        RuntimeError: shapes that do not broadcast.
    """
    x, y = _float_pair("pairwise_distance", x1, x2)
    return norm(x - y + eps, float(p), -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distance of every pair of rows, (N, M) -> (N (N - 1) / 2,): rows 0 and 1, 0 and 2, ..., 1 and 2, ...

    RuntimeError unless the input is 2-D and p not negative.
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = (from_array(rows) for rows in np.triu_indices(input._array.shape[0], 1))
    return norm(index_select(input, 0, first) - index_select(input, 0, second), float(p), -1)
