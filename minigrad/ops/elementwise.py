"""Operations on each element: arithmetic, functions, comparisons. The hottest (+ - * / and negation) are compiled: ext/hot.pyx."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from minigrad import _dtype
from minigrad._ext import elementwise as kernels
from minigrad._ext import hot, hot_activation
from minigrad._ext.engine import Function, TensorBase, apply, from_array, try_kernel
from minigrad._naming import named_node
from minigrad.ops.shape import broadcast_shapes, cast, clone, expand

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

    Number = float | int | bool

_NUMBERS = (int, float, bool, np.number, np.bool_)


# Promotion and broadcasting


def as_tensor_like(value: Tensor | Number, dtype: _dtype.dtype) -> Tensor:
    """A Python number as a 0-d tensor of this dtype; a tensor cast to it."""
    if isinstance(value, TensorBase):
        return cast(value, dtype)
    with np.errstate(over="ignore"):
        return from_array(np.asarray(np.asarray(value).astype(dtype.np)))


_LARGEST = {_dtype.float32: float(np.finfo(np.float32).max), _dtype.float64: math.inf, _dtype.bool: math.inf}


def number_for(value: Number, dtype: _dtype.dtype) -> Number:
    """What fill_ and x[i] = value write. In integers: the number without its fraction, in uint8 modulo 256 for negative integers.

    Raises RuntimeError for what the dtype does not hold: finite numbers beyond its range, and NaN in integers. A bool tensor takes
    the number as it is.
    """
    largest = _LARGEST.get(dtype)
    if largest is not None:
        if largest < value < math.inf or -math.inf < value < -largest:
            raise RuntimeError(f"value cannot be converted to type {dtype} without overflow")
        return value
    limits = np.iinfo(dtype.np)
    lowest = -limits.max if limits.min == 0 and isinstance(value, int) else limits.min
    if not lowest <= value <= limits.max:
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow")
    return int(value) % 256 if dtype is _dtype.uint8 else int(value)


def result_type(*values: Tensor | Number) -> _dtype.dtype:
    """The dtype of an operation between these tensors and numbers."""
    first, *others = values
    if isinstance(first, TensorBase) and first.dtype.is_floating_point and all(type(v) in (float, int) for v in others):
        return first.dtype
    tensors = [(v.dtype, v.ndim) for v in values if isinstance(v, TensorBase)]
    return _dtype.result_dtype(tensors, [v for v in values if not isinstance(v, TensorBase)])


def _operand(value: object) -> object:
    """An array as a tensor of its dtype; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    return from_array(np.ascontiguousarray(value, _dtype.from_numpy(value.dtype).np))


def promote(x: object, y: object, division: bool, symbol: str) -> tuple[Tensor, Tensor]:
    """Two operands as tensors of the dtype of their result. NotImplemented for one that is no tensor, no number and no array."""
    x, y = _operand(x), _operand(y)
    for value in (x, y):
        if not isinstance(value, (TensorBase, *_NUMBERS)):
            return NotImplemented
    dtype = result_type(x, y)
    if division and not dtype.is_floating_point:
        dtype = _dtype.get_default_dtype()
    if symbol == "-" and any(v.dtype is _dtype.bool if isinstance(v, TensorBase) else isinstance(v, bool) for v in (x, y)):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `~` "
            "or `logical_not()` operator instead."
        )
    return as_tensor_like(x, dtype), as_tensor_like(y, dtype)


def _are_alike(operands: tuple[Tensor | Number, ...]) -> bool:
    """Whether all are tensors of one dtype and shape: as in most calls (0.7 us; the way of broadcast_operands takes 4)."""
    first = operands[0]
    if not isinstance(first, TensorBase):
        return False
    shape, dtype = first._array.shape, first.dtype
    return all(isinstance(v, TensorBase) and v._array.shape == shape and v.dtype is dtype for v in operands[1:])


