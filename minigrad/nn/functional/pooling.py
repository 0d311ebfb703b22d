"""Pooling and unpooling: maxima, means and p-norms of windows over the last one, two or three dimensions.

An input is (N, C, ...) or (C, ...), with D, H, W elements along the pooled dimensions. Along each of them a window starts every
`stride` elements (kernel_size where stride is None) and takes `kernel_size` elements that lie `dilation` apart; `padding`
elements are imagined on both sides, at most kernel_size / 2. The output has

    floor((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1

elements, with ceil in place of floor if ceil_mode, less a last window that would start beyond the input and its left padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from minigrad import _dtype
from minigrad._arguments import check_elements, ntuple
from minigrad._ext.engine import TensorBase
from minigrad._naming import named_node
from minigrad.ops import pool
from minigrad.ops.elementwise import where

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Size = int | Sequence[int]
OptionalSize = int | None | Sequence[int | None]

_TORCH_NAMES = {"int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}


# Checks


def _ints(value: Any, n: int, function: str, argument: str) -> tuple[int, ...]:
    """ntuple, with the usual case first: this is a good part of a small pooling's time."""
    return (value,) * n if type(value) is int else ntuple(value, n, function, argument)


def _check_tensor(function: str, argument: str, value: object) -> None:
    if not isinstance(value, TensorBase):
        raise TypeError(f"{function}(): argument {argument!r} must be Tensor, not {type(value).__name__}")


def _check_dtype(function: str, input: Tensor, integers: tuple[_dtype.dtype, ...] = ()) -> None:
    if not input.dtype.is_floating_point and input.dtype not in integers:
        raise NotImplementedError(f'"{function}" not implemented for {_TORCH_NAMES[input.dtype.name]!r}')


def _check_bool(function: str, argument: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{function}(): argument {argument!r} must be bool, not {type(value).__name__}")


def _check_rank(function: str, input: Tensor, n: int) -> None:
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{function}(): expected a {n + 1}-d input (C, ...) or a {n + 2}-d one (N, C, ...), but got {list(input.shape)}"
        )


def _check_not_empty(function: str, input: Tensor, first: int) -> None:
    """Raises if a dimension from `first` on has no elements."""
    if 0 in input._array.shape[first:]:
        raise RuntimeError(
            f"{function}(): only the batch may be empty, but the input has shape {list(input.shape)} with dimension "
            f"{list(input.shape).index(0, first)} being empty"
        )


