"""Special functions of each element: the error function's complement and inverse, the gamma function's logarithm and derivatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype
from minigrad._ext.elementwise import ufunc
from minigrad._ext.engine import Function, apply, from_array
from minigrad.ops.elementwise import _floating, broadcast_operands, exp, square

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _scipy(name: str, *arrays: Any) -> np.ndarray:
    """scipy.special.<name>, which takes as long to import as numpy, in the dtype of the last array; its ufuncs of one array in threads."""
    from scipy import special

    function = getattr(special, name)
    found = ufunc(function, *arrays) if len(arrays) == 1 else function(*arrays)
    return np.asarray(found, arrays[-1].dtype)


class ErfcFunction(Function):
    def forward(self, x: np.ndarray) -> np.ndarray:
        return _scipy("erfc", x)

    def backward(self, g: Tensor, x: Tensor) -> Tensor:
        return g * (exp(-square(x)) * (-2 / math.sqrt(math.pi)))


def erfc(input: Tensor) -> Tensor:
    """1 - erf(input), exact also where erf is almost 1."""
    return apply(ErfcFunction(), _floating(input, "erfc"))


class ErfinvFunction(Function):
    def forward(self, x: np.ndarray) -> np.ndarray:
        return _scipy("erfinv", x)

    def backward(self, g: Tensor, out: Tensor) -> Tensor:
        return g * (exp(square(out)) * (math.sqrt(math.pi) / 2))


def erfinv(input: Tensor) -> Tensor:
    """The number whose erf is the element: infinite at -1 and 1, NaN outside."""
    return apply(ErfinvFunction(), _floating(input, "erfinv"))


class LgammaFunction(Function):
    def forward(self, x: np.ndarray) -> np.ndarray:
        return _scipy("gammaln", x)

    def backward(self, g: Tensor, x: Tensor) -> Tensor:
        return g * digamma(x)


def lgamma(input: Tensor) -> Tensor:
    """The logarithm of |gamma(input)|."""
    return apply(LgammaFunction(), _floating(input, "lgamma"))


class PolygammaFunction(Function):
    def __init__(self, n: int) -> None:
        self.n = n

    def forward(self, x: np.ndarray) -> np.ndarray:
        return _scipy("psi", x) if self.n == 0 else _scipy("polygamma", self.n, x)

    def backward(self, g: Tensor, x: Tensor) -> Tensor:
        return g * polygamma(self.n + 1, x)


def digamma(input: Tensor) -> Tensor:
    """The derivative of lgamma."""
    return apply(PolygammaFunction(0), _floating(input, "digamma"))


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma. RuntimeError for a negative n."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return apply(PolygammaFunction(n), _floating(input, "polygamma"))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below zero, 1 above it, `values` at it; without a gradient. RuntimeError for two dtypes."""
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return from_array(np.heaviside(input._array, values._array).astype(input.dtype.np))


def _of_integers(name: str, function: np.ufunc, input: Tensor, other: Tensor) -> Tensor:
    a, b = broadcast_operands(name, input, other)
    if a.dtype.is_floating_point or a.dtype is _dtype.bool:
        raise NotImplementedError(f'"{name}_cpu" not implemented for {a.dtype.name!r}')
    return from_array(np.asarray(function(a._array, b._array)))


def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisors of integers, not negative."""
    return _of_integers("gcd", np.gcd, input, other)


def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiples of integers, not negative."""
    return _of_integers("lcm", np.lcm, input, other)


def conj(input: Tensor) -> Tensor:
    """The tensor itself: it is real."""
    return input


def real(input: Tensor) -> Tensor:
    """The tensor itself: it is real."""
    return input


def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex: never."""
    return input.is_complex()


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return input.is_signed()


def can_cast(from_: _dtype.dtype, to: _dtype.dtype) -> bool:
    """Whether an in-place operation may turn results of the first dtype into the second: never floats into integers, or any into bool."""
    kinds = {"b": 0, "u": 1, "i": 1, "f": 2}
    return kinds[from_.np.kind] <= kinds[to.np.kind] and not (from_.np.kind == "i" and to.np.kind == "u")
