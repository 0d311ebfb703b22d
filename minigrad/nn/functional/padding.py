"""Padding: pad."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

from minigrad import _dtype as dtypes
from minigrad._arguments import check_elements
from minigrad.ops import pad as ops
from minigrad.tensor import Tensor

MODES = ("constant", "reflect", "replicate", "circular")


def _check_lengths(shape: tuple[int, ...], pad: Sequence[int], mode: str) -> None:
    if not isinstance(pad, (list, tuple)):
        raise TypeError(f"pad: argument 'pad' must be a tuple of ints, but got {type(pad).__name__}")
    for value in pad:
        if not hasattr(value, "__index__") or isinstance(value, bool):
            raise TypeError(f"pad: argument 'pad' must be a tuple of ints, but got {tuple(pad)}")
    if len(pad) % 2:
        raise RuntimeError(f"pad: expected two numbers (before, after) for each padded axis, but got {len(pad)}: {tuple(pad)}")
    if len(pad) > 2 * len(shape):
        raise RuntimeError(
            f"pad: got {len(pad)} numbers {tuple(pad)} for an input of {len(shape)} axes, shape {shape}: at most two an axis"
        )
    if mode != "constant" and (not pad or len(shape) - len(pad) // 2 not in (1, 2) or len(pad) > 6):
        raise NotImplementedError(
            f"pad: mode={mode!r} pads the last axis of a 2-D or 3-D input, the last two of a 3-D or 4-D input or the last"
            f" three of a 4-D or 5-D input, but got {len(pad)} numbers for shape {shape}"
        )


def _check_sizes(shape: tuple[int, ...], pads: Sequence[tuple[int, int]], mode: str) -> None:
    lead = len(shape) - len(pads)
    check_elements([*shape[:lead], *(max(size + sum(both), 0) for size, both in zip(shape[lead:], pads))], "pad")
    if mode in ("reflect", "replicate") and 0 in shape[1 if len(shape) - len(pads) == 2 else 0 :]:
        raise RuntimeError(f"pad: mode={mode!r} needs an input that is empty in its batch only, but got shape {shape}")
    for axis, (size, (before, after)) in enumerate(zip(shape[lead:], pads), lead):
        where = f"padding ({before}, {after}) at axis {axis} of an input of shape {shape}"
        if mode == "reflect" and max(before, after) >= size:
            raise RuntimeError(f"pad: mode='reflect' needs less padding than the axis has elements, but got {where}")
        if size + before + after < 0 or (mode == "constant" and size + min(before, 0) + min(after, 0) < 0):
            raise RuntimeError(f"pad: more is cropped than there is, or the output would have a negative size: {where}")
        if mode == "circular" and max(before, after, 0) > size + min(before, 0) + min(after, 0):
            raise RuntimeError(f"pad: mode='circular' wraps around what is not cropped once at most, but got {where}")


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Pads the last axes of a tensor, or crops them where a number is negative.

    Args:
        input: any shape for mode constant; else (N, C, ...) or (C, ...) with one, two or three padded axes.
        pad: (before, after) of the last axis, then of the one before it, and so on.
        mode: constant, reflect (without the border), replicate (the border) or circular.
        value: what constant pads with, default 0.

    Raises:
        TypeError: pad is no tuple of ints, or value no number.
        RuntimeError: an odd number of paddings, or too many; a negative output size; more padding than reflect (less than the
            axis) and circular (at most the axis) can take from; value with another mode than constant.
        NotImplementedError: an unknown mode, or a number of axes that the mode does not pad.
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"pad: argument 'input' must be Tensor, not {type(input).__name__}")
    if value is not None and (not isinstance(value, Real)):
        raise TypeError(f"pad: argument 'value' must be a number, not {type(value).__name__}")
    shape = tuple(input.shape)
    if mode not in MODES:
        raise NotImplementedError(f"pad: expected one of the modes {', '.join(MODES)}, but got {mode!r}")
    if mode != "constant" and value:
        raise RuntimeError(f"pad: mode={mode!r} does not take a value, but got value={value}")
    _check_lengths(shape, pad, mode)
    numbers = [int(number) for number in pad]
    pads = list(zip(numbers[::2], numbers[1::2]))[::-1]
    _check_sizes(shape, pads, mode)
    if mode in ("reflect", "replicate") and input.dtype is dtypes.bool:
        raise NotImplementedError(f"pad: mode={mode!r} is not implemented for {input.dtype}")
    return ops.pad(input, pads, mode, 0 if value is None else value)
