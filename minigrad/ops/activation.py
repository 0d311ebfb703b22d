"""Activations: a fused kernel forward, a fused kernel backward. The nodes of relu, sigmoid and tanh are compiled (ext/hot_activation.pyx).

Each activation f is two nodes: XFunction computes f(x), XGradFunction computes g f'(x). The second is differentiable again, for
derivatives of any order: in g it is linear, and in x its derivative is g f''(x), written in elementary operations. For piecewise
linear f that is zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from minigrad import _dtype
from minigrad._arguments import normalize_dim
from minigrad._ext import elementwise as kernels
from minigrad._ext import hot_activation
from minigrad._ext.engine import Function, TensorBase, apply, is_grad_enabled, try_kernel
from minigrad._ext.memory import empty_array
from minigrad._naming import named_node
from minigrad.ops.elementwise import abs, clamp, exp, sigmoid, tanh, where
from minigrad.ops.inplace import in_place
from minigrad.ops.shape import cast, cat, expand, reshape, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from minigrad.tensor import Tensor


def _float_input(input: Tensor, name: str) -> Tensor:
    """The tensor. Raises TypeError for anything else and NotImplementedError for a tensor of integers."""
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"{name}() is not implemented for {input.dtype}, only for float32 and float64: use .float()")
    return input


def _activation(
    kernel: Callable[..., np.ndarray], node: type[Function], input: Tensor, name: str, *parameters: float
) -> Tensor:
    """An activation with these parameters: by its kernel alone where no more is needed, else by a node."""
    out = try_kernel(kernel, input, *parameters)
    return apply(node(*parameters), _float_input(input, name)) if out is None else out


class LinearPiecesGradFunction(Function):
    """g f'(x) for an f made of straight pieces: linear in g, and its derivative in x is zero. A subclass gives forward(g, x)."""

    reads = {"g": ("x",), "x": ()}

    def again(self):
        """The same operation as a new node."""
        return type(self)()

    def backward(self, gg, x):
        return apply(self.again(), gg, x) if self.needs_input_grad[0] else None, None


class CurveGradFunction(Function):
    """g f'(x) for a curved f. A subclass gives forward(g, x) and curvature(x), f'' in differentiable operations."""

    reads = {"g": ("x",), "x": ("g", "x")}

    def again(self):
        """The same operation as a new node."""
        return type(self)()

    def backward(self, gg, g, x):
        of_g, of_x = self.needs_input_grad
        return apply(self.again(), gg, x) if of_g else None, gg * g * self.curvature(x) if of_x else None


# Straight pieces


