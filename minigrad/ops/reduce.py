"""Operations along dimensions: sums, extrema, moments, norms, running sums, sorting and selection."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigrad import _dtype, return_types
from minigrad._arguments import accepts_axis, normalize_dim, normalize_dims
from minigrad._ext import arrange, hot, index, scan
from minigrad._ext import elementwise as functions
from minigrad._ext import reduce as kernels
from minigrad._ext import sort as sorting
from minigrad._ext.engine import Function, TensorBase, apply, from_array, try_kernel
from minigrad._ext.loss import log_sum_exp
from minigrad._naming import named_node
from minigrad.ops import elementwise
from minigrad.ops.elementwise import isnan, sign, where
from minigrad.ops.shape import cast, cat, expand, flatten, flip, narrow, reshape

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

    Dims = int | Sequence[int] | None


def _dims(dim: Dims, ndim: int) -> tuple[int, ...]:
    """The dimensions to reduce, in order: all of them for None and for an empty sequence."""
    if type(dim) is int and ndim:
        return (normalize_dim(dim, ndim),)
    return tuple(sorted(normalize_dims(dim, ndim))) or tuple(range(ndim))


def _kept(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with 1 in place of the reduced dimensions."""
    return tuple(1 if d in dims else size for d, size in enumerate(shape))


def _count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    return math.prod(shape[d] for d in dims)


def _spread(g: Tensor, shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """A reduced tensor expanded to the shape that it was reduced from."""
    return expand(g if keepdim else reshape(g, _kept(shape, dims)), shape)


def _how_many(x: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """How many elements are not zero along the dimensions; int64."""
    if len(dims) == x.ndim and not keepdim:
        return np.asarray(np.count_nonzero(x), np.int64)
    return np.asarray(np.count_nonzero(x, axis=dims, keepdims=keepdim), np.int64)


def _accumulated(input: Tensor, dtype: _dtype.dtype | None) -> Tensor:
    """The tensor in the dtype that sums and products of it have: int64 for integers and bool unless dtype says otherwise."""
    if dtype is not None:
        return cast(input, dtype)
    return input if input.dtype.is_floating_point else cast(input, _dtype.int64)


# Sums and products


class SumFunction(Function):
    def __init__(self, dims, keepdim):
        self.dims, self.keepdim = dims, keepdim

    def own_name(self):
        return "SumBackward0" if len(self.dims) == len(self.shape) and not self.keepdim else "SumBackward1"

    def forward(self, x):
        self.shape = x.shape
        if x.dtype in kernels.TYPES:
            return kernels.sum(x, self.dims, self.keepdim)
        return np.asarray(np.sum(x, axis=self.dims, keepdims=self.keepdim, dtype=x.dtype))

    def backward(self, g):
        return _spread(g, self.shape, self.dims, self.keepdim)


def sum(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: _dtype.dtype | None = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """The sum over the dimensions (None: all); of integers as int64."""
    if axis is not None or keepdims:
        dim, keepdim = axis if axis is not None else dim, keepdim or keepdims
    if dim is None and not keepdim and dtype is None:
        total = hot.sum_all(input)
        if total is not None:
            return total
    dims = _dims(dim, input.ndim)
    out = try_kernel(kernels.sum, input, dims, keepdim) if dtype is None else None
    if out is not None:
        return out
    if dtype is None and input.dtype is _dtype.bool:
        return from_array(_how_many(input._array, dims, keepdim))
    return apply(SumFunction(dims, keepdim), _accumulated(input, dtype))


class MeanFunction(Function):
    def __init__(self, dims, keepdim):
        self.dims, self.keepdim = dims, keepdim

    def own_name(self):
        return "MeanBackward0" if len(self.dims) == len(self.shape) and not self.keepdim else "MeanBackward1"

    def forward(self, x):
        self.shape = x.shape
        return kernels.mean(x, self.dims, self.keepdim)

    def backward(self, g):
        n = _count(self.shape, self.dims)
        return _spread(g * (1 / n if n else math.nan), self.shape, self.dims, self.keepdim)


def mean(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: _dtype.dtype | None = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """The mean over the dimensions (None: all), NaN for no elements. Raises RuntimeError for integers without a float dtype."""
    if axis is not None or keepdims:
        dim, keepdim = axis if axis is not None else dim, keepdim or keepdims
    if not (dtype or input.dtype).is_floating_point:
        which, got = ("Input", input.dtype) if dtype is None else ("Optional", dtype)
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be a floating point dtype. Got: {got}: use .float()"
        )
    x = input if dtype is None else cast(input, dtype)
    if dim is None and not keepdim:
        average = hot.mean_all(x)
        if average is not None:
            return average
    dims = _dims(dim, x.ndim)
    out = try_kernel(kernels.mean, x, dims, keepdim)
    return apply(MeanFunction(dims, keepdim), x) if out is None else out


@accepts_axis
def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: _dtype.dtype | None = None) -> Tensor:
    """The sum with NaN counted as 0."""
    return sum(where(isnan(input), 0.0, input) if input.dtype.is_floating_point else input, dim, keepdim, dtype=dtype)


@accepts_axis
def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: _dtype.dtype | None = None) -> Tensor:
    """The mean of the elements that are not NaN. Raises RuntimeError for integers."""
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"nanmean(): expected input to have floating point dtype but got {input.dtype}")
    there = cast(elementwise.logical_not(isnan(input)), dtype or input.dtype)
    return nansum(input, dim, keepdim, dtype=dtype) / sum(there, dim, keepdim)


