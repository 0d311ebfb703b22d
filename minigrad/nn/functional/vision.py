"""Shuffles, grid_sample and affine_grid."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from minigrad._ext.arrange import copied
from minigrad._ext.engine import try_kernel
from minigrad._naming import named_node
from minigrad.creation import from_numpy
from minigrad.ops import sample
from minigrad.tensor import Tensor

ALIGN_CORNERS_WARNING = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify"
    " align_corners=True if the old behavior is desired. See the documentation of grid_sample for details."
)


def _check_factor(function: str, argument: str, factor: int) -> None:
    if not hasattr(factor, "__index__") or isinstance(factor, bool):
        raise TypeError(f"{function}: argument '{argument}' must be int, not {type(factor).__name__}")
    if factor <= 0:
        raise RuntimeError(f"{function}: {argument} must be positive, but got {factor}")


def _check_axes(function: str, input: Tensor) -> None:
    if input.ndim < 3:
        raise RuntimeError(f"{function}: expected an input with at least 3 axes, but got shape {tuple(input.shape)}")


def _rearranged(x: np.ndarray, split: tuple[int, ...], order: tuple[int, ...], joined: tuple[int, ...]) -> np.ndarray:
    return copied(x.reshape(split).transpose(order)).reshape(joined)


def _rearrange(input: Tensor, split: tuple[int, ...], order: tuple[int, ...], joined: tuple[int, ...]) -> Tensor:
    """The tensor in the shape `split`, with its axes in this order, in the shape `joined`."""
    out = try_kernel(_rearranged, input, split, order, joined)
    return input.reshape(split).permute(order).reshape(joined) if out is None else out


@named_node
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Moves channels into space: (*, C * r * r, H, W) -> (*, C, H * r, W * r).

    Raises TypeError for a factor that is no int, RuntimeError for one that is not positive, for fewer than 3 axes and for a
    number of channels that r * r does not divide.
    """
    _check_factor("pixel_shuffle", "upscale_factor", upscale_factor)
    _check_axes("pixel_shuffle", input)
    r = int(upscale_factor)
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            f"pixel_shuffle: the channels must be divisible by the square of upscale_factor={r}, but got {channels} channels in"
            f" an input of shape {tuple(input.shape)}"
        )
    n = len(lead)
    split = (*lead, channels // (r * r), r, r, height, width)
    order = (*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return _rearrange(input, split, order, (*lead, channels // (r * r), height * r, width * r))


@named_node
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """The inverse of pixel_shuffle: (*, C, H * r, W * r) -> (*, C * r * r, H, W).

    Raises TypeError for a factor that is no int, RuntimeError for one that is not positive, for fewer than 3 axes and for a
    height or width that r does not divide.
    """
    _check_factor("pixel_unshuffle", "downscale_factor", downscale_factor)
    _check_axes("pixel_unshuffle", input)
    r = int(downscale_factor)
    *lead, channels, height, width = input.shape
    if height % r or width % r:
        raise RuntimeError(
            f"pixel_unshuffle: height and width must be divisible by downscale_factor={r}, but got an input of shape"
            f" {tuple(input.shape)}"
        )
    n = len(lead)
    split = (*lead, channels, height // r, r, width // r, r)
    order = (*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return _rearrange(input, split, order, (*lead, channels * r * r, height // r, width // r))


@named_node
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Deals the channels of (N, C, ...) out: channel g * (C / groups) + i becomes channel i * groups + g.

    Raises TypeError for groups that is no int, RuntimeError where it is not positive or does not divide C, and for
    fewer than 3 axes.
    """
    _check_axes("channel_shuffle", input)
    _check_factor("channel_shuffle", "groups", groups)
    batch, channels, *sizes = input.shape
    if channels % groups:
        raise RuntimeError(
            f"channel_shuffle: {channels} channels of an input of shape {tuple(input.shape)} do not divide into {groups} groups"
        )
    split = (batch, groups, channels // groups, *sizes)
    order = (0, 2, 1, *range(3, len(split)))
    return _rearrange(input, split, order, (batch, channels, *sizes))


native_channel_shuffle = channel_shuffle


def _check_grid(input: Tensor, grid: Tensor, mode: str) -> None:
    shapes = f"an input of shape {tuple(input.shape)} and a grid of shape {tuple(grid.shape)}"
    if input.ndim < 1 or grid.ndim < 1 or input.shape[0] != grid.shape[0]:
        raise RuntimeError(f"grid_sample: input and grid must have the same batch size, but got {shapes}")
    if grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(f"grid_sample: the grid's last axis must have {input.ndim - 2} elements, but got {shapes}")
    if input.ndim not in (4, 5) or grid.ndim != input.ndim:
        raise RuntimeError(f"grid_sample: input and grid must both be 4-D or both 5-D, but got {shapes}")
    if 0 in input.shape[2:]:
        raise RuntimeError(f"grid_sample: the input's spatial axes must not be empty, but got {shapes}")
    if mode == "bicubic" and input.ndim != 4:
        raise RuntimeError(f"grid_sample: mode='bicubic' needs a 4-D input, but got {shapes}")
    if not input.is_floating_point():
        raise NotImplementedError(f"grid_sample: not implemented for {input.dtype}; convert the input to float32")
    if input.dtype != grid.dtype:
        raise RuntimeError(f"grid_sample: input and grid must have the same dtype, but got {input.dtype} and {grid.dtype}")


@named_node
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """The values of an image at the points of a grid.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W).
        grid: (N, OH, OW, 2) or (N, OD, OH, OW, 3) points (x, y[, z]); -1 and 1 are the borders of the image.
        mode: bilinear (trilinear for a 5-D input), nearest, or bicubic (4-D, cubic convolution with a = -3/4).
        padding_mode: what lies outside: zeros, the border, or the image in reflection.
        align_corners: whether -1 and 1 are the centers of the outer pixels (True) or their outer edges (False).
            None is False, with a UserWarning.

    Returns (N, C, OH, OW) or (N, C, OD, OH, OW), differentiable in input and grid to any order; rounding (nearest), cropping
    (border) and the turning points of a reflection have the derivatives of PyTorch.

    Raises ValueError for an unknown mode or padding_mode, NotImplementedError for integers, RuntimeError for shapes or dtypes
    that do not fit.
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"grid_sample: expected mode to be 'bilinear', 'nearest' or 'bicubic', but got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            f"grid_sample: expected padding_mode to be 'zeros', 'border' or 'reflection', but got {padding_mode!r}"
        )
    if align_corners is None:
        warnings.warn(ALIGN_CORNERS_WARNING, stacklevel=2)
    _check_grid(input, grid, mode)
    return sample.grid_sample(input, grid, mode, padding_mode, bool(align_corners))


def _check_affine(theta: Tensor, size: Sequence[int]) -> None:
    if not theta.is_floating_point():
        raise ValueError(f"affine_grid: expected theta to have a floating point dtype, but got {theta.dtype}")
    if len(size) not in (4, 5):
        raise NotImplementedError(f"affine_grid: expected a size (N, C, H, W) or (N, C, D, H, W), but got {tuple(size)}")
    axes = len(size) - 2
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (axes, axes + 1):
        raise ValueError(
            f"affine_grid: expected theta of shape (N, {axes}, {axes + 1}) for the size {tuple(size)}, but got"
            f" {tuple(theta.shape)}"
        )
    for value in size:
        if not hasattr(value, "__index__"):
            raise TypeError(f"affine_grid: size must be a tuple of ints, but got {tuple(size)}")


@named_node
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid for grid_sample of an affine map: grid[n, ..., :] = theta[n] @ (x, y[, z], 1) over the points of the output.

    Args:
        theta: (N, 2, 3) or (N, 3, 4).
        size: the output of grid_sample, (N, C, H, W) or (N, C, D, H, W).
        align_corners: whether -1 and 1 are the centers of the outer points (True) or their outer edges (False).
            None is False, with a UserWarning.

    Returns (N, H, W, 2) or (N, D, H, W, 3).

    Raises ValueError for a theta of the wrong dtype or shape and for an empty size, NotImplementedError for a size of another
    length, RuntimeError where the batch sizes differ.
    """
    if align_corners is None:
        warnings.warn(ALIGN_CORNERS_WARNING, stacklevel=2)
    _check_affine(theta, size)
    sizes = [int(value) for value in size]
    if align_corners and min(sizes[2:]) == 1:
        warnings.warn(
            "affine_grid with align_corners=True puts the points of an axis of one element at 0, its center.", stacklevel=2
        )
    elif min(sizes) <= 0:
        raise ValueError(f"affine_grid: expected a positive size, but got {tuple(size)}")
    batch, _, *points = sizes
    if theta.shape[0] != batch:
        raise RuntimeError(f"affine_grid: theta of shape {tuple(theta.shape)} and the size {tuple(size)} differ in the batch")
    axes = len(points)
    base = np.ones((*points, axes + 1), theta.dtype.np)
    for axis, count in enumerate(points):
        line = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
        if not align_corners:
            line = line * (count - 1) / count
        base[..., axes - 1 - axis] = line.reshape((count,) + (1,) * (axes - 1 - axis))
    flat = from_numpy(base.reshape(-1, axes + 1))
    return (flat @ theta.transpose(1, 2)).reshape(batch, *points, axes)  # (P, A+1) @ (N, A+1, A) -> (N, P, A)
