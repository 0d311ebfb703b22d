"""Interpolation: interpolate and its old names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from minigrad import _dtype as dtypes
from minigrad.ops import resize
from minigrad.tensor import Tensor

NEAREST = ("nearest", "nearest-exact")
ANY_NUMBER_OF_AXES = ("nearest", "nearest-exact", "area")
AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "lanczos": 2}
ANTIALIASED = ("bilinear", "bicubic", "lanczos")


def _is_integer(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _one_for_each_axis(name: str, given: object, sizes: Sequence[int]) -> list:
    """A scalar or a sequence as a list with one entry for each spatial axis."""
    if not isinstance(given, (list, tuple)):
        return [given] * len(sizes)
    if len(given) != len(sizes):
        raise ValueError(
            f"interpolate: {name} must have one entry for each of the {len(sizes)} spatial axes of the input, of sizes"
            f" {list(sizes)}, but got {name}={given}"
        )
    return list(given)


def _output_sizes(size: object, sizes: Sequence[int]) -> list[int]:
    wanted = _one_for_each_axis("size", size, sizes)
    for value in wanted:
        if not _is_integer(value):
            raise TypeError(f"interpolate: size must be an int or a tuple of ints, but got size={size!r}")
    return [int(value) for value in wanted]


def _scaled_sizes(scale_factor: object, sizes: Sequence[int]) -> tuple[list[int], list[float]]:
    scales = _one_for_each_axis("scale_factor", scale_factor, sizes)
    for scale in scales:
        if isinstance(scale, bool) or not (hasattr(scale, "__float__") or hasattr(scale, "__index__")):
            raise TypeError(
                f"interpolate: scale_factor must be a float or a tuple of floats, but got scale_factor={scale_factor!r}"
            )
    scales = [float(scale) for scale in scales]
    wanted = []
    for size, scale in zip(sizes, scales):
        product = size * scale
        if not abs(product) < 2**62:
            raise RuntimeError(f"interpolate: an axis of {size} elements times scale_factor={scale} is no integer size")
        wanted.append(int(product))
    return wanted, scales


def _check_mode(mode: str, axes: int, align_corners: bool, antialias: bool) -> None:
    if antialias and not (mode in ANTIALIASED and axes == 2):
        raise ValueError(
            "interpolate: antialias=True is restricted to modes bilinear, bicubic and lanczos and to a 4-D input, but got"
            f" mode={mode!r} and a {axes + 2}-D input"
        )
    if mode == "lanczos" and axes == 2:
        if align_corners:
            raise ValueError("interpolate: mode='lanczos' does not support align_corners=True")
        if not antialias:
            raise ValueError("interpolate: mode='lanczos' requires antialias=True")
    if not 1 <= axes <= 3 or (mode not in ANY_NUMBER_OF_AXES and mode not in AXES):
        raise NotImplementedError(
            "interpolate: expected a 3-D, 4-D or 5-D input and one of the modes nearest | linear | bilinear | bicubic |"
            f" trilinear | lanczos | area | nearest-exact, but got a {axes + 2}-D input and mode={mode!r}"
        )
    if mode in AXES and AXES[mode] != axes:
        raise NotImplementedError(f"interpolate: got a {axes + 2}-D input, but mode={mode!r} needs a {AXES[mode] + 2}-D input")


def _check_input(input: Tensor, mode: str, wanted: Sequence[int]) -> None:
    shape = tuple(input.shape)
    sizes = shape[2:]
    if mode == "area":
        if any(value < 0 for value in wanted):
            raise RuntimeError(f"interpolate: the output size must not be negative, but got {tuple(wanted)}")
        if 0 in (shape[1:] if len(sizes) == 3 else sizes):
            raise RuntimeError(f"interpolate: mode='area' needs an input without empty axes, but got shape {shape}")
    else:
        if any(value <= 0 for value in (*sizes, *wanted)):
            raise RuntimeError(
                f"interpolate: input and output sizes should be greater than 0, but got an input of shape {shape} and the"
                f" output size {tuple(wanted)}"
            )
        if shape[1] == 0:
            raise RuntimeError(f"interpolate: expected an input with at least one channel, but got shape {shape}")
    if not input.is_floating_point() and not (mode in NEAREST and input.dtype is dtypes.uint8):
        raise NotImplementedError(
            f"interpolate: mode={mode!r} is not implemented for {input.dtype}; convert the input to float32"
        )


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resizes the spatial axes of an input (N, C, L), (N, C, H, W) or (N, C, D, H, W).

    Args:
        size: the output's spatial size, one int for all axes or one for each.
        scale_factor: or the factor(s) by which to multiply it; the result is rounded down.
        mode: nearest, nearest-exact and area for any of the three; linear (3-D), bilinear and bicubic (4-D), trilinear (5-D);
            lanczos (4-D, antialias=True only). nearest takes uint8, all take float32 and float64.
        align_corners: whether the centers of the corner elements coincide (True) or their outer corners (False, the default).
        recompute_scale_factor: whether the step between two outputs is taken from the sizes rather than from scale_factor.
        antialias: widen the filter when shrinking, as Pillow does; modes bilinear, bicubic, lanczos.

    Raises:
        ValueError: both or none of size and scale_factor; one of the wrong length; align_corners or antialias with a mode that
            has none; recompute_scale_factor with size.
        TypeError: a size that is no int.
        NotImplementedError: a mode that does not exist for this number of axes, or not for this dtype.
        RuntimeError: an empty input or output.

    Differs from PyTorch: uint8 is taken by the modes nearest and nearest-exact only. The gradient is always that of the values:
    where a scale_factor leaves or doubles the size of an axis, PyTorch's is not (mode nearest of 3-D, 5-D and large 4-D inputs,
    and antialias=True where it leaves the size). With antialias=True and an output one element wide the values are those of the
    filter (in PyTorch only the gradient is).
    """
    if mode in ANY_NUMBER_OF_AXES and align_corners is not None:
        raise ValueError(
            "interpolate: align_corners can only be set with the modes linear | bilinear | bicubic | trilinear, but got"
            f" mode={mode!r}"
        )
    sizes = tuple(input.shape)[2:]
    if size is not None and scale_factor is not None:
        raise ValueError("interpolate: only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("interpolate: either size or scale_factor should be defined")
    if size is not None and recompute_scale_factor:
        raise ValueError("interpolate: recompute_scale_factor is not meaningful with an explicit size")
    scales: list[float | None] = [None] * len(sizes)
    if size is not None:
        wanted = _output_sizes(size, sizes)
    else:
        wanted, given = _scaled_sizes(scale_factor, sizes)
        if not recompute_scale_factor and mode != "area":
            scales = list(given)
    _check_mode(mode, input.ndim - 2, bool(align_corners), antialias)
    _check_input(input, mode, wanted)
    return resize.interpolate(input, wanted, scales, mode, bool(align_corners), antialias)


def _deprecated(name: str) -> None:
    warnings.warn(f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=3)


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The old name of interpolate. Warns with a UserWarning."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """interpolate with mode='nearest'. Warns with a UserWarning."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """interpolate with mode='bilinear' and align_corners=True. Warns with a UserWarning."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
