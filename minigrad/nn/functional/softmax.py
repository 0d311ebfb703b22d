"""softmax, log_softmax and softmin, with the dimension that PyTorch chooses, warning, where none is given."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from minigrad._ext.engine import TensorBase
from minigrad.creation import empty, zeros
from minigrad.ops import loss as ops

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _dim(function: str, input: Tensor, dim: int | None, stacklevel: int) -> Any:
    if dim is not None or not isinstance(input, TensorBase):
        return dim
    warnings.warn(
        f"Implicit dimension choice for {function} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(input) / sum exp(input) along dim. dtype: what the input is cast to first.

    Raises IndexError for a dim that is not there, NotImplementedError for integers without a dtype; warns where dim is None.
    """
    return ops.softmax(input, _dim("softmax", input, dim, _stacklevel), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-input)"""
    return ops.softmax(-input, _dim("softmin", input, dim, _stacklevel), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(input)) along dim, computed as (x - max) - log sum exp(x - max). Arguments and errors as for softmax."""
    return ops.log_softmax(input, _dim("log_softmax", input, dim, _stacklevel), dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((logits + G) / tau) along dim, G drawn from the Gumbel distribution: a relaxed sample of a category.

    With `hard` the result is one-hot, 1 at the largest, but has the gradient of the soft one. eps is not used, and warns if it is
    given. Source: Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", 2016.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    exponential = empty(*logits.shape, dtype=logits.dtype).exponential_()
    soft = ops.softmax((logits - exponential.log()) / tau, dim)
    if not hard:
        return soft
    index = soft.detach().max(dim, keepdim=True)[1]
    one_hot = zeros(*logits.shape, dtype=logits.dtype).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