def _axes(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


@lru_cache(maxsize=1024)
def _windows(
    function: str,
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> pool.pool.Geometry:
    """The checked geometry of sliding windows. Raises RuntimeError for parameters that are out of range."""
    for name, values in (("stride", stride), ("kernel_size", kernel), ("dilation", dilation)):
        if min(values) < 1:
            raise RuntimeError(f"{function}(): {name} must be greater than zero, but got {name}={values}")
        if max(values) >= 1 << 31:
            raise RuntimeError(f"{function}(): {name} must be less than 2**31, but got {name}={values}")
    if min(padding) < 0:
        raise RuntimeError(f"{function}(): padding must not be negative, but got padding={padding}")
    if any(p > k // 2 for k, p in zip(kernel, padding, strict=True)):
        raise RuntimeError(
            f"{function}(): padding must be at most half of kernel_size, but got padding={padding} and kernel_size={kernel}"
        )
    out = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - d * (k - 1) - 1
        length = (-(-span // s) if ceil_mode else span // s) + 1
        out.append(length - 1 if ceil_mode and (length - 1) * s >= n + p else length)
    if min(out) < 1:
        raise RuntimeError(
            f"{function}(): the output would have size {_axes(out)}, which is too small: the input has size {_axes(size)}, with "
            f"kernel_size={kernel}, stride={stride}, padding={padding}, dilation={dilation}"
        )
    _check_plane(function, size)
    # What lies beyond the padded input changes nothing but the kernels' scratch, which grows with strides and windows.
    border = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    kernel = tuple(min(k, most) for k, most in zip(kernel, border, strict=True))
    stride = tuple(min(s, most) for s, most in zip(stride, border, strict=True))
    dilation = tuple(min(d, most) for d, most in zip(dilation, border, strict=True))
    geometry = pool.sliding_windows(size, tuple(out), kernel, stride, padding, dilation, count_include_pad, divisor)
    if geometry.smallest == 0:
        raise RuntimeError(
            f"{function}(): a window lies in the padding alone: the input has size {_axes(size)}, with kernel_size={kernel}, "
            f"padding={padding}, dilation={dilation}"
        )
    return geometry


def _check_plane(function: str, size: tuple[int, ...]) -> None:
    if math.prod(size) >= 2**31:
        raise RuntimeError(f"{function}(): a plane of {_axes(size)} elements is too large: it must have fewer than 2**31")


# Max pooling


def _max_pool(
    n: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    function = f"max_pool{n}d"
    _check_tensor(function, "input", input)
    kernel = _ints(kernel_size, n, function, "kernel_size")
    steps = kernel if stride is None or stride == () or stride == [] else _ints(stride, n, function, "stride")
    padding, dilation = _ints(padding, n, function, "padding"), _ints(dilation, n, function, "dilation")
    _check_bool(function, "ceil_mode", ceil_mode)
    _check_rank(function, input, n)
    _check_not_empty(function, input, 0 if input.ndim == n + 1 else 1)
    _check_dtype(function, input, (_dtype.int64, _dtype.int32, _dtype.int16, _dtype.int8, _dtype.uint8))
    geometry = _windows(function, input._array.shape[-n:], kernel, steps, padding, dilation, ceil_mode, True, None)
    return (pool.max_pool_with_indices if return_indices else pool.max_pool)(input, geometry, n)


def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window: (N, C, L) or (C, L) to (N, C, OL) or (C, OL), in the input's dtype (integers too).

    A NaN is greater than everything; of equal maxima the first has the gradient. With return_indices also the int64 positions of
    the maxima, flat over the pooled dimensions. Raises RuntimeError for a wrong rank, an empty dimension other than the batch,
    parameters out of range or an output without elements, TypeError for parameters that are not ints.
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool1d over two dimensions: (N, C, H, W) or (C, H, W)."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool1d over three dimensions: (N, C, D, H, W) or (C, D, H, W)."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """max_pool1d that gives the indices, whatever return_indices says."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """max_pool2d that gives the indices, whatever return_indices says."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """max_pool3d that gives the indices, whatever return_indices says."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


# Unpooling


def _unpool_size(
    function: str, default: list[int], stride: tuple[int, ...], output_size: Sequence[int] | None
) -> tuple[int, ...]:
    """output_size without its batch and channels, checked to be nearer to the default than one stride."""
    n = len(default)
    if output_size is None:
        size = tuple(default)
    else:
        size = tuple(output_size)
        if len(size) == n + 2:
            size = size[2:]
        if len(size) != n:
            raise ValueError(
                f"{function}(): output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of "
                f"'{len(output_size)}'"
            )
        for d, (length, middle, step) in enumerate(zip(size, default, stride, strict=True)):
            if not middle - step < length < middle + step:
                raise ValueError(
                    f'{function}(): invalid output_size "{tuple(output_size)}" (dim {d} must be between {middle - step} and '
                    f"{middle + step})"
                )
    if min(size) < 0:
        raise ValueError(f"{function}(): output_size must contain non-negative spatial dimensions, but got {size}")
    return _ints(size, n, function, "output_size")


def _max_unpool(
    n: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> Tensor:
    function = f"max_unpool{n}d"
    _check_tensor(function, "input", input)
    _check_tensor(function, "indices", indices)
    kernel = _ints(kernel_size, n, function, "kernel_size")
    steps = kernel if stride is None else _ints(stride, n, function, "stride")
    padding = _ints(padding, n, function, "padding")
    _check_rank(function, input, n)
    default = [(length - 1) * s + k - 2 * p for length, k, s, p in zip(input.shape[-n:], kernel, steps, padding, strict=True)]
    size = _unpool_size(function, default, steps, output_size)
    if indices.dtype is not _dtype.int64:
        raise RuntimeError(f"{function}(): expected int64 indices, but got {indices.dtype}")
    if indices.shape != input.shape:
        raise RuntimeError(
            f"{function}(): expected the indices to have the shape of the input, {list(input.shape)}, but got {list(indices.shape)}"
        )
    _check_not_empty(function, input, 1)
    if min(steps) < 1:
        raise RuntimeError(f"{function}(): stride must be greater than zero, but got stride={steps}")
    _check_dtype(function, input)
    _check_plane(function, size)
    positions = indices._array
    if positions.size and (positions.min() < 0 or positions.max() >= math.prod(size)):
        worst = positions.min() if positions.min() < 0 else positions.max()
        raise RuntimeError(f"{function}(): found an invalid max index: {worst} (output volumes are of size {_axes(size)})")
    return pool.max_unpool(input, indices, size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """A partial inverse of max_pool1d: zeros, with the input's elements at the int64 `indices` that max_pool1d returned.

    The output has (L - 1) * stride + kernel_size - 2 * padding elements, or output_size, which must differ by less than a stride
    (ValueError). Raises RuntimeError for indices of another dtype or shape, or out of range: also where the output has no elements
    (PyTorch does not look then).
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """A partial inverse of max_pool2d, see max_unpool1d."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """A partial inverse of max_pool3d, see max_unpool1d."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


# Average pooling


def _avg_pool(
    n: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    function = f"avg_pool{n}d"
    _check_tensor(function, "input", input)
    kernel = _ints(kernel_size, n, function, "kernel_size")
    steps = kernel if stride is None or stride == () or stride == [] else _ints(stride, n, function, "stride")
    padding = _ints(padding, n, function, "padding")
    _check_bool(function, "ceil_mode", ceil_mode)
    _check_bool(function, "count_include_pad", count_include_pad)
    if divisor_override is not None:
        if isinstance(divisor_override, bool) or not isinstance(divisor_override, int):
            kind = type(divisor_override).__name__
            raise TypeError(f"{function}(): argument 'divisor_override' must be int, not {kind}")
        if divisor_override == 0:
            raise RuntimeError(f"{function}(): divisor_override must not be zero")
    if n == 2 and input.ndim < 3:
        raise IndexError(f"{function}(): expected a 3-d input (C, H, W) or a 4-d one (N, C, H, W), but got {list(input.shape)}")
    _check_rank(function, input, n)
    _check_not_empty(function, input, 0 if input.ndim == n + 1 else 1)
    _check_dtype(function, input, (_dtype.int64,))
    size = input._array.shape[-n:]
    if n == 3 and any(length < k for length, k in zip(size, kernel, strict=True)):
        raise RuntimeError(f"{function}(): the input of size {_axes(size)} is smaller than kernel_size={kernel}")
    geometry = _windows(function, size, kernel, steps, padding, (1,) * n, ceil_mode, count_include_pad, divisor_override)
    return pool.avg_pool(input, geometry, n)


def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (N, C, L) or (C, L) to (N, C, OL) or (C, OL).

    Padding is zeros, which count as elements only if count_include_pad. int64 gives int64, cut towards zero; other integers raise
    NotImplementedError. Otherwise it raises as max_pool1d does.
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """avg_pool1d over two dimensions. divisor_override, where given, divides the sums in place of the number of elements."""
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """avg_pool1d over three dimensions. divisor_override, where given, divides the sums in place of the number of elements.

    Raises RuntimeError also for a kernel_size above the input's size, whatever the padding.
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# Power-average pooling


def _lp_pool(n: int, input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None, ceil_mode: bool) -> Tensor:
    function = f"lp_pool{n}d"
    _check_tensor(function, "input", input)
    if not isinstance(norm_type, (int, float)):
        raise TypeError(f"{function}(): argument 'norm_type' must be a number, not {type(norm_type).__name__}")
    if n > 1 and isinstance(kernel_size, (tuple, list)) and len(kernel_size) != n:
        raise ValueError(f"{function}(): expected kernel_size to be an int or {n} ints, but got {tuple(kernel_size)}")
    if abs(norm_type) == math.inf:
        largest = _max_pool(n, input.abs() if norm_type > 0 else -input.abs(), kernel_size, stride, 0, 1, ceil_mode, False)
        return largest if norm_type > 0 else -largest
    elements = math.prod(_ints(kernel_size, n, function, "kernel_size"))
    sums = _avg_pool(n, input**norm_type, kernel_size, stride, 0, ceil_mode, True, None) * elements
    # The root's derivative at 0 is infinite; a sum of 0 gets the gradient 0 instead.
    nothing = sums == 0
    return where(nothing, 0.0 if norm_type > 0 else math.inf, where(nothing, 1.0, sums) ** (1.0 / norm_type))


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of x ** norm_type over each window) ** (1 / norm_type); the maximum of |x| for inf, the minimum for -inf.

    Where the sum is 0 the gradient is 0. A window that ceil_mode lets reach beyond the input is scaled up to a full one. Raises as
    avg_pool1d and max_pool1d do, but ValueError for a kernel_size of the wrong length (of two and three dimensions).
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """lp_pool1d over two dimensions."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """lp_pool1d over three dimensions."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# Adaptive pooling


def _adaptive_size(function: str, input: Tensor, output_size: OptionalSize, n: int) -> tuple[int, ...]:
    """output_size as n ints; None (not for one dimension) stands for the input's size."""
    if n > 1 and isinstance(output_size, (tuple, list)):
        if len(output_size) >= input.ndim:
            raise ValueError(
                f"{function}(): output_size {tuple(output_size)} is too long for an input of shape {list(input.shape)}"
            )
        sizes = input.shape[input.ndim - len(output_size) :]
        output_size = tuple(size if o is None else o for o, size in zip(output_size, sizes, strict=True))
    if isinstance(output_size, (tuple, list)) and len(output_size) != n:
        raise RuntimeError(f"{function}(): output_size must have {n} elements, but got {tuple(output_size)}")
    size = _ints(output_size, n, function, "output_size")
    if min(size) < 0:
        raise RuntimeError(f"{function}(): output_size must not be negative, but got {size}")
    if max(size) >= 1 << 31:
        raise RuntimeError(f"{function}(): storage size calculation overflowed with output_size={size}")
    check_elements((*input._array.shape[: max(input.ndim - n, 0)], *size), function)
    return size


def _adaptive_avg_pool(n: int, input: Tensor, output_size: OptionalSize) -> Tensor:
    function = f"adaptive_avg_pool{n}d"
    _check_tensor(function, "input", input)
    size = _adaptive_size(function, input, output_size, n)
    _check_rank(function, input, n)
    _check_not_empty(function, input, 1 if n == 3 else input.ndim - n)
    _check_dtype(function, input)
    whole = n > 1 and all(s == 1 for s in size)
    average = pool.global_avg_pool if whole else pool.avg_pool
    return average(input, pool.adaptive_windows(input._array.shape[-n:], size), n)


def _adaptive_max_pool(n: int, input: Tensor, output_size: OptionalSize, return_indices: bool) -> Any:
    function = f"adaptive_max_pool{n}d"
    _check_tensor(function, "input", input)
    size = _adaptive_size(function, input, output_size, n)
    _check_rank(function, input, n)
    _check_not_empty(function, input, 1)
    _check_dtype(function, input)
    _check_plane(function, input._array.shape[-n:])
    geometry = pool.adaptive_windows(input._array.shape[-n:], size)
    return (pool.max_pool_with_indices if return_indices else pool.max_pool)(input, geometry, n)


def adaptive_avg_pool1d(input: Tensor, output_size: OptionalSize) -> Tensor:
    """Means of output_size windows: window o reaches from floor(o * L / output_size) to ceil((o + 1) * L / output_size).

    (N, C, L) or (C, L) to (N, C, output_size) or (C, output_size). Raises RuntimeError for a wrong rank, an empty dimension, or an
    output_size that is negative or has the wrong length, TypeError for one that is not an int, NotImplementedError for integers.
    (PyTorch takes an empty dimension where output_size is 1, and gives NaN.)
    """
    return _adaptive_avg_pool(1, input, output_size)


@named_node
def adaptive_avg_pool2d(input: Tensor, output_size: OptionalSize) -> Tensor:
    """adaptive_avg_pool1d over two dimensions; None in output_size keeps the input's size."""
    return _adaptive_avg_pool(2, input, output_size)


@named_node
def adaptive_avg_pool3d(input: Tensor, output_size: OptionalSize) -> Tensor:
    """adaptive_avg_pool1d over three dimensions; None in output_size keeps the input's size."""
    return _adaptive_avg_pool(3, input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: OptionalSize, return_indices: bool = False) -> Any:
    """Maxima of output_size windows, which lie as in adaptive_avg_pool1d; with return_indices also their int64 positions."""
    return _adaptive_max_pool(1, input, output_size, return_indices)


@named_node
def adaptive_max_pool2d(input: Tensor, output_size: OptionalSize, return_indices: bool = False) -> Any:
    """adaptive_max_pool1d over two dimensions; None in output_size keeps the input's size."""
    return _adaptive_max_pool(2, input, output_size, return_indices)


@named_node
def adaptive_max_pool3d(input: Tensor, output_size: OptionalSize, return_indices: bool = False) -> Any:
    """adaptive_max_pool1d over three dimensions; None in output_size keeps the input's size."""
    return _adaptive_max_pool(3, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Size, return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """adaptive_max_pool1d that gives the indices, whatever return_indices says."""
    return _adaptive_max_pool(1, input, output_size, True)


@named_node
def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: OptionalSize, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """adaptive_max_pool2d that gives the indices, whatever return_indices says."""
    return _adaptive_max_pool(2, input, output_size, True)


@named_node
def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: OptionalSize, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """adaptive_max_pool3d that gives the indices, whatever return_indices says."""
    return _adaptive_max_pool(3, input, output_size, True)
