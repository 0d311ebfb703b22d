"""softmax, and the losses that are fused: cross entropy, negative log likelihood, mean squared error, binary cross entropy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from minigrad import _dtype
from minigrad._arguments import accepts_axis, normalize_dim
from minigrad._ext import elementwise, hot_loss
from minigrad._ext import loss as kernels
from minigrad._ext.engine import Function, TensorBase, apply, from_array, try_kernel
from minigrad._ext.memory import empty_array
from minigrad.ops.elementwise import ClampGradFunction, clamp, clamp_min, exp, log, log1p, sigmoid, sign
from minigrad.ops.reduce import sum
from minigrad.ops.shape import cast, reshape, unsqueeze

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _around(x: np.ndarray, dim: int) -> np.ndarray:
    """x as a contiguous (outer, n, inner) with n the size of dim."""
    shape = x.shape or (1,)
    return np.ascontiguousarray(x).reshape(math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :]))


# softmax and log_softmax


class SoftmaxFunction(Function):
    def __init__(self, dim):
        self.dim = dim

    def forward(self, x):
        return kernels.softmax_forward(x, self.dim, False)

    def backward(self, g, out):
        return apply(SoftmaxGradFunction(self.dim), g, out)


class SoftmaxGradFunction(Function):
    """y (g - sum g y) for y = softmax(x)"""

    reads = {"g": ("y",), "y": ("g", "y")}

    def __init__(self, dim):
        self.dim = dim

    def forward(self, g, y):
        return kernels.softmax_backward(g, y, self.dim, False)

    def backward(self, h, g, y):
        wants_g, wants_y = self.needs_input_grad
        return (
            apply(SoftmaxGradFunction(self.dim), h, y) if wants_g else None,
            h * (g - sum(g * y, self.dim, True)) - g * sum(h * y, self.dim, True) if wants_y else None,
        )


def _scores(function: str, input: Tensor, dim: int, dtype: _dtype.dtype | None) -> tuple[Tensor, int]:
    """The input in its dtype, and dim counted from the front."""
    if not isinstance(input, TensorBase):
        raise TypeError(f"{function}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"{function}(): argument 'dim' (position 2) must be int, not {type(dim).__name__}")
    if dtype is not None:
        input = cast(input, _dtype.check(dtype, function))
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"{function}" is not implemented for {input.dtype}: pass dtype=minigrad.float32')
    return input, normalize_dim(dim, input.ndim)


@accepts_axis
def softmax(input: Tensor, dim: int, dtype: _dtype.dtype | None = None) -> Tensor:
    """exp(input) / sum exp(input) along dim. dtype: what the input is cast to first.

    Raises IndexError for a dim that is not there, NotImplementedError for integers without a dtype.
    """
    x, dim = _scores("softmax", input, dim, dtype)
    out = try_kernel(kernels.softmax_forward, x, dim, False)
    return apply(SoftmaxFunction(dim), x) if out is None else out


class LogSoftmaxFunction(Function):
    def __init__(self, dim):
        self.dim = dim

    def forward(self, x):
        return kernels.softmax_forward(x, self.dim, True)

    def backward(self, g, out):
        return apply(LogSoftmaxGradFunction(self.dim), g, out)


class LogSoftmaxGradFunction(Function):
    """g - exp(y) sum g for y = log_softmax(x)"""

    reads = {"g": ("y",), "y": ("g", "y")}

    def __init__(self, dim):
        self.dim = dim

    def forward(self, g, y):
        return kernels.softmax_backward(g, y, self.dim, True)

    def backward(self, h, g, y):
        wants_g, wants_y = self.needs_input_grad
        hp = h * exp(y)
        return (
            h - sum(hp, self.dim, True) if wants_g else None,
            -hp * sum(g, self.dim, True) if wants_y else None,
        )


@accepts_axis
def log_softmax(input: Tensor, dim: int, dtype: _dtype.dtype | None = None) -> Tensor:
    """log(softmax(input)) along dim, computed as (x - max) - log sum exp(x - max). Arguments and errors as for softmax."""
    x, dim = _scores("log_softmax", input, dim, dtype)
    out = try_kernel(kernels.softmax_forward, x, dim, True)
    return apply(LogSoftmaxFunction(dim), x) if out is None else out


# Losses of class indices. x is (N, C, ...), or (C) for one sample.


def find_bad_target(target: np.ndarray, classes: int, ignore: int) -> int | None:
    """The first target that is neither a class nor `ignore`, None if all are good."""
    ordered = np.ascontiguousarray(target)
    position = kernels.find_bad_target(ordered, classes, ignore)
    return None if position < 0 else int(ordered.flat[position])


def _classes_last(x: np.ndarray) -> np.ndarray | None:
    """x (N, C, ...) as (N, ..., C) if that is contiguous and (N, C, ...) is not."""
    if x.ndim < 3 or x.flags.c_contiguous:
        return None
    last = x.transpose(0, *range(2, x.ndim), 1)
    return last if last.flags.c_contiguous else None


def _empty_like(x: np.ndarray) -> np.ndarray:
    """An array of x's shape, with the classes side by side where x has them so."""
    last = _classes_last(x)
    if last is None:
        return empty_array(x.shape, x.dtype)
    return empty_array(last.shape, x.dtype).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


