"""Quantiles, modes, histograms, covariances, integrals by trapezoids and the like, as compositions of other operations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype, return_types
from minigrad._arguments import normalize_dim
from minigrad._ext.engine import TensorBase, from_array
from minigrad.ops.elementwise import lerp, where
from minigrad.ops.reduce import cumsum
from minigrad.ops.shape import stack

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


# Order


def quantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The q-quantiles along dim, or of all elements: between the sorted values at floor and ceil of q (n - 1). NaN if one is NaN.

    q: a number 0 ... 1, or a vector of them, which adds a first dimension. interpolation: "linear", "lower", "higher", "midpoint" or
    "nearest". Raises RuntimeError for integers, for no elements, for a q outside 0 ... 1 or of another dtype, ValueError for
    another interpolation.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


def nanquantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """quantile of the elements that are not NaN; NaN where there is none."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


def _quantile(name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip: bool) -> Tensor:
    if not input.is_floating_point():
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if isinstance(q, TensorBase) and q.dtype is not input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    ranks = q._array if isinstance(q, TensorBase) else np.asarray(q, input.dtype.np)
    if ranks.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if not ((ranks >= 0) & (ranks <= 1)).all():
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    ndim = input.ndim
    x = input.reshape(-1) if dim is None else input.movedim(normalize_dim(dim, ndim), -1) if ndim else input.reshape(1)
    if x.shape[-1] == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    ordered = x.sort(-1)[0]
    missing = np.isnan(ordered._array).sum(-1, keepdims=True)
    count = x.shape[-1] - missing if skip else np.full_like(missing, x.shape[-1])
    # (..., Q): the place of each quantile among the sorted values
    place = np.maximum(count - 1, 0) * ranks.reshape(-1)
    if interpolation == "lower":
        place = np.floor(place)
    elif interpolation == "higher":
        place = np.ceil(place)
    elif interpolation == "nearest":
        place = np.round(place)
    below, above = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
    share = np.full_like(place, 0.5) if interpolation == "midpoint" else place - below
    low, high = ordered.gather(-1, from_array(below)), ordered.gather(-1, from_array(above))
    out = lerp(low, high, from_array(np.ascontiguousarray(share.astype(input.dtype.np))))
    if missing.any() and not skip:
        out = where(from_array(np.broadcast_to(missing > 0, place.shape).copy()), float("nan"), out)
    out = out.movedim(-1, 0)  # (Q, ...)
    if keepdim:
        out = out.reshape(out.shape[0], *[1] * ndim) if dim is None else out.unsqueeze(normalize_dim(dim, max(ndim, 1)) + 1)
    return out if ranks.ndim else out.squeeze(0)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> return_types.mode:
    """The most frequent value along dim, the smallest of them, and its last position."""
    x = input.reshape(1) if input.ndim == 0 else input.movedim(normalize_dim(dim, input.ndim), -1)
    rows = x._array.reshape(-1, x.shape[-1])
    places = np.empty(len(rows), np.int64)
    for i, row in enumerate(rows):
        values, counts = np.unique(row, return_counts=True)
        places[i] = np.flatnonzero(row == values[counts.argmax()])[-1]
    indices = from_array(places.reshape(*x.shape[:-1], 1))
    values = x.gather(-1, indices)
    if input.ndim == 0:
        return return_types.mode(values.reshape(()), indices.reshape(()))
    if keepdim:
        return return_types.mode(values.movedim(-1, dim), indices.movedim(-1, dim))
    return return_types.mode(values.squeeze(-1), indices.squeeze(-1))


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of the elements that are not NaN: of all, or with its position along dim. NaN where there is none."""
    x = input.reshape(-1) if dim is None or input.ndim == 0 else input.movedim(normalize_dim(dim, input.ndim), -1)
    order = x.argsort(-1, stable=True)
    count = (~np.isnan(x._array)).sum(-1, keepdims=True)
    indices = order.gather(-1, from_array(np.maximum(count - 1, 0) // 2))
    values = x.gather(-1, indices)
    if dim is None:
        return values.reshape(())
    if input.ndim == 0:
        return return_types.nanmedian(values.reshape(()), indices.reshape(()))
    if keepdim:
        return return_types.nanmedian(values.movedim(-1, dim), indices.movedim(-1, dim))
    return return_types.nanmedian(values.squeeze(-1), indices.squeeze(-1))


def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The elements (or, with dim, the slices) that differ from the one before them; their numbers at each place; their counts.

    No gradient flows through it.
    """
    x = input._array.reshape(-1) if dim is None else np.moveaxis(input._array, dim, 0)
    new = np.ones(len(x), bool)
    new[1:] = (x[1:] != x[:-1]).any(tuple(range(1, x.ndim)))
    starts = np.flatnonzero(new)
    values = x[starts]
    out: list[Any] = [from_array(np.ascontiguousarray(values if dim is None else np.moveaxis(values, 0, dim)))]
    if return_inverse:
        inverse = np.cumsum(new) - 1
        out.append(from_array(inverse.reshape(input._array.shape) if dim is None else inverse))
    if return_counts:
        out.append(from_array(np.diff(np.append(starts, len(x)))))
    return out[0] if len(out) == 1 else tuple(out)


