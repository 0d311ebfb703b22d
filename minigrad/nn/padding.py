"""Padding layers: constant, zero, reflection, replication and circular, for one, two and three axes."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


def _numbers(padding: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """(before, after) of each axis, the last one first; one int stands for all."""
    return tuple(padding) if isinstance(padding, Sequence) else (padding,) * (2 * axes)


class _ConstantPad(Module):
    axes: int

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__()
        self.padding = _numbers(padding, self.axes)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _Pad(Module):
    axes: int
    pad_mode: str

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = _numbers(padding, self.axes)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.pad_mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPad(_Pad):
    pad_mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """Raises ValueError for an input that is neither (C, ...) nor (N, C, ...)."""
        if input.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(f"expected {self.axes + 1}D or {self.axes + 2}D input (got {input.ndim}D input)")
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """Pads the last axis with value."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last two axes with value."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three axes with value."""

    axes = 3


class ZeroPad1d(ConstantPad1d):
    """Pads the last axis with zeros."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Pads the last two axes with zeros."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Pads the last three axes with zeros."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ReflectionPad1d(_Pad):
    """Pads the last axis of an input (C, L) or (N, C, L) with its reflection at the border."""

    axes = 1
    pad_mode = "reflect"


class ReflectionPad2d(_Pad):
    """Pads the last two axes of an input (C, H, W) or (N, C, H, W) with its reflection at the border."""

    axes = 2
    pad_mode = "reflect"


class ReflectionPad3d(_Pad):
    """Pads the last three axes of an input (C, D, H, W) or (N, C, D, H, W) with its reflection at the border."""

    axes = 3
    pad_mode = "reflect"


class ReplicationPad1d(_Pad):
    """Pads the last axis of an input (C, L) or (N, C, L) with its border."""

    axes = 1
    pad_mode = "replicate"


class ReplicationPad2d(_Pad):
    """Pads the last two axes of an input (C, H, W) or (N, C, H, W) with its border."""

    axes = 2
    pad_mode = "replicate"


class ReplicationPad3d(_Pad):
    """Pads the last three axes of an input (C, D, H, W) or (N, C, D, H, W) with its border."""

    axes = 3
    pad_mode = "replicate"


class CircularPad1d(_CircularPad):
    """Pads the last axis of an input (C, L) or (N, C, L) with its opposite end."""

    axes = 1


class CircularPad2d(_CircularPad):
    """Pads the last two axes of an input (C, H, W) or (N, C, H, W) with its opposite end."""

    axes = 2


class CircularPad3d(_CircularPad):
    """Pads the last three axes of an input (C, D, H, W) or (N, C, D, H, W) with its opposite end."""

    axes = 3
