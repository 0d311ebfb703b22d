"""Joining, splitting, placing and counting, all composed of the operations of shape.py, index.py and reduce.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype, return_types
from minigrad._arguments import accepts_axis, normalize_dim
from minigrad._ext import elementwise as kernels
from minigrad._ext import index
from minigrad._ext.engine import Function, TensorBase, apply, from_array
from minigrad._naming import named_node
from minigrad.ops.elementwise import eq, result_type, where
from minigrad.ops.index import gather, index_select, nonzero
from minigrad.ops.inplace import copy_
from minigrad.ops.linalg import matmul
from minigrad.ops.reduce import norm, sort
from minigrad.ops.reduce import sum as sum_
from minigrad.ops.shape import (
    DiagonalScatterFunction,
    alias,
    broadcast_shapes,
    cast,
    cat,
    clone,
    diag,
    diagonal,
    expand,
    flip,
    movedim,
    narrow,
    ravel,
    reshape,
    roll,
    select,
    split,
    sum_to_size,
    transpose,
    unsqueeze,
)

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


# At least so many dimensions


def _each(function: Any, tensors: tuple) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], TensorBase):
        return function(tensors[0])
    return tuple(function(x) for x in (tensors[0] if len(tensors) == 1 else tensors))


def atleast_1d(*tensors: Tensor) -> Any:
    """The tensor (or each of several) with at least one dimension."""
    return _each(lambda x: reshape(x, 1) if x.ndim == 0 else x, tensors)


def atleast_2d(*tensors: Tensor) -> Any:
    """The tensor (or each of several) with at least two dimensions, a vector as a row."""
    return _each(lambda x: reshape(x, 1, -1) if x.ndim < 2 else x, tensors)


def atleast_3d(*tensors: Tensor) -> Any:
    """The tensor (or each of several) with at least three dimensions: (n) as (1, n, 1), (m, n) as (m, n, 1)."""
    return _each(lambda x: reshape(x, 1, -1, 1) if x.ndim < 2 else unsqueeze(x, -1) if x.ndim == 2 else x, tensors)


# Joining


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """cat along the third dimension, of tensors with at least three (atleast_3d)."""
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """cat along the second dimension, vectors as columns."""
    return cat([reshape(x, x._array.size, 1) if x.ndim < 2 else x for x in tensors], 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with these matrices along its diagonal and zeros elsewhere; a vector is a row."""
    blocks = [atleast_2d(x) for x in tensors]
    for x in blocks:
        if x.ndim > 2:
            raise RuntimeError(f"torch.block_diag: Input tensors must have 2 or fewer dimensions, but got {x.ndim}")
    width = sum(x._array.shape[1] for x in blocks)
    rows, start = [], 0
    for x in blocks:
        height, own = x._array.shape
        rows.append(cat([x.new_zeros((height, start)), x, x.new_zeros((height, width - start - own))], 1))
        start += own
    return cat(rows, 0)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Every combination of one element of each vector, a row each, the last one changing fastest."""
    for x in tensors:
        if x.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x._array.shape)}")
    if len(tensors) == 1:
        return alias(tensors[0])
    sizes = [x._array.size for x in tensors]
    columns = [reshape(expand(reshape(x, (-1,) + (1,) * (len(sizes) - 1 - i)), sizes), -1, 1) for i, x in enumerate(tensors)]
    return cat(columns, 1)


# Splitting


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive pieces of a dimension, of these sizes."""
    return split(input, list(split_sizes), dim)


