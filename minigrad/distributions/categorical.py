"""The distribution over the numbers 0 ... K - 1, and over their one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence

import minigrad
from minigrad import Tensor
from minigrad.distributions.distribution import Distribution


class Categorical(Distribution):
    """The number k with probability proportional to probs[..., k], or to exp(logits[..., k]).

    Raises ValueError unless just one of the two is given, or for a negative probability.
    """

    def __init__(self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        given: Tensor = probs if probs is not None else logits  # type: ignore[assignment]
        if given.dim() < 1:
            raise ValueError("`probs` parameter must be at least one-dimensional.")
        self.parameters = ("logits",) if probs is None else ("probs",)
        super().__init__(given.shape[:-1], validate_args=validate_args)
        self._num_events = given.shape[-1]
        if probs is None:
            self._check("logits", given == given, "IndependentConstraint(Real(), 1)")
            self.logits = given - given.logsumexp(-1, keepdim=True)
            self.probs = given.softmax(-1)
        else:
            self._check("probs", given >= 0, "Simplex()")
            self.probs = given / given.sum(-1, keepdim=True)
            eps = minigrad.finfo(given.dtype).eps
            self.logits = self.probs.clamp(eps, 1 - eps).log()

    @property
    def mean(self) -> Tensor:
        return minigrad.full(self._extended(()), float("nan"), dtype=self.probs.dtype)

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        return minigrad.full(self._extended(()), float("nan"), dtype=self.probs.dtype)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with minigrad.no_grad():
            rows = self.probs.reshape(-1, self._num_events)
            count = minigrad.Size(sample_shape).numel()
            drawn = minigrad.multinomial(rows, count, replacement=True)  # (batch, count)
            return drawn.t().reshape((*sample_shape, *self._batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value, (value >= 0) & (value < self._num_events), f"IntegerInterval(0, {self._num_events - 1})")
        index = value.to(minigrad.int64).unsqueeze(-1)
        shape = minigrad.broadcast_shapes(index.shape[:-1], self.logits.shape[:-1])
        logits = self.logits.expand(*shape, self._num_events)
        return logits.gather(-1, index.expand(*shape, 1)).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=minigrad.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The numbers 0 ... K - 1 along a new first dimension."""
        values = minigrad.arange(self._num_events).reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values


class OneHotCategorical(Distribution):
    """The one-hot vectors of a Categorical."""

    parameters = ("probs",)

    def __init__(self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        self.probs, self.logits = self._categorical.probs, self._categorical.logits
        super().__init__(self.probs.shape[:-1], self.probs.shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    @property
    def mode(self) -> Tensor:
        return self._one_hot(self._categorical.mode)

    def _one_hot(self, numbers: Tensor) -> Tensor:
        return minigrad.nn.functional.one_hot(numbers, self._event_shape[0]).to(self.probs.dtype)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._one_hot(self._categorical.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        ok = ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)
        self._check_value(value, ok, "OneHot()")
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()