class _Target:
    """The target of a loss of class indices: int64 classes, their weights or None, the class to ignore, and the reduction."""

    def __init__(self, target: np.ndarray, weight: np.ndarray | None, ignore: int, reduction: str) -> None:
        self.classes = np.ascontiguousarray(target).reshape(-1)
        self.shape = target.shape
        self.weight = None if weight is None else np.ascontiguousarray(weight)
        self.ignore, self.reduction = ignore, reduction
        self.scale = 1.0  # what the sum of the losses is multiplied by; for the mean it depends on the target alone

    def reduce(self, losses: np.ndarray, total: float, weights: float) -> np.ndarray:
        if self.reduction == "none":
            return losses.reshape(self.shape)
        if self.reduction == "mean":
            self.scale = 1 / weights if weights else 0.0
            total = total / weights if weights else math.nan
        return np.asarray(total, losses.dtype)

    def around(self, x: np.ndarray) -> np.ndarray:
        """x as (N, C, D); without a copy as (N * D, C, 1) where the classes lie side by side, as a transpose of logits has them."""
        last = _classes_last(x)
        return _around(x, 1 if x.ndim > 1 else 0) if last is None else last.reshape(-1, last.shape[-1], 1)


class CrossEntropyFunction(Function):
    """-(1 - s) weight[t] log p[t] - s / C sum weight log p for p = softmax(x), reduced; 0 where t is ignored."""

    label = "NllLossBackward0"

    def __init__(self, target, smoothing):
        self.target, self.smoothing = target, smoothing

    def forward(self, x):
        t = self.target
        count, dtype = (t.classes.size,), x.dtype
        losses, self.maxima, self.logs = empty_array(count, dtype), empty_array(count, dtype), empty_array(count, dtype)
        totals = kernels.cross_entropy_forward(
            t.around(x), t.classes, t.weight, t.ignore, self.smoothing, losses, self.maxima, self.logs
        )
        return t.reduce(losses, *totals)

    def backward(self, g, x):
        return apply(CrossEntropyGradFunction(self), g, x)