def relu(input: Tensor) -> Tensor:
    """max(x, 0), NaN for NaN; the gradient at 0 is 0. Integers stay integers."""
    out = hot_activation.try_relu(input)
    if out is not None:
        return out
    if not isinstance(input, TensorBase):
        raise TypeError(f"relu(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if input.dtype is _dtype.bool:
        raise RuntimeError("Boolean inputs not supported for relu")
    return clamp(input, min=0)


relu_: Callable[..., Tensor] = in_place(relu, kernels.relu_)


class LeakyReluFunction(Function):
    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        return kernels.leaky_relu(x, self.slope)

    def backward(self, g, x):
        return apply(LeakyReluGradFunction(self.slope), g, x)


class LeakyReluGradFunction(LinearPiecesGradFunction):
    def __init__(self, slope):
        self.slope = slope

    def again(self):
        return type(self)(self.slope)

    def forward(self, g, x):
        return kernels.leaky_relu_backward(g, x, self.slope)


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, negative_slope x elsewhere."""
    return _activation(kernels.leaky_relu, LeakyReluFunction, input, "leaky_relu", float(negative_slope))


class HardtanhFunction(Function):
    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, x):
        return kernels.hardtanh(x, self.low, self.high)

    def backward(self, g, x):
        return apply(HardtanhGradFunction(self.low, self.high), g, x)


class HardtanhGradFunction(LinearPiecesGradFunction):
    def __init__(self, low, high):
        self.low, self.high = low, high

    def again(self):
        return type(self)(self.low, self.high)

    def forward(self, g, x):
        return kernels.hardtanh_backward(g, x, self.low, self.high)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x clamped to [min_val, max_val]; a gradient strictly inside. Integers stay integers."""
    if isinstance(input, TensorBase) and not input.dtype.is_floating_point:
        if input.dtype is _dtype.bool:
            raise RuntimeError("Bool inputs not supported for hardtanh")
        return clamp(input, int(min_val), int(max_val))
    return _activation(kernels.hardtanh, HardtanhFunction, input, "hardtanh", float(min_val), float(max_val))


class HardsigmoidFunction(Function):
    def forward(self, x):
        return kernels.hardsigmoid(x)

    def backward(self, g, x):
        return apply(HardsigmoidGradFunction(), g, x)


class HardsigmoidGradFunction(LinearPiecesGradFunction):
    def forward(self, g, x):
        return kernels.hardsigmoid_backward(g, x)


def hardsigmoid(input: Tensor) -> Tensor:
    """clamp(x + 3, 0, 6) / 6"""
    return _activation(kernels.hardsigmoid, HardsigmoidFunction, input, "hardsigmoid")


class ThresholdFunction(Function):
    def __init__(self, threshold, value):
        self.threshold, self.value = threshold, value

    def forward(self, x):
        return kernels.threshold(x, self.threshold, self.value)

    def backward(self, g, x):
        return apply(ThresholdGradFunction(self.threshold), g, x)


class ThresholdGradFunction(LinearPiecesGradFunction):
    def __init__(self, threshold):
        self.threshold = threshold

    def again(self):
        return type(self)(self.threshold)

    def forward(self, g, x):
        return kernels.threshold_backward(g, x, self.threshold)


def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """x where x > threshold, value elsewhere. Integers stay integers."""
    if isinstance(input, TensorBase) and not input.dtype.is_floating_point:
        return where(input <= threshold, cast(input.new_tensor(value), input.dtype), input)
    return _activation(kernels.threshold, ThresholdFunction, input, "threshold", float(threshold), float(value))


class HardshrinkFunction(Function):
    def __init__(self, lambd):
        self.lambd = lambd

    def forward(self, x):
        return kernels.hardshrink(x, self.lambd)

    def backward(self, g, x):
        return apply(ShrinkGradFunction(self.lambd), g, x)


class SoftshrinkFunction(Function):
    def __init__(self, lambd):
        self.lambd = lambd

    def forward(self, x):
        return kernels.softshrink(x, self.lambd)

    def backward(self, g, x):
        return apply(ShrinkGradFunction(self.lambd), g, x)


class ShrinkGradFunction(LinearPiecesGradFunction):
    def __init__(self, lambd):
        self.lambd = lambd

    def again(self):
        return type(self)(self.lambd)

    def forward(self, g, x):
        return kernels.shrink_backward(g, x, self.lambd)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, 0 elsewhere."""
    return _activation(kernels.hardshrink, HardshrinkFunction, input, "hardshrink", float(lambd))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, 0 where |x| <= lambd. Raises RuntimeError for a negative lambd."""
    x = _float_input(input, "softshrink")
    if not lambd >= 0:
        raise RuntimeError(f"softshrink: lambda must be in range [0, inf) for input dtype {x.dtype}, but found {lambd}")
    return apply(SoftshrinkFunction(float(lambd)), x)


class PreluFunction(Function):
    """x where x > 0, w x elsewhere, for x and w of one shape."""

    label = "PreluKernelBackward0"

    def forward(self, x, w):
        return kernels.prelu(x, w)

    def backward(self, g, x, w):
        gx, gw = self.needs_input_grad
        return apply(PreluGradFunction(), g, x, w) if gx else None, clamp(x, max=0) * g if gw else None


class PreluGradFunction(Function):
    """g where x > 0, w g elsewhere"""

    reads = {"g": ("x", "w"), "x": (), "w": ("g", "x")}

    def forward(self, g, x, w):
        return kernels.prelu_backward(g, x, w)

    def backward(self, gg, g, x, w):
        of_g, of_x, of_w = self.needs_input_grad
        return (
            apply(PreluGradFunction(), gg, x, w) if of_g else None,
            gg * 0.0 if of_x else None,
            where(x > 0, 0.0, gg * g) if of_w else None,
        )


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, weight x elsewhere; weight is a number for all, or one for each channel (dimension 1; dimension 0 of a vector
    counts as the batch). Raises RuntimeError where the sizes or dtypes do not fit."""
    x = _float_input(input, "prelu")
    if x.dtype is not weight.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {x.dtype} and {weight.dtype}")
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    n = weight.numel()
    if n != 1:
        if x.ndim == 0:
            raise RuntimeError("prelu: Not allow zero-dim input tensor.")
        channels = x.shape[1] if x.ndim > 1 else 1
        if n != channels:
            raise RuntimeError(
                f"prelu: Mismatch of parameter numbers and input channel size. Found parameter numbers = {n} and channel size = "
                f"{channels} in an input of shape {tuple(x.shape)}: give one weight, or one for each channel."
            )
    shape = (n,) + (1,) * (x.ndim - 2) if n != 1 else ()
    out = (
        try_kernel(kernels.prelu, x, weight._array.reshape(shape)) if not (is_grad_enabled() and weight.requires_grad) else None
    )
    return apply(PreluFunction(), x, expand(reshape(weight, shape), x.shape)) if out is None else out


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, slopes: np.ndarray | None = None
) -> Tensor:
    """leaky_relu with the slope (lower + upper) / 2, or in training with these random slopes, an array of the input's shape."""
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    x = _float_input(input, "rrelu")
    return apply(PreluFunction(), x, x.new_tensor(slopes))


# Curves


class HardswishFunction(Function):
    def forward(self, x):
        return kernels.hardswish(x)

    def backward(self, g, x):
        return apply(HardswishGradFunction(), g, x)


class HardswishGradFunction(CurveGradFunction):
    def forward(self, g, x):
        return kernels.hardswish_backward(g, x)

    def curvature(self, x):
        return cast(abs(x) < 3, x.dtype) * (1 / 3)


def hardswish(input: Tensor) -> Tensor:
    """x clamp(x + 3, 0, 6) / 6"""
    return _activation(kernels.hardswish, HardswishFunction, input, "hardswish")


class EluFunction(Function):
    """negative (e^(inner x) - 1) where x <= 0, positive x elsewhere."""

    def __init__(self, negative, positive, inner):
        self.factors = negative, positive, inner

    def forward(self, x):
        return kernels.elu(x, *self.factors)

    def backward(self, g, x):
        return apply(EluGradFunction(*self.factors), g, x)


class EluGradFunction(CurveGradFunction):
    def __init__(self, negative, positive, inner):
        self.factors = negative, positive, inner

    def again(self):
        return type(self)(*self.factors)

    def forward(self, g, x):
        return kernels.elu_backward(g, x, *self.factors)

    def curvature(self, x):
        negative, _, inner = self.factors
        return where(x <= 0, exp(clamp(x, max=0) * inner) * (negative * inner * inner), x.new_zeros(()))


SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al., "Self-Normalizing Neural Networks", 2017
SELU_SCALE = 1.0507009873554804934193349852946


def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha (e^x - 1) elsewhere."""
    return _activation(kernels.elu, EluFunction, input, "elu", float(alpha), 1.0, 1.0)


def selu(input: Tensor) -> Tensor:
    """scale (x where x > 0, alpha (e^x - 1) elsewhere), scale = 1.0507..., alpha = 1.6733..."""
    return _activation(kernels.elu, EluFunction, input, "selu", SELU_ALPHA * SELU_SCALE, SELU_SCALE, 1.0)


@named_node
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha (e^(x / alpha) - 1) elsewhere. Raises RuntimeError for alpha = 0."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _activation(kernels.elu, EluFunction, input, "celu", float(alpha), 1.0, 1.0 / alpha)


class GeluFunction(Function):
    def forward(self, x):
        return kernels.gelu(x)

    def backward(self, g, x):
        return apply(GeluGradFunction(), g, x)


class GeluGradFunction(CurveGradFunction):
    """f'' = phi(x) (2 - x^2), phi the normal density"""

    def forward(self, g, x):
        return kernels.gelu_backward(g, x)

    def curvature(self, x):
        square = x * x
        return exp(square * -0.5) * (2 - square) * (1 / math.sqrt(2 * math.pi))


class GeluTanhFunction(Function):
    label = "GeluBackward0"

    def forward(self, x):
        return kernels.gelu_tanh(x)

    def backward(self, g, x):
        return apply(GeluTanhGradFunction(), g, x)


class GeluTanhGradFunction(CurveGradFunction):
    """With t = tanh(u), u = c (x + a x^3): f'' = (1 - t^2) (u' + x u'' / 2 - x t u'^2)"""

    def forward(self, g, x):
        return kernels.gelu_tanh_backward(g, x)

    def curvature(self, x):
        c, a = math.sqrt(2 / math.pi), 0.044715
        square = x * x
        t = tanh(x * (square * a + 1) * c)
        slope = (square * (3 * a) + 1) * c
        return (1 - t * t) * (slope + square * (3 * a * c) - x * t * (slope * slope))


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi the normal distribution function; approximate="tanh": x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate argument must be either none or tanh, but got {approximate!r}.")
    if approximate == "none":
        return _activation(kernels.gelu, GeluFunction, input, "gelu")
    return _activation(kernels.gelu_tanh, GeluTanhFunction, input, "gelu")


class SiluFunction(Function):
    def forward(self, x):
        return kernels.silu(x)

    def backward(self, g, x):
        return apply(SiluGradFunction(), g, x)


class SiluGradFunction(CurveGradFunction):
    """f'' = s (1 - s) (2 + x (1 - 2 s)), s = sigmoid(x)"""

    def forward(self, g, x):
        return kernels.silu_backward(g, x)

    def curvature(self, x):
        s = sigmoid(x)
        return s * (1 - s) * (x * (1 - s * 2) + 2)


def silu(input: Tensor) -> Tensor:
    """x sigmoid(x)"""
    return _activation(kernels.silu, SiluFunction, input, "silu")


class MishFunction(Function):
    def forward(self, x):
        return kernels.mish(x)

    def backward(self, g, x):
        return apply(MishGradFunction(), g, x)


class MishGradFunction(CurveGradFunction):
    """With s = sigmoid(x), t = tanh(softplus(x)): f'' = (1 - t^2) s (2 + x (1 - s - 2 t s))"""

    def forward(self, g, x):
        return kernels.mish_backward(g, x)

    def curvature(self, x):
        s, t = sigmoid(x), tanh(softplus(x))
        return (1 - t * t) * s * (x * (1 - s - t * s * 2) + 2)


def mish(input: Tensor) -> Tensor:
    """x tanh(softplus(x))"""
    return _activation(kernels.mish, MishFunction, input, "mish")


class SoftplusFunction(Function):
    def __init__(self, beta, threshold):
        self.beta, self.threshold = beta, threshold

    def forward(self, x):
        return kernels.softplus(x, self.beta, self.threshold)

    def backward(self, g, x):
        return apply(SoftplusGradFunction(self.beta, self.threshold), g, x)


class SoftplusGradFunction(CurveGradFunction):
    """f'' = beta s (1 - s), s = sigmoid(beta x), and 0 where beta x > threshold"""

    def __init__(self, beta, threshold):
        self.beta, self.threshold = beta, threshold

    def again(self):
        return type(self)(self.beta, self.threshold)

    def forward(self, g, x):
        return kernels.softplus_backward(g, x, self.beta, self.threshold)

    def curvature(self, x):
        z = x * self.beta
        s = sigmoid(z)
        return where(z > self.threshold, x.new_zeros(()), s * (1 - s) * self.beta)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x where beta x > threshold."""
    return _activation(kernels.softplus, SoftplusFunction, input, "softplus", float(beta), float(threshold))


class LogSigmoidFunction(Function):
    def forward(self, x):
        return kernels.logsigmoid(x)

    def backward(self, g, x):
        return apply(LogSigmoidGradFunction(), g, x)


class LogSigmoidGradFunction(CurveGradFunction):
    """f'' = -s (1 - s), s = sigmoid(x)"""

    def forward(self, g, x):
        return kernels.logsigmoid_backward(g, x)

    def curvature(self, x):
        s = sigmoid(x)
        return s * (s - 1)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x))"""
    return _activation(kernels.logsigmoid, LogSigmoidFunction, input, "logsigmoid")


class SoftsignFunction(Function):
    """d x / (1 + |x|) = g / (1 + |x|)^2"""

    label = "DivBackward0"

    def forward(self, x):
        return kernels.softsign(x)

    def backward(self, g, x):
        base = abs(x) + 1
        return g / (base * base)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    if isinstance(input, TensorBase) and not input.dtype.is_floating_point:
        input = cast(input, _dtype.get_default_dtype())
    return _activation(kernels.softsign, SoftsignFunction, input, "softsign")


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)"""
    return input - tanh(input)


