"""Inverses, determinants and factorizations of matrices (..., N, N), by LAPACK through numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import return_types
from minigrad._ext.engine import Function, TensorBase, apply, from_array
from minigrad.ops.elementwise import where

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class LinAlgError(RuntimeError):
    """A matrix that cannot be inverted or factored."""


def _square(name: str, A: Any) -> Tensor:
    if not isinstance(A, TensorBase):
        raise TypeError(f"{name}(): argument 'A' (position 1) must be Tensor, not {type(A).__name__}")
    if A.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} matrices"
        )
    if not A.is_floating_point():
        raise RuntimeError(f"{name}: Expected a floating point tensor as input. Got {A.dtype.name}")
    return A


class InverseFunction(Function):
    def forward(self, x: np.ndarray) -> np.ndarray:
        try:
            return np.linalg.inv(x)
        except np.linalg.LinAlgError:
            raise LinAlgError("linalg.inv: the input matrix is singular: the inverse could not be completed") from None

    def backward(self, g: Tensor, out: Tensor) -> Tensor:
        transposed = out.mT
        return -(transposed @ g @ transposed)


def inv(A: Tensor) -> Tensor:
    """The inverse of each matrix. LinAlgError for a singular one."""
    return apply(InverseFunction(), _square("linalg.inv", A))


inverse = inv


class SolveFunction(Function):
    reads = {"a": ("a", "out"), "b": ("a",)}

    def forward(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        try:
            return np.linalg.solve(a, b)
        except np.linalg.LinAlgError:
            raise LinAlgError("linalg.solve: The solver failed because the input matrix is singular.") from None

    def backward(self, g: Tensor, a: Tensor, out: Tensor) -> tuple[Tensor | None, Tensor | None]:
        gb = apply(SolveFunction(), a.mT, g)
        return -(gb @ out.mT) if self.needs_input_grad[0] else None, gb if self.needs_input_grad[1] else None


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B (X A = B unless left): A is (..., N, N), B (..., N, K), or (..., N) for one vector of each matrix.

    LinAlgError for a singular matrix, RuntimeError for shapes that do not fit.
    """
    A = _square("linalg.solve", A)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    right = B.unsqueeze(-1) if vector else B
    if not left and not vector:
        return solve(A.mT, right.mT).mT
    if right.shape[-2] != A.shape[-1]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({list(A.shape)} and {list(B.shape)})"
        )
    batch = np.broadcast_shapes(A.shape[:-2], right.shape[:-2])
    out = apply(SolveFunction(), A.expand(*batch, *A.shape[-2:]), right.expand(*batch, *right.shape[-2:]))
    return out.squeeze(-1) if vector else out


class DetFunction(Function):
    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.det(x), x.dtype)

    def backward(self, g: Tensor, x: Tensor, out: Tensor) -> Tensor:
        return (g * out).unsqueeze(-1).unsqueeze(-1) * inv(x).mT


def det(A: Tensor) -> Tensor:
    """The determinant of each matrix. The gradient at a singular matrix raises LinAlgError."""
    return apply(DetFunction(), _square("linalg.det", A))


class LogAbsDetFunction(Function):
    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.slogdet(x)[1], x.dtype)

    def backward(self, g: Tensor, x: Tensor) -> Tensor:
        return g.unsqueeze(-1).unsqueeze(-1) * inv(x).mT


def slogdet(A: Tensor) -> return_types.linalg_slogdet:
    """The sign of each determinant, and the logarithm of its absolute value."""
    A = _square("linalg.slogdet", A)
    sign = from_array(np.asarray(np.linalg.slogdet(A._array)[0], A.dtype.np))
    return return_types.linalg_slogdet(sign, apply(LogAbsDetFunction(), A))


def logdet(A: Tensor) -> Tensor:
    """The logarithm of each determinant: NaN for a negative one, -inf for zero."""
    sign, logarithm = slogdet(A)
    return where(sign == -1, float("nan"), logarithm)


class CholeskyFunction(Function):
    """The gradient as in Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        try:
            return np.linalg.cholesky(x)
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.cholesky: The factorization could not be completed: the input is not positive-definite"
            ) from None

    def backward(self, g: Tensor, out: Tensor) -> Tensor:
        p = (out.mT @ g.tril()).tril()
        p = p - 0.5 * p.tril(0).triu(0)
        inverse = inv(out)
        return inverse.mT @ (0.5 * (p + p.mT)) @ inverse


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L (upper: its transpose) with L L^T = A, for symmetric positive-definite matrices.

    Reads the lower triangles alone. LinAlgError for a matrix that is not positive-definite.
    """
    out = apply(CholeskyFunction(), _square("linalg.cholesky", A))
    return out.mT if upper else out