class ProdFunction(Function):
    """The product along one dimension. d prod = g times the product of the other elements."""

    def __init__(self, dim, keepdim):
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x):
        if x.dtype in kernels.TYPES:
            return kernels.prod(x, (self.dim,), self.keepdim)
        return np.asarray(np.prod(x, axis=self.dim, keepdims=self.keepdim, dtype=x.dtype))

    def backward(self, g, x, out):
        g, out = (_spread(t, x._array.shape, (self.dim,), self.keepdim) for t in (g, out))
        if x._array.all():
            return g * out / x
        return g * _product_of_others(x, self.dim)


def _product_of_others(x: Tensor, dim: int) -> Tensor:
    """For each element the product of the others along a dimension: of those before it times of those after it."""
    n = x.shape[dim]
    one = x.new_ones(_kept(x._array.shape, (dim,)))
    before = cat([one, cumprod(narrow(x, dim, 0, n - 1), dim)], dim)
    after = flip(cat([one, cumprod(narrow(flip(x, (dim,)), dim, 0, n - 1), dim)], dim), (dim,))
    return before * after


@accepts_axis
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: _dtype.dtype | None = None) -> Tensor:
    """The product of all elements, or along one dimension; of integers as int64."""
    x = _accumulated(input, dtype)
    if dim is None:
        total = apply(ProdFunction(0, False), flatten(x))
        return reshape(total, (1,) * x.ndim) if keepdim else total
    if not isinstance(dim, int):
        raise TypeError(f"prod(): argument 'dim' must be int, not {type(dim).__name__}")
    axis = normalize_dim(dim, x.ndim)
    if x.ndim == 0:
        return apply(ProdFunction(0, False), reshape(x, (1,)))
    out = try_kernel(kernels.prod, x, (axis,), keepdim)
    return apply(ProdFunction(axis, keepdim), x) if out is None else out


class CumsumFunction(Function):
    """Running sums, or (reverse, floats only) from the end; the adjoint sums from the other end."""

    def __init__(self, dim, reverse):
        self.dim, self.reverse = dim, reverse

    def forward(self, x):
        if x.dtype.kind == "f" or x.dtype == np.int64:
            return scan.cumsum(x, self.dim, self.reverse)
        return np.cumsum(x, axis=self.dim, dtype=x.dtype)

    def backward(self, g):
        return apply(CumsumFunction(self.dim, not self.reverse), g)