def tensor_split(input: Tensor, indices_or_sections: int | Sequence[int] | Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces of a dimension: so many of nearly equal size, the larger ones first, or those between these positions."""
    if input.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = normalize_dim(dim, input.ndim)
    size = input._array.shape[dim]
    if isinstance(indices_or_sections, TensorBase):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, (int, np.integer)):
        n = int(indices_or_sections)
        if n <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {n}")
        if n >= 2**31:
            raise ValueError(f"tensor_split: {n} sections are more than anything could hold")
        return split(input, [size // n + (i < size % n) for i in range(n)], dim)
    pieces, start = [], 0
    for stop in [*indices_or_sections, size]:
        low, high, _ = slice(start, stop).indices(size)
        pieces.append(narrow(input, dim, low, max(high - low, 0)))
        start = stop
    return tuple(pieces)


def _numpy_split(name: str, input: Tensor, where_: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if input.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {input.ndim}"
        )
    if isinstance(where_, int) and (where_ <= 0 or input._array.shape[dim] % where_):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {input._array.shape[dim]} is "
            f"not divisible by the split_size {where_}!"
        )
    return tensor_split(input, where_, dim)


def hsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split of the second dimension (the first of a vector) into equal pieces or at these positions."""
    return _numpy_split("hsplit", input, indices_or_sections, 0 if input.ndim == 1 else 1, 1)


def vsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split of the first dimension into equal pieces or at these positions."""
    return _numpy_split("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split of the third dimension into equal pieces or at these positions."""
    return _numpy_split("dsplit", input, indices_or_sections, 2, 3)


@named_node
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` entries of a dimension, `step` apart; the window is the last dimension. A copy."""
    dim = normalize_dim(dimension, input.ndim)
    length = input._array.shape[dim] if input.ndim else 1
    if size < 0 or size > length:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    starts = np.arange(0, length - size + 1, step)
    picked = index_select(
        reshape(input, 1) if input.ndim == 0 else input, dim, from_array((starts[:, None] + np.arange(size)).reshape(-1))
    )
    return movedim(reshape(picked, *picked._array.shape[:dim], len(starts), size, *picked._array.shape[dim + 1 :]), dim + 1, -1)


# Turning, and diagonals


@named_node
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy turned k times by 90 degrees in the plane of two dimensions, from the first towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = (normalize_dim(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    if k == 0:
        return clone(input)
    if k == 2:
        return flip(input, (a, b))
    return transpose(flip(input, (b,)), a, b) if k == 1 else transpose(flip(input, (a,)), a, b)


def adjoint(input: Tensor) -> Tensor:
    """A view with the last two dimensions exchanged."""
    return transpose(input, -2, -1)


@named_node
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dimension's vectors on a diagonal; the matrices lie in dim1 and dim2."""
    ndim = input.ndim + 1
    dim1, dim2 = normalize_dim(dim1, ndim), normalize_dim(dim2, ndim)
    if dim1 == dim2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = input._array.shape[-1] + abs(offset)
    shape = list(input._array.shape[:-1])
    for dim in sorted((dim1, dim2)):
        shape.insert(dim, n)
    return apply(DiagonalScatterFunction((offset, dim1, dim2), tuple(shape)), input)


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A square matrix with all the elements on a diagonal."""
    return diag(ravel(input), offset)


@named_node
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return sum_(diagonal(input))


# Replacing a part, out of place


def _with_part(input: Tensor, src: Tensor, part: Any) -> Tensor:
    out = clone(input)
    target = part(out)
    if target._array.shape != src._array.shape:
        raise RuntimeError(
            f"expected src to have the size of the part it replaces: {list(target._array.shape)}, but got {list(src._array.shape)}"
        )
    copy_(target, src)
    return out


@named_node
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of input with src in place of select(dim, index)."""
    return _with_part(input, src, lambda x: select(x, dim, index))


@named_node
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of input with src in place of the slice start:end:step of a dimension."""
    axis = normalize_dim(dim, input.ndim)
    return _with_part(input, src, lambda x: x[(slice(None),) * axis + (slice(start, end, step),)])


@named_node
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of input with src in place of diagonal(offset, dim1, dim2)."""
    return _with_part(input, src, lambda x: diagonal(x, offset, dim1, dim2))


@named_node
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of input with the elements of source, in order, where the (broadcast) mask holds."""
    if mask.dtype is not _dtype.bool:
        raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype}")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {input.dtype} and {source.dtype}"
        )
    shape = broadcast_shapes(input._array.shape, mask._array.shape)
    wide = np.broadcast_to(mask._array, shape)
    count = int(wide.sum())
    if source._array.size < count:
        raise RuntimeError(
            "masked_scatter: expected the number of source elements to be at least the number of True in the mask"
        )
    positions = np.cumsum(wide.reshape(-1)) - 1
    if count == 0:
        return clone(expand(input, shape))
    chosen = reshape(index_select(ravel(source), 0, from_array(np.maximum(positions, 0))), shape)
    return where(from_array(np.array(wide, order="C")), chosen, expand(input, shape))


# Running extrema, differences, products


def _running(input: Tensor, dim: int, running: np.ufunc, beats: np.ufunc) -> tuple[Tensor, Tensor]:
    axis = normalize_dim(dim, input.ndim)
    x = input._array.reshape(-1) if input.ndim == 0 else input._array
    best = running.accumulate(x, axis=axis)
    new = beats(x, best) | (np.isnan(x) if x.dtype.kind == "f" else False)
    positions = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    indices = np.maximum.accumulate(np.where(new, positions, 0), axis=axis)
    index = from_array(np.array(indices.reshape(input._array.shape), order="C"))
    return gather(input, axis, index), index


@accepts_axis
@named_node
def cummax(input: Tensor, dim: int) -> return_types.cummax:
    """(values, indices) of the largest element so far along a dimension, the last of equals; a NaN stays."""
    return return_types.cummax(*_running(input, dim, np.maximum, np.greater_equal))


@accepts_axis
@named_node
def cummin(input: Tensor, dim: int) -> return_types.cummin:
    """(values, indices) of the smallest element so far along a dimension, the last of equals; a NaN stays."""
    return return_types.cummin(*_running(input, dim, np.minimum, np.less_equal))


@accepts_axis
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """The n-th differences of neighbours along a dimension, after `prepend` and `append` were put before and behind it."""
    if input.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    axis = normalize_dim(dim, input.ndim)
    parts = [x for x in (prepend, input, append) if x is not None]
    x = cat(parts, axis) if len(parts) > 1 else input
    if n == 0:
        return clone(x)
    for _ in range(n):
        size = x._array.shape[axis]
        if size == 0:
            return x
        later, earlier = narrow(x, axis, 1, size - 1), narrow(x, axis, 0, size - 1)
        x = later - earlier if x.dtype is not _dtype.bool else later ^ earlier
    return x


def msort(input: Tensor) -> Tensor:
    """The values sorted along the first dimension."""
    return sort(input, 0).values


@named_node
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other."""
    return norm(input - other, float(p))


class EuclideanFunction(Function):
    """sqrt(|x|^2 + |y|^2 - 2 x.y), cut at 0, of each row x and each row y; d = g (x - y) / out, 0 where out is 0."""

    def forward(self, x, y):
        squares = (x * x).sum(-1, keepdims=True) + (y * y).sum(-1, keepdims=True).swapaxes(-1, -2)
        products = matmul(from_array(x), transpose(from_array(y), -1, -2))._array
        return kernels.sqrt(
            kernels.maximum(kernels.sub(squares, kernels.mul(products, np.asarray(2, x.dtype))), np.zeros((), x.dtype))
        )

    def backward(self, g, x, y, out):
        gx, gy = self.needs_input_grad
        zero = eq(out, 0.0)
        share = where(zero, 0.0, g / where(zero, 1.0, out))
        return (
            sum_to_size(sum_(share, -1, True) * x - matmul(share, y), x._array.shape) if gx else None,
            sum_to_size(transpose(sum_(share, -2, True), -1, -2) * y - matmul(transpose(share, -1, -2), x), y._array.shape)
            if gy
            else None,
        )


@named_node
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norm distance of each row of x1 (..., P, M) and each of x2 (..., R, M): (..., P, R).

    As in PyTorch, Euclidean distances come from a matrix product, which loses the small distances of long rows to rounding, if P or R
    is above 25; compute_mode "use_mm_for_euclid_dist" and "donot_use_mm_for_euclid_dist" decide it.
    """
    if compute_mode not in (None, *_DISTANCE_MODES):
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1._array.shape[-1] != x2._array.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1._array.shape[-1]} X2: {x2._array.shape[-1]}"
        )
    by_product = compute_mode == _DISTANCE_MODES[1] or (
        compute_mode in (None, _DISTANCE_MODES[0]) and max(x1._array.shape[-2], x2._array.shape[-2]) > 25
    )
    if p == 2 and by_product and x1.dtype is x2.dtype and x1.dtype.is_floating_point:
        return apply(EuclideanFunction(), x1, x2)
    return norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), float(p), -1)


_DISTANCE_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


@named_node
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product along a dimension of size 3: by default the first one of that size."""
    shape = broadcast_shapes(input._array.shape, other._array.shape)
    if dim is None:
        if 3 not in shape:
            raise RuntimeError(f"no dimension of size 3 in input: the shape is {list(shape)}")
        dim = shape.index(3)
    axis = normalize_dim(dim, len(shape))
    if shape[axis] != 3:
        raise RuntimeError(f"inputs dimension {dim} must have length 3. Got {shape[axis]}")
    x, y = expand(input, shape), expand(other, shape)
    return roll(x, -1, axis) * roll(y, -2, axis) - roll(x, -2, axis) * roll(y, -1, axis)


class KronFunction(Function):
    """x[i, j] y[k, l] at [i K + k, j L + l] for x and y with as many dimensions, and so on."""

    def forward(self, x, y):
        self.pairs = [size for pair in zip(x.shape, y.shape, strict=True) for size in pair]
        self.spread = [size for m in x.shape for size in (m, 1)], [size for n in y.shape for size in (1, n)]
        product = kernels.mul(x.reshape(self.spread[0]), y.reshape(self.spread[1]))
        return product.reshape([m * n for m, n in zip(x.shape, y.shape, strict=True)])

    def backward(self, g, x, y):
        gx, gy = self.needs_input_grad
        g = reshape(g, self.pairs)
        of_x, of_y = self.spread
        return (
            sum_(g * reshape(y, of_y), tuple(range(1, g.ndim, 2))) if gx else None,
            sum_(g * reshape(x, of_x), tuple(range(0, g.ndim, 2))) if gy else None,
        )


@named_node
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of input times all of other."""
    ndim = max(input.ndim, other.ndim)
    x, y = (t if t.ndim == ndim else reshape(t, (1,) * (ndim - t.ndim) + t._array.shape) for t in (input, other))
    dtype = result_type(x, y)
    return apply(KronFunction(), cast(x, dtype), cast(y, dtype))


# Indices and counts: not differentiable


def argwhere(input: Tensor) -> Tensor:
    """The indices of the nonzero elements, a row each."""
    return nonzero(input)


def _triangle(function: Any, row: int, col: int, offset: int, dtype: _dtype.dtype | None) -> Tensor:
    if row < 0 or col < 0:
        raise RuntimeError(f"row and col must be non-negative, got {row} and {col}")
    return from_array(np.array(function(row, offset, col), (dtype or _dtype.int64).np).reshape(2, -1))


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: _dtype.dtype | None = None, device: object = None) -> Tensor:
    """The rows and the columns of the lower triangle of a matrix: (2, number of elements), int64."""
    return _triangle(np.tril_indices, row, col, offset, dtype)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: _dtype.dtype | None = None, device: object = None) -> Tensor:
    """The rows and the columns of the upper triangle of a matrix: (2, number of elements), int64."""
    return _triangle(np.triu_indices, row, col, offset, dtype)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number 0, 1, ... occurs in a vector of non-negative integers, or the sums of their weights."""
    if input.dtype.is_floating_point:
        raise NotImplementedError(f"bincount is not implemented for {input.dtype}: convert it with .long()")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    x = np.asarray(input._array, np.int64, order="C")
    counts = index.counted(x, minlength) if input.ndim == 1 else None
    if counts is None:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return from_array(counts)
    if weights._array.shape != input._array.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input, but got {list(weights._array.shape)} for "
            f"{list(input._array.shape)}"
        )
    dtype = weights._array.dtype if weights._array.dtype == np.float32 else np.float64
    return from_array(np.bincount(x, weights._array, minlength).astype(dtype))


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is one of the test elements."""
    x, y = (v._array if isinstance(v, TensorBase) else np.asarray(v) for v in (elements, test_elements))
    return from_array(np.asarray(np.isin(x, y, invert=invert)))


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each value would go into the sorted vectors of the last dimension: before its equals, or (right) behind them."""
    if side not in (None, "left", "right"):
        raise RuntimeError(f"side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError("side and right can't be set to opposites, got side of left while right was True")
    lines, values = sorted_sequence._array, input._array if isinstance(input, TensorBase) else np.asarray(input)
    if sorter is not None:
        lines = np.take_along_axis(lines, sorter._array, -1)
    which = "right" if right or side == "right" else "left"
    if lines.ndim == 1:
        found = np.searchsorted(lines, values, which)
    else:
        if lines.shape[:-1] != values.shape[:-1]:
            raise RuntimeError(
                "boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor "
                f"must match, but we got boundaries tensor {list(lines.shape)} and input value tensor {list(values.shape)}"
            )
        found = np.empty(values.shape, np.int64)
        for i in np.ndindex(lines.shape[:-1]):
            found[i] = np.searchsorted(lines[i], values[i], which)
    return from_array(np.asarray(found, np.int32 if out_int32 else np.int64))


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the bucket between ascending boundaries that each value lies in; the upper one belongs to it unless right."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero. Raises RuntimeError for more or fewer."""
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether the shapes are equal."""
    return input._array.shape == other._array.shape


def detach(input: Tensor) -> Tensor:
    """The same values outside the graph."""
    return input.detach()
