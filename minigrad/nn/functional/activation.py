"""Activation functions. With inplace=True the input's memory is written, as PyTorch does; F.relu_ and the like do the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from minigrad import random as _random
from minigrad.ops import activation as _activation
from minigrad.ops import elementwise as _elementwise
from minigrad.ops.inplace import write

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _run(input: Tensor, inplace: bool, name: str, compute: Callable[[Tensor], Tensor]) -> Tensor:
    return write(input, compute, name + "_") if inplace else compute(input)


def _number(value: object, function: str, argument: str) -> float:
    """The value as a float. Raises TypeError for anything that is not a number."""
    if isinstance(value, (int, float)) or (hasattr(value, "__float__") and not hasattr(value, "__len__")):
        return float(value)
    raise TypeError(f"{function}(): argument {argument!r} must be Number, not {type(value).__name__}")


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)"""
    return _activation.relu_(input) if inplace else _activation.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)"""
    return _run(input, inplace, "relu6", lambda x: _activation.hardtanh(x, 0.0, 6.0))


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, negative_slope x elsewhere."""
    slope = _number(negative_slope, "leaky_relu", "negative_slope")
    return _run(input, inplace, "leaky_relu", lambda x: _activation.leaky_relu(x, slope))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, alpha (e^x - 1) elsewhere."""
    alpha = _number(alpha, "elu", "alpha")
    return _run(input, inplace, "elu", lambda x: _activation.elu(x, alpha))


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 (x where x > 0, 1.6733 (e^x - 1) elsewhere)"""
    return _run(input, inplace, "selu", _activation.selu)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, alpha (e^(x / alpha) - 1) elsewhere. Raises RuntimeError for alpha = 0."""
    alpha = _number(alpha, "celu", "alpha")
    return _run(input, inplace, "celu", lambda x: _activation.celu(x, alpha))


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi the normal distribution function; approximate="tanh": x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    return _activation.gelu(input, approximate)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x)"""
    return _run(input, inplace, "silu", _activation.silu)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x))"""
    return _run(input, inplace, "mish", _activation.mish)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x where beta x > threshold."""
    return _activation.softplus(input, _number(beta, "softplus", "beta"), _number(threshold, "softplus", "threshold"))


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return _activation.softsign(input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x clamped to [min_val, max_val]. Raises ValueError if min_val is the larger one."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val cannot be greater than max_val, but got {min_val} and {max_val}")
    return _run(input, inplace, "hardtanh", lambda x: _activation.hardtanh(x, min_val, max_val))


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x clamp(x + 3, 0, 6) / 6"""
    return _run(input, inplace, "hardswish", _activation.hardswish)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """clamp(x + 3, 0, 6) / 6"""
    return _run(input, inplace, "hardsigmoid", _activation.hardsigmoid)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x))"""
    return _activation.logsigmoid(input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, value elsewhere."""
    limit, value = _number(threshold, "threshold", "threshold"), _number(value, "threshold", "value")
    return _run(input, inplace, "threshold", lambda x: _activation.threshold(x, limit, value))


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)"""
    return _activation.tanhshrink(input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, 0 where |x| <= lambd. Raises RuntimeError for a negative lambd."""
    return _activation.softshrink(input, _number(lambd, "softshrink", "lambd"))


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, 0 elsewhere."""
    return _activation.hardshrink(input, _number(lambd, "hardshrink", "lambd"))


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, weight x elsewhere; weight has one element, or one for each channel (dimension 1)."""
    return _activation.prelu(input, weight)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """leaky_relu with a slope drawn uniformly from [lower, upper] for each element in training, their mean otherwise.

    Raises RuntimeError if lower is the larger one.
    """
    if lower > upper:
        raise RuntimeError(
            f"rrelu: Lower bound should be less than or equal to the upper bound, but got lower={lower}, upper={upper}"
        )
    slopes = _random.default_generator.rng.uniform(lower, upper, input.shape) if training else None
    return _run(input, inplace, "rrelu", lambda x: _activation.rrelu(x, lower, upper, training, slopes))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b) for the halves a and b of a dimension. Raises RuntimeError if its size is odd."""
    return _activation.glu(input, dim)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)"""
    return _elementwise.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return _elementwise.tanh(input)


def relu_(input: Tensor) -> Tensor:
    """relu in place."""
    return relu(input, inplace=True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """leaky_relu in place."""
    return leaky_relu(input, negative_slope, inplace=True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """elu in place."""
    return elu(input, alpha, inplace=True)


def selu_(input: Tensor) -> Tensor:
    """selu in place."""
    return selu(input, inplace=True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """celu in place."""
    return celu(input, alpha, inplace=True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """hardtanh in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """threshold in place."""
    limit = threshold
    return write(input, lambda x: _activation.threshold(x, limit, value), "threshold_")


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """rrelu in place."""
    return rrelu(input, lower, upper, training, inplace=True)
