"""The Laplace distribution."""

from __future__ import annotations

from collections.abc import Sequence

import minigrad
from minigrad import Tensor
from minigrad.distributions.distribution import Distribution, broadcast


class Laplace(Distribution):
    """density exp(-|x - loc| / scale) / (2 scale). ValueError for a scale that is not positive."""

    has_rsample = True
    parameters = ("loc", "scale")

    def __init__(self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)
        self._check("scale", self.scale > 0, "GreaterThan(lower_bound=0.0)")

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        half = minigrad.rand(self._extended(sample_shape), dtype=self.loc.dtype) - 0.5
        return self.loc - self.scale * half.sign() * (-2 * half.abs()).clamp(min=-1 + 1e-16).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()

    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 - 0.5 * (value - self.loc).sign() * (-(value - self.loc).abs() / self.scale).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()
