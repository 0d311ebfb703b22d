"""The Bernoulli distribution."""

from __future__ import annotations

from collections.abc import Sequence

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor
from minigrad.distributions.distribution import Distribution, broadcast


class Bernoulli(Distribution):
    """1 with probability `probs`, given by itself or by its `logits` log(p / (1 - p)), otherwise 0.

    Raises ValueError unless just one of the two is given, or for a probability outside 0 ... 1.
    """

    def __init__(
        self, probs: Tensor | float | None = None, logits: Tensor | float | None = None, validate_args: bool | None = None
    ) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        (given,) = broadcast(probs if probs is not None else logits)  # type: ignore[arg-type]
        self.parameters = ("logits",) if probs is None else ("probs",)
        super().__init__(given.shape, validate_args=validate_args)
        if probs is None:
            self.logits = given
            self.probs = given.sigmoid()
        else:
            self._check("probs", (given >= 0) & (given <= 1), "Interval(lower_bound=0.0, upper_bound=1.0)")
            self.probs = given
            eps = minigrad.finfo(given.dtype).eps
            self.logits = given.clamp(eps, 1 - eps).logit()

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        mode = (self.probs >= 0.5).to(self.probs.dtype)
        return mode.masked_fill(self.probs == 0.5, float("nan"))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with minigrad.no_grad():
            return minigrad.bernoulli(self.probs.expand(self._extended(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value, (value == 0) | (value == 1), "Boolean()")
        logits, value = minigrad.broadcast_tensors(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