def broadcast_operands(name: str, *operands: Tensor | Number) -> list[Tensor]:
    """The operands as tensors of one dtype and one shape. Raises TypeError for anything but tensors and numbers."""
    if _are_alike(operands):
        return list(operands)
    for value in operands:
        if not isinstance(value, (TensorBase, *_NUMBERS)):
            raise TypeError(f"{name}(): expected a Tensor or a number, but got {type(value).__name__}")
    dtype = result_type(*operands)
    tensors = [as_tensor_like(value, dtype) for value in operands]
    shape = broadcast_shapes(*[x._array.shape for x in tensors])
    return [x if x._array.shape == shape else expand(x, shape) for x in tensors]


def _refuse_bool(name: str, array: np.ndarray) -> None:
    if array.dtype == bool:
        raise NotImplementedError(f"{name}(): not implemented for bool tensors; convert them with .to(minigrad.uint8) first")


def _floating(input: Tensor, name: str) -> Tensor:
    """The tensor, integers as the default float type."""
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return input if input.dtype.is_floating_point else cast(input, _dtype.get_default_dtype())


def _function(kernel: Callable[..., np.ndarray], node: type[Function], input: Tensor, name: str) -> Tensor:
    """A function of each element: by its kernel alone where no more is needed, else by a node. Integers count as the default float type."""
    out = try_kernel(kernel, input)
    return apply(node(), _floating(input, name)) if out is None else out


# Arithmetic


