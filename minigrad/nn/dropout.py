"""Dropout layers: active in training mode only."""

from __future__ import annotations

from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class _DropoutNd(Module):
    """Holds the probability `p` of a zero, between 0 and 1 (ValueError), and whether to write into the input."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """In training, zeroes each element with probability `p` and multiplies the rest by 1 / (1 - p)."""

    def forward(self, input: Tensor) -> Tensor:
        """Input of any shape; the output has the same."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """In training, zeroes whole channels of (N, C, L) or (C, L) with probability `p`."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) or (C, L); the output has the same shape."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """In training, zeroes whole channels of (N, C, H, W) with probability `p`."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W); the output has the same shape."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """In training, zeroes whole channels of (N, C, D, H, W) or (C, D, H, W) with probability `p`."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, D, H, W) or (C, D, H, W); the output has the same shape."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """In training, dropout that keeps mean 0 and variance 1 of SELU's outputs."""

    def forward(self, input: Tensor) -> Tensor:
        """Input of any shape; the output has the same."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """In training, `AlphaDropout` of whole channels."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...); the output has the same shape."""
        return F.feature_alpha_dropout(input, self.p, self.training)