@accepts_axis
@named_node
def cumsum(input: Tensor, dim: int, *, dtype: _dtype.dtype | None = None) -> Tensor:
    """The running sum along a dimension; of integers as int64."""
    x = _accumulated(input, dtype)
    axis = normalize_dim(dim, x.ndim)
    if x.ndim == 0:
        return reshape(x, ())
    return apply(CumsumFunction(axis, False), x)


class CumprodFunction(Function):
    """Running products y: d x_k = (sum of g_j y_j, j >= k) / x_k. With a zero in x each d y_j / d x_k is formed instead."""

    def __init__(self, dim):
        self.dim = dim

    def forward(self, x):
        if x.dtype.kind == "f" or x.dtype == np.int64:
            return scan.cumprod(x, self.dim, False)
        return np.cumprod(x, axis=self.dim, dtype=x.dtype)

    def backward(self, g, x, out):
        if x._array.all():
            return apply(CumsumFunction(self.dim, True), g * out) / x
        return _cumprod_gradient(g, x, self.dim)


def _cumprod_gradient(g: Tensor, x: Tensor, dim: int) -> Tensor:
    """The sum over j of g_j d y_j / d x_k, from the products without x_k: n^2 of them in a line of n."""
    shape = x._array.shape
    n = shape[dim]
    # (..., k, j, ...) with x_j, and 1 at j = k: its running products over j, from j = k on, are d y_j / d x_k
    square = (n, n) + (1,) * (x.ndim - dim - 1)
    own = from_array(np.eye(n, dtype=bool).reshape(square))
    upper = from_array(np.triu(np.ones((n, n), x._array.dtype)).reshape(square))
    wide, line = (*shape[:dim], n, n, *shape[dim + 1 :]), (*shape[:dim], 1, *shape[dim:])
    derivatives = cumprod(where(own, 1.0, expand(reshape(x, line), wide)), dim + 1) * upper
    return sum(derivatives * reshape(g, line), dim + 1)


@accepts_axis
def cumprod(input: Tensor, dim: int, *, dtype: _dtype.dtype | None = None) -> Tensor:
    """The running product along a dimension; of integers as int64."""
    x = _accumulated(input, dtype)
    axis = normalize_dim(dim, x.ndim)
    if x.ndim == 0:
        return reshape(x, ())
    return apply(CumprodFunction(axis), x)


class LogSumExpFunction(Function):
    """d log sum exp x = g exp(x - out)"""

    label = "LogsumexpBackward0"

    def __init__(self, dims, keepdim):
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x):
        self.shape = x.shape
        if x.size == 0:
            return functions.log(kernels.sum(x, self.dims, self.keepdim))
        order = [axis for axis in range(x.ndim) if axis not in self.dims]
        shape = tuple(1 if axis in self.dims else n for axis, n in enumerate(x.shape) if self.keepdim or axis in order)
        rows = np.ascontiguousarray(x if self.dims[:1] == (len(order),) else arrange.copied(x.transpose(*order, *self.dims)))
        return log_sum_exp(rows, math.prod(x.shape[axis] for axis in self.dims)).reshape(shape)

    def backward(self, g, x, out):
        safe = where(elementwise.eq(out, -math.inf), 0.0, out)
        g, safe = (_spread(t, self.shape, self.dims, self.keepdim) for t in (g, safe))
        return g * elementwise.exp(x - safe)