class CrossEntropyGradFunction(Function):
    """g (A p - B), p = softmax(x): B is the share of each class in the loss, A their sum; the maxima and logs are a cache of x's."""

    def __init__(self, node):
        self.target, self.smoothing, self.maxima, self.logs = node.target, node.smoothing, node.maxima, node.logs

    def forward(self, g, x):
        t = self.target
        out = _empty_like(x)
        kernels.cross_entropy_backward(
            np.ascontiguousarray(g).reshape(-1),
            t.scale,
            t.around(x),
            t.classes,
            t.weight,
            t.ignore,
            self.smoothing,
            self.maxima,
            self.logs,
            t.around(out),
        )
        return out

    def shares(self, shape: tuple[int, ...], dtype: np.dtype) -> tuple[Tensor, Tensor]:
        """A (N, 1, ...) and B (N, C, ...), which depend on the target alone."""
        t, s = self.target, self.smoothing
        N, C, D = (1, *shape, 1) if len(shape) == 1 else (shape[0], shape[1], math.prod(shape[2:]))
        classes = t.classes.reshape(N, 1, D)
        weight = np.ones((C, 1)) if t.weight is None else t.weight.astype(np.float64).reshape(C, 1)
        B = ((1 - s) * (classes == np.arange(C).reshape(C, 1)) + s / C) * weight * (classes != t.ignore) * t.scale
        A = B.sum(1, keepdims=True)
        kept = (1,) if len(shape) == 1 else (shape[0], 1, *shape[2:])
        return from_array(A.astype(dtype).reshape(kept)), from_array(B.astype(dtype).reshape(shape))

    def backward(self, h, g, x):
        dim = 1 if x.ndim > 1 else 0
        A, B = self.shares(x._array.shape, x._array.dtype)
        p = softmax(x, dim)
        wants_g, wants_x = self.needs_input_grad
        gg = gx = None
        if wants_g:
            per_position = sum(h * (A * p - B), dim)
            gg = per_position if self.target.reduction == "none" else sum(per_position)
            gg = reshape(gg, g._array.shape)
        if wants_x:
            each = reshape(g, A._array.shape) if self.target.reduction == "none" else g
            gx = each * A * apply(SoftmaxGradFunction(dim), h, p)
        return gg, gx


def _cross_entropy_gradient(g: Tensor, x: Tensor, classes: np.ndarray, ignore: int, smoothing: float, reduction: str) -> Tensor:
    """The differentiable gradient of the compiled cross entropy."""
    node = CrossEntropyFunction(_Target(classes, None, ignore, reduction), smoothing)
    node.forward(x._array)
    return apply(CrossEntropyGradFunction(node), g, x)


def cross_entropy(x: Tensor, target: Tensor, weight: Tensor | None, ignore: int, smoothing: float, reduction: str) -> Tensor:
    """The cross entropy of softmax(x) and the classes; all arguments have been checked, x and weight have one dtype."""
    return apply(CrossEntropyFunction(_target(target, weight, ignore, reduction), smoothing), x)


class NllLossFunction(Function):
    """-weight[t] x[t], reduced: linear in x."""

    def __init__(self, target):
        self.target = target

    def forward(self, x):
        t = self.target
        self.shape = x.shape
        losses = empty_array((t.classes.size,), x.dtype)
        return t.reduce(losses, *kernels.nll_forward(t.around(x), t.classes, t.weight, t.ignore, losses))

    def backward(self, g):
        return apply(NllLossAdjointFunction(self.target, self.shape), g)


class NllLossAdjointFunction(Function):
    """The adjoint of NllLossFunction."""

    def __init__(self, target, shape):
        self.target, self.shape = target, shape

    def forward(self, g):
        t = self.target
        out = np.zeros(self.shape, g.dtype)
        kernels.nll_backward(np.ascontiguousarray(g).reshape(-1), t.scale, t.classes, t.weight, t.ignore, t.around(out))
        return out

    def backward(self, h):
        return apply(NllLossFunction(self.target), h)


def _nll_gradient(g: Tensor, shape: tuple[int, int], classes: np.ndarray, ignore: int, reduction: str, scale: float) -> Tensor:
    """The differentiable gradient of the compiled negative log likelihood."""
    target = _Target(classes, None, ignore, reduction)
    target.scale = scale
    return apply(NllLossAdjointFunction(target, shape), g)


hot_loss.configure(cross_entropy=_cross_entropy_gradient, nll=_nll_gradient)


def nll_loss(x: Tensor, target: Tensor, weight: Tensor | None, ignore: int, reduction: str) -> Tensor:
    """-weight[t] x[t] of the log probabilities x; all arguments have been checked, x and weight have one dtype."""
    return apply(NllLossFunction(_target(target, weight, ignore, reduction)), x)


class StraightLossFunction(Function):
    """A loss of each row of x (N, C), made of straight pieces: the slopes are a cache of x's."""

    def backward(self, g):
        return unsqueeze(g, 1) * from_array(self.slopes)


