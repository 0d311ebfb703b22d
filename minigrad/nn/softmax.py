"""softmax layers; the arithmetic is in minigrad.nn.functional."""

from __future__ import annotations

from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class _SoftmaxNd(Module):
    """Holds the dimension; None is deprecated, and means 0 for 0-d, 1-d and 3-d inputs, 1 for others."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_SoftmaxNd):
    """exp(x) / sum exp(x) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        """Input of any shape; the output has the same."""
        return F.softmax(input, self.dim, _stacklevel=5)


class Softmin(_SoftmaxNd):
    """softmax(-x) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        """Input of any shape; the output has the same."""
        return F.softmin(input, self.dim, _stacklevel=5)


class LogSoftmax(_SoftmaxNd):
    """log(softmax(x)) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        """Input of any shape; the output has the same."""
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) or (C, H, W) -> the same shape. Raises ValueError for another number of dimensions."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3, _stacklevel=5)
