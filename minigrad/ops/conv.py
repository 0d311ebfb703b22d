"""Convolution as three operations closed under differentiation, and unfold with its adjoint fold.

conv(x, w) is bilinear; conv_transpose(g, w) is its adjoint in x and conv_weight(x, g) its adjoint in w, all three over one
Geometry. The derivative of each is made of the other two, so that derivatives of any order follow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import conv as kernels
from minigrad._ext.engine import Function, apply
from minigrad._ext.memory import empty_array
from minigrad.ops.reduce import SumFunction

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Geometry:
    """How image, kernel and output lie on each other along one, two or three axes.

    output[m] = sum over k of image[m * stride - padding + k * dilation] * kernel[k], where the image is 0 outside. All sizes are
    given, so padding after the last element is whatever the output's size makes it, and a transposed convolution's
    output_padding is part of the image's size.
    """

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    out: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    numbers: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lead = 3 - len(self.image)  # axes of size 1 that make every convolution a three-dimensional one
        numbers = [self.groups]
        for values, one in zip(
            (self.image, self.kernel, self.out, self.stride, self.padding, self.dilation), (1, 1, 1, 1, 0, 1), strict=True
        ):
            numbers += [one] * lead + list(values)
        object.__setattr__(self, "numbers", np.array(numbers, np.int64))


class ConvFunction(Function):
    label = "ConvolutionBackward0"

    reads = {"x": ("w",), "w": ("x",), "bias": ()}

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, x, w, bias):
        x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
        out = empty_array((x.shape[0], w.shape[0], *self.geometry.out), x.dtype)
        kernels.conv(x, w, None if bias is None else np.ascontiguousarray(bias), out, self.geometry.numbers)
        return out

    def backward(self, g, x, w):
        need_x, need_w, need_bias = self.needs_input_grad
        return (
            conv_transpose(g, w, None, self.geometry) if need_x else None,
            conv_weight(x, g, self.geometry) if need_w else None,
            _sum_channels(g) if need_bias else None,
        )


class ConvTransposeFunction(Function):
    label = "ConvolutionBackward0"

    reads = {"g": ("w",), "w": ("g",), "bias": ()}

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, g, w, bias):
        g, w = np.ascontiguousarray(g), np.ascontiguousarray(w)
        out = empty_array((g.shape[0], w.shape[1] * self.geometry.groups, *self.geometry.image), g.dtype)
        kernels.conv_transpose(g, w, None if bias is None else np.ascontiguousarray(bias), out, self.geometry.numbers)
        return out

    def backward(self, gx, g, w):
        need_g, need_w, need_bias = self.needs_input_grad
        return (
            conv(gx, w, None, self.geometry) if need_g else None,
            conv_weight(gx, g, self.geometry) if need_w else None,
            _sum_channels(gx) if need_bias else None,
        )


class ConvWeightFunction(Function):
    reads = {"x": ("g",), "g": ("x",)}

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, x, g):
        x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
        out = empty_array((g.shape[1], x.shape[1] // self.geometry.groups, *self.geometry.kernel), x.dtype)
        kernels.conv_weight(x, g, out, self.geometry.numbers)
        return out

    def backward(self, gw, x, g):
        need_x, need_g = self.needs_input_grad
        return (
            conv_transpose(g, gw, None, self.geometry) if need_x else None,
            conv(x, gw, None, self.geometry) if need_g else None,
        )


def _sum_channels(g: Tensor) -> Tensor:
    """The sum over all axes but the channels: (N, C, *) -> (C,), the gradient of a bias."""
    return apply(SumFunction((0, *range(2, g.ndim)), False), g)


def conv(x: Tensor, w: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """x (N, C, *image), w (O, C / groups, *kernel), bias (O,) or None -> (N, O, *out)."""
    return apply(ConvFunction(geometry), x, w, bias)


def conv_transpose(g: Tensor, w: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """The adjoint of conv in x: g (N, O, *out), w (O, C / groups, *kernel), bias (C,) or None -> (N, C, *image)."""
    return apply(ConvTransposeFunction(geometry), g, w, bias)


def conv_weight(x: Tensor, g: Tensor, geometry: Geometry) -> Tensor:
    """The adjoint of conv in w: x (N, C, *image), g (N, O, *out) -> (O, C / groups, *kernel)."""
    return apply(ConvWeightFunction(geometry), x, g)


class UnfoldFunction(Function):
    label = "Im2ColBackward0"

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, x):
        N, C, s = x.shape[0], x.shape[1], self.geometry
        out = empty_array((N, C * math.prod(s.kernel), math.prod(s.out)), x.dtype)
        kernels.unfold(np.ascontiguousarray(x).reshape(N, C, math.prod(s.image)), out, s.numbers)
        return out

    def backward(self, g):
        return fold(g, self.geometry)


class FoldFunction(Function):
    label = "Col2ImBackward0"

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, columns):
        s = self.geometry
        N, C = columns.shape[0], columns.shape[1] // math.prod(s.kernel)
        out = empty_array((N, C, math.prod(s.image)), columns.dtype)
        kernels.fold(np.ascontiguousarray(columns), out, s.numbers)
        return out.reshape(N, C, *s.image)

    def backward(self, gx):
        return unfold(gx, self.geometry)


def unfold(x: Tensor, geometry: Geometry) -> Tensor:
    """What each tap of a kernel reads: x (N, C, *image) -> (N, C * kernel elements, out elements)."""
    return apply(UnfoldFunction(geometry), x)


def fold(columns: Tensor, geometry: Geometry) -> Tensor:
    """The adjoint of unfold: columns are added up where they came from, (N, C * kernel, out) -> (N, C, *image)."""
    return apply(FoldFunction(geometry), columns)
