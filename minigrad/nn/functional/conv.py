"""Convolutions and transposed convolutions in one, two and three dimensions, unfold and fold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from minigrad._arguments import MOST_ELEMENTS, ntuple
from minigrad._ext.engine import TensorBase
from minigrad.ops import conv as ops
from minigrad.ops import shape as shape_ops
from minigrad.ops.conv import Geometry
from minigrad.tensor import Tensor

Ints = int | Sequence[int]


def _hashable(value: object) -> object:
    """A list as a tuple, so that a geometry is worked out once for the same arguments."""
    return tuple(value) if isinstance(value, list) else value


def _check_positive(function: str, name: str, values: tuple[int, ...], least: int = 1) -> None:
    if min(values) < least:
        kind = "non-positive" if least else "negative"
        raise RuntimeError(f"{function}: {kind} {name} is not supported, got {values}")


def _check_tensors(function: str, rank: int, x: Tensor, w: Tensor, bias: Tensor | None) -> None:
    if not (isinstance(x, TensorBase) and isinstance(w, TensorBase) and (bias is None or isinstance(bias, TensorBase))):
        for name, value in (("input", x), ("weight", w), ("bias", bias)):
            if not isinstance(value, TensorBase):
                raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(value).__name__}")
    image, weight = x._array, w._array
    if image.ndim != rank + 2 and image.ndim != rank + 1:
        raise RuntimeError(
            f"{function}: expected an input of {rank + 1} (unbatched) or {rank + 2} (batched) axes, got shape {image.shape} with "
            f"a weight of shape {weight.shape}"
        )
    if weight.ndim != rank + 2:
        raise RuntimeError(
            f"{function}: expected a weight of {rank + 2} axes, got shape {weight.shape} with an input of shape {image.shape}"
        )
    if weight.dtype != image.dtype or (bias is not None and bias._array.dtype != image.dtype):
        types = f"{x.dtype}, {w.dtype}" + ("" if bias is None else f" and bias {bias.dtype}")
        raise RuntimeError(f"{function}: expected input and weight of the same dtype, got {types}: convert with .to(dtype)")
    if image.dtype.kind != "f":
        raise NotImplementedError(f"{function}: not implemented for {x.dtype}: convert input and weight with .float()")


def _check_bias(function: str, bias: Tensor | None, channels: int, weight: tuple[int, ...]) -> None:
    if bias is not None and bias._array.shape != (channels,):
        raise RuntimeError(
            f"{function}: expected a bias of shape ({channels},), got {tuple(bias.shape)} with a weight of shape {weight}"
        )


def _check_groups(function: str, groups: object, weight: tuple[int, ...]) -> None:
    if not isinstance(groups, int) or isinstance(groups, bool):
        raise TypeError(f"{function}(): argument 'groups' must be int, not {type(groups).__name__}")
    if groups < 1:
        raise RuntimeError(f"{function}: non-positive groups is not supported, got {groups}")
    if weight[0] < groups or weight[0] % groups:
        raise RuntimeError(
            f"{function}: axis 0 of the weight must be a positive multiple of groups={groups}, got a weight of shape {weight}"
        )
    if min(weight[2:]) < 1:
        raise RuntimeError(
            f"{function}: expected a kernel of at least one element along each axis, got a weight of shape {weight}"
        )


def _check_channels(
    function: str, expected: int, shape: tuple[int, ...], rank: int, weight: tuple[int, ...], groups: int
) -> None:
    channels = shape[len(shape) - rank - 1]
    if channels != expected:
        grouped = f" and groups={groups}" if groups > 1 else ""
        raise RuntimeError(
            f"{function}: expected {expected} input channels, got {channels} in an input of shape {shape} for a weight of shape "
            f"{weight}{grouped}"
        )


def _same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(before, after) with which a stride of 1 keeps the size; what is odd goes after."""
    total = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)