class MultiMarginLossFunction(StraightLossFunction):
    """See functional.multi_margin_loss, with p = 1."""

    def __init__(self, classes, weight, margin):
        self.classes, self.weight, self.margin = classes, weight, margin

    def forward(self, x):
        losses, self.slopes = kernels.multi_margin(np.ascontiguousarray(x), self.classes, self.weight, self.margin)
        return losses


def multi_margin_loss(x: Tensor, classes: np.ndarray, weight: np.ndarray | None, margin: float) -> Tensor:
    """The loss of each row of float x (N, C), int64 classes (N) and weights (C), which have been checked."""
    weight = None if weight is None else np.ascontiguousarray(weight, x._array.dtype)
    return apply(MultiMarginLossFunction(np.ascontiguousarray(classes), weight, margin), x)


class MultilabelMarginLossFunction(StraightLossFunction):
    """See functional.multilabel_margin_loss."""

    def __init__(self, classes):
        self.classes = classes

    def forward(self, x):
        losses, self.slopes = kernels.multilabel_margin(np.ascontiguousarray(x), self.classes)
        return losses


def multilabel_margin_loss(x: Tensor, classes: np.ndarray) -> Tensor:
    """The loss of each row of x (N, C) and int64 classes (N, C), which have been checked: a row's first -1 ends it."""
    return apply(MultilabelMarginLossFunction(np.ascontiguousarray(classes)), x)


def _target(target: Tensor, weight: Tensor | None, ignore: int, reduction: str) -> _Target:
    return _Target(target._array.astype(np.int64), None if weight is None else weight._array.copy(), ignore, reduction)


# Mean squared error: its node is compiled (ext/hot_loss.pyx)


def squared_error(x: Tensor, y: Tensor, mean: bool) -> Tensor:
    """The sum, or mean, of (x - y)^2 over all elements; x and y have one shape and one float dtype."""
    return hot_loss.try_squared_error(x, y, mean)


# The absolute error, and Huber's


class DifferenceLossFunction(Function):
    """scale times the sum of |x - y| (delta None), or of Huber's function of x - y, of equal shapes."""

    def __init__(self, delta, scale):
        self.delta, self.scale = delta, scale

    def own_name(self):
        """PyTorch's absolute error is a mean or a sum."""
        return "HuberLossBackward0" if self.delta is not None else "SumBackward0" if self.scale == 1 else "MeanBackward0"

    def forward(self, x, y):
        total = kernels.difference_loss(np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(y).reshape(-1), self.delta)
        return np.asarray(total * self.scale, x.dtype)

    def backward(self, g, x, y):
        wants_x, wants_y = self.needs_input_grad
        gx = apply(DifferenceLossGradFunction(self.delta, self.scale), g, x, y)
        return gx if wants_x else None, -gx if wants_y else None


class DifferenceLossGradFunction(Function):
    """scale g sign(x - y), or scale g clamp(x - y, -delta, delta), for a 0-d g"""

    def __init__(self, delta, scale):
        self.delta, self.scale = delta, scale

    def forward(self, g, x, y):
        out = empty_array(x.shape, x.dtype)
        flat = np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(y).reshape(-1)
        kernels.difference_loss_gradient(*flat, self.delta, self.scale * float(g), out.reshape(-1))
        return out

    def backward(self, h, g, x, y):
        wants_g, wants_x, wants_y = self.needs_input_grad
        difference = x - y
        slope = sign(difference) if self.delta is None else clamp(difference, -self.delta, self.delta)
        hx = h * (g * self.scale)
        hx = hx * 0.0 if self.delta is None else apply(ClampGradFunction(-self.delta, self.delta), hx, difference)
        return sum(h * slope) * self.scale if wants_g else None, hx if wants_x else None, -hx if wants_y else None


def difference_loss(x: Tensor, y: Tensor, delta: float | None, mean: bool) -> Tensor:
    """The sum, or mean, of |x - y| (delta None) or of Huber's function of x - y; x and y have one shape and one float dtype."""
    n = x._array.size
    return apply(DifferenceLossFunction(delta, (1 / n if n else math.nan) if mean else 1.0), x, y)