@accepts_axis
def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over the dimensions, without overflow. Integers count as the default float type."""
    x = input if input.dtype.is_floating_point else cast(input, _dtype.get_default_dtype())
    return apply(LogSumExpFunction(_dims(dim, x.ndim), keepdim), x)


# Moments


def _correction(unbiased: bool | None, correction: float | None) -> float:
    if unbiased is not None and correction is not None:
        raise TypeError("var/std: give unbiased or correction, not both")
    return float(unbiased) if unbiased is not None else 1.0 if correction is None else float(correction)


def _moment_arguments(
    input: Tensor, dim: Dims, unbiased: bool | None, correction: float | None
) -> tuple[tuple[int, ...], float]:
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"std and var only support floating point dtypes, but got {input.dtype}")
    if isinstance(dim, bool):  # x.var(False)
        dim, unbiased = None, dim
    return _dims(dim, input.ndim), _correction(unbiased, correction)


class VarFunction(Function):
    """sum (x - mean)^2 / (n - correction); d var = g 2 (x - mean) / (n - correction)"""

    def __init__(self, dims, correction, keepdim):
        self.dims, self.correction, self.keepdim = dims, correction, keepdim

    def forward(self, x):
        self.shape = x.shape
        return kernels.var_mean(x, self.dims, self.correction, self.keepdim)[0]

    def backward(self, g, x):
        return _var_backward(g, x, self.dims, self.correction, self.keepdim)


def _var_backward(g: Tensor, x: Tensor, dims: tuple[int, ...], correction: float, keepdim: bool) -> Tensor:
    freedom = _count(x._array.shape, dims) - correction
    g = g * (2 / freedom if freedom > 0 else math.nan)
    return (x - mean(x, dims, True)) * _spread(g, x._array.shape, dims, keepdim)


class StdFunction(Function):
    """The root of the variance; d std = g / (2 std) d var, 0 where std is 0."""

    def __init__(self, dims, correction, keepdim):
        self.dims, self.correction, self.keepdim = dims, correction, keepdim

    def forward(self, x):
        self.shape = x.shape
        return np.sqrt(kernels.var_mean(x, self.dims, self.correction, self.keepdim)[0])[...]

    def backward(self, g, x, out):
        flat = elementwise.eq(out, 0.0)
        g = where(flat, 0.0, g / (where(flat, 1.0, out) * 2))
        return _var_backward(g, x, self.dims, self.correction, self.keepdim)


@accepts_axis
def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over the dimensions (None: all): sum (x - mean)^2 / max(0, n - correction), correction 1 by default.

    unbiased=False is correction=0. Raises RuntimeError for integers.
    """
    return apply(VarFunction(*_moment_arguments(input, dim, unbiased, correction), keepdim), input)


@accepts_axis
def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation: the root of var, with its arguments."""
    return apply(StdFunction(*_moment_arguments(input, dim, unbiased, correction), keepdim), input)


@accepts_axis
@named_node
def var_mean(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(var, mean) over the same dimensions."""
    dims = None if isinstance(dim, bool) else dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dims, keepdim)