class GluFunction(Function):
    """a sigmoid(b) for the halves a and b of a dimension."""

    def __init__(self, dim):
        self.dim = dim

    def forward(self, x):
        rows, half = math.prod(x.shape[: self.dim]), math.prod(x.shape[self.dim :]) // 2
        out = empty_array((*x.shape[: self.dim], x.shape[self.dim] // 2, *x.shape[self.dim + 1 :]), x.dtype)
        kernels.glu(np.ascontiguousarray(x), rows, half, out)
        return out

    def backward(self, g, x):
        return apply(GluGradFunction(self.dim), g, x)


class GluGradFunction(Function):
    """g s for a and g a s (1 - s) for b, where s = sigmoid(b)"""

    reads = {"g": ("x",), "x": ("g", "x")}

    def __init__(self, dim):
        self.dim = dim

    def forward(self, g, x):
        rows, half = math.prod(x.shape[: self.dim]), math.prod(x.shape[self.dim :]) // 2
        out = empty_array(x.shape, x.dtype)
        kernels.glu_backward(np.ascontiguousarray(g), np.ascontiguousarray(x), rows, half, out)
        return out

    def backward(self, h, g, x):
        halves = [x._array.shape[self.dim] // 2] * 2
        a, b = split(x, halves, self.dim)
        ha, hb = split(h, halves, self.dim)
        s = sigmoid(b)
        slope = s * (1 - s)
        wants_g, wants_x = self.needs_input_grad
        return (
            ha * s + hb * a * slope if wants_g else None,
            cat((hb * g * slope, (ha + hb * a * (1 - 2 * s)) * g * slope), self.dim) if wants_x else None,
        )


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b) for the halves a and b of the dimension. Raises RuntimeError if its size is odd."""
    if input.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = normalize_dim(dim, input.ndim)
    size = input._array.shape[axis]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {axis} is size {size}")
    return apply(GluFunction(axis), _float_input(input, "glu"))
