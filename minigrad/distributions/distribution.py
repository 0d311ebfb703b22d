"""What distributions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import minigrad
from minigrad import Size, Tensor


def broadcast(*values: Tensor | float) -> tuple[Tensor, ...]:
    """The parameters as float tensors of one shape. TypeError for what is no tensor or number."""
    for value in values:
        if not isinstance(value, (Tensor, int, float)):
            raise TypeError(f"Input arguments must all be numbers or Tensors, but got {type(value).__name__}")
    first = next((value for value in values if isinstance(value, Tensor)), None)
    dtype = minigrad.get_default_dtype() if first is None or not first.is_floating_point() else first.dtype
    tensors = [value if isinstance(value, Tensor) else minigrad.tensor(float(value), dtype=dtype) for value in values]
    return minigrad.broadcast_tensors(*tensors)


class Distribution:
    """A distribution with `batch_shape` independent members, each over values of `event_shape`.

    sample() draws without a gradient; rsample(), where has_rsample, draws so that gradients flow to the parameters.
    """

    has_rsample = False
    parameters: tuple[str, ...] = ()

    def __init__(
        self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        self._validate = validate_args is not False

    def _check(self, name: str, ok: Tensor, rule: str) -> None:
        """ValueError unless every element is ok."""
        if self._validate and not bool(ok.all()):
            raise ValueError(
                f"Expected parameter {name} of distribution {type(self).__name__} to satisfy the constraint {rule}, "
                "but found invalid values"
            )

    def _check_value(self, value: Tensor, ok: Tensor | None = None, rule: str = "") -> None:
        """ValueError for a value that is no tensor, whose shape does not fit, or that is not ok."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        if self._validate and ok is not None and not bool(ok.all()):
            raise ValueError(
                f"Expected value argument to be within the support ({rule}) of the distribution {type(self).__name__}, "
                "but found invalid values"
            )

    @property
    def batch_shape(self) -> Size:
        """The shape of the members."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of a value of one member."""
        return self._event_shape

    def _extended(self, sample_shape: Sequence[int]) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _missing(self, name: str) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} has no {name}")

    @property
    def mean(self) -> Tensor:
        """The mean."""
        self._missing("mean")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        self._missing("variance")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    @property
    def mode(self) -> Tensor:
        """The value of greatest density."""
        self._missing("mode")

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values of shape sample_shape + batch_shape + event_shape, through which gradients flow to the parameters."""
        self._missing("rsample")

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values of shape sample_shape + batch_shape + event_shape, without a gradient."""
        with minigrad.no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at the value."""
        self._missing("log_prob")

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        self._missing("entropy")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most the value."""
        self._missing("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The value that cdf maps to `value`."""
        self._missing("icdf")

    def perplexity(self) -> Tensor:
        """exp(entropy)"""
        return self.entropy().exp()

    def __repr__(self) -> str:
        parts = []
        for name in self.parameters:
            value: Any = self.__dict__.get(name)
            if value is not None:
                parts.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{type(self).__name__}({', '.join(parts)})"