@accepts_axis
@named_node
def std_mean(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(std, mean) over the same dimensions."""
    dims = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dims, keepdim)


# Norms


class NormFunction(Function):
    """(sum |x|^p)^(1/p) for 0 < p < inf; d norm = g sign(x) (|x| / norm)^(p - 1), 0 where x is 0."""

    label = "LinalgVectorNormBackward0"

    def __init__(self, p, dims, keepdim):
        self.p, self.dims, self.keepdim = p, dims, keepdim

    def forward(self, x):
        self.shape = x.shape
        if self.p == 2:
            return functions.sqrt(kernels.sum_squares(x, self.dims, self.keepdim))
        if self.p == 1:
            return kernels.sum(functions.abs(x), self.dims, self.keepdim)
        return np.power(
            kernels.sum(np.power(np.abs(x), x.dtype.type(self.p)), self.dims, self.keepdim), x.dtype.type(1 / self.p)
        )[...]

    def backward(self, g, x, out):
        zero = elementwise.eq(out, 0.0)
        if self.p == 2:
            return x * _spread(where(zero, 0.0, g / where(zero, 1.0, out)), self.shape, self.dims, self.keepdim)
        g = _spread(g, self.shape, self.dims, self.keepdim)
        if self.p == 1:
            return g * sign(x)
        nothing = elementwise.eq(x, 0.0)
        ratio = where(nothing, 1.0, elementwise.abs(x)) / _spread(where(zero, 1.0, out), self.shape, self.dims, self.keepdim)
        return where(nothing, 0.0, g * sign(x) * elementwise.pow(ratio, self.p - 1))


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: _dtype.dtype | None = None,
) -> Tensor:
    """The p-norm of the elements over the dimensions (None: all): (sum |x|^p)^(1/p), "fro" is 2; inf: the largest |x|, -inf:
    the smallest, 0: how many are not 0. The gradient at 0 is 0. Raises RuntimeError for integers and for p="nuc"."""
    x = input if dtype is None else cast(input, dtype)
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"norm: Expected a floating point tensor as input. Got {x.dtype}: use .float().")
    if p is None or p == "fro":
        p = 2.0
    if isinstance(p, str):
        raise RuntimeError(f"norm: p must be a number or 'fro', but got {p!r}")
    dims = _dims(dim, x.ndim)
    if p == math.inf:
        return amax(elementwise.abs(x), dims, keepdim)
    if p == -math.inf:
        return amin(elementwise.abs(x), dims, keepdim)
    if p == 0:
        return sum(cast(elementwise.ne(x, 0), x.dtype), dims, keepdim)
    return apply(NormFunction(float(p), dims, keepdim), x)


# Extrema and medians of values: the gradient is shared by all equals


class EqualShareFunction(Function):
    """A value chosen from x over some dimensions. Its gradient goes in equal shares to the elements that equal it."""

    def __init__(self, dims, keepdim):
        self.dims, self.keepdim = dims, keepdim

    def backward(self, g, x, out):
        kept = _kept(x._array.shape, self.dims)
        chosen = elementwise.same(x, reshape(out, kept))
        return chosen * (reshape(g, kept) / sum(chosen, self.dims, True))


class AmaxFunction(EqualShareFunction):
    def forward(self, x):
        if x.dtype in kernels.TYPES:
            return kernels.amax(x, self.dims, self.keepdim)
        return np.asarray(np.max(x, axis=self.dims, keepdims=self.keepdim))


class AminFunction(EqualShareFunction):
    def forward(self, x):
        if x.dtype in kernels.TYPES:
            return kernels.amin(x, self.dims, self.keepdim)
        return np.asarray(np.min(x, axis=self.dims, keepdims=self.keepdim))


class MedianFunction(EqualShareFunction):
    """The lower median of all elements, NaN if there is one."""

    def forward(self, x):
        if x.size == 0 or np.isnan(x).any():
            return np.full((), np.nan, x.dtype)
        middle = (x.size - 1) // 2
        return np.asarray(np.partition(x.reshape(-1), middle)[middle])


def _check_not_empty(input: Tensor, dims: tuple[int, ...], name: str, given: bool) -> None:
    if input.numel() == 0:
        if not given:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        for d in dims:
            if input.shape[d] == 0:
                raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")


@accepts_axis
def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The largest value over the dimensions (none given: all). Equals share the gradient.

    Raises RuntimeError or, if a dimension is named, IndexError where there is nothing to choose from.
    """
    dims = _dims(dim, input.ndim)
    _check_not_empty(input, dims, "amax", dim not in (None, ()))
    out = try_kernel(kernels.amax, input, dims, keepdim)
    return apply(AmaxFunction(dims, keepdim), input) if out is None else out


@accepts_axis
def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The smallest value over the dimensions (none given: all). Equals share the gradient. Raises as amax does."""
    dims = _dims(dim, input.ndim)
    _check_not_empty(input, dims, "amin", dim not in (None, ()))
    out = try_kernel(kernels.amin, input, dims, keepdim)
    return apply(AminFunction(dims, keepdim), input) if out is None else out


@accepts_axis
@named_node
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> return_types.aminmax:
    """(min, max) of all elements or along one dimension. Equals share the gradient."""
    _check_not_empty(input, _dims(dim, input.ndim), "aminmax", dim is not None)
    return return_types.aminmax(amin(input, dim, keepdim), amax(input, dim, keepdim))


# Selection along a dimension: the gradient goes where the index points


class TakeAlongFunction(Function):
    """The elements of x at these indices along a dimension, no index twice in a line."""

    def __init__(self, dim, indices):
        self.dim, self.indices = dim, indices

    def forward(self, x):
        self.shape = x.shape
        return np.take_along_axis(x, self.indices, self.dim)

    def backward(self, g):
        return apply(PutAlongFunction(self.dim, self.indices, self.shape), g)


class PutAlongFunction(Function):
    """Zeros of a shape with x at these indices along a dimension: the adjoint of TakeAlongFunction."""

    def __init__(self, dim, indices, shape):
        self.dim, self.indices, self.shape = dim, indices, shape

    def forward(self, x):
        around = math.prod(self.shape[: self.dim]), self.shape[self.dim], math.prod(self.shape[self.dim + 1 :])
        return index.scatter(None, self.shape, np.ascontiguousarray(x), np.ascontiguousarray(self.indices), *around, False)

    def backward(self, g):
        return apply(TakeAlongFunction(self.dim, self.indices), g)


class SelectionFunction(Function):
    """(values, indices) chosen along a dimension. A subclass gives select(x), both with the dimension kept."""

    def __init__(self, dim, keepdim=True):
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x):
        self.shape = x.shape
        values, self.indices = self.select(x)
        if self.keepdim:
            return values, self._given()
        return values.squeeze(self.dim), self._given().squeeze(self.dim)

    def _given(self):
        """The indices for the caller, who may write to them."""
        return self.indices.copy() if self.needs_input_grad[0] else self.indices

    def backward(self, g):
        g = g[0]
        return apply(PutAlongFunction(self.dim, self.indices, self.shape), reshape(g, self.indices.shape))


class MaxFunction(SelectionFunction):
    def select(self, x):
        if x.dtype in kernels.TYPES:
            return kernels.max(x, self.dim, True)
        return np.max(x, self.dim, keepdims=True), np.argmax(x, self.dim, keepdims=True)


class MinFunction(SelectionFunction):
    def select(self, x):
        if x.dtype in kernels.TYPES:
            return kernels.min(x, self.dim, True)
        return np.min(x, self.dim, keepdims=True), np.argmin(x, self.dim, keepdims=True)


def _sorted_part(x: np.ndarray, dim: int, first: int, last: int, descending: bool) -> tuple[np.ndarray, np.ndarray]:
    """(values, indices) of the elements first to last - 1 of each line of a dimension, sorted stably; NaN is the largest."""
    if sorting.sorts(x):
        lines = np.ascontiguousarray(np.moveaxis(x, dim, -1))
        values, order = sorting.sort_lines(lines, first, last, descending)
        if dim == x.ndim - 1:
            return values, order
        return np.ascontiguousarray(np.moveaxis(values, -1, dim)), np.ascontiguousarray(np.moveaxis(order, -1, dim))
    if descending:
        order = x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)
    else:
        order = np.argsort(x, axis=dim, kind="stable")
    order = np.take(order, np.arange(first, last), dim)
    return np.take_along_axis(x, order, dim), order


class SortFunction(SelectionFunction):
    def __init__(self, dim, descending):
        super().__init__(dim)
        self.descending = descending

    def select(self, x):
        return _sorted_part(x, self.dim, 0, x.shape[self.dim], self.descending)


class TopkFunction(SelectionFunction):
    def __init__(self, k, dim, largest):
        super().__init__(dim)
        self.k, self.largest = k, largest

    def select(self, x):
        return _sorted_part(x, self.dim, 0, self.k, self.largest)


class KthvalueFunction(SelectionFunction):
    def __init__(self, k, dim, keepdim):
        super().__init__(dim, keepdim)
        self.k = k

    def select(self, x):
        return _sorted_part(x, self.dim, self.k - 1, self.k, False)


class MedianAlongFunction(SelectionFunction):
    """The lower median, or the first NaN if there is one."""

    label = "MedianBackward1"

    def select(self, x):
        middle = (x.shape[self.dim] - 1) // 2
        values, order = _sorted_part(x, self.dim, middle, middle + 1, False)
        broken = functions.ufunc(np.isnan, x) if x.dtype.kind == "f" else None
        if broken is not None and broken.any():
            order = np.where(broken.any(self.dim, keepdims=True), broken.argmax(self.dim, keepdims=True), order)
            values = np.take_along_axis(x, order, self.dim)
        return values, order


def _selected(node: SelectionFunction, input: Tensor) -> tuple[Tensor, Tensor]:
    """(values, indices); a 0-d tensor counts as a line of one element and gives 0-d tensors."""
    if input.ndim:
        return apply(node, input)
    node.keepdim = True
    values, indices = apply(node, reshape(input, (1,)))
    return reshape(values, ()), reshape(indices, ())


def _one_dim(dim: object, ndim: int, name: str) -> int:
    if isinstance(dim, (tuple, list)) or not hasattr(dim, "__index__"):
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}")
    return normalize_dim(dim, ndim)


def _extremum(
    name: str,
    input: Tensor,
    dim: int | Tensor | None,
    keepdim: bool,
    other: Tensor | None,
    value: type,
    along: type,
    result: type,
) -> Tensor | tuple:
    if isinstance(dim, TensorBase) or other is not None:
        return (elementwise.maximum if name == "max" else elementwise.minimum)(input, dim if other is None else other)
    if dim is None:
        _check_not_empty(input, (), name, False)
        node = value(_dims(None, input.ndim), keepdim)
        node.label = name.capitalize() + "Backward1"
        return apply(node, input)
    axis = _one_dim(dim, input.ndim, name)
    _check_not_empty(input, (axis,), name, True)
    return result(*_selected(along(axis, keepdim), input))


@accepts_axis
def max(
    input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False, *, other: Tensor | None = None
) -> Tensor | return_types.max:
    """max(x): the largest element, equals share the gradient. max(x, dim): (values, indices) along a dimension, the first of
    equals. max(x, y): the larger one of each pair. NaN wins always.

    Raises RuntimeError or, if a dimension is named, IndexError where there is nothing to choose from.
    """
    return _extremum("max", input, dim, keepdim, other, AmaxFunction, MaxFunction, return_types.max)


@accepts_axis
def min(
    input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False, *, other: Tensor | None = None
) -> Tensor | return_types.min:
    """min(x), min(x, dim) or min(x, y): see max."""
    return _extremum("min", input, dim, keepdim, other, AminFunction, MinFunction, return_types.min)


def _arg_extremum(name: str, node: type, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if input.dtype is _dtype.bool:
        raise RuntimeError(f"{name}(): does not support bool input; convert it with .to(minigrad.uint8) first")
    if dim is None:
        if input.numel() == 0:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        _, index = node(0).select(input._array.reshape(-1))
        return from_array(index.reshape((1,) * input.ndim if keepdim else ()))
    axis = _one_dim(dim, input.ndim, name)
    _check_not_empty(input, (axis,), name, True)
    if input.ndim == 0:
        return from_array(np.zeros((), np.int64))
    index = node(axis).select(input._array)[1]
    return from_array(index if keepdim else index.squeeze(axis))


@accepts_axis
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element along a dimension (None: of the flattened tensor), the first of equals; int64.

    Raises IndexError where there is nothing to choose from.
    """
    return _arg_extremum("argmax", MaxFunction, input, dim, keepdim)


@accepts_axis
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element along a dimension (None: of the flattened tensor), the first of equals; int64."""
    return _arg_extremum("argmin", MinFunction, input, dim, keepdim)


@accepts_axis
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> return_types.sort:
    """(values, indices) in ascending or descending order along a dimension; always stable. NaN counts as the largest value."""
    return return_types.sort(*_selected(SortFunction(_one_dim(dim, input.ndim, "sort"), descending), input))


@accepts_axis
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The indices that sort along a dimension; always stable."""
    return sort(input.detach(), dim, descending).indices


@accepts_axis
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> return_types.topk:
    """(values, indices) of the k largest (smallest) elements along a dimension, always in order.

    Raises RuntimeError if there are fewer than k.
    """
    axis = _one_dim(dim, input.ndim, "topk")
    if not 0 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError(f"topk: selected index k out of range: k={k} along dimension {axis} of shape {tuple(input.shape)}")
    return return_types.topk(*_selected(TopkFunction(k, axis, largest), input))


@accepts_axis
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> return_types.kthvalue:
    """(value, index) of the k-th smallest element along a dimension, counted from 1. Raises RuntimeError if there is none."""
    axis = _one_dim(dim, input.ndim, "kthvalue")
    if not 1 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {axis}: k={k}, shape {tuple(input.shape)}"
        )
    return return_types.kthvalue(*_selected(KthvalueFunction(k, axis, keepdim), input))


