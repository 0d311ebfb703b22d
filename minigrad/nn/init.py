"""Initial values for parameters. Every function here fills its tensor in place, outside the graph, and returns it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from minigrad import random
from minigrad._ext.engine import from_array
from minigrad.autograd import no_grad
from minigrad.random import Generator
from minigrad.tensor import Tensor

_P = ParamSpec("_P")
_R = TypeVar("_R")

_LINEAR = frozenset(
    ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid")
)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights in front of this nonlinearity are scaled up.

    1 for linear, conv*, conv_transpose* and sigmoid; 5/3 for tanh; sqrt(2) for relu; sqrt(2 / (1 + param**2)) for leaky_relu
    (param 0.01 if None); 3/4 for selu. ValueError for another name, or a `param` that is no number.
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def _write(tensor: Tensor, values: Any) -> Tensor:
    """Copies an array into the tensor, outside the graph."""
    with no_grad():
        tensor.copy_(from_array(np.ascontiguousarray(values, tensor.dtype.np).reshape(tensor.shape)))
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fills with values from the uniform distribution on [a, b). RuntimeError if a > b."""
    with no_grad():
        return random.uniform_(tensor, a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fills with values from the normal distribution. RuntimeError for a negative std."""
    with no_grad():
        return random.normal_(tensor, mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fills with values from the normal distribution restricted to [a, b].

    By drawing again what lies outside, or where little lies inside by rejection from the uniform distribution on [a, b]. Warns
    when the mean lies more than 2 std outside the interval.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            stacklevel=2,
        )
    rng = (random.default_generator if generator is None else generator).rng
    real = tensor.dtype.np.type
    inside = _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std)
    log_peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    values = np.empty(tensor.numel())
    todo = np.arange(values.size)
    while todo.size:
        if inside > 0.3:
            draws = rng.normal(mean, std, todo.size)
            good = (draws.astype(real) >= real(a)) & (draws.astype(real) <= real(b))
        else:
            draws = rng.uniform(a, b, todo.size)
            good = -rng.standard_exponential(todo.size) <= -0.5 * ((draws - mean) / std) ** 2 - log_peak
        values[todo[good]] = draws[good]
        todo = todo[~good]
    return _write(tensor, values)


def _normal_cdf(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fills with `val`."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fills with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fills with 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fills a matrix with the identity: ones on the diagonal. ValueError unless it has 2 dimensions."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _write(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fills the weight of a convolution, (O, C, *kernel), so that it passes on its input channels, as many as there are.

    Each of `groups` groups of output channels gets them. ValueError unless the weight has 3, 4 or 5 dimensions and `groups`
    divides the first.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    out_channels, in_channels, *kernel = tensor.shape
    if out_channels % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    each = out_channels // groups
    values = np.zeros(tensor.shape)
    centre = tuple(size // 2 for size in kernel)
    for group in range(groups):
        for channel in range(min(each, in_channels)):
            values[(group * each + channel, channel, *centre)] = 1
    return _write(tensor, values)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs feed one output and how many outputs one input feeds, for a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    modes = ["fan_in", "fan_out"]
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode.lower()} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fills from the uniform distribution on [-a, a), a = gain * sqrt(6 / (fan_in + fan_out)). ValueError below 2 dimensions.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fills from the normal distribution with std = gain * sqrt(2 / (fan_in + fan_out)). ValueError below 2 dimensions."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor)))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fills from the uniform distribution on [-bound, bound), bound = gain * sqrt(3 / fan).

    The gain is that of `nonlinearity` (`a` is the slope of leaky_relu), the fan the one that `mode` names: "fan_in" or
    "fan_out". ValueError for another mode or fewer than 2 dimensions. Warns about, and leaves, an empty tensor.

    Source: He et al., "Delving deep into rectifiers", 2015.
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = math.sqrt(3.0) * calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fills from the normal distribution with std = gain / sqrt(fan); the arguments are those of `kaiming_uniform_`."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fills with `gain` times an orthogonal matrix, the dimensions after the first taken as one.

    Rows are orthonormal if there are no more of them than columns, else columns. ValueError below 2 dimensions.

    Source: Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2013; the signs
    as in Mezzadri, "How to generate random matrices from the classical compact groups", 2006.
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    cols = tensor.numel() // rows
    rng = (random.default_generator if generator is None else generator).rng
    q, r = np.linalg.qr(rng.standard_normal((max(rows, cols), min(rows, cols))))
    q *= np.sign(np.diagonal(r))  # makes the distribution uniform over the orthogonal matrices
    return _write(tensor, gain * (q.T if rows < cols else q))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Fills a matrix from the normal distribution, then zeroes ceil(sparsity * rows) random entries of each column.

    ValueError unless it has 2 dimensions. Source: Martens, "Deep learning via Hessian-free optimization", 2010.
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, cols = tensor.shape
    rng = (random.default_generator if generator is None else generator).rng
    values = rng.normal(0.0, std, (rows, cols))
    zeros = math.ceil(sparsity * rows)
    for col in range(cols):
        values[rng.permutation(rows)[:zeros], col] = 0
    return _write(tensor, values)


def _deprecated(function: Callable[_P, _R]) -> Callable[_P, _R]:
    new = function.__name__
    old = new[:-1]

    def alias(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    alias.__name__ = old
    alias.__doc__ = f"The old name of `{new}`. Warns (FutureWarning)."
    return alias


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
