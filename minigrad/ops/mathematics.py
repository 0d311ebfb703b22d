"""More functions of each element: inverse and hyperbolic functions, logarithms of sums, signs, repairs of NaN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from minigrad import _dtype
from minigrad._ext import elementwise as kernels
from minigrad._ext.engine import Function, TensorBase, apply, from_array, try_kernel
from minigrad._naming import named_node
from minigrad.ops.elementwise import (
    _floating,
    broadcast_operands,
    clamp,
    eq,
    ge,
    isfinite,
    isnan,
    le,
    log,
    pow,
    result_type,
    rsqrt,
    sigmoid,
    sin,
    where,
)
from minigrad.ops.shape import alias, cast

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

    Number = float | int | bool


# Inverse trigonometric and hyperbolic functions


class AsinFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.arcsin, x)

    def backward(self, g, x):
        return g * rsqrt(1 - x * x)


def asin(input: Tensor) -> Tensor:
    """The angle in radians whose sine is the element: NaN outside [-1, 1]."""
    return apply(AsinFunction(), _floating(input, "asin"))


class AcosFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.arccos, x)

    def backward(self, g, x):
        return -g * rsqrt(1 - x * x)


def acos(input: Tensor) -> Tensor:
    """The angle in radians whose cosine is the element: NaN outside [-1, 1]."""
    return apply(AcosFunction(), _floating(input, "acos"))


class Atan2Function(Function):
    """The angle of the point (y, x); d = (g x, -g y) / (x^2 + y^2)"""

    def forward(self, x, y):
        return kernels.ufunc(np.arctan2, x, y)

    def backward(self, g, x, y):
        gx, gy = self.needs_input_grad
        share = g * apply(InverseSquareFunction(), x, y)
        return share * y if gx else None, -(share * x) if gy else None


class InverseSquareFunction(Function):
    """1 / (x^2 + y^2), and 0 at the origin; d = -2 x out^2, -2 y out^2"""

    def forward(self, x, y):
        return kernels.inverse_square(x, y)

    def backward(self, g, x, y, out):
        gx, gy = self.needs_input_grad
        share = g * (out * out * -2.0)
        return share * x if gx else None, share * y if gy else None


def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle in radians of the point with ordinate input and abscissa other, in (-pi, pi]."""
    return apply(Atan2Function(), *_float_operands("atan2", input, other))


class SinhFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.sinh, x)

    def backward(self, g, x):
        return g * cosh(x)


def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine."""
    return apply(SinhFunction(), _floating(input, "sinh"))


class CoshFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.cosh, x)

    def backward(self, g, x):
        return g * sinh(x)


def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine."""
    return apply(CoshFunction(), _floating(input, "cosh"))


class AsinhFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.arcsinh, x)

    def backward(self, g, x):
        return g * rsqrt(x * x + 1)


def asinh(input: Tensor) -> Tensor:
    """The inverse of sinh."""
    return apply(AsinhFunction(), _floating(input, "asinh"))


class AcoshFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.arccosh, x)

    def backward(self, g, x):
        return g * rsqrt(x * x - 1)


def acosh(input: Tensor) -> Tensor:
    """The inverse of cosh: NaN below 1."""
    return apply(AcoshFunction(), _floating(input, "acosh"))


class AtanhFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.arctanh, x)

    def backward(self, g, x):
        return g / (1 - x * x)


def atanh(input: Tensor) -> Tensor:
    """The inverse of tanh: NaN outside [-1, 1]."""
    return apply(AtanhFunction(), _floating(input, "atanh"))


@named_node
def sinc(input: Tensor) -> Tensor:
    """sin(pi input) / (pi input), 1 at 0."""
    x = _floating(input, "sinc") * math.pi
    zero = eq(x, 0)
    safe = where(zero, 1.0, x)
    return where(zero, 1.0, sin(safe) / safe)


@named_node
def deg2rad(input: Tensor) -> Tensor:
    """An angle in degrees as radians."""
    return _floating(input, "deg2rad") * (math.pi / 180)


