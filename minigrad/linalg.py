"""torch.linalg: products, norms, inverses, determinants and factorizations of matrices, as far as minigrad has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.ops.arrange import cross as _cross
from minigrad.ops.factor import LinAlgError as LinAlgError
from minigrad.ops.factor import cholesky as cholesky
from minigrad.ops.factor import det as det
from minigrad.ops.factor import inv as inv
from minigrad.ops.factor import slogdet as slogdet
from minigrad.ops.factor import solve as solve
from minigrad.ops.linalg import matmul as matmul
from minigrad.ops.linalg import matrix_power as matrix_power
from minigrad.ops.reduce import norm as _norm
from minigrad.ops.statistics import vander as vander
from minigrad.tensor import Tensor


def vector_norm(
    x: Tensor, ord: float = 2, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) over dim, or over all elements; inf: the greatest |x|, -inf: the least, 0: how many are not zero."""
    x = x if dtype is None else x.to(dtype)
    return _norm(x, ord, tuple(range(x.ndim)) if dim is None else dim, keepdim)


def matrix_norm(
    A: Tensor, ord: float | str = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of each matrix: "fro", the root of the sum of squares; 1 and inf (-1, -inf), the greatest (least) sum of absolute
    values of a column and of a row. NotImplementedError for 2 and "nuc", which need singular values.
    """
    A = A if dtype is None else A.to(dtype)
    rows, columns = (d % A.ndim for d in dim)
    if ord == "fro":
        return _norm(A, 2, (rows, columns), keepdim)
    if ord in (2, -2, "nuc"):
        raise NotImplementedError(f"linalg.matrix_norm: ord={ord!r} needs singular values, which minigrad does not have")
    if ord not in (1, -1, float("inf"), float("-inf")):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    inner, outer = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = A.abs().sum(inner, keepdim=True)
    out = sums.amax(outer, keepdim=True) if ord > 0 else sums.amin(outer, keepdim=True)
    return out if keepdim else out.squeeze((rows, columns))


def norm(A: Tensor, ord: float | str | None = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """vector_norm, or matrix_norm where ord is given and A (or dim) has two dimensions, or ord is a word."""
    pair = dim is not None and not isinstance(dim, int) and len(dim) == 2
    if ord is not None and (isinstance(ord, str) or pair or (dim is None and A.ndim == 2)):
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)  # type: ignore[arg-type]


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector products along dim, whose size is 3."""
    return _cross(input, other, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A view of the diagonals of the matrices."""
    return A.diagonal(offset, dim1, dim2)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sums of products along dim."""
    return (x * y).sum(dim)


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two or more matrices (the first and last may be vectors), in the order that costs the fewest multiplications."""
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    first = tensors[0].unsqueeze(0) if tensors[0].ndim == 1 else tensors[0]
    last = tensors[-1].unsqueeze(1) if tensors[-1].ndim == 1 else tensors[-1]
    matrices = [first, *tensors[1:-1], last]
    sizes = [first.shape[0], *(m.shape[1] for m in matrices)]
    n = len(matrices)
    best = {(i, i): (0, i) for i in range(n)}  # (first, last) -> (multiplications, where the product is cut)
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        return matrices[i] if i == j else product(i, best[i, j][1]) @ product(best[i, j][1] + 1, j)

    out = product(0, n - 1)
    if tensors[0].ndim == 1:
        out = out.squeeze(0)
    return out.squeeze(-1) if tensors[-1].ndim == 1 else out