def add(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input + alpha * other, with broadcasting and type promotion."""
    return _operands_checked("add", hot.add(input, other if alpha == 1 else _scaled(input, other, alpha)), input, other)


def _scaled(input: Tensor | Number, other: Tensor | Number, alpha: Number) -> Tensor | Number:
    """alpha * other, in the dtype of its sum with input."""
    if isinstance(input, TensorBase) and isinstance(other, TensorBase) and input.dtype is not other.dtype:
        other = cast(other, result_type(input, other))
    return other * alpha


def sub(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input - alpha * other, with broadcasting and type promotion."""
    return _operands_checked("sub", hot.sub(input, other if alpha == 1 else _scaled(input, other, alpha)), input, other)


@named_node
def rsub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """other - alpha * input."""
    return sub(other, input, alpha=alpha)


def mul(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input * other, with broadcasting and type promotion."""
    return _operands_checked("mul", hot.mul(input, other), input, other)


def div(input: Tensor | Number, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, with broadcasting and type promotion. rounding_mode: None (true division), "trunc" or "floor"."""
    if rounding_mode is None:
        return _operands_checked("div", hot.div(input, other), input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")
    x, y = broadcast_operands("div", input, other)
    if not x.dtype.is_floating_point:
        if (y._array == 0).any():
            raise RuntimeError("ZeroDivisionError")
    return apply(FloorDivideFunction(rounding_mode), x, y)


def _operands_checked(name: str, result: object, *operands: object) -> Tensor:
    if result is NotImplemented:
        wrong = next(v for v in operands if not isinstance(v, (TensorBase, *_NUMBERS)))
        raise TypeError(f"{name}(): expected a Tensor or a number, but got {type(wrong).__name__}")
    return result


class FloorDivideFunction(Function):
    """x / y rounded down or towards zero; its derivative is zero wherever it has one."""

    def __init__(self, mode):
        self.mode = mode

    def forward(self, x, y):
        _refuse_bool("div", x)
        if self.mode == "floor":
            return kernels.floor_divide(x, y)
        if x.dtype.kind == "f":
            return kernels.trunc(kernels.div(x, y))
        with np.errstate(all="ignore"):
            quotient = x // y
            return quotient + ((quotient < 0) & (quotient * y != x))

    def backward(self, g):
        return tuple(g.new_zeros(g.shape) if wanted else None for wanted in self.needs_input_grad)


def floor_divide(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The quotient rounded down."""
    return div(input, other, rounding_mode="floor")


class RemainderFunction(Function):
    """x - floor(x / y) y, with the sign of y."""

    reads = {"x": (), "y": ("x", "y")}

    def forward(self, x, y):
        _refuse_bool("remainder", x)
        return kernels.remainder(x, y)

    def backward(self, g, x, y):
        gx, gy = self.needs_input_grad
        return g if gx else None, -g * div(x, y, rounding_mode="floor") if gy else None


def remainder(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The remainder of the division, with the sign of `other`, as Python's %."""
    x, y = broadcast_operands("remainder", input, other)
    if not x.dtype.is_floating_point and (y._array == 0).any():
        raise RuntimeError("ZeroDivisionError")
    return apply(RemainderFunction(), x, y)


class FmodFunction(Function):
    """x - trunc(x / y) y, with the sign of x."""

    reads = {"x": (), "y": ("x", "y")}

    def forward(self, x, y):
        _refuse_bool("fmod", x)
        return kernels.fmod(x, y)

    def backward(self, g, x, y):
        gx, gy = self.needs_input_grad
        return g if gx else None, -g * div(x, y, rounding_mode="trunc") if gy else None


def fmod(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The remainder of the division, with the sign of `input`, as C's fmod."""
    x, y = broadcast_operands("fmod", input, other)
    if not x.dtype.is_floating_point and (y._array == 0).any():
        raise RuntimeError("ZeroDivisionError")
    return apply(FmodFunction(), x, y)


class PowFunction(Function):
    """d(x^y) = g y x^(y-1), g x^y log x"""

    label = "PowBackward1"

    reads = {"x": ("x", "y"), "y": ("x", "y", "out")}

    def forward(self, x, y):
        _refuse_bool("pow", x)
        return kernels.pow(x, y)

    def backward(self, g, x, y, out):
        wants_x, wants_y = self.needs_input_grad
        gx = gy = None
        if wants_x:
            constant = y == 0
            gx = (
                where(constant, 0.0, g * y * pow(x, where(constant, 1.0, y - 1)))
                if constant._array.any()
                else g * y * pow(x, y - 1)
            )
        if wants_y:
            flat = (x == 0) & (y >= 0)
            gy = where(flat, 0.0, g * out * log(where(flat, 1.0, x))) if flat._array.any() else g * out * log(x)
        return gx, gy


class PowScalarFunction(Function):
    """d(x^n) = g n x^(n-1) for a number n"""

    label = "PowBackward0"

    def __init__(self, exponent):
        self.exponent = exponent

    def forward(self, x):
        return kernels.pow(x, self.exponent)

    def backward(self, g, x):
        n = self.exponent
        return g.new_zeros(g.shape) if n == 0 else g * (n * pow(x, n - 1)) if n != 2 else g * (x * 2.0)


def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """input to the power of exponent, with broadcasting and type promotion."""
    if type(exponent) in (int, float):
        out = try_kernel(kernels.pow, input, exponent)
        if out is not None:
            return out
    if isinstance(input, TensorBase) and isinstance(exponent, _NUMBERS):
        exponent = exponent.item() if isinstance(exponent, np.generic) else exponent
        dtype = result_type(input, exponent)
        if dtype.is_floating_point:
            return apply(PowScalarFunction(exponent), cast(input, dtype))
        if exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        if dtype is _dtype.bool:
            return clone(input) if exponent else logical_or(input, True)
    x, y = broadcast_operands("pow", input, exponent)
    if not x.dtype.is_floating_point and (y._array < 0).any():
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return apply(PowFunction(), x, y)


@named_node
def rpow(input: Tensor, other: Number) -> Tensor:
    """other ** input"""
    return pow(other, input)


def square(input: Tensor) -> Tensor:
    """input ** 2"""
    out = try_kernel(kernels.square, input)
    return pow(input, 2) if out is None else out


class AbsFunction(Function):
    def forward(self, x):
        _refuse_bool("abs", x)
        return kernels.abs(x) if x.dtype.kind == "f" else np.abs(x)

    def backward(self, g, x):
        return apply(AbsGradFunction(), g, x)


class AbsGradFunction(Function):
    """g sign(x)"""

    reads = {"g": ("x",), "x": ()}

    def forward(self, g, x):
        return kernels.abs_backward(g, x)

    def backward(self, gg, x):
        of_g, of_x = self.needs_input_grad
        return apply(AbsGradFunction(), gg, x) if of_g else None, gg * 0.0 if of_x else None


def abs(input: Tensor) -> Tensor:
    """The absolute value; its gradient at 0 is 0."""
    out = try_kernel(kernels.abs, input)
    return apply(AbsFunction(), input) if out is None else out


class StepwiseFunction(Function):
    """A function that is constant between its steps: its gradient is zero."""

    def __init__(self, function, label=None):
        self.function, self.label = function, label

    def forward(self, x):
        return self.function(x)

    def backward(self, g):
        return g.new_zeros(g.shape)


class SignFunction(StepwiseFunction):
    """-1, 0 or 1; 0 for NaN."""

    def __init__(self):
        super().__init__(_sign)


def _sign(x: np.ndarray) -> np.ndarray:
    return kernels.sign(x) if x.dtype.kind == "f" else np.asarray(np.subtract(x > 0, x < 0, dtype=x.dtype))


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1; 0 for NaN, as in PyTorch."""
    return clone(input) if input.dtype is _dtype.bool else apply(SignFunction(), input)


def _stepwise(name: str, function: Callable[[np.ndarray], np.ndarray], input: Tensor) -> Tensor:
    """A function that integers already are the values of."""
    out = try_kernel(function, input)
    if out is not None:
        return out
    _refuse_bool(name, input._array)
    return (
        apply(StepwiseFunction(function, name.capitalize() + "Backward0"), input)
        if input.dtype.is_floating_point
        else clone(input)
    )


def floor(input: Tensor) -> Tensor:
    """The largest integer that is not larger."""
    return _stepwise("floor", kernels.floor, input)


def ceil(input: Tensor) -> Tensor:
    """The smallest integer that is not smaller."""
    return _stepwise("ceil", kernels.ceil, input)


def trunc(input: Tensor) -> Tensor:
    """The integer part."""
    return _stepwise("trunc", kernels.trunc, input)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer (or decimal of so many places), halves to the even one."""
    return _stepwise("round", (lambda x: np.round(x, decimals)) if decimals else kernels.round, input)


class FracFunction(Function):
    def forward(self, x):
        return kernels.frac(x)

    def backward(self, g):
        return g


def frac(input: Tensor) -> Tensor:
    """The fractional part: input - trunc(input)."""
    out = try_kernel(kernels.frac, input)
    if out is not None:
        return out
    return apply(FracFunction(), input) if input.dtype.is_floating_point else input - trunc(input)


# Functions


class ExpFunction(Function):
    def forward(self, x):
        return kernels.exp(x)

    def backward(self, g, out):
        return g * out


def exp(input: Tensor) -> Tensor:
    """e to the power of each element."""
    return _function(kernels.exp, ExpFunction, input, "exp")


class Expm1Function(Function):
    def forward(self, x):
        return kernels.expm1(x)

    def backward(self, g, out):
        return g * (out + 1)


def expm1(input: Tensor) -> Tensor:
    """exp(input) - 1, accurate near 0."""
    return _function(kernels.expm1, Expm1Function, input, "expm1")


class LogFunction(Function):
    def forward(self, x):
        return kernels.log(x)

    def backward(self, g, x):
        return g / x


def log(input: Tensor) -> Tensor:
    """The natural logarithm: -inf at 0, NaN below."""
    return _function(kernels.log, LogFunction, input, "log")


class Log1pFunction(Function):
    label = "Log1PBackward0"

    def forward(self, x):
        return kernels.log1p(x)

    def backward(self, g, x):
        return g / (x + 1)


def log1p(input: Tensor) -> Tensor:
    """log(1 + input), accurate near 0."""
    return _function(kernels.log1p, Log1pFunction, input, "log1p")


class Log2Function(Function):
    """d log2(x) = g / (x log 2)"""

    def forward(self, x):
        return kernels.ufunc(np.log2, x)

    def backward(self, g, x):
        return g / (x * math.log(2.0))


def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2: exact for powers of 2."""
    return apply(Log2Function(), _floating(input, "log2"))


class Log10Function(Function):
    """d log10(x) = g / (x log 10)"""

    def forward(self, x):
        return kernels.ufunc(np.log10, x)

    def backward(self, g, x):
        return g / (x * math.log(10.0))


def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10: exact for powers of 10."""
    return apply(Log10Function(), _floating(input, "log10"))


class SqrtFunction(Function):
    def forward(self, x):
        return kernels.sqrt(x)

    def backward(self, g, out):
        return g / (out * 2)


def sqrt(input: Tensor) -> Tensor:
    """The square root: NaN below 0."""
    return _function(kernels.sqrt, SqrtFunction, input, "sqrt")


class RsqrtFunction(Function):
    def forward(self, x):
        return kernels.rsqrt(x)

    def backward(self, g, out):
        return g * -0.5 * (out * out * out)


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input)"""
    return _function(kernels.rsqrt, RsqrtFunction, input, "rsqrt")


class ReciprocalFunction(Function):
    def forward(self, x):
        return kernels.reciprocal(x)

    def backward(self, g, out):
        return -g * (out * out)


def reciprocal(input: Tensor) -> Tensor:
    """1 / input"""
    return _function(kernels.reciprocal, ReciprocalFunction, input, "reciprocal")


class SinFunction(Function):
    def forward(self, x):
        return kernels.sin(x)

    def backward(self, g, x):
        return g * cos(x)


def sin(input: Tensor) -> Tensor:
    """The sine of an angle in radians."""
    return _function(kernels.sin, SinFunction, input, "sin")


class CosFunction(Function):
    def forward(self, x):
        return kernels.cos(x)

    def backward(self, g, x):
        return -g * sin(x)


def cos(input: Tensor) -> Tensor:
    """The cosine of an angle in radians."""
    return _function(kernels.cos, CosFunction, input, "cos")


class TanFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.tan, x)

    def backward(self, g, out):
        return g * (out * out + 1)


def tan(input: Tensor) -> Tensor:
    """The tangent of an angle in radians."""
    return apply(TanFunction(), _floating(input, "tan"))


class AtanFunction(Function):
    def forward(self, x):
        return kernels.ufunc(np.arctan, x)

    def backward(self, g, x):
        return g / (x * x + 1)


def atan(input: Tensor) -> Tensor:
    """The angle in radians whose tangent is the element."""
    return apply(AtanFunction(), _floating(input, "atan"))


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    out = hot_activation.try_tanh(input)
    return hot_activation.try_tanh(_floating(input, "tanh")) if out is None else out


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input))"""
    out = hot_activation.try_sigmoid(input)
    return hot_activation.try_sigmoid(_floating(input, "sigmoid")) if out is None else out


class ErfFunction(Function):
    """d erf(x) = g 2/sqrt(pi) exp(-x^2)"""

    def forward(self, x):
        return kernels.erf(x)

    def backward(self, g, x):
        return g * (exp(-(x * x)) * (2 / math.sqrt(math.pi)))


def erf(input: Tensor) -> Tensor:
    """The error function."""
    return _function(kernels.erf, ErfFunction, input, "erf")


# Choosing between elements


class MaximumFunction(Function):
    """The larger (or smaller) of two, NaN if either is; the gradient goes to the chosen one, to both by halves at a tie."""

    def __init__(self, larger):
        self.larger = larger

    def own_name(self):
        return "MaximumBackward0" if self.larger else "MinimumBackward0"

    def forward(self, x, y):
        return kernels.maximum(x, y) if self.larger else kernels.minimum(x, y)

    def backward(self, g, x, y):
        gx, gy = self.needs_input_grad
        return (
            apply(MaximumGradFunction(self.larger), g, x, y) if gx else None,
            apply(MaximumGradFunction(self.larger), g, y, x) if gy else None,
        )


class MaximumGradFunction(Function):
    """The gradient of maximum (or minimum) for x, in which only g has a gradient."""

    reads = {"g": ("x", "y"), "x": (), "y": ()}

    def __init__(self, larger):
        self.larger = larger

    def forward(self, g, x, y):
        return (kernels.maximum_backward if self.larger else kernels.minimum_backward)(g, x, y)

    def backward(self, gg, x, y):
        of_g, of_x, of_y = self.needs_input_grad
        zero = gg * 0.0 if of_x or of_y else None
        return (
            apply(MaximumGradFunction(self.larger), gg, x, y) if of_g else None,
            zero if of_x else None,
            zero if of_y else None,
        )


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements, with broadcasting and type promotion."""
    out = try_kernel(kernels.maximum, input, other)
    return apply(MaximumFunction(True), *broadcast_operands("maximum", input, other)) if out is None else out


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements, with broadcasting and type promotion."""
    out = try_kernel(kernels.minimum, input, other)
    return apply(MaximumFunction(False), *broadcast_operands("minimum", input, other)) if out is None else out


class WhereFunction(Function):
    def __init__(self, condition):
        self.condition = condition

    def forward(self, x, y):
        return kernels.where(self.condition, x, y)

    def backward(self, g):
        gx, gy = self.needs_input_grad
        zero = g.new_zeros(())
        condition = from_array(self.condition)
        return where(condition, g, zero) if gx else None, where(condition, zero, g) if gy else None


def _fit(shape: tuple[int, ...], value: Tensor | Number) -> bool:
    """Whether it is a Python number or a tensor of this shape."""
    return value._array.shape == shape if isinstance(value, TensorBase) else type(value) in (int, float)


def where(condition: Tensor, input: Tensor | Number | None = None, other: Tensor | Number | None = None) -> Tensor:
    """input where condition holds, other elsewhere. With the condition alone: the indices where it holds, a tensor a dimension."""
    if input is None and other is None:
        return tuple(from_array(np.ascontiguousarray(i)) for i in np.nonzero(condition._array))
    if condition.dtype not in (_dtype.bool, _dtype.uint8):
        raise RuntimeError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}")
    mask = condition._array
    if condition.dtype is _dtype.bool and mask.flags.c_contiguous and _fit(mask.shape, input) and _fit(mask.shape, other):
        out = try_kernel(kernels.where, mask, input, other)
        if out is not None:
            return out
    x, y = broadcast_operands("where", input, other)
    shape = broadcast_shapes(condition._array.shape, x._array.shape)
    mask = np.array(np.broadcast_to(condition._array, shape), dtype=bool, order="C")
    return apply(WhereFunction(mask), *[v if v._array.shape == shape else expand(v, shape) for v in (x, y)])


def _passes(beyond: Tensor, bound: Tensor) -> Tensor:
    """Where a bound takes the element's place: where the element is beyond it, and where the bound is NaN."""
    return from_array(np.asarray(beyond._array | (bound._array != bound._array)))


def clamp(input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None) -> Tensor:
    """The element, or the bound that it exceeds; a gradient only where the element was kept."""
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    low, high = -math.inf if min is None else min, math.inf if max is None else max
    if type(low) in (int, float) and type(high) in (int, float) and low == low and high == high:  # not for NaN
        out = try_kernel(kernels.hardtanh, input, low, high)
        if out is not None:
            return out
    if isinstance(min, TensorBase) or isinstance(max, TensorBase):
        out = input
        if min is not None:
            out = where(out < min, min, out) if not isinstance(min, TensorBase) else where(_passes(lt(out, min), min), min, out)
        if max is not None:
            out = where(out > max, max, out) if not isinstance(max, TensorBase) else where(_passes(gt(out, max), max), max, out)
        return out
    if not input.dtype.is_floating_point:
        input = cast(input, result_type(input, *[value for value in (min, max) if value is not None]))
    return apply(ClampFunction(min, max), input)


class ClampFunction(Function):
    """d clamp(x, low, high) = g where low <= x <= high, else 0."""

    label = "ClampBackward1"

    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, x):
        if x.dtype.kind == "f" and self.low == self.low and self.high == self.high:  # not for NaN
            return kernels.hardtanh(
                x, -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
            )
        y = x if self.low is None else np.maximum(x, np.asarray(self.low).astype(x.dtype))
        return y if self.high is None else np.minimum(y, np.asarray(self.high).astype(x.dtype))

    def backward(self, g, x):
        return apply(ClampGradFunction(self.low, self.high), g, x)


class ClampGradFunction(Function):
    """g where low <= x <= high, else 0; only g has a gradient."""

    reads = {"g": ("x",), "x": ()}

    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, g, x):
        return kernels.clamp_backward(
            g, x, -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        )

    def backward(self, gg, x):
        of_g, of_x = self.needs_input_grad
        return apply(ClampGradFunction(self.low, self.high), gg, x) if of_g else None, gg * 0.0 if of_x else None


@named_node
def clamp_min(input: Tensor, min: Tensor | Number) -> Tensor:
    """clamp from below."""
    return clamp(input, min=min)


@named_node
def clamp_max(input: Tensor, max: Tensor | Number) -> Tensor:
    """clamp from above."""
    return clamp(input, max=max)


@named_node
def lerp(input: Tensor, end: Tensor, weight: Tensor | Number) -> Tensor:
    """input + weight * (end - input), from the nearer end: a weight of 1 gives end exactly."""
    if isinstance(weight, _NUMBERS) and isinstance(end, TensorBase):
        out = try_kernel(kernels.lerp, input, end, float(weight))
        if out is not None:
            return out
        x, y = broadcast_operands("lerp", input, end)
        if x.dtype.is_floating_point:
            return apply(LerpFunction(float(weight)), x, y)
    elif isinstance(weight, TensorBase):
        x, y, w = broadcast_operands("lerp", input, end, weight)
        if x.dtype.is_floating_point:
            return apply(WeightedLerpFunction(), x, y, w)
    return input + weight * (end - input)


class LerpFunction(Function):
    """x + w (y - x) for a number w"""

    def __init__(self, weight):
        self.weight = weight

    def forward(self, x, y):
        return kernels.lerp(x, y, self.weight)

    def backward(self, g):
        gx, gy = self.needs_input_grad
        return g * (1 - self.weight) if gx else None, g * self.weight if gy else None


class WeightedLerpFunction(Function):
    """x + w (y - x) for a tensor w"""

    reads = {"x": ("w",), "y": ("w",), "w": ("x", "y")}

    def forward(self, x, y, w):
        return kernels.lerp(x, y, w)

    def backward(self, g, x, y, w):
        gx, gy, gw = self.needs_input_grad
        return g * (1 - w) if gx else None, g * w if gy else None, g * (y - x) if gw else None


@named_node
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 * tensor2"""
    operands = (input, tensor1, tensor2)
    out = try_kernel(kernels.addcmul, *operands, value)
    if out is not None:
        return out
    x, y, z = broadcast_operands("addcmul", *operands)
    if x.dtype.is_floating_point:
        return apply(AddcmulFunction(float(value)), x, y, z)
    return x + value * (y * z)


class AddcmulFunction(Function):
    """x + value y z"""

    reads = {"x": (), "y": ("z",), "z": ("y",)}

    def __init__(self, value):
        self.value = value

    def forward(self, x, y, z):
        return kernels.addcmul(x, y, z, self.value)

    def backward(self, g, y, z):
        gx, gy, gz = self.needs_input_grad
        scaled = g if self.value == 1 else g * self.value
        return g if gx else None, scaled * z if gy else None, scaled * y if gz else None


@named_node
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 / tensor2"""
    operands = (input, tensor1, tensor2)
    if all(isinstance(v, TensorBase) and v.dtype is input.dtype for v in operands) and input.dtype.is_floating_point:
        return apply(AddcdivFunction(float(value)), *broadcast_operands("addcdiv", *operands))
    return input + value * (tensor1 / tensor2)


class AddcdivFunction(Function):
    """x + value y / z"""

    reads = {"x": (), "y": ("z",), "z": ("y", "z")}

    def __init__(self, value):
        self.value = value

    def forward(self, x, y, z):
        return kernels.addcdiv(x, y, z, self.value)

    def backward(self, g, y, z):
        gx, gy, gz = self.needs_input_grad
        share = (g if self.value == 1 else g * self.value) / z if gy or gz else None
        return g if gx else None, share if gy else None, -(share * (y / z)) if gz else None


# Comparisons and logic: not differentiable, the result is bool


def _compare(name: str, function: np.ufunc, x: Tensor | Number, y: Tensor | Number) -> Tensor:
    out = hot.try_ufunc(function, x, y)
    if out is not None:
        return out
    x, y = _operand(x), _operand(y)
    for value in (x, y):
        if not isinstance(value, (TensorBase, *_NUMBERS)):
            return NotImplemented
    dtype = result_type(x, y)
    a, b = (as_tensor_like(value, dtype)._array for value in (x, y))
    broadcast_shapes(a.shape, b.shape)
    return from_array(kernels.ufunc(function, a, b))


def eq(input: Tensor, other: Tensor | Number) -> Tensor:
    """input == other, elementwise."""
    return _compare("eq", np.equal, input, other)


def ne(input: Tensor, other: Tensor | Number) -> Tensor:
    """input != other, elementwise."""
    return _compare("ne", np.not_equal, input, other)


def lt(input: Tensor, other: Tensor | Number) -> Tensor:
    """input < other, elementwise."""
    return _compare("lt", np.less, input, other)


def le(input: Tensor, other: Tensor | Number) -> Tensor:
    """input <= other, elementwise."""
    return _compare("le", np.less_equal, input, other)


def gt(input: Tensor, other: Tensor | Number) -> Tensor:
    """input > other, elementwise."""
    return _compare("gt", np.greater, input, other)


def ge(input: Tensor, other: Tensor | Number) -> Tensor:
    """input >= other, elementwise."""
    return _compare("ge", np.greater_equal, input, other)


def same(x: Tensor, y: Tensor) -> Tensor:
    """1 where x equals y or both are NaN, 0 elsewhere, in their float dtype; y is broadcast to x."""
    return from_array(kernels.same(x._array, y._array))


def isnan(input: Tensor) -> Tensor:
    """Whether each element is NaN."""
    return from_array(kernels.ufunc(np.isnan, input._array))


def isinf(input: Tensor) -> Tensor:
    """Whether each element is infinite."""
    return from_array(kernels.ufunc(np.isinf, input._array))


def isfinite(input: Tensor) -> Tensor:
    """Whether each element is neither NaN nor infinite."""
    return from_array(kernels.ufunc(np.isfinite, input._array))


def logical_not(input: Tensor) -> Tensor:
    """Whether each element is zero."""
    return from_array(kernels.ufunc(np.logical_not, input._array))


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Whether both elements are nonzero."""
    return _compare("logical_and", np.logical_and, input, other)


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Whether one of the elements is nonzero."""
    return _compare("logical_or", np.logical_or, input, other)


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Whether just one of the elements is nonzero."""
    return _compare("logical_xor", np.logical_xor, input, other)


def _bitwise(name: str, function: np.ufunc, *operands: Tensor | Number) -> Tensor:
    if isinstance(operands[0], TensorBase) and not operands[0].dtype.is_floating_point:
        out = (
            hot.try_ufunc(function, *operands)
            if len(operands) == 2
            else from_array(kernels.ufunc(function, operands[0]._array))
        )
        if out is not None:
            return out
    for value in operands:
        if not isinstance(value, (TensorBase, *_NUMBERS)):
            return NotImplemented
    dtype = result_type(*operands)
    if dtype.is_floating_point:
        raise NotImplementedError(f"{name}: not implemented for {dtype}, only for integers and bool")
    arrays = [as_tensor_like(value, dtype)._array for value in operands]
    if len(arrays) == 2:
        broadcast_shapes(*(array.shape for array in arrays))
    return from_array(kernels.ufunc(function, *arrays))


def bitwise_and(input: Tensor, other: Tensor | Number) -> Tensor:
    """input & other"""
    return _bitwise("bitwise_and", np.bitwise_and, input, other)


def bitwise_or(input: Tensor, other: Tensor | Number) -> Tensor:
    """input | other"""
    return _bitwise("bitwise_or", np.bitwise_or, input, other)


def bitwise_xor(input: Tensor, other: Tensor | Number) -> Tensor:
    """input ^ other"""
    return _bitwise("bitwise_xor", np.bitwise_xor, input, other)


def bitwise_not(input: Tensor) -> Tensor:
    """~input: of each bit, for bool the logical not."""
    if input.dtype.is_floating_point:
        raise TypeError(f"bitwise_not(): ~ is only implemented for integer and bool tensors, not {input.dtype}")
    return _bitwise("bitwise_not", np.bitwise_not, input)


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether the tensors have the same shape and elements."""
    return bool(np.array_equal(input._array, other._array))


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other|, elementwise."""
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{input.dtype} did not match {other.dtype}")
    return from_array(np.asarray(np.isclose(input._array, other._array, rtol, atol, equal_nan)))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether isclose holds for every element."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())