@named_node
def rad2deg(input: Tensor) -> Tensor:
    """An angle in radians as degrees."""
    return _floating(input, "rad2deg") * (180 / math.pi)


# Exponentials and logarithms


class Exp2Function(Function):
    def forward(self, x):
        return kernels.ufunc(np.exp2, x)

    def backward(self, g, out):
        return g * (out * math.log(2.0))


def exp2(input: Tensor) -> Tensor:
    """2 to the power of each element."""
    return apply(Exp2Function(), _floating(input, "exp2"))


class LogaddexpFunction(Function):
    """log(e^x + e^y); d = g sigmoid(x - y), g sigmoid(y - x)"""

    def forward(self, x, y):
        return kernels.logaddexp(x, y)

    def backward(self, g, x, y):
        gx, gy = self.needs_input_grad
        return g * sigmoid(x - y) if gx else None, g * sigmoid(y - x) if gy else None


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(exp(input) + exp(other)), without overflow."""
    return apply(LogaddexpFunction(), *_only_floats("logaddexp", input, other))


@named_node
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2^input + 2^other), without overflow."""
    x, y = _only_floats("logaddexp2", input, other)
    return logaddexp(x * math.log(2.0), y * math.log(2.0)) * (1 / math.log(2.0))


class LogitFunction(Function):
    """d log(x / (1 - x)) = g / (x (1 - x)), NaN outside [0, 1]"""

    def forward(self, x):
        return kernels.logit(x)

    def backward(self, g, x):
        return apply(LogitGradFunction(), g, x)


class LogitGradFunction(Function):
    """g / (x (1 - x)), NaN outside [0, 1]"""

    reads = {"g": ("x",), "x": ("g", "x")}

    def forward(self, g, x):
        return kernels.logit_backward(g, x)

    def backward(self, gg, g, x):
        of_g, of_x = self.needs_input_grad
        return (
            apply(LogitGradFunction(), gg, x) if of_g else None,
            apply(LogitGradFunction(), apply(LogitGradFunction(), gg * g * (x * 2.0 - 1), x), x) if of_x else None,
        )


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), of the input clamped to [eps, 1 - eps] where eps is given."""
    x = _floating(input, "logit")
    return apply(LogitFunction(), x if eps is None else clamp(x, eps, 1 - eps))


class XlogyFunction(Function):
    """x log y, 0 where x is 0 and y is a number"""

    reads = {"x": ("x", "y"), "y": ("x", "y")}

    def forward(self, x, y):
        return kernels.xlogy(x, y)

    def backward(self, g, x, y):
        gx, gy = self.needs_input_grad
        nothing = eq(x, 0) & le(y, 0)
        return where(nothing, 0.0, g * log(where(nothing, 1.0, y))) if gx else None, g * x / y if gy else None


def xlogy(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input * log(other), 0 where input is 0 and other is not NaN."""
    return apply(XlogyFunction(), *_float_operands("xlogy", input, other))


class HypotFunction(Function):
    """sqrt(x^2 + y^2)"""

    def forward(self, x, y):
        return kernels.hypot(x, y)

    def backward(self, g, x, y, out):
        gx, gy = self.needs_input_grad
        return g * (x / out) if gx else None, g * (y / out) if gy else None


def hypot(input: Tensor, other: Tensor) -> Tensor:
    """The hypotenuse of a right triangle with these legs."""
    return apply(HypotFunction(), *_only_floats("hypot", input, other))