# Counts and moments


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal parts of min ... max (of the elements' own range if both are equal).

    No gradient flows through it. Raises RuntimeError for integers, for no bins or for max < min.
    """
    if not input.is_floating_point():
        raise RuntimeError(f'"histogram_cpu" not implemented for {input.dtype.name!r}')
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    low, high = float(min), float(max)
    if low == high and input.numel():
        low, high = float(input._array.min()), float(input._array.max())
        if low == high:
            low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    if high < low:
        raise RuntimeError("max must be larger than min")
    return from_array(np.histogram(input._array, bins, (low, high))[0].astype(input.dtype.np))


def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariances (C, C) of C variables with N observations, (C, N); of one variable, (N,), its variance.

    fweights: how often each observation counts, integers; aweights: its weight. Raises RuntimeError for more dimensions.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    x = input.reshape(1, -1) if input.ndim < 2 else input
    if not x.is_floating_point():
        x = x.to(_dtype.get_default_dtype())
    weights = None if fweights is None else fweights.to(x.dtype)
    if aweights is not None:
        weights = aweights.to(x.dtype) if weights is None else weights * aweights
    if weights is None:
        centered = x - x.mean(1, keepdim=True)
        weighted, norm = centered, from_array(np.asarray(x.shape[1] - correction, x.dtype.np))
    else:
        total = weights.sum()
        centered = x - (x * weights).sum(1, keepdim=True) / total
        weighted = centered * weights
        norm = total - correction * ((weights * aweights).sum() / total if aweights is not None else 1)
    out = (weighted @ centered.mT) / norm.clamp(min=0)
    return out.squeeze() if input.ndim < 2 else out


def corrcoef(input: Tensor) -> Tensor:
    """The correlations (C, C) of C variables with N observations, (C, N)."""
    c = cov(input)
    if c.ndim == 0:
        return c / c
    deviation = c.diagonal().sqrt()
    return (c / deviation.unsqueeze(0) / deviation.unsqueeze(1)).clamp(-1, 1)


# Integrals


def _steps(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> tuple[Tensor, int]:
    """The area of each trapezoid, and the dimension from the end."""
    if x is not None and dx is not None:
        raise TypeError(f"{name}() takes x or dx, not both")
    d = normalize_dim(dim, y.ndim) - y.ndim
    mean = (y.narrow(d, 1, y.shape[d] - 1) + y.narrow(d, 0, y.shape[d] - 1)) / 2
    if x is None:
        return mean * (1 if dx is None else dx), d
    if x.ndim == 1 and y.ndim > 1:
        x = x.reshape(-1, *[1] * (-d - 1))
    return mean * x.diff(dim=d), d


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of y over x (or of steps dx, 1 unless given) along dim, by trapezoids."""
    areas, d = _steps("trapezoid", y, x, dx, dim)
    return areas.sum(d)


trapz = trapezoid


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The running integral: trapezoid() of the first two, three ... values along dim."""
    areas, d = _steps("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(areas, d)


# Arrangements


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All combinations of r elements of a vector, in the order of itertools: (number of them, r)."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(pick(range(input.shape[0]), r)), np.int64).reshape(-1, r)
    return input[from_array(places)] if r else input.new_empty(0)


def vander(x: Tensor, N: int | None = None, *, increasing: bool = False) -> Tensor:
    """The powers x^(N-1) ... x^0 of a vector's elements as columns (in the other order if increasing); N is its length by default."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    powers = range(x.shape[0] if N is None else N)
    columns = [x**n for n in (powers if increasing else reversed(powers))]
    return stack(columns, 1) if columns else x.new_empty((x.shape[0], 0))


def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The coordinates, in a tensor of this shape, of positions in its flattened elements. ValueError for one outside."""
    return tuple(from_array(np.asarray(axis)) for axis in np.unravel_index(indices._array, shape))


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along dim, scaled down to a p-norm of maxnorm if its own is greater."""
    d = normalize_dim(dim, input.ndim)
    others = tuple(i for i in range(input.ndim) if i != d)
    norms = input.norm(p, others, keepdim=True)
    return input * where(norms > maxnorm, maxnorm / (norms + 1e-7), 1.0)


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, from the left to the right."""
    out = matrices[0]
    for matrix in matrices[1:]:
        out = out @ matrix
    return out


def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None) -> Tensor:
    """sin(pi n / N)^2, N = window_length, or one less unless periodic."""
    return _cosines(window_length, periodic, dtype, 0.5, 0.5)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: Any = None
) -> Tensor:
    """alpha - beta cos(2 pi n / N), N = window_length, or one less unless periodic."""
    return _cosines(window_length, periodic, dtype, alpha, beta)


def blackman_window(window_length: int, periodic: bool = True, *, dtype: Any = None) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N), N = window_length, or one less unless periodic."""
    return _cosines(window_length, periodic, dtype, 0.42, 0.5, 0.08)


def bartlett_window(window_length: int, periodic: bool = True, *, dtype: Any = None) -> Tensor:
    """1 - |2 n / N - 1|, N = window_length, or one less unless periodic."""
    n, kind = _window(window_length, periodic, dtype)
    return from_array((1 - np.abs(2 * n - 1) if window_length > 1 else np.ones(window_length)).astype(kind))


def _window(length: int, periodic: bool, dtype: Any) -> tuple[np.ndarray, np.dtype]:
    """n / N for n = 0 ... length - 1, and the dtype."""
    if length < 0:
        raise RuntimeError(f"window_length must be a non-negative number, but got {length}")
    kind = (_dtype.get_default_dtype() if dtype is None else dtype).np
    return np.arange(length) / max(length - (not periodic), 1), kind


def _cosines(length: int, periodic: bool, dtype: Any, *weights: float) -> Tensor:
    """weights[0] - weights[1] cos(2 pi n / N) + weights[2] cos(4 pi n / N) ..."""
    n, kind = _window(length, periodic, dtype)
    terms = ((-1) ** k * weight * np.cos(2 * np.pi * k * n) for k, weight in enumerate(weights))
    return from_array((sum(terms) if length > 1 else np.ones(length)).astype(kind))  # type: ignore[union-attr]