class LogitLossFunction(Function):
    """scale times the sum of the binary cross entropies of sigmoid(x) and y, of equal shapes."""

    label = "BinaryCrossEntropyWithLogitsBackward0"

    def __init__(self, scale):
        self.scale = scale

    def forward(self, x, y):
        total = kernels.logit_loss(np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(y).reshape(-1))
        return np.asarray(total * self.scale, x.dtype)

    def backward(self, g, x, y):
        wants_x, wants_y = self.needs_input_grad
        return (
            apply(LogitLossGradFunction(self.scale), g, x, y) if wants_x else None,
            x * (g * -self.scale) if wants_y else None,
        )


class LogitLossGradFunction(Function):
    """scale g (sigmoid(x) - y) for a 0-d g"""

    def __init__(self, scale):
        self.scale = scale

    def forward(self, g, x, y):
        out = empty_array(x.shape, x.dtype)
        flat = np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(y).reshape(-1)
        kernels.logit_loss_gradient(*flat, self.scale * float(g), out.reshape(-1))
        return out

    def backward(self, h, g, x, y):
        wants_g, wants_x, wants_y = self.needs_input_grad
        p = sigmoid(x)
        hx = h * (g * self.scale)
        return (
            sum(h * (p - y)) * self.scale if wants_g else None,
            hx * p * (1 - p) if wants_x else None,
            -hx if wants_y else None,
        )


def logit_loss(x: Tensor, y: Tensor, mean: bool) -> Tensor:
    """The sum, or mean, of the binary cross entropies of sigmoid(x) and y; they have one shape and one float dtype."""
    n = x._array.size
    return apply(LogitLossFunction((1 / n if n else math.nan) if mean else 1.0), x, y)


class HuberFunction(Function):
    """c (x - c / 2) with c = clamp(x, -delta, delta): x^2 / 2 up to delta, linear from there. Its derivative is c."""

    label = "HuberLossBackward0"

    def __init__(self, delta):
        self.delta = delta

    def forward(self, x):
        return elementwise.huber(x, self.delta)

    def backward(self, g, x):
        return apply(HuberGradFunction(self.delta), g, x)


class HuberGradFunction(Function):
    """g clamp(x, -delta, delta)"""

    reads = {"g": ("x",), "x": ("g", "x")}

    def __init__(self, delta):
        self.delta = delta

    def forward(self, g, x):
        return elementwise.huber_backward(g, x, self.delta)

    def backward(self, gg, g, x):
        of_g, of_x = self.needs_input_grad
        return (
            apply(HuberGradFunction(self.delta), gg, x) if of_g else None,
            apply(ClampGradFunction(-self.delta, self.delta), gg * g, x) if of_x else None,
        )


def huber(x: Tensor, delta: float) -> Tensor:
    """x^2 / 2 where |x| <= delta, and delta (|x| - delta / 2) elsewhere."""
    return apply(HuberFunction(delta), x)


# Binary cross entropy


class BinaryCrossEntropyFunction(Function):
    """-y log x - (1 - y) log(1 - x), with logarithms not below -100."""

    reads = {"x": ("x", "y"), "y": ("x",)}

    def forward(self, x, y):
        with np.errstate(divide="ignore"):
            log_x, log_rest = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
        return np.asarray((y - 1) * log_rest - y * log_x, x.dtype)

    def backward(self, g, x, y):
        wants_x, wants_y = self.needs_input_grad
        return (
            g * (x - y) / clamp_min((1 - x) * x, 1e-12) if wants_x else None,
            g * (clamp_min(log1p(-x), -100) - clamp_min(log(x), -100)) if wants_y else None,
        )


def binary_cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """The binary cross entropy of each probability x and target y, of one shape and dtype; x has been checked to lie in [0, 1]."""
    return apply(BinaryCrossEntropyFunction(), x, y)


def mean_or_sum(losses: Tensor, reduction: str) -> Tensor:
    """The losses as they are ("none"), their sum or their mean."""
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def constant_like(value: np.ndarray, x: Tensor) -> Tensor:
    """An array as a constant of x's dtype."""
    return from_array(np.asarray(value).astype(x._array.dtype))