def _geometry(
    function: str,
    image: tuple[int, ...],
    kernel: tuple[int, ...],
    out: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> Geometry:
    """The geometry, with strides and dilations that lead out of the padded image brought down to its border: the kernels' scratch
    grows with them. Raises RuntimeError for sizes that no tensor can have."""
    if max(math.prod(image), math.prod(out), *padding) >= MOST_ELEMENTS:
        raise RuntimeError(f"{function}: sizes overflow: an image of {image}, an output of {out}, padding={padding}")
    border = [size + 2 * p + 1 for size, p in zip(image, padding)]
    stride = tuple(min(s, most) for s, most in zip(stride, border))
    dilation = tuple(min(d, most) for d, most in zip(dilation, border))
    return Geometry(image, kernel, out, stride, padding, dilation, groups)


@lru_cache(maxsize=512)
def _conv_geometry(
    function: str,
    shape: tuple[int, ...],
    weight: tuple[int, ...],
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> Geometry:
    """The geometry of a convolution of these arguments. Raises what conv2d documents."""
    rank = len(weight) - 2
    _check_groups(function, groups, weight)
    stride, dilation = ntuple(stride, rank, function, "stride"), ntuple(dilation, rank, function, "dilation")
    _check_positive(function, "stride", stride)
    _check_positive(function, "dilation", dilation)
    kernel, image = weight[2:], shape[-rank:]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"{function}: invalid padding string {padding!r}, should be 'same' or 'valid'")
        if padding == "same" and max(stride) > 1:
            raise RuntimeError(f"{function}: padding='same' is not supported for strided convolutions, got stride={stride}")
        before, after = _same_padding(kernel, dilation) if padding == "same" else ((0,) * rank, (0,) * rank)
    else:
        before = after = ntuple(padding, rank, function, "padding")
        _check_positive(function, "padding", before, 0)
    _check_channels(function, weight[1] * groups, shape, rank, weight, groups)
    out = []
    for size, k, s, b, a, d in zip(image, kernel, stride, before, after, dilation):
        if size + a + b < d * (k - 1) + 1:
            raise RuntimeError(
                f"{function}: the kernel is larger than the padded input: an input of shape {shape} padded by {before} before and "
                f"{after} after, a weight of shape {weight} with dilation={dilation}"
            )
        out.append((size + a + b - d * (k - 1) - 1) // s + 1)
    if 0 in image:
        raise RuntimeError(f"{function}: only the batch and the channels may be empty, got an input of shape {shape}")
    return _geometry(function, image, kernel, tuple(out), stride, before, dilation, groups)


@lru_cache(maxsize=512)
def _transposed_geometry(
    function: str,
    shape: tuple[int, ...],
    weight: tuple[int, ...],
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Geometry:
    """The geometry of the convolution whose adjoint is asked for: its output is the input here. Raises what conv_transpose2d
    documents."""
    rank = len(weight) - 2
    stride, dilation = ntuple(stride, rank, function, "stride"), ntuple(dilation, rank, function, "dilation")
    padding, extra = ntuple(padding, rank, function, "padding"), ntuple(output_padding, rank, function, "output_padding")
    _check_groups(function, groups, weight)
    _check_positive(function, "stride", stride)
    _check_positive(function, "dilation", dilation)
    _check_positive(function, "padding", padding, 0)
    _check_positive(function, "output_padding", extra, 0)
    _check_channels(function, weight[0], shape, rank, weight, groups)
    small, kernel = shape[-rank:], weight[2:]
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(
            f"{function}: output_padding must be smaller than either stride or dilation, got output_padding={extra}, "
            f"stride={stride}, dilation={dilation}"
        )
    if 0 in small:
        raise RuntimeError(f"{function}: only the batch and the channels may be empty, got an input of shape {shape}")
    sizes = zip(small, kernel, stride, padding, dilation, extra)
    image = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 + e for n, k, s, p, d, e in sizes)
    if min(image) < 0:
        raise RuntimeError(
            f"{function}: the output would have the sizes {image}: padding={padding} removes more than an input of shape {shape} "
            f"and a weight of shape {weight} give"
        )
    return _geometry(function, image, kernel, small, stride, padding, dilation, groups)


def _conv(
    function: str,
    rank: int,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> Tensor:
    _check_tensors(function, rank, x, w, bias)
    shape, weight = x._array.shape, w._array.shape
    geometry = _conv_geometry(function, shape, weight, _hashable(stride), _hashable(padding), _hashable(dilation), groups)
    _check_bias(function, bias, weight[0], weight)
    if len(shape) == rank + 2:
        return ops.conv(x, w, bias, geometry)
    return shape_ops.squeeze(ops.conv(shape_ops.unsqueeze(x, 0), w, bias, geometry), 0)


def _conv_transpose(
    function: str,
    rank: int,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Tensor:
    _check_tensors(function, rank, x, w, bias)
    if isinstance(padding, str):
        raise TypeError(f"{function}(): argument 'padding' must be an int or a tuple of {rank} ints, not {padding!r}")
    shape, weight = x._array.shape, w._array.shape
    numbers = [_hashable(v) for v in (stride, padding, output_padding, groups, dilation)]
    geometry = _transposed_geometry(function, shape, weight, *numbers)
    _check_bias(function, bias, weight[1] * groups, weight)
    if len(shape) == rank + 2:
        return ops.conv_transpose(x, w, bias, geometry)
    return shape_ops.squeeze(ops.conv_transpose(shape_ops.unsqueeze(x, 0), w, bias, geometry), 0)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """conv2d along one axis: input (N, C, L) or (C, L), weight (O, C / groups, K) -> (N, O, OL) or (O, OL)."""
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of an image with a kernel.

    y[n, o, i, j] = bias[o] + sum over c, k, l of x[n, c, i SH - PH + k DH, j SW - PW + l DW] w[o, c, k, l], c in o's group

    Args:
        input: (N, C, H, W) or (C, H, W). The batch and the channels may be empty.
        weight: (O, C / groups, KH, KW).
        bias: (O,) or None.
        stride, dilation: an int or a pair, at least 1.
        padding: zeros on both sides, an int or a pair; 'valid' is 0; 'same' keeps the size (stride 1 only), and where the padding
            is odd puts the larger half after the last element.
        groups: the channels are cut into as many groups, which do not see each other.

    Returns:
        (N, O, OH, OW) or (O, OH, OW) with OH = (H + 2 PH - DH (KH - 1) - 1) // SH + 1.

    Raises:
        TypeError: an argument that is no tensor, or no int.
        RuntimeError: shapes, dtypes or groups that do not agree, a kernel larger than the padded input, stride, dilation or
            groups below 1, negative padding.
        NotImplementedError: an integer dtype.
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """conv2d along three axes: input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW)."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """conv_transpose2d along one axis: input (N, C, L) or (C, L), weight (C, O / groups, K)."""
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """The adjoint (transpose) of conv2d with the same weight, stride, padding and dilation, plus a bias.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C, O / groups, KH, KW).
        bias: (O,) or None.
        stride, dilation: an int or a pair, at least 1.
        padding: how much is cut off on both sides of the output: what conv2d would pad its input by.
        output_padding: how much the output is longer at the end, less than stride or dilation: several sizes of image give the
            same size of conv2d's output, this picks one.
        groups: as in conv2d.

    Returns:
        (N, O, OH, OW) or (O, OH, OW) with OH = (H - 1) SH - 2 PH + DH (KH - 1) + output_padding + 1.

    Raises:
        TypeError, RuntimeError, NotImplementedError: as conv2d; also where the output would have a negative size. A size of 0 gives
            an empty output (in PyTorch it depends on dtype and batch whether it raises).
    """
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """conv_transpose2d along three axes: input (N, C, D, H, W) or (C, D, H, W), weight (C, O / groups, KD, KH, KW)."""
    return _conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


@lru_cache(maxsize=256)
def _blocks(function: str, image: Ints, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints, shape: tuple) -> Geometry:
    """The geometry of sliding blocks over an image; shape is that of the input, for messages."""
    names = "output_size", "kernel_size", "dilation", "padding", "stride"
    for name, value in zip(names, (image, kernel, dilation, padding, stride)):
        if isinstance(value, tuple) and len(value) != 2:
            raise RuntimeError(f"{function}: expected {name} to be an int or 2 ints, but got {value}")
    image = ntuple(image, 2, function, "output_size")
    kernel, dilation = ntuple(kernel, 2, function, "kernel_size"), ntuple(dilation, 2, function, "dilation")
    padding, stride = ntuple(padding, 2, function, "padding"), ntuple(stride, 2, function, "stride")
    _check_positive(function, "kernel_size", kernel)
    _check_positive(function, "stride", stride)
    _check_positive(function, "dilation", dilation)
    _check_positive(function, "padding", padding, 0)
    sizes = zip(image, kernel, dilation, padding, stride)
    out = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in sizes)
    if min(out) < 1:
        raise RuntimeError(
            f"{function}: no block fits: an image of size {image} with kernel_size={kernel}, dilation={dilation}, "
            f"padding={padding}, stride={stride} has {out} blocks, for an input of shape {shape}"
        )
    return _geometry(function, image, kernel, out, stride, padding, dilation)


def _check_image(function: str, x: Tensor, ndims: tuple[int, int], what: str) -> None:
    if not isinstance(x, TensorBase):
        raise TypeError(f"{function}(): argument 'input' must be Tensor, not {type(x).__name__}")
    shape = tuple(x.shape)
    if x.ndim not in ndims or 0 in (shape[1:] if x.ndim == ndims[1] else shape):
        raise RuntimeError(f"{function}: expected an input of shape {what} that is empty in its batch at most, got {shape}")
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f"{function}: not implemented for {x.dtype}: convert with .float()")


def unfold(input: Tensor, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Tensor:
    """The sliding blocks of an image as columns (im2col).

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size, dilation, padding, stride: an int or a pair, as in conv2d.

    Returns:
        (N, C * KH * KW, L) or (C * KH * KW, L), L blocks in row order.

    Raises:
        IndexError: an input of fewer than three axes.
        RuntimeError: another shape, no block that fits, or a parameter out of range.
        NotImplementedError: an integer dtype.
    """
    if isinstance(input, TensorBase) and input.ndim < 3:
        raise IndexError(f"unfold: expected an input of shape (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
    _check_image("unfold", input, (3, 4), "(N, C, H, W) or (C, H, W)")
    values = [_hashable(v) for v in (kernel_size, dilation, padding, stride)]
    geometry = _blocks("unfold", tuple(input.shape[-2:]), *values, tuple(input.shape))
    if input.ndim == 4:
        return ops.unfold(input, geometry)
    return shape_ops.squeeze(ops.unfold(shape_ops.unsqueeze(input, 0), geometry), 0)


def fold(
    input: Tensor, output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Tensor:
    """The adjoint of unfold: blocks are added up where they came from (col2im). fold(unfold(x)) counts each element as often as
    blocks hold it.

    Args:
        input: (N, C * KH * KW, L) or (C * KH * KW, L).
        output_size: (H, W) of the image, or an int for a square one.
        kernel_size, dilation, padding, stride: as in unfold.

    Returns:
        (N, C, H, W) or (C, H, W).

    Raises:
        RuntimeError: sizes that do not agree, or a parameter out of range.
        NotImplementedError: an integer dtype.
    """
    _check_image("fold", input, (2, 3), "(N, C * KH * KW, L) or (C * KH * KW, L)")
    values = [_hashable(v) for v in (output_size, kernel_size, dilation, padding, stride)]
    geometry = _blocks("fold", *values, tuple(input.shape))
    rows, columns = input.shape[-2:]
    if rows % math.prod(geometry.kernel):
        raise RuntimeError(
            f"fold: expected axis {input.ndim - 2} of the input to be a multiple of the kernel's {math.prod(geometry.kernel)} "
            f"elements, got an input of shape {tuple(input.shape)} with kernel_size={geometry.kernel}"
        )
    if columns != math.prod(geometry.out):
        raise RuntimeError(
            f"fold: expected {' * '.join(map(str, geometry.out))} = {math.prod(geometry.out)} blocks in axis {input.ndim - 1} of the "
            f"input, got an input of shape {tuple(input.shape)} for output_size={geometry.image}, kernel_size={geometry.kernel}"
        )
    if input.ndim == 3:
        return ops.fold(input, geometry)
    return shape_ops.squeeze(ops.fold(shape_ops.unsqueeze(input, 0), geometry), 0)
