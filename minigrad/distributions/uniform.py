"""The uniform distribution."""

from __future__ import annotations

from collections.abc import Sequence

import minigrad
from minigrad import Tensor
from minigrad.distributions.distribution import Distribution, broadcast


class Uniform(Distribution):
    """Uniform on low <= x < high. ValueError unless low < high."""

    has_rsample = True
    parameters = ("low", "high")

    def __init__(self, low: Tensor | float, high: Tensor | float, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)
        if self._validate and not bool((self.low < self.high).all()):
            raise ValueError("Uniform is not defined when low>= high")

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low).square() / 12

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.low + (self.high - self.low) * minigrad.rand(self._extended(sample_shape), dtype=self.low.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value, (value >= self.low) & (value <= self.high), "Interval(low, high)")
        inside = ((value >= self.low) & (value < self.high)).to(self.low.dtype)
        return inside.log() - (self.high - self.low).log()

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low