@accepts_axis
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | return_types.median:
    """median(x): the lower median of all elements, equals share the gradient. median(x, dim): (values, indices).

    NaN if there is one. Raises IndexError along a dimension of size 0.
    """
    if dim is None:
        if not input.dtype.is_floating_point:
            return from_array(np.asarray(np.sort(input._array, axis=None)[(input.numel() - 1) // 2]))
        return apply(MedianFunction(_dims(None, input.ndim), False), input)
    axis = _one_dim(dim, input.ndim, "median")
    _check_not_empty(input, (axis,), "median", True)
    return return_types.median(*_selected(MedianAlongFunction(axis, keepdim), input))


# Counting: not differentiable


def _truth(function: np.ufunc, input: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    dims = normalize_dims(dim, input.ndim)
    truths = input._array if input.dtype is _dtype.bool else input._array != 0
    out = np.asarray(function.reduce(truths, axis=dims, keepdims=keepdim))
    return from_array(out.astype(np.uint8) if input.dtype is _dtype.uint8 else out)


@accepts_axis
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element is not zero (NaN is not); bool, for uint8 uint8."""
    return _truth(np.logical_or, input, dim, keepdim)


@accepts_axis
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether no element is zero; bool, for uint8 uint8."""
    return _truth(np.logical_and, input, dim, keepdim)


@accepts_axis
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements are not zero; int64."""
    return from_array(_how_many(input._array, _dims(dim, input.ndim), False))


def _distinct(x: np.ndarray, inverse: bool, counts: bool) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """The distinct elements in order, where each element went, and how often each occurs; every NaN is distinct from the others."""
    values, order = sorting.sort_lines(arrange.copied(x.reshape(-1)), 0, x.size, False)
    first = np.ones(x.size, bool)  # of its equals
    np.not_equal(values[1:], values[:-1], out=first[1:])
    places = index.places(first)
    went = None
    if inverse:
        went = np.empty(x.size, np.int64)
        went[order] = np.cumsum(first) - 1
        went = went.reshape(x.shape)
    return values[places], went, np.diff(places, append=x.size) if counts else None


def _distinct_of_few(x: np.ndarray, inverse: bool) -> tuple[np.ndarray, np.ndarray | None, np.ndarray] | None:
    """_distinct for integers, by counting, where those between the smallest and the largest are fewer than the elements; else None."""
    if x.dtype.kind == "f" or x.size == 0:
        return None
    low, high = int(x.min()), int(x.max())
    if high - low >= x.size:
        return None
    above = np.ascontiguousarray(x, np.int64) - low
    counts = index.counted(above.reshape(-1), 0)
    there = counts != 0
    places = index.places(there)
    went = index.take_rows(np.cumsum(there) - 1, above, 0, 1) if inverse else None
    return (places + low).astype(x.dtype), went, counts[places]


def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Tensor | tuple[Tensor, ...]:
    """The distinct elements (or slices along a dimension), always sorted; with return_inverse also where each element went,
    with return_counts also how often each occurs."""
    few = _distinct_of_few(input._array, return_inverse) if dim is None else None
    if few is not None:
        values, inverse, counts = few
    elif dim is None and sorting.sorts(input._array):
        values, inverse, counts = _distinct(input._array, return_inverse, return_counts)
    else:
        axis = None if dim is None else normalize_dim(dim, input.ndim)
        values, inverse, counts = np.unique(input._array, return_inverse=True, return_counts=True, axis=axis)
        inverse = inverse.reshape(input._array.shape if axis is None else -1)
    results = [values, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    tensors = tuple(from_array(np.ascontiguousarray(part)) for part in results)
    return tensors[0] if builtins.len(tensors) == 1 else tensors