def float_power(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """pow in float64."""
    double = [cast(v, _dtype.float64) if isinstance(v, TensorBase) else v for v in (input, exponent)]
    return pow(*double)


def _float_operands(name: str, *operands: Tensor | Number) -> list[Tensor]:
    """The operands broadcast to one shape, integers as the default float type."""
    return [_floating(x, name) for x in broadcast_operands(name, *operands)]


def _only_floats(name: str, *operands: Tensor) -> list[Tensor]:
    """The operands broadcast to one shape. Raises NotImplementedError for integers."""
    tensors = broadcast_operands(name, *operands)
    if not tensors[0].dtype.is_floating_point:
        raise NotImplementedError(f"{name}: not implemented for {tensors[0].dtype}, only for floats")
    return tensors


# Signs, NaN and infinities


class FmaxFunction(Function):
    """The larger (or smaller) of two, the other where one is NaN; at a tie the gradient goes to the first."""

    def __init__(self, larger):
        self.larger = larger

    def own_name(self):
        return "FmaxBackward0" if self.larger else "FminBackward0"

    def forward(self, x, y):
        return kernels.ufunc(np.fmax if self.larger else np.fmin, x, y)

    def backward(self, g, x, y):
        gx, gy = self.needs_input_grad
        first = (ge(x, y) if self.larger else le(x, y)) | isnan(y)
        return where(first, g, 0.0) if gx else None, where(first, 0.0, g) if gy else None


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements, the other one where one is NaN."""
    return apply(FmaxFunction(True), *broadcast_operands("fmax", input, other))


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements, the other one where one is NaN."""
    return apply(FmaxFunction(False), *broadcast_operands("fmin", input, other))


class CopysignFunction(Function):
    """|x| with the sign of y; the gradient for y is zero."""

    def forward(self, x, y):
        turn = np.copysign(1, x) * np.copysign(1, y) * (x != 0)
        self.turn = np.asarray(np.where(np.isfinite(x), turn, np.nan))
        return np.copysign(x, y)

    def backward(self, g):
        gx, gy = self.needs_input_grad
        return g * cast(from_array(self.turn), g.dtype) if gx else None, g * 0 if gy else None


def copysign(input: Tensor, other: Tensor | Number) -> Tensor:
    """The magnitude of input with the sign of other."""
    return apply(CopysignFunction(), *_float_operands("copysign", input, other))


def signbit(input: Tensor) -> Tensor:
    """Whether the sign bit is set: of negative numbers and of -0.0."""
    array = input._array
    return from_array(np.asarray(np.signbit(array) if array.dtype.kind == "f" else array < 0))


def isposinf(input: Tensor) -> Tensor:
    """Whether each element is +inf."""
    return from_array(np.asarray(input._array == np.inf))


def isneginf(input: Tensor) -> Tensor:
    """Whether each element is -inf."""
    return from_array(np.asarray(input._array == -np.inf))


def isreal(input: Tensor) -> Tensor:
    """True for each element: there are no complex dtypes."""
    return from_array(np.ones(input._array.shape, bool))


def positive(input: Tensor) -> Tensor:
    """The tensor itself. Raises RuntimeError for bool."""
    if input.dtype is _dtype.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return alias(input)


class NanToNumFunction(Function):
    def __init__(self, nan: float, posinf: float, neginf: float) -> None:
        self.numbers = nan, posinf, neginf

    def forward(self, x):
        return kernels.nan_to_num(x, *self.numbers)

    def backward(self, g, x):
        return where(isfinite(x), g, 0.0)


def nan_to_num(input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """The tensor with NaN replaced by nan (0) and the infinities by posinf and neginf (the largest and smallest finite number)."""
    if not input.dtype.is_floating_point:
        return alias(input)
    limits = np.finfo(input._array.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    numbers = (0.0 if nan is None else float(nan), float(high), float(low))
    out = try_kernel(kernels.nan_to_num, input, *numbers)
    return apply(NanToNumFunction(*numbers), input) if out is None else out


# Bits


def _shift(name: str, function: np.ufunc, input: Tensor | Number, other: Tensor | Number) -> Tensor:
    dtype = result_type(input, other)
    if dtype.is_floating_point or dtype is _dtype.bool:
        raise NotImplementedError(f"{name}: not implemented for {dtype}, only for integers")
    x, y = broadcast_operands(name, input, other)
    return from_array(np.asarray(function(x._array, y._array)))


def bitwise_left_shift(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input << other"""
    return _shift("bitwise_left_shift", np.left_shift, input, other)


def bitwise_right_shift(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input >> other"""
    return _shift("bitwise_right_shift", np.right_shift, input, other)
